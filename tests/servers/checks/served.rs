//! What is served after each thing that a server tells of, as docs/revocation.md promises it: of what is asked about, and of
//! JWTs that nobody is asked about.

use std::time::Duration;

use serde_json::{Value, json};

use super::Checks;
use crate::{
    rig::{client::Request, envoy::Envoy, eventually, upstream::Upstream},
    server::{Served, Server, Signal},
};

const SECRET: &str = "the transmitter's secret";
/// So long no logout token comes where none should.
const SILENCE: Duration = Duration::from_millis(500);

impl<S: Server> Checks<'_, S> {
    pub(super) async fn served_after_logout_tokens(&mut self) {
        let rows = rows(self.server, &self.envoy, &self.cluster, Signal::LogoutToken).await;
        self.add(rows);
    }

    pub(super) async fn served_after_pushed_events(&mut self, mut plugin: Value, upstream: &Upstream) {
        if S::SERVED.iter().all(|it| it.signal != Signal::PushedEvent) {
            return;
        }
        let push = json!({"path": "/ssf/events", "authorization": {"inline": SECRET}});
        plugin["revocation"] = json!({"security_events": {"audiences": ["gateway"], "push": push}});
        add_policies(&mut plugin);
        let envoy = self.receiver(&plugin, upstream).await;
        self.server.push_events(&format!("http://{}/ssf/events", envoy.address()), SECRET).await;
        self.served(&envoy, Signal::PushedEvent).await;
    }

    pub(super) async fn served(&mut self, envoy: &Envoy, signal: Signal) {
        let rows = rows(self.server, envoy, &self.cluster, signal).await;
        self.add(rows);
    }

    fn add(&mut self, rows: Vec<(String, String, bool)>) {
        rows.into_iter().for_each(|(check, seen, is_right)| self.row(check, seen, is_right));
    }
}

/// Those that [`statuses`] are seen under.
pub(super) fn add_policies(plugin: &mut Value) {
    plugin["policies"] = json!({"default": {"cache_ttl": "10m"}, "jwt": {"strategy": "jwt"}});
    plugin["rules"] = json!([{"match": {"path": "/jwt"}, "policy": "jwt"}]);
}

/// What a token gets under `phantom_token` and under `jwt`.
pub(super) async fn statuses(envoy: &Envoy, token: &str) -> [u16; 2] {
    let status = async |path| Request::get(path).bearer(token).send(envoy.address()).await.status;
    [status("/long").await, status("/jwt").await]
}

/// What was seen of each, and whether that is right.
async fn rows<S: Server>(
    server: &S,
    envoy: &Envoy,
    cluster: &str,
    signal: Signal,
) -> Vec<(String, String, bool)> {
    let mut rows = Vec::new();
    for Served { way, ended, other, .. } in S::SERVED.iter().filter(|it| it.signal == signal) {
        let (session, another) = (server.login().await, server.login().await);
        let (token, of_another) = (session.access_token.clone(), another.access_token.clone());
        let is_told = *ended != Served::AS_BEFORE;
        if !is_told {
            eventually("a verdict that is remembered", || async {
                let hits = envoy.counter("cache.hit").await;
                statuses(envoy, &token).await;
                (envoy.counter("cache.hit").await > hits + 1).then_some(())
            })
            .await;
        }
        let before = [statuses(envoy, &token).await, statuses(envoy, &of_another).await];
        let received = envoy.counter("revocation.received").await;
        server.end(way, session).await;
        let has_received = async || envoy.counter("revocation.received").await > received;
        match is_told {
            true => eventually(way, || async { has_received().await.then_some(()) }).await,
            false => silence(envoy, cluster, signal).await,
        }
        // Servers tell before they act.
        eventually(way, || async { (statuses(envoy, &token).await == *ended).then_some(()) }).await;
        let after = statuses(envoy, &of_another).await;
        let told = has_received().await;
        let anew = || async {
            let login = server.login().await;
            (statuses(envoy, &login.access_token).await == [200, 200]).then_some(())
        };
        eventually("a new login", anew).await;
        let heard = match signal {
            Signal::LogoutToken => "logout tokens",
            Signal::PolledEvent => "polled events",
            Signal::PushedEvent => "pushed events",
        };
        let seen = format!(
            "{}; phantom_token {}, jwt {}; another session {}, {}; a new login 200, 200",
            if told { "told" } else { "not told" },
            ended[0],
            ended[1],
            after[0],
            after[1]
        );
        let is_right = before == [[200, 200]; 2] && after == *other && told == is_told;
        rows.push((format!("{way}, heard by {heard}, `cache_ttl: 10m`"), seen, is_right));
    }
    rows
}

/// Until what was going to come would have come.
async fn silence(envoy: &Envoy, cluster: &str, signal: Signal) {
    if signal != Signal::PolledEvent {
        return tokio::time::sleep(SILENCE).await;
    }
    let name = format!("cluster.{cluster}.upstream_rq_total");
    let calls = async || envoy.stats(&format!("^{name}$")).await.get(&name).copied().unwrap_or(0);
    let before = calls().await;
    // One may have been under way, and one may be for an access token.
    eventually("more polls", || async { (calls().await >= before + 3).then_some(()) }).await;
}
