//! Bytes that nobody thought of, made of those that a parser likes.

/// xorshift64*: enough to mutate with, the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }

    /// `seed` with a few bytes changed, removed, doubled or cut off.
    fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(6) {
                _ if bytes.is_empty() => bytes.push(self.below(256) as u8),
                0 => bytes[at] = self.below(256) as u8,
                1 => bytes[at] ^= 1 << self.below(8),
                2 => _ = bytes.remove(at),
                3 => bytes.insert(at, b"\"{}[],:\\ \0=.;%\xff9-"[self.below(16)]),
                4 => bytes.truncate(at),
                _ => {
                    let end = (at + 1 + self.below(20)).min(bytes.len());
                    bytes.extend_from_within(at..end);
                }
            }
        }
        bytes
    }
}

/// Has `read` read what becomes of one of the seeds, so many times; the same whenever it runs.
pub fn mutations(seeds: &[Vec<u8>], rounds: usize, mut read: impl FnMut(&[u8])) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds {
        let seed = &seeds[dice.below(seeds.len())];
        read(&dice.mutate(seed));
    }
}
