//! What is accepted but hardly meant.

use serde_json::{Value, json};

use crate::good::{changed, parse};

fn warned(cases: &[(&str, Value, &[&str])]) {
    for (sentence, changes, warnings) in cases {
        assert_eq!(parse(&changed(changes.clone())).unwrap().warnings, *warnings, "{sentence}");
    }
}

#[test]
fn what_is_never_used() {
    let other = json!({"introspection": {"cluster": "b", "path": "/", "auth": {"none": {"client_id": "g"}}}});
    warned(&[
        ("nothing amiss", json!({}), &[]),
        (
            "a provider that no policy asks",
            json!({"providers.other": other, "policies.default.provider": "main"}),
            &["providers.other: never asked, for no policy names it"],
        ),
        (
            "phantom tokens that no policy forwards",
            json!({"policies.default.strategy": "introspection"}),
            &["phantom_token: never made, for no policy forwards it"],
        ),
        (
            "a policy that no request falls under",
            json!({"policies.public.strategy": "allow"}),
            &["policies.public: never used, for no rule and no default_policy names it"],
        ),
        (
            "a policy that is written down but not the default one",
            json!({"policies.default": {}, "policies.strict.cache_ttl": "0s", "default_policy": "strict"}),
            &["policies.default: never used, for no rule and no default_policy names it"],
        ),
        (
            "the default policy goes without saying",
            json!({"policies.strict.cache_ttl": "0s", "default_policy": "strict"}),
            &[],
        ),
        (
            "a policy that routes may name",
            json!({"policies.public.strategy": "allow", "policy_from": "route_metadata"}),
            &[],
        ),
        (
            "a policy that a rule names",
            json!({"policies.public.strategy": "allow", "rules": [{"match": {"path": "/a"}, "policy": "public"}]}),
            &[],
        ),
    ]);
}

#[test]
fn rules_that_are_never_reached() {
    let rules = |first: Value, second: Value| json!({"rules": [{"match": first, "policy": "default"}, {"match": second, "policy": "default"}]});
    let unreached: &[&str] = &["rules[1]: never reached, for rules[0] holds wherever this one does"];
    warned(&[
        ("behind a rule for every request", rules(json!({}), json!({"path": "/a"})), unreached),
        ("behind itself", rules(json!({"path": "/a"}), json!({"path": "/a"})), unreached),
        (
            "behind a prefix of its path",
            rules(json!({"path_prefix": "/a"}), json!({"path": "/a/b"})),
            unreached,
        ),
        (
            "behind a prefix of its prefix",
            rules(json!({"path_prefix": "/a"}), json!({"path_prefix": "/a/"})),
            unreached,
        ),
        (
            "behind more hosts",
            rules(json!({"hosts": ["a", "b"]}), json!({"hosts": ["B"], "methods": ["GET"]})),
            unreached,
        ),
        ("behind a longer prefix", rules(json!({"path_prefix": "/a/"}), json!({"path_prefix": "/a"})), &[]),
        (
            "behind fewer methods",
            rules(json!({"methods": ["GET"]}), json!({"methods": ["GET", "HEAD"]})),
            &[],
        ),
        ("behind one host, for every host", rules(json!({"hosts": ["a"]}), json!({"path": "/a"})), &[]),
        ("behind a path, for a prefix", rules(json!({"path": "/a"}), json!({"path_prefix": "/a"})), &[]),
    ]);
}

#[test]
fn a_token_in_a_cookie() {
    warned(&[(
        "browsers send it",
        json!({"policies.default.token_sources": [{"cookie": "at"}]}),
        &[
            "policies.default.token_sources[0]: a token in a cookie is sent by browsers unasked (RFC 6750 §5.3)",
        ],
    )]);
}
