//! Durations in the form of Envoy's: a decimal number and `ms`, `s`, `m` or `h`.

use std::time::Duration;

/// Whole milliseconds; `None` for any other text.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.find(|c: char| c.is_ascii_alphabetic())?)?;
    let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let scaled = (whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(fraction.parse().ok()?)?)
        .checked_mul(unit)?;
    (scaled % scale == 0).then(|| Duration::from_millis(scaled / scale))
}

/// The duration in the largest unit that it is a multiple of; whole milliseconds.
pub(super) fn text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let fits = |&(_, unit): &(&str, u64)| millis != 0 && millis % unit == 0;
    let (name, unit) = UNITS.into_iter().rev().find(fits).unwrap_or(("s", 1000));
    format!("{}{name}", millis / unit)
}

/// Names and milliseconds.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60 * 1000), ("h", 60 * 60 * 1000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("2s", 2_000),
            ("1.5s", 1_500),
            ("0.250s", 250),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "2",
            "s",
            "-1s",
            "1 s",
            "1d",
            "1.s",
            ".5s",
            "1.0001s",
            "9999999999s",
            "1S",
            "1s2",
            "1e3s",
            "٣s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_in_its_largest_unit() {
        for written in ["0s", "1ms", "1500ms", "90s", "59m", "1h", "24h"] {
            assert_eq!(text(parse(written).unwrap()), written);
        }
    }
}
