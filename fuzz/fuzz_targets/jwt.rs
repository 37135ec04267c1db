//! JWTs that nobody has verified (RFC 7515 §7.1): what is taken apart looked like one.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::jwt::{UntrustedJwt, looks_like_jwt};

fuzz_target!(|text: &[u8]| {
    let looks = looks_like_jwt(text);
    if let Ok(jwt) = UntrustedJwt::parse(text) {
        assert!(looks, "a JWT does not look like one");
        assert!(text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)));
        let _ = (jwt.alg(), jwt.kid(), jwt.typ(), jwt.issuer_unchecked());
    }
});
