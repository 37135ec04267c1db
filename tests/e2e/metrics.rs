//! What operators see: counters that add up, access logs that give the reason; and the key set, for everyone to see.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::rig::{
    ROOT,
    answer::{Answer, Gate},
    authorization_server::AuthorizationServer,
    client::Request,
    eventually,
    gateway::{Gateway, plugin},
    host::Host,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_counted_once() {
    let mut plugin = plugin().await;
    plugin["policies"] =
        json!({"default": {"require": {"scopes": ["read"]}}, "public": {"strategy": "allow"}});
    plugin["rules"] = json!([{"match": {"path": "/public"}, "policy": "public"}]);
    plugin["providers"]["main"]["introspection"]["retries"] = json!(0);
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(2)).await;
    gateway.server.answer("good", Answer::active(json!({})));
    gateway.server.answer("other-scope", Answer::active(json!({"scope": "write"})));
    gateway.server.answer("in-trouble", Answer::status(500));
    let requests = [
        (Request::get("/").bearer("good"), 3, 200),
        (Request::get("/public"), 2, 200),
        (Request::get("/"), 2, 401),
        (Request::get("/").bearer("not a token"), 1, 401),
        (Request::get("/").bearer("one").bearer("two"), 1, 400),
        (Request::get("/").bearer("inactive"), 4, 401),
        (Request::get("/").bearer("other-scope"), 2, 403),
        (Request::get("/").bearer("in-trouble"), 2, 503),
    ];
    let mut sent = 0;
    for (request, times, status) in requests {
        for _ in 0..times {
            assert_eq!(gateway.send(request.clone()).await.status, status);
            sent += 1;
        }
    }
    gateway.jwks().await; // our own answer, no request for a verdict

    for (name, expected) in [
        ("requests.forwarded", 5),
        ("requests.denied.missing_token", 2),
        ("requests.denied.invalid_request", 1),
        ("requests.denied.invalid_token", 5),
        ("requests.denied.insufficient_scope", 2),
        ("requests.unavailable", 2),
        ("cache.miss", 5),
        ("cache.hit", 3),
        ("cache.negative_hit", 3),
        ("cache.coalesced", 0),
        ("introspection.active", 2),
        ("introspection.inactive", 1),
        ("introspection.error", 2),
        ("jwt.minted", 1),
    ] {
        assert_eq!(gateway.envoy.counter(name).await, expected, "{name}");
    }
    let outcomes = gateway.envoy.stats("phantom_token.requests").await;
    assert_eq!(outcomes.values().sum::<u64>(), sent, "{outcomes:?}");
    assert_eq!(gateway.upstream.requests(), 5);
}

/// The statistics of the sample.
fn of_sample() -> Value {
    let sample = fs::read_to_string(format!("{ROOT}/envoy/envoy.yaml")).expect("the sample");
    serde_yaml_ng::from_str::<Value>(&sample).expect("YAML")["stats_config"].clone()
}

/// What Istio 1.31 makes of `sidecar.istio.io/extraStatTags: provider,transmitter,policy,reason`, with the tags of its own that may
/// stand anywhere in a name.
fn of_istio() -> Value {
    let extra =
        ["provider", "transmitter", "policy", "reason"].map(|tag| (tag, format!(r"({tag}=\.=(.*?);\.;)")));
    let own = [
        ("response_code", r"_rq(_(\d{3}))$"),
        ("response_code_class", r"_rq(_(\dxx))$"),
        ("cache", r"(cache\.(.+?)\.)"),
        ("component", r"(component\.(.+?)\.)"),
        ("tag", r"(tag\.(.+?);\.)"),
        ("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
        ("authz_enforce_result", r"rbac(\.(allowed|denied))"),
        ("authz_dry_run_action", r"(\.istio_dry_run_(allow|deny)_)"),
        ("authz_dry_run_result", r"(\.shadow_(allowed|denied))"),
    ];
    let own = own.map(|(tag, regex)| (tag, regex.to_owned()));
    let tags = extra.into_iter().chain(own).map(|(tag, regex)| json!({"tag_name": tag, "regex": regex}));
    json!({
        "use_all_default_tags": false,
        "stats_tags": tags.collect::<Vec<_>>(),
        "stats_matcher": {"inclusion_list": {"patterns": [{"prefix": Host::tested().statistics()}]}},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provider_policy_and_reason_are_labels_in_prometheus() {
    for (whose, stats_config) in [("the sample's", of_sample()), ("Istio's", of_istio())] {
        let mut plugin = plugin().await;
        plugin["policies"] = json!({
            "default": {},
            "cache.tag.web": {"require": {"scopes": ["admin"]}},
            "public": {"strategy": "allow"},
        });
        plugin["rules"] = json!([
            {"match": {"path": "/web"}, "policy": "cache.tag.web"},
            {"match": {"path": "/public"}, "policy": "public"},
        ]);
        plugin["providers"]["main"]["introspection"]["retries"] = json!(0);
        let gateway = Gateway::with(plugin, |envoy| envoy.workers(2).stats_config(stats_config)).await;
        gateway.server.answer("good", Answer::active(json!({})));
        gateway.server.answer("in-trouble", Answer::status(500));
        for (path, access_token) in
            [("/", "good"), ("/", "good"), ("/web", "good"), ("/", "bad"), ("/", "in-trouble")]
        {
            gateway.send(Request::get(path).bearer(access_token)).await;
        }
        gateway.send(Request::get("/web")).await;
        gateway.send(Request::get("/public")).await;

        let metrics = labelled(gateway.envoy.prometheus().await);
        let expected = [
            ("requests_forwarded", "policy=default", 2.0),
            ("requests_forwarded", "policy=public", 1.0),
            ("requests_forwarded", "policy=cache_tag_web", 0.0),
            ("requests_denied_missing_token", "policy=cache_tag_web reason=missing_token", 1.0),
            ("requests_denied_insufficient_scope", "policy=cache_tag_web reason=insufficient_scope", 1.0),
            ("requests_denied_invalid_token", "policy=default reason=token_inactive", 1.0),
            ("requests_unavailable", "policy=default provider=main reason=introspection_status", 1.0),
            ("cache_hit", "policy=default provider=main", 1.0),
            ("cache_hit", "policy=cache_tag_web provider=main", 1.0),
            ("cache_miss", "policy=default provider=main", 3.0),
            ("cache_stale", "policy=default provider=main", 0.0),
            ("cache_evicted", "", 0.0),
            ("introspection_active", "provider=main", 1.0),
            ("introspection_inactive", "provider=main", 1.0),
            ("introspection_timeout", "provider=main", 0.0),
            ("introspection_error", "provider=main reason=introspection_status", 1.0),
            ("jwt_minted", "provider=main", 1.0),
        ];
        for (name, labels, value) in expected {
            let name = format!("phantom_token_{name}");
            let of_name = metrics.get(&name).unwrap_or_else(|| panic!("{whose}: no {name} in {metrics:#?}"));
            assert_eq!(of_name.get(labels), Some(&value), "{whose}: {name}: {of_name:?}");
        }
        let unknown = metrics.keys().find(|name| name.contains("=") || name.contains("epoch"));
        assert_eq!(unknown, None, "{whose}: what is in no label, or of no use to anybody");
    }
}

/// Series by name and by their labels, in order; without buckets, and without the labels that tell one Envoy's workers and
/// the like.
fn labelled(series: BTreeMap<String, f64>) -> BTreeMap<String, BTreeMap<String, f64>> {
    let mut labelled: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for (series, value) in series {
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap_or((&series, ""));
        let mut labels: Vec<String> = labels.split(',').map(|label| label.replace('"', "")).collect();
        labels.sort();
        labelled.entry(name.to_owned()).or_default().insert(labels.join(" "), value);
    }
    labelled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gauges_tell_what_is_under_way_and_what_is_there() {
    let gateway = Gateway::with(plugin().await, |envoy| envoy.workers(2).stats_config(of_sample())).await;
    let gate = Gate::closed();
    gateway.server.answer("slow", Answer::active(json!({})).behind(&gate));
    let (slow, ()) = tokio::join!(gateway.get("slow"), async {
        gateway.shows("requests_waiting", "", 1.0).await;
        gateway.shows("introspection_under_way", "provider=main", 1.0).await;
        gate.open();
    });
    assert_eq!(slow.status, 200);
    gateway.shows("requests_waiting", "", 0.0).await;
    gateway.shows("introspection_under_way", "provider=main", 0.0).await;
    gateway.shows("introspection_answers", "provider=main", 1.0).await;
    gateway.shows("cache_entries", "", 1.0).await;
    let version = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse::<f64>().expect("a number"));
    gateway.shows("version", "", version.fold(0.0, |version, part| version * 1e3 + part)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_start_one_probe_tells_whether_the_server_answers() {
    for (answer, up, line) in [
        (Answer::inactive(), 1.0, r#"provider "main": answers, after "#),
        (
            Answer::status(401),
            0.0,
            r#"provider "main": does not answer as it should: our credentials were refused"#,
        ),
        (Answer::active(json!({})), 0.0, r#"provider "main": it calls a token active that was made up"#),
    ] {
        let mut plugin = plugin().await;
        plugin["providers"]["main"]["introspection"]["probe"] = json!(true);
        let server = AuthorizationServer::start().await;
        server.answer_all(answer);
        let gateway =
            Gateway::with_server(server, plugin, |envoy| envoy.workers(2).stats_config(of_sample())).await;
        gateway.shows("introspection_answers", "provider=main", up).await;
        let log = gateway.envoy.log();
        assert_eq!(log.matches(line).count(), 1, "{log}");
        assert_eq!(gateway.server.call_count(), 1, "one of all workers asks, once");
    }
}

impl Gateway {
    /// Waits until Prometheus would see this.
    async fn shows(&self, name: &str, labels: &str, value: f64) {
        let name = format!("phantom_token_{name}");
        eventually(&format!("{name} {labels} at {value}"), || async {
            let seen = labelled(self.envoy.prometheus().await).get(&name)?.get(labels).copied();
            (seen == Some(value)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_shows_in_a_bucket_of_its_own() {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["retries"] = json!(0);
    let gateway = Gateway::with(plugin, |envoy| envoy.stats_config(of_sample())).await;
    gateway.server.answer("good", Answer::active(json!({})));
    gateway.server.answer("slow", Answer::hang());
    assert_eq!(gateway.get("good").await.status, 200);
    assert_eq!(gateway.get("slow").await.status, 503);
    // Envoy gathers histograms every 5 s.
    let buckets = eventually("both in the histogram", || async {
        let buckets = labelled(gateway.envoy.prometheus().await)
            .remove("phantom_token_introspection_duration_ms_bucket")?;
        (buckets.get("le=+Inf provider=main") == Some(&2.0)).then_some(buckets)
    })
    .await;
    // Where the machine is busy, Envoy's own timer of 2 s goes off some hundred milliseconds early or late.
    assert_eq!(buckets["le=1000 provider=main"], 1.0, "{buckets:?}");
    assert_eq!(buckets["le=10000 provider=main"], 2.0, "{buckets:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_without_answer_are_counted_as_such() {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!("100ms");
    plugin["providers"]["main"]["introspection"]["retries"] = json!(2);
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    gateway.server.answer_all(Answer::hang());
    assert_eq!(gateway.get("any").await.status, 503);
    assert_eq!(gateway.envoy.counter("introspection.timeout").await, 3);
    assert_eq!(gateway.envoy.counter("requests.unavailable").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_log_can_tell_who_asked_and_what_became_of_it() {
    let format = ["outcome", "policy", "client_id", "sub", "cache", "provider", "token"]
        .map(|name| format!("%FILTER_STATE(wasm.phantom_token.{name}:PLAIN)%"));
    let mut plugin = plugin().await;
    plugin["access_log"] = json!({"hits": true});
    plugin["policies"] = json!({"default": {}, "admin": {"require": {"scopes": ["admin"]}}});
    plugin["rules"] = json!([{"match": {"path": "/admin"}, "policy": "admin"}]);
    let gateway = Gateway::with(plugin, |envoy| {
        envoy.adjust(move |manager| {
            let log = &mut manager["access_log"][0]["typed_config"]["log_format"];
            log["text_format_source"]["inline_string"] = json!(format.join(" ") + "\n");
        })
    })
    .await;
    gateway.server.answer("good", Answer::active(json!({})));
    gateway.server.answer("reader", Answer::active(json!({"scope": "read"})));
    gateway.server.answer("writer", Answer::active(json!({"scope": "admin"})));
    for (access_token, path, line) in [
        ("good", "/", "forwarded default app alice miss main "),
        ("good", "/", "forwarded default app alice hit main "),
        ("good", "/admin", "insufficient_scope admin app - hit main "),
        ("writer", "/admin", "forwarded admin app alice miss main "),
        ("reader", "/admin", "insufficient_scope admin app - miss main "),
        ("inactive", "/", "token_inactive default - - miss main "),
        ("inactive", "/", "token_inactive default - - negative_hit main "),
        ("not a token", "/", "malformed_token default - - - - -"),
    ] {
        gateway.send(Request::get(path).bearer(access_token)).await;
        gateway.envoy.access_log_line(line).await;
    }
    let log = gateway.envoy.access_log();
    let tokens: Vec<&str> = log.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert!(tokens[0].len() == 8 && tokens[0].bytes().all(|byte| byte.is_ascii_hexdigit()), "{log}");
    assert_eq!(tokens[0], tokens[1], "one token, one digest");
    assert!(tokens[0] != tokens[3] && tokens[3] != tokens[5], "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_log_gives_the_reason() {
    let gateway = Gateway::start().await;
    gateway.server.answer("in-trouble", Answer::status(500));
    gateway.get("inactive").await;
    assert_eq!(gateway.envoy.access_log_line(" 401 ").await, "/ 401 token_inactive");
    gateway.get("in-trouble").await;
    assert_eq!(gateway.envoy.access_log_line(" 503 ").await, "/ 503 introspection_status");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_set_is_answered_before_any_policy() {
    let gateway = Gateway::start().await;
    let reply = gateway.send(Request::get("/.well-known/jwks.json")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/jwk-set+json"));
    assert!(reply.header("cache-control").is_some_and(|control| control.contains("max-age=")), "{reply:?}");
    assert_eq!(reply.json()["keys"][0]["kid"], "key-1");

    let head = gateway.send(Request::new("HEAD", "/.well-known/jwks.json?fresh")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("cache-control"), reply.header("cache-control"));

    assert_eq!(gateway.send(Request::get("/.well-known/jwks.json/")).await.status, 401, "another path");
    assert_eq!((gateway.server.call_count(), gateway.upstream.requests()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_set_can_be_turned_off() {
    let mut plugin = plugin().await;
    plugin["phantom_token"]["jwks_path"] = json!("");
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    assert_eq!(gateway.send(Request::get("/.well-known/jwks.json")).await.status, 401);
}
