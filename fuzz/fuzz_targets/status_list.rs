//! Status lists (Token Status List §4): inflated to no more than 1 MiB, and every place within has a status, none beyond.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::revocation::status_list::StatusList;
use phantom_token_filter::token::UnixMillis;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Ok(Value::Object(mut claims)) = serde_json::from_slice(input) else { return };
    claims.insert("sub".to_owned(), "https://a.example/1".into());
    claims.insert("iat".to_owned(), 1_000.into());
    let now = UnixMillis::from_secs(1_000);
    let Ok(list) = StatusList::read(Some("statuslist+jwt"), &claims, "https://a.example/1", now) else {
        return;
    };
    let bits = claims["status_list"]["bits"].as_u64().expect("a list without bits");
    assert!(list.len() <= 1 << 20 && [1, 2, 4, 8].contains(&bits));
    let places = list.len() as u64 * 8 / bits;
    assert!(places == 0 || list.status(places - 1).is_some());
    assert!(list.status(places).is_none() && list.status(u64::MAX).is_none());
});
