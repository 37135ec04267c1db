//! Protected resource metadata (RFC 9728): what a client sees that knows the API's URL and nothing else.

use std::fs;

use serde_json::{Value, json};

use crate::rig::{
    ROOT,
    answer::Answer,
    client::{Reply, Request},
    gateway::Gateway,
};

const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_finds_its_way_from_the_401_alone() {
    let page = fs::read_to_string(format!("{ROOT}/docs/mcp.md")).expect("the page");
    let gateway = start(configuration(&page)).await;

    let refused = gateway.send(Request::get("/mcp")).await;
    let challenge = refused.header("www-authenticate").expect("a challenge").to_owned();
    assert_eq!(
        (refused.status, refused.header("access-control-expose-headers")),
        (401, Some("WWW-Authenticate"))
    );
    assert!(page.contains(&format!("www-authenticate: {challenge}\n")), "{challenge}");

    let url = challenge.split("resource_metadata=\"").nth(1).and_then(|rest| rest.split('"').next());
    let path = url.and_then(|url| url.strip_prefix("https://api.example")).expect("a URL of this host");
    let document = gateway.send(Request::get(path)).await;
    assert_eq!((document.status, document.header("content-type")), (200, Some("application/json")));
    assert_eq!(document.header("cache-control"), Some("public, max-age=300"));
    let shown: Value = serde_json::from_str(block(&page, "json")).expect("JSON");
    assert_eq!(document.json(), shown);

    // With a token for this resource it gets in, with one for another or for none it does not.
    gateway.server.answer_with(move |token| {
        let audience = match token {
            "ours" => json!(["https://other.example", shown["resource"]]),
            "others" => json!("https://api.example/mcp/"),
            _ => return Answer::active(json!({"scope": "tools"})),
        };
        Answer::active(json!({"scope": "tools", "aud": audience}))
    });
    assert_eq!(gateway.send(Request::get("/mcp").bearer("ours")).await.status, 200);
    for token in ["others", "nobodys"] {
        let judged = gateway.judged(&format!("/{token}"), token).await;
        assert_eq!(judged, (401, "token_for_other_audience".to_owned()), "{token}");
    }
    assert_eq!(gateway.upstream.requests(), 1, "no request for the metadata reaches a service");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_answered_to_scripts_of_any_origin_by_every_method_that_reads() {
    let page = fs::read_to_string(format!("{ROOT}/docs/mcp.md")).expect("the page");
    let gateway = start(configuration(&page)).await;
    let origin = |reply: &Reply| reply.header("access-control-allow-origin").map(str::to_owned);

    let got = gateway.send(Request::get(METADATA).header("origin", "https://app.example")).await;
    let head = gateway.send(Request::new("HEAD", METADATA)).await;
    for reply in [&got, &head] {
        assert_eq!((reply.status, origin(reply).as_deref()), (200, Some("*")), "{reply:?}");
    }
    assert_eq!(head.header("content-type"), got.header("content-type"));
    assert_eq!(
        head.header("content-length"),
        got.header("content-length"),
        "of the document, not of nothing"
    );

    let preflight = Request::new("OPTIONS", METADATA)
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "mcp-protocol-version");
    let preflight = gateway.send(preflight).await;
    assert_eq!((preflight.status, origin(&preflight).as_deref()), (204, Some("*")));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("*"));
    assert!(preflight.body.is_empty() && preflight.header("content-type").is_none(), "{preflight:?}");

    let post = gateway.send(Request::post(METADATA, "{}")).await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    let line = gateway.envoy.access_log_line(" 405 ").await;
    assert!(line.ends_with("protected_resource_method_not_allowed"), "{line}");
    // A token that stands there is nobody's business.
    assert_eq!(gateway.send(Request::get(METADATA).bearer("any")).await.status, 200);
    assert_eq!((gateway.server.call_count(), gateway.upstream.requests()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_on_its_own_host_and_path_only() {
    let page = fs::read_to_string(format!("{ROOT}/docs/mcp.md")).expect("the page");
    let mut plugin = configuration(&page);
    plugin["protected_resources"]["files"] = json!({"resource": "https://api.example/files"});
    plugin["policies"]["files"] = json!({"strategy": "introspection", "resource": "files"});
    plugin["rules"] = json!([{"match": {"path_prefix": "/files"}, "policy": "files"}]);
    let gateway = start(plugin).await;
    for name in ["mcp", "files"] {
        let refused = gateway.send(Request::get(&format!("/{name}"))).await;
        let url = format!("https://api.example/.well-known/oauth-protected-resource/{name}");
        let challenge = refused.header("www-authenticate").expect("a challenge");
        assert!(challenge.contains(&format!("resource_metadata=\"{url}\"")), "{challenge}");
        for host in ["api.example", "API.example:443"] {
            let path = format!("/.well-known/oauth-protected-resource/{name}");
            let document = gateway.send(Request::new_at("GET", host, &path)).await;
            assert_eq!(document.json()["resource"], format!("https://api.example/{name}"));
            assert_eq!(document.json()["authorization_servers"], json!(["https://as.example"]));
        }
    }
    for (host, path) in [
        ("evil.example", METADATA),
        ("api.example:8443", METADATA),
        ("api.example.evil.example", METADATA),
        ("api.example", "/.well-known/oauth-protected-resource"),
        ("api.example", "/.well-known/oauth-protected-resource/"),
        ("api.example", "/.well-known/oauth-protected-resource/mcp/"),
        ("api.example", "/.well-known/oauth-protected-resource/MCP"),
        ("api.example", "/mcp/.well-known/oauth-protected-resource"),
    ] {
        let reply = gateway.send(Request::new_at("GET", host, path)).await;
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert_eq!(reply.status, 401, "{host}{path}");
        assert!(!challenge.contains("evil"), "{challenge}");
    }
    assert_eq!(gateway.upstream.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_needs_no_route() {
    let page = fs::read_to_string(format!("{ROOT}/docs/mcp.md")).expect("the page");
    let gateway = Gateway::with(configuration(&page), |envoy| {
        envoy.environment("GATEWAY_CLIENT_SECRET", "gw-secret").adjust(|manager| {
            manager["route_config"]["virtual_hosts"][0]["domains"] = json!(["other.example"]);
        })
    })
    .await;
    let document = gateway.send(Request::get(METADATA)).await;
    assert_eq!(document.json()["resource"], "https://api.example/mcp");
    // The resource itself has none, and its host none either.
    gateway
        .server
        .answer("good", Answer::active(json!({"scope": "tools", "aud": "https://api.example/mcp"})));
    assert_eq!(gateway.send(Request::get("/mcp").bearer("good")).await.status, 404);
}

/// The configuration that the page shows.
fn configuration(page: &str) -> Value {
    serde_yaml_ng::from_str(block(page, "yaml")).expect("YAML")
}

/// The first block of this language in the page.
fn block<'p>(page: &'p str, language: &str) -> &'p str {
    let blocks = page.split(&format!("```{language}\n")).nth(1);
    blocks.and_then(|rest| rest.split("```").next()).expect(language)
}

async fn start(plugin: Value) -> Gateway {
    Gateway::with(plugin, |envoy| envoy.environment("GATEWAY_CLIENT_SECRET", "gw-secret")).await
}
