//! What the scriptable authorization server does when it is asked: right or wrong, at once, late or never.

use std::{sync::Arc, time::Duration};

use http_body_util::{Either, channel::Channel};
use hyper::{Response, body::Bytes};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::http_server::{Body, BrokenOff, whole};

/// One way to answer.
#[derive(Clone)]
pub struct Answer {
    delay: Duration,
    gate: Option<Gate>,
    status: u16,
    content_type: &'static str,
    body: Bytes,
    ending: Ending,
}

#[derive(Clone, Copy)]
enum Ending {
    /// The whole body.
    Complete,
    /// Neither status nor headers; the connection closes.
    Close,
    /// Neither status nor headers; the connection stays open.
    Hang,
    /// Status, headers and the body, all but its last byte; then the connection closes.
    BreakOff,
    /// Status, headers and the body, all but its last byte; the connection stays open.
    Stall,
}

impl Answer {
    pub fn body(body: impl Into<Bytes>) -> Self {
        Self {
            delay: Duration::ZERO,
            gate: None,
            status: 200,
            content_type: "application/json",
            body: body.into(),
            ending: Ending::Complete,
        }
    }

    /// Active, with `claims` added to those of an ordinary token (null takes one away).
    pub fn active(claims: Value) -> Self {
        let mut reply = json!({
            "active": true, "iss": "https://as.example", "sub": "alice", "client_id": "app",
            "scope": "read write", "token_type": "Bearer", "exp": 4_102_444_800_u64, // the year 2100
        });
        for (name, value) in claims.as_object().expect("claims") {
            reply[name] = value.clone();
        }
        Self::body(reply.to_string())
    }

    pub fn inactive() -> Self {
        Self::body(r#"{"active":false}"#)
    }

    /// A key set.
    pub fn keys(keys: &[Value]) -> Self {
        Self::body(json!({"keys": keys}).to_string()).content_type("application/jwk-set+json")
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::body(r#"{"error":"as the test wanted"}"#) }
    }

    pub fn content_type(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    pub fn without_body(self) -> Self {
        Self { body: Bytes::new(), ..self }
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Waits until the gate is opened.
    pub fn behind(self, gate: &Gate) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }

    pub fn close() -> Self {
        Self { ending: Ending::Close, ..Self::inactive() }
    }

    pub fn hang() -> Self {
        Self { ending: Ending::Hang, ..Self::inactive() }
    }

    /// Headers and the better part of the body, then the connection closes.
    pub fn broken_off(self) -> Self {
        Self { ending: Ending::BreakOff, ..self }
    }

    /// Headers and the better part of the body, then nothing.
    pub fn stalled(self) -> Self {
        Self { ending: Ending::Stall, ..self }
    }

    pub async fn give(self) -> Result<Response<Body>, BrokenOff> {
        if let Some(gate) = &self.gate {
            gate.opened().await;
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let response = Response::builder().status(self.status).header("content-type", self.content_type);
        let response = response.header("content-length", self.body.len());
        let body = match self.ending {
            Ending::Complete => whole(self.body),
            Ending::Close => return Err(BrokenOff),
            Ending::Hang => std::future::pending().await,
            Ending::BreakOff => incomplete(self.body, Duration::from_millis(10)),
            Ending::Stall => incomplete(self.body, Duration::from_secs(3600)),
        };
        Ok(response.body(body).expect("a response"))
    }
}

/// Sends all of `body` but its last byte, and ends the connection `pause` later: time for what was written to leave.
fn incomplete(body: Bytes, pause: Duration) -> Body {
    let (mut sender, channel) = Channel::new(1);
    tokio::spawn(async move {
        let _ = sender.send_data(body.slice(..body.len() - 1)).await;
        tokio::time::sleep(pause).await;
        sender.abort(BrokenOff);
    });
    Either::Right(channel)
}

/// Holds answers back until the test opens it.
#[derive(Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn opened(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}
