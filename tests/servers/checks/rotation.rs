//! The server's signing keys change over under traffic: nobody is refused, and its keys are hardly ever fetched.

use std::sync::{Arc, Mutex};

use super::Checks;
use crate::{
    rig::{client::Request, eventually, traffic::Traffic},
    server::Server,
};

const CHECK: &str = "key rotation under traffic of JWTs";
/// New tokens come in one by one, as clients get them; each is validated on both workers.
const TOKENS: usize = 20;
const PER_SECOND: u32 = 200;

impl<S: Server> Checks<'_, S> {
    pub(super) async fn rotation(&mut self, has_keys: bool) {
        let first = match self.server.jwt().await {
            Ok(jwt) if has_keys => jwt,
            Ok(_) => return self.row(CHECK, "no keys are documented", false),
            Err(why) => return self.cannot(CHECK, why),
        };
        let tokens = Arc::new(Mutex::new(vec![first]));
        let in_use = tokens.clone();
        let request = move |number: usize| {
            let tokens = in_use.lock().expect("no panic while held");
            // The newest every second time.
            let token =
                if number.is_multiple_of(2) { tokens.last() } else { tokens.get(number / 2 % tokens.len()) };
            Request::get("/jwt").bearer(token.expect("a token"))
        };
        let fetches = self.envoy.counter("jwks.refreshed").await;
        let traffic = Traffic::start(self.envoy.address(), Vec::new(), PER_SECOND, request);
        self.more(&tokens, &traffic).await;
        if let Err(why) = self.server.rotate_keys().await {
            traffic.stop().await;
            return self.cannot(CHECK, why);
        }
        self.more(&tokens, &traffic).await;
        let answered = traffic.stop().await;
        let fetches = self.envoy.counter("jwks.refreshed").await - fetches;
        let keys =
            tokens.lock().expect("no panic while held").iter().map(|token| kid(token)).collect::<Vec<_>>();
        let changed = keys.first() != keys.last();
        let passed = answered.iter().filter(|answered| answered.status == 200).count();
        let seen = format!("{passed} of {} × 200, {fetches} fetches", answered.len());
        self.row(CHECK, seen, passed == answered.len() && (1..=2).contains(&fetches) && changed);
    }

    async fn more(&self, tokens: &Mutex<Vec<String>>, traffic: &Traffic) {
        for _ in 0..TOKENS {
            let token = self.server.jwt().await.expect("a JWT, as before");
            tokens.lock().expect("no panic while held").push(token);
            let enough = traffic.answered() + 8;
            eventually("traffic", || async { (traffic.answered() >= enough).then_some(()) }).await;
        }
    }
}

/// The first part of a JWT, which names its key.
fn kid(jwt: &str) -> String {
    jwt.split('.').next().unwrap_or_default().to_owned()
}
