//! Introspection replies that are a JWT: what two real servers answered, what is refused, and what waits for keys.

use std::fs;
use std::rc::Rc;
use std::time::Duration;

use phantom_token_filter::http::Reply;
use phantom_token_filter::introspection::{
    Introspection, Keys, Response, ServerFailure, SignedReply, SignedReplyKind, parse,
};
use phantom_token_filter::jwt::{Algorithm, JwksEndpoint, KeySet};
use phantom_token_filter::target::{Target, Whereabouts};
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};

use crate::support::issuer::{jwk, key_set, sign};
use crate::support::rustcrypto::RustCrypto;
use crate::support::{Fate, Request, START, Worker, config, inactive, merge};

const ISSUER: &str = "https://as.example";

fn signed(kind: SignedReplyKind, issuer: &str) -> Response {
    Response::Signed(SignedReply {
        kind,
        issuer: issuer.to_owned(),
        algorithms: vec![Algorithm::RS256, Algorithm::ES256],
        jwks: Rc::new(JwksEndpoint {
            is_pss_named: true,
            provider: "main".to_owned(),
            transmitter: None,
            whereabouts: Whereabouts::Written(Target {
                cluster: "as".to_owned(),
                scheme: None,
                authority: "as".to_owned(),
                path: "/jwks".to_owned(),
            }),
            timeout: Duration::from_secs(2),
            refresh_interval: Duration::from_secs(300),
        }),
    })
}

fn rfc9701(audience: &str) -> SignedReplyKind {
    SignedReplyKind::IntrospectionResponse { audiences: vec![audience.to_owned()] }
}

fn read(
    status: u16,
    content_type: &str,
    body: &[u8],
    response: &Response,
    set: &KeySet,
    now: UnixMillis,
) -> Result<Introspection, ServerFailure> {
    let reply = Reply {
        status,
        content_type: content_type.as_bytes(),
        from_envoy: false,
        body: Some(body),
        ..Reply::default()
    };
    parse(
        &reply,
        response,
        &phantom_token_filter::claims::ClaimNames::default(),
        Keys { set: Some(set), signatures: &RustCrypto },
        now,
    )
}

/// What a recorded reply says, read with the keys that the server had at that time.
fn recorded(case: &str, kind: SignedReplyKind, issuer: &str) -> Result<Introspection, ServerFailure> {
    let file = |path: String| -> Value {
        let path = format!("{}/tests/vectors/{path}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let recording = file(format!("recordings/{case}"));
    let server = case.split('.').next().unwrap();
    let jwks = file(format!("jwt/{server}.jwks"));
    let (set, _) = KeySet::parse(jwks["response"]["body"].as_str().unwrap().as_bytes()).unwrap();
    let response = &recording["response"];
    let headers = response["headers"].as_array().unwrap();
    let content_type =
        headers.iter().find(|header| header[0].as_str().unwrap().eq_ignore_ascii_case("content-type"));
    read(
        u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
        content_type.map_or("", |header| header[1].as_str().unwrap()),
        response["body"].as_str().unwrap_or_default().as_bytes(),
        &signed(kind, issuer),
        &set,
        // 2026-11-22T20:00:45Z: a few seconds from each recording.
        UnixMillis::from_secs(1_795_377_645),
    )
}

const OIDC_PROVIDER: &str = "http://127.0.0.1:23100";
const GLEWLWYD: &str = "http://127.0.0.1:23110/api/oidc";

#[test]
fn recorded_introspection_responses_are_read_and_their_jwt_goes_no_further() {
    for (case, audience, issuer) in [
        ("oidc-provider.introspect-accept-jwt9701", "gw-basic", OIDC_PROVIDER),
        ("oidc-provider.introspect-accept-jwt9701-pref", "gw-basic", OIDC_PROVIDER),
        ("oidc-provider.introspect-accept-jwt9701-es256", "gw-pkjwt", OIDC_PROVIDER),
        ("glewlwyd.introspect-accept-jwt9701", "read write", GLEWLWYD),
    ] {
        let Ok(Introspection::Active { claims, jwt, .. }) = recorded(case, rfc9701(audience), issuer) else {
            panic!("{case}: {:?}", recorded(case, rfc9701(audience), issuer))
        };
        assert_eq!((claims.view().client_id, jwt), (Some(&b"app"[..]), None), "{case}");
        assert_eq!(recorded(case, rfc9701("another"), issuer), Err(ServerFailure::OtherAudience), "{case}");
        assert_eq!(recorded(case, rfc9701(audience), ISSUER), Err(ServerFailure::OtherIssuer), "{case}");
        assert_eq!(
            recorded(case, SignedReplyKind::PhantomToken, issuer),
            Err(ServerFailure::OtherContentType),
            "{case}"
        );
    }
    let inactive =
        recorded("oidc-provider.introspect-accept-jwt9701-inactive", rfc9701("gw-basic"), OIDC_PROVIDER);
    assert_eq!(inactive, Ok(Introspection::Inactive));
    // An empty 400 says here that we did not show who asks (RFC 9701 §5).
    let refused = recorded("glewlwyd.introspect-accept-jwt9701-inactive", rfc9701("gw"), GLEWLWYD);
    assert_eq!(refused, Err(ServerFailure::OtherStatus { status: 400 }));
}

#[test]
fn recorded_jwts_for_the_service_behind_are_read_and_kept() {
    for (case, issuer) in [
        ("oidc-provider.introspect-accept-phantom", OIDC_PROVIDER),
        ("glewlwyd.introspect-accept-jwt", GLEWLWYD),
    ] {
        let Ok(Introspection::Active { claims, jwt, .. }) =
            recorded(case, SignedReplyKind::PhantomToken, issuer)
        else {
            panic!("{case}")
        };
        assert_eq!(Some(jwt.unwrap().exp), claims.view().exp, "{case}");
        assert_eq!(claims.view().client_id, Some(&b"app"[..]), "{case}");
    }
    for case in
        ["oidc-provider.introspect-accept-phantom-inactive", "glewlwyd.introspect-accept-jwt-inactive"]
    {
        let inactive = recorded(case, SignedReplyKind::PhantomToken, OIDC_PROVIDER);
        assert_eq!(inactive, Ok(Introspection::Inactive), "{case}");
    }
}

#[test]
fn an_unsigned_reply_is_none_where_a_signed_one_is_wanted() {
    let set = key_set(&[jwk(Algorithm::ES256, json!({}))]);
    for kind in [rfc9701("gateway"), SignedReplyKind::PhantomToken] {
        let response = signed(kind, ISSUER);
        let json = br#"{"active":true,"sub":"alice"}"#;
        assert_eq!(
            read(200, "application/json", json, &response, &set, START),
            Err(ServerFailure::OtherContentType)
        );
        let media_type = match &response {
            Response::Signed(SignedReply { kind: SignedReplyKind::PhantomToken, .. }) => "application/jwt",
            _ => "application/token-introspection+jwt",
        };
        assert_eq!(read(200, media_type, json, &response, &set, START), Err(ServerFailure::NotAJwt));
    }
}

#[test]
fn a_signed_reply_must_be_what_it_is_taken_for() {
    let set = key_set(&[jwk(Algorithm::ES256, json!({}))]);
    let typ = json!({"typ": "token-introspection+jwt"});
    let payload = |patch: Value| {
        let mut payload = json!({"iss": ISSUER, "aud": ["a", "gateway"], "iat": START.as_secs(),
            "token_introspection": {"active": true, "sub": "alice"}});
        merge(&mut payload, patch);
        payload
    };
    let introspection = |typ: &Value, payload: &Value| {
        let jwt = sign(Algorithm::ES256, typ.clone(), payload);
        let response = signed(rfc9701("gateway"), ISSUER);
        read(
            200,
            "Application/Token-Introspection+JWT; charset=utf-8",
            jwt.as_bytes(),
            &response,
            &set,
            START,
        )
    };
    assert!(matches!(introspection(&typ, &payload(json!({}))), Ok(Introspection::Active { .. })));
    let now = START.as_secs();
    for (typ, payload, failure) in [
        (json!({"typ": "at+jwt"}), payload(json!({})), ServerFailure::OtherJwtType),
        (json!({}), payload(json!({})), ServerFailure::OtherJwtType),
        (typ.clone(), payload(json!({"iss": "https://other.example"})), ServerFailure::OtherIssuer),
        (typ.clone(), payload(json!({"aud": "other"})), ServerFailure::OtherAudience),
        (typ.clone(), payload(json!({"aud": null})), ServerFailure::OtherAudience),
        (typ.clone(), payload(json!({"iat": now - 301})), ServerFailure::NotFresh),
        (typ.clone(), payload(json!({"iat": now + 301})), ServerFailure::NotFresh),
        (typ.clone(), payload(json!({"iat": "now"})), ServerFailure::NotFresh),
        (typ.clone(), payload(json!({"token_introspection": "active"})), ServerFailure::NoActive),
        (typ, payload(json!({"token_introspection": {"active": "true"}})), ServerFailure::NoActive),
        (
            json!({"typ": "token-introspection+jwt", "kid": "ES384"}),
            payload(json!({})),
            ServerFailure::UnknownKey,
        ),
    ] {
        assert_eq!(introspection(&typ, &payload), Err(failure), "{typ} {payload}");
    }
    // What is for us alone must not reach the service behind, not even under another name.
    let jwt = sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &payload(json!({})));
    let response = signed(SignedReplyKind::PhantomToken, ISSUER);
    assert_eq!(
        read(200, "application/jwt", jwt.as_bytes(), &response, &set, START),
        Err(ServerFailure::OtherJwtType)
    );
}

fn asking(introspection: Value) -> Worker {
    let mut worker = Worker::new(config(json!({"providers": {"main": {
        "issuer": ISSUER, "introspection": introspection, "jwks": {"cluster": "as", "path": "/jwks"},
    }}})));
    worker.start();
    worker
}

fn jwks() -> Value {
    json!({"keys": [jwk(Algorithm::ES256, json!({}))]})
}

fn phantom() -> String {
    let claims = json!({"iss": ISSUER, "sub": "alice", "exp": START.as_secs() + 600});
    sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims)
}

#[test]
fn the_servers_own_jwt_is_forwarded_and_remembered() {
    let mut worker = asking(json!({"response": "application_jwt"}));
    worker.answer(&jwks());
    let stream = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    let accept = worker.calls[0].1.headers.iter().find(|(name, _)| name == "accept").unwrap();
    assert_eq!(accept.1, "application/jwt");
    worker.answer_with(200, "application/jwt", phantom().as_bytes());
    assert_eq!(worker.fate(stream).jwt(), phantom());
    let again = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(again).jwt(), phantom());
    let inactive = worker.receive(&Request::bearer("other"));
    worker.answer_with(204, "", b"");
    assert_eq!(worker.fate(inactive).reason(), "token_inactive");
}

#[test]
fn a_signed_reply_that_comes_before_its_keys_waits_for_them() {
    let mut worker = asking(json!({"response": "application_jwt"}));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    assert_eq!(worker.called(), ["/jwks", "/introspect"]);
    let (id, _) = worker.calls.remove(1);
    worker.reply(id, 200, "application/jwt", phantom().as_bytes());
    assert!(worker.is_waiting(stream));
    worker.answer(&jwks());
    assert_eq!(worker.fate(stream).jwt(), phantom());
}

#[test]
fn a_signed_reply_whose_key_is_not_to_be_had_is_no_verdict() {
    let mut worker = asking(json!({"response": "application_jwt"}));
    worker.answer(&json!({"keys": [jwk(Algorithm::RS256, json!({}))]})).pass(Duration::from_secs(5));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.answer_with(200, "application/jwt", phantom().as_bytes());
    assert_eq!(worker.called(), ["/jwks"], "they are fetched once more");
    worker.answer(&json!({"keys": []}));
    assert_eq!(
        (worker.fate(stream).status(), worker.fate(stream).reason()),
        (503, "introspection_unknown_key")
    );
}

#[test]
fn a_member_of_the_reply_can_carry_the_jwt() {
    let mut worker = asking(json!({"jwt_member": "jwt"}));
    let fate =
        worker.call(&Request::bearer("tok"), &json!({"active": true, "iss": ISSUER, "jwt": phantom()}));
    assert_eq!(fate.jwt(), phantom());
    for reply in [
        json!({"active": true}),
        json!({"active": true, "jwt": "nonsense"}),
        json!({"active": true, "jwt": 1}),
    ] {
        let fate = worker.call(&Request::bearer("another"), &reply);
        assert_eq!((fate.status(), fate.reason()), (503, "introspection_not_a_jwt"), "{reply}");
    }
    assert_eq!(worker.call(&Request::bearer("third"), &inactive()).reason(), "token_inactive");
    assert!(matches!(worker.call(&Request::bearer("tok"), &json!({})), Fate::Forwarded(_)));
}

#[test]
fn in_the_place_of_a_jwt_that_was_validated_here_goes_ours_and_never_the_servers() {
    let mut worker = Worker::new(config(json!({
        "providers": {"main": {"issuer": ISSUER, "introspection": {"jwt_member": "jwt"},
            "jwks": {"cluster": "as", "path": "/jwks"}}},
        "policies": {"default": {"strategy": "jwt_and_introspection", "forward": {"authorization": "jwt"}}},
    })));
    worker.start().answer(&jwks());
    let token = Request::bearer(&phantom());
    let first = worker.call(&token, &json!({"active": true, "iss": ISSUER, "jwt": phantom()}));
    assert_eq!(first.claims()["iss"], "https://gateway.example");
    let second = worker.receive(&token);
    assert_eq!(worker.fate(second), first);
}
