//! What a key may be, as the column `Type` of the reference says it.

use serde_json::{Value, json};

/// A type of the reference.
pub(super) enum Kind<'t> {
    Any(Vec<Value>),
    AnyOrObjects(Vec<Value>),
    Boolean,
    Duration,
    ExactlyOne(Vec<&'t str>),
    List,
    ListOf(Vec<&'t str>),
    Number([f64; 2]),
    Object,
    ObjectOrList,
    ObjectOfTexts,
    Path,
    Secret,
    SecretOrClientCredentials,
    Text,
    TextOrSecret,
    Texts,
    WholeNumber([u32; 2]),
}

impl<'t> Kind<'t> {
    pub(super) fn of(words: &'t str) -> Option<Self> {
        Some(match words {
            "list" => Self::List,
            "list of texts" => Self::Texts,
            "object" => Self::Object,
            "object of texts" => Self::ObjectOfTexts,
            "object or list of objects" => Self::ObjectOrList,
            "path" => Self::Path,
            "secret or client_credentials" => Self::SecretOrClientCredentials,
            "text" => Self::Text,
            "text or secret" => Self::TextOrSecret,
            "true or false" => Self::Boolean,
            _ => Self::with_more(words)?,
        })
    }

    fn with_more(words: &'t str) -> Option<Self> {
        if let Some(range) = words.strip_prefix("whole number ") {
            return numbers(range).map(Self::WholeNumber);
        }
        if let Some(range) = words.strip_prefix("number ") {
            return numbers(range).map(Self::Number);
        }
        if let Some(choices) =
            words.strip_prefix("one of ").and_then(|it| it.strip_suffix(", or a list of objects"))
        {
            return Some(Self::AnyOrObjects(choices.split(", ").map(Value::from).collect()));
        }
        if let Some(choices) = words.strip_prefix("one of ") {
            return Some(Self::Any(choices.split(", ").map(Value::from).collect()));
        }
        if let Some(choices) = words.strip_prefix("list of ") {
            return Some(Self::ListOf(choices.split(", ").collect()));
        }
        if let Some(choice) = words.strip_prefix("true, false or ") {
            return Some(Self::Any(vec![json!(true), json!(false), json!(choice)]));
        }
        if let Some(choices) = words.strip_prefix("exactly one of ") {
            return Some(Self::ExactlyOne(choices.split(", ").collect()));
        }
        match words.split(' ').next()? {
            "duration" => Some(Self::Duration),
            "secret" => Some(Self::Secret),
            _ => None,
        }
    }

    /// What has no section of its own.
    pub(super) fn schema(&self) -> Value {
        let text = json!({"type": "string"});
        match self {
            Self::Any(values) => json!({"enum": values}),
            Self::AnyOrObjects(values) => {
                json!({"anyOf": [{"enum": values}, {"type": "array", "items": {"type": "object"}, "minItems": 1}]})
            }
            Self::Boolean => json!({"type": "boolean"}),
            Self::Duration => json!({"$ref": "#/$defs/duration"}),
            Self::List => json!({"type": "array"}),
            Self::ListOf(choices) => json!({"type": "array", "items": {"enum": choices}, "minItems": 1}),
            Self::Number([least, most]) => json!({"type": "number", "minimum": least, "maximum": most}),
            Self::Object | Self::ObjectOrList | Self::ExactlyOne(_) => json!({"type": "object"}),
            Self::ObjectOfTexts => json!({"type": "object", "additionalProperties": text}),
            Self::Path => json!({"type": "string", "pattern": PATH}),
            Self::Secret => json!({"$ref": "#/$defs/secret"}),
            Self::SecretOrClientCredentials => json!({"$ref": "#/$defs/authorization"}),
            Self::Text => text,
            Self::TextOrSecret => json!({"anyOf": [text, {"$ref": "#/$defs/secret"}]}),
            Self::Texts => json!({"type": "array", "items": text}),
            Self::WholeNumber([least, most]) => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
        }
    }
}

/// `from LEAST to MOST`.
fn numbers<T: std::str::FromStr>(range: &str) -> Option<[T; 2]> {
    let (least, most) = range.strip_prefix("from ")?.split_once(" to ")?;
    Some([least.parse().ok()?, most.parse().ok()?])
}

/// A decimal number and its unit.
pub(super) const DURATION: &str = "^[0-9]{1,9}([.][0-9]{1,9})?(ms|s|m|h)$";

/// What begins with a slash and has no space.
const PATH: &str = "^/[!-~]*$";

/// What a secret that stands in the file may be: a text, or a JWK.
pub(super) const SECRET: [&str; 2] = ["string", "object"];
