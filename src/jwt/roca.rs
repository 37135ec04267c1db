//! RSA keys that smart cards of 2012 to 2017 made too predictably (ROCA, CVE-2017-15361): whoever has the public
//! key can compute the private one.
//!
//! Their primes are powers of 65537 modulo each of many small primes, hence so is their product. A sound modulus
//! is that for all of them with a probability far below one in a hundred million.

/// Whether a big-endian modulus bears the mark.
pub(super) fn is_marked(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let remainder =
            modulus.iter().fold(0, |remainder, &byte| (remainder * 256 + u32::from(byte)) % prime);
        powers(prime).any(|power| power == remainder)
    })
}

/// The powers of 65537 modulo `prime`, each once.
fn powers(prime: u32) -> impl Iterator<Item = u32> {
    let next = move |power: &u32| Some(power * (GENERATOR % prime) % prime).filter(|&power| power != 1);
    std::iter::successors(Some(1), next)
}

const GENERATOR: u32 = 65537;

/// Of the primes that all these keys share, those whose powers of 65537 are far from all remainders.
const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

#[cfg(test)]
mod tests {
    use super::*;

    /// 65537 to the power of `exponent`, big-endian: a number with the mark, as it is one for every prime.
    fn power_of_the_generator(exponent: u32) -> Vec<u8> {
        let mut number = vec![1_u64]; // 16 bits each, the least first
        for _ in 0..exponent {
            let mut carry = 0;
            for digit in &mut number {
                let product = *digit * u64::from(GENERATOR) + carry;
                (*digit, carry) = (product & 0xffff, product >> 16);
            }
            while carry > 0 {
                number.push(carry & 0xffff);
                carry >>= 16;
            }
        }
        number.iter().rev().flat_map(|&digit| (digit as u16).to_be_bytes()).collect()
    }

    #[test]
    fn the_mark_is_seen_and_nothing_else_is_taken_for_it() {
        let marked = power_of_the_generator(129);
        assert!(is_marked(&marked));
        let mut hits = 0;
        for last in 0..=255 {
            let mut other = marked.clone();
            *other.last_mut().unwrap() = last;
            hits += u32::from(is_marked(&other));
        }
        assert_eq!(hits, 1);
    }

    #[test]
    fn most_remainders_are_no_power() {
        let chance: f64 =
            PRIMES.iter().map(|&prime| powers(prime).count() as f64 / f64::from(prime - 1)).product();
        assert!(chance < 1e-8, "{chance}");
    }
}
