//! The names of statistics, with the providers, transmitters and policies of a configuration in them.

use super::{Kinds, Metric};

/// A metric of somebody: what has a statistic of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series<M> {
    /// What it is of.
    pub metric: M,
    /// Whose it is.
    pub labels: Labels,
}

/// Whose a metric is, by places among [`Names`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    provider: Option<usize>,
    transmitter: Option<usize>,
    policy: Option<usize>,
    reason: Option<&'static str>,
}

/// Whose a metric is, as far as it is known; a metric takes of it what it has a label for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whose<'a> {
    /// The provider's name in the configuration.
    pub provider: Option<&'a str>,
    /// The transmitter's issuer.
    pub transmitter: Option<&'a str>,
    /// The policy's.
    pub policy: Option<&'a str>,
    /// One of the filter's own words.
    pub reason: Option<&'static str>,
}

impl<'a> Whose<'a> {
    /// Nobody's.
    pub const NOBODY: Whose<'static> =
        Whose { provider: None, transmitter: None, policy: None, reason: None };

    /// This provider's.
    pub fn provider(name: &'a str) -> Self {
        Self { provider: Some(name), ..Self::default() }
    }

    /// Of this transmitter of security events, by its issuer.
    pub fn transmitter(self, issuer: &'a str) -> Self {
        Self { transmitter: Some(issuer), ..self }
    }

    /// For this reason.
    pub fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

/// The names of a configuration's providers, transmitters and policies. There are no more labels than these and the filter's own words,
/// whatever clients and servers send.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Each in order.
    providers: Vec<String>,
    transmitters: Vec<String>,
    policies: Vec<String>,
}

impl Names {
    /// Of these.
    pub fn new<'n>(
        providers: impl Iterator<Item = &'n str>,
        transmitters: impl Iterator<Item = &'n str>,
        policies: impl Iterator<Item = &'n str>,
    ) -> Self {
        Self { providers: sorted(providers), transmitters: sorted(transmitters), policies: sorted(policies) }
    }

    /// The series of a metric that is somebody's.
    pub fn series<M: Metric>(&self, metric: M, whose: Whose<'_>) -> Series<M> {
        let Kinds { provider, transmitter, policy, reason } = metric.kinds();
        let labels = Labels {
            provider: whose.provider.filter(|_| provider).and_then(|name| place(&self.providers, name)),
            transmitter: (whose.transmitter.filter(|_| transmitter))
                .and_then(|issuer| place(&self.transmitters, issuer)),
            policy: whose.policy.filter(|_| policy).and_then(|name| place(&self.policies, name)),
            reason: whose.reason.filter(|_| reason),
        };
        Series { metric, labels }
    }

    /// The name of a series' statistic.
    pub fn statistic<M: Metric>(&self, series: Series<M>) -> String {
        let label = |(label, value): (&str, Option<String>)| Some([label, "=.=", &value?, ";.;"].concat());
        let labels: String = self.labels(series).into_iter().filter_map(label).collect();
        labels + series.metric.name()
    }

    /// The labels of a series, and their values.
    pub fn labels<M>(&self, series: Series<M>) -> [(&'static str, Option<String>); 4] {
        let Labels { provider, transmitter, policy, reason } = series.labels;
        let named = |names: &'_ [String], place: Option<usize>| names.get(place?).map(|name| value(name));
        [
            ("provider", named(&self.providers, provider)),
            ("transmitter", named(&self.transmitters, transmitter)),
            ("policy", named(&self.policies, policy)),
            ("reason", reason.map(str::to_owned)),
        ]
    }
}

fn sorted<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn place(names: &[String], name: &str) -> Option<usize> {
    names.binary_search_by(|it| it.as_str().cmp(name)).ok()
}

/// A name as a label's value: without what the form, or another tag of Envoy's or Istio's, would read as its own.
fn value(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Counter;

    fn statistic(counter: Counter, whose: Whose<'_>) -> String {
        let names = Names::new(
            ["main", "cache.x.;.;provider=.="].into_iter(),
            ["https://ssf.example"].into_iter(),
            ["default", "web/api"].into_iter(),
        );
        names.statistic(names.series(counter, whose))
    }

    #[test]
    fn labels_stand_before_the_name_in_the_form_of_istio() {
        let whose = Whose {
            provider: Some("main"),
            transmitter: Some("https://ssf.example"),
            policy: Some("default"),
            reason: Some("missing_token"),
        };
        assert_eq!(
            statistic(Counter::SecurityEventsVerified, whose),
            "provider=.=main;.;transmitter=.=https___ssf_example;.;phantom_token.security_events.verified"
        );
        assert_eq!(
            statistic(Counter::Unavailable, whose),
            "provider=.=main;.;policy=.=default;.;reason=.=missing_token;.;phantom_token.requests.unavailable"
        );
    }

    #[test]
    fn a_metric_has_the_labels_of_its_kind_alone() {
        let whose = Whose {
            provider: Some("main"),
            policy: Some("default"),
            reason: Some("missing_token"),
            ..Whose::NOBODY
        };
        assert_eq!(
            statistic(Counter::Forwarded, whose),
            "policy=.=default;.;phantom_token.requests.forwarded"
        );
        assert_eq!(statistic(Counter::CacheEvicted, whose), "phantom_token.cache.evicted");
        assert_eq!(statistic(Counter::JwtMinted, Whose::NOBODY), "phantom_token.jwt.minted");
    }

    #[test]
    fn no_name_is_read_as_part_of_the_form() {
        assert_eq!(
            statistic(Counter::JwtMinted, Whose::provider("cache.x.;.;provider=.=")),
            "provider=.=cache_x____provider___;.;phantom_token.jwt.minted"
        );
        let whose = Whose { policy: Some("web/api"), ..Whose::NOBODY };
        assert_eq!(
            statistic(Counter::Forwarded, whose),
            "policy=.=web_api;.;phantom_token.requests.forwarded"
        );
    }

    #[test]
    fn what_the_configuration_does_not_name_gets_no_label() {
        assert_eq!(
            statistic(Counter::JwtMinted, Whose::provider("made-up-by-a-client")),
            "phantom_token.jwt.minted"
        );
    }
}
