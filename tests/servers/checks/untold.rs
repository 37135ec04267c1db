//! What no signal tells of: what is asked about ends with `cache_ttl`, a JWT that nobody is asked about with its `exp`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    Checks,
    served::{self, statuses},
};
use crate::{
    rig::{eventually, upstream::Upstream},
    server::Server,
};

const CACHE_TTL: Duration = Duration::from_secs(3);

impl<S: Server> Checks<'_, S> {
    pub(super) async fn untold(&mut self, mut plugin: Value, upstream: &Upstream) {
        let Some(way) = S::UNTOLD else { return };
        plugin["revocation"].as_object_mut().map(|it| it.remove("security_events"));
        plugin["providers"]["main"]["jwt"]["leeway"] = json!("0s");
        served::add_policies(&mut plugin);
        plugin["policies"]["default"]["cache_ttl"] = json!(format!("{}s", CACHE_TTL.as_secs()));
        let envoy = self.receiver(&plugin, upstream).await;
        let session = self.server.login_briefly().await;
        let token = session.access_token.clone();
        let start = Instant::now();
        let before = statuses(&envoy, &token).await;
        self.server.end(way, session).await;
        let after = statuses(&envoy, &token).await;
        let ends = async |wanted: [u16; 2]| {
            let is_so = || async { (statuses(&envoy, &token).await == wanted).then_some(()) };
            eventually(way, is_so).await;
            start.elapsed()
        };
        let (verdict, jwt) = (ends([401, 200]).await, ends([401, 401]).await);
        let seen = format!(
            "{}, {}, then phantom_token 401 after {:.1} s, jwt 401 after {:.1} s",
            after[0],
            after[1],
            verdict.as_secs_f64(),
            jwt.as_secs_f64()
        );
        let is_right =
            before == [200, 200] && after == [200, 200] && verdict <= CACHE_TTL + Duration::from_secs(1);
        self.row(format!("{way}, no signal, `cache_ttl: 3s`, access token of 12 s"), seen, is_right);
    }
}
