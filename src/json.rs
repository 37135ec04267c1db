//! Foreign JSON, read strictly: member names are unique at every level (RFC 8259 §4 leaves duplicates to
//! the reader, and two readers that choose differently are an attack) and nothing follows the text.
//! Depth is bounded by serde_json at 128.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
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
    Tree::read(text)?.unique()
}

/// The line and the column from which on a text is no JSON, if there are any.
pub(crate) fn end_of_syntax(text: &[u8]) -> Option<(usize, usize)> {
    serde_json::from_slice::<Tree>(text).err().map(|error| (error.line(), error.column()))
}

/// The elements of the array that is the member `name` of a JSON object, each by itself: one with a member twice spoils no
/// other. `None` if there is no such array. What else the object has is of no concern.
///
/// # Errors
///
/// [`NotAnObject`] with the reason.
pub(crate) fn array_in(
    text: &[u8],
    name: &str,
) -> Result<Option<Vec<Result<Value, NotAnObject>>>, NotAnObject> {
    let Tree::Object(members) = Tree::read(text)? else { return Err(NotAnObject::OtherValue) };
    let mut named = members.into_iter().filter(|(other, _)| other == name).map(|(_, value)| value);
    match (named.next(), named.next()) {
        (Some(Tree::Array(elements)), None) => Ok(Some(elements.into_iter().map(Tree::unique).collect())),
        (_, Some(_)) => Err(NotAnObject::DuplicateMember),
        _ => Ok(None),
    }
}

/// An object of these members. One is put in after the other: to collect them would sort them first, and be 3 KB of code more
/// for each kind of iterator.
pub(crate) fn object_of(members: impl IntoIterator<Item = (String, Value)>) -> Map<String, Value> {
    let mut object = Map::new();
    object.extend(members);
    object
}

/// JSON as it is written: a name may occur twice. It also is all that is ever asked of serde here, so that there is one reader
/// in the module and none for each type.
enum Tree {
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    Scalar(Value),
}

impl Tree {
    fn read(text: &[u8]) -> Result<Self, NotAnObject> {
        serde_json::from_slice(text).map_err(|_| NotAnObject::Syntax)
    }

    /// The value, whose objects have no member twice.
    fn unique(self) -> Result<Value, NotAnObject> {
        match self {
            Self::Object(members) => {
                let mut object = Map::new();
                for (name, value) in members {
                    if object.insert(name, value.unique()?).is_some() {
                        return Err(NotAnObject::DuplicateMember);
                    }
                }
                Ok(Value::Object(object))
            }
            Self::Array(elements) => {
                elements.into_iter().map(Self::unique).collect::<Result<_, _>>().map(Value::Array)
            }
            Self::Scalar(value) => Ok(value),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Tree::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Tree::Object(object))
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
