//! Key sets as servers publish them (RFC 7517 §5): there are no more usable keys than elements, and the same bytes
//! are the same set.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::jwt::KeySet;

fuzz_target!(|body: &[u8]| {
    let Ok((keys, _)) = KeySet::parse(body) else { return };
    let set: serde_json::Value = serde_json::from_slice(body).expect("a key set without JSON");
    assert!(set["keys"].as_array().is_some_and(|elements| keys.len() <= elements.len()));
    assert_eq!(KeySet::parse(body).unwrap().0.fingerprint(), keys.fingerprint());
});
