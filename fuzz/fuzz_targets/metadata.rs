//! Metadata of authorization servers (RFC 8414 §3.2): whatever is found in them is of the issuer that is configured, on a host
//! that may be called, and can be written into a request.
#![no_main]
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use phantom_token_filter::discovery::{Discovery, Transport, Wanted};
use phantom_token_filter::http::{Reply, Scheme};
use phantom_token_filter::target::{Host, Sought};

const ISSUER: &str = "http://127.0.0.1:23100";

fuzz_target!(|body: &[u8]| {
    let host = Host::parse("127.0.0.1:23100").unwrap();
    let discovery = |transport| Discovery {
        provider: "p".to_owned(),
        issuer: ISSUER.to_owned(),
        documents: Vec::new(),
        timeout: Duration::from_secs(1),
        refresh_interval: Duration::from_secs(60),
        allowed_hosts: vec![host.clone()],
        transport,
    };
    let reply = Reply { status: 200, body: Some(body), ..Reply::default() };
    let wanted = Wanted { introspection: true, jwks: true };
    if let Err(reason) = discovery(Transport::Any).read(&reply, Wanted::default()) {
        assert!(reason.to_string().len() < 4096 && !reason.to_string().contains('\n'), "{reason}");
    }
    let Ok(found) = discovery(Transport::Any).read(&reply, wanted) else { return };
    let members: serde_json::Value =
        serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).expect("JSON");
    assert_eq!(members["issuer"], ISSUER);
    let urls = [found.introspection.expect("as wanted"), found.jwks.expect("as wanted")];
    let is_by_tls = urls.iter().all(|url| url.scheme == Scheme::Https);
    for url in urls {
        assert!(host.covers(&url.host().expect("a host")));
        let target = Sought { cluster: "c".to_owned(), scheme: None, authority: None }.at(&url);
        assert_eq!(target.authority, "127.0.0.1:23100");
        assert!(target.path.starts_with('/') && target.path.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    assert_eq!(discovery(Transport::Tls).read(&reply, wanted).is_ok(), is_by_tls);
});
