//! The first level: what a worker has just made of a request, for the next one that is like it.
//!
//! It is found by a [`Tag`], and holds for a while ([`Window`]) and on one [`Basis`] only. That is another one whenever
//! an entry of the cache is withdrawn or taken away before its time, and whenever keys change: so nothing outlives what
//! it was made of. What made room for others in the cache, it may outlast.
//!
//! It grows with what is used, up to a bound that goes by the number of the cache's entries: [`max_first_level_bytes`].

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::token::{UnixMillis, Window};

/// Values by tags; what is cheap to clone.
pub struct FirstLevel<T> {
    /// Of this worker alone, and made anew with it. `None` where there is no randomness: then nothing is kept.
    key: Option<[u8; 16]>,
    /// A power of two of them; `None` until something falls there.
    sets: Vec<Option<Box<Set<T>>>>,
    /// What all values take.
    bytes: usize,
    max_bytes: usize,
    /// Which set is the next to go when there is no room.
    next: usize,
    dice: Dice,
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
    /// Tags that were put lately, but not kept.
    candidates: [Tag; WAYS],
}

struct Place<T> {
    window: Window,
    basis: Basis,
    value: T,
    len: usize,
}

/// How much a worker may keep whose cache has so many entries.
pub fn max_first_level_bytes(entries: u32) -> usize {
    (entries as usize).saturating_mul(BYTES_PER_ENTRY).min(MAX_BYTES)
}

impl<T: Clone> FirstLevel<T> {
    /// An empty one, of a worker whose cache has so many entries.
    pub fn new(entries: u32) -> Self {
        let mut key = [0; 16];
        let key = getrandom::fill(&mut key).ok().map(|()| key);
        // Twice as many places, for tags do not spread evenly.
        let sets = (2 * entries as usize).div_ceil(WAYS).next_power_of_two().min(MAX_SETS);
        Self {
            key,
            sets: std::iter::repeat_with(|| None).take(sets).collect(),
            bytes: 0,
            max_bytes: max_first_level_bytes(entries),
            next: 0,
            dice: Dice(0),
        }
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
    pub fn get(&self, tag: Tag, basis: Basis, now: UnixMillis) -> Option<T> {
        let set = self.sets.get(self.index(tag))?.as_ref()?;
        let place = set.places.get(set.way_of(tag)?)?.as_ref()?;
        (place.basis == basis && place.window.contains(now)).then(|| place.value.clone())
    }

    /// Keeps a value of `len` bytes, which rests on `basis`, if it is the second time lately that it is put: what is
    /// used but once would push out what is used all the time, and cost more than it saves.
    pub fn put(&mut self, tag: Tag, basis: Basis, window: Window, value: T, len: usize, now: UnixMillis) {
        let len = len + BYTES_PER_VALUE;
        if len > MAX_VALUE_BYTES.min(self.max_bytes) {
            return;
        }
        let any = self.dice.throw();
        let Some(set) = self.set(tag) else { return };
        let own = set.way_of(tag);
        if own.is_none() && !set.is_second(tag, any) {
            return;
        }
        let way = own.or_else(|| set.free_way(basis, now)).unwrap_or(any);
        let freed = set.clear(way);
        self.bytes -= freed;
        self.make_room(len);
        // It may have been this very set that made room.
        let Some(set) = self.set(tag) else { return };
        if let (Some(known), Some(place)) = (set.tags.get_mut(way), set.places.get_mut(way)) {
            *known = tag;
            *place = Some(Place { window, basis, value, len });
            self.bytes += len;
        }
    }

    /// Throws everything away.
    pub fn clear(&mut self) {
        self.bytes = 0;
        self.sets.fill_with(|| None);
    }

    /// Makes sets go, one after the other, until there is room for so many bytes.
    fn make_room(&mut self, len: usize) {
        while self.bytes + len > self.max_bytes {
            let Some(set) = self.sets.get_mut(self.next).map(Option::take) else { return };
            self.bytes -= set.map_or(0, |set| set.bytes());
            self.next = (self.next + 1) % self.sets.len();
        }
    }

    /// The set that a tag falls into, from now on at the latest.
    fn set(&mut self, tag: Tag) -> Option<&mut Set<T>> {
        let index = self.index(tag);
        Some(self.sets.get_mut(index)?.get_or_insert_with(Box::default))
    }

    /// Which set a tag falls into.
    fn index(&self, Tag(tag): Tag) -> usize {
        tag as usize & (self.sets.len() - 1)
    }
}

impl<T> Set<T> {
    /// Where a tag's own place is.
    fn way_of(&self, tag: Tag) -> Option<usize> {
        self.tags.iter().position(|other| *other == tag)
    }

    /// Whether a tag was put lately. If not, it now was, in the place of any that was: of more that come in turn than
    /// there is room for, the eldest would never come back in time.
    fn is_second(&mut self, tag: Tag, any: usize) -> bool {
        let place_of = |tag| self.candidates.iter().position(|candidate| *candidate == tag);
        let (known, free) = (place_of(tag), place_of(Tag::default()));
        if let Some(candidate) = self.candidates.get_mut(known.or(free).unwrap_or(any)) {
            *candidate = if known.is_some() { Tag::default() } else { tag };
        }
        known.is_some()
    }

    /// Where there is nothing, or nothing that is of use any more.
    fn free_way(&self, basis: Basis, now: UnixMillis) -> Option<usize> {
        let is_over = |place: &Place<T>| place.basis != basis || place.window.until <= now;
        self.places.iter().position(|place| place.as_ref().is_none_or(is_over))
    }

    /// Clears a place; gives back how many bytes that freed.
    fn clear(&mut self, way: usize) -> usize {
        self.places.get_mut(way).and_then(Option::take).map_or(0, |place| place.len)
    }

    /// What its values take.
    fn bytes(&self) -> usize {
        self.places.iter().flatten().map(|place| place.len).sum()
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self {
            tags: [Tag::default(); WAYS],
            places: [const { None }; WAYS],
            candidates: [Tag::default(); WAYS],
        }
    }
}

/// Numbers that follow from nothing that tokens do. Nothing secret hangs on them.
struct Dice(u32);

impl Dice {
    /// Which of the ways of a set.
    fn throw(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) as usize % WAYS
    }
}

/// As many tags as a line of the processor's cache holds.
const WAYS: usize = 4;

/// Of 300 bytes each.
const MAX_SETS: usize = 1 << 17;

/// What is larger is made anew each time.
const MAX_VALUE_BYTES: usize = 8 << 10;

/// Its share of a set, of which most have one or two, and what allocations cost.
const BYTES_PER_VALUE: usize = 256;

/// As much as most values take.
const BYTES_PER_ENTRY: usize = 1 << 10;

/// However many entries the cache has, no more than this is kept: 128 MiB.
const MAX_BYTES: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const BASIS: Basis = Basis { epoch: 1, keys: 1 };
    const NOW: UnixMillis = UnixMillis::from_secs(1);
    const ALWAYS: Window = Window { from: UnixMillis::from_millis(0), until: UnixMillis::MAX };

    fn tag(level: &FirstLevel<u32>, number: u32) -> Tag {
        level.tag("policy", &number.to_le_bytes()).unwrap()
    }

    /// Puts a value as often as it takes.
    fn keep(level: &mut FirstLevel<u32>, tag: Tag, window: Window, value: u32, len: usize) {
        (0..2).for_each(|_| level.put(tag, BASIS, window, value, len, NOW));
    }

    #[test]
    fn tags_are_of_this_worker_and_of_all_that_they_are_made_of() {
        let (one, two) = (FirstLevel::<u32>::new(1_000), FirstLevel::<u32>::new(1_000));
        assert_eq!(one.tag("a", b"b"), one.tag("a", b"b"));
        assert_ne!(one.tag("a", b"b"), two.tag("a", b"b"));
        assert_ne!(one.tag("a", b"b"), one.tag("a", b"c"));
        assert_ne!(one.tag("a", b"b"), one.tag("", b"ab"));
        assert_ne!(one.tag("a", b"b"), one.tag("ab", b""));
    }

    #[test]
    fn a_value_holds_on_its_basis_and_in_its_time() {
        let mut level = FirstLevel::new(1_000);
        let (from, until) = (UnixMillis::from_secs(10), UnixMillis::from_secs(20));
        let tag = tag(&level, 1);
        keep(&mut level, tag, Window { from, until }, 7, 100);
        let get = |basis, millis| level.get(tag, basis, UnixMillis::from_millis(millis));
        assert_eq!(
            [9_999, 10_000, 19_999, 20_000].map(|now| get(BASIS, now)),
            [None, Some(7), Some(7), None]
        );
        assert_eq!(get(Basis { epoch: 2, ..BASIS }, 15_000), None);
        assert_eq!(get(Basis { keys: 2, ..BASIS }, 15_000), None);
    }

    #[test]
    fn a_later_value_takes_the_place_of_an_earlier_one() {
        let mut level = FirstLevel::new(1_000);
        let tag = tag(&level, 1);
        keep(&mut level, tag, ALWAYS, 7, 100);
        keep(&mut level, tag, ALWAYS, 8, 200);
        assert_eq!(level.get(tag, BASIS, NOW), Some(8));
        assert_eq!(level.bytes, 200 + BYTES_PER_VALUE);
    }

    #[test]
    fn as_many_values_as_the_cache_has_entries_have_room() {
        let mut level = FirstLevel::new(10_000);
        let tags: Vec<Tag> = (0..10_000).map(|number| tag(&level, number)).collect();
        for (number, tag) in (0..).zip(&tags) {
            keep(&mut level, *tag, ALWAYS, number, 600);
        }
        let is_found = |(number, tag): &(u32, &Tag)| level.get(**tag, BASIS, NOW) == Some(*number);
        assert!((0..).zip(&tags).filter(is_found).count() > 9_500);
    }

    #[test]
    fn of_more_than_there_is_room_for_some_are_kept_though_they_come_in_turn() {
        let mut level = FirstLevel::new(1_000);
        let places = level.sets.len() * WAYS;
        let tags: Vec<Tag> = (0..3_000).map(|number| tag(&level, number)).collect();
        for _ in 0..10 {
            for tag in &tags {
                level.put(*tag, BASIS, ALWAYS, 0, 100, NOW);
            }
        }
        let kept = tags.iter().filter(|tag| level.get(**tag, BASIS, NOW).is_some()).count();
        assert!(kept > places * 9 / 10, "{kept} of {places}");
    }

    #[test]
    fn what_is_over_makes_room_first() {
        let until = UnixMillis::from_secs(2);
        for throws in 0..20 {
            let mut level = FirstLevel::new(2);
            assert_eq!(level.sets.len(), 1);
            (0..throws).for_each(|_| _ = level.dice.throw());
            let tags: Vec<Tag> = (0..7).map(|number| tag(&level, number)).collect();
            for (number, tag) in (0..).zip(&tags) {
                let window = if number < 3 { Window { from: NOW, until } } else { ALWAYS };
                let now = if number < 4 { NOW } else { until };
                (0..2).for_each(|_| level.put(*tag, BASIS, window, number, 0, now));
            }
            let kept: Vec<u32> = tags.iter().filter_map(|tag| level.get(*tag, BASIS, until)).collect();
            assert_eq!(kept, [3, 4, 5, 6]);
        }
    }

    #[test]
    fn memory_is_bounded_and_goes_round() {
        for entries in [1, 100, 1_000_000] {
            let mut level = FirstLevel::new(entries);
            for number in 0..50_000 {
                let tag = tag(&level, number);
                keep(&mut level, tag, ALWAYS, number, MAX_VALUE_BYTES - BYTES_PER_VALUE);
                assert!(level.bytes <= level.max_bytes);
                if level.max_bytes >= MAX_VALUE_BYTES {
                    let kept = level.get(tag, BASIS, NOW);
                    assert_eq!(kept, Some(number), "the latest is there");
                }
            }
            assert_eq!(level.bytes, level.sets.iter().flatten().map(|set| set.bytes()).sum::<usize>());
            assert!(level.max_bytes < MAX_VALUE_BYTES || level.bytes > level.max_bytes / 2);
            assert!(level.max_bytes <= MAX_BYTES);
        }
    }

    #[test]
    fn a_value_that_is_too_long_is_not_kept() {
        let mut level = FirstLevel::new(1_000);
        let tag = tag(&level, 0);
        keep(&mut level, tag, ALWAYS, 7, MAX_VALUE_BYTES + 1);
        assert_eq!(level.get(tag, BASIS, NOW), None);
    }

    #[test]
    fn what_is_used_but_once_pushes_out_nothing() {
        let mut level = FirstLevel::new(1_000);
        let hot = tag(&level, 0);
        keep(&mut level, hot, ALWAYS, 0, 600);
        for number in 1..100_000 {
            let tag = tag(&level, number);
            level.put(tag, BASIS, ALWAYS, number, 600, NOW);
        }
        assert_eq!(level.get(hot, BASIS, NOW), Some(0));
    }
}
