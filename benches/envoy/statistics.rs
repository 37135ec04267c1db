//! Medians and quartiles.

use std::time::Duration;

/// The middle of several figures, and the half of them around it.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub q1: f64,
    pub median: f64,
    pub q3: f64,
}

impl Spread {
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (figures.len().max(1) - 1) as f64;
            let (low, high) = (place.floor() as usize, place.ceil() as usize);
            match (figures.get(low), figures.get(high)) {
                (Some(low), Some(high)) => low + (high - low) * place.fract(),
                _ => f64::NAN,
            }
        };
        Self { q1: at(0.25), median: at(0.5), q3: at(0.75) }
    }
}

/// The `part`-quantile of durations that are sorted, in µs.
pub fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let place = (part * sorted.len() as f64) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |duration| micros(*duration))
}

pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
