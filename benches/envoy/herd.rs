//! Many clients at once with one token that is new to Envoy.

use std::time::Duration;

use crate::{
    contender::Contender,
    envoys::bootstrap,
    load::Load,
    scenario::{HOT, Scenario},
    server::StaticServer,
    statistics::{Spread, millis},
    surroundings::Surroundings,
};

pub const CLIENTS: usize = 200;
pub const SERVER_TAKES: Duration = Duration::from_millis(100);

/// One after the other, each with a token of its own.
pub const HERDS: usize = 5;

/// What became of the herds.
pub struct Herd {
    pub contender: Contender,
    pub workers: u32,
    /// At the authorization server, or at the authorization service, per herd.
    pub calls: Spread,
    /// From the last reply of the server to the last answer to a client, ms.
    pub last_answer: Spread,
}

/// `slow` takes [`SERVER_TAKES`] for each reply.
pub async fn herds(contenders: &[Contender], slow: &Surroundings) -> Vec<Herd> {
    let mut herds = Vec::new();
    for workers in [1, 2] {
        for contender in contenders {
            if let Some(server) = asked_by(*contender, slow) {
                herds.push(herd(*contender, workers, server, slow).await);
            }
        }
    }
    herds
}

async fn herd(contender: Contender, workers: u32, server: &StaticServer, slow: &Surroundings) -> Herd {
    let scenario = Scenario { workers, connections: CLIENTS, ..HOT };
    let envoy = bootstrap(contender, &scenario, slow).start().await;
    let mut load = Load::open(&envoy, workers, CLIENTS).await;
    let (mut calls, mut last_answers) = (Vec::new(), Vec::new());
    for number in 0..HERDS {
        let before = server.requests();
        let last_answer = load.together(&format!("new-to-all-{number}")).await;
        let replied = server.last_answered().unwrap_or(last_answer);
        calls.push((server.requests() - before) as f64);
        last_answers.push(millis(last_answer.saturating_duration_since(replied)));
    }
    Herd { contender, workers, calls: Spread::of(calls), last_answer: Spread::of(last_answers) }
}

/// Whom it asks about a new token.
fn asked_by(contender: Contender, around: &Surroundings) -> Option<&StaticServer> {
    match contender {
        Contender::PhantomToken | Contender::DynamicModule | Contender::OtherBuild(_) => {
            Some(&around.authorization_server)
        }
        Contender::Lua => Some(&around.server_with_jwt),
        Contender::ExtAuthz => Some(&around.authorization_service),
        _ => None,
    }
}
