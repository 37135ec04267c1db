//! Forms of requests: a revocation (RFC 7009 §2.1) withdraws a bounded number of things; a logout has one token.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::revocation::back_channel_logout::logout_token;
use phantom_token_filter::revocation::revocation_endpoint::{Known, RevocationRequest, RevokedClients};
use phantom_token_filter::revocation::sources::is_authorized;
use phantom_token_filter::token::Secret;

fuzz_target!(|input: &[u8]| {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    // The first line is the header `authorization`, the rest the body.
    let end = input.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let (authorization, body) = input.split_at(end);
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let request = RevocationRequest::read(FORM, Some(authorization), Some(body));
    for known in [Known::No, Known::Asked, Known::Good] {
        let revoked = request.withdraws(|_| known);
        let clients = match &revoked.clients {
            RevokedClients::None => 0,
            RevokedClients::Authenticated(clients) | RevokedClients::Named(clients) => clients.len(),
        };
        assert!(revoked.tokens.len() + revoked.jwts.len() <= 16 && clients <= 16);
    }
    let _ = logout_token(FORM, body);
    assert!(!is_authorized(&Secret::new("a secret that is not in any seed: 8f0c"), Some(authorization)));
});
