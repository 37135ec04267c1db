//! Envoy's statistics of a worker: each is defined when it is first of use, and found again by what it is of.

use std::cell::RefCell;
use std::rc::Rc;

use litemap::LiteMap;

use super::abi::Status;
use super::abi::hostcalls::{self, MetricType};
use crate::metrics::{Change, Counter, Gauge, IntrospectionDuration, Labels, Metric, Names, Series};

/// The statistics of a worker.
pub(super) struct Statistics {
    names: Rc<Names>,
    counters: Numbers,
    durations: Numbers,
    gauges: Numbers,
}

/// The host's numbers of statistics, of each metric by its labels: there are a few at most.
type Numbers = RefCell<Vec<LiteMap<Labels, u32>>>;

impl Statistics {
    /// Defines those that are sure to be counted.
    ///
    /// # Errors
    ///
    /// If the host keeps no statistics.
    pub(super) fn new(names: Rc<Names>, counters: &[Series<Counter>]) -> Result<Self, Status> {
        let [of_counters, durations, gauges] = [(); 3].map(|()| Numbers::default());
        let statistics = Self { names, counters: of_counters, durations, gauges };
        for series in counters {
            statistics.number(&statistics.counters, MetricType::Counter, *series)?;
        }
        Ok(statistics)
    }

    pub(super) fn count(&self, series: Series<Counter>) {
        if let Ok(number) = self.number(&self.counters, MetricType::Counter, series) {
            _ = hostcalls::increment_metric(number, 1);
        }
    }

    pub(super) fn took(&self, series: Series<IntrospectionDuration>, millis: u64) {
        if let Ok(number) = self.number(&self.durations, MetricType::Histogram, series) {
            _ = hostcalls::record_metric(number, millis);
        }
    }

    pub(super) fn change(&self, series: Series<Gauge>, change: Change) {
        if let Ok(number) = self.number(&self.gauges, MetricType::Gauge, series) {
            _ = match change {
                Change::By(more) => hostcalls::increment_metric(number, more),
                Change::To(level) => hostcalls::record_metric(number, level),
            };
        }
    }

    fn number<M: Metric>(
        &self,
        numbers: &Numbers,
        kind: MetricType,
        series: Series<M>,
    ) -> Result<u32, Status> {
        let place = series.metric.place();
        if let Some(number) = numbers.borrow().get(place).and_then(|of_metric| of_metric.get(&series.labels))
        {
            return Ok(*number);
        }
        let number = hostcalls::define_metric(kind, &self.names.statistic(series))?;
        let mut numbers = numbers.borrow_mut();
        if numbers.len() <= place {
            numbers.resize_with(place + 1, LiteMap::new_vec);
        }
        if let Some(of_metric) = numbers.get_mut(place) {
            of_metric.insert(series.labels, number);
        }
        Ok(number)
    }
}
