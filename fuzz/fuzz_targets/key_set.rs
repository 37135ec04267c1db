//! Key sets as servers publish them (RFC 7517 §5): there are no more usable keys than elements, and the same bytes
//! are the same set.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::jwt::KeySet;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let Ok((keys, _)) = KeySet::parse(body) else { return };
    let set: Value =
        serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).expect("JSON");
    let elements = set["keys"].as_array().expect("an array");
    assert!(keys.len() <= elements.len());
    assert_eq!(KeySet::parse(body).unwrap().0.fingerprint(), keys.fingerprint());
});
