//! How tokens end at the server otherwise than by a logout: which of it reaches the access token, and which is told.

use std::time::Duration;

use super::Checks;
use crate::{
    rig::eventually,
    server::{End, Server},
};

/// So long nothing comes where nothing should.
const SILENCE: Duration = Duration::from_millis(500);

impl<S: Server> Checks<'_, S> {
    pub(super) async fn ends(&mut self) {
        for End { way, ends_access_token, is_told } in S::ENDS {
            let session = self.server.login_offline().await;
            let token = session.access_token.clone();
            let before = self.status("/people", &token).await;
            let received = self.envoy.counter("revocation.received").await;
            self.server.end(way, session).await;
            let was_told = async || self.envoy.counter("revocation.received").await > received;
            match is_told {
                true => eventually(way, || async { was_told().await.then_some(()) }).await,
                false => tokio::time::sleep(SILENCE).await,
            }
            let after = self.status("/people", &token).await;
            let told = was_told().await;
            let is_right =
                before == 200 && after == if *ends_access_token { 401 } else { 200 } && told == *is_told;
            let seen = format!("{after}, {}", if told { "told by a logout token" } else { "not told" });
            self.row(format!("{way}, `cache_ttl: 0s`"), seen, is_right);
        }
    }
}
