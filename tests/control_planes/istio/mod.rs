//! Istio: what `docs/istio.md` says, row by row.

mod faults;
mod forms;
mod istiod;
mod mesh;
mod pods;
mod policies;
mod proxy;

use std::sync::Arc;

pub use self::istiod::programs;
use self::mesh::Mesh;
use crate::rows::Rows;

pub async fn rows(rows: &mut Rows) {
    let mesh = Arc::new(Mesh::start().await);
    macro_rules! rows {
        ($($says:literal => $test:path;)*) => { $(rows.row($says, $test(mesh.clone())).await;)* };
    }
    rows! {
        "a WasmPlugin at a gateway: 401 without a token, a signed JWT behind, the keys are served" => forms::wasm_plugin;
        "a WasmPlugin in a sidecar guards what comes in" => forms::sidecar;
        "a TrafficExtension does the same" => forms::traffic_extension;
        "the keys that check knows of these two are those of Istio's definitions" => forms::keys;
        "an EnvoyFilter sets all that Envoy can be told, and takes signals" => forms::envoy_filter;
        "a WasmPlugin cannot take signals: 503, and the log names the switch" => forms::signals_by_wasm_plugin;
        "a module in a file of the pod needs no registry" => forms::local_file;
        "RequestAuthentication and AuthorizationPolicy judge opaque tokens by their claims" => policies::opaque_tokens;
        "policies go by the names of a VirtualService's routes" => policies::route_names;
        "two plugins on one proxy keep their own configurations" => policies::two_plugins;
        "a running proxy that gets a bad configuration keeps the old one, and logs why" => faults::bad_update;
        "a new proxy with a bad configuration is ready and answers 500, until a good one comes" => faults::bad_start;
        "a new proxy without the registry is ready and answers 403, until the plugin changes" => faults::no_registry;
        "a running proxy whose plugin moves to a module that cannot be fetched answers 403" => faults::moved;
        "FAIL_OPEN without the module lets everything pass" => faults::fail_open;
        "the injector merges a Secret into the proxy's environment, at a gateway and beside a service" => pods::injected;
        "the injector mounts the module of an init container into the proxy" => pods::module_in_the_pod;
        "a Sidecar without the authorization server: 503, and the log names the cluster" => pods::egress;
        "a DestinationRule gives the filter's calls TLS" => pods::tls;
    }
}
