//! The configurations in `envoy/examples/`, in real Envoy with a real authorization server: each does what its first
//! lines say.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::rig::{
    ROOT,
    client::{Reply, Request},
    envoy::Envoy,
    etcd::Etcd,
    eventually,
    example::Example,
    jose,
    oidc_provider::OidcProvider,
    upstream::Upstream,
    wasm_filter::GRPC,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn public_api_validates_jwts_itself() {
    let api =
        Api::start("public-api", OidcProvider::with_algorithms(&["ES256", "RS256"]).await, |it| it).await;
    let (reader, writer) = (api.server.jwt("ES256", "read").await, api.server.jwt("ES256", "write").await);
    assert_eq!(api.get("/items", &reader).await.echoed_bearer(), reader);
    assert_eq!(api.post("/items", &writer).await.echoed_bearer(), writer);
    assert_eq!(api.post("/items", &reader).await.status, 403);
    assert_eq!(api.get("/items", &writer).await.status, 403);
    let of_other_algorithm = api.server.jwt("RS256", "read").await;
    assert_eq!(api.get("/items", &of_other_algorithm).await.status, 401);
    let opaque = api.server.token("read").await;
    assert_eq!(api.get("/items", &opaque).await.status, 401);
    assert_eq!(api.send(Request::get("/items")).await.status, 401);
    assert_eq!(api.send(Request::get("/healthz")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enterprise_passes_the_clients_own_token_on() {
    let api = Api::start("enterprise", OidcProvider::start().await, |it| it).await;
    let (reader, writer) = (api.server.token("read").await, api.server.token("write").await);
    assert_eq!(api.get("/files", &reader).await.echoed_bearer(), reader);
    assert_eq!(api.get("/admin/users", &writer).await.echoed_bearer(), writer);
    let refused = api.get("/admin/users", &reader).await;
    assert_eq!(refused.status, 403);
    assert!(refused.header("www-authenticate").unwrap().contains("scope=\"write\""), "{refused:?}");
    let of_other_client = api.server.login("alice", "openid write").await.access_token;
    assert_eq!(api.get("/files", &of_other_client).await.status, 200);
    assert_eq!(api.get("/admin/users", &of_other_client).await.status, 403);
    api.server.revoke(&writer).await;
    assert_eq!(api.get("/files", &writer).await.status, 200, "within cache_ttl");
    drop(api.server);
    let response = Request::get("/files").bearer(&reader).send(api.envoy.address()).await;
    assert_eq!(response.status, 200, "the server is down, and the verdict serves on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn banking_refuses_a_revoked_token_at_once() {
    let key = jose::any_key().await;
    let server = OidcProvider::with_gateway_key(&key.public_jwk).await;
    let with_key = |example: Example| example.client("gw-pkjwt").environment("CLIENT_KEY", &key.pem);
    let api = Api::start("banking", server, with_key).await;
    let token = api.server.token("read write").await;
    for _ in 0..3 {
        assert_eq!(api.post("/payments", &token).await.echoed_bearer(), token);
        assert_eq!(api.get("/statements/2026-11", &token).await.echoed_bearer(), token);
    }
    api.server.revoke(&token).await;
    assert_eq!(api.post("/payments", &token).await.status, 401);
    let (reader, other) = (api.server.token("read").await, api.server.token("write").await);
    assert_eq!(api.post("/payments", &reader).await.status, 403);
    assert_eq!(api.post("/payments", &other).await.status, 200);
    drop(api.server);
    let unanswered = Request::post("/payments", "").bearer(&other).send(api.envoy.address()).await;
    assert_eq!(unanswered.status, 503, "nothing passes unasked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mesh_services_verify_what_the_gateway_signed() {
    let api = Api::start("mesh", OidcProvider::start().await, |it| it).await;
    let token = api.server.token("read").await;
    for _ in 0..2 {
        let jwt = api.get("/orders", &token).await.echoed_bearer();
        assert_ne!(jwt, token);
    }
    assert_eq!(api.get("/orders", "unknown").await.status, 401);
    // Around the gateway: straight to the sidecar.
    let sidecar = api.envoy.listener("sidecar").await;
    assert_eq!(Request::get("/orders").bearer(&token).send(sidecar).await.status, 401);
    let jwt = api.get("/orders", &token).await.echoed_bearer();
    assert_eq!(Request::get("/orders").bearer(&jwt).send(sidecar).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_authorization_servers_are_told_apart_by_the_token() {
    let partner = OidcProvider::with_algorithms(&["RS256"]).await;
    let server = OidcProvider::with_algorithms(&["ES256", "RS256"]).await;
    let api = Api::start("two-authorization-servers", server, |it| it.server(9002, partner.address())).await;
    let phantom = |jwt: String| async {
        let jwks = api.send(Request::get("/.well-known/jwks.json")).await.json();
        jose::verify(&[jwt], &jwks).await.remove(0).claims
    };
    let (opaque, jwt) = (api.server.token_for_audience("read").await, api.server.jwt("ES256", "read").await);
    for token in [&opaque, &jwt, &partner.jwt("RS256", "read").await] {
        let claims = phantom(api.get("/", token).await.echoed_bearer()).await;
        assert_eq!(
            (&claims["iss"], &claims["aud"]),
            (&json!("https://gateway.example"), &json!("https://api.example"))
        );
    }
    assert_eq!(api.get("/internal", &jwt).await.status, 200);
    assert_eq!(api.get("/internal", &partner.jwt("RS256", "read").await).await.status, 403);
    let opaque_of_partner = partner.token_for_audience("read").await;
    assert_eq!(api.get("/", &opaque_of_partner).await.status, 401, "nobody asks the partner");
    let wrong_algorithm = api.server.jwt("RS256", "read").await;
    assert_eq!(api.get("/", &wrong_algorithm).await.status, 401, "RS256 is the partner's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rbac_and_access_log_know_who_calls() {
    let api = Api::start("rbac", OidcProvider::start().await, |it| it).await;
    let of_app = api.server.token("read").await;
    let of_alice = api.server.login("alice", "openid read").await.access_token;
    for _ in 0..2 {
        // The first is a miss, the second a hit.
        assert_eq!(api.get("/invoices/1", &of_app).await.status, 200);
        assert_eq!(api.get("/invoices/1", &of_alice).await.status, 403);
        assert_eq!(api.get("/users/alice/", &of_alice).await.status, 200);
        assert_eq!(api.get("/users/alice/", &of_app).await.status, 403);
        assert_eq!(api.get("/users/bob/", &of_alice).await.status, 403);
        assert_eq!(api.get("/tenants/acme/", &of_app).await.status, 200);
        assert_eq!(api.get("/tenants/other/", &of_app).await.status, 403);
    }
    assert_eq!(api.send(Request::get("/healthz")).await.status, 200);
    let forged = api.send(Request::get("/healthz").header("x-tenant", "acme")).await;
    assert_eq!(forged.echoed("x-tenant"), [""; 0], "nobody else writes that header, whatever the policy");
    for line in [
        "GET /invoices/1 200 via_upstream client_id=app sub=- policy=default outcome=forwarded",
        "GET /invoices/1 403 rbac_access_denied_matched_policy[none] client_id=web sub=alice policy=default outcome=forwarded",
    ] {
        eventually(line, || async { api.envoy.log().contains(line).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_of_three_hears_of_a_revocation_at_any_of_them() {
    let etcd = Etcd::start().await;
    etcd.enable_users("etcd-password", "/phantom-token/prod").await;
    let (server, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let mut envoys = Vec::new();
    for _ in 0..3 {
        let example = Example::read("fleet")
            .server(9000, server.address())
            .server(9001, upstream.address())
            .server(2379, etcd.address())
            .environment("REVOCATION_TOKEN", "admin-secret-admin-secret")
            .environment("ETCD_PASSWORD", "etcd-password");
        envoys.push(example.start().await);
    }
    for envoy in &envoys {
        eventually("word of the store", || async {
            envoy.log().contains("cluster \"etcd\" is heard").then_some(())
        })
        .await;
    }
    let get =
        async |envoy: &Envoy, token: &str| Request::get("/").bearer(token).send(envoy.address()).await.status;
    let (token, other) = (server.token("read").await, server.token("read").await);
    for envoy in &envoys {
        assert_eq!(get(envoy, &token).await, 200);
        assert_eq!(get(envoy, &other).await, 200);
    }
    server.revoke(&token).await;
    let order = Request::post("/revocations", json!({"token": token}).to_string())
        .header("content-type", "application/json")
        .bearer("admin-secret-admin-secret");
    assert_eq!(order.send(envoys[2].address()).await.status, 200);
    for envoy in &envoys {
        eventually("a refusal", || async { (get(envoy, &token).await == 401).then_some(()) }).await;
        assert_eq!(get(envoy, &other).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rbac_refuses_where_it_is_not_told_who_calls() {
    let without_hits =
        |example: Example| example.with("access_log: {hits: true}", "access_log: {hits: false}");
    let api = Api::start("rbac", OidcProvider::start().await, without_hits).await;
    let of_app = api.server.token("read").await;
    assert_eq!(api.get("/invoices/1", &of_app).await.status, 200);
    assert_eq!(api.get("/invoices/1", &of_app).await.status, 403, "a hit leaves no filter state");
    assert_eq!(api.get("/tenants/acme/", &of_app).await.status, 200, "but headers");
}

#[test]
fn examples_restrict_the_module_as_the_sample_does() {
    let sample = capabilities(&format!("{ROOT}/envoy/envoy.yaml"));
    assert!(sample.len() > 30, "{sample:?}");
    let examples = fs::read_dir(format!("{ROOT}/envoy/examples")).expect("examples");
    let examples = examples.map(|file| file.expect("an example").path());
    // There is nothing that could restrict a dynamic module.
    for file in examples.filter(|file| !file.ends_with("dynamic-module.yaml")) {
        let mut allowed = capabilities(&file.to_string_lossy());
        if file.ends_with("fleet.yaml") {
            GRPC.into_iter().for_each(|name| assert!(allowed.remove(name), "{name}"));
        }
        assert_eq!(allowed, sample, "{}", file.display());
    }
}

fn capabilities(file: &str) -> BTreeSet<String> {
    let yaml = fs::read_to_string(file).expect("a configuration");
    let bootstrap: Value = serde_yaml_ng::from_str(&yaml).expect("YAML");
    let filters = bootstrap
        .pointer("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters")
        .unwrap_or_else(|| panic!("{file}: no HTTP filters"));
    let restriction = &filters[0]["typed_config"]["config"]["capability_restriction_config"];
    let allowed = restriction["allowed_capabilities"].as_object();
    allowed.unwrap_or_else(|| panic!("{file}: no allowed_capabilities")).keys().cloned().collect()
}

/// An example, running.
struct Api {
    envoy: Envoy,
    server: OidcProvider,
    _upstream: Upstream,
}

impl Api {
    async fn start(name: &str, server: OidcProvider, of_example: impl FnOnce(Example) -> Example) -> Self {
        let upstream = Upstream::start().await;
        let example = Example::read(name)
            .server(9000, server.address())
            .server(9001, upstream.address())
            .environment("SIGNING_KEY", &jose::any_key().await.pem);
        Self { envoy: of_example(example).start().await, server, _upstream: upstream }
    }

    async fn send(&self, request: Request) -> Reply {
        request.send(self.envoy.address()).await
    }

    async fn get(&self, path: &str, access_token: &str) -> Reply {
        self.send(Request::get(path).bearer(access_token)).await
    }

    async fn post(&self, path: &str, access_token: &str) -> Reply {
        self.send(Request::post(path, "{}").bearer(access_token)).await
    }
}
