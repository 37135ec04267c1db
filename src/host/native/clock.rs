//! Ticks: a thread that sleeps until the next one is due, for Envoy lends modules no timer.

use std::mem::take;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::inbox::Inbox;

/// The ticks of the workers of a configuration.
pub(super) struct Clock {
    ticks: Arc<Ticks>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Ticks {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Of each worker: when the next one is due, and how often they come.
    due: Vec<Option<(Instant, Duration)>>,
    /// Workers whose tick has fallen due, and who have not been told.
    fallen: Vec<usize>,
    is_over: bool,
}

impl Clock {
    /// For so many workers.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub(super) fn start(workers: usize, inbox: Arc<Inbox>) -> Result<Self, String> {
        let ticks = Arc::new(Ticks::default());
        ticks.state().due = vec![None; workers];
        let of_thread = Arc::clone(&ticks);
        let thread = thread::Builder::new().name("phantom_token".to_owned());
        let thread = thread.spawn(move || of_thread.run(&inbox));
        let thread = thread.map_err(|error| format!("expected a thread for ticks, got none: {error}"))?;
        Ok(Self { ticks, thread: Some(thread) })
    }

    /// A worker has a tick every so often from now on; zero: no more.
    pub(super) fn set(&self, worker: usize, period: Duration) {
        if let Some(due) = self.ticks.state().due.get_mut(worker) {
            *due = (!period.is_zero()).then(|| (now() + period, period));
        }
        self.ticks.changed.notify_one();
    }

    /// Whose tick has fallen due.
    pub(super) fn take_fallen(&self) -> Vec<usize> {
        take(&mut self.ticks.state().fallen)
    }
}

impl Drop for Clock {
    /// The thread is gone before what it wakes; unless it is the one that was the last to have the configuration, which Envoy
    /// lends it for a moment when it wakes the main thread.
    fn drop(&mut self) {
        self.ticks.state().is_over = true;
        self.ticks.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            _ = thread.join();
        }
    }
}

impl Ticks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, inbox: &Inbox) {
        let mut state = self.state();
        while !state.is_over {
            let now = now();
            if state.fall_due(now) {
                // The lock is not held: see what `Clock` does when it is dropped.
                drop(state);
                inbox.ticks_are_due();
                state = self.state();
                continue;
            }
            let next = state.due.iter().flatten().map(|(due, _)| *due).min();
            state = match next {
                Some(next) => {
                    let wait = next.saturating_duration_since(now);
                    self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl State {
    /// Whether somebody is to be told who was not before.
    fn fall_due(&mut self, now: Instant) -> bool {
        let had_fallen = !self.fallen.is_empty();
        for (worker, place) in self.due.iter_mut().enumerate() {
            if let Some((due, period)) = place
                && *due <= now
            {
                *due = now + *period;
                if !self.fallen.contains(&worker) {
                    self.fallen.push(worker);
                }
            }
        }
        !had_fallen && !self.fallen.is_empty()
    }
}

#[expect(clippy::disallowed_methods, reason = "somebody has to read the clock")]
fn now() -> Instant {
    Instant::now()
}
