use phantom_token_filter::cache::Which;
use phantom_token_filter::revocation::back_channel_logout::{
    Logout, LogoutRefused, LogoutRules, logout_token,
};
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};

use super::patched;
use crate::support::part;

const NOW: UnixMillis = UnixMillis::from_secs(1_795_377_700);

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn rules() -> LogoutRules {
    LogoutRules {
        issuer: "https://as.example".to_owned(),
        audiences: vec!["web".to_owned(), "app".to_owned()],
        require_exp: false,
    }
}

fn logout(typ: Option<&str>, patch: Value) -> Result<Logout, LogoutRefused> {
    let claims = json!({
        "iss": "https://as.example", "aud": "web", "iat": NOW.as_secs(), "exp": NOW.as_secs() + 120, "jti": "j",
        "sub": "alice", "sid": "s1", "events": {EVENT: {}}
    });
    rules().check(typ, &patched(&claims, &patch), NOW)
}

#[test]
fn both_servers_logouts_are_taken() {
    for file in ["glewlwyd", "oidc-provider", "oidc-provider-offline"] {
        let path = format!("{}/tests/vectors/logout_tokens/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let body = recorded["body"].as_str().unwrap();
        let token = logout_token(b"application/x-www-form-urlencoded", body.as_bytes()).unwrap();
        assert_eq!(
            (part(&token, 0), part(&token, 1)),
            (recorded["header"].clone(), recorded["claims"].clone())
        );
        let claims = recorded["claims"].as_object().unwrap();
        let rules = LogoutRules { issuer: claims["iss"].as_str().unwrap().to_owned(), ..rules() };
        let found = rules.check(recorded["header"]["typ"].as_str(), claims, NOW).unwrap();
        assert_eq!(
            found.withdraws,
            [
                Which::Sid(claims["sid"].as_str().unwrap().to_owned()),
                Which::SubWithoutSid(claims["sub"].as_str().unwrap().to_owned())
            ],
            "{file}"
        );
        let strict = LogoutRules { require_exp: true, ..rules };
        assert_eq!(
            strict.check(recorded["header"]["typ"].as_str(), claims, NOW).is_ok(),
            claims.contains_key("exp")
        );
    }
}

#[test]
fn a_session_is_withdrawn_where_one_is_named_and_a_user_otherwise() {
    let withdraws = |patch| logout(Some("logout+jwt"), patch).unwrap().withdraws;
    let (sid, sub) = (|| "s1".to_owned(), || "alice".to_owned());
    assert_eq!(withdraws(json!({})), [Which::Sid(sid()), Which::SubWithoutSid(sub())]);
    assert_eq!(withdraws(json!({"sub": null})), [Which::Sid(sid()), Which::WithoutSid]);
    assert_eq!(withdraws(json!({"sid": null})), [Which::Sub(sub())]);
}

#[test]
fn whatever_is_not_in_order_is_refused() {
    let now = NOW.as_secs();
    for (patch, reason) in [
        (json!({"iss": "https://evil.example"}), LogoutRefused::OtherIssuer),
        (json!({"iss": null}), LogoutRefused::OtherIssuer),
        (json!({"iss": ["https://as.example"]}), LogoutRefused::OtherIssuer),
        (json!({"aud": "other"}), LogoutRefused::OtherAudience),
        (json!({"aud": ["other"]}), LogoutRefused::OtherAudience),
        (json!({"aud": null}), LogoutRefused::OtherAudience),
        (json!({"aud": {"web": 1}}), LogoutRefused::OtherAudience),
        (json!({"iat": null}), LogoutRefused::NotUsable("iat")),
        (json!({"iat": "soon"}), LogoutRefused::NotUsable("iat")),
        (json!({"iat": now + 61}), LogoutRefused::FromTheFuture),
        (json!({"iat": now - 3661}), LogoutRefused::TooOld),
        (json!({"iat": now - 3661, "exp": now + 99_999}), LogoutRefused::TooOld),
        (json!({"iat": now - 361, "exp": null}), LogoutRefused::TooOld),
        (json!({"exp": now - 60}), LogoutRefused::Expired),
        (json!({"exp": "never"}), LogoutRefused::NotUsable("exp")),
        (json!({"jti": null}), LogoutRefused::NotUsable("jti")),
        (json!({"jti": 7}), LogoutRefused::NotUsable("jti")),
        (json!({"jti": ""}), LogoutRefused::NotUsable("jti")),
        (json!({"events": null}), LogoutRefused::NoLogoutEvent),
        (json!({"events": {}}), LogoutRefused::NoLogoutEvent),
        (json!({"events": [EVENT]}), LogoutRefused::NoLogoutEvent),
        (json!({"events": {EVENT: true}}), LogoutRefused::NoLogoutEvent),
        (
            json!({"events": {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {}}}),
            LogoutRefused::NoLogoutEvent,
        ),
        (json!({"nonce": "n"}), LogoutRefused::HasNonce),
        (json!({"sub": null, "sid": null}), LogoutRefused::NoSubject),
        (json!({"sub": 7}), LogoutRefused::NotUsable("sub")),
        (json!({"sid": ""}), LogoutRefused::NotUsable("sid")),
    ] {
        assert_eq!(logout(None, patch.clone()).map(|_| ()), Err(reason), "{patch}");
    }
    // A nonce that is null is one all the same.
    let mut claims = patched(
        &json!({"iss": "https://as.example", "aud": "web", "iat": now, "jti": "j", "sub": "a",
        "events": {EVENT: {}}}),
        &json!({}),
    );
    claims.insert("nonce".to_owned(), Value::Null);
    assert_eq!(rules().check(None, &claims, NOW).map(|_| ()), Err(LogoutRefused::HasNonce));
}

#[test]
fn other_kinds_of_jwt_are_no_logout_tokens() {
    for typ in [None, Some("JWT"), Some("jwt"), Some("logout+jwt"), Some("application/Logout+JWT")] {
        assert!(logout(typ, json!({})).is_ok(), "{typ:?}");
    }
    for typ in ["at+jwt", "application/at+jwt", "secevent+jwt", "dpop+jwt", "logout", "xlogout+jwt", ""] {
        assert_eq!(logout(Some(typ), json!({})).map(|_| ()), Err(LogoutRefused::OtherType), "{typ}");
    }
}

#[test]
fn a_token_can_be_played_again_as_long_as_it_would_be_taken() {
    let until = |patch| logout(None, patch).unwrap().replayable_until;
    let secs = |secs: u64| UnixMillis::from_secs(NOW.as_secs() + secs);
    assert_eq!(until(json!({})), secs(120 + 60));
    assert_eq!(until(json!({"exp": null})), secs(300 + 60));
    assert_eq!(until(json!({"exp": NOW.as_secs() + 99_999})), secs(3600 + 60));
    let at = |patch: Value| {
        let claims = json!({"iss": "https://as.example", "aud": "web", "iat": NOW.as_secs(), "jti": "j",
            "sub": "a", "events": {EVENT: {}}});
        let claims = patched(&claims, &patch);
        let until = rules().check(None, &claims, NOW).unwrap().replayable_until;
        let last = UnixMillis::from_millis(until.as_millis() - 1);
        assert!(rules().check(None, &claims, last).is_ok() && rules().check(None, &claims, until).is_err());
    };
    at(json!({}));
    at(json!({"exp": NOW.as_secs() + 120}));
}

#[test]
fn the_form_has_one_logout_token() {
    let form = b"application/x-www-form-urlencoded; charset=utf-8";
    assert_eq!(logout_token(form, b"a=b&logout_token=x.y.z").as_deref(), Some("x.y.z"));
    for body in [&b""[..], b"logout_token", b"logout_token=a&logout_token=b", b"token=a", b"\xff\xfe"] {
        assert!(logout_token(form, body).is_none_or(|token| token.is_empty()), "{body:?}");
    }
    assert_eq!(logout_token(b"application/json", b"logout_token=x.y.z"), None);
}
