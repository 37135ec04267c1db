//! A third opinion on what the filter signed: PyJWT.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{ROOT, within_limit};

/// The claims of each of `jwts`; the first that does not verify against `jwks` fails the test.
pub async fn verify(jwts: &[String], jwks: &Value) -> Vec<Value> {
    let task = json!({"verify": jwts, "jwks": jwks}).to_string();
    let running = tokio::task::spawn_blocking(move || {
        let python = Path::new(ROOT).join(".venv/bin/python");
        assert!(python.exists(), "{} is missing: run `make setup`", python.display());
        let mut python = Command::new(python)
            .args(["-c", include_str!("pyjwt.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let mut input = python.stdin.take().expect("a piped stdin");
        input.write_all(task.as_bytes()).expect("python reads its task");
        drop(input);
        let output = python.wait_with_output().expect("python ends");
        let verified = serde_json::from_slice(&output.stdout);
        verified.expect("JSON from python; if it has no module `jwt`, run `make setup`")
    });
    let verified: Value = within_limit("PyJWT", running).await.expect("PyJWT");
    assert!(verified["refused"].is_null(), "PyJWT refuses {verified}");
    verified.as_array().expect("a list").clone()
}
