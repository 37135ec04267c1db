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
            "revocation: expected one of the keys endpoint, back_channel_logout, security_events, global_token_revocation, admin, jwts, fleet, settle, got \"logout\"",
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
            "revocation.security_events.push: expected a value here, in poll or in stream, got none",
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
            "revocation.admin.path: expected a path of its own, got \"/a\" again, after revocation.endpoint.path",
        ),
        (
            "the path of the keys",
            json!({"revocation.admin": {"path": "/.well-known/jwks.json", "token": secret}}),
            "revocation.admin.path: expected a path of its own, got \"/.well-known/jwks.json\" again, after phantom_token.jwks_path",
        ),
    ]);
}

#[test]
fn several_senders() {
    let with = |changes: serde_json::Value| {
        let mut config = changes;
        config["providers.main.issuer"] = json!("https://as.example");
        config["providers.main.jwks"] = json!({"cluster": "as", "path": "/jwks"});
        config
    };
    let logout = |path: &str| json!({"path": path, "audiences": ["web"]});
    let push = |path: &str| {
        json!({"audiences": ["gateway"],
        "push": {"path": path, "authorization": {"inline": "push-secret-push-secret"}}})
    };
    let poll = |path: &str| json!({"audiences": ["gateway"], "poll": {"cluster": "ssf", "path": path}});
    let logouts = "revocation.back_channel_logout";
    let events = "revocation.security_events";
    let list = |count: usize| (0..count).map(|number| logout(&format!("/{number}"))).collect::<Vec<_>>();
    refused(&[
        (
            "none",
            with(json!({logouts: []})),
            "revocation.back_channel_logout: expected at least one value, got none",
        ),
        (
            "a thousand",
            with(json!({logouts: list(1000)})),
            "revocation.back_channel_logout: expected at most 16 values, got 1000",
        ),
        (
            "a text",
            with(json!({events: "all"})),
            "revocation.security_events: expected an object or a list of objects, got a string",
        ),
        (
            "the second is wrong",
            with(json!({events: [push("/a"), poll("poll")]})),
            "revocation.security_events[1].poll.path: expected a path such as \"/introspect\", got \"poll\"",
        ),
        (
            "two receivers of logout tokens at one path",
            with(json!({logouts: [logout("/a"), logout("/b"), logout("/a")]})),
            "revocation.back_channel_logout[2].path: expected a path of its own, got \"/a\" again, after revocation.back_channel_logout[0].path",
        ),
        (
            "two transmitters at one path",
            with(json!({events: [push("/a"), push("/a")]})),
            "revocation.security_events[1].push.path: expected a path of its own, got \"/a\" again, after revocation.security_events[0].push.path",
        ),
        (
            "a logout where events come",
            with(json!({events: [push("/a")], logouts: logout("/a")})),
            "revocation.security_events[0].push.path: expected a path of its own, got \"/a\" again, after revocation.back_channel_logout.path",
        ),
        (
            "one stream for two",
            with(json!({events: [poll("/a"), push("/b"), poll("/a")]})),
            "revocation.security_events[2].poll: expected a place or an authorization of its own, got those of revocation.security_events[0].poll again",
        ),
        (
            "algorithms of keys that are the provider's",
            with(json!({events: [push("/a")], "revocation.security_events[0].algorithms": ["RS256"]})),
            "revocation.security_events[0].algorithms: expected no such key but beside jwks, got one",
        ),
        (
            "no algorithm",
            with(json!({
                events: [push("/a")],
                "revocation.security_events[0].algorithms": [],
                "revocation.security_events[0].jwks": {"cluster": "ssf", "path": "/jwks"},
            })),
            "revocation.security_events[0].algorithms: expected at least one value, got none",
        ),
        (
            "keys from nowhere",
            with(json!({events: [push("/a")], "revocation.security_events[0].jwks": {"cluster": "ssf"}})),
            "revocation.security_events[0].jwks.path: expected a value, got none",
        ),
        (
            "events about nobody knows whose subjects",
            json!({events: [push("/a")], "revocation.security_events[0].jwks": {"cluster": "ssf", "path": "/jwks"}}),
            "revocation.security_events[0].provider: expected a provider with issuer, for subjects are named by it, got \"main\" without",
        ),
    ]);
}

#[test]
fn orders() {
    let with = |orders: serde_json::Value| {
        json!({
            "providers.main.issuer": "https://as.example",
            "providers.main.jwks": {"cluster": "as", "path": "/jwks"},
            "revocation.global_token_revocation": orders,
        })
    };
    let secret = json!({"inline": "correct-horse-battery"});
    refused(&[
        (
            "of anybody",
            with(json!({"path": "/orders"})),
            "revocation.global_token_revocation.audiences: expected a value here or in authorization, got none",
        ),
        (
            "in two ways",
            with(json!({"path": "/orders", "audiences": ["gateway"], "authorization": secret})),
            "revocation.global_token_revocation.authorization: expected either this or audiences, got both",
        ),
        (
            "nowhere",
            with(json!({"authorization": secret})),
            "revocation.global_token_revocation.path: expected a value, got none",
        ),
        (
            "for users of nobody knows whom",
            json!({"revocation.global_token_revocation": {"path": "/orders", "authorization": secret}}),
            "revocation.global_token_revocation.provider: expected a provider with issuer, for subjects are named by it, got \"main\" without",
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

#[test]
fn access_tokens_of_our_own() {
    const POLL: &str = "revocation.security_events.poll";
    let credentials = |patch: serde_json::Value| {
        let mut credentials =
            json!({"cluster": "as", "path": "/token", "auth": {"none": {"client_id": "gateway"}}});
        credentials.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        json!({
            "providers.main.issuer": "https://as.example",
            "providers.main.jwks": {"cluster": "as", "path": "/jwks"},
            "revocation.security_events": {"audiences": ["gateway"], "poll": {
                "cluster": "ssf", "path": "/poll", "authorization": {"client_credentials": credentials},
            }},
        })
    };
    let path = format!("{POLL}.authorization.client_credentials");
    let wanted = "expected {env: NAME}, {inline: \"...\"} or {client_credentials: {..}}";
    let bare = |value: serde_json::Value| {
        let mut changes = credentials(json!({}));
        changes["revocation.security_events"]["poll"]["authorization"] = value;
        changes
    };
    let ways = "expected exactly one of client_secret_basic, client_secret_post, private_key_jwt, none";
    refused(&[
        ("a bare secret", bare(json!("hunter2")), &format!("{POLL}.authorization: {wanted}, got a string")),
        (
            "neither",
            bare(json!({"token": "hunter2"})),
            &format!("{POLL}.authorization: {wanted}, got an object"),
        ),
        (
            "both",
            bare(json!({"inline": "hunter2", "client_credentials": {}})),
            &format!("{POLL}.authorization: {wanted}, got an object"),
        ),
        (
            "a key that there is not",
            credentials(json!({"scope": "read"})),
            &format!(
                "{path}: expected one of the keys cluster, scheme, authority, path, timeout, auth, scopes, parameters, got \"scope\""
            ),
        ),
        (
            "two scopes in one",
            credentials(json!({"scopes": ["read write"]})),
            &format!(
                "{path}.scopes[0]: expected a scope: visible ASCII without space, quote and backslash, got \"read write\""
            ),
        ),
        (
            "a token that is got with a token",
            credentials(json!({"auth": {"bearer": {"token": {"inline": "hunter2"}}}})),
            &format!("{path}.auth: {ways}, got bearer"),
        ),
        (
            "a secret that discovery would have to say more of",
            credentials(
                json!({"auth": {"client_secret": {"client_id": "a", "client_secret": {"inline": "hunter2"}}}}),
            ),
            &format!("{path}.auth: {ways}, got client_secret"),
        ),
        (
            "another grant",
            credentials(json!({"parameters": {"grant_type": "password"}})),
            &format!(
                "{path}.parameters.grant_type: expected a parameter that the filter does not set itself, got \"grant_type\""
            ),
        ),
        (
            "a path that is none",
            credentials(json!({"path": "token"})),
            &format!("{path}.path: expected a path such as \"/introspect\", got \"token\""),
        ),
    ]);
    assert_eq!(
        super::errors_of(
            json!({"revocation.fleet": {"cluster": "store:a", "prefix": "/fleet", "authorization": {
            "client_credentials": {"cluster": "token endpoint", "path": "/token", "auth": {"none": {}}}}}})
        ),
        [
            "revocation.fleet.authorization.client_credentials.authority: expected a host, for the name of the cluster is \
             none and the provider has no issuer, got none"
        ]
    );
}

#[test]
fn streams() {
    const EVENTS: &str = "revocation.security_events";
    let events = |stream: serde_json::Value, beside: serde_json::Value| {
        let mut of_stream = json!({"cluster": "ssf", "path": "/streams"});
        of_stream.as_object_mut().unwrap().extend(stream.as_object().unwrap().clone());
        let mut events = json!({"stream": of_stream});
        events.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
        json!({
            "providers.main.issuer": "https://as.example",
            "providers.main.jwks": {"cluster": "as", "path": "/jwks"},
            "revocation.security_events": events,
        })
    };
    let secret = json!({"inline": "correct-horse-battery"});
    refused(&[
        (
            "a key that there is not",
            events(json!({"audience": "gateway"}), json!({})),
            &format!(
                "{EVENTS}.stream: expected one of the keys cluster, scheme, authority, path, timeout, authorization, description, events, subjects, got \"audience\""
            ),
        ),
        (
            "a stream that is pushed",
            events(json!({}), json!({"push": {"path": "/events", "authorization": secret}})),
            &format!("{EVENTS}.push: expected no such key beside stream, which is polled, got one"),
        ),
        (
            "a stream that is nowhere",
            events(json!({"path": "streams"}), json!({})),
            &format!("{EVENTS}.stream.path: expected a path such as \"/introspect\", got \"streams\""),
        ),
        (
            "no events",
            events(json!({"events": []}), json!({})),
            &format!("{EVENTS}.stream.events: expected at least one value, got none"),
        ),
        (
            "some subjects",
            events(json!({"subjects": "some"}), json!({})),
            &format!(
                "{EVENTS}.stream.subjects: expected all, none, or a list of subject identifiers (RFC 9493), got a string"
            ),
        ),
        (
            "a subject without format",
            events(json!({"subjects": [{"email": "a@example.com"}]}), json!({})),
            &format!(
                "{EVENTS}.stream.subjects[0]: expected a subject identifier, with its format (RFC 9493), got an object"
            ),
        ),
        (
            "more subjects than anybody adds one by one",
            events(
                json!({"subjects": vec![json!({"format": "email", "email": "a@example.com"}); 101]}),
                json!({}),
            ),
            &format!("{EVENTS}.stream.subjects: expected at most 100 subjects, got more"),
        ),
        (
            "a description that no transmitter keeps whole",
            events(json!({"description": "d".repeat(256)}), json!({})),
            &format!(
                "{EVENTS}.stream.description: expected a text of up to 255 characters, got a long string"
            ),
        ),
        (
            "a poll that is nowhere, without a stream",
            {
                let mut changes = events(json!({}), json!({}));
                changes["revocation.security_events"] =
                    json!({"audiences": ["gateway"], "poll": {"cluster": "ssf"}});
                changes
            },
            &format!("{EVENTS}.poll.path: expected a value, got none"),
        ),
    ]);
}
