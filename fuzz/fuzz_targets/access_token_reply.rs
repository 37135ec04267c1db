//! What a token endpoint answers (RFC 6749 §5.1): whatever is taken for a token can stand in a header, and lives for a bounded time.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::client::Granted;
use phantom_token_filter::http::Reply;

fuzz_target!(|body: &[u8]| {
    let reply = Reply { status: 200, body: Some(body), ..Reply::default() };
    match Granted::read(&reply) {
        Ok(Granted { token, life }) => {
            let token = token.secret();
            assert!(!token.is_empty() && token.len() <= 16 * 1024);
            assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!((1..=24 * 60 * 60).contains(&life.as_secs()));
        }
        Err(reason) => assert!(reason.to_string().len() < 256 && !reason.to_string().contains('\n')),
    }
});
