//! Clients of the Model Context Protocol, by its own SDK: from a URL alone to an answer, and as a second reader of protected
//! resource metadata (RFC 9728).

use serde_json::{Value, json};

use crate::rig::{
    client::Request,
    example::Example,
    gateway::Gateway,
    jose,
    mcp::{self, McpServer},
    oidc_provider::OidcProvider,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_mcp_client_goes_from_the_401_to_the_answer_by_itself() {
    let (authorization_server, service) = (OidcProvider::start().await, McpServer::start().await);
    let example = Example::read("mcp")
        .server(9000, authorization_server.address())
        .server(9001, service.address())
        .environment("SIGNING_KEY", &jose::any_key().await.pem);
    let envoy = example.start().await;
    let server = format!("http://{}/mcp", envoy.address());

    let visit = mcp::visit(&server, ("app", "app-secret"), "tools").await;

    let issuer = authorization_server.issuer();
    let asked: Vec<&str> = visit.asked.iter().map(String::as_str).collect();
    let way = [
        format!("POST {server} 401"),
        format!("GET http://{}/.well-known/oauth-protected-resource/mcp 200", envoy.address()),
        format!("GET {issuer}/.well-known/oauth-authorization-server 200"),
        format!("POST {issuer}/token 200"),
        format!("POST {server} 200"),
    ];
    assert!(asked.starts_with(&way.each_ref().map(String::as_str)), "{asked:#?}");
    assert!(asked[5..].iter().all(|it| !it.ends_with("401") && !it.contains(&issuer)), "{asked:#?}");
    // What the service got is signed by the gateway, for this service.
    let keys = Request::get("/.well-known/jwks.json").send(envoy.address()).await.json();
    let jwt = visit.authorization.strip_prefix("Bearer ").expect("a bearer token").to_owned();
    let claims = jose::verify(&[jwt], &keys).await.remove(0).claims;
    assert_eq!(
        (&claims["iss"], &claims["client_id"], &claims["scope"]),
        (&json!("https://gateway.example"), &json!("app"), &json!("tools"))
    );

    // One that the same server issued for something else is none for this.
    for token in
        [authorization_server.token("tools").await, authorization_server.token_for_audience("tools").await]
    {
        let refused = Request::post("/mcp", "{}").bearer(&token).send(envoy.address()).await;
        assert_eq!(refused.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_mcp_client_accepts_the_metadata_of_every_form_of_resource() {
    let resources = [
        "https://root.example",
        "https://slash.example/",
        "https://path.example/v1",
        "https://path.example/v1/deeper/still",
        "https://slash.example/v1/",
        "https://port.example:8443/v1",
        "https://port.example:9443",
        "https://query.example/v1?tenant=a",
        "https://escaped.example/a%20b/~c;d=1",
        "https://UPPER.Example/V1",
        "https://[2001:db8::1]:8443/v1",
        "https://192.0.2.1/v1",
    ];
    let named = |index: usize| format!("resource-{index}");
    let plugin = json!({
        "providers": {"main": {
            "issuer": "https://as.example",
            "introspection": {
                "cluster": "authorization_server", "path": "/introspect",
                "auth": {"client_secret_basic": {"client_id": "gw", "client_secret": {"inline": "secret"}}},
            },
        }},
        "protected_resources": resources.iter().enumerate()
            .map(|(index, resource)| (named(index), json!({"resource": resource}))).collect::<serde_json::Map<_, _>>(),
        "policies": resources.iter().enumerate()
            .map(|(index, _)| (named(index), json!({"strategy": "introspection", "resource": named(index)})))
            .chain([("default".to_owned(), json!({"strategy": "introspection"}))])
            .collect::<serde_json::Map<_, _>>(),
        "rules": rules(&resources, named),
    });
    let gateway = Gateway::with(plugin, |envoy| envoy).await;

    let read = mcp::read_metadata(gateway.envoy.address(), &resources).await;

    for resource in resources {
        let of = &read[resource];
        let expected = json!({"resource": resource, "authorization_servers": ["https://as.example"]});
        assert_eq!(of["metadata"], expected, "{resource}: {of}");
    }
}

/// To each resource its policy: by host, and by path where a host has several.
fn rules(resources: &[&str], policy: impl Fn(usize) -> String) -> Vec<Value> {
    let rule = |(index, resource): (usize, &&str)| {
        let (host, rest) =
            resource.trim_start_matches("https://").split_once('/').unwrap_or_else(|| (&resource[8..], ""));
        let path = rest.split('?').next().unwrap_or_default();
        json!({"match": {"hosts": [host.to_lowercase()], "path": format!("/{path}")}, "policy": policy(index)})
    };
    resources.iter().enumerate().map(rule).collect()
}
