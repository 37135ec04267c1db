//! A configuration that is accepted, and ways to spoil it.

use phantom_token_filter::config::{Config, ConfigError};
use serde_json::{Value, json};

pub(crate) const CLIENT_SECRET: &str = "correct-horse-battery-staple";
pub(crate) const EC256: &str = include_str!("../keys/ec256.pem");

/// The smallest useful configuration.
pub(crate) fn smallest() -> Value {
    json!({
        "providers": {"main": {"introspection": {
            "cluster": "authorization-server",
            "path": "/token/introspection",
            "auth": {"client_secret_basic": {"client_id": "gateway", "client_secret": {"env": "CLIENT_SECRET"}}},
        }}},
        "phantom_token": {
            "issuer": "https://gateway.example",
            "signing_keys": [{"kid": "2026-11", "alg": "ES256", "private_key": {"env": "SIGNING_KEY"}}],
        },
    })
}

/// The smallest configuration with some values changed.
pub(crate) fn changed(changes: Value) -> Value {
    change(smallest(), changes)
}

/// Changes some values. `changes` has paths as errors write them; a path after a minus is taken out. What a path
/// leads through is made if it is not there.
pub(crate) fn change(mut config: Value, changes: Value) -> Value {
    for (path, value) in changes.as_object().unwrap() {
        match path.strip_prefix('-') {
            Some(path) => {
                let (above, key) = path.rsplit_once('.').unwrap_or(("", path));
                assert!(at(&mut config, above).as_object_mut().unwrap().remove(key).is_some(), "{path}");
            }
            None => *at(&mut config, path) = value.clone(),
        }
    }
    config
}

fn at<'c>(config: &'c mut Value, path: &str) -> &'c mut Value {
    path.split(['.', '[']).filter(|step| !step.is_empty()).fold(config, |value, step| {
        match step.strip_suffix(']') {
            Some(index) => {
                let index: usize = index.parse().unwrap();
                if !value.is_array() {
                    *value = json!([]);
                }
                let list = value.as_array_mut().unwrap();
                list.resize(list.len().max(index + 1), Value::Null);
                &mut list[index]
            }
            None => {
                if !value.is_object() {
                    *value = json!({});
                }
                &mut value[step]
            }
        }
    })
}

/// Everything that is known of a configuration. Two that say the same of themselves here are the same.
pub(crate) fn described(config: &Config) -> String {
    format!("{config:#?}")
}

/// The configuration, or the first thing that is wrong with it.
pub(crate) fn parse(config: &Value) -> Result<Config, ConfigError> {
    parse_all(config).map_err(|mut errors| errors.remove(0))
}

/// The configuration, or all that is wrong with it.
pub(crate) fn parse_all(config: &Value) -> Result<Config, Vec<ConfigError>> {
    Config::parse(config.to_string().as_bytes(), &env)
}

/// The environment of the VM.
pub(crate) fn env(name: &str) -> Option<String> {
    match name {
        "CLIENT_SECRET" => Some(CLIENT_SECRET.to_owned()),
        "SIGNING_KEY" => Some(EC256.to_owned()),
        "EMPTY" => Some(String::new()),
        "WITH_LINE_BREAK" => Some(format!("{CLIENT_SECRET}\n")),
        _ => None,
    }
}
