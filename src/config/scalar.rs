//! Values that the configuration writes in a form of its own: durations, counts, secrets.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// A duration as in Envoy: a decimal number and `ms`, `s`, `m` or `h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length(pub(super) Duration);

impl Length {
    /// Whole milliseconds; `None` for any other text.
    fn parse(text: &str) -> Option<Self> {
        let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = text.split_at_checked(unit)?;
        let unit: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
        let scaled = (whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(fraction.parse().ok()?)?).checked_mul(unit)?;
        (scaled % scale == 0).then(|| Self(Duration::from_millis(scaled / scale)))
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LengthVisitor;
        impl Visitor<'_> for LengthVisitor {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"2s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Length, E> {
                Length::parse(text).ok_or_else(|| E::custom(format_args!("expected a duration such as \"2s\", got {text:?}")))
            }
        }
        deserializer.deserialize_any(LengthVisitor)
    }
}

/// A whole number. Envoy's `Struct` knows only floats, so `3.0` is one, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;
        impl Visitor<'_> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Count, E> {
                u32::try_from(number).map(Count).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Count, E> {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared afterwards")]
                let whole = number as u32;
                if f64::from(whole) == number { Ok(Count(whole)) } else { Err(E::invalid_value(de::Unexpected::Float(number), &self)) }
            }
        }
        deserializer.deserialize_any(CountVisitor)
    }
}

/// Where a secret comes from: `{env: NAME}` or `{inline: "..."}`. No error shows what was written.
#[derive(Clone)]
pub(super) enum SecretSource {
    Env(String),
    Inline(String),
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecretVisitor;
        impl<'de> Visitor<'de> for SecretVisitor {
            type Value = SecretSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{env: NAME} or {inline: \"...\"}")
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretSource, E> {
                Err(E::custom("expected {env: NAME} or {inline: \"...\"}, got a string"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
                let wrong = || de::Error::custom("expected {env: NAME} or {inline: \"...\"}, got another object");
                let (key, value) = map.next_entry::<String, Value>()?.ok_or_else(wrong)?;
                if map.next_key::<String>()?.is_some() {
                    return Err(wrong());
                }
                match (key.as_str(), value) {
                    ("env", Value::String(name)) => Ok(SecretSource::Env(name)),
                    ("inline", Value::String(text)) => Ok(SecretSource::Inline(text)),
                    // A JWK may stand there as it is.
                    ("inline", jwk @ Value::Object(_)) => Ok(SecretSource::Inline(jwk.to_string())),
                    _ => Err(wrong()),
                }
            }
        }
        deserializer.deserialize_any(SecretVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("2s", 2_000),
            ("1.5s", 1_500),
            ("0.250s", 250),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(Length::parse(text), Some(Length(Duration::from_millis(millis))), "{text}");
        }
        for text in ["", "2", "s", "-1s", "1 s", "1d", "1.s", ".5s", "1.0001s", "9999999999s", "1S", "1s2", "1e3s", "٣s"] {
            assert_eq!(Length::parse(text), None, "{text}");
        }
    }

    #[test]
    fn counts_are_whole() {
        for (json, count) in [("3", Some(3)), ("3.0", Some(3)), ("3.5", None), ("-1", None), ("\"3\"", None), ("1e12", None)] {
            assert_eq!(serde_json::from_str::<Count>(json).ok().map(|count| count.0), count, "{json}");
        }
    }

    #[test]
    fn a_secret_that_is_written_wrongly_is_not_shown() {
        for json in ["\"hunter2\"", "{\"hunter2\":1}", "{\"env\":{\"hunter2\":1}}", "{\"inline\":\"hunter2\",\"env\":\"A\"}"] {
            let Err(error) = serde_json::from_str::<SecretSource>(json) else { panic!("{json}") };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
