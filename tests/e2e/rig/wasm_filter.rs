//! The filter as an entry of Envoy's configuration: in Wasm with the options of `envoy/envoy.yaml`, or as a dynamic module.

use std::{env, fs, path::Path};

use serde_json::{Map, Value, json};

use super::{ROOT, host::Host};

/// Its name among the HTTP filters, as a plugin and of its `vm_id`.
pub const NAME: &str = "phantom_token_filter";

/// All of the entry but the filter's own configuration.
#[derive(Clone, Default)]
pub struct WasmFilter {
    pub host: Host,
    /// Names of the environment variables it may see.
    pub host_env_keys: Vec<String>,
    pub allow_on_headers_stop_iteration: bool,
    /// It is told of answers, as `revocation.endpoint` needs.
    pub sees_answers: bool,
    /// It may call by gRPC, as `revocation.fleet` needs.
    pub calls_by_grpc: bool,
    /// What of the sample's `allowed_capabilities` is left out.
    pub without: Option<String>,
    /// Its own configuration is JSON in a string, as Istio sends it, instead of a `Struct`.
    pub configured_by_string: bool,
}

impl WasmFilter {
    /// The entry with `plugin` as the filter's own configuration.
    pub fn inline(&self, plugin: &Value) -> Value {
        json!({"name": NAME, "typed_config": self.typed_config(plugin)})
    }

    /// The entry that is found in `file`, by extension discovery (ECDS).
    pub fn discovered(&self, file: &Path) -> Value {
        json!({"name": NAME, "config_discovery": {
            "config_source": {"path_config_source": {"path": file}, "resource_api_version": "V3"},
            "type_urls": [self.host.filter_type()],
        }})
    }

    /// What that file holds.
    pub fn discovery_response(&self, plugin: &Value, version: u64) -> Value {
        let resource = json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": NAME,
            "typed_config": self.typed_config(plugin),
        });
        json!({"version_info": version.to_string(), "resources": [resource]})
    }

    fn typed_config(&self, plugin: &Value) -> Value {
        let (kind, value) = match self.configured_by_string {
            true => ("StringValue", json!(plugin.to_string())),
            false => ("Struct", plugin.clone()),
        };
        let configuration =
            json!({"@type": format!("type.googleapis.com/google.protobuf.{kind}"), "value": value});
        if self.host == Host::Native {
            return json!({
                "@type": self.host.filter_type(),
                "dynamic_module_config": {"name": NAME},
                "filter_name": NAME,
                "filter_config": configuration,
            });
        }
        json!({"@type": self.host.filter_type(), "config": {
            "name": NAME,
            "failure_policy": "FAIL_RELOAD",
            "allow_on_headers_stop_iteration": self.allow_on_headers_stop_iteration,
            "capability_restriction_config": {"allowed_capabilities": self.capabilities()},
            "configuration": configuration,
            "vm_config": {
                "vm_id": NAME,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": wasm_file()}},
                "environment_variables": {"host_env_keys": self.host_env_keys},
            },
        }})
    }

    fn capabilities(&self) -> Map<String, Value> {
        let mut allowed = capabilities();
        if let Some(name) = &self.without {
            assert!(allowed.remove(name).is_some(), "{name} among the sample's capabilities");
        }
        if self.sees_answers {
            allowed.insert("proxy_on_response_headers".to_owned(), json!({}));
        }
        if self.calls_by_grpc {
            allowed.extend(GRPC.map(|name| (name.to_owned(), json!({}))));
        }
        allowed
    }
}

/// What `revocation.fleet` needs besides, as the sample has it in a comment.
pub const GRPC: [&str; 6] = [
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_on_grpc_close",
    "proxy_on_grpc_receive",
];

/// What is tested: `$PHANTOM_TOKEN_FILTER_WASM`, or the release build.
pub fn wasm_file() -> String {
    let built = || format!("{ROOT}/target/wasm32-wasip1/release/phantom_token_filter.wasm");
    let file = env::var("PHANTOM_TOKEN_FILTER_WASM").unwrap_or_else(|_| built());
    assert!(Path::new(&file).exists(), "{file} is missing: run `make build`");
    file
}

/// The allow-list of `envoy/envoy.yaml`, so that what is recommended is what is tested.
pub fn capabilities() -> Map<String, Value> {
    let sample = fs::read_to_string(Path::new(ROOT).join("envoy/envoy.yaml")).expect("envoy/envoy.yaml");
    let (_, list) =
        sample.split_once("allowed_capabilities:\n").expect("allowed_capabilities in envoy/envoy.yaml");
    let entries = list.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let names = entries.map_while(|line| line.strip_suffix(": {}"));
    let allowed: Map<_, _> = names.map(|name| (name.to_owned(), json!({}))).collect();
    assert!(!allowed.is_empty(), "no lines `name: {{}}` under allowed_capabilities in envoy/envoy.yaml");
    allowed
}
