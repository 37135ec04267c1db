//! The configurations that fuzzing begins with: one of each kind that the documentation shows.

use phantom_token_filter::config::Config;
use serde_json::Value;

use crate::good::{CLIENT_SECRET, EC256};

#[test]
fn what_fuzzing_begins_with_is_accepted() {
    let corpus: Vec<Value> = serde_json::from_str(include_str!("../vectors/configurations.json")).unwrap();
    assert!(corpus.len() >= 20);
    let env = |name: &str| {
        Some(match name {
            _ if name.contains("PUBLIC_KEY") => include_str!("../keys/ec256.public.pem").to_owned(),
            _ if name.contains("KEY") => EC256.to_owned(),
            _ => CLIENT_SECRET.to_owned(),
        })
    };
    for configuration in corpus {
        let text = configuration.to_string();
        Config::parse(text.as_bytes(), &env).unwrap_or_else(|error| panic!("{error:?}: {text}"));
    }
}
