//! One worker at a time has its turn, for one access to shared data; who is next is decided by a number.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::{Condvar, Mutex};

use super::super::{SharedData, Version};
use super::random::Random;
use super::withdrawal::Withdrawal;

/// What really happened, in the order in which it did.
#[derive(Default)]
pub(super) struct History {
    /// Of each call: when it was sent.
    pub(super) calls: Vec<u64>,
    /// Of each withdrawal that is done: when it began and when it ended.
    pub(super) withdrawals: Vec<(Withdrawal, u64, u64)>,
    pub(super) inactive: Vec<Inactive>,
    /// Which worker is writing an active verdict on which token.
    pub(super) writing: Vec<(usize, u64)>,
    /// Withdrawals that are not done yet.
    pub(super) under_way: u64,
    pub(super) forwarded_jwts: u64,
    pub(super) refused_jwts: u64,
    pub(super) forwarded: u64,
    pub(super) looked_up: u64,
}

/// An inactive verdict that is remembered.
pub(super) struct Inactive {
    pub(super) token: u64,
    /// When its call was sent.
    pub(super) asked: u64,
    /// Since when it is remembered.
    pub(super) since: Option<u64>,
    /// Workers that were just writing another verdict; they take it back before they are done.
    pub(super) but_for: Vec<usize>,
}

impl History {
    pub(super) fn written(&mut self, worker: usize, step: u64) {
        self.writing.retain(|(writer, _)| *writer != worker);
        for inactive in &mut self.inactive {
            inactive.but_for.retain(|writer| *writer != worker);
            if inactive.but_for.is_empty() {
                inactive.since.get_or_insert(step);
            }
        }
    }
}

pub(super) struct State {
    pub(super) random: Random,
    pub(super) turn: usize,
    pub(super) alive: Vec<bool>,
    pub(super) values: HashMap<String, (Vec<u8>, u32)>,
    pub(super) version: u32,
    pub(super) epoch: u64,
    /// Counts every access of every worker.
    pub(super) step: u64,
    pub(super) now: u64,
    pub(super) history: History,
}

/// One worker at a time has its turn, for one access.
pub(super) struct Baton {
    pub(super) state: Mutex<State>,
    pub(super) passed: Condvar,
}

impl Baton {
    pub(super) fn turn<R>(&self, me: usize, act: impl FnOnce(&mut State) -> R) -> R {
        let _wakes = WakesOthers(self);
        let mut state = self.state.lock().unwrap();
        while state.turn != me {
            state = self.passed.wait(state).unwrap();
        }
        state.step += 1;
        let result = act(&mut state);
        self.pass(&mut state);
        result
    }

    pub(super) fn pass(&self, state: &mut State) {
        let alive: Vec<usize> = (0..state.alive.len()).filter(|&worker| state.alive[worker]).collect();
        if !alive.is_empty() {
            state.turn = alive[state.random.next(alive.len() as u64) as usize];
            self.passed.notify_all();
        }
    }
}

/// Nobody waits for a turn that a worker that has failed never passes on.
pub(super) struct WakesOthers<'b>(&'b Baton);

impl Drop for WakesOthers<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.passed.notify_all();
        }
    }
}

#[derive(Clone)]
pub(super) struct Handle {
    pub(super) me: usize,
    pub(super) baton: Arc<Baton>,
}

impl SharedData for Handle {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.read(key).0
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.baton.turn(self.me, |state| put(state, key, value));
    }

    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        self.baton.turn(self.me, |state| match state.values.get(key) {
            Some((value, version)) => (Some(value.clone()), Version(*version)),
            None => (None, Version::NEVER_SET),
        })
    }

    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool {
        self.baton.turn(self.me, |state| {
            let is_same = version == Version::NEVER_SET
                || state.values.get(key).is_some_and(|(_, current)| *current == version.0);
            if is_same {
                put(state, key, value);
            }
            is_same
        })
    }

    fn epoch(&self) -> Option<u64> {
        self.baton.turn(self.me, |state| Some(state.epoch))
    }

    fn advance_epoch(&self, by: u64) {
        self.baton.turn(self.me, |state| state.epoch = state.epoch.wrapping_add(by));
    }
}

pub(super) fn put(state: &mut State, key: &str, value: &[u8]) {
    state.version += 1;
    state.values.insert(key.to_owned(), (value.to_vec(), state.version));
}
