//! Keys of the operator, PEM or JWK: what is read has a size that the host can sign with, and no error shows the key.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::jwt::{PrivateKey, PublicKey};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = PublicKey::parse(text);
    if let Ok(key) = PrivateKey::parse(text) {
        assert!(format!("{key:?}").len() < 200, "more than its type is shown");
        let _ = key.public();
    }
});
