//! Statements whose signature has held: logout tokens (OpenID Connect Back-Channel Logout §2.6), security
//! events (RFC 8417). One that is taken names whom it is about.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::revocation::back_channel_logout::LogoutRules;
use phantom_token_filter::revocation::security_event::SecurityEventRules;
use phantom_token_filter::revocation::subject_identifier::verdicts_about;
use phantom_token_filter::token::UnixMillis;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(input) else { return };
    for is_session in [true, false] {
        if let Ok(which) = verdicts_about(&value, "https://as.example", is_session) {
            assert!(which.len() <= 3 * 16 * 16 * 16);
        }
    }
    let Value::Object(mut claims) = value else { return };
    let rules = LogoutRules {
        issuer: "https://as.example".to_owned(),
        audiences: vec!["web".to_owned()],
        require_exp: false,
    };
    claims.insert("iss".to_owned(), rules.issuer.clone().into());
    claims.insert("aud".to_owned(), "web".into());
    if let Ok(logout) = rules.check(Some("logout+jwt"), &claims, UnixMillis::from_secs(1_795_377_643)) {
        assert!(!logout.withdraws.is_empty() && !claims.contains_key("nonce"));
    }
    let rules = SecurityEventRules {
        issuer: rules.issuer.clone(),
        audiences: rules.audiences,
        subject_issuer: rules.issuer,
    };
    if let Ok(event) = rules.check(Some("secevent+jwt"), &claims, UnixMillis::from_secs(1_795_377_643)) {
        assert_eq!(claims["jti"].as_str(), Some(&*event.jti));
    }
});
