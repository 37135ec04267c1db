//! Key sets as servers publish them (RFC 7517 §5): there are no more usable keys than elements, and the same bytes
//! are the same set.
#![no_main]
use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use phantom_token_filter::jwt::KeySet;
use serde_json::value::RawValue;

type Members<'a> = BTreeMap<String, &'a RawValue>;

fuzz_target!(|body: &[u8]| {
    let Ok((keys, _)) = KeySet::parse(body) else { return };
    // Not as values: a number that is out of range spoils its own key only.
    let set: Members =
        serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).expect("JSON");
    let elements: Vec<&RawValue> = serde_json::from_str(set["keys"].get()).expect("an array");
    assert!(keys.len() <= elements.len());
    assert_eq!(KeySet::parse(body).unwrap().0.fingerprint(), keys.fingerprint());
});
