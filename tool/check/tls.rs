//! How a cluster is reached over which secrets and tokens go.

use crate::finding::Finding;
use crate::yaml::Node;

/// What is wrong with a cluster that the filter calls.
pub(super) fn check(name: &str, cluster: &Node) -> Vec<Finding> {
    let path = |rest: &str| format!("clusters.{name}.{rest}");
    let Some(socket) = cluster.get("transport_socket") else {
        if is_here(cluster) {
            return Vec::new();
        }
        let problem = "expected TLS, got none: tokens and secrets go over the network in clear";
        return vec![Finding::warning(cluster.at, path("transport_socket"), problem)];
    };
    let Some(tls) = socket.get("typed_config").filter(|it| is_tls(it)) else { return Vec::new() };
    let mut findings = Vec::new();
    if tls.get("sni").is_none() && !names_host_itself(cluster) && tls.get("auto_host_sni").is_none() {
        let problem = "expected the server's name, got none: without it (SNI) many servers end the handshake, or show \
                       another certificate";
        findings.push(Finding::error(tls.at, path("transport_socket.typed_config.sni"), problem));
    }
    let context = tls.get("common_tls_context");
    let checks =
        ["validation_context", "combined_validation_context", "validation_context_sds_secret_config"];
    let validation = checks.iter().find_map(|key| context?.get(key));
    let at = context.map_or(tls.at, |context| context.at);
    match validation {
        None => findings.push(Finding::error(
            at,
            path("transport_socket.typed_config.common_tls_context.validation_context"),
            "expected a trusted_ca, got none: any certificate is believed, and whoever stands between reads the tokens",
        )),
        Some(context)
            if context.get("trusted_ca").is_some()
                && context.get("match_typed_subject_alt_names").is_none()
                && !checks_host_itself(cluster, tls) =>
        {
            findings.push(Finding::warning(
                context.at,
                path("transport_socket.typed_config.common_tls_context.validation_context.match_typed_subject_alt_names"),
                "expected the server's name, got none: any certificate of that authority is believed",
            ));
        }
        Some(_) => {}
    }
    findings
}

fn is_tls(typed: &Node) -> bool {
    typed.text_at(&["@type"]).is_some_and(|it| it.ends_with("UpstreamTlsContext"))
}

/// Whether Envoy takes the server's name from each request.
fn names_host_itself(cluster: &Node) -> bool {
    has(cluster, "auto_sni")
}

fn checks_host_itself(cluster: &Node, tls: &Node) -> bool {
    has(cluster, "auto_san_validation") || tls.get("auto_sni_san_validation").is_some_and(Node::is_true)
}

fn has(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(Node::is_true) || node.children().any(|child| has(child, key))
}

/// Whether all that it reaches is on this machine.
fn is_here(cluster: &Node) -> bool {
    let mut addresses = Vec::new();
    gather_addresses(cluster, &mut addresses);
    let is_loopback = |address: &&str| {
        *address == "localhost" || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    };
    addresses.iter().all(is_loopback)
}

fn gather_addresses<'n>(node: &'n Node, addresses: &mut Vec<&'n str>) {
    addresses.extend(node.text_at(&["socket_address", "address"]));
    node.children().for_each(|child| gather_addresses(child, addresses));
}
