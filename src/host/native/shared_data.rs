//! The memory of all workers: a map of this process.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::cache::{self, Version};

/// Values with the version that set them. What the core puts in has a place of its own each, so there are as many as the
/// configuration has room for, and no more.
#[derive(Default)]
pub(super) struct Memory {
    parts: [Mutex<HashMap<String, Versioned>>; PARTS],
    hasher: RandomState,
    version: AtomicU32,
    epoch: AtomicU64,
}

type Versioned = (Vec<u8>, Version);

/// Workers seldom want the same at once.
const PARTS: usize = 32;

/// A worker's access to it.
#[derive(Clone)]
pub(super) struct SharedData(Arc<Memory>);

impl SharedData {
    /// What all configurations of this name share. It is kept for as long as there is one of them: a new one finds what the
    /// old one knew.
    pub(super) fn named(name: &[u8]) -> Self {
        static MEMORIES: Mutex<Vec<(Vec<u8>, Weak<Memory>)>> = Mutex::new(Vec::new());
        let mut memories = MEMORIES.lock().unwrap_or_else(PoisonError::into_inner);
        memories.retain(|(_, memory)| memory.strong_count() > 0);
        let known = memories.iter().find(|(other, _)| other == name).and_then(|(_, memory)| memory.upgrade());
        Self(known.unwrap_or_else(|| {
            let memory = Arc::default();
            memories.push((name.to_vec(), Arc::downgrade(&memory)));
            memory
        }))
    }
}

impl Memory {
    fn part(&self, key: &str) -> MutexGuard<'_, HashMap<String, Versioned>> {
        let place = usize::try_from(self.hasher.hash_one(key)).unwrap_or(0) % PARTS;
        let part = self.parts.get(place).unwrap_or(&self.parts[0]);
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that no value has.
    fn new_version(&self) -> Version {
        loop {
            let version = Version(self.version.fetch_add(1, Ordering::Relaxed).wrapping_add(1));
            if version != Version::NEVER_SET {
                return version;
            }
        }
    }
}

impl cache::SharedData for SharedData {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.part(key).get(key).map(|(value, _)| value.clone())
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.replace(key, value, Version::NEVER_SET);
    }

    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let found = self.0.part(key).get(key).cloned();
        found.map_or((None, Version::NEVER_SET), |(value, version)| (Some(value), version))
    }

    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool {
        let new = self.0.new_version();
        let mut part = self.0.part(key);
        match part.get_mut(key) {
            Some((_, of_now)) if version != Version::NEVER_SET && version != *of_now => return false,
            Some((place, of_now)) => {
                place.clear();
                place.extend_from_slice(value);
                *of_now = new;
            }
            None => _ = part.insert(key.to_owned(), (value.to_vec(), new)),
        }
        true
    }

    fn epoch(&self) -> Option<u64> {
        Some(self.0.epoch.load(Ordering::SeqCst))
    }

    fn advance_epoch(&self, by: u64) {
        self.0.epoch.fetch_add(by, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::cache::SharedData as _;

    #[test]
    fn a_value_is_replaced_by_whoever_has_seen_it_alone() {
        let memory = SharedData::named(b"replaced");
        assert_eq!(memory.read("key"), (None, Version::NEVER_SET));
        assert!(memory.replace("key", b"first", Version::NEVER_SET));
        let (value, version) = memory.read("key");
        assert_eq!(value.as_deref(), Some(&b"first"[..]));
        assert!(memory.replace("key", b"second", version));
        assert!(!memory.replace("key", b"third", version));
        assert_eq!(memory.get("key").as_deref(), Some(&b"second"[..]));
    }

    #[test]
    fn of_many_threads_each_replaces_what_it_has_seen() {
        let memory = SharedData::named(b"counted");
        memory.set("count", b"0");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let memory = SharedData::named(b"counted");
                    (0..250).for_each(|_| {
                        while {
                            let (value, version) = memory.read("count");
                            let count = value.and_then(|it| String::from_utf8(it).ok()?.parse::<u32>().ok());
                            let next = (count.unwrap_or(0) + 1).to_string();
                            !memory.replace("count", next.as_bytes(), version)
                        } {}
                        memory.advance_epoch(1);
                    });
                });
            }
        });
        assert_eq!(memory.get("count").as_deref(), Some(&b"1000"[..]));
        assert_eq!(memory.epoch(), Some(1000));
    }

    #[test]
    fn filters_of_one_name_share_and_others_do_not() {
        let memory = SharedData::named(b"one");
        memory.set("key", b"value");
        assert_eq!(SharedData::named(b"one").get("key").as_deref(), Some(&b"value"[..]));
        assert_eq!(SharedData::named(b"another").get("key"), None);
        drop(memory);
        assert_eq!(SharedData::named(b"one").get("key"), None, "nobody kept it");
    }
}
