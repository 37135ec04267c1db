//! Bytes that nobody thought of, as for every other parser.

use phantom_token_filter::cache::ProviderTag;
use phantom_token_filter::revocation::admin::Withdrawal;
use phantom_token_filter::revocation::back_channel_logout::{LogoutRules, logout_token};
use phantom_token_filter::revocation::revocation_endpoint::{Known, RevocationRequest};
use phantom_token_filter::revocation::security_event::SecurityEventRules;
use phantom_token_filter::revocation::status_list::{StatusList, StatusReference};
use serde_json::Value;

use crate::support::START;
use crate::support::mutations::mutations;

#[test]
fn no_signal_is_read_that_breaks_the_reader() {
    let bodies: Vec<Vec<u8>> = [
        r#"{"iss":"i","aud":["a"],"iat":1795377648,"exp":1795377900,"jti":"j","sub":"s","sid":"x","events":{"http://schemas.openid.net/event/backchannel-logout":{}}}"#,
        r#"{"iss":"i","aud":"a","iat":1795377648,"jti":"j","sub_id":{"format":"complex","user":{"format":"iss_sub","iss":"i","sub":"s"},"session":{"format":"opaque","id":"x"}},"events":{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{}}}"#,
        r#"{"iss":"i","aud":"a","iat":1795377648,"jti":"j","sub_id":{"format":"aliases","identifiers":[{"format":"email","email":"a@b"}]},"events":{"https://schemas.openid.net/secevent/risc/event-type/account-disabled":{}}}"#,
        r#"{"sub":"u","iat":1795377648,"ttl":60,"status_list":{"bits":2,"lst":"eNo76fITAAPfAgc"},"status":{"status_list":{"idx":3,"uri":"u"}}}"#,
    ]
    .map(|body| body.as_bytes().to_vec())
    .into();
    let logout = LogoutRules { issuer: "i".into(), audiences: vec!["a".into()], require_exp: false };
    let events =
        SecurityEventRules { issuer: "i".into(), audiences: vec!["a".into()], subject_issuer: "i".into() };
    let mut taken = 0;
    mutations(&bodies, 50_000, |body| {
        let Ok(Value::Object(claims)) = serde_json::from_slice(body) else { return };
        taken +=
            u32::from(logout.check(None, &claims, START).is_ok_and(|logout| !logout.withdraws.is_empty()));
        taken += u32::from(events.check(Some("secevent+jwt"), &claims, START).is_ok());
        if let Ok(list) = StatusList::read(Some("statuslist+jwt"), &claims, "u", START) {
            taken += u32::from((0..100).all(|idx| list.status(idx).is_some() == (idx < 12)));
        }
        _ = StatusReference::of(&claims);
    });
    assert!(taken > 1_000, "{taken}");
}

#[test]
fn no_form_and_no_order_is_read_that_breaks_the_reader() {
    let forms: Vec<Vec<u8>> = [
        &b"token=abc&token_type_hint=access_token&client_id=web&client_assertion=e30.eyJzdWIiOiJ3ZWIifQ.x"[..],
        b"logout_token=a.b.c",
        br#"{"sub":"alice","provider":"main"}"#,
        b"Basic d2ViOnNlY3JldA==",
    ]
    .map(<[u8]>::to_vec)
    .into();
    let form = b"application/x-www-form-urlencoded";
    let main = ProviderTag::new("main");
    mutations(&forms, 50_000, |bytes| {
        let request = RevocationRequest::read(form, Some(bytes), Some(bytes));
        assert!(request.withdraws(|_| Known::No).tokens.is_empty(), "what is made up leaves nothing behind");
        _ = logout_token(form, bytes);
        _ = Withdrawal::read(Some(bytes), &[("main".to_owned(), main)]);
    });
}
