//! Foreign JSON, read strictly: member names are unique at every level (RFC 8259 §4 leaves duplicates to
//! the reader, and two readers that choose differently are an attack) and nothing follows the text.
//! Depth is bounded by serde_json at 128.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// Why a text is not the JSON object it should be. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnObject {
    /// A member name occurs twice in one object.
    DuplicateMember,
    /// Valid JSON, but an array or a scalar.
    OtherValue,
    /// Not JSON: cut off, nested too deeply, or something else altogether.
    Syntax,
}

impl fmt::Display for NotAnObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DuplicateMember => "a JSON member occurs twice",
            Self::OtherValue => "expected a JSON object, got another JSON value",
            Self::Syntax => "expected a JSON object, got no valid JSON",
        })
    }
}

/// A member of a reply has a type that its RFC does not give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMember(pub &'static str);

impl fmt::Display for BadMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the member {} has an unexpected type", self.0)
    }
}

/// Reads one JSON object.
///
/// # Errors
///
/// [`NotAnObject`] with the reason.
pub(crate) fn object(text: &[u8]) -> Result<Map<String, Value>, NotAnObject> {
    match value(text)? {
        Value::Object(members) => Ok(members),
        _ => Err(NotAnObject::OtherValue),
    }
}

/// Reads one JSON value.
///
/// # Errors
///
/// [`NotAnObject`] with the reason.
pub(crate) fn value(text: &[u8]) -> Result<Value, NotAnObject> {
    match serde_json::from_slice(text) {
        Ok(Unique(value)) => Ok(value),
        Err(error) if error.classify() == serde_json::error::Category::Data => {
            Err(NotAnObject::DuplicateMember)
        }
        Err(_) => Err(NotAnObject::Syntax),
    }
}

/// The elements, as they stand, of the array that is the member `name` of a JSON object; `None` if there is no such
/// array. What else the object has is of no concern.
///
/// # Errors
///
/// [`NotAnObject`] with the reason.
pub(crate) fn array_in<'t>(text: &'t [u8], name: &str) -> Result<Option<Vec<&'t RawValue>>, NotAnObject> {
    struct Member<'n>(&'n str);

    impl<'de> Visitor<'de> for Member<'_> {
        type Value = Option<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(name) = members.next_key::<String>()? {
                if name != self.0 {
                    members.next_value::<IgnoredAny>()?;
                } else if found.replace(members.next_value()?).is_some() {
                    return Err(de::Error::custom("duplicate member"));
                }
            }
            Ok(found)
        }
    }

    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(match serde_json::from_slice::<IgnoredAny>(text) {
            Ok(_) => NotAnObject::OtherValue,
            Err(_) => NotAnObject::Syntax,
        });
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let found = reader.deserialize_map(Member(name)).and_then(|found| reader.end().map(|()| found));
    match found {
        Ok(found) => Ok(found.and_then(|array| serde_json::from_str(array.get()).ok())),
        Err(error) if error.is_data() => Err(NotAnObject::DuplicateMember),
        Err(_) => Err(NotAnObject::Syntax),
    }
}

/// A [`Value`] whose objects have no duplicate members.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_with_all_its_members() {
        let text = br#"{"a":[1,-2,3.5,"x",null,true],"b":{"c":18446744073709551615}}"#;
        assert_eq!(Value::Object(object(text).unwrap()), serde_json::from_slice::<Value>(text).unwrap());
    }

    #[test]
    fn what_is_no_object_says_why() {
        for (text, reason) in [
            (&br#"{"a":1,"a":1}"#[..], NotAnObject::DuplicateMember),
            (br#"{"a":1,"\u0061":2}"#, NotAnObject::DuplicateMember),
            (br#"{"a":{"b":1,"b":2}}"#, NotAnObject::DuplicateMember),
            (br#"{"a":[{"b":1,"b":2}]}"#, NotAnObject::DuplicateMember),
            (b"[]", NotAnObject::OtherValue),
            (b"true", NotAnObject::OtherValue),
            (b"", NotAnObject::Syntax),
            (br#"{"a":1"#, NotAnObject::Syntax),
            (br#"{"a":1}{}"#, NotAnObject::Syntax),
            (br#"{"a":NaN}"#, NotAnObject::Syntax),
            (b"\xef\xbb\xbf{}", NotAnObject::Syntax),
            (b"{\"a\":\"\xff\"}", NotAnObject::Syntax),
        ] {
            assert_eq!(object(text), Err(reason), "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(object("[".repeat(100_000).as_bytes()), Err(NotAnObject::Syntax));
    }
}
