//! The server tells of what becomes of a person's sessions by a stream of security events that the filter makes itself
//! (SSF 1.0), with access tokens that end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Checks, served};
use crate::{
    rig::{client::Request, eventually, upstream::Upstream},
    server::{Server, Signal},
};

const CHECK: &str = "a stream of its own, over three lifetimes of its token";

impl<S: Server> Checks<'_, S> {
    pub(super) async fn events(&mut self, mut plugin: Value, upstream: &Upstream) {
        if plugin["revocation"]["security_events"].is_null() {
            return self.cannot(CHECK, "not documented");
        }
        plugin["revocation"].as_object_mut().expect("an object").retain(|key, _| key == "security_events");
        plugin["revocation"]["security_events"]["stream"]["subjects"] =
            json!([{"format": "email", "email": "alice@example.com"}]);
        plugin["revocation"]["security_events"]["poll"] = json!({"interval": "1s"});
        served::add_policies(&mut plugin);
        let envoy = self.receiver(&plugin, upstream).await;
        eventually("the verification", || async { envoy.log().contains("is verified").then_some(()) }).await;
        let is_made = envoy.log().contains("its stream of security events was made");
        let lives = || async { (envoy.counter("access_token.fetched").await >= 3).then_some(()) };
        eventually("three access tokens", lives).await;
        let session = self.server.login().await;
        let token = session.access_token.clone();
        let status = async || Request::get("/").bearer(&token).send(envoy.address()).await.status;
        let before = status().await;
        let start = Instant::now();
        self.server.sign_out(session).await;
        eventually("the end of the token", || async { (status().await == 401).then_some(()) }).await;
        let took = start.elapsed();
        let failed = envoy.counter("access_token.error").await;
        let is_quiet = !envoy.log().contains("no security events polled");
        if !is_quiet || !is_made {
            println!("{}", envoy.log());
        }
        drop(envoy);
        // Keycloak verifies a stream once in a minute.
        let envoy = self.receiver(&plugin, upstream).await;
        let said = async |word: &str| {
            envoy.log().contains(&format!("its stream of security events was {word}")).then_some(())
        };
        eventually("the stream", || async { said("found").await.or(said("made").await) }).await;
        let is_found = said("found").await.is_some();
        let seen = format!(
            "made {is_made}; 401 {} ms after the sign-out; found again {is_found}; {failed} failures",
            took.as_millis()
        );
        let is_right = is_made && is_found && is_quiet && before == 200 && failed == 0;
        self.row(CHECK, seen, is_right && took < Duration::from_secs(3));
        self.served(&envoy, Signal::PolledEvent).await;
    }
}
