//! Servers that look at whom a call is for: the smallest configurations of the documentation work with them as they are, and
//! so does every call that the filter makes.

use std::{collections::BTreeSet, fs};

use hyper::Response;
use serde_json::{Value, json};

use crate::rig::{
    ROOT,
    answer::Answer,
    authorization_server::AuthorizationServer,
    bootstrap::Bootstrap,
    canaille::{self, Canaille},
    client::Request,
    envoy::Envoy,
    eventually,
    http_server::{HttpServer, whole},
    jose,
    signer::{Signer, now},
    strict_server::{self, StrictServer},
    upstream::Upstream,
};

/// The first configuration under a heading of the documentation, with some values replaced.
fn documented(file: &str, heading: &str, replaced: &[(&str, &str)]) -> Value {
    let text = fs::read_to_string(format!("{ROOT}/{file}")).expect(file);
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).expect(heading);
    let (_, block) = section.split_once("```yaml\n").expect("a block in YAML");
    let yaml = block.split("```").next().unwrap_or_default().to_owned();
    let yaml = replaced.iter().fold(yaml, |yaml, (old, new)| {
        assert!(yaml.contains(old), "{file}: no {old} under {heading}");
        yaml.replace(old, new)
    });
    serde_yaml_ng::from_str(&yaml).expect("YAML")
}

async fn readme(path: &str) -> Bootstrap {
    let plugin = documented("README.md", "The smallest configuration", &[("/token/introspection", path)]);
    Bootstrap::new(plugin)
        .environment("GATEWAY_CLIENT_SECRET", "gateway-secret")
        .environment("SIGNING_KEY", &jose::any_key().await.pem)
}

/// `GET /` with an access token; the status.
async fn get(envoy: &Envoy, token: &str) -> u16 {
    Request::get("/").bearer(token).send(envoy.address()).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smallest_configuration_of_readme_works_with_canaille() {
    let (server, upstream) = (Canaille::start().await, Upstream::start().await);
    let envoy = readme(canaille::INTROSPECTION).await;
    let envoy = envoy.cluster("authorization_server", server.address()).over_tls(canaille::HOST);
    let envoy = envoy.cluster("upstream", upstream.address()).start().await;
    for _ in 0..2 {
        let reply = Request::get("/").bearer(&server.token()).send(envoy.address()).await;
        assert_eq!(reply.status, 200, "{reply:?}\n{}", envoy.log());
        assert_ne!(reply.echoed_bearer(), server.token());
    }
    assert_eq!(get(&envoy, "of-nobody").await, 401);
    assert_eq!(upstream.requests(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smallest_configuration_of_readme_works_with_a_strict_server_under_istios_names() {
    let server = AuthorizationServer::start().await;
    let (strict, upstream) = (StrictServer::before(server.address()).await, Upstream::start().await);
    server.answer("good", Answer::active(json!({})));
    let mut envoy = readme("/introspect").await;
    if let Some(plugin) = &mut envoy.plugin {
        // As README says of Istio.
        plugin["providers"]["main"]["introspection"]["cluster"] = json!("outbound|443||as.example");
    }
    envoy.wasm_filter.configured_by_string = true;
    let envoy = envoy.cluster("outbound|443||as.example", strict.address());
    let envoy = envoy.over_tls(strict_server::HOST).over_http2();
    let envoy = envoy.cluster("upstream", upstream.address()).start().await;
    assert_eq!((get(&envoy, "good").await, get(&envoy, "bad").await), (200, 401), "{}", envoy.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smallest_configuration_for_jwts_works_with_a_strict_server() {
    let signer = Signer::new("ES256", "as");
    let server = AuthorizationServer::with_keys(&[signer.jwk()]).await;
    let (strict, upstream) = (StrictServer::before(server.address()).await, Upstream::start().await);
    let plugin = documented("docs/configuration.md", "Minimal, for JWTs", &[]);
    let envoy = Bootstrap::new(plugin).cluster("authorization_server", strict.address());
    let envoy = envoy.over_tls(strict_server::HOST).over_http2();
    let envoy = envoy.cluster("upstream", upstream.address()).start().await;
    let (good, bad) =
        (signer.access_token(&json!({})), signer.access_token(&json!({"aud": "https://other.example"})));
    assert_eq!((get(&envoy, &good).await, get(&envoy, &bad).await), (200, 401), "{}", envoy.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_names_the_scheme_and_the_host_that_a_strict_server_wants() {
    let signer = Signer::new("ES256", "as");
    let status = json!({"status_list": {"idx": 1, "uri": "https://as.example/statuslists/1"}});
    let token = |jti: &str| signer.access_token(&json!({"status": status, "jti": jti}));
    let tokens = [token("1"), token("2"), token("3")];
    let keys = json!({"keys": [signer.jwk()]});
    let behind = HttpServer::start(move |request| {
        let (content_type, body) = match request.uri().path() {
            "/jwks" => ("application/json", keys.to_string()),
            "/introspect" => ("application/json", json!({"active": true}).to_string()),
            "/poll" => ("application/json", json!({"sets": {}}).to_string()),
            path => {
                let claims = json!({"sub": format!("https://as.example{path}"), "iat": now(), "ttl": 60,
                    "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}});
                let header = json!({"alg": "ES256", "kid": "as", "typ": "statuslist+jwt"});
                ("application/statuslist+jwt", signer.sign(&header, &claims))
            }
        };
        let answer = Response::builder().header("content-type", content_type).body(whole(body));
        async move { Ok(answer.expect("an answer")) }
    })
    .await;
    let (strict, upstream) = (StrictServer::before(behind.address()).await, Upstream::start().await);
    let provider = |more: Value| {
        let mut provider = json!({
            "issuer": "https://as.example",
            "introspection": {"cluster": "as", "path": "/introspect", "auth": {"none": {}}, "retries": 0},
            "jwks": {"cluster": "as", "path": "/jwks"},
            "status_list": {"cluster": "as", "uri_prefixes": ["https://as.example/statuslists/"]},
        });
        let members = provider["introspection"].as_object_mut().expect("members");
        members.extend(more.as_object().expect("members").clone());
        provider
    };
    let policy = |provider: &str| json!({"strategy": "jwt_and_introspection", "provider": provider});
    let envoy = Bootstrap::new(json!({
        "providers": {
            "right": provider(json!({})),
            "other_scheme": provider(json!({"scheme": "http"})),
            "other_host": provider(json!({"authority": "other.example"})),
        },
        "policies": {
            "default": policy("right"),
            "other_scheme": policy("other_scheme"),
            "other_host": policy("other_host"),
        },
        "rules": [
            {"match": {"path": "/other-scheme"}, "policy": "other_scheme"},
            {"match": {"path": "/other-host"}, "policy": "other_host"},
        ],
        "revocation": {"security_events": {"provider": "right", "audiences": ["gateway"],
            "poll": {"cluster": "as", "path": "/poll", "interval": "1s"}}},
    }));
    let envoy = envoy.cluster("as", strict.address()).over_tls(strict_server::HOST).over_http2();
    let envoy = envoy.cluster("upstream", upstream.address()).start().await;
    assert_eq!(get(&envoy, &tokens[0]).await, 200, "{}", envoy.log());
    let paths = || strict.calls().iter().map(|call| call["path"].as_str().map(str::to_owned)).collect();
    let wanted = ["/introspect", "/jwks", "/poll", "/statuslists/1"].map(|path| Some(path.to_owned()));
    eventually("all calls", || async {
        let called: BTreeSet<Option<String>> = paths();
        (called == BTreeSet::from(wanted.clone())).then_some(())
    })
    .await;
    for call in strict.calls() {
        assert_eq!((&call["scheme"], &call["authority"]), (&json!("https"), &json!("as.example")), "{call}");
    }
    // The server is as strict as that.
    for (path, token, reason) in [
        ("/other-scheme", &tokens[1], "introspection_unreachable"),
        ("/other-host", &tokens[2], "introspection_status"),
    ] {
        let reply = Request::get(path).bearer(token).send(envoy.address()).await;
        let line = envoy.access_log_line(&format!("{path} ")).await;
        assert!(reply.status == 503 && line.ends_with(reason), "{line}");
    }
    assert!(envoy.log().contains("is this the server's own host and path?"), "{}", envoy.log());
}
