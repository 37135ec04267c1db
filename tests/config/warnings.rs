//! What is accepted but hardly meant.

use serde_json::{Value, json};

use crate::good::{changed, parse};

fn warned(cases: &[(&str, Value, &[&str])]) {
    for (sentence, changes, warnings) in cases {
        assert_eq!(parse(&changed(changes.clone())).unwrap().warnings, *warnings, "{sentence}");
    }
}

/// With keys beside these changes.
fn with_keys(mut changes: Value) -> Value {
    changes["providers.main.issuer"] = "https://as.example".into();
    changes["providers.main.jwks"] = json!({"cluster": "b", "path": "/jwks"});
    changes
}

#[test]
fn what_is_never_used() {
    let other = json!({"introspection": {"cluster": "b", "path": "/", "auth": {"none": {"client_id": "g"}}}});
    warned(&[
        ("nothing amiss", json!({}), &[]),
        (
            "a provider that no policy asks",
            json!({"providers.other": other, "policies.default.provider": "main"}),
            &["providers.other: never used, for no policy names it"],
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
fn sides_of_a_provider_that_are_never_used() {
    let both = |mut changes: Value| {
        changes["policies.default.require.audiences"] = json!(["https://api.example"]);
        with_keys(changes)
    };
    let partner = json!({
        "issuer": "https://partner.example", "jwks": {"cluster": "b", "path": "/jwks"},
        "introspection": {"cluster": "b", "path": "/", "auth": {"none": {"client_id": "g"}}},
    });
    warned(&[
        (
            "keys that verify nothing",
            both(json!({})),
            &["providers.main.jwks: never fetched, for no policy needs these keys"],
        ),
        ("keys that verify replies", both(json!({"providers.main.introspection.response": "jwt"})), &[]),
        (
            "an endpoint beside keys that are enough",
            both(json!({"-phantom_token": 0, "policies.default.strategy": "jwt"})),
            &["providers.main.introspection: never asked, for no policy introspects there"],
        ),
        ("both sides, and both are used", both(json!({"policies.default.strategy": "auto"})), &[]),
        (
            "a second endpoint, where the first is asked about all that has no keys",
            both(json!({
                "providers.partner": partner,
                "policies.default.strategy": "auto", "policies.default.providers": ["main", "partner"],
            })),
            &["providers.partner.introspection: never asked, for no policy introspects there"],
        ),
        (
            "rules for JWTs and no keys",
            json!({"providers.main.jwt.leeway": "1m"}),
            &["providers.main.jwt: never used, for without jwks nothing is verified"],
        ),
    ]);
}

#[test]
fn a_resource_that_no_policy_names() {
    let api = json!({"resource": "https://api.example", "authorization_servers": ["https://as.example"]});
    warned(&[
        (
            "its metadata is published for nobody",
            json!({"protected_resources.api": api}),
            &[
                "protected_resources.api.resource: no challenge leads to its metadata, for no policy names this resource",
            ],
        ),
        (
            "a policy names it",
            json!({"protected_resources.api": api, "policies.default.resource": "api"}),
            &[],
        ),
        (
            "a policy that names it and takes tokens for anybody",
            json!({
                "protected_resources.api": api, "policies.default.resource": "api",
                "policies.default.require.audiences": [],
            }),
            &[
                "policies.default.require.audiences: a token that is for another API passes, too; left out, it is the resource",
            ],
        ),
        (
            "it says for whom JWTs are to be",
            with_keys(json!({
                "protected_resources.api": api, "policies.default.resource": "api",
                "policies.default.strategy": "auto",
            })),
            &[],
        ),
    ]);
}

#[test]
fn phantom_tokens_that_are_never_made() {
    let never: &[&str] = &["phantom_token: never made, for no policy forwards it"];
    let audiences = "policies.default.require.audiences";
    warned(&[
        ("the server gives the JWT", json!({"providers.main.introspection.jwt_member": "jwt"}), never),
        (
            "the server's reply is the JWT",
            with_keys(json!({"providers.main.introspection.response": "application_jwt"})),
            never,
        ),
        (
            "JWTs go on as they are",
            with_keys(json!({
                "policies.default.strategy": "jwt_and_introspection", (audiences): ["https://api.example"],
            })),
            never,
        ),
        (
            "JWTs that were validated here do not",
            with_keys(json!({
                "policies.default.strategy": "jwt_and_introspection", (audiences): ["https://api.example"],
                "policies.default.forward.authorization": "jwt",
            })),
            &[],
        ),
    ]);
}

#[test]
fn a_server_that_is_called_by_the_name_of_a_cluster() {
    let warning = |key: &str| {
        format!(
            "providers.main.{key}.authority: neither this nor issuer names a host, so the server is called by the \
             cluster's name, \"authorization_server\", which is none: many servers answer 400; write one of the two"
        )
    };
    let (asked, fetched) = (warning("introspection"), warning("jwks"));
    let named = |more: Value| {
        let mut changes = json!({"providers.main.introspection.cluster": "authorization_server"});
        changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        changes
    };
    let keys = json!({
        "providers.main.issuer": "urn:as", "policies.default.strategy": "auto",
        "policies.default.require.audiences": ["a"],
        "providers.main.jwks": {"cluster": "authorization_server", "path": "/jwks"},
    });
    warned(&[
        ("nothing says its host", named(json!({})), &[&asked]),
        ("an issuer without a host", named(keys), &[&fetched, &asked]),
        ("issuer says it", named(json!({"providers.main.issuer": "https://as.example"})), &[]),
        ("authority says it", named(json!({"providers.main.introspection.authority": "as.example"})), &[]),
        (
            "a cluster with the name of a host",
            json!({"providers.main.introspection.cluster": "as.example"}),
            &[],
        ),
    ]);
}

#[test]
fn a_jwt_for_anybody() {
    let warning: &[&str] = &[
        "policies.default.require.audiences: a JWT that is for another API passes, too (RFC 9068 §4); name yours in require.audiences",
    ];
    warned(&[
        (
            "some validated, some introspected",
            with_keys(json!({"policies.default.strategy": "auto"})),
            warning,
        ),
        (
            "validated and introspected",
            with_keys(json!({
                "policies.default": {"strategy": "jwt_and_introspection", "require": {"audiences": []}},
                "-phantom_token": 0,
            })),
            warning,
        ),
        (
            "validated, for us",
            with_keys(json!({
                "policies.default": {"strategy": "auto", "require": {"audiences": ["https://api.example"]}},
            })),
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

#[test]
fn a_host_with_a_port() {
    let rules = |hosts: Value| json!({"rules": [{"match": {"hosts": hosts}, "policy": "default"}]});
    let warning: &[&str] = &[
        "rules[0].match.hosts[1]: by its port a host is told apart only where Envoy does so, too: not with ignore_port_in_host_matching, which Istio sets, or strip_any_host_port",
    ];
    warned(&[
        ("with one", rules(json!(["a", "a:8443"])), warning),
        ("of IPv6, with one", rules(json!(["[::1]", "[::1]:80"])), warning),
        ("without", rules(json!(["a", "[::1]"])), &[]),
    ]);
    let hidden = json!({"rules": [
        {"match": {"hosts": ["a"]}, "policy": "default"}, {"match": {"hosts": ["a:1"]}, "policy": "default"},
    ]});
    let config = parse(&changed(hidden)).unwrap();
    assert!(
        config.warnings.iter().any(|it| it.starts_with("rules[1]: never reached")),
        "{:?}",
        config.warnings
    );
}
