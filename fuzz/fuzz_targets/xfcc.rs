//! `x-forwarded-client-cert`: the hash that is found stands there after its key, whatever other names say, and a header that is
//! added to by a proxy in front says of its first element what it said before.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::fuzzing::forwarded_hash;

fuzz_target!(|value: &[u8]| {
    let first = forwarded_hash(value, 0);
    if let Some(hash) = &first {
        let lower = value.to_ascii_lowercase();
        assert!(lower.windows(5).any(|part| part == b"hash="), "no hash");
        // What is not quoted stands there as it is.
        let is_there = value.windows(hash.len().max(1)).any(|part| part == hash.as_slice());
        assert!(hash.is_empty() || is_there || value.contains(&b'\\'), "a hash that is not there");
        let appended = [value, b",By=spiffe://a/b;Hash=00;Subject=\"CN=x\""].concat();
        if appended.len() <= 64 << 10 {
            assert_eq!(forwarded_hash(&appended, 0), first);
            let before = [b"By=spiffe://a/b;Hash=00;Subject=\"CN=x\",", value].concat();
            assert_eq!(forwarded_hash(&before, 1), first);
            assert_eq!(forwarded_hash(&before, 0).as_deref(), Some(&b"00"[..]));
        }
    }
});
