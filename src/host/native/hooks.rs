//! What the hooks of a configuration do.

use std::sync::Arc;

use log::error;

use super::abi::{self, Stream};
use super::installation::Installation;
use super::logger;
use super::stream::Request;

/// The module was loaded.
pub(super) fn start() {
    logger::start();
}

/// What is made of a configuration; `None`: the log says why it is refused.
pub(super) fn configure(config: abi::Config, name: &[u8], json: &[u8]) -> Option<Arc<Installation>> {
    if let Some(function) = abi::lacks() {
        let reason = format!("expected an Envoy that has {function}, got one without it");
        // Perhaps it is the log that is not there.
        eprintln!("phantom_token_filter: {reason}: 1.39 and 1.40 are tested");
        error!("{reason}: 1.39 and 1.40 are tested");
        return None;
    }
    match Installation::new(config, name, json) {
        Ok(installation) => Some(installation),
        Err(reason) => {
            reason.lines().for_each(|line| error!("{line}"));
            None
        }
    }
}

/// A configuration is no more, and all its requests.
pub(super) fn end(installation: &Installation) {
    installation.end();
}

/// A hook of a request has panicked.
pub(super) fn panicked(installation: &Installation, request: &Request, stream: &mut Stream) {
    installation.panicked();
    request.panicked(installation, stream);
}

/// There is no configuration for a route.
pub(super) fn refuse_route_config() {
    error!("expected no configuration for a route, got one: metadata of the route name its policy");
}
