//! What a worker has told of the gauges that all workers' levels add up to: each says how much more or less it is than it
//! said before.

use litemap::LiteMap;

use super::event::Effect;
use super::step::Step;
use crate::metrics::{Change, Gauge, Series, Whose};

/// What this worker has said last.
#[derive(Default)]
pub(super) struct Levels(LiteMap<Series<Gauge>, usize>);

impl Levels {
    /// Says a level, if it is another than before.
    pub(super) fn tell(&mut self, gauge: Gauge, whose: Whose<'_>, level: usize, step: &mut Step<'_>) {
        let series = step.worker.names.series(gauge, whose);
        // The first time also if it is nothing: monitoring finds it then.
        let before = self.0.insert(series, level);
        if before != Some(level) {
            step.push(Effect::Gauge(series, Change::By(more(level, before.unwrap_or(0)))));
        }
    }

    /// Takes back all that was said: the worker ends.
    pub(super) fn take_back(&mut self, step: &mut Step<'_>) {
        for (series, level) in std::mem::take(&mut self.0) {
            step.push(Effect::Gauge(series, Change::By(more(0, level))));
        }
    }
}

fn more(level: usize, before: usize) -> i64 {
    let count = |level| i64::try_from(level).unwrap_or(i64::MAX);
    count(level) - count(before)
}
