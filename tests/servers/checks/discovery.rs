//! The documented configuration, with what the server says of itself left out.

use serde_json::{Value, json};

use super::Checks;
use crate::{
    documented::configuration,
    rig::{bootstrap::Bootstrap, client::Request, jose, upstream::Upstream},
    server::{Gateway, Server},
};

const CHECK: &str = "by its issuer (`discovery`)";

impl<S: Server> Checks<'_, S> {
    pub(super) async fn discovery(&mut self, upstream: &Upstream) {
        let mut plugin = configuration(S::NAME, &self.server.replaced());
        let main = &mut plugin["providers"]["main"];
        if let Some(running) = self.server.issuer() {
            main["issuer"] = json!(running);
        }
        let cluster = main["jwks"]["cluster"].as_str().unwrap_or(&self.cluster).to_owned();
        main["discovery"] = json!({"cluster": cluster});
        if main["issuer"].as_str().is_some_and(|issuer| issuer.starts_with("http:")) {
            main["discovery"]["scheme"] = json!("http");
        }
        if S::NAMES_INTROSPECTION {
            remove(&mut main["introspection"], &["cluster", "scheme", "authority", "path"]);
        }
        remove(main, &["jwks"]);
        remove(&mut plugin, &["revocation"]);
        let default = plugin["policies"]["default"].clone();
        let with = |strategy: &str| {
            let mut policy = default.clone();
            policy["strategy"] = json!(strategy);
            policy
        };
        plugin["policies"] = json!({"default": with("phantom_token"), "jwt": with("jwt")});
        plugin["rules"] = json!([{"match": {"path": "/jwt"}, "policy": "jwt"}]);
        let mut envoy = Bootstrap::new(plugin)
            .environment("GATEWAY_CLIENT_SECRET", Gateway::SECRET)
            .environment("SIGNING_KEY", &jose::any_key().await.pem)
            .cluster(&cluster, self.server.address(&cluster))
            .cluster("upstream", upstream.address());
        if cluster != self.cluster {
            envoy = envoy.cluster(&self.cluster, self.server.address(&self.cluster));
        }
        let envoy = envoy.start().await;
        let get = async |path: &str, token: &str| {
            Request::get(path).bearer(token).send(envoy.address()).await.status
        };
        let passed = get("/", &self.server.access_token().await).await;
        let refused = get("/", "made-up-token-of-nobody").await;
        let mut seen = format!("{passed}, made up {refused}");
        let mut is_right = (passed, refused) == (200, 401);
        if let Ok(jwt) = self.server.jwt().await {
            let validated = get("/jwt", &jwt).await;
            seen.push_str(&format!(", a JWT {validated}"));
            is_right &= validated == 200;
        }
        if !is_right {
            println!("{}", envoy.log());
        }
        self.row(CHECK, seen, is_right);
    }
}

fn remove(object: &mut Value, keys: &[&str]) {
    if let Some(members) = object.as_object_mut() {
        members.retain(|key, _| !keys.contains(&key.as_str()));
    }
}
