//! What passes, what does not, and what the server is asked for it.

use tokio::task::JoinSet;

use super::Checks;
use crate::{
    rig::{client::Request, jose::verify},
    server::Server,
};

impl<S: Server> Checks<'_, S> {
    pub(super) async fn access_token(&mut self) {
        let token = self.server.access_token().await;
        let reply = self.get("/", &token).await;
        if reply.status != 200 {
            let log = self.envoy.log();
            return self.row("access token", format!("{reply:?}\n{log}"), false);
        }
        let keys = Request::get("/.well-known/jwks.json").send(self.envoy.address()).await.json();
        let jwt = verify(&[reply.echoed_bearer()], &keys).await.remove(0);
        let has = |name: &str| jwt.claims[name].is_string() || jwt.claims[name].is_array();
        let lacks: Vec<_> =
            ["iss", "sub", "aud", "client_id"].into_iter().filter(|name| !has(name)).collect();
        let seen = if lacks.is_empty() { "200".to_owned() } else { format!("200, lacks {lacks:?}") };
        self.row(
            "access token → JWT that `jose` verifies, with iss, sub, aud, client_id",
            seen,
            lacks.is_empty(),
        );
        for (path, what, wanted) in [("/scope", "has", 200), ("/other-scope", "has not", 403)] {
            let status = self.status(path, &token).await;
            self.row(format!("a scope that it {what}"), status, status == wanted);
        }
        let status = self.status("/", "made-up-token-of-nobody").await;
        self.row("a token that the server never gave", status, status == 401);
    }

    pub(super) async fn strategies(&mut self, has_keys: bool) {
        let token = self.server.access_token().await;
        let reply = self.get("/introspection", &token).await;
        let is_right = reply.status == 200 && reply.echoed_bearer() == token;
        self.row("strategy introspection", reply.status, is_right);
        if has_keys {
            let status = self.status("/auto", &token).await;
            self.row("strategy auto", status, status == 200);
        }
        let jwt = self.server.jwt().await;
        match (&jwt, has_keys) {
            (Ok(jwt), true) => {
                let reply = self.get("/jwt", jwt).await;
                let is_right = reply.status == 200 && reply.echoed_bearer() == *jwt;
                self.row("strategy jwt", reply.status, is_right);
                let reply = self.get("/auto", jwt).await;
                let is_right = reply.status == 200 && reply.echoed_bearer() == *jwt;
                self.row("strategy auto, a JWT", reply.status, is_right);
            }
            (Ok(_), false) => self.row("strategy jwt", "no keys are documented", false),
            (Err(why), _) => {
                self.cannot("strategy auto", why);
                self.cannot("strategy jwt", why);
            }
        }
        match jwt {
            Ok(_) if !S::INTROSPECTS_JWTS => {
                self.cannot("strategy jwt_and_introspection", "does not introspect JWTs");
            }
            Ok(jwt) => {
                let status = self.status("/both", &jwt).await;
                self.row("strategy jwt_and_introspection", status, status == 200);
            }
            Err(why) => self.cannot("strategy jwt_and_introspection", why),
        }
    }

    pub(super) async fn no_access_tokens(&mut self, has_keys: bool) {
        for (name, token) in self.server.no_access_tokens().await {
            for path in if has_keys { &["/", "/auto", "/jwt"][..] } else { &["/"] } {
                let status = self.status(path, &token).await;
                let strategy = if *path == "/" { "phantom_token" } else { &path[1..] };
                self.row(format!("{name} under {strategy}"), status, [401, 403].contains(&status));
            }
        }
    }

    pub(super) async fn revocation(&mut self) {
        let token = self.server.access_token().await;
        let before = self.status("/always", &token).await;
        self.server.revoke(&token).await;
        let after = self.status("/always", &token).await;
        self.row(
            "revoked at the server (RFC 7009), `cache_ttl: 0s`",
            format!("{before}, then {after}"),
            (before, after) == (200, 401),
        );
    }

    /// Many clients at once with one new token.
    pub(super) async fn crowd(&mut self) {
        let (token, before) = (self.server.access_token().await, self.calls().await);
        let mut requests = JoinSet::new();
        for _ in 0..200 {
            let (request, address) = (Request::get("/").bearer(&token), self.envoy.address());
            requests.spawn(async move { request.send(address).await.status });
        }
        let statuses = requests.join_all().await;
        let passed = statuses.iter().filter(|status| **status == 200).count();
        let made = self.calls().await - before;
        let is_right = (passed, made) == (200, 1);
        self.row("200 clients, one new token", format!("{passed} × 200, {made} call"), is_right);
    }
}
