//! What each strategy forwards, what `require` keeps out, and which headers a client cannot smuggle in.

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    client::Request,
    gateway::{Gateway, plugin},
    oidc_provider::OidcProvider,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn introspection_forwards_the_original_token() {
    let plugin = with_default_policy(json!({"strategy": "introspection"})).await;
    let gateway = Gateway::with_oidc_provider(OidcProvider::start().await, plugin, |envoy| envoy).await;
    let access_token = gateway.server.token("read").await;
    assert_eq!(gateway.get(&access_token).await.echoed_bearer(), access_token);
    assert_eq!(gateway.get("unknown").await.status, 401);
    assert_eq!(gateway.upstream.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allow_lets_requests_pass_untouched() {
    let gateway = Gateway::with(with_default_policy(json!({"strategy": "allow"})).await, |envoy| envoy).await;
    assert_eq!(gateway.send(Request::get("/")).await.echoed("authorization"), [""; 0]);
    assert_eq!(gateway.get("anything").await.echoed_bearer(), "anything");
    assert_eq!(gateway.server.call_count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_token_may_be_allowed_but_never_a_bad_one() {
    let gateway =
        Gateway::with(with_default_policy(json!({"allow_missing": true})).await, |envoy| envoy).await;
    let anonymous = Request::get("/").header("authorization", "Basic YTpi");
    assert_eq!(gateway.send(anonymous).await.echoed("authorization"), [""; 0]);
    assert_eq!(gateway.get("unknown").await.status, 401);
    assert_eq!(gateway.send(Request::get("/").header("authorization", "Bearer")).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_choose_the_policy() {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {}, "public": {"strategy": "allow"}});
    plugin["rules"] = json!([{"match": {"path": "/healthz", "methods": ["GET"]}, "policy": "public"}]);
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    assert_eq!(gateway.send(Request::get("/healthz")).await.status, 200);
    assert_eq!(gateway.send(Request::get("/healthz?verbose")).await.status, 200);
    assert_eq!(gateway.send(Request::get("/healthz/..")).await.status, 401);
    assert_eq!(gateway.send(Request::post("/healthz", "")).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_was_authenticated_too_long_ago_is_sent_to_do_so_again() {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"require": {"acr_values": ["mfa"], "max_age": "1h"}}});
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (token, said, wanted) in [
        ("fresh", json!({"acr": "mfa", "auth_time": now}), 200),
        ("old", json!({"acr": "mfa", "auth_time": now - 3600}), 401),
        ("weak", json!({"acr": "pwd", "auth_time": now}), 401),
    ] {
        gateway.server.answer(token, Answer::active(said));
        let reply = gateway.get(token).await;
        assert_eq!(reply.status, wanted, "{token}");
        if wanted == 401 {
            let challenge = reply.header("www-authenticate").unwrap();
            assert!(challenge.contains("error=\"insufficient_user_authentication\""), "{challenge}");
            assert!(challenge.ends_with(", acr_values=\"mfa\", max_age=\"3600\""), "{challenge}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_own_name_of_the_route_chooses_the_policy() {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {}, "public": {"strategy": "allow"}});
    plugin["rules"] = json!([{"match": {"route_names": ["open"]}, "policy": "public"}]);
    let route = |name: &str, prefix: &str| json!({"name": name, "match": {"prefix": prefix}, "route": {"cluster": "upstream"}});
    let gateway =
        Gateway::with(plugin, |envoy| envoy.route(route("open", "/open")).route(route("closed", "/closed")));
    let gateway = gateway.await;
    for (path, status) in
        [("/open", 200), ("/opening", 200), ("/closed", 401), ("/unnamed", 401), ("/Open", 401)]
    {
        assert_eq!(gateway.send(Request::get(path)).await.status, status, "{path}");
    }
    gateway.server.answer("tok", Answer::active(json!({})));
    let named = Request::get("/closed").bearer("tok");
    assert_eq!(gateway.send(named).await.status, 200);
}

/// The filter takes away what a client says of itself, and Envoy then chooses the route again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_header_that_is_taken_away_chooses_the_route_that_a_policy_hangs_on() {
    let open = json!({"name": "open", "match": {"prefix": "/", "headers": [{"name": "x-tenant", "string_match": {"exact": "open"}}]},
        "request_headers_to_add": [{"header": {"key": "x-route", "value": "open"}}],
        "route": {"cluster": "upstream"}, "metadata": {"filter_metadata": {"phantom_token_filter": {"policy": "public"}}}});
    for hangs_on_the_route in [
        json!({"rules": [{"match": {"route_names": ["open"]}, "policy": "public"}]}),
        json!({"policy_from": "route_metadata"}),
    ] {
        let mut plugin = plugin().await;
        plugin["policies"] = json!({"default": {"forward": {"claim_headers": {"x-tenant": "tenant"}}}, "public": {"strategy": "allow"}});
        plugin.as_object_mut().unwrap().extend(hangs_on_the_route.as_object().unwrap().clone());
        let gateway = Gateway::with(plugin, |envoy| envoy.route(open.clone())).await;
        assert_eq!(gateway.send(Request::get("/")).await.status, 401);
        for value in ["open", "other"] {
            let reply = gateway.send(Request::get("/").header("x-tenant", value)).await;
            let route = || reply.echoed("x-route");
            assert_ne!(reply.status, 200, "{hangs_on_the_route} {value}, on {:?}", route());
        }
        gateway.server.answer("tok", Answer::active(json!({"tenant": "acme"})));
        assert_eq!(gateway.get("tok").await.echoed("x-tenant"), ["acme"]);
        assert_eq!(gateway.upstream.requests(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_token_is_refused_by_its_type() {
    let gateway = Gateway::start().await;
    gateway.server.answer("a-refresh-token", Answer::active(json!({"token_type": "refresh_token"})));
    gateway.server.answer("lower-case", Answer::active(json!({"token_type": "bearer"})));
    gateway.server.answer("without-type", Answer::active(json!({"token_type": null})));
    let refused = gateway.get("a-refresh-token").await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (401, Some("invalid_token")));
    assert_eq!(gateway.get("lower-case").await.status, 200);
    assert_eq!(gateway.get("without-type").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_cannot_send_claim_headers_themselves() {
    let forward = json!({"claim_headers": {"x-user": "sub", "x-tenant": "tenant"}});
    let gateway = Gateway::with(with_default_policy(json!({"forward": forward})).await, |envoy| envoy).await;
    gateway.server.answer("alice", Answer::active(json!({})));
    gateway.server.answer("machine", Answer::active(json!({"sub": null, "tenant": "acme"})));
    let forged = |access_token: &str| {
        let request = Request::get("/").bearer(access_token);
        request.header("X-User", "root").header("x-user", "admin").header("x-tenant", "other")
    };
    let of_alice = gateway.send(forged("alice")).await;
    assert_eq!(of_alice.echoed("x-user"), ["alice"]);
    assert_eq!(of_alice.echoed("x-tenant"), [""; 0]);
    let of_machine = gateway.send(forged("machine")).await;
    assert_eq!(of_machine.echoed("x-user"), [""; 0]);
    assert_eq!(of_machine.echoed("x-tenant"), ["acme"]);
}

async fn with_default_policy(policy: Value) -> Value {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": policy});
    plugin
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preflight_may_pass_and_a_bad_token_may_count_as_none() {
    let forward = json!({"claim_headers": {"x-user": "sub"}});
    let policy = json!({"allow_preflight": true, "allow_missing": "missing_or_invalid", "forward": forward});
    let mut plugin = with_default_policy(policy).await;
    plugin["policies"]["strict"] = json!({"allow_preflight": true});
    plugin["rules"] = json!([{"match": {"path": "/strict"}, "policy": "strict"}]);
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    gateway.server.answer("good", Answer::active(json!({})));
    gateway.server.answer("in-trouble", Answer::status(500));
    let preflight = |path: &str| {
        let request = Request::new("OPTIONS", path).header("origin", "https://app.example");
        request.header("access-control-request-method", "PUT").header("x-user", "root")
    };
    for request in [preflight("/strict"), preflight("/strict").bearer("bad")] {
        let reply = gateway.send(request).await;
        assert_eq!((reply.echoed("authorization"), reply.echoed("x-user")), (vec![], vec![]));
    }
    assert_eq!(gateway.send(preflight("/strict").body("x")).await.status, 401, "no browser sends a body");
    assert_eq!(gateway.send(Request::new("OPTIONS", "/strict")).await.status, 401);
    assert_eq!(gateway.server.call_count(), 0);

    for authorization in ["Bearer unknown", "Bearer unknown", "Bearer", "Bearer a b", "Bearer\tgood"] {
        let request = Request::get("/").header("authorization", authorization).header("x-user", "root");
        let reply = gateway.send(request).await;
        assert_eq!((reply.echoed("authorization"), reply.echoed("x-user")), (vec![], vec![]));
    }
    assert_eq!(gateway.get("good").await.echoed("x-user"), ["alice"]);
    assert_eq!(gateway.get("in-trouble").await.status, 503);
    assert_eq!(gateway.send(Request::get("/").bearer("a").bearer("b")).await.status, 400);
}
