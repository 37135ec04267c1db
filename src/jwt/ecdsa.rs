//! ECDSA signatures between their two forms: DER, which the host speaks (RFC 3279 §2.2.3), and the fixed
//! length `r ‖ s` of JOSE (RFC 7518 §3.4).

use super::der::{Elements, numbers};
use super::public_key::Curve;

/// `r ‖ s`, each as long as the curve's field. `None` if `der` is no signature for this curve.
pub(super) fn to_jose(curve: Curve, der: &[u8]) -> Option<Vec<u8>> {
    let mut signature = Elements::of_sequence(der).ok()?;
    let (r, s) = (signature.number().ok()?, signature.number().ok()?);
    signature.end().ok()?;
    let mut jose = Vec::with_capacity(2 * curve.field_len());
    for number in [r, s] {
        let padding = curve.field_len().checked_sub(number.len())?;
        jose.resize(jose.len() + padding, 0);
        jose.extend_from_slice(number);
    }
    Some(jose)
}

/// The DER of `r ‖ s`. `None` if it has another length than the curve's signatures, or if a number is 0,
/// which no signature has (FIPS 186-5 §6.4.2) and a careless verifier accepts with any text (CVE-2022-21449).
pub(super) fn to_der(curve: Curve, jose: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = jose.split_at_checked(curve.field_len())?;
    let is_positive = |number: &[u8]| number.iter().any(|&byte| byte != 0);
    let well_formed = s.len() == curve.field_len() && is_positive(r) && is_positive(s);
    well_formed.then(|| numbers(&[r, s]).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        for curve in [Curve::P256, Curve::P384] {
            let len = curve.field_len();
            for (r, s) in [(1, 0x80), (0x7f, 0xff)] {
                let mut jose = vec![0; 2 * len];
                (jose[len - 1], jose[len]) = (r, s);
                assert_eq!(to_jose(curve, &to_der(curve, &jose).unwrap()), Some(jose));
            }
        }
    }

    #[test]
    fn zeros_and_other_lengths_have_no_der() {
        let full = [1; 64];
        let (zero_r, zero_s) = ([[0; 32], [1; 32]].concat(), [[1; 32], [0; 32]].concat());
        for jose in [&[][..], &[1], &full[..63], &[1; 65], &[1; 96], &[0; 64], &zero_r, &zero_s] {
            assert_eq!(to_der(Curve::P256, jose), None, "{jose:02x?}");
        }
        assert!(to_der(Curve::P256, &full).is_some());
    }

    #[test]
    fn numbers_are_padded_and_stripped_to_the_field() {
        // r = 1, s = 2^255 (DER puts a zero before a set top bit).
        let mut der = vec![0x30, 3 + 35, 0x02, 1, 1, 0x02, 33, 0, 0x80];
        der.extend([0; 31]);
        let jose = to_jose(Curve::P256, &der).unwrap();
        assert_eq!((jose.len(), jose[31], jose[32], jose[33]), (64, 1, 0x80, 0));
    }

    #[test]
    fn anything_else_is_refused() {
        let too_long = [&[0x30, 2 + 34 + 3, 0x02, 34][..], &[1; 34], &[0x02, 1, 1]].concat();
        for der in [
            &b""[..],
            b"\x30\x00",
            b"\x30\x03\x02\x01\x01",
            b"\x30\x06\x02\x01\x01\x02\x01\x01\x00",
            &too_long,
        ] {
            assert_eq!(to_jose(Curve::P256, der), None, "{der:02x?}");
        }
    }
}
