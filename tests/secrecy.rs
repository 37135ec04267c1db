//! What the filter's logs promise: no token, no secret, no claim, whatever happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "core/support/mod.rs"]
mod support;

use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use phantom_token_filter::jwt::Algorithm;
use serde_json::json;
use support::issuer::{jwk, sign};
use support::{Request, START, Worker, active, config, inactive};

static LINES: Mutex<String> = Mutex::new(String::new());

struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.lock().unwrap().push_str(&format!("{} {}\n", record.level(), record.args()));
    }

    fn flush(&self) {}
}

#[test]
fn no_log_line_shows_a_token_a_secret_or_a_claim() {
    log::set_logger(&Capture).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let mut worker = Worker::new(config(json!({"providers": {"main": {"introspection": {"retries": 1}}}})));
    const TOKEN: &str = "SECRET-TOKEN-4711";
    worker.call(&Request::bearer(TOKEN), &active());
    worker.call(&Request::bearer(&format!("{TOKEN}2")), &inactive());
    worker.receive(&Request::bearer(&format!("{TOKEN}\"")));
    worker.receive(&Request::bearer(&format!("{TOKEN},{TOKEN}")));
    for (number, (status, body)) in
        [(401, ""), (500, TOKEN), (200, TOKEN), (200, "{\"active\":true,\"sub\":7}")].iter().enumerate()
    {
        worker.receive(&Request::bearer(&format!("{TOKEN}-{number}")));
        worker.answer_with(*status, "application/json", body.as_bytes());
        if !worker.calls.is_empty() {
            worker.fail_call();
        }
    }
    let signals = config(json!({
        "providers": {"main": {"issuer": "https://as.example", "jwks": {"cluster": "as", "path": "/jwks"}}},
        "revocation": {
            "endpoint": {"path": "/revoke"},
            "back_channel_logout": {"path": "/logout", "audiences": ["web"]},
            "security_events": {
                "audiences": ["gateway"],
                "push": {"path": "/events", "authorization": {"inline": "push-SECRET-4711"}},
            },
            "admin": {"path": "/orders", "token": {"inline": "admin-SECRET-4711"}},
        }
    }));
    let mut worker = Worker::new(signals);
    worker.start().answer(&json!({"keys": [jwk(Algorithm::ES256, json!({}))]}));
    let form = "application/x-www-form-urlencoded";
    let claims = json!({"iss": "https://as.example", "aud": "web", "iat": START.as_secs(), "jti": "j-4711",
        "sub": "alice", "sid": "s-4711", "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    let logout = sign(Algorithm::ES256, json!({"typ": "logout+jwt"}), &claims);
    for (path, content_type, authorization, body) in [
        ("/logout", form, "", format!("logout_token={logout}")),
        ("/logout", form, "", format!("logout_token={logout}")),
        ("/logout", form, "", format!("logout_token={TOKEN}")),
        ("/events", "application/secevent+jwt", "Bearer push-SECRET-4711", logout.clone()),
        ("/events", "application/secevent+jwt", "Bearer wrong-SECRET", logout.clone()),
        ("/orders", "application/json", "Bearer admin-SECRET-4711", r#"{"sub":"alice"}"#.to_owned()),
        ("/orders", "application/json", "Bearer admin-SECRET-4711", format!(r#"{{"{TOKEN}":1}}"#)),
        ("/revoke", form, "Basic SECRET", format!("token={TOKEN}&client_id=alice")),
    ] {
        let request = Request::default().with(":method", "POST").with(":path", path);
        let request = request.with("content-type", content_type).with("authorization", authorization);
        let stream = worker.post(&request, body.as_bytes());
        worker.answered(stream, 200);
        worker.hang_up(stream);
    }
    let credentials = json!({"cluster": "as", "path": "/token", "auth": {"client_secret_post": {
        "client_id": "4711", "client_secret": {"inline": "client-SECRET-4711"}}}});
    let mut own = config(json!({}));
    own["providers"]["main"]["introspection"]["auth"] =
        json!({"bearer": {"token": {"client_credentials": credentials}}});
    let mut worker = Worker::new(own);
    for (number, (status, body)) in [
        (401, json!({"error": "invalid_client", "error_description": format!("no such secret: {TOKEN}{TOKEN}")})),
        (200, json!({"access_token": format!("{TOKEN} "), "token_type": "Bearer"})),
        (200, json!({"access_token": format!("own-{TOKEN}"), "token_type": "Bearer"})),
    ]
    .iter()
    .enumerate()
    {
        worker.receive(&Request::bearer(&format!("{TOKEN}-{number}")));
        worker.answer_with(*status, "application/json", body.to_string().as_bytes());
        worker.pass(std::time::Duration::from_secs(60));
    }
    worker.answer_with(401, "application/json", b"{}");
    let lines = LINES.lock().unwrap().clone();
    assert!(lines.contains(
        "ERROR provider \"main\": providers.main.introspection.auth.bearer.token: no access token"
    ));
    assert!(lines.contains("WARN provider \"main\": introspection of"), "{lines}");
    assert!(
        lines.contains("ERROR provider \"main\": introspection of"),
        "refused credentials are an error: {lines}"
    );
    assert!(lines.contains("withdrawn: [Subject(Sid)") && lines.contains("signal refused"), "{lines}");
    assert!(!lines.contains(&logout[..40]), "{lines}");
    assert!(lines.contains(r#"WARN revocation.admin: withdrawn by "sub" at main, as"#), "{lines}");
    for secret in ["SECRET", "4711", "hush", "alice", "Basic"] {
        assert!(!lines.contains(secret), "{secret} in {lines}");
    }
    worker.receive(&Request::bearer("SECRET-TOKEN-4712"));
    worker.give_turns();
    let shown = format!("{:?}", worker.calls);
    assert!(shown.contains("HttpCall") && !shown.contains("SECRET") && !shown.contains("Basic"), "{shown}");
}
