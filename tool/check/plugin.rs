//! The filter as a file configures it, in any of the forms there are.

use std::collections::BTreeMap;

use super::input::Document;
use crate::yaml::{Entry, Node, Position};

/// In which form the filter is configured: what the form cannot say, Envoy is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Envoy's own, of a dynamic module, which has the whole environment.
    DynamicModule,
    /// Envoy's own: all that there is.
    Envoy,
    /// `EnvoyExtensionPolicy` of Envoy Gateway.
    EnvoyExtensionPolicy,
    /// `EnvoyFilter` of Istio, which carries Envoy's own.
    EnvoyFilter,
    /// `TrafficExtension` of Istio.
    TrafficExtension,
    /// `WasmPlugin` of Istio.
    WasmPlugin,
}

impl Form {
    /// How it gives the filter a variable of Envoy's environment.
    pub(super) fn way_to_pass(self) -> &'static str {
        match self {
            Self::DynamicModule => "add it to Envoy's own environment",
            Self::Envoy | Self::EnvoyFilter => {
                "add it to vm_config.environment_variables.host_env_keys and to Envoy's own environment"
            }
            Self::EnvoyExtensionPolicy => {
                "add it to env.hostKeys, and to envoyDeployment.container.env of the EnvoyProxy"
            }
            Self::TrafficExtension | Self::WasmPlugin => {
                "add it to vmConfig.env with valueFrom: HOST, and to the environment of the container istio-proxy"
            }
        }
    }

    /// Whether Istio makes the clusters.
    pub(super) fn is_istio(self) -> bool {
        matches!(self, Self::EnvoyFilter | Self::TrafficExtension | Self::WasmPlugin)
    }
}

/// One place where the filter is configured.
pub(crate) struct Plugin<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) form: Form,
    /// Where it begins.
    pub(super) at: Position,
    /// The entry with the filter's own configuration.
    pub(super) configuration: Option<&'d Entry>,
    /// The variables that it is given, with those values that the file has.
    pub(super) environment: BTreeMap<String, Option<String>>,
    /// Envoy's own settings of a plugin (`PluginConfig`), in the forms that have them.
    pub(super) settings: Option<&'d Node>,
    /// The HTTP connection manager around it.
    pub(super) manager: Option<&'d Node>,
    /// Its name among the HTTP filters.
    pub(super) filter: Option<&'d str>,
    /// The name of the listener around it.
    pub(super) listener: Option<&'d str>,
}

impl Plugin<'_> {
    /// The value with the filter's own configuration: in Envoy's form it stands in a message, also where that has no type.
    pub(super) fn own(&self) -> Option<&Node> {
        let value = &self.configuration?.value;
        let is_message = matches!(self.form, Form::DynamicModule | Form::Envoy | Form::EnvoyFilter)
            && (value.get("@type").is_some() || value.get("value").is_some());
        if is_message { value.get("value") } else { Some(value) }
    }

    /// Whether Envoy may call the filter for a body that it has not let pass yet; `None` where the form cannot say.
    pub(super) fn switch(&self) -> Option<bool> {
        self.settings.map(|settings| settings.get(SWITCH).is_some_and(Node::is_true))
    }
}

/// Whether this is the filter, by the names and the keys that it has, and not another plugin.
pub(super) fn is_ours(named: &[Option<&str>], configuration: Option<&Node>) -> bool {
    let is_name = |name: &&str| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        name.contains("phantom-token")
    };
    let own = configuration.map(|node| node.get("value").unwrap_or(node));
    let text = own.and_then(Node::text).unwrap_or_default();
    named.iter().flatten().any(is_name)
        || OWN_KEYS
            .iter()
            .any(|key| own.is_some_and(|own| own.get(key).is_some()) || text.contains(&format!("\"{key}\"")))
}

/// The key that lets Envoy call the filter for bodies.
pub(super) const SWITCH: &str = "allow_on_headers_stop_iteration";

/// Keys that the configuration of no other plugin is likely to have.
const OWN_KEYS: [&str; 3] = ["phantom_token", "providers", "default_policy"];
