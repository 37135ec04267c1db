//! Envoy Gateway: what `docs/envoy-gateway.md` says, row by row.

mod controller;
mod edge;
mod faults;
mod policies;
mod proxy;
mod signals;

use std::sync::Arc;

pub use self::controller::programs;
use self::edge::Edge;
use crate::rows::Rows;

pub async fn rows(rows: &mut Rows) {
    let edge = Arc::new(Edge::start().await);
    macro_rules! rows {
        ($($says:literal => $test:path;)*) => { $(rows.row($says, $test(edge.clone())).await;)* };
    }
    rows! {
        "a policy on a Gateway: 401 without a token, a signed JWT behind, the keys are served" => policies::on_gateway;
        "the module comes from a registry, too" => policies::image;
        "the Backend of the page gives the filter's calls TLS with a check of the name" => policies::tls;
        "the metrics have labels, by the bootstrap of the EnvoyProxy" => policies::labels;
        "a SecurityPolicy judges opaque tokens by the scopes of the JWT, with filterOrder alone" => policies::claims;
        "requests without a token count for a rate limit, with filterOrder" => policies::rate_limit;
        "a policy on an HTTPRoute takes the place of the Gateway's, and that says so" => policies::overridden;
        "signals need a patch: 503, then 200" => signals::patched;
        "a patch on a running Envoy has taken effect when the configuration changes, too" => signals::patched_late;
        "two listeners of one policy, one of them patched: both take signals, or neither" => signals::one_of_two_patched;
        "a body over the buffer of 32 KiB waits for its verdict, where signals are taken, too" => signals::bodies;
        "a wrong name of the cluster is accepted: 503, and the log names it" => faults::wrong_cluster;
        "a running Envoy that gets a bad configuration keeps the old one, and the policy stays accepted" => faults::bad_update;
        "a new Envoy with a bad configuration is ready and answers 503, until a good one comes" => faults::bad_start;
        "a module with another SHA-256: the policy is not accepted, every route is 500" => faults::wrong_digest;
        "Envoy Gateway restarts while the module's server is down: running Envoys answer 500" => faults::restart;
    }
}
