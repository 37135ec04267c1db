//! Whole configurations, in JSON or as `google.protobuf.Struct`: read, or refused with a path. What is read is read the
//! same each time, and not with one more key; no secret and no key stands in an error or a warning.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::config::Config;
use serde_json::{Value, json};

/// The VM's environment, by what the names of the examples say.
fn environment(name: &str) -> Option<String> {
    Some(match name {
        _ if name.contains("PUBLIC_KEY") => include_str!("../../tests/keys/ec256.public.pem").to_owned(),
        _ if name.contains("KEY") => include_str!("../../tests/keys/ec256.pem").to_owned(),
        _ if name.len() < 30 => SECRET.to_owned(),
        _ => return None,
    })
}

const SECRET: &str = "a value of the environment";

fn has_secret(text: &str) -> bool {
    let key = include_str!("../../tests/keys/ec256.pem").lines().nth(1).expect("a key");
    text.contains(SECRET) || text.contains(key)
}

fn shows_no_secret(text: &str) {
    assert!(!text.is_empty() && !has_secret(text), "{text}");
}

/// Whether whoever wrote the configuration has written a secret himself: the fuzzer learns it from the comparisons.
fn is_given_away(bytes: &[u8]) -> bool {
    has_secret(&String::from_utf8_lossy(bytes))
        || serde_json::from_slice::<Value>(bytes).is_ok_and(|value| has_secret(&value.to_string()))
}

fuzz_target!(|bytes: &[u8]| {
    if is_given_away(bytes) {
        return;
    }
    let config = match Config::parse(bytes, &environment) {
        Ok(config) => config,
        Err(errors) => {
            assert!(!errors.is_empty());
            return errors.iter().for_each(|error| shows_no_secret(&error.to_string()));
        }
    };
    config.warnings.iter().for_each(|warning| shows_no_secret(warning));
    let again = Config::parse(bytes, &environment).expect("what was accepted");
    assert_eq!((again.warnings, again.providers.len()), (config.warnings, config.providers.len()));
    if let Ok(Value::Object(mut members)) = serde_json::from_slice(bytes) {
        members.insert("cahce".to_owned(), json!({}));
        assert!(Config::parse(Value::Object(members).to_string().as_bytes(), &environment).is_err());
    }
});
