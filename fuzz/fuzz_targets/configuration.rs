//! Whole configurations, in JSON or as `google.protobuf.Struct`: read, or refused with a path.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::config::Config;

fuzz_target!(|bytes: &[u8]| {
    let env = |name: &str| (name.len() < 9).then(|| "a value of the environment".to_owned());
    if let Err(error) = Config::parse(bytes, &env) {
        let text = error.to_string();
        assert!(!text.is_empty() && !text.contains("a value of the environment"));
    }
});
