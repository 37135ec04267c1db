//! Which policy a request falls under.

use std::rc::Rc;

use super::Policy;
use crate::request::{RequestView, Unreadable, has_path, host_of};

/// A match and the policy of the requests that it holds for.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What a request must be like; all that is named must hold.
    pub matches: Match,
    /// The policy of such requests.
    pub policy: Rc<Policy>,
}

/// What a request must be like. `None` and empty lists match everything.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// `:authority` in lower case, with a port or without; without, that of the request is ignored.
    pub hosts: Vec<String>,
    /// `:method`, case-sensitive (RFC 9110 §9.1).
    pub methods: Vec<String>,
    /// The whole path, without query.
    pub path: Option<String>,
    /// The beginning of the path, without query: a plain string prefix, like Envoy's `prefix`.
    pub path_prefix: Option<String>,
    /// Envoy's own names of routes, as they stand in its route configuration.
    pub route_names: Vec<String>,
}

/// What of `:authority` is compared with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All of it.
    AsItStands,
    /// All of it, or all but its port.
    WithoutPort,
}

impl Match {
    /// Whether `request` is like this. Reads only the headers that are asked about.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if it depends on the name of the route, and the host does not tell it.
    pub fn holds(&self, request: &dyn RequestView, reading: Reading) -> Result<bool, Unreadable> {
        Ok(self.holds_but_for_route(request, reading) && self.route_holds(request)?)
    }

    /// Whether it depends on the name of the route whether `request` is like this.
    pub fn hangs_on_route(&self, request: &dyn RequestView) -> bool {
        !self.route_names.is_empty() && self.holds_but_for_route(request, Reading::WithoutPort)
    }

    /// Whether this holds for every request.
    pub fn is_empty(&self) -> bool {
        let Self { hosts, methods, path, path_prefix, route_names } = self;
        hosts.is_empty()
            && methods.is_empty()
            && path.is_none()
            && path_prefix.is_none()
            && route_names.is_empty()
    }

    fn holds_but_for_route(&self, request: &dyn RequestView, reading: Reading) -> bool {
        self.path_holds(request) && self.host_holds(request, reading) && self.method_holds(request)
    }

    fn path_holds(&self, request: &dyn RequestView) -> bool {
        if self.path.is_none() && self.path_prefix.is_none() {
            return true;
        }
        let Some(target) = request.header(":path") else { return false };
        // No prefix has a query, so it need not be looked for.
        self.path.as_ref().is_none_or(|wanted| has_path(&target, wanted))
            && self.path_prefix.as_ref().is_none_or(|prefix| target.starts_with(prefix.as_bytes()))
    }

    fn host_holds(&self, request: &dyn RequestView, reading: Reading) -> bool {
        if self.hosts.is_empty() {
            return true;
        }
        let Some(authority) = request.header(":authority") else { return false };
        let host = match reading {
            Reading::AsItStands => &authority,
            Reading::WithoutPort => host_of(&authority),
        };
        let is = |text: &[u8], wanted: &str| text.eq_ignore_ascii_case(wanted.as_bytes());
        self.hosts.iter().any(|wanted| is(&authority, wanted) || is(host, wanted))
    }

    fn method_holds(&self, request: &dyn RequestView) -> bool {
        if self.methods.is_empty() {
            return true;
        }
        let Some(actual) = request.header(":method") else { return false };
        self.methods.iter().any(|wanted| wanted.as_bytes() == &*actual)
    }

    fn route_holds(&self, request: &dyn RequestView) -> Result<bool, Unreadable> {
        if self.route_names.is_empty() {
            return Ok(true);
        }
        let name = request.route_name()?;
        Ok(name.is_some_and(|actual| self.route_names.iter().any(|wanted| wanted.as_bytes() == actual)))
    }
}
