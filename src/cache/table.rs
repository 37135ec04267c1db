//! Tables of fixed slots in shared data, which has no removal and no bound of its own.

use super::{SharedData, Version};
use crate::token::TokenDigest;

/// A table of slots. Their keys are the prefix and a number: `p0`, `p1`, ….
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) prefix: char,
    pub(crate) slots: u32,
    /// Which words of a digest choose its two slots.
    pub(crate) words: (usize, usize),
}

impl Table {
    /// Makes every slot exist; `marker` is the key that says so.
    pub(crate) fn create(&self, shared: &dyn SharedData, marker: &str) {
        if shared.get(marker).is_some_and(|slots| slots == self.slots.to_le_bytes()) {
            return;
        }
        for slot in 0..self.slots {
            let key = self.key(u64::from(slot));
            if shared.read(&key).1 == Version::NEVER_SET {
                shared.set(&key, b"");
            }
        }
        shared.set(marker, &self.slots.to_le_bytes());
    }

    /// The one slot of a digest, where it has no second.
    pub(crate) fn first(&self, digest: &TokenDigest) -> String {
        let word = digest.words().get(self.words.0).copied().unwrap_or_default();
        self.key(word % u64::from(self.slots))
    }

    pub(super) fn keys(&self, digest: &TokenDigest) -> [String; 2] {
        self.places(digest).map(|slot| self.key(slot))
    }

    /// The two slots of a digest.
    pub(super) fn places(&self, digest: &TokenDigest) -> [u64; 2] {
        let words = digest.words();
        let slots = u64::from(self.slots);
        let slot = |word: usize| words.get(word).copied().unwrap_or_default() % slots;
        let first = slot(self.words.0);
        let second = slot(self.words.1);
        let second = if second == first { (first + 1) % slots } else { second };
        [first, second]
    }

    pub(crate) fn key(&self, slot: u64) -> String {
        // By hand: `format!` is a tenth of what our own code takes for a hit.
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut rest = slot;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            first -= 1;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let mut key = String::with_capacity(1 + digits.len());
        key.push(self.prefix);
        key.extend(digits.iter().skip(first).map(|digit| char::from(*digit)));
        key
    }
}
