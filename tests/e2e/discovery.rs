//! Providers that are configured by their issuer alone: real servers, a server that says one thing and then another, and many
//! servers behind one cluster.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hyper::Response;
use serde_json::{Value, json};

use crate::rig::{
    ROOT,
    bootstrap::Bootstrap,
    canaille::{self, Canaille},
    client::Request,
    envoy::Envoy,
    eventually,
    glewlwyd::Glewlwyd,
    http_server::{self, HttpServer, whole},
    oidc_provider::OidcProvider,
    signer::Signer,
    strict_server::StrictServer,
    traffic::Traffic,
    upstream::Upstream,
};

/// A configuration that names an issuer and what the server knows us by; its cluster is plain if the issuer is.
fn plugin(issuer: &str, client_id: &str, client_secret: &str) -> Value {
    let mut main = json!({
        "issuer": issuer,
        "discovery": {"cluster": "authorization_server"},
        "introspection": {"auth": {"client_secret": {
            "client_id": client_id, "client_secret": {"inline": client_secret},
        }}},
    });
    if issuer.starts_with("http:") {
        main["discovery"]["scheme"] = json!("http");
    }
    json!({
        "providers": {"main": main},
        "policies": {"default": {"strategy": "auto", "forward": {"authorization": "original"}}},
    })
}

/// `GET /` with an access token; the status.
async fn get(envoy: &Envoy, token: &str) -> u16 {
    Request::get("/").bearer(token).send(envoy.address()).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oidc_provider_is_found_by_its_issuer() {
    let server = OidcProvider::with_algorithms(&["ES256"]).await;
    let upstream = Upstream::start().await;
    let envoy = Bootstrap::new(plugin(&server.issuer(), "gw-basic", "gw-secret"))
        .cluster("authorization_server", server.address())
        .cluster("upstream", upstream.address())
        .start()
        .await;
    let (opaque, jwt) = (server.token("read").await, server.jwt("ES256", "read").await);
    assert_eq!((get(&envoy, &opaque).await, get(&envoy, &jwt).await), (200, 200), "{}", envoy.log());
    assert_eq!(get(&envoy, "of-nobody").await, 401);
    let log = envoy.log();
    for said in [
        "introspection is POST /token/introspection at cluster \"authorization_server\"",
        " by client_secret_basic, keys are GET /jwks at cluster \"authorization_server\"",
        "tokens are revoked at \"/token/revocation\"",
        "it can send logout tokens",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    let counted = envoy.stats("phantom_token.discovery").await;
    let of_main = |name: &str| {
        counted
            .iter()
            .find(|(key, _)| key.ends_with(&format!("provider=.=main;.;phantom_token.discovery.{name}")))
    };
    assert!(of_main("refreshed").is_some_and(|(_, value)| *value > 0), "{counted:?}");
    assert!(of_main("error").is_some_and(|(_, value)| *value == 0), "{counted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn glewlwyd_is_found_by_its_issuer_though_it_has_the_second_document_only() {
    let server = Glewlwyd::start().await;
    let upstream = Upstream::start().await;
    let mut plugin = plugin(&server.issuer(), "gw-basic", "gw-secret");
    plugin["policies"]["default"]["strategy"] = json!("introspection");
    let envoy = Bootstrap::new(plugin)
        .cluster("authorization_server", server.address())
        .cluster("upstream", upstream.address())
        .start()
        .await;
    let token = server.token_for_user("read").await;
    assert_eq!(get(&envoy, &token).await, 200, "{}", envoy.log());
    server.revoke(&token).await;
    assert_eq!(get(&envoy, "of-nobody").await, 401);
    assert!(envoy.log().contains("introspection is POST //api/oidc/introspect"), "{}", envoy.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canaille_is_found_by_its_issuer_over_tls() {
    let server = Canaille::start().await;
    let upstream = Upstream::start().await;
    let issuer = format!("https://{}", canaille::HOST);
    let envoy = Bootstrap::new(plugin(&issuer, "gateway", "gateway-secret"))
        .cluster("authorization_server", server.address())
        .over_tls(canaille::HOST)
        .cluster("upstream", upstream.address())
        .start()
        .await;
    assert_eq!(get(&envoy, &server.token()).await, 200, "{}", envoy.log());
    assert_eq!(get(&envoy, "of-nobody").await, 401);
    assert!(envoy.log().contains("introspection is POST /oauth/introspect"), "{}", envoy.log());
}

/// What a server says when it is asked for its metadata.
#[derive(Clone)]
struct Says {
    status: u16,
    location: &'static str,
    body: String,
}

/// A server whose metadata are as a test wants them. At `/one` every token is active, at `/two` none that begins with `old`.
struct Changing {
    server: HttpServer,
    says: Arc<Mutex<Says>>,
}

impl Changing {
    async fn start() -> Self {
        let says = Arc::new(Mutex::new(Says { status: 404, location: "", body: String::new() }));
        let told = says.clone();
        let server = HttpServer::start(move |request| {
            let Says { status, location, body } = match request.uri().path() {
                "/one" => ok(&json!({"active": true})),
                "/two" => {
                    let is_old = request.body().windows(9).any(|bytes| bytes == b"token=old");
                    ok(&json!({"active": !is_old}))
                }
                _ => told.lock().expect("no panic while held").clone(),
            };
            let answer = Response::builder().status(status).header("location", location);
            let answer = answer.header("content-type", "application/json").body(whole(body));
            async move { Ok(answer.expect("an answer")) }
        });
        Self { server: server.await, says }
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.server.address())
    }

    fn document(&self, path: &str) -> Value {
        json!({"issuer": self.issuer(), "introspection_endpoint": format!("{}{path}", self.issuer())})
    }

    fn says(&self, says: Says) {
        *self.says.lock().expect("no panic while held") = says;
    }
}

fn ok(body: &Value) -> Says {
    Says { status: 200, location: "", body: body.to_string() }
}

/// How often the log has a text.
fn count(envoy: &Envoy, text: &str) -> usize {
    envoy.log().matches(text).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_that_change_while_requests_come_cost_nobody_anything() {
    let (server, upstream) = (Changing::start().await, Upstream::start().await);
    let mut plugin = plugin(&server.issuer(), "gateway", "gateway-secret");
    plugin["providers"]["main"]["discovery"]["refresh_interval"] = json!("1s");
    plugin["policies"]["default"]["strategy"] = json!("introspection");
    let envoy = Bootstrap::new(plugin)
        .cluster("authorization_server", server.server.address())
        .cluster("upstream", upstream.address())
        .start()
        .await;
    // Not there yet: nobody passes.
    let early = Request::get("/early").bearer("new-1").send(envoy.address()).await;
    assert_eq!((early.status, early.header("retry-after").is_some()), (503, true), "{early:?}");
    assert!(envoy.access_log_line("/early ").await.ends_with("discovery_unavailable"));
    assert_eq!(upstream.requests(), 0);
    // And then it is.
    server.says(ok(&server.document("/one")));
    eventually("the metadata", || async { (get(&envoy, "new-1").await == 200).then_some(()) }).await;

    let traffic = Traffic::start(envoy.address(), Vec::new(), 100, |number| {
        // One token that is in the cache, and others that have to be asked about.
        let token = if number % 2 == 0 { "new-1".to_owned() } else { format!("new-{number}") };
        Request::get("/").bearer(&token)
    });
    let html = "<!doctype html><title>Log in</title>".to_owned();
    let other = |document: &str| document.replace("127.0.0.1", "evil.example");
    let bad = [
        (Says { status: 200, location: "", body: " ".repeat(5 << 20) }, "longer than 1048576 bytes"),
        (Says { status: 200, location: "", body: html }, "got no valid JSON"),
        (Says { status: 302, location: "https://evil.example/", body: String::new() }, "got status 302"),
        (Says { status: 404, location: "", body: String::new() }, "got status 404"),
        (Says { status: 503, location: "", body: String::new() }, "got status 503"),
        (ok(&json!({"issuer": "https://evil.example"})), "expected the issuer"),
        (
            ok(
                &json!({"issuer": server.issuer(), "introspection_endpoint": other(&format!("{}/one", server.issuer()))}),
            ),
            "which is none of `discovery.allowed_hosts`",
        ),
    ];
    for (says, said) in bad {
        server.says(says);
        let before = count(&envoy, said);
        eventually(said, || async { (count(&envoy, said) > before).then_some(()) }).await;
        server.says(ok(&server.document("/one")));
    }
    // The endpoint moves, and there the old token is not active any more.
    assert_eq!(get(&envoy, "old").await, 200);
    server.says(ok(&server.document("/two")));
    let moved = "introspection is POST /two at cluster";
    eventually(moved, || async { (count(&envoy, moved) > 0).then_some(()) }).await;
    // The line is of the main thread or of the worker, and both look within two seconds.
    let begun = Instant::now();
    eventually("a verdict of the new endpoint", || async { (get(&envoy, "old").await == 401).then_some(()) })
        .await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for _ in 0..20 {
        assert_eq!(get(&envoy, "old").await, 401, "no verdict of the former endpoint serves again");
    }
    assert!(envoy.counter("discovery.error").await >= 8 && envoy.counter("discovery.refreshed").await >= 2);
    let answered = traffic.stop().await;
    let others: Vec<_> = answered.iter().filter(|answered| answered.status != 200).collect();
    assert!(answered.len() > 300 && others.is_empty(), "{} of {}: {others:?}", others.len(), answered.len());
}

/// A server with TLS whose certificate is for a host, and which says that it is at `localhost`; and that its keys are `keys_at`, if
/// that is elsewhere.
async fn over_tls(
    certificate: &str,
    signer: &Signer,
    keys_at: Option<String>,
) -> (StrictServer, HttpServer, String) {
    let issuer = Arc::new(Mutex::new(String::new()));
    let (known, keys) = (issuer.clone(), json!({"keys": [signer.jwk()]}));
    let behind = HttpServer::start(move |request| {
        let issuer = known.lock().expect("no panic while held").clone();
        let (status, body) = match request.uri().path() {
            "/.well-known/oauth-authorization-server/tenant" => (
                200,
                json!({
                    "issuer": issuer, "introspection_endpoint": format!("{issuer}/introspect"),
                    "jwks_uri": keys_at.clone().unwrap_or_else(|| format!("{issuer}/jwks")),
                }),
            ),
            "/tenant/introspect" => (200, json!({"active": true})),
            "/tenant/jwks" => (200, keys.clone()),
            _ => (404, json!({})),
        };
        let answer = http_server::json(status, body.to_string());
        async move { Ok(answer) }
    })
    .await;
    let strict = StrictServer::named("localhost:0", certificate, behind.address()).await;
    let named = format!("https://localhost:{}/tenant", strict.address().port());
    issuer.lock().expect("no panic while held").clone_from(&named);
    (strict, behind, named)
}

/// The dynamic forward proxy of docs/configuration.md, which trusts these certificates, and speaks HTTP/2 as the rig's server.
fn documented_cluster(trusted: &str) -> Value {
    let text = fs::read_to_string(format!("{ROOT}/docs/configuration.md")).expect("docs/configuration.md");
    let (_, rest) = text.split_once("**One cluster for all issuers.**").expect("a paragraph");
    let (_, block) = rest.split_once("```yaml\n").expect("a block in YAML");
    let yaml = block.split("```").next().unwrap_or_default();
    let mut cluster: Value = serde_yaml_ng::from_str(yaml).expect("YAML");
    cluster["cluster_type"]["typed_config"]["dns_cache_config"]["dns_lookup_family"] = json!("V4_ONLY");
    let tls = &mut cluster["transport_socket"]["typed_config"]["common_tls_context"];
    tls["validation_context"]["trusted_ca"] = json!({"inline_string": trusted});
    tls["alpn_protocols"] = json!(["h2"]);
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    cluster["typed_extension_protocol_options"][options]["explicit_http_config"] =
        json!({"http2_protocol_options": {}});
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dynamic_forward_proxy_reaches_every_issuer_and_no_impostor() {
    let signer = Signer::new("ES256", "as");
    let (honest, _behind, issuer) = over_tls("tls.localhost.cert.pem", &signer, None).await;
    let (impostor, _behind_it, false_issuer) = over_tls("tls.cert.pem", &signer, None).await;
    let keys_at = Some(format!("{false_issuer}/jwks"));
    let (_misled, _behind_them, misled_issuer) = over_tls("tls.localhost.cert.pem", &signer, keys_at).await;
    let upstream = Upstream::start().await;
    let provider = |issuer: &str| json!({"issuer": issuer, "discovery": {"cluster": "issuers"}, "introspection": {"auth": {"none": {}}}});
    let policy = |provider: &str| {
        json!({"strategy": "auto", "provider": provider, "forward": {"authorization": "original"},
            "require": {"audiences": []}})
    };
    let mut misled = provider(&misled_issuer);
    misled["discovery"]["allowed_hosts"] = json!(["localhost"]);
    let envoy = Bootstrap::new(json!({
        "providers": {"honest": provider(&issuer), "impostor": provider(&false_issuer), "misled": misled},
        "policies": {"default": policy("honest"), "impostor": policy("impostor"), "misled": policy("misled")},
        "rules": [
            {"match": {"path_prefix": "/impostor"}, "policy": "impostor"},
            {"match": {"path_prefix": "/misled"}, "policy": "misled"},
        ],
    }));
    let file = |name: &str| fs::read_to_string(format!("{ROOT}/tests/keys/{name}")).expect(name);
    let trusted = [file("tls.cert.pem"), file("tls.localhost.cert.pem")].concat();
    let envoy = envoy.cluster_of(documented_cluster(&trusted)).cluster("upstream", upstream.address());
    let envoy = envoy.start().await;
    let jwt = |issuer: &str| signer.access_token(&json!({"iss": issuer}));
    assert_eq!(
        (get(&envoy, "opaque").await, get(&envoy, &jwt(&issuer)).await),
        (200, 200),
        "{:?}\n{}",
        honest.calls(),
        envoy.log()
    );
    let mut called: Vec<_> =
        honest.calls().iter().map(|call| call["path"].as_str().unwrap_or_default().to_owned()).collect();
    called.sort();
    called.dedup();
    assert_eq!(
        called,
        ["/.well-known/oauth-authorization-server/tenant", "/tenant/introspect", "/tenant/jwks"]
    );
    for (path, token) in [("/impostor/opaque", "opaque".to_owned()), ("/impostor/jwt", jwt(&false_issuer))] {
        let reply = Request::get(path).bearer(&token).send(envoy.address()).await;
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(envoy.access_log_line(&format!("{path} ")).await.ends_with("discovery_unavailable"));
    }
    // Metadata of the right host, whose keys are at one that has another's certificate.
    let reply = Request::get("/misled").bearer(&jwt(&misled_issuer)).send(envoy.address()).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(envoy.access_log_line("/misled ").await.ends_with("jwks_unavailable"));
    assert!(impostor.calls().is_empty(), "{:?}", impostor.calls());
    assert_eq!(upstream.requests(), 2);
}
