//! `allowed_capabilities`: what the module may call and is called for. `tests/capabilities.rs` leaves each out in real
//! Envoy; this table says in words what it sees.

use super::configuration::Configuration;
use crate::finding::Finding;
use crate::yaml::Entry;

/// What is wrong with the list, if there is one; an empty one allows everything.
pub(super) fn check(list: &Entry, configuration: Option<&Configuration>) -> Vec<Finding> {
    let allowed: Vec<&str> = list.value.entries().iter().map(|entry| entry.key.as_str()).collect();
    if allowed.is_empty() {
        return Vec::new();
    }
    let path = |name: &str| format!("capability_restriction_config.allowed_capabilities.{name}");
    let watches = configuration.is_some_and(|it| it.get(&["revocation", "endpoint"]).is_some());
    let of_endpoint = watches.then_some((
        "proxy_on_response_headers",
        "no revocation that passes through is seen to succeed, so nothing is withdrawn (revocation.endpoint)",
    ));
    let has_fleet = configuration.is_some_and(|it| it.get(&["revocation", "fleet"]).is_some());
    let of_fleet = FLEET.iter().copied().filter(|_| has_fleet);
    let missing =
        NEEDED.iter().copied().chain(of_endpoint).chain(of_fleet).filter(|(name, _)| !allowed.contains(name));
    let mut findings: Vec<Finding> = missing
        .map(|(name, without)| {
            Finding::error(list.at, path(name), format!("expected it, got none: without it {without}"))
        })
        .collect();
    let missing = HELPFUL.iter().filter(|(name, _)| !allowed.contains(name));
    findings.extend(missing.map(|(name, without)| {
        Finding::warning(list.at, path(name), format!("expected it, got none: without it {without}"))
    }));
    let is_known = |name: &str| {
        let known = NEEDED.iter().chain(HELPFUL).chain(FLEET);
        name == "proxy_on_response_headers" || known.into_iter().any(|(known, _)| *known == name)
    };
    for entry in list.value.entries().iter().filter(|entry| !is_known(&entry.key)) {
        findings.push(Finding::warning(entry.at, path(&entry.key), "the filter never uses it"));
    }
    findings
}

const START: &str = "Envoy does not start, or keeps the old configuration";

/// What `revocation.fleet` needs besides.
#[rustfmt::skip] // one line for each
const FLEET: &[(&str, &str)] = &[
    ("proxy_grpc_call", START),
    ("proxy_grpc_cancel", START),
    ("proxy_grpc_send", START),
    ("proxy_grpc_stream", START),
    ("proxy_on_grpc_close", "nothing is heard of the store (revocation.fleet)"),
    ("proxy_on_grpc_receive", "nothing is heard of the store (revocation.fleet)"),
];

/// What every deployment needs.
#[rustfmt::skip] // one line for each
const NEEDED: &[(&str, &str)] = &[
    ("environ_get", "no secret can be read from the environment: Envoy does not start"),
    ("environ_sizes_get", "no secret can be read from the environment: Envoy does not start"),
    ("random_get", START),
    ("proxy_call_foreign_function", START),
    ("proxy_continue_stream", START),
    ("proxy_define_metric", START),
    ("proxy_dequeue_shared_queue", START),
    ("proxy_enqueue_shared_queue", START),
    ("proxy_get_buffer_bytes", START),
    ("proxy_get_current_time_nanoseconds", START),
    ("proxy_get_header_map_pairs", START),
    ("proxy_get_header_map_value", START),
    ("proxy_get_metric", START),
    ("proxy_get_property", START),
    ("proxy_get_shared_data", START),
    ("proxy_http_call", START),
    ("proxy_increment_metric", START),
    ("proxy_record_metric", START),
    ("proxy_register_shared_queue", START),
    ("proxy_remove_header_map_value", START),
    ("proxy_replace_header_map_value", START),
    ("proxy_send_local_response", START),
    ("proxy_set_effective_context", START),
    ("proxy_set_shared_data", START),
    ("proxy_set_tick_period_milliseconds", START),
    ("proxy_on_context_create", START),
    ("proxy_on_memory_allocate", START),
    ("proxy_on_vm_start", "the VM is not told that it starts"),
    ("proxy_on_configure", "no configuration is read: every request gets 503"),
    ("proxy_on_http_call_response", "no answer of a server arrives: every request whose token is new gets 503"),
    ("proxy_on_request_headers", "no request is judged: every one gets 503"),
    ("proxy_on_request_body", "signals are refused, and bodies may not wait for their verdict"),
    ("proxy_on_request_trailers", "trailers may not wait for their verdict, and keep the client's credentials"),
    ("proxy_on_queue_ready", "workers do not hear of each other, and answers come later"),
    ("proxy_on_tick", "keys are not fetched again, nothing is polled, and late bodies are waited for"),
    ("proxy_on_delete", "requests whose client hung up are not forgotten"),
];

/// What the filter works without.
#[rustfmt::skip] // one line for each
const HELPFUL: &[(&str, &str)] = &[
    ("fd_write", "a panic ends the VM without a word of why"),
    ("proc_exit", "the module does not end as Rust wants it to"),
    ("proxy_get_log_level", "only errors and warnings are logged"),
    ("proxy_log", "nothing is logged, not even why a configuration is refused"),
    ("proxy_set_property", "access logs hear nothing of the filter"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_line_of_the_sample() {
        let sample = include_str!("../../envoy/envoy.yaml");
        let names = NEEDED.iter().chain(HELPFUL).map(|(name, _)| name);
        assert_eq!(names.clone().count(), 41);
        for name in names {
            assert!(sample.contains(&format!("                    {name}: {{}}\n")), "{name}");
        }
    }
}
