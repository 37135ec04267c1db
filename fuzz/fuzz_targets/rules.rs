//! Which rule a request falls under: one on a path never holds where its prefix does not.
//! The lines of the input are the rule's path and host, then the request's path and authority.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::policy::{Match, Reading};
use phantom_token_filter::request::KeptHeaders;

fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.splitn(4, '\n').collect();
    let [path, host, target, authority] = lines[..] else { return };
    let request = KeptHeaders(vec![(":path".into(), target.into()), (":authority".into(), authority.into())]);
    let whole = Match { path: Some(path.into()), ..Match::default() };
    let prefix = Match { path_prefix: Some(path.into()), ..Match::default() };
    let on_host = Match { hosts: vec![host.to_ascii_lowercase()], ..whole.clone() };
    // A prefix that has a query in it holds for no path.
    assert!(
        !whole.holds(&request, Reading::WithoutPort).unwrap()
            || prefix.holds(&request, Reading::WithoutPort).unwrap()
            || path.contains(['?', '#'])
    );
    assert!(
        !on_host.holds(&request, Reading::WithoutPort).unwrap()
            || whole.holds(&request, Reading::WithoutPort).unwrap()
    );
    assert!(Match::default().holds(&request, Reading::WithoutPort).unwrap());
});
