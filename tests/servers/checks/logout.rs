//! A person logs out, and the server tells the filter of it (OpenID Connect Back-Channel Logout).

use std::time::{Duration, Instant};

use super::Checks;
use crate::{rig::eventually, server::Server};

const CHECK: &str = "logout, told by a logout token, `cache_ttl: 10m`";

impl<S: Server> Checks<'_, S> {
    pub(super) async fn logout(&mut self) {
        if !S::TELLS_LOGOUTS {
            return self.cannot(CHECK, "tells of none");
        }
        self.server.tell_logouts(&format!("http://{}/backchannel-logout", self.envoy.address())).await;
        let (session, other) = (self.server.login().await, self.server.login().await);
        let (token, of_other) = (session.access_token.clone(), other.access_token.clone());
        let before = (self.status("/long", &token).await, self.status("/long", &of_other).await);
        let received = self.envoy.counter("revocation.received").await;
        let start = Instant::now();
        self.server.logout(session).await;
        let envoy = &self.envoy;
        eventually("a logout token", || async {
            (envoy.counter("revocation.received").await > received).then_some(())
        })
        .await;
        // Servers tell before they act.
        let is_refused = || async { (self.status("/long", &token).await == 401).then_some(()) };
        eventually("the end of the session's token", is_refused).await;
        let took = start.elapsed();
        let another = self.status("/long", &of_other).await;
        let seen = format!("401 after {} ms; another session {another}", took.as_millis());
        self.row(CHECK, seen, before == (200, 200) && another == 200 && took < Duration::from_secs(1));
    }
}
