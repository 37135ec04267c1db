use serde_json::json;

use super::refused;

#[test]
fn sources() {
    let main = "providers.main";
    let jwks = |config: serde_json::Value| {
        let mut config = config;
        config[format!("{main}.issuer")] = json!("https://as.example");
        config[format!("{main}.jwks")] = json!({"cluster": "as", "path": "/jwks"});
        config
    };
    let secret = json!({"inline": "correct-horse-battery"});
    refused(&[
        (
            "a source that there is not",
            json!({"revocation.logout": {}}),
            "revocation: expected one of the keys endpoint, back_channel_logout, security_events, admin, jwts, fleet, settle, got \"logout\"",
        ),
        (
            "withdrawn JWTs that are neither refused nor not",
            json!({"revocation.jwts": true}),
            "revocation.jwts: expected one of refuse, ignore, got true",
        ),
        (
            "a server that takes an hour",
            json!({"revocation.settle": "1h"}),
            "revocation.settle: expected a duration from 0s to 5m, got \"1h\"",
        ),
        (
            "an endpoint without path",
            json!({"revocation.endpoint": {}}),
            "revocation.endpoint.path: expected a value, got none",
        ),
        (
            "an endpoint of nobody",
            json!({"revocation.endpoint": {"path": "/revoke", "provider": "other"}}),
            "revocation.endpoint.provider: expected the name of a provider, got \"other\"",
        ),
        (
            "an endpoint of no host",
            json!({"revocation.endpoint": {"path": "/revoke", "hosts": []}}),
            "revocation.endpoint.hosts: expected at least one value, got none",
        ),
        (
            "an operator's secret that can be guessed",
            json!({"revocation.admin": {"path": "/revocations", "token": {"inline": "fifteen-bytes!!"}}}),
            "revocation.admin.token: expected a secret of at least 16 bytes, got a shorter one",
        ),
        (
            "logouts that nobody can verify",
            json!({"revocation.back_channel_logout": {"path": "/logout", "audiences": ["web"]}}),
            "revocation.back_channel_logout.provider: expected a provider with jwks and issuer, for signals are verified, got \"main\" without",
        ),
        (
            "logouts of any client",
            jwks(json!({"revocation.back_channel_logout": {"path": "/logout"}})),
            "revocation.back_channel_logout.audiences: expected a value, got none",
        ),
        (
            "logouts of no client",
            jwks(json!({"revocation.back_channel_logout": {"path": "/logout", "audiences": []}})),
            "revocation.back_channel_logout.audiences: expected at least one value, got none",
        ),
        (
            "events that come from nowhere",
            jwks(json!({"revocation.security_events": {"audiences": ["gateway"]}})),
            "revocation.security_events.push: expected a value here or in poll, got none",
        ),
        (
            "events that anybody may send",
            jwks(
                json!({"revocation.security_events": {"audiences": ["gateway"], "push": {"path": "/events"}}}),
            ),
            "revocation.security_events.push.authorization: expected a value, got none",
        ),
        (
            "polls without a break",
            jwks(json!({"revocation.security_events": {"audiences": ["gateway"],
                "poll": {"cluster": "ssf", "path": "/poll", "interval": "0s"}}})),
            "revocation.security_events.poll.interval: expected a duration from 1s to 1h, got \"0s\"",
        ),
        (
            "orders of anybody",
            json!({"revocation.admin": {"path": "/revocations"}}),
            "revocation.admin.token: expected a value, got none",
        ),
        (
            "one path for two",
            json!({"revocation.admin": {"path": "/a", "token": secret}, "revocation.endpoint": {"path": "/a"}}),
            "revocation.admin.path: expected a path of its own, got \"/a\" again",
        ),
        (
            "the path of the keys",
            json!({"revocation.admin": {"path": "/.well-known/jwks.json", "token": secret}}),
            "revocation.admin.path: expected a path of its own, got \"/.well-known/jwks.json\" again",
        ),
    ]);
}

#[test]
fn one_of_several_providers_is_named() {
    refused(&[(
        "two servers",
        json!({
            "providers.second.introspection":
                {"cluster": "as", "path": "/i", "auth": {"none": {"client_id": "gateway"}}},
            "policies.default": {"provider": "main"},
            "revocation.endpoint": {"path": "/revoke"},
        }),
        "revocation.endpoint.provider: expected the name of a provider, got none",
    )]);
}

#[test]
fn status_lists() {
    let with = |list: serde_json::Value| {
        json!({
            "providers.main.issuer": "https://as.example",
            "providers.main.jwks": {"cluster": "as", "path": "/jwks"},
            "providers.main.status_list": list,
        })
    };
    let wanted = "the beginning of an address such as \"https://as.example/\"";
    let wrong =
        format!("providers.main.status_list.uri_prefixes[0]: expected {wanted}, got \"https://as.example\"");
    refused(&[
        (
            "lists that nobody can verify",
            json!({"providers.main.status_list": {"cluster": "as", "uri_prefixes": ["https://as.example/"]}}),
            "providers.main.status_list: expected jwks beside it, for status lists are verified, got none",
        ),
        (
            "a prefix that other hosts have, too",
            with(json!({"cluster": "as", "uri_prefixes": ["https://as.example"]})),
            &wrong,
        ),
        (
            "lists from nowhere",
            with(json!({"cluster": "as", "uri_prefixes": []})),
            "providers.main.status_list.uri_prefixes: expected at least one value, got none",
        ),
        (
            "lists from anywhere",
            with(json!({"cluster": "as"})),
            "providers.main.status_list.uri_prefixes: expected a value, got none",
        ),
    ]);
}

#[test]
fn fleets() {
    let with = |patch: serde_json::Value| {
        let mut fleet = json!({"cluster": "etcd", "prefix": "/phantom-token/prod"});
        for (name, value) in patch.as_object().unwrap() {
            fleet[name] = value.clone();
        }
        json!({"revocation.fleet": fleet})
    };
    let user = json!({"name": "gateway", "password": {"inline": "secret"}});
    let wanted = "a prefix such as \"/phantom-token/prod\", without a slash at its end";
    refused(&[
        (
            "no store",
            json!({"revocation.fleet": {"prefix": "/fleet"}}),
            "revocation.fleet.cluster: expected a value, got none",
        ),
        (
            "no prefix",
            json!({"revocation.fleet": {"cluster": "etcd"}}),
            "revocation.fleet.prefix: expected a value, got none",
        ),
        (
            "all of the store",
            with(json!({"prefix": "/"})),
            &format!("revocation.fleet.prefix: expected {wanted}, got \"/\""),
        ),
        (
            "a prefix that is none",
            with(json!({"prefix": "fleet"})),
            &format!("revocation.fleet.prefix: expected {wanted}, got \"fleet\""),
        ),
        (
            "a silence shorter than a sign of life takes",
            with(json!({"max_silence": "1s"})),
            "revocation.fleet.max_silence: expected a duration from 2s to 1h, got \"1s\"",
        ),
        (
            "another way with silence",
            with(json!({"on_silence": "panic"})),
            "revocation.fleet.on_silence: expected one of serve, ask, refuse, got \"panic\"",
        ),
        (
            "two ways to say who we are",
            with(json!({"user": user, "authorization": {"inline": "token"}})),
            "revocation.fleet.authorization: expected either this or user, got both",
        ),
        (
            "a user without password",
            with(json!({"user": {"name": "gateway"}})),
            "revocation.fleet.user.password: expected a value, got none",
        ),
    ]);
}
