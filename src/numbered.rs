//! Things that have numbers: streams by the host's, calls by ours.
//!
//! One tree of places finds whatever kind it is. A tree of its own for each kind would be ten kilobytes of module, which every
//! start of Envoy compiles, and would move what it holds from node to node.

use std::collections::BTreeMap;
use std::ops::Bound;

use slab::Slab;

/// A `T` for each of some `N`.
#[derive(Debug)]
pub(crate) struct Numbered<N, T> {
    places: BTreeMap<u64, usize>,
    things: Slab<(N, T)>,
}

impl<N, T> Numbered<N, T> {
    pub(crate) const fn new() -> Self {
        Self { places: BTreeMap::new(), things: Slab::new() }
    }
}

impl<N, T> Default for Numbered<N, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: Copy + Into<u64>, T> Numbered<N, T> {
    /// Returns what had the number before.
    pub(crate) fn insert(&mut self, number: N, thing: T) -> Option<T> {
        let place = self.things.insert((number, thing));
        let before = self.places.insert(number.into(), place)?;
        self.take(before)
    }

    pub(crate) fn remove(&mut self, number: N) -> Option<T> {
        let place = self.places.remove(&number.into())?;
        self.take(place)
    }

    fn take(&mut self, place: usize) -> Option<T> {
        self.things.try_remove(place).map(|(_, thing)| thing)
    }

    pub(crate) fn get(&self, number: N) -> Option<&T> {
        self.things.get(*self.places.get(&number.into())?).map(|(_, thing)| thing)
    }

    pub(crate) fn get_mut(&mut self, number: N) -> Option<&mut T> {
        self.things.get_mut(*self.places.get(&number.into())?).map(|(_, thing)| thing)
    }

    pub(crate) fn contains(&self, number: N) -> bool {
        self.places.contains_key(&number.into())
    }

    pub(crate) fn len(&self) -> usize {
        self.things.len()
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (N, &T)> {
        self.things.iter().map(|(_, (number, thing))| (*number, thing))
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (N, &mut T)> {
        self.things.iter_mut().map(|(_, (number, thing))| (*number, thing))
    }

    /// Looks at those whose numbers come after one, or at all, in order: at most so many. Returns how many there were.
    pub(crate) fn look_after(
        &mut self,
        number: Option<N>,
        most: usize,
        mut look: impl FnMut(N, &mut T),
    ) -> usize {
        let after = number.map_or(Bound::Unbounded, |number| Bound::Excluded(number.into()));
        let mut count = 0;
        for (_, place) in self.places.range((after, Bound::Unbounded)).take(most) {
            if let Some((number, thing)) = self.things.get_mut(*place) {
                look(*number, thing);
            }
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_number_is_found_and_looked_at_by_it() {
        let mut names: Numbered<u32, &str> = Numbered::default();
        for (number, name) in [(7, "g"), (3, "c"), (9, "i"), (5, "e")] {
            assert_eq!(names.insert(number, name), None);
        }
        assert_eq!(names.insert(9, "I"), Some("i"), "one number, one thing");
        assert_eq!((names.remove(5), names.remove(5), names.len()), (Some("e"), None, 3));
        assert_eq!((names.get(9).copied(), names.get(5), names.contains(5)), (Some("I"), None, false));
        if let Some(name) = names.get_mut(3) {
            *name = "C";
        }
        let mut seen = Vec::new();
        assert_eq!(names.look_after(None, 2, |_, name| seen.push(*name)), 2);
        assert_eq!(names.look_after(Some(7), 2, |_, name| seen.push(*name)), 1);
        assert_eq!(seen, ["C", "g", "I"]);
        assert_eq!(names.iter_mut().map(|(_, name)| name.len()).sum::<usize>(), 3);
        assert_eq!(names.iter().map(|(number, _)| number).max(), Some(9));
    }
}
