//! What Envoy is started with: a listener with the filter, the clusters a test names, and what else it asks for.

use std::{net::SocketAddr, path::Path};

use serde_json::{Value, json};

use super::{ROOT, host::Host, wasm_filter::WasmFilter};

const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions.filters";

type Adjustment = Box<dyn FnOnce(&mut Value) + Send>;

/// A configuration of Envoy in the making; `start()` in [`envoy`](super::envoy) starts it.
pub struct Bootstrap {
    /// The filter's own configuration; `None` leaves the filter out.
    pub plugin: Option<Value>,
    pub wasm_filter: WasmFilter,
    pub workers: u32,
    pub environment: Vec<(String, String)>,
    pub is_reloadable: bool,
    clusters: Vec<Value>,
    filters_behind: Vec<Value>,
    routes: Vec<Value>,
    stats_config: Option<Value>,
    adjustments: Vec<Adjustment>,
    buffer: Option<u32>,
    is_tls: bool,
}

impl Bootstrap {
    /// With the filter's own configuration, one worker, and every request routed to the cluster `upstream`.
    pub fn new(plugin: Value) -> Self {
        Self { plugin: Some(plugin), ..Self::without_filter() }
    }

    /// The same Envoy without the filter: what a benchmark compares with.
    pub fn without_filter() -> Self {
        Self {
            plugin: None,
            wasm_filter: WasmFilter::default(),
            workers: 1,
            environment: Vec::new(),
            is_reloadable: false,
            clusters: Vec::new(),
            filters_behind: Vec::new(),
            routes: Vec::new(),
            adjustments: Vec::new(),
            buffer: None,
            is_tls: false,
            stats_config: None,
        }
    }

    pub fn workers(self, workers: u32) -> Self {
        Self { workers, ..self }
    }

    /// A static cluster that sets no limit of its own on thousands of waiting requests.
    pub fn cluster(mut self, name: &str, address: SocketAddr) -> Self {
        let (ip, port) = (address.ip().to_string(), address.port());
        self.clusters.push(cluster(name, json!({"socket_address": {"address": ip, "port_value": port}})));
        self
    }

    /// The cluster that was named last has this host, too.
    pub fn another_host(mut self, address: SocketAddr) -> Self {
        let (ip, port) = (address.ip().to_string(), address.port());
        let address = json!({"socket_address": {"address": ip, "port_value": port}});
        let hosts =
            self.clusters.last_mut().map(|it| &mut it["load_assignment"]["endpoints"][0]["lb_endpoints"]);
        if let Some(Value::Array(hosts)) = hosts {
            hosts.push(json!({"endpoint": {"address": address}}));
        }
        self
    }

    /// A cluster as it is written.
    pub fn cluster_of(mut self, cluster: Value) -> Self {
        self.clusters.push(cluster);
        self
    }

    /// A cluster that takes no more than `limits` at once: a threshold of its circuit breakers.
    pub fn limited_cluster(mut self, name: &str, address: SocketAddr, limits: Value) -> Self {
        self = self.cluster(name, address);
        if let Some(cluster) = self.clusters.last_mut() {
            cluster["circuit_breakers"]["thresholds"] = json!([limits]);
        }
        self
    }

    /// The cluster that was named last is called with TLS, as this host, by the certificate of `tests/keys`.
    pub fn over_tls(mut self, host: &str) -> Self {
        if let Some(cluster) = self.clusters.last_mut() {
            let certificate = json!({"filename": format!("{ROOT}/tests/keys/tls.cert.pem")});
            cluster["transport_socket"] = json!({"name": "tls", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": host,
                "common_tls_context": {"validation_context": {"trusted_ca": certificate}},
            }});
        }
        self
    }

    /// To the cluster that was named last, which is called with TLS, Envoy shows this certificate of `tests/keys`.
    pub fn showing(mut self, certificate: &str, key: &str) -> Self {
        if let Some(cluster) = self.clusters.last_mut() {
            cluster["transport_socket"]["typed_config"]["common_tls_context"]["tls_certificates"] =
                json!([tls_certificate(certificate, key)]);
        }
        self
    }

    /// Clients connect with TLS, and may show a certificate: any that they have the key of, as RFC 8705 §2.2 needs it.
    pub fn tls(self) -> Self {
        Self { is_tls: true, ..self }
    }

    /// What becomes of `x-forwarded-client-cert`.
    pub fn forwards_certificates(self, details: &'static str) -> Self {
        self.adjust(move |manager| {
            manager["forward_client_cert_details"] = json!(details);
            manager["set_current_client_cert_details"] = json!({"subject": true, "cert": true, "uri": true});
        })
    }

    /// The cluster that was named last, which is called with TLS, speaks HTTP/2.
    pub fn over_http2(mut self) -> Self {
        if let Some(cluster) = self.clusters.last_mut() {
            cluster["transport_socket"]["typed_config"]["common_tls_context"]["alpn_protocols"] =
                json!(["h2"]);
            cluster["typed_extension_protocol_options"] = http2();
        }
        self
    }

    /// A cluster that has no host.
    pub fn empty_cluster(mut self, name: &str) -> Self {
        let mut cluster = cluster(name, Value::Null);
        cluster["load_assignment"]["endpoints"] = json!([]);
        self.clusters.push(cluster);
        self
    }

    /// A variable that Envoy has and the filter may see.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.wasm_filter.host_env_keys.push(name.to_owned());
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A route ahead of the one to `upstream`.
    pub fn route(mut self, route: Value) -> Self {
        self.routes.push(route);
        self
    }

    /// Envoy's own `jwt_authn` between the filter and the upstream, for all requests.
    pub fn jwt_authn(mut self, provider: Value) -> Self {
        self.filters_behind.push(json!({"name": "jwt_authn", "typed_config": {
            "@type": format!("{EXTENSIONS}.http.jwt_authn.v3.JwtAuthentication"),
            "providers": {"phantom": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "phantom"}}],
        }}));
        self
    }

    /// Real StopIteration when the filter pauses, instead of Envoy's default, which also stops the body.
    pub fn allow_on_headers_stop_iteration(mut self) -> Self {
        self.wasm_filter.allow_on_headers_stop_iteration = true;
        self
    }

    /// The filter is told of answers, as `revocation.endpoint` needs.
    pub fn sees_answers(mut self) -> Self {
        self.wasm_filter.sees_answers = true;
        self
    }

    /// The filter may call by gRPC a cluster `etcd`, which speaks HTTP/2.
    pub fn fleet(mut self, etcd: SocketAddr) -> Self {
        self.wasm_filter.calls_by_grpc = true;
        self.cluster("etcd", etcd).speaking_http2()
    }

    /// The cluster that was named last speaks HTTP/2 without TLS.
    fn speaking_http2(mut self) -> Self {
        if let Some(cluster) = self.clusters.last_mut() {
            cluster["typed_extension_protocol_options"] = http2();
        }
        self
    }

    /// One of the capabilities that it needs is not allowed.
    pub fn without(mut self, capability: &str) -> Self {
        self.wasm_filter.without = Some(capability.to_owned());
        self
    }

    /// The filter can be given another configuration under traffic: it is found through extension discovery.
    pub fn reloadable(self) -> Self {
        Self { is_reloadable: true, ..self }
    }

    /// How much of a request its listener keeps, in bytes (`per_connection_buffer_limit_bytes`).
    pub fn buffer(self, bytes: u32) -> Self {
        Self { buffer: Some(bytes), ..self }
    }

    /// Which statistics Envoy keeps.
    pub fn stats_matcher(self, matcher: Value) -> Self {
        self.stats_config(json!({"stats_matcher": matcher}))
    }

    /// What Envoy makes of statistics.
    pub fn stats_config(self, config: Value) -> Self {
        Self { stats_config: Some(config), ..self }
    }

    /// Any other change to the HTTP connection manager.
    pub fn adjust(mut self, adjustment: impl FnOnce(&mut Value) + Send + 'static) -> Self {
        self.adjustments.push(Box::new(adjustment));
        self
    }

    /// The bootstrap itself. It names files in `directory`: `access.log`, the socket of the cluster `this_envoy`
    /// (the filter alone, for `jwks_path`) and, if reloadable, `filter.json`.
    pub fn into_json(mut self, directory: &Path) -> Value {
        let filter = self.plugin.as_ref().map(|plugin| match self.is_reloadable {
            true => self.wasm_filter.discovered(&directory.join("filter.json")),
            false => self.wasm_filter.inline(plugin),
        });
        let mut filters = Vec::from_iter(filter);
        let nothing = json!({"match": {"prefix": "/"}, "direct_response": {"status": 404}});
        let jwks_only = connection_manager("jwks", vec![nothing], filters.clone());

        filters.append(&mut self.filters_behind);
        self.routes.push(json!({"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}));
        let mut main = connection_manager("main", self.routes, filters);
        main["access_log"] = json!([access_log(&directory.join("access.log"))]);
        for adjust in self.adjustments {
            adjust(&mut main);
        }

        let loopback = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
        let socket = json!({"pipe": {"path": directory.join("jwks.socket")}});
        self.clusters.push(cluster("this_envoy", socket.clone()));
        let mut main = listener("main", &loopback, &main);
        if self.is_tls {
            main["filter_chains"][0]["transport_socket"] = json!({"name": "tls", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "tls_certificates": [tls_certificate("tls.cert.pem", "ec256.pem")],
                    "validation_context": {
                        "trusted_ca": {"filename": format!("{ROOT}/tests/keys/ca.cert.pem")},
                        "trust_chain_verification": "ACCEPT_UNTRUSTED",
                    },
                },
            }});
        }
        if let Some(bytes) = self.buffer {
            main["per_connection_buffer_limit_bytes"] = json!(bytes);
        }
        let mut bootstrap = json!({
            "node": {"id": "e2e", "cluster": "e2e"}, // which extension discovery asks for
            "admin": {"address": loopback},
            "static_resources": {
                "listeners": [main, listener("jwks", &socket, &jwks_only)],
                "clusters": self.clusters,
            },
        });
        if let Some(config) = self.stats_config {
            bootstrap["stats_config"] = config;
        }
        if Host::tested() == Host::Native {
            // As docs/deploy.md has it: Prometheus finds the same names as in Wasm.
            let plain_names = "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix";
            let layer = json!({"name": "static", "static_layer": {(plain_names): true}});
            bootstrap["layered_runtime"] = json!({"layers": [layer]});
        }
        bootstrap
    }
}

fn http2() -> Value {
    json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {
            "connection_keepalive": {"interval": "2s", "timeout": "1s"},
        }},
    }})
}

fn connection_manager(name: &str, routes: Vec<Value>, mut filters: Vec<Value>) -> Value {
    filters.push(json!({"name": "router", "typed_config": {
        "@type": format!("{EXTENSIONS}.http.router.v3.Router"),
    }}));
    json!({
        "@type": format!("{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": name,
        "stream_idle_timeout": "15s",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": filters,
    })
}

/// A certificate of `tests/keys` with its key.
fn tls_certificate(certificate: &str, key: &str) -> Value {
    let file = |name: &str| json!({"filename": format!("{ROOT}/tests/keys/{name}")});
    json!({"certificate_chain": file(certificate), "private_key": file(key)})
}

fn access_log(file: &Path) -> Value {
    let line = "%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%\n";
    json!({"name": "file", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": file,
        "log_format": {"text_format_source": {"inline_string": line}},
    }})
}

fn listener(name: &str, address: &Value, connection_manager: &Value) -> Value {
    let filter = json!({"name": "http", "typed_config": connection_manager});
    json!({"name": name, "address": address, "filter_chains": [{"filters": [filter]}]})
}

fn cluster(name: &str, address: Value) -> Value {
    json!({
        "name": name,
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "circuit_breakers": {"thresholds": [
            {"max_connections": 64, "max_pending_requests": 100_000, "max_requests": 100_000},
        ]},
    })
}
