//! What the hooks of a configuration do.

use log::error;

use super::abi::{self, Stream};
use super::in_force;
use super::installation::Installation;
use super::logger;
use super::stream::Request;

/// The module was loaded.
pub(super) fn start() {
    abi::stay_loaded();
    logger::start();
}

/// What is made of a configuration, and is in force from now on; `None`: the log says why it is refused.
pub(super) fn configure(config: abi::Config, name: &[u8], json: &[u8]) -> Option<*const Installation> {
    if let Some(function) = abi::lacks() {
        let reason = format!("expected an Envoy that has {function}, got one without it");
        // Perhaps it is the log that is not there.
        eprintln!("phantom_token_filter: {reason}: 1.39 and 1.40 are tested");
        error!("{reason}: 1.39 and 1.40 are tested");
        return None;
    }
    match Installation::new(config, name, json) {
        Ok(installation) => Some(in_force::put(installation)),
        Err(reason) => {
            reason.lines().for_each(|line| error!("{line}"));
            None
        }
    }
}

/// Something has come for a configuration, on the main thread.
pub(super) fn enter(called: *const Installation, act: impl FnOnce(&Installation)) {
    if let Some(installation) = in_force::find(called) {
        installation.enter(act);
    }
}

/// A configuration is no more, and all its requests. Perhaps on another thread than the main one, which may be at work for it.
pub(super) fn end(called: *const Installation) {
    if let Some(installation) = in_force::take(called) {
        installation.end();
    }
}

/// A hook of a request has panicked.
pub(super) fn panicked(installation: &Installation, request: &Request, stream: &mut Stream) {
    request.panicked(installation, stream);
    installation.panicked();
}

/// There is no configuration for a route.
pub(super) fn refuse_route_config() {
    error!("expected no configuration for a route, got one: metadata of the route name its policy");
}
