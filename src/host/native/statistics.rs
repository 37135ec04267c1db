//! Envoy's statistics of a configuration.
//!
//! Envoy lets a module define them only while a configuration is made. So those that need no reason are defined one by one, by
//! the names that they have in Wasm, and cost a request next to nothing. Of those with a reason there would be dozens for each
//! policy, nearly all of them zero for ever: they are defined once for each set of labels, and Envoy makes the statistic when it
//! is first counted, with the labels as tags.

use super::abi;
use crate::metrics::{Change, Counter, Gauge, IntrospectionDuration, Kinds, Labels, Metric, Names, Series};

/// The statistics of a configuration.
pub(super) struct Statistics {
    config: abi::Config,
    names: Names,
    counters: Defined,
    durations: Defined,
    gauges: Defined,
    /// Counters that have reasons, by the labels that they have beside it.
    with_reasons: Vec<(Counter, Vec<&'static str>, abi::Metric)>,
    panics: abi::Metric,
}

/// What is defined of each metric, by its labels: there are a few at most.
type Defined = Vec<Vec<(Labels, abi::Metric)>>;

/// Hooks that panicked; each has refused a request, or left something undone.
const PANICS: &str = "phantom_token.panics";

impl Statistics {
    /// Defines them all.
    ///
    /// # Errors
    ///
    /// If Envoy does not.
    pub(super) fn new(config: abi::Config, names: Names) -> Result<Self, String> {
        let define_counter = |name: &str| config.define_counter(name, &[]);
        let (mut counters, mut with_reasons) = (Defined::new(), Vec::new());
        for counter in Counter::ALL {
            if counter.kinds().reason {
                for labels in label_sets(counter.kinds()) {
                    let defined = config.define_counter(counter.name(), &labels).ok_or(NO_STATISTICS)?;
                    with_reasons.push((counter, labels, defined));
                }
            }
            define(&mut counters, &names, counter, define_counter)?;
        }
        let (mut durations, mut gauges) = (Defined::new(), Defined::new());
        define(&mut durations, &names, IntrospectionDuration, |name| config.define_histogram(name, &[]))?;
        for gauge in Gauge::ALL {
            define(&mut gauges, &names, gauge, |name| config.define_gauge(name, &[]))?;
        }
        let panics = define_counter(PANICS).ok_or(NO_STATISTICS)?;
        Ok(Self { config, names, counters, durations, gauges, with_reasons, panics })
    }

    pub(super) fn count(&self, series: Series<Counter>) {
        if let Some(counter) = find(&self.counters, series) {
            return self.config.count(counter, &[], 1);
        }
        let present: Vec<(&str, String)> = self
            .names
            .labels(series)
            .into_iter()
            .filter_map(|(label, value)| Some((label, value?)))
            .collect();
        let labels = || present.iter().map(|(label, _)| *label);
        let of_series = |(counter, of, _): &&(Counter, Vec<&str>, abi::Metric)| {
            *counter == series.metric && of.iter().copied().eq(labels())
        };
        if let Some((.., counter)) = self.with_reasons.iter().find(of_series) {
            let values: Vec<&str> = present.iter().map(|(_, value)| value.as_str()).collect();
            self.config.count(*counter, &values, 1);
        }
    }

    pub(super) fn took(&self, series: Series<IntrospectionDuration>, millis: u64) {
        if let Some(histogram) = find(&self.durations, series) {
            self.config.record(histogram, millis);
        }
    }

    pub(super) fn change(&self, series: Series<Gauge>, change: Change) {
        if let Some(gauge) = find(&self.gauges, series) {
            match change {
                Change::By(more) => self.config.add_to_gauge(gauge, more),
                Change::To(level) => self.config.set_gauge(gauge, level),
            }
        }
    }

    pub(super) fn panicked(&self) {
        self.config.count(self.panics, &[], 1);
    }
}

/// Defines every series of a metric.
fn define<M: Metric>(
    defined: &mut Defined,
    names: &Names,
    metric: M,
    define: impl Fn(&str) -> Option<abi::Metric>,
) -> Result<(), String> {
    let of_metric: Option<Vec<_>> = if metric.kinds().reason { Vec::new() } else { names.all(metric) }
        .into_iter()
        .map(|series| Some((series.labels, define(&names.statistic(series))?)))
        .collect();
    let place = metric.place();
    if defined.len() <= place {
        defined.resize_with(place + 1, Vec::new);
    }
    if let Some(place) = defined.get_mut(place) {
        *place = of_metric.ok_or(NO_STATISTICS)?;
    }
    Ok(())
}

fn find<M: Metric>(defined: &Defined, series: Series<M>) -> Option<abi::Metric> {
    let of_metric = defined.get(series.metric.place())?;
    of_metric.iter().find(|(labels, _)| *labels == series.labels).map(|(_, metric)| *metric)
}

/// The labels that a counter with a reason may have: the provider or the policy may not be known.
fn label_sets(kinds: Kinds) -> Vec<Vec<&'static str>> {
    let mut sets = vec![Vec::new()];
    for (label, has) in [("provider", kinds.provider), ("policy", kinds.policy)] {
        if has {
            let with: Vec<Vec<&str>> = sets.iter().map(|set| [&set[..], &[label]].concat()).collect();
            sets.extend(with);
        }
    }
    sets.iter().flat_map(|set| [set.clone(), [&set[..], &["reason"]].concat()]).collect()
}

const NO_STATISTICS: &str = "expected an Envoy that defines statistics, got one that does not";
