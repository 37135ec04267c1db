//! A server that is called by a host inside, under its public issuer: the reference's configuration for it, and what becomes of
//! requests where a key of it is forgotten.

use serde_json::{Value, json};

use super::Checks;
use crate::{
    documented::{configuration, inside},
    rig::{bootstrap::Bootstrap, client::Request, envoy::Envoy, upstream::Upstream},
    server::{Gateway, Server},
};

const CHECK: &str = "its endpoints inside, its issuer public (`discovery`)";

impl<S: Server> Checks<'_, S> {
    pub(super) async fn inside(&mut self, gateway: &Gateway, upstream: &Upstream) {
        let Some(server) = S::start_inside(gateway).await else { return };
        let (token, plugin) = (server.access_token().await, plugin::<S>());
        let envoy = start(&plugin, &server, upstream).await;
        let get = async |envoy: &Envoy, path: &str, token: &str| {
            Request::get(path).bearer(token).send(envoy.address()).await.status
        };
        let statuses = [
            get(&envoy, "/", &token).await,
            get(&envoy, "/jwt", &token).await,
            get(&envoy, "/", "made-up-token-of-nobody").await,
        ];
        let [asked, validated, refused] = statuses;
        let seen = format!("{asked}, made up {refused}, a JWT {validated}");
        if statuses != [200, 200, 401] {
            println!("{}", envoy.log());
        }
        self.row(CHECK, seen, statuses == [200, 200, 401]);

        for (key, said) in [
            ("allowed_hosts", "which is none of `discovery.allowed_hosts`"),
            ("scheme", "unless the cluster is plain and `discovery.scheme: http` says so"),
        ] {
            let mut without = plugin.clone();
            let discovery = without["providers"]["main"]["discovery"].as_object_mut().expect("an object");
            assert!(discovery.remove(key).is_some(), "the reference has {key}");
            let (envoy, before) = (start(&without, &server, upstream).await, upstream.requests());
            let statuses = [get(&envoy, "/", &token).await, get(&envoy, "/jwt", &token).await];
            let is_named = envoy.log().contains(said);
            let is_right = statuses == [503, 503] && is_named && upstream.requests() == before;
            if !is_right {
                println!("{}", envoy.log());
            }
            let named = if is_named { "the log names it" } else { "the log does not name it" };
            self.row(
                format!("{CHECK}, without `{key}`"),
                format!("{}, a JWT {}, {named}", statuses[0], statuses[1]),
                is_right,
            );
        }
    }
}

/// The reference's configuration with the names that the server has, and a policy by its keys.
fn plugin<S: Server>() -> Value {
    let (mut plugin, documented) = (inside(), configuration(S::NAME, &[]));
    let of_server = &documented["providers"]["main"];
    let main = &mut plugin["providers"]["main"];
    main["issuer"] = of_server["issuer"].clone();
    main["jwt"] = of_server["jwt"].clone();
    let mut by_keys = documented["policies"]["default"].clone();
    by_keys["strategy"] = json!("jwt");
    plugin["policies"]["jwt"] = by_keys;
    plugin["rules"] = json!([{"match": {"path": "/jwt"}, "policy": "jwt"}]);
    plugin
}

async fn start<S: Server>(plugin: &Value, server: &S, upstream: &Upstream) -> Envoy {
    let cluster = plugin["providers"]["main"]["discovery"]["cluster"].as_str().expect("a cluster");
    Bootstrap::new(plugin.clone())
        .environment("GATEWAY_CLIENT_SECRET", Gateway::SECRET)
        .cluster(cluster, server.address(cluster))
        .cluster("upstream", upstream.address())
        .start()
        .await
}
