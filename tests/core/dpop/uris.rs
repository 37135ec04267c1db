//! `htu` (RFC 9449 §4.2, §4.3): what a proof is for.

use serde_json::json;

use super::{bound, reason, taking_proofs};
use crate::support::dpop::Proof;
use crate::support::{Request, Worker};

#[test]
fn what_a_proof_is_for_is_compared_as_uris_are() {
    // As the client sees it, as Envoy has it, whether they are the same.
    let cases = [
        ("https://api.example/a/b", "/a/b", true),
        ("https://api.example/a/b?q=1#f", "/a/b", true),
        ("https://api.example/a/b", "/a/b?q=1", true),
        ("HTTPS://API.Example/a/b", "/a/b", true),
        ("https://api.example:443/a/b", "/a/b", true),
        ("https://api.example:/a/b", "/a/b", true),
        ("https://api.example/%61/b", "/a/b", true),
        ("https://api.example/a/b", "/%61/b", true),
        ("https://api.example/a%2fb", "/a%2Fb", true),
        ("https://%61pi.example/a/b", "/a/b", true),
        ("https://api.example/./a/x/../b", "/a/b", true),
        ("https://api.example/x/%2e%2E/a/b", "/a/b", true),
        ("https://api.example/../a/b", "/a/b", true),
        ("https://api.example/a/b", "/a/./b", true),
        ("https://api.example", "/", true),
        ("https://api.example?q", "/", true),
        ("https://api.example/a|b^c", "/a|b^c", true),
        ("https://api.example/%zz", "/%zz", true),
        ("https://api.example/a%2fb", "/a/b", false),
        ("https://api.example/A/b", "/a/b", false),
        ("https://api.example/a/b/", "/a/b", false),
        ("https://api.example//a/b", "/a/b", false),
        ("https://api.example/a/b", "/a", false),
        ("https://api.example/a", "/a;b", false),
        ("http://api.example/a/b", "/a/b", false),
        ("https://api.example:8443/a/b", "/a/b", false),
        ("https://api.example:80/a/b", "/a/b", false),
        ("https://api.example./a/b", "/a/b", false),
        ("https://user@api.example/a/b", "/a/b", false),
        ("https://api.example@evil.example/a/b", "/a/b", false),
        ("https://evil.example/a/b", "/a/b", false),
        ("https://api.example.evil.example/a/b", "/a/b", false),
        ("https:/api.example/a/b", "/a/b", false),
        ("//api.example/a/b", "/a/b", false),
        ("/a/b", "/a/b", false),
        ("api.example/a/b", "/a/b", false),
        ("https://api.example\\a\\b", "/a/b", false),
        ("https://api.example/a b", "/a b", false),
        ("https://api.example/\u{e9}", "/\u{e9}", false),
        ("ftp://api.example/a/b", "/a/b", false),
        ("https://api.example/*", "*", false),
        ("https://api.example/", "", false),
    ];
    let mut worker = Worker::new(taking_proofs(json!({})));
    for (number, (htu, path, is_same)) in cases.into_iter().enumerate() {
        let proof = Proof::of("tok", &format!("{number}"), worker.now).claims(json!({"htu": htu})).sign();
        let request = Request::get(path).with("authorization", "DPoP tok").with("dpop", proof);
        let wanted = if is_same { "forwarded" } else { "dpop_for_other_uri" };
        assert_eq!(reason(&worker.call(&request, &bound())), wanted, "{htu} for {path}");
    }
}

#[test]
fn behind_a_proxy_the_configured_origins_are_what_the_client_sees() {
    let origins = json!(["https://api.example", "https://www.example:8443/shop/", "http://[::1]:8080"]);
    let mut worker = Worker::new(taking_proofs(json!({"dpop": {"origins": origins}})));
    for (number, (htu, authority, path, is_same)) in [
        // The host is another here: any origin may be meant.
        ("https://api.example/a", "backend.internal", "/a", true),
        ("https://api.example/a", "10.0.0.1:8080", "/a", true),
        ("https://www.example:8443/shop/a", "backend.internal", "/a", true),
        ("https://www.example:8443/a", "backend.internal", "/a", false),
        ("https://www.example:8443/shop", "backend.internal", "/", false),
        ("https://www.example:8443/shop/", "backend.internal", "/", true),
        ("https://www.example:8443/other/../shop/a", "backend.internal", "/a", true),
        ("https://backend.internal/a", "backend.internal", "/a", false),
        // It is that of an origin: no other is meant.
        ("https://api.example/a", "api.example", "/a", true),
        ("https://api.example/a", "API.example:443", "/a", true),
        ("https://api.example/a", "www.example:8443", "/a", false),
        ("https://www.example:8443/shop/a", "api.example", "/a", false),
        ("http://[::1]:8080/a", "[::1]:8080", "/a", true),
        // The same on a port that none of them has.
        ("https://api.example/a", "api.example:9000", "/a", true),
        ("https://www.example:8443/shop/a", "api.example:9000", "/a", false),
        ("https://www.example:8443/shop/a", "www.example", "/a", true),
        ("https://api.example/a", "www.example", "/a", false),
    ]
    .into_iter()
    .enumerate()
    {
        let proof = Proof::of("tok", &format!("{number}"), worker.now).claims(json!({"htu": htu})).sign();
        let request = Request::default()
            .with(":method", "GET")
            .with(":path", path)
            .with(":authority", authority)
            .with("authorization", "DPoP tok")
            .with("dpop", proof);
        let wanted = if is_same { "forwarded" } else { "dpop_for_other_uri" };
        assert_eq!(reason(&worker.call(&request, &bound())), wanted, "{htu} at {authority}{path}");
    }
}
