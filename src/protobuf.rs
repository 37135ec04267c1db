//! The little of protocol buffers that is met: Envoy's foreign functions speak it, and the plugin's
//! configuration arrives as a serialized `google.protobuf.Struct`.

use serde_json::{Map, Number, Value};

use crate::bytes::Reader;

/// A field's value as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    Bytes(&'a [u8]),
    Fixed32,
    Fixed64([u8; 8]),
    Varint(u64),
}

/// The fields of a message with their numbers. `None` if it is none.
pub(crate) fn fields(message: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut reader = Reader::new(message);
    let mut fields = Vec::new();
    while !reader.rest().is_empty() {
        let tag = varint(&mut reader)?;
        let field = match tag & 7 {
            0 => Field::Varint(varint(&mut reader)?),
            1 => Field::Fixed64(reader.array()?),
            LENGTH_DELIMITED => {
                let len = usize::try_from(varint(&mut reader)?).ok()?;
                Field::Bytes(reader.take(len)?)
            }
            5 => reader.array::<4>().map(|_| Field::Fixed32)?,
            _ => return None,
        };
        fields.push((tag >> 3, field));
    }
    Some(fields)
}

/// Appends a length-delimited field; `number` is below 16.
pub(crate) fn put(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | LENGTH_DELIMITED as u8);
    put_digits(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

/// Appends a number; `number` of the field is below 16. Zero, which is what an absent one means, is left out.
pub(crate) fn put_varint(message: &mut Vec<u8>, number: u8, value: u64) {
    if value != 0 {
        message.push(number << 3);
        put_digits(message, value);
    }
}

fn put_digits(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// A serialized `google.protobuf.Struct` as the JSON object it stands for.
pub(crate) fn json_of_struct(message: &[u8]) -> Option<Value> {
    object(message, MAX_DEPTH)
}

/// `Struct { map<string, Value> fields = 1; }`
fn object(message: &[u8], depth: u32) -> Option<Value> {
    let mut members = Map::new();
    for field in fields(message)? {
        let (1, Field::Bytes(entry)) = field else { return None };
        let (mut name, mut value) = ("", Value::Null);
        for field in fields(entry)? {
            match field {
                (1, Field::Bytes(text)) => name = std::str::from_utf8(text).ok()?,
                (2, Field::Bytes(message)) => value = json(message, depth.checked_sub(1)?)?,
                _ => return None,
            }
        }
        members.insert(name.to_owned(), value);
    }
    Some(Value::Object(members))
}

/// `Value { oneof kind { null = 1; number = 2; string = 3; bool = 4; struct = 5; list = 6; } }`
fn json(message: &[u8], depth: u32) -> Option<Value> {
    let mut value = Value::Null;
    for field in fields(message)? {
        value = match field {
            (1, Field::Varint(_)) => Value::Null,
            (2, Field::Fixed64(bytes)) => number(f64::from_le_bytes(bytes))?,
            (3, Field::Bytes(text)) => Value::from(std::str::from_utf8(text).ok()?),
            (4, Field::Varint(bool)) => Value::from(bool != 0),
            (5, Field::Bytes(message)) => object(message, depth.checked_sub(1)?)?,
            (6, Field::Bytes(message)) => list(message, depth.checked_sub(1)?)?,
            _ => return None,
        }
    }
    Some(value)
}

/// `ListValue { repeated Value values = 1; }`
fn list(message: &[u8], depth: u32) -> Option<Value> {
    let value = |field| match field {
        (1, Field::Bytes(message)) => json(message, depth),
        _ => None,
    };
    fields(message)?.into_iter().map(value).collect()
}

/// A `Struct` knows only floats; a whole one is written without a fraction, as protobuf's own JSON does.
fn number(float: f64) -> Option<Value> {
    #[expect(clippy::cast_possible_truncation, reason = "compared afterwards")]
    let whole = float as i64;
    #[expect(clippy::cast_precision_loss, reason = "compared to what it came from")]
    let is_whole = whole as f64 == float && whole.unsigned_abs() < 1 << 53;
    if is_whole { Some(whole.into()) } else { Number::from_f64(float).map(Value::Number) }
}

fn varint(reader: &mut Reader<'_>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

const LENGTH_DELIMITED: u64 = 2;

/// Deeper than any configuration, far from the end of the stack.
const MAX_DEPTH: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        put(&mut message, number, bytes);
        message
    }

    fn member(name: &str, value: &[u8]) -> Vec<u8> {
        field(1, &[field(1, name.as_bytes()), field(2, value)].concat())
    }

    #[test]
    fn a_struct_becomes_the_json_it_stands_for() {
        let number = |value: f64| [&[2 << 3 | 1][..], &value.to_le_bytes()].concat();
        let long = "x".repeat(300);
        let message = [
            member("null", &[1 << 3, 0]),
            member("whole", &number(10_000.0)),
            member("float", &number(0.8)),
            member("text", &field(3, long.as_bytes())),
            member("bool", &[4 << 3, 1]),
            member("object", &field(5, &member("a", &field(3, b"b")))),
            member("list", &field(6, &[field(1, &number(-1.0)), field(1, &field(3, b"c"))].concat())),
            member("empty", &field(6, b"")),
        ]
        .concat();
        let json = serde_json::json!({
            "null": null, "whole": 10000, "float": 0.8, "text": long, "bool": true, "object": {"a": "b"},
            "list": [-1, "c"], "empty": []
        });
        assert_eq!(json_of_struct(&message), Some(json));
        for cut in 1..message.len() {
            // Whatever is cut off inside a member makes it unreadable.
            let is_boundary = json_of_struct(&message[..cut]).is_some();
            assert!(!is_boundary || message[cut] == 0x0a, "{cut}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let mut message = member("a", &[4 << 3, 1]);
        for _ in 0..1000 {
            message = member("a", &field(5, &message));
        }
        assert_eq!(json_of_struct(&message), None);
    }
}
