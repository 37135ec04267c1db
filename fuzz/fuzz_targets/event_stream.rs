//! What a transmitter says of streams and of itself (SSF 1.0 §7, §8.1): whatever is believed of it is of its issuer, bounded, on a
//! host that may be called, and can be written into a request.
#![no_main]
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use phantom_token_filter::http::Reply;
use phantom_token_filter::revocation::stream::{Found, Stream, Subjects};
use phantom_token_filter::target::{Host, Target};

fuzz_target!(|body: &[u8]| {
    let stream = Stream {
        target: Target {
            cluster: "ssf".to_owned(),
            scheme: None,
            authority: "127.0.0.1:43080".to_owned(),
            path: "/streams".to_owned(),
        },
        timeout: Duration::from_secs(1),
        authorization: None,
        issuer: "http://127.0.0.1:43080/realms/shop".to_owned(),
        description: "phantom-token-filter".to_owned(),
        events: vec!["e".to_owned()],
        subjects: Subjects::All,
        allowed_hosts: vec![Host::parse("127.0.0.1:43080").expect("a host")],
        polled_at: None,
    };
    let is_path = |path: &str| path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    let reply = Reply { status: 200, body: Some(body), ..Reply::default() };
    let found = stream.find(&reply).ok().flatten();
    for Found { stream_id, audiences, path, verification_interval, .. } in
        found.into_iter().chain(stream.made(&reply))
    {
        assert!((1..=1024).contains(&stream_id.len()) && (1..=16).contains(&audiences.len()));
        assert!(audiences.iter().all(|audience| (1..=1024).contains(&audience.len())));
        assert!(is_path(&path) && verification_interval <= Duration::from_secs(24 * 60 * 60));
    }
    if let Ok(endpoints) = stream.endpoints(&reply) {
        assert!([endpoints.add_subject, endpoints.verification].iter().flatten().all(|path| is_path(path)));
    }
});
