//! The filter while the authorization server is down.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    rig::{
        answer::Answer,
        authorization_server::AuthorizationServer,
        client::Request,
        gateway::{Gateway, plugin_with},
    },
    statistics::{Spread, millis},
    surroundings::Surroundings,
};

/// Requests of each kind.
pub const REQUESTS: usize = 100;

pub struct Outage {
    /// Tokens that the cache knows, while the server refuses connections.
    pub known: Answers,
    /// Tokens that are new, while the server refuses connections.
    pub refused: Answers,
    /// Tokens that are new, all at once, while the server takes connections and does not answer.
    pub hanging: Answers,
    /// From the server's return until a new token is served, ms.
    pub recovery: f64,
}

/// What clients were told.
pub struct Answers {
    /// The status of all of them; `None` if they differ.
    pub status: Option<u16>,
    /// Until they were told, ms.
    pub latency: Spread,
}

impl Answers {
    fn of(answers: &[(u16, Duration)]) -> Self {
        let first = answers.first().map(|(status, _)| *status);
        let status = first.filter(|first| answers.iter().all(|(status, _)| status == first));
        Self { status, latency: Spread::of(answers.iter().map(|(_, latency)| millis(*latency))) }
    }
}

pub async fn outage(around: &Surroundings) -> Outage {
    let gateway = Gateway::with(plugin_with(&around.key), |envoy| envoy).await;
    let (envoy, server) = (gateway.envoy.address(), &gateway.server);
    server.answer_all(Answer::active(json!({})));
    ask("known", envoy).await;

    server.refuse_connections().await;
    let known = one_by_one(&|_| "known".to_owned(), envoy).await;
    let refused = one_by_one(&|number| format!("refused-{number}"), envoy).await;
    let recovery = recovery(server, envoy).await;
    server.answer_all(Answer::hang());
    let hanging = at_once(envoy).await;
    Outage { known, refused, hanging, recovery }
}

async fn one_by_one(token: &dyn Fn(usize) -> String, envoy: SocketAddr) -> Answers {
    let mut answers = Vec::new();
    for number in 0..REQUESTS {
        answers.push(ask(&token(number), envoy).await);
    }
    Answers::of(&answers)
}

async fn at_once(envoy: SocketAddr) -> Answers {
    let mut asking = JoinSet::new();
    for number in 0..REQUESTS {
        asking.spawn(async move { ask(&format!("hanging-{number}"), envoy).await });
    }
    Answers::of(&asking.join_all().await)
}

async fn recovery(server: &AuthorizationServer, envoy: SocketAddr) -> f64 {
    server.accept_connections().await;
    let back = Instant::now();
    for number in 0.. {
        let (status, _) = ask(&format!("back-{number}"), envoy).await;
        if status == 200 || back.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    millis(back.elapsed())
}

async fn ask(token: &str, envoy: SocketAddr) -> (u16, Duration) {
    let sent = Instant::now();
    let reply = Request::get("/").bearer(token).send(envoy).await;
    (reply.status, sent.elapsed())
}
