//! However a host is written, no request reaches a service under a laxer policy than that of the service's route,
//! whatever the connection manager does with ports and dots: rules that open a host, and rules that close one.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    client::{Connection, Reply},
    gateway::{Gateway, plugin},
    http2_frames,
    upstream::Upstream,
};

/// What a host may be written like; `H` stands for it.
const SPELLINGS: [&str; 34] = [
    "H",
    "H:1",
    "H:80",
    "H:443",
    "H:0",
    "H:",
    "H::",
    "H::80",
    "H:80:",
    "H:1:2",
    "H:99999",
    "H:-1",
    "H:+80",
    "H:x",
    "H:80x",
    "H.",
    "H.:80",
    "H..",
    "H.:",
    "H,other.example",
    "other.example,H",
    "user@H",
    "user@H:80",
    "user:secret@H",
    "H@other.example",
    "H:80@other.example",
    "other.example:80@H",
    "other.example:H",
    "[H]",
    "[H]:80",
    "H]:80",
    "%H",
    "H%20",
    "H%3a80",
];

/// Those in which the host is one of IPv6, and those that no host is in.
const OTHERS: [&str; 14] = [
    "[::1]",
    "[::1]:80",
    "[::1]:",
    "::1",
    "::1:80",
    "[::1",
    "[fe80::1%25eth0]",
    "[fe80::1%25eth0]:80",
    "[fe80::1%eth0]:80",
    "[fe80::1]:80",
    "[FE80::1]",
    ":80",
    ":",
    "%70ublic.example",
];

/// A setting of the connection manager that changes how hosts are read.
type Setting = (&'static str, fn(&mut Value));

const SETTINGS: [Setting; 5] = [
    ("none", |_| {}),
    ("ignore_port_in_host_matching", |manager| {
        manager["route_config"]["ignore_port_in_host_matching"] = json!(true);
    }),
    ("strip_any_host_port", |manager| manager["strip_any_host_port"] = json!(true)),
    ("strip_matching_host_port", |manager| manager["strip_matching_host_port"] = json!(true)),
    ("strip_trailing_host_dot", |manager| manager["strip_trailing_host_dot"] = json!(true)),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_host_reaches_a_laxer_policy_than_its_routes() {
    for (setting, adjust) in SETTINGS {
        let site = Site::start(adjust).await;
        let (mut tried, mut passed) = (0, 0);
        for authority in spellings() {
            for path in ["/", "/open"] {
                for request in site.requests(&authority, path).await {
                    tried += 1;
                    passed += usize::from(request.has_passed);
                    assert_eq!(
                        (site.api.requests(), site.gateway.upstream.requests()),
                        (0, 0),
                        "{setting}: {} reached a service without a token",
                        request.written
                    );
                }
            }
        }
        assert!(passed * 4 > tried, "{setting}: many reach what is public: {passed} of {tried}");
        site.judges_as_it_routes(setting).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_decides_is_taken_out_and_the_host_that_was_judged_is_the_one_that_is_routed() {
    let site = Site::start(|_| {}).await;
    site.gateway
        .server
        .answer("good", Answer::active(json!({"scope": "read"})).after(Duration::from_millis(50)));

    // From the first request, which waits for the verdict, to one that the cache answers.
    for _ in 0..3 {
        let reply = site.get("api.example:8443", "/", "Bearer good").await;
        assert_eq!((reply.status, reply.echoed("host")), (200, vec!["api.example".to_owned()]));
        assert_ne!(reply.echoed_bearer(), "good");
    }
    assert_eq!((site.api.requests(), site.gateway.upstream.requests()), (3, 0));

    // Where nothing hangs on the port, it stays.
    let reply = site.get("elsewhere.example:8443", "/open", "").await;
    assert_eq!(reply.echoed("host"), ["elsewhere.example:8443"]);
    // A host that is named with its port is that one, and no other.
    let reply = site.get("ports.example:8443", "/", "").await;
    assert_eq!(reply.echoed("host"), ["ports.example:8443"]);
    for other in ["ports.example", "ports.example:80", "ports.example:08443"] {
        assert_eq!(site.get(other, "/", "").await.status, 401, "{other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_route_that_names_the_policy_is_the_one_that_is_taken() {
    let public = Upstream::start().await;
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {}, "public": {"strategy": "allow"}});
    plugin["rules"] = json!([{"match": {"hosts": ["public.example"]}, "policy": "public"}]);
    plugin["policy_from"] = json!("route_metadata");
    // The route of the host names the strict policy, that of all others names none.
    let gateway = Gateway::with(plugin, |envoy| {
        envoy.cluster("public", public.address()).adjust(|manager| {
            let policy = json!({"filter_metadata": {"phantom_token_filter": {"policy": "default"}}});
            manager["route_config"]["virtual_hosts"] = json!([
                {"name": "public", "domains": ["public.example"], "routes": [
                    {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}, "metadata": policy}]},
                {"name": "all", "domains": ["*"], "routes": [
                    {"match": {"prefix": "/"}, "route": {"cluster": "public"}}]},
            ]);
        })
    })
    .await;
    for (host, status) in [("public.example", 401), ("public.example:1", 400), ("other.example:1", 401)] {
        let mut connection = Connection::open(gateway.envoy.address()).await.unwrap();
        let head = format!("GET /{host} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        connection.write(head.as_bytes()).await.unwrap();
        assert_eq!(connection.reply().await.unwrap().status, status, "{host}");
    }
    assert_eq!((gateway.upstream.requests(), public.requests()), (0, 0));
    let line = gateway.envoy.access_log_line("/public.example:1 ").await;
    assert_eq!(line, "/public.example:1 400 port_in_host");
}

/// Three hosts and everything else, which is public below `/open` and closed otherwise. Every policy has a route
/// and a service of its own.
struct Site {
    gateway: Gateway,
    api: Arc<Upstream>,
    public: Arc<Upstream>,
}

/// A request without a token.
struct Sent {
    written: String,
    has_passed: bool,
}

impl Site {
    async fn start(adjust: fn(&mut Value)) -> Self {
        let (api, public) = (Arc::new(Upstream::start().await), Arc::new(Upstream::start().await));
        let mut plugin = plugin().await;
        plugin["policies"] = json!({
            "default": {}, "public": {"strategy": "allow"}, "api": {"require": {"scopes": ["read"]}},
        });
        plugin["rules"] = json!([
            {"match": {"hosts": ["public.example", "[::1]", "ports.example:8443"]}, "policy": "public"},
            {"match": {"hosts": ["api.example", "[fe80::1]"]}, "policy": "api"},
            {"match": {"path_prefix": "/open"}, "policy": "public"},
        ]);
        let gateway = Gateway::with(plugin, |envoy| {
            let envoy = envoy.cluster("api", api.address()).cluster("public", public.address());
            envoy.adjust(move |manager| {
                let to = |prefix: &str, cluster: &str| {
                    json!({"match": {"prefix": prefix}, "route": {"cluster": cluster}})
                };
                manager["route_config"]["virtual_hosts"] = json!([
                    {"name": "public", "domains": ["public.example", "[::1]", "ports.example:8443"],
                     "routes": [to("/", "public")]},
                    {"name": "api", "domains": ["api.example", "[fe80::1]"], "routes": [to("/", "api")]},
                    {"name": "all", "domains": ["*"], "routes": [to("/open", "public"), to("/", "upstream")]},
                ]);
                manager["delayed_close_timeout"] = json!("0.01s"); // which follows what Envoy itself refuses
                adjust(manager);
            })
        })
        .await;
        Self { gateway, api, public }
    }

    /// The same request in every way that HTTP has for it.
    async fn requests(&self, authority: &str, path: &str) -> Vec<Sent> {
        let to = self.gateway.envoy.address();
        let mut sent = Vec::new();
        let heads = [
            format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n"),
            format!("GET http://{authority}{path} HTTP/1.1\r\nhost: public.example\r\n\r\n"),
            format!("GET http://{authority}{path} HTTP/1.1\r\nhost: api.example\r\n\r\n"),
            format!("GET http://public.example{path} HTTP/1.1\r\nhost: {authority}\r\n\r\n"),
        ];
        for head in heads {
            let before = self.public.requests();
            let mut connection = Connection::open(to).await.expect("a connection");
            connection.write(head.as_bytes()).await.expect("sent");
            _ = connection.reply().await;
            sent.push(Sent { has_passed: self.public.requests() > before, written: head });
        }
        let (method, scheme, path) = ((":method", "GET"), (":scheme", "http"), (":path", path));
        let sections = [
            vec![method, scheme, (":authority", authority), path],
            vec![method, scheme, (":authority", authority), path, ("host", "public.example")],
            vec![method, scheme, (":authority", "public.example"), path, ("host", authority)],
            vec![method, scheme, path, ("host", authority)],
        ];
        for section in sections {
            let before = self.public.requests();
            _ = http2_frames::get(to, &section).await;
            sent.push(Sent { has_passed: self.public.requests() > before, written: format!("{section:?}") });
        }
        sent
    }

    async fn get(&self, host: &str, path: &str, authorization: &str) -> Reply {
        let mut connection = Connection::open(self.gateway.envoy.address()).await.expect("a connection");
        let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {authorization}\r\n\r\n");
        connection.write(head.as_bytes()).await.expect("sent");
        connection.reply().await.expect("an answer")
    }

    /// With a token, hosts arrive where they belong, with a port or without.
    async fn judges_as_it_routes(&self, setting: &str) {
        self.gateway.server.answer("good", Answer::active(json!({"scope": "read"})));
        let before = self.public.requests();
        for host in ["api.example", "api.example:1", "API.example:80", "[fe80::1]:80"] {
            assert_eq!(self.get(host, "/open", "Bearer good").await.status, 200, "{setting}: {host}");
        }
        assert_eq!((self.api.requests(), self.public.requests()), (4, before), "{setting}");
        for host in ["public.example", "PUBLIC.example:1", "[::1]:80", "ports.example:8443"] {
            let is_read = host != "ports.example:8443"
                || !["ignore_port_in_host_matching", "strip_any_host_port"].contains(&setting);
            if is_read {
                assert_eq!(self.get(host, "/", "").await.status, 200, "{setting}: {host}");
            }
        }
    }
}

fn spellings() -> impl Iterator<Item = String> {
    let hosts = ["public.example", "Api.Example"];
    let spelled = hosts.into_iter().flat_map(|host| SPELLINGS.map(|spelling| spelling.replace('H', host)));
    spelled.chain(OTHERS.map(str::to_owned))
}
