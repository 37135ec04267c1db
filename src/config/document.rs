//! The two forms in which Envoy hands a configuration over.

use serde_json::{Map, Value};

use super::error::ConfigError;
use crate::json::{self, NotAnObject};
use crate::protobuf;

/// The members of a configuration in either of its forms.
///
/// # Errors
///
/// What it is instead.
pub(super) fn members(configuration: &[u8]) -> Result<Map<String, Value>, ConfigError> {
    let reason = match json::object(configuration) {
        Ok(members) => return Ok(members),
        Err(reason) => reason,
    };
    if let Some(Value::Object(members)) = protobuf::json_of_struct(configuration) {
        return Ok(members);
    }
    let got = match reason {
        NotAnObject::DuplicateMember => "a JSON object with a key that occurs twice".to_owned(),
        NotAnObject::OtherValue => "another JSON value".to_owned(),
        NotAnObject::Syntax => match json::end_of_syntax(configuration) {
            Some((line, column)) => format!("neither (not JSON at line {line}, column {column})"),
            None => "neither".to_owned(),
        },
    };
    Err(ConfigError::new("", format!("expected a google.protobuf.Struct or a JSON object, got {got}")))
}
