//! What monitoring is told of a worker besides what its effects say.

use std::rc::Rc;

use super::Filter;
use super::step::Step;
use crate::config::Config;
use crate::metrics::{Counter, Gauge, Kinds, Metric, Names, Series, Whose};
use crate::policy::Policy;

impl Filter {
    /// Whom metrics are of.
    pub fn names(&self) -> Rc<Names> {
        Rc::clone(&self.worker.names)
    }

    /// Counters that a configuration is sure to have, for whatever reason something is refused or fails: monitoring finds
    /// them from the start, at zero.
    pub fn expected_counts(&self) -> Vec<Series<Counter>> {
        expected(&self.worker.config, &self.worker.names)
    }

    /// Says what stands otherwise than before.
    pub(super) fn tell_levels(&mut self, step: &mut Step<'_>) {
        let Self { levels, introspections, parking, worker, .. } = self;
        let waiting = introspections.waiting() + parking.len();
        levels.tell(Gauge::RequestsWaiting, Whose::NOBODY, waiting, step);
        introspections.tell_levels(levels, step);
        step.change(Gauge::CacheEntries, worker.cache.take_change_of_entries());
    }
}

/// One of each provider, of each policy, or of each policy and its providers, as the counter wants it.
fn expected(config: &Config, names: &Names) -> Vec<Series<Counter>> {
    let mut expected = Vec::new();
    let is_expected = |counter: &Counter| {
        (!counter.is_of_fleet() || config.revocation.fleet.is_some())
            && (!counter.is_of_access_tokens() || config.client_credentials().next().is_some())
    };
    for counter in Counter::ALL.into_iter().filter(is_expected) {
        let mut add = |whose| expected.push(names.series(counter, whose));
        match counter.kinds() {
            Kinds { reason: true, .. } => {}
            Kinds { provider: true, policy: true, .. } => {
                for policy in config.policies() {
                    for provider in providers(policy) {
                        add(Whose { policy: Some(&policy.name), ..Whose::provider(provider) });
                    }
                }
            }
            Kinds { transmitter: true, .. } => {
                config.revocation.security_events.iter().for_each(|it| add(it.whose()));
            }
            Kinds { provider: true, .. } => {
                config.providers.iter().for_each(|it| add(Whose::provider(&it.name)));
            }
            Kinds { policy: true, .. } => {
                config
                    .policies()
                    .for_each(|policy| add(Whose { policy: Some(&policy.name), ..Whose::NOBODY }));
            }
            Kinds { .. } => add(Whose::NOBODY),
        }
    }
    expected
}

/// The providers that judge requests under a policy, each once.
fn providers(policy: &Policy) -> Vec<&str> {
    let mut names = Vec::new();
    for name in policy.strategy.origins().map(|it| it.provider.as_str()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
