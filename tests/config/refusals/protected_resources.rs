//! `protected_resources`, and the `resource` of a policy.

use serde_json::{Value, json};

use super::refused;

const RESOURCE: &str = "an https URL in its normal form, without user and fragment (http: on loopback only)";
const ISSUER: &str = "the URL of an issuer, https and without query and fragment (http: on loopback only)";

/// A resource `api` that the default policy names, with changes.
fn api(changes: Value) -> Value {
    let mut all = json!({
        "protected_resources.api": {"resource": "https://api.example/v1"},
        "policies.default.resource": "api",
        "providers.main.issuer": "https://as.example",
    });
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    all
}

fn many(len: usize, text: impl Fn(usize) -> String) -> Vec<String> {
    (0..len).map(text).collect()
}

#[test]
fn resources() {
    for text in [
        "api.example",
        "http://api.example",
        "https://user@api.example",
        "https://api.example/#part",
        "https://api.example/a/../b",
        "https://api.example/\"",
    ] {
        refused(&[(
            text,
            api(json!({"protected_resources.api.resource": text})),
            &format!("protected_resources.api.resource: expected {RESOURCE}, got {text:?}"),
        )]);
    }
    refused(&[
        (
            "no identifier",
            json!({"protected_resources.api": {}}),
            "protected_resources.api.resource: expected a value, got none",
        ),
        (
            "a misspelt key",
            api(json!({"protected_resources.api.scopes": []})),
            "protected_resources.api: expected one of the keys resource, authorization_servers, scopes_supported, metadata, got \"scopes\"",
        ),
        (
            "a long identifier",
            api(
                json!({"protected_resources.api.resource": format!("https://api.example/{}", "a".repeat(1024))}),
            ),
            &format!("protected_resources.api.resource: expected {RESOURCE}, got a long string"),
        ),
        (
            "a policy's resource that is not there",
            api(json!({"policies.default.resource": "other"})),
            "policies.default.resource: expected a name in protected_resources, got \"other\"",
        ),
        (
            "a resource where no token is read",
            json!({
                "protected_resources.api": {"resource": "https://api.example", "authorization_servers": ["https://as.example"]},
                "policies.default.strategy": "allow", "policies.default.resource": "api",
            }),
            "policies.default.resource: expected no such key under strategy allow, which reads no token, got one",
        ),
        (
            "too many",
            api(json!({"protected_resources":
                many(64, |number| number.to_string()).into_iter().map(|name| {
                    let resource = json!({"resource": format!("https://{name}.example"), "authorization_servers": ["https://as.example"]});
                    (name, resource)
                }).collect::<serde_json::Map<_, _>>()
            })),
            "protected_resources: expected at most 64, got 65",
        ),
    ]);
}

#[test]
fn metadata_whose_place_is_taken() {
    let wanted = "expected a resource whose metadata has a path of its own";
    let another = |resource: &str| {
        api(
            json!({"protected_resources.other": {"resource": resource, "authorization_servers": ["https://as.example"]}}),
        )
    };
    for resource in ["https://api.example/v1", "https://API.example/v1", "https://api.example:443/v1"] {
        refused(&[(
            resource,
            another(resource),
            &format!(
                "protected_resources.other.resource: {wanted}, got one whose metadata would be where another's is"
            ),
        )]);
    }
    for path in ["/.well-known/oauth-protected-resource/v1", "/.well-known/oauth-protected-resource"] {
        refused(&[
            (
                "where the published keys are",
                api(json!({"phantom_token.jwks_path": path})),
                &format!(
                    "protected_resources.api.resource: {wanted}, got one whose metadata would be at phantom_token.jwks_path"
                ),
            ),
            (
                "where signals come in",
                api(json!({"revocation.admin": {"path": path, "token": {"env": "CLIENT_SECRET"}}})),
                &format!(
                    "revocation.admin.path: expected a path of its own, got {path:?} again, after protected_resources.api.resource"
                ),
            ),
        ]);
    }
}

#[test]
fn authorization_servers() {
    let servers = |list: Value| api(json!({"protected_resources.api.authorization_servers": list}));
    for text in
        ["as.example", "http://as.example", "https://as.example?a=b", "https://as.example/#part", "urn:as"]
    {
        refused(&[
            (
                text,
                servers(json!(["https://as.example", text])),
                &format!("protected_resources.api.authorization_servers[1]: expected {ISSUER}, got {text:?}"),
            ),
            (
                text,
                api(
                    json!({"providers.main.issuer": text, "providers.main.introspection.authority": "as.example"}),
                ),
                &format!(
                    "protected_resources.api.authorization_servers: expected {ISSUER}, got the issuer of a provider, which is none: {text:?}"
                ),
            ),
        ]);
    }
    let mut without = api(json!({}));
    without.as_object_mut().unwrap().remove("providers.main.issuer");
    refused(&[
        (
            "no issuer at all",
            without,
            "protected_resources.api.authorization_servers: expected at least one issuer, for no provider of a policy that names this resource has one, got none",
        ),
        (
            "too many",
            servers(json!(many(17, |number| format!("https://as{number}.example")))),
            "protected_resources.api.authorization_servers: expected at most 16, got 17",
        ),
    ]);
}

#[test]
fn what_the_document_says_besides() {
    refused(&[
        (
            "two scopes in one",
            api(json!({"protected_resources.api.scopes_supported": ["read write"]})),
            "protected_resources.api.scopes_supported[0]: expected one scope without spaces, got \"read write\"",
        ),
        (
            "too many scopes",
            api(json!({"protected_resources.api.scopes_supported": many(257, |number| number.to_string())})),
            "protected_resources.api.scopes_supported: expected at most 256, got 257",
        ),
        (
            "a member that has a key of its own",
            api(json!({"protected_resources.api.metadata": {"resource": "https://other.example"}})),
            "protected_resources.api.metadata.resource: expected a member that is free to set, got \"resource\"",
        ),
        (
            "signed metadata, which nobody here signs",
            api(json!({"protected_resources.api.metadata": {"signed_metadata": "e30.e30.e30"}})),
            "protected_resources.api.metadata.signed_metadata: expected a member that is free to set, got \"signed_metadata\"",
        ),
        (
            "an empty member",
            api(json!({"protected_resources.api.metadata": {"bearer_methods_supported": []}})),
            "protected_resources.api.metadata.bearer_methods_supported: expected a value (RFC 9728 §3.2: members without one are left out), got an empty one",
        ),
    ]);
    let error =
        &super::errors_of(api(json!({"protected_resources.api.metadata": {"a": "b".repeat(20_000)}})))[0];
    let problem = "protected_resources.api: expected a document of at most 16384 bytes, got ";
    assert!(error.starts_with(problem), "{error}");
}
