use phantom_token_filter::cache::Which;
use phantom_token_filter::revocation::security_event::{
    SecurityEvent, SecurityEventRules, SetError, SetRefused, StreamStatus,
};
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};

use super::patched;

const NOW: UnixMillis = UnixMillis::from_secs(1_795_377_700);

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
const OAUTH: &str = "https://schemas.openid.net/secevent/oauth/event-type/";
const SSF: &str = "https://schemas.openid.net/secevent/ssf/event-type/";

fn event(typ: Option<&str>, patch: Value) -> Result<SecurityEvent, SetRefused> {
    let rules = SecurityEventRules {
        issuer: "https://ssf.example".to_owned(),
        audiences: vec!["https://gateway.example".to_owned()],
        subject_issuer: "https://as.example".to_owned(),
    };
    let claims = json!({
        "iss": "https://ssf.example", "aud": "https://gateway.example", "iat": NOW.as_secs(), "jti": "j",
        "sub_id": {"format": "iss_sub", "iss": "https://as.example", "sub": "alice"},
        "events": {format!("{CAEP}session-revoked"): {"event_timestamp": 1}}
    });
    rules.check(typ, &patched(&claims, &patch), NOW)
}

fn withdraws(patch: Value) -> Vec<Which> {
    event(Some("secevent+jwt"), patch).unwrap().withdraws
}

fn about(subject: Value) -> Vec<Which> {
    withdraws(json!({"sub_id": subject}))
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn events_after_which_verdicts_may_not_hold_withdraw_them() {
    for event_type in [
        "session-revoked",
        "token-claims-change",
        "credential-change",
        "assurance-level-change",
        "device-compliance-change",
        "risk-level-change",
    ] {
        let found = withdraws(json!({"events": {format!("{CAEP}{event_type}"): {}}}));
        assert_eq!(found, [Which::Sub(text("alice"))], "{event_type}");
    }
    for event_type in [
        "account-credential-change-required",
        "account-disabled",
        "account-purged",
        "credential-compromise",
        "identifier-changed",
        "identifier-recycled",
        "recovery-activated",
        "recovery-information-changed",
        "sessions-revoked",
    ] {
        let found = withdraws(json!({"events": {format!("{RISC}{event_type}"): {}}}));
        assert_eq!(found, [Which::Sub(text("alice"))], "{event_type}");
    }
}

#[test]
fn other_events_are_acknowledged_and_withdraw_nothing() {
    for event_type in [
        format!("{CAEP}session-established"),
        format!("{CAEP}session-presented"),
        format!("{RISC}account-enabled"),
        format!("{RISC}opt-in"),
        format!("{RISC}opt-out-initiated"),
        format!("{RISC}opt-out-cancelled"),
        format!("{RISC}opt-out-effective"),
        format!("{OAUTH}token-issued"),
        format!("{OAUTH}client-enabled"),
        "urn:example:unheard-of".to_owned(),
        "session-revoked".to_owned(),
    ] {
        let found = event(
            Some("secevent+jwt"),
            json!({"events": {event_type.as_str(): {"state": "x"}},
            "sub_id": {"format": "opaque", "id": "stream"}}),
        )
        .unwrap();
        assert_eq!((found.withdraws, found.stream, found.jti.as_str()), (vec![], None, "j"), "{event_type}");
    }
}

#[test]
fn a_client_that_is_disabled_loses_its_verdicts() {
    for event_type in ["client-disabled", "client-credential-changed"] {
        let patch = |more: Value| {
            let mut patch = json!({"sub_id": null, "events": {format!("{OAUTH}{event_type}"): {}}});
            crate::support::merge(&mut patch, more);
            patch
        };
        // As the draft says, by the audience; or by the identifier that it defines for clients.
        let by_audience = withdraws(patch(json!({"aud": ["https://gateway.example", "app"]})));
        let client = |name: &str| Which::Client(text(name));
        assert_eq!(by_audience, [client("https://gateway.example"), client("app")]);
        let subject = json!({"subject_type": "oauth_client", "client_id": "app"});
        let events = json!({format!("{OAUTH}{event_type}"): {"subject": subject}});
        assert_eq!(withdraws(patch(json!({"events": events}))), [client("app")]);
        let named = json!({"format": "oauth_client", "client_id": "app"});
        assert_eq!(withdraws(patch(json!({"sub_id": named}))), [client("app")]);
        let mut many = vec!["https://gateway.example".to_owned()];
        many.extend((0..16).map(|number| format!("app-{number}")));
        assert_eq!(withdraws(patch(json!({"aud": many}))), [Which::All], "bounded");
        let nameless = event(Some("secevent+jwt"), patch(json!({"sub_id": {"format": "oauth_client"}})));
        assert_eq!(nameless.map(|_| ()).unwrap_err().error, SetError::InvalidRequest);
    }
}

#[test]
fn of_a_token_that_is_revoked_the_account_loses_its_verdicts() {
    let revoked = |more: Value| {
        let mut told = json!({"subject": {"subject_type": "oauth_token", "token_type": "refresh_token",
            "token_identifier_alg": "hash_base64_sha512_sha512", "token": "x"}});
        crate::support::merge(&mut told, more);
        withdraws(json!({"sub_id": null, "events": {format!("{OAUTH}token-revoked"): told}}))
    };
    let account = json!({"subject_type": "iss-sub", "iss": "https://as.example", "sub": "bob"});
    assert_eq!(revoked(json!({"token_subject": account})), [Which::Sub(text("bob"))]);
    assert_eq!(revoked(json!({})), [Which::All], "nobody knows whose it was");
}

#[test]
fn a_stream_that_is_paused_is_told_of() {
    let verified = json!({"sub_id": {"format": "opaque", "id": "stream"},
        "events": {format!("{SSF}verification"): {"state": "x"}}});
    let verified = event(Some("secevent+jwt"), verified).unwrap();
    assert_eq!((verified.withdraws, verified.stream), (vec![], Some(StreamStatus::Verified)));
    for (status, told) in
        [("paused", StreamStatus::Paused), ("disabled", StreamStatus::Disabled), ("?", StreamStatus::Other)]
    {
        let patch = json!({"events": {format!("{SSF}stream-updated"): {"status": status}}});
        assert_eq!(event(Some("secevent+jwt"), patch).unwrap().stream, Some(told));
    }
}

#[test]
fn subjects_are_brought_to_what_verdicts_say() {
    let user = json!({"format": "iss_sub", "iss": "https://as.example", "sub": "alice"});
    let session = json!({"format": "opaque", "id": "s1"});
    let email = json!({"format": "email", "email": "a@example.com"});
    for (subject, which) in [
        (user.clone(), vec![Which::Sub(text("alice"))]),
        (email, vec![Which::Email(text("a@example.com")), Which::WithoutEmail]),
        (session.clone(), vec![Which::Sub(text("s1")), Which::Sid(text("s1")), Which::WithoutSid]),
        (
            json!({"format": "jwt_id", "iss": "https://as.example", "jti": "t"}),
            vec![Which::Jti(text("t")), Which::WithoutJti],
        ),
        (
            json!({"format": "complex", "user": user, "session": session}),
            vec![Which::Sub(text("alice")), Which::Sub(text("s1")), Which::Sid(text("s1"))],
        ),
        (json!({"user": user, "device": {"format": "opaque", "id": "d"}}), vec![Which::Sub(text("alice"))]),
        (
            json!({"format": "complex", "session": session}),
            vec![Which::Sub(text("s1")), Which::Sid(text("s1")), Which::WithoutSid],
        ),
        (
            json!({"format": "aliases", "identifiers": [{"format": "phone_number", "phone_number": "+1"}, user]}),
            vec![Which::Sub(text("alice"))],
        ),
        // Older drafts.
        (
            json!({"subject_type": "iss-sub", "iss": "https://as.example", "sub": "alice"}),
            vec![Which::Sub(text("alice"))],
        ),
    ] {
        assert_eq!(about(subject.clone()), which, "{subject}");
    }
}

#[test]
fn whom_nobody_can_be_told_from_takes_all_along() {
    for subject in [
        json!({"format": "iss_sub", "iss": "https://other.example", "sub": "alice"}),
        json!({"format": "jwt_id", "iss": "https://other.example", "jti": "t"}),
        json!({"format": "account", "uri": "acct:a@example.com"}),
        json!({"format": "phone_number", "phone_number": "+1"}),
        json!({"format": "unheard-of"}),
        json!({"format": "complex", "device": {"format": "opaque", "id": "d"}}),
        json!({"format": "complex", "user": {"format": "did", "url": "did:x"}}),
        json!({"tenant": {"format": "opaque", "id": "t"}}),
        json!({}),
        json!({"format": "aliases", "identifiers": [{"format": "did", "url": "did:x"}]}),
    ] {
        assert_eq!(about(subject.clone()), [Which::All], "{subject}");
    }
}

#[test]
fn a_subject_inside_the_event_and_a_plain_sub_are_read_too() {
    let inside = json!({"sub_id": null, "events": {format!("{CAEP}session-revoked"): {
        "subject": {"format": "iss_sub", "iss": "https://as.example", "sub": "bob"}}}});
    assert_eq!(withdraws(inside), [Which::Sub(text("bob"))]);
    assert_eq!(withdraws(json!({"sub_id": null, "sub": "carol"})), [Which::Sub(text("carol"))]);
}

#[test]
fn whatever_is_not_in_order_is_refused_with_the_error_of_the_rfc() {
    let now = NOW.as_secs();
    let revoked = format!("{CAEP}session-revoked");
    let deep = json!({"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [
        {"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [{"format": "did"}]}]}]}]});
    for (patch, error) in [
        (json!({"iss": "https://as.example"}), SetError::InvalidIssuer),
        (json!({"iss": null}), SetError::InvalidIssuer),
        (json!({"aud": "https://other.example"}), SetError::InvalidAudience),
        (json!({"aud": null}), SetError::InvalidAudience),
        (json!({"iat": null}), SetError::InvalidRequest),
        (json!({"iat": now + 61}), SetError::InvalidRequest),
        (json!({"iat": now - 8 * 24 * 3600}), SetError::InvalidRequest),
        (json!({"exp": now - 60}), SetError::InvalidRequest),
        (json!({"exp": []}), SetError::InvalidRequest),
        (json!({"jti": null}), SetError::InvalidRequest),
        (json!({"events": null}), SetError::InvalidRequest),
        (json!({"events": {}}), SetError::InvalidRequest),
        (json!({"events": [&revoked]}), SetError::InvalidRequest),
        (json!({"events": {revoked.as_str(): true}}), SetError::InvalidRequest),
        (json!({"sub_id": null}), SetError::InvalidRequest),
        (json!({"sub_id": "alice"}), SetError::InvalidRequest),
        (json!({"sub_id": {"format": "iss_sub", "iss": "https://as.example"}}), SetError::InvalidRequest),
        (json!({"sub_id": {"format": 7}}), SetError::InvalidRequest),
        (json!({"sub_id": {"format": "aliases", "identifiers": []}}), SetError::InvalidRequest),
        (json!({"sub_id": {"user": "alice"}}), SetError::InvalidRequest),
        (json!({"sub_id": deep}), SetError::InvalidRequest),
    ] {
        let refused = event(Some("secevent+jwt"), patch.clone()).map(|_| ()).unwrap_err();
        assert_eq!(refused.error, error, "{patch}");
        assert_eq!(refused.to_json()["err"], error.code());
    }
    for typ in [None, Some("JWT"), Some("logout+jwt"), Some("at+jwt"), Some("secevent")] {
        assert_eq!(event(typ, json!({})).map(|_| ()).unwrap_err().error, SetError::InvalidRequest, "{typ:?}");
    }
    assert!(event(Some("application/secevent+jwt"), json!({})).is_ok());
    let many: Value = (0..17).map(|number| (format!("urn:{number}"), json!({}))).collect();
    assert_eq!(
        event(Some("secevent+jwt"), json!({"events": many})).map(|_| ()).unwrap_err().error,
        SetError::InvalidRequest
    );
}
