//! The administrator's orders: one that is understood withdraws something, and without `"all": true` not everything.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::cache::{ProviderTag, Subject, Which};
use phantom_token_filter::revocation::admin::Withdrawal;

fuzz_target!(|body: &[u8]| {
    let providers = ["one", "two"].map(|name| (name.to_owned(), ProviderTag::new(name)));
    let Ok(order) = Withdrawal::read(Some(body), &providers) else { return };
    assert!(!order.subjects().is_empty());
    let order_json: serde_json::Value = serde_json::from_slice(body).expect("an order without JSON");
    let is_all = order_json.get("all") == Some(&serde_json::Value::Bool(true));
    let takes_all = |subject: &Subject| matches!(subject, Subject::Everything | Subject::Of(_, Which::All));
    assert_eq!(order.subjects().iter().any(takes_all), is_all);
});
