//! Where a token may stand in a request, and what becomes of it there.

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    client::Request,
    gateway::{Gateway, plugin},
    http2_frames,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_found_in_a_header_or_a_cookie_and_taken_out() {
    let gateway = start(json!({})).await;
    for request in [
        Request::get("/").bearer("good"),
        Request::get("/").header("x-access-token", "good"),
        Request::get("/").header("X-Access-Token", "good"),
        Request::get("/").header("cookie", "at=good"),
        Request::get("/").header("cookie", "theme=dark; at=good; lang=en"),
    ] {
        let reply = gateway.send(request).await;
        let jwt = reply.echoed_bearer();
        assert_eq!(jwt.split('.').count(), 3, "{jwt}");
        assert_eq!(reply.echoed("x-access-token"), [""; 0]);
        assert!(!reply.echoed("cookie").concat().contains("good"), "{:?}", reply.echoed("cookie"));
    }
    let other = gateway.send(Request::get("/").header("cookie", "theme=dark; at=good; lang=en")).await;
    assert_eq!(other.echoed("cookie"), ["theme=dark; lang=en"]);
    assert_eq!(gateway.send(Request::get("/").header("cookie", "bat=good; at2=good")).await.status, 401);
    assert_eq!(
        gateway.send(Request::get("/?access_token=good")).await.status,
        401,
        "RFC 6750 §2.3 is no source"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_one_token_is_a_bad_request() {
    let gateway = start(json!({})).await;
    for request in [
        Request::get("/").bearer("good").bearer("good"),
        Request::get("/").bearer("good").header("x-access-token", "good"),
        Request::get("/").bearer("good").header("cookie", "at=good"),
        Request::get("/").header("x-access-token", "good").header("cookie", "at=good"),
        Request::get("/").header("x-access-token", "good").header("x-access-token", "good"),
        Request::get("/").header("x-access-token", "good, good"),
        Request::get("/").header("cookie", "at=good; at=good"),
        Request::get("/").header("cookie", "at=good").header("cookie", "at=good"),
        Request::get("/").header("authorization", "Bearer good, Bearer good"),
    ] {
        let head = String::from_utf8_lossy(&request.head()).into_owned();
        let reply = gateway.send(request).await;
        assert_eq!(reply.status, 400, "{head}");
        assert!(
            reply.header("www-authenticate").expect("a challenge").contains("error=\"invalid_request\""),
            "{head}"
        );
    }
    assert_eq!((gateway.server.call_count(), gateway.upstream.requests()), (0, 0));
}

/// Where nothing depends on the path, `authorization` is all that is read of a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_token_beside_one_that_is_known_is_seen() {
    for jwks_path in ["/keys", ""] {
        let mut plugin = plugin().await;
        plugin["phantom_token"]["jwks_path"] = json!(jwks_path);
        plugin["policies"] = json!({"default": {"forward": {"authorization": "original"}}});
        let gateway = Gateway::with(plugin, |envoy| envoy).await;
        gateway.server.answer("good", Answer::active(json!({})));
        for _ in 0..5 {
            assert_eq!(gateway.get("good").await.echoed("authorization"), ["Bearer good"]);
        }
        for second in ["Bearer good", "Bearer bad", "Basic YTpi", "x"] {
            let request = Request::get("/").bearer("good").header("authorization", second);
            let reply = gateway.send(request).await;
            assert_eq!(reply.status, 400, "{jwks_path:?}, {second}: {reply:?}");
        }
        assert_eq!((gateway.server.call_count(), gateway.upstream.requests()), (1, 5));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_that_are_no_source_are_not_looked_at() {
    let gateway = start(json!({"token_sources": [{"header": "x-access-token"}]})).await;
    assert_eq!(gateway.get("good").await.status, 401);
    assert_eq!(gateway.send(Request::get("/").header("cookie", "at=good")).await.status, 401);
    let request = Request::get("/").header("x-access-token", "good");
    assert_eq!(gateway.send(request.clone()).await.status, 200);
    assert_eq!(
        gateway
            .send(request.clone().header("authorization", "Basic YTpi"))
            .await
            .echoed("authorization")
            .len(),
        1
    );
    let unlooked_at = gateway.send(request.bearer("another")).await;
    assert_eq!(
        unlooked_at.status, 400,
        "a token that nobody looks at does not travel along: {unlooked_at:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_stays_where_it_was_or_goes() {
    let gateway = start(json!({"strategy": "introspection"})).await;
    let reply = gateway.send(Request::get("/").header("x-access-token", "good")).await;
    assert_eq!(
        (reply.echoed("x-access-token"), reply.echoed("authorization")),
        (vec!["good".to_owned()], vec![])
    );
    let reply = gateway.send(Request::get("/").header("cookie", "at=good; theme=dark")).await;
    assert_eq!(reply.echoed("cookie"), ["at=good; theme=dark"]);

    let gateway = start(json!({"forward": {"authorization": "remove"}})).await;
    for request in [
        Request::get("/").bearer("good"),
        Request::get("/").header("x-access-token", "good"),
        Request::get("/").header("cookie", "at=good"),
    ] {
        let reply = gateway.send(request).await;
        for header in ["authorization", "x-access-token", "cookie"] {
            assert_eq!(reply.echoed(header), [""; 0], "{header}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_come_without_token_passes_without_any_of_its_traces() {
    let forward = json!({"claim_headers": {"x-user": "sub"}});
    let gateway = start(json!({"allow_missing": true, "forward": forward})).await;
    let anonymous = Request::get("/")
        .header("x-user", "root")
        .header("cookie", "theme=dark")
        .header("authorization", "Basic YTpi");
    let reply = gateway.send(anonymous).await;
    for header in ["authorization", "x-user"] {
        assert_eq!(reply.echoed(header), [""; 0], "{header}");
    }
    assert_eq!(reply.echoed("cookie"), ["theme=dark"]);
    let known = gateway.send(Request::get("/").header("cookie", "at=good").header("x-user", "root")).await;
    assert_eq!(known.echoed("x-user"), ["alice"]);
    for bad in [
        Request::get("/").header("cookie", "at=inactive"),
        Request::get("/").header("x-access-token", "inactive"),
        Request::get("/").bearer("inactive"),
    ] {
        assert_eq!(gateway.send(bad).await.status, 401, "a bad token is no missing one");
    }
    assert_eq!(gateway.send(Request::get("/").header("x-access-token", "not a token")).await.status, 401);
    for empty in [
        Request::get("/").header("cookie", "at="),
        Request::get("/").header("cookie", "at=\"\"; theme=dark"),
        Request::get("/").header("x-access-token", ""),
        Request::get("/").header("x-access-token", "").bearer("good"),
        Request::get("/").header("cookie", "at=").header("x-access-token", "good"),
    ] {
        assert_eq!(gateway.send(empty).await.status, 200, "what is empty is absent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claim_headers_are_ours_alone_under_every_policy() {
    let mut plugin = plugin().await;
    let headers = json!({"x-user": "sub", "x-roles": "roles", "x-scopes": "scope"});
    plugin["policies"] = json!({
        "default": {"forward": {"claim_headers": headers}},
        "public": {"strategy": "allow"},
        "plain": {},
    });
    plugin["rules"] = json!([
        {"match": {"path": "/public"}, "policy": "public"},
        {"match": {"path": "/plain"}, "policy": "plain"},
    ]);
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    gateway
        .server
        .answer("good", Answer::active(json!({"roles": ["reader", "writer"], "scope": "read write"})));
    gateway
        .server
        .answer("odd", Answer::active(json!({"sub": "a\r\nx-user: root", "roles": ["a,b"], "scope": null})));
    let forged = |path: &str, token: &str| {
        let request = Request::get(path).bearer(token).header("x-user", "root").header("X-User", "root");
        gateway.send(request.header("x-roles", "admin").header("x-scopes", "all"))
    };
    let reply = forged("/", "good").await;
    assert_eq!(reply.echoed("x-user"), ["alice"]);
    assert_eq!(reply.echoed("x-roles"), ["reader,writer"]);
    assert_eq!(reply.echoed("x-scopes"), ["read write"]);
    for (path, token) in [("/public", "good"), ("/public", "bad"), ("/plain", "good")] {
        let reply = forged(path, token).await;
        for header in ["x-user", "x-roles", "x-scopes"] {
            assert_eq!(reply.echoed(header), [""; 0], "{header} under {path}");
        }
    }
    let reply = forged("/", "odd").await;
    for header in ["x-user", "x-scopes"] {
        assert_eq!(reply.echoed(header), [""; 0], "{header}");
    }
    assert_ne!(reply.echoed("x-roles"), ["a,b"], "two roles would be read in one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claim_headers_are_ours_on_paths_that_no_policy_judges_and_in_trailers() {
    let mut plugin = plugin().await;
    let headers = json!({"x-user": "sub", "x-roles": "roles"});
    plugin["policies"] = json!({
        "default": {"forward": {"claim_headers": headers}},
        "public": {"strategy": "allow"},
    });
    plugin["rules"] = json!([{"match": {"path": "/public"}, "policy": "public"}]);
    plugin["revocation"] =
        json!({"endpoint": {"path": "/token/revocation", "provider": "main", "cluster": "upstream"}});
    // Says in a header which trailers there are.
    let lua = "function envoy_on_request(request)
        request:body(true)
        local trailers = request:trailers()
        if trailers == nil then return end
        local names = {}
        for name, _ in pairs(trailers) do table.insert(names, name) end
        request:headers():replace('x-trailers', table.concat(names, ' '))
    end";
    let gateway = Gateway::with(plugin, |envoy| {
        envoy.sees_answers().adjust(move |manager| {
            let lua = json!({"name": "lua", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string": lua},
            }});
            let filters = manager["http_filters"].as_array_mut().expect("filters");
            filters.insert(filters.len() - 1, lua);
        })
    })
    .await;
    gateway.server.answer("good", Answer::active(json!({"roles": ["reader"]})));
    let watched = Request::post("/token/revocation", "token=tok")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-user", "root")
        .header("x-roles", "admin");
    let reply = gateway.send(watched).await;
    for header in ["x-user", "x-roles"] {
        assert_eq!(reply.echoed(header), [""; 0], "{header} on the watched path");
    }

    let trailers =
        [("x-user", "root"), ("x-note", "kept"), ("authorization", "Bearer b"), ("x-roles", "admin")];
    for (path, token) in [("/public", ""), ("/token/revocation", ""), ("/", "Bearer good")] {
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "api.example"),
            (":path", path),
            ("authorization", token),
        ];
        let connection = http2_frames::Connection::open(gateway.envoy.address()).await.expect("a connection");
        let body = connection.send(&headers, Some(&trailers)).await.expect("an answer");
        let echo: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(echo["headers"]["x-trailers"], json!(["x-note"]), "the trailers under {path}");
    }
}

/// A gateway with all kinds of sources, where `good` is an active token.
async fn start(policy: Value) -> Gateway {
    let mut plugin = plugin().await;
    let sources = json!(["authorization_header", {"header": "x-access-token"}, {"cookie": "at"}]);
    plugin["policies"] = json!({"default": {"token_sources": sources}});
    let default = plugin["policies"]["default"].as_object_mut().expect("a policy");
    default.extend(policy.as_object().expect("a policy").clone());
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    gateway.server.answer("good", Answer::active(json!({})));
    gateway
}
