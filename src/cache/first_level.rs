//! The first level: what a worker has just made of a request, for the next one that is like it.
//!
//! It is found by a [`Tag`], and holds for a while ([`Window`]) and on one [`Basis`] only. That is another one whenever
//! an entry of the cache is withdrawn, taken away or pushed out before its time, and whenever keys change: so nothing
//! outlives what it was made of.
//!
//! Memory is bounded: by the number of places, by the size of what is in them, and by the sum of these sizes.

use std::hash::Hasher;
use std::rc::Rc;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::token::{UnixMillis, Window};

/// Values by tags.
pub struct FirstLevel<T> {
    /// Of this worker alone, and made anew with it. `None` where there is no randomness: then nothing is kept.
    key: Option<[u8; 16]>,
    sets: Vec<Set<T>>,
    bytes: usize,
}

/// What a request is known by. It is a keyed hash of 128 bits (SipHash-2-4): who does not know the key, which never
/// leaves the worker's memory, cannot find a token that is taken for another one, and what was hashed is not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag(u128);

/// What a value rests on. With another, it is worth nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// The cache's epoch, before anything was read for it.
    pub epoch: u64,
    /// A number that stands for the keys of authorization servers.
    pub keys: u64,
}

/// Places for tags that fall together. The tags of all are on one line of the processor's cache.
struct Set<T> {
    tags: [Tag; WAYS],
    places: [Option<Place<T>>; WAYS],
    /// Which place is cleared next.
    next: usize,
    /// Tags that were put lately, but not kept.
    candidates: [Tag; WAYS],
}

struct Place<T> {
    window: Window,
    basis: Basis,
    value: Rc<T>,
    len: usize,
}

impl<T> FirstLevel<T> {
    /// An empty one.
    pub fn new() -> Self {
        let mut key = [0; 16];
        let key = getrandom::fill(&mut key).ok().map(|()| key);
        let set = |_| Set {
            tags: [Tag::default(); WAYS],
            places: [const { None }; WAYS],
            next: 0,
            candidates: [Tag::default(); WAYS],
        };
        Self { key, sets: (0..SETS).map(set).collect(), bytes: 0 }
    }

    /// The tag of `value` in the realm of `name`.
    pub fn tag(&self, name: &str, value: &[u8]) -> Option<Tag> {
        let mut hasher = SipHasher24::new_with_key(self.key.as_ref()?);
        hasher.write(name.as_bytes());
        hasher.write_u8(0xff); // in no text
        hasher.write(value);
        Some(Tag(hasher.finish128().as_u128()))
    }

    /// What there is for `tag`, if it holds.
    pub fn get(&self, tag: Tag, basis: Basis, now: UnixMillis) -> Option<Rc<T>> {
        let set = self.sets.get(place(tag))?;
        let way = set.tags.iter().position(|other| *other == tag)?;
        let place = set.places.get(way)?.as_ref()?;
        (place.basis == basis && place.window.contains(now)).then(|| Rc::clone(&place.value))
    }

    /// Keeps a value of `len` bytes, which rests on `basis`, if it is the second time lately that it is put: what is
    /// used but once would push out what is used all the time, and cost more than it saves.
    pub fn put(&mut self, tag: Tag, basis: Basis, window: Window, value: T, len: usize) {
        if len > MAX_VALUE_BYTES {
            return;
        }
        if self.bytes + len > MAX_BYTES {
            self.clear();
        }
        let Some(set) = self.sets.get_mut(place(tag)) else { return };
        if !set.tags.contains(&tag) && !set.candidates.contains(&tag) {
            set.candidates.rotate_right(1);
            if let Some(first) = set.candidates.first_mut() {
                *first = tag;
            }
            return;
        }
        let way = set.tags.iter().position(|other| *other == tag).unwrap_or_else(|| {
            set.next = (set.next + 1) % WAYS;
            set.next
        });
        if let (Some(known), Some(place)) = (set.tags.get_mut(way), set.places.get_mut(way)) {
            *known = tag;
            let old = place.replace(Place { window, basis, value: Rc::new(value), len });
            self.bytes = (self.bytes + len).saturating_sub(old.map_or(0, |old| old.len));
        }
    }

    /// Throws everything away.
    pub fn clear(&mut self) {
        self.bytes = 0;
        for set in &mut self.sets {
            set.places = [const { None }; WAYS];
        }
    }
}

impl<T> Default for FirstLevel<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Which set a tag falls into.
fn place(Tag(tag): Tag) -> usize {
    tag as usize % SETS
}

/// As many tags as a line of the processor's cache holds.
const WAYS: usize = 4;

const SETS: usize = 1024;

/// What is larger is made anew each time.
const MAX_VALUE_BYTES: usize = 8 << 10;

/// What is more than this is thrown away as a whole.
const MAX_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const BASIS: Basis = Basis { epoch: 1, keys: 1 };
    const ALWAYS: Window = Window { from: UnixMillis::from_millis(0), until: UnixMillis::MAX };

    fn tag(level: &FirstLevel<u32>, number: u32) -> Tag {
        level.tag("policy", &number.to_le_bytes()).unwrap()
    }

    /// Puts a value as often as it takes.
    fn keep(level: &mut FirstLevel<u32>, tag: Tag, window: Window, value: u32, len: usize) {
        (0..2).for_each(|_| level.put(tag, BASIS, window, value, len));
    }

    #[test]
    fn tags_are_of_this_worker_and_of_all_that_they_are_made_of() {
        let (one, two) = (FirstLevel::<u32>::new(), FirstLevel::<u32>::new());
        assert_eq!(one.tag("a", b"b"), one.tag("a", b"b"));
        assert_ne!(one.tag("a", b"b"), two.tag("a", b"b"));
        assert_ne!(one.tag("a", b"b"), one.tag("a", b"c"));
        assert_ne!(one.tag("a", b"b"), one.tag("", b"ab"));
        assert_ne!(one.tag("a", b"b"), one.tag("ab", b""));
    }

    #[test]
    fn a_value_holds_on_its_basis_and_in_its_time() {
        let mut level = FirstLevel::new();
        let (from, until) = (UnixMillis::from_secs(10), UnixMillis::from_secs(20));
        let tag = tag(&level, 1);
        keep(&mut level, tag, Window { from, until }, 7, 100);
        let get = |basis, millis| level.get(tag, basis, UnixMillis::from_millis(millis)).map(|value| *value);
        assert_eq!(
            [9_999, 10_000, 19_999, 20_000].map(|now| get(BASIS, now)),
            [None, Some(7), Some(7), None]
        );
        assert_eq!(get(Basis { epoch: 2, ..BASIS }, 15_000), None);
        assert_eq!(get(Basis { keys: 2, ..BASIS }, 15_000), None);
    }

    #[test]
    fn a_later_value_takes_the_place_of_an_earlier_one() {
        let mut level = FirstLevel::new();
        let tag = tag(&level, 1);
        keep(&mut level, tag, ALWAYS, 7, 100);
        keep(&mut level, tag, ALWAYS, 8, 200);
        assert_eq!(level.get(tag, BASIS, UnixMillis::from_secs(1)).as_deref(), Some(&8));
        assert_eq!(level.bytes, 200);
    }

    #[test]
    fn a_thousand_values_have_room_and_memory_is_bounded() {
        let mut level = FirstLevel::new();
        for number in 0..1_000 {
            let tag = tag(&level, number);
            keep(&mut level, tag, ALWAYS, number, 600);
        }
        let found = (0..1_000).filter(|number| {
            level.get(tag(&level, *number), BASIS, UnixMillis::from_secs(1)).as_deref() == Some(number)
        });
        assert!(found.count() > 980);
        for number in 0..100_000 {
            let tag = tag(&level, number);
            keep(&mut level, tag, ALWAYS, number, MAX_VALUE_BYTES);
            let kept = level.sets.iter().flat_map(|set| &set.places).flatten().map(|place| place.len);
            assert!(number % 1_000 > 0 || kept.sum::<usize>() == level.bytes && level.bytes <= MAX_BYTES);
        }
        let tag = tag(&level, 0);
        keep(&mut level, tag, ALWAYS, 7, MAX_VALUE_BYTES + 1);
        assert_ne!(level.get(tag, BASIS, UnixMillis::from_secs(1)).as_deref(), Some(&7));
    }

    #[test]
    fn what_is_used_but_once_pushes_out_nothing() {
        let mut level = FirstLevel::new();
        let hot = tag(&level, 0);
        keep(&mut level, hot, ALWAYS, 0, 600);
        for number in 1..100_000 {
            let tag = tag(&level, number);
            level.put(tag, BASIS, ALWAYS, number, 600);
        }
        assert_eq!(level.get(hot, BASIS, UnixMillis::from_secs(1)).as_deref(), Some(&0));
    }
}
