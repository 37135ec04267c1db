//! What plain scalars are to those who read them: Envoy, and the tools of Kubernetes, both by YAML 1.1.

use serde_json::{Number, Value};

/// Who reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Plain scalars are booleans, whole numbers of 32 bits, or texts.
    Envoy,
    /// Plain scalars are booleans, numbers of any kind, or texts.
    Kubernetes,
}

/// A scalar as it is written.
#[derive(Clone, Debug)]
pub(super) enum Scalar {
    /// After `|`: its lines are those of the file.
    Literal(String),
    Plain(String),
    /// In quotes, or folded (`>`).
    Quoted(String),
}

impl Scalar {
    pub(super) fn text(&self) -> &str {
        let (Self::Literal(text) | Self::Plain(text) | Self::Quoted(text)) = self;
        text
    }

    pub(super) fn to_json(&self, dialect: Dialect) -> Value {
        let Self::Plain(text) = self else { return self.text().into() };
        match text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Value::Null,
            text if is_one_of(text, &["true", "yes", "on", "y"]) => true.into(),
            text if is_one_of(text, &["false", "no", "off", "n"]) => false.into(),
            text => match (text.parse::<i64>(), dialect) {
                (Ok(whole), Dialect::Envoy) if i32::try_from(whole).is_ok() => whole.into(),
                (Ok(whole), Dialect::Kubernetes) => whole.into(),
                (_, Dialect::Envoy) => text.into(),
                (_, Dialect::Kubernetes) => float(text).unwrap_or_else(|| text.into()),
            },
        }
    }
}

/// In lower case, in capitals, or with one capital.
fn is_one_of(text: &str, words: &[&str]) -> bool {
    let is_cased = |word: &&str| {
        let rest = text.get(1..).unwrap_or_default();
        text.eq_ignore_ascii_case(word)
            && (rest.chars().all(|c| c.is_ascii_lowercase()) || text.chars().all(|c| c.is_ascii_uppercase()))
    };
    words.iter().any(is_cased)
}

fn float(text: &str) -> Option<Value> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b".+-eE".contains(&byte));
    let number = text.parse::<f64>().ok().filter(|_| is_number)?;
    Number::from_f64(number).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_are_what_their_reader_takes_them_for() {
        for (text, envoy, kubernetes) in [
            ("yes", json!(true), json!(true)),
            ("No", json!(false), json!(false)),
            ("nO", json!("nO"), json!("nO")),
            ("2", json!(2), json!(2)),
            ("4294967296", json!("4294967296"), json!(4_294_967_296_i64)),
            ("0.8", json!("0.8"), json!(0.8)),
            ("2s", json!("2s"), json!("2s")),
            ("~", json!(null), json!(null)),
            ("::1", json!("::1"), json!("::1")),
        ] {
            let scalar = Scalar::Plain(text.to_owned());
            assert_eq!(scalar.to_json(Dialect::Envoy), envoy, "{text}");
            assert_eq!(scalar.to_json(Dialect::Kubernetes), kubernetes, "{text}");
        }
        assert_eq!(Scalar::Quoted("2".to_owned()).to_json(Dialect::Envoy), json!("2"));
    }
}
