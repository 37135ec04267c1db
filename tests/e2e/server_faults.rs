//! An authorization server in trouble: clients keep their tokens and hear 503, soon; the log says which provider and
//! why, and never the token; nothing goes through; and when the server is well again, so are we.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::{
    answer::Answer,
    gateway::{Gateway, plugin},
    host::Host,
};

/// Of one try.
const TIMEOUT: Duration = Duration::from_millis(300);

/// The filter may take this much longer than its tries do.
const MARGIN: Duration = Duration::from_millis(100);

/// And this is for the machine: two cores shared with other tests, of which some make 3,000 requests at once.
const SLACK: Duration = Duration::from_millis(400);

/// Not to be found in any log.
const TOKEN: &str = "this-token-is-a-secret";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_refuses_connections() {
    let gateway = start().await;
    gateway.server.refuse_connections().await;
    let trouble = Trouble { tries: None, reason: "no connection" };
    trouble.seen_by(&gateway).await;
    gateway.server.accept_connections().await;
    recovered(&gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_hangs() {
    trouble(Answer::hang(), 2, "timeout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_closes_the_connection() {
    trouble(Answer::close(), 2, "broke off").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_resets_after_the_headers() {
    trouble(Answer::active(json!({})).broken_off(), 2, "broke off").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_answers_500() {
    trouble(Answer::status(500), 2, "500").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_says_that_there_are_too_many_requests() {
    trouble(Answer::status(429), 2, "429").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_refuses_our_credentials() {
    trouble(Answer::status(401), 1, "401").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_answers_html() {
    trouble(Answer::body("<html>Welcome</html>").content_type("text/html"), 1, "content type").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_answers_truncated_json() {
    trouble(Answer::body(r#"{"active":true,"sub":"ali"#), 1, "valid JSON").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_answers_2_mb() {
    let claims = json!({"filler": "x".repeat(2_000_000)});
    trouble(Answer::active(claims), 1, "longer than").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_answers_twice_whether_it_is_active() {
    trouble(Answer::body(r#"{"active":true,"active":false}"#), 1, "twice").await;
}

async fn trouble(answer: Answer, tries: usize, reason: &'static str) {
    let gateway = start().await;
    gateway.server.answer(TOKEN, answer);
    Trouble { tries: Some(tries), reason }.seen_by(&gateway).await;
    recovered(&gateway).await;
}

struct Trouble {
    /// How often the server is asked; `None` if it cannot tell.
    tries: Option<usize>,
    /// What the log says of it.
    reason: &'static str,
}

impl Trouble {
    async fn seen_by(&self, gateway: &Gateway) {
        let start = Instant::now();
        let reply = gateway.get(TOKEN).await;
        let took = start.elapsed();
        let tries = self.tries.unwrap_or(2);
        assert!(took <= TIMEOUT * tries as u32 + MARGIN + SLACK, "answered after {took:?}");
        assert_eq!(reply.status, 503, "{reply:?}");
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert_eq!(reply.header("www-authenticate"), None);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.json()["error"], "temporarily_unavailable");
        assert_eq!(gateway.upstream.requests(), 0);
        assert_eq!(gateway.server.call_count(), self.tries.unwrap_or(0));

        let log = gateway.envoy.log();
        let line =
            log.lines().find(|line| line.contains(Host::tested().log_mark()) && line.contains(self.reason));
        let line = line.unwrap_or_else(|| panic!("no line with {:?}:\n{log}", self.reason));
        assert!(line.contains("main"), "the provider's name is not in {line}");
        let level = if self.reason == "401" { "[error]" } else { "[warning]" };
        assert!(line.contains(level), "expected {level}: {line}");
        assert!(!log.contains(TOKEN), "the token is in the log:\n{log}");
        assert!(!log.contains("gw-secret"), "our secret is in the log:\n{log}");
    }
}

/// The very next request works, and so does the token that met the trouble.
async fn recovered(gateway: &Gateway) {
    gateway.server.answer(TOKEN, Answer::active(json!({})));
    gateway.server.answer("another", Answer::active(json!({})));
    assert_eq!(gateway.get("another").await.status, 200);
    assert_eq!(gateway.get(TOKEN).await.status, 200);
    assert_eq!(gateway.upstream.requests(), 2);
}

async fn start() -> Gateway {
    let mut plugin = plugin().await;
    let introspection = &mut plugin["providers"]["main"]["introspection"];
    introspection["timeout"] = json!(format!("{}ms", TIMEOUT.as_millis()));
    introspection["retries"] = json!(1);
    Gateway::with(plugin, |envoy| envoy).await
}
