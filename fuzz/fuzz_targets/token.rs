//! Access tokens: what is taken for one is a `b64token` (RFC 6750 §2.1), and nothing is changed of it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::token::AccessToken;

fuzz_target!(|bytes: &[u8]| {
    if let Some(token) = AccessToken::parse(bytes) {
        assert_eq!(token.secret().as_bytes(), bytes);
        let body = token.secret().trim_end_matches('=');
        assert!(
            !body.is_empty()
                && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
        );
    }
});
