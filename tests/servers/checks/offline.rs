//! Offline access outlives the session in which it was given (OpenID Connect Back-Channel Logout 1.0 §2.7).

use std::time::{Duration, Instant};

use super::{Checks, served::statuses};
use crate::{
    rig::{eventually, within_limit},
    server::{Served, Server},
};

const CHECK: &str = "offline access, after the logout of the session that it names";

impl<S: Server> Checks<'_, S> {
    pub(super) async fn offline(&mut self) {
        let Some((session, offline)) = self.server.login_for_two().await else {
            return self.cannot(CHECK, "not tried");
        };
        let (envoy, online) = (&self.envoy, session.access_token.clone());
        let is_one_session = session.sid() == offline.sid();
        let before = [statuses(envoy, &online).await, statuses(envoy, &offline.access_token).await];
        self.server.logout(session).await;
        let start = Instant::now();
        let has_ended = || async { (statuses(envoy, &online).await == Served::NOT).then_some(()) };
        eventually("the end of the session", has_ended).await;
        let after = statuses(envoy, &offline.access_token).await;
        let refreshed = within_limit("a JWT that passes", async {
            loop {
                let token = self.server.refresh(&offline).await;
                match statuses(envoy, &token).await {
                    [200, 401] => tokio::time::sleep(Duration::from_millis(250)).await,
                    other => return other,
                }
            }
        })
        .await;
        let seen = format!(
            "phantom_token {}, jwt {}; refreshed {}, {} after {} s",
            after[0],
            after[1],
            refreshed[0],
            refreshed[1],
            start.elapsed().as_secs()
        );
        let is_right = is_one_session && before == [[200, 200]; 2] && after == Served::ASKED;
        self.row(CHECK, seen, is_right && refreshed == [200, 200]);
    }
}
