//! Replies of the introspection endpoint (RFC 7662 §2.2, RFC 9701): a token is active only if the server says `true`.
//! The first byte chooses the form that is expected.
#![no_main]
use std::rc::Rc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use phantom_token_filter::claims::ClaimNames;
use phantom_token_filter::fuzzing::Believing;
use phantom_token_filter::http::Reply;
use phantom_token_filter::introspection::{
    Introspection, Keys, Response, SignedReply, SignedReplyKind, parse,
};
use phantom_token_filter::jwt::{Algorithm, JwksEndpoint, KeySet};
use phantom_token_filter::target::{Target, Whereabouts};
use phantom_token_filter::token::UnixMillis;

fuzz_target!(|input: &[u8]| {
    let Some((form, body)) = input.split_first() else { return };
    let signed = |kind| {
        let jwks = JwksEndpoint {
            provider: "p".to_owned(),
            transmitter: None,
            is_pss_named: true,
            whereabouts: Whereabouts::Written(Target {
                cluster: "c".to_owned(),
                scheme: None,
                authority: "a".to_owned(),
                path: "/".to_owned(),
            }),
            timeout: Duration::from_secs(1),
            refresh_interval: Duration::from_secs(60),
        };
        Response::Signed(SignedReply {
            kind,
            issuer: "http://127.0.0.1:23100".to_owned(),
            algorithms: vec![Algorithm::from_name("RS256").unwrap(), Algorithm::from_name("ES256").unwrap()],
            jwks: Rc::new(jwks),
        })
    };
    let (response, content_type): (_, &[u8]) = match form % 4 {
        0 => (Response::Json { jwt_member: None }, b"application/json"),
        1 => (Response::Json { jwt_member: Some("phantom_token".to_owned()) }, b"application/json"),
        2 => {
            let audiences = vec!["gw".to_owned(), "gw-pkjwt".to_owned()];
            let kind = SignedReplyKind::IntrospectionResponse { audiences };
            (signed(kind), b"application/token-introspection+jwt")
        }
        _ => (signed(SignedReplyKind::PhantomToken), b"application/jwt"),
    };
    let recorded: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/vectors/jwt/oidc-provider.jwks.json"))
            .expect("a recording in JSON");
    let body_of_keys = &recorded["response"]["body"];
    let text_of_keys = body_of_keys.as_str().map_or_else(|| body_of_keys.to_string(), str::to_owned);
    let (keys, _) = KeySet::parse(text_of_keys.as_bytes()).expect("a key set");
    let keys = Keys { set: Some(&keys), signatures: &Believing };
    let reply = Reply { status: 200, content_type, body: Some(body), ..Reply::default() };
    // When the recordings were made.
    let now = UnixMillis::from_secs(1_795_377_640);
    let names = ClaimNames::default();
    let Ok(Introspection::Active { claims, jwt, .. }) = parse(&reply, &response, &names, keys, now) else {
        return;
    };
    assert!(claims.view().exp.is_none_or(|exp| exp > now), "an expired token is active");
    if form % 4 < 2 {
        let reply: serde_json::Value = serde_json::from_slice(body).expect("an active token without JSON");
        assert_eq!(reply.get("active"), Some(&serde_json::Value::Bool(true)));
    }
    assert!(
        jwt.is_none_or(|it| it.jwt.bytes().all(|byte| byte.is_ascii_graphic())),
        "a header with other bytes"
    );
});
