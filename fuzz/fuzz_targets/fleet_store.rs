//! What a store of a fleet says (etcd v3): whatever it is, what is read lies within it, and a withdrawal that is read is
//! written as it was.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::fleet::etcd::{self, Page, Pair, Watched};
use phantom_token_filter::fleet::{Keys, Notice};

fuzz_target!(|input: &[u8]| {
    let keys = Keys::new("/fleet");
    let check = |pairs: &[Pair<'_>]| {
        let size: usize = pairs.iter().map(|pair| pair.key.len() + pair.value.len()).sum();
        assert!(size <= input.len(), "pairs overlap");
        for pair in pairs {
            if let Some(notice) = Notice::read(&keys, pair.key, pair.value) {
                let (key, value) = notice.write(&keys);
                assert!(key == pair.key && value == pair.value, "a withdrawal is written as it was not read");
                assert!(keys.start() < &*key && key < keys.end() && keys.store() < key);
            }
        }
    };
    if let Some(page) = Page::read(input) {
        assert!(page.revision > 0);
        check(&page.pairs);
    }
    if let Some(watched) = Watched::read(input) {
        assert!(watched.revision > 0);
        check(&watched.puts);
    }
    if let Some(token) = etcd::token(input) {
        assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    assert_ne!(etcd::lease(input), Some(0));
});
