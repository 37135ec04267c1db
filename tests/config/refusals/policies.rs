//! `policies`, `rules`, `default_policy` and `policy_from`.

use serde_json::{Value, json};

use super::{refused, set};

/// What an error says besides that is about a policy which nobody has written down.
const UNWRITTEN: &str = " (this policy is not written down, and so has strategy phantom_token; write it, or name another as default_policy)";

/// With two providers more: one that validates only, and one that is only asked.
fn three_providers(mut changes: Value) -> Value {
    changes["providers.keys"] =
        json!({"issuer": "https://keys.example", "jwks": {"cluster": "b", "path": "/jwks"}});
    changes["providers.asked"] =
        json!({"introspection": {"cluster": "c", "path": "/", "auth": {"none": {"client_id": "g"}}}});
    changes
}

#[test]
fn policies() {
    let default = "policies.default";
    refused(&[
        (
            "a strategy that does not exist",
            set(default, "strategy", json!("opaque")),
            "policies.default.strategy: expected one of phantom_token, introspection, jwt, jwt_and_introspection, auto, allow, got \"opaque\"",
        ),
        (
            "a provider that does not exist",
            set(default, "provider", json!("mein")),
            "policies.default.provider: expected one of main, got \"mein\"",
        ),
        (
            "two providers and none named",
            json!({"providers.other": {"introspection": {"cluster": "b", "path": "/", "auth": {"none": {"client_id": "g"}}}}}),
            &["policies.default.provider: expected one of main, other, got none", UNWRITTEN].concat(),
        ),
        (
            "requirements of a policy that judges nothing",
            json!({"policies.public": {"strategy": "allow", "require": {"scopes": ["read"]}}}),
            "policies.public.require: expected no such key under strategy allow, which reads no token, got one",
        ),
        (
            "a phantom token that nobody can make",
            json!({"-phantom_token": 0, "policies.default": {}}),
            "policies.default: expected the section phantom_token, for this policy forwards a phantom token, got none",
        ),
        (
            "verdicts older than a day",
            set(default, "cache_ttl", json!("36h")),
            "policies.default.cache_ttl: expected a duration from 0s to 24h, got \"36h\"",
        ),
        (
            "a boolean in quotes",
            set(default, "allow_missing", json!("yes")),
            "policies.default.allow_missing: expected true, false or missing_or_invalid, got \"yes\"",
        ),
        (
            "no place for a token",
            set(default, "token_sources", json!([])),
            "policies.default.token_sources: expected at least one place to look for a token in, got none",
        ),
        (
            "an unknown place for a token",
            set(default, "token_sources", json!(["query"])),
            "policies.default.token_sources[0]: expected authorization_header, {header: NAME} or {cookie: NAME}, got \"query\"",
        ),
        (
            "a place that is looked at twice, so that each token would be two",
            set(default, "token_sources", json!(["authorization_header", "authorization_header"])),
            "policies.default.token_sources[1]: expected a place of its own, got one that was named before",
        ),
        (
            "authorization as a header without scheme",
            set(default, "token_sources", json!([{"header": "Authorization"}])),
            "policies.default.token_sources[0].header: expected the name of a header that is free to use, got \"Authorization\"",
        ),
        (
            "a cookie that no client could send",
            set(default, "token_sources", json!([{"cookie": "a=b"}])),
            "policies.default.token_sources[0].cookie: expected the name of a cookie, got \"a=b\"",
        ),
        (
            "a form of authorization that does not exist",
            set(default, "forward", json!({"authorization": "token"})),
            "policies.default.forward.authorization: expected one of jwt, original, remove, got \"token\"",
        ),
        (
            "a claim in authorization",
            set(default, "forward.claim_headers", json!({"Authorization": "sub"})),
            "policies.default.forward.claim_headers.Authorization: expected the name of a header that is free to use, got \"Authorization\"",
        ),
        (
            "a header of two claims",
            set(default, "forward.claim_headers", json!({"X-User": "sub", "x-user": "email"})),
            "policies.default.forward.claim_headers.x-user: expected every header once, got \"x-user\" again",
        ),
        (
            "a header of no claim",
            set(default, "forward.claim_headers", json!({"x-user": ""})),
            "policies.default.forward.claim_headers.x-user: expected a text, got \"\"",
        ),
    ]);
}

#[test]
fn strategies_and_their_providers() {
    let default = "policies.default";
    let keys_of = |issuer: &str| json!({"issuer": issuer, "jwks": {"cluster": "b", "path": "/jwks"}});
    refused(&[
        (
            "keys that a strategy needs",
            set(default, "strategy", json!("jwt")),
            "policies.default.provider: expected a provider with jwks under strategy jwt, got \"main\" without",
        ),
        (
            "keys that a strategy needs, of a provider that is named",
            json!({"policies.default": {"strategy": "jwt_and_introspection", "provider": "main"}}),
            "policies.default.provider: expected a provider with jwks under strategy jwt_and_introspection, got \"main\" without",
        ),
        (
            "keys that a strategy needs, of one among several",
            three_providers(json!({"policies.default": {"strategy": "jwt", "providers": ["keys", "asked"]}})),
            "policies.default.providers[1]: expected a provider with jwks under strategy jwt, got \"asked\" without",
        ),
        (
            "an endpoint that a strategy needs",
            three_providers(json!({"policies.default": {"strategy": "introspection", "provider": "keys"}})),
            "policies.default.provider: expected a provider with introspection under strategy introspection, got \"keys\" without",
        ),
        (
            "both that a strategy needs",
            three_providers(
                json!({"policies.default": {"strategy": "jwt_and_introspection", "providers": ["keys"]}}),
            ),
            "policies.default.providers[0]: expected a provider with introspection under strategy jwt_and_introspection, got \"keys\" without",
        ),
        (
            "auto with nobody's keys",
            set(default, "strategy", json!("auto")),
            "policies.default.provider: expected a provider with jwks under strategy auto, got \"main\" without",
        ),
        (
            "auto with nobody's keys, of several",
            three_providers(json!({"policies.default": {"strategy": "auto", "providers": ["main", "asked"]}})),
            "policies.default.providers: expected a provider with jwks among them under strategy auto, got none",
        ),
        (
            "auto with nobody to ask",
            three_providers(json!({"policies.default": {"strategy": "auto", "provider": "keys"}})),
            "policies.default.provider: expected a provider with introspection under strategy auto, got \"keys\" without",
        ),
        (
            "auto with a second server to ask, which would never be asked",
            three_providers(
                json!({"policies.default": {"strategy": "auto", "providers": ["main", "keys", "asked"]}}),
            ),
            "policies.default.providers[2]: expected a provider with jwks, for what is validated by no keys is introspected at \"main\", got \"asked\" without",
        ),
        (
            "several providers where one is asked",
            set(default, "providers", json!(["main"])),
            "policies.default.providers: expected provider, for strategy phantom_token asks one, got providers",
        ),
        (
            "both forms",
            json!({"policies.default": {"strategy": "jwt", "provider": "main", "providers": ["main"]}}),
            "policies.default.providers: expected provider or providers, got both",
        ),
        (
            "a list of none",
            json!({"policies.default": {"strategy": "jwt", "providers": []}}),
            "policies.default.providers: expected at least one provider, got none",
        ),
        (
            "a list that has one that does not exist",
            three_providers(json!({"policies.default": {"strategy": "jwt", "providers": ["keys", "key"]}})),
            "policies.default.providers[1]: expected one of asked, keys, main, got \"key\"",
        ),
        (
            "a provider twice",
            three_providers(json!({"policies.default": {"strategy": "jwt", "providers": ["keys", "keys"]}})),
            "policies.default.providers[1]: expected a provider of its own, got \"keys\" again",
        ),
        (
            "two providers that a token could not tell apart",
            json!({
                "providers": {"a": keys_of("https://as.example"), "b": keys_of("https://as.example")},
                "policies.default": {"strategy": "jwt", "providers": ["a", "b"]},
            }),
            "policies.default.providers[1]: expected a provider with an issuer of its own, got \"https://as.example\" again",
        ),
        (
            "a provider with keys for a default policy that goes without saying",
            json!({"providers.main": keys_of("https://as.example"), "policies.api.strategy": "jwt"}),
            &[
                "policies.default.provider: expected a provider with introspection under strategy phantom_token, got \"main\" without",
                UNWRITTEN,
            ]
            .concat(),
        ),
        (
            "phantom tokens for JWTs that were validated here, and nobody to make them",
            three_providers(json!({
                "-phantom_token": 0,
                "policies.default":
                    {"strategy": "jwt", "provider": "keys", "forward": {"authorization": "jwt"}},
            })),
            "policies.default: expected the section phantom_token, for this policy forwards a phantom token, got none",
        ),
        (
            "auto forwards phantom tokens for what was introspected",
            three_providers(json!({
                "-phantom_token": 0, "policies.default": {"strategy": "auto", "providers": ["main", "keys"]},
            })),
            "policies.default: expected the section phantom_token, for this policy forwards a phantom token, got none",
        ),
    ]);
}

#[test]
fn requirements() {
    let require = "policies.default.require";
    refused(&[
        (
            "a list of scopes in one text",
            set(require, "scopes", json!(["read write"])),
            "policies.default.require.scopes[0]: expected one scope without spaces, got \"read write\"",
        ),
        (
            "scopes without a list",
            set(require, "any_scope", json!("read")),
            "policies.default.require.any_scope: expected a list, got a string",
        ),
        (
            "an audience that is no text",
            set(require, "audiences", json!(["a", 1])),
            "policies.default.require.audiences[1]: expected a text, got 1 (in YAML, such a text needs quotes)",
        ),
        (
            "a class of authentication that no challenge could name",
            set(require, "acr_values", json!(["mfa", "two words"])),
            "policies.default.require.acr_values[1]: expected a text in ASCII without spaces, quotes and backslashes, got \"two words\"",
        ),
        (
            "an age in parts of a second",
            set(require, "max_age", json!("1500ms")),
            "policies.default.require.max_age: expected whole seconds, got a part of one",
        ),
        (
            "a claim that may have no value",
            set(require, "claims", json!({"tenant": []})),
            "policies.default.require.claims.tenant: expected at least one value, got none",
        ),
        (
            "a claim with a value that is never met",
            set(require, "claims", json!({"tenant": ["acme", null]})),
            "policies.default.require.claims.tenant[1]: expected a text, a number, true or false, got null",
        ),
    ]);
}

#[test]
fn rules() {
    let rule = |matches: Value| json!({"rules": [{"match": matches, "policy": "default"}]});
    let normal = "expected a path such as \"/api\" in its normal form and without query";
    refused(&[
        (
            "a policy that does not exist",
            json!({"rules": [{"policy": "publik"}], "policies.public.strategy": "allow"}),
            "rules[0].policy: expected one of public, default, got \"publik\"",
        ),
        ("a rule without policy", json!({"rules": [{}]}), "rules[0].policy: expected a value, got none"),
        (
            "a default policy that does not exist",
            json!({"default_policy": "strict", "policies.public.strategy": "allow"}),
            "default_policy: expected one of public, got \"strict\"",
        ),
        (
            "a default policy and no policies",
            json!({"default_policy": "strict"}),
            "default_policy: expected a section under policies, got \"strict\"",
        ),
        (
            "another place to name policies in",
            json!({"policy_from": "route"}),
            "policy_from: expected one of rules, route_metadata, got \"route\"",
        ),
        (
            "no name of a route",
            rule(json!({"route_names": []})),
            "rules[0].match.route_names: expected at least one value, got none, which nothing matches",
        ),
        (
            "no host",
            rule(json!({"hosts": []})),
            "rules[0].match.hosts: expected at least one value, got none, which nothing matches",
        ),
        (
            "a port that is none",
            rule(json!({"hosts": ["api.example:https"]})),
            "rules[0].match.hosts[0]: expected a host such as \"api.example\", without wildcard, got \"api.example:https\"",
        ),
        (
            "a wildcard",
            rule(json!({"hosts": ["*.example"]})),
            "rules[0].match.hosts[0]: expected a host such as \"api.example\", without wildcard, got \"*.example\"",
        ),
        (
            "a method in small letters",
            rule(json!({"methods": ["GET", "post"]})),
            "rules[0].match.methods[1]: expected a method in capitals such as GET, got \"post\"",
        ),
        (
            "a path with query",
            rule(json!({"path": "/a?b"})),
            &format!("rules[0].match.path: {normal}, got \"/a?b\""),
        ),
        (
            "a path with dots",
            rule(json!({"path": "/a/../b"})),
            &format!("rules[0].match.path: {normal}, got \"/a/../b\""),
        ),
        (
            "a prefix without slash",
            rule(json!({"path_prefix": "api"})),
            &format!("rules[0].match.path_prefix: {normal}, got \"api\""),
        ),
        (
            "a path that does not have the prefix",
            rule(json!({"path": "/a", "path_prefix": "/b"})),
            "rules[0].match.path: expected a path that begins with path_prefix \"/b\", got \"/a\"",
        ),
    ]);
}
