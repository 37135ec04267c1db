//! README's smallest configuration, where nothing but values is changed.

use serde_json::{Value, json};

use super::Checks;
use crate::{
    documented::{configuration, smallest},
    rig::{bootstrap::Bootstrap, client::Request, jose, upstream::Upstream},
    server::{Gateway, Server},
};

const CHECK: &str = "README's smallest configuration";

impl<S: Server> Checks<'_, S> {
    pub(super) async fn smallest(&mut self, upstream: &Upstream) {
        let documented = configuration(S::NAME, &self.server.replaced());
        let mut issuer = documented["providers"]["main"]["issuer"].clone();
        if let Some(running) = self.server.issuer() {
            issuer = json!(running);
        }
        let mut plugin = smallest();
        let main = &mut plugin["providers"]["main"];
        let of_documented = &documented["providers"]["main"]["introspection"];
        let cluster = main["introspection"]["cluster"].as_str().expect("a cluster").to_owned();
        replace(main, "issuer", &issuer);
        replace(&mut main["introspection"], "path", &of_documented["path"]);
        replace(&mut main["introspection"], "authority", &of_documented["authority"]);
        // Hydra asks for no credentials: it is shown those that are there.
        if let Some(client_id) = of_documented["auth"]["client_secret_basic"]["client_id"].as_str() {
            replace(
                &mut main["introspection"]["auth"]["client_secret_basic"],
                "client_id",
                &json!(client_id),
            );
        }
        let envoy = Bootstrap::new(plugin)
            .environment("GATEWAY_CLIENT_SECRET", Gateway::SECRET)
            .environment("SIGNING_KEY", &jose::any_key().await.pem)
            .cluster(&cluster, self.server.address(&self.cluster))
            .cluster("upstream", upstream.address())
            .start()
            .await;
        let get = async |token: &str| Request::get("/").bearer(token).send(envoy.address()).await.status;
        let token = self.server.access_token().await;
        let passed = get(&token).await;
        let refused = get("made-up-token-of-nobody").await;
        if (passed, refused) != (200, 401) {
            println!("{}", envoy.log());
        }
        self.row(CHECK, format!("{passed}, made up {refused}"), (passed, refused) == (200, 401));
    }
}

/// Another value for a key that is there.
fn replace(object: &mut Value, key: &str, value: &Value) {
    if let Some(known) = object.get_mut(key) {
        *known = value.clone();
    }
}
