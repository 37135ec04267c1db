//! Envoy's statistics of a configuration.
//!
//! Envoy lets a module define them only while a configuration is made. Counters that are sure to be counted are defined one by
//! one, by the names that they have in Wasm, and cost a request next to nothing. Of the others there would be dozens for each
//! policy, nearly all of them zero for ever: they are defined once for each set of labels, and Envoy makes the statistic when it
//! is first counted, with the labels as tags. Prometheus sees no difference.

use super::abi;
use crate::metrics::{Change, Counter, Gauge, IntrospectionDuration, Kinds, Labels, Metric, Names, Series};

/// The statistics of a configuration.
pub(super) struct Statistics {
    config: abi::Config,
    names: Names,
    /// Of each counter, by whose it is: there are a few at most.
    expected: Vec<Vec<(Labels, abi::Metric)>>,
    counters: Vec<Labelled<Counter>>,
    gauges: Vec<Labelled<Gauge>>,
    durations: Vec<Labelled<IntrospectionDuration>>,
    panics: abi::Metric,
}

/// What is defined with these labels, of which every series has a value.
struct Labelled<M> {
    metric: M,
    labels: Vec<&'static str>,
    defined: abi::Metric,
}

/// Hooks that panicked; each has refused a request, or left something undone.
const PANICS: &str = "phantom_token.panics";

impl Statistics {
    /// Defines them all, among them series that are sure to be counted.
    ///
    /// # Errors
    ///
    /// If Envoy does not.
    pub(super) fn new(
        config: abi::Config,
        names: Names,
        series: Vec<Series<Counter>>,
    ) -> Result<Self, String> {
        let mut expected = Vec::new();
        expected.resize_with(Counter::ALL.len(), Vec::new);
        for series in &series {
            let series = *series;
            let defined = config.define_counter(&names.statistic(series), &[]).ok_or(NO_STATISTICS)?;
            if let Some(of_counter) = expected.get_mut(series.metric.place()) {
                of_counter.push((series.labels, defined));
            }
        }
        let counters = Counter::ALL.into_iter().filter(|it| it.kinds() != Kinds::NONE);
        let counters = labelled(counters, |name, labels| config.define_counter(name, labels));
        // Without labels, they are there at once.
        let has_fleet = series.iter().any(|series| series.metric.is_of_fleet());
        let is_of_fleet = |it: &Gauge| matches!(it, Gauge::FleetHeard | Gauge::FleetWaiting);
        let gauges = Gauge::ALL.into_iter().filter(|it| has_fleet || !is_of_fleet(it));
        let gauges = labelled(gauges, |name, labels| config.define_gauge(name, labels));
        let durations = std::iter::once(IntrospectionDuration);
        let durations = labelled(durations, |name, labels| config.define_histogram(name, labels));
        let panics = config.define_counter(PANICS, &[]).ok_or(NO_STATISTICS)?;
        Ok(Self {
            config,
            names,
            expected,
            counters: counters?,
            gauges: gauges?,
            durations: durations?,
            panics,
        })
    }

    pub(super) fn count(&self, series: Series<Counter>) {
        let expected = self.expected.get(series.metric.place());
        let expected = expected.and_then(|it| it.iter().find(|(labels, _)| *labels == series.labels));
        match expected {
            Some((_, counter)) => self.config.count(*counter, &[], 1),
            None => self.labelled(&self.counters, series, |it, values| self.config.count(it, values, 1)),
        }
    }

    pub(super) fn took(&self, series: Series<IntrospectionDuration>, millis: u64) {
        self.labelled(&self.durations, series, |it, values| self.config.record(it, values, millis));
    }

    pub(super) fn change(&self, series: Series<Gauge>, change: Change) {
        self.labelled(&self.gauges, series, |it, values| match change {
            Change::By(more) => self.config.add_to_gauge(it, values, more),
            Change::To(level) => self.config.set_gauge(it, values, level),
        });
    }

    pub(super) fn panicked(&self) {
        self.config.count(self.panics, &[], 1);
    }

    /// Does something to what is defined with the labels of a series.
    fn labelled<M: Metric + PartialEq>(
        &self,
        defined: &[Labelled<M>],
        series: Series<M>,
        act: impl FnOnce(abi::Metric, &[&str]),
    ) {
        let labels = self.names.labels(series).into_iter();
        let (labels, values): (Vec<&str>, Vec<String>) =
            labels.filter_map(|(label, value)| Some((label, value?))).unzip();
        let found = defined.iter().find(|it| it.metric == series.metric && it.labels == labels);
        if let Some(found) = found {
            act(found.defined, &values.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}

/// Defines metrics with every set of labels that they may have: the provider or the policy may not be known. Without any, a
/// statistic is there at once; those that have some when they are known are not defined so.
fn labelled<M: Metric>(
    metrics: impl Iterator<Item = M>,
    define: impl Fn(&str, &[&str]) -> Option<abi::Metric>,
) -> Result<Vec<Labelled<M>>, String> {
    let defined = metrics.flat_map(|metric| {
        let sets = label_sets(metric.kinds()).into_iter();
        sets.map(move |labels| (metric, labels))
    });
    let defined = defined.map(|(metric, labels)| {
        let defined = define(metric.name(), &labels)?;
        Some(Labelled { metric, labels, defined })
    });
    defined.collect::<Option<Vec<_>>>().ok_or_else(|| NO_STATISTICS.to_owned())
}

fn label_sets(kinds: Kinds) -> Vec<Vec<&'static str>> {
    let mut sets = vec![Vec::new()];
    let Kinds { provider, transmitter, policy, reason } = kinds;
    // In the order in which a series has them.
    let kinds_of =
        [("provider", provider), ("transmitter", transmitter), ("policy", policy), ("reason", reason)];
    for (label, has) in kinds_of {
        let with: Vec<Vec<&str>> =
            sets.iter().filter(|_| has).map(|set| [&set[..], &[label]].concat()).collect();
        sets.extend(with);
    }
    sets.retain(|set| !set.is_empty() || kinds == Kinds::NONE);
    sets
}

const NO_STATISTICS: &str = "expected an Envoy that defines statistics, got one that does not";
