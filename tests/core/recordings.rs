//! What real authorization servers answered, byte for byte: every recorded introspection is read as it should be.
//! `oidc-provider` 9.13.3, `glewlwyd` 2.7.5, Keycloak 26.7.3, Hydra 2.3.0, Spring Authorization Server 7.1.2 and
//! `zitadel/oidc` 3.52.0; see `tests/vectors/recordings/`.

use std::collections::BTreeMap;
use std::fs;

use phantom_token_filter::http::Reply;
use phantom_token_filter::introspection::{Introspection, ServerFailure};
use phantom_token_filter::token::UnixMillis;
use serde_json::Value;

use crate::support::parse;

/// When a recording was made, in November 2026: its token has ended since.
fn recorded(recording: &Value) -> UnixMillis {
    let time = recording["recorded"].as_str().unwrap().strip_prefix("2026-11-").unwrap();
    let (day, time) = time.strip_suffix('Z').unwrap().split_once('T').unwrap();
    let of_day = time.split(':').fold(0, |seconds, part| seconds * 60 + part.parse::<u64>().unwrap());
    UnixMillis::from_secs(1_795_305_600 + (day.parse::<u64>().unwrap() - 22) * 24 * 60 * 60 + of_day)
}

/// What a recording says, in short.
#[derive(Debug, PartialEq)]
enum Says {
    Active { token_type: Option<String>, aud: Vec<String>, scope: String },
    Inactive,
    NoAccessToken,
    Failure(ServerFailure),
}

fn active(token_type: &str, aud: &[&str], scope: &str) -> Says {
    let token_type = (!token_type.is_empty()).then(|| token_type.to_owned());
    Says::Active { token_type, aud: aud.iter().map(|&aud| aud.to_owned()).collect(), scope: scope.to_owned() }
}

fn status(status: u16) -> Says {
    Says::Failure(match status {
        401 => ServerFailure::CredentialsRefused { status },
        _ => ServerFailure::OtherStatus { status },
    })
}

fn other_content_type() -> Says {
    Says::Failure(ServerFailure::OtherContentType)
}

fn expected() -> BTreeMap<&'static str, Says> {
    let user = || active("bearer", &["read write"], "read write");
    let opaque = || active("Bearer", &[], "read write");
    BTreeMap::from([
        // A JSON answer to a plain request.
        ("glewlwyd.introspect-basic-active", user()),
        ("glewlwyd.introspect-basic-other-client", user()),
        ("glewlwyd.introspect-bearer-active", user()),
        ("glewlwyd.introspect-bearer-user", user()),
        ("glewlwyd.introspect-bearer-user-hint", user()),
        ("glewlwyd.introspect-accept-json", user()),
        ("glewlwyd.introspect-accept-jwt9701-list", user()),
        ("glewlwyd.introspect-bearer-resource", active("bearer", &["https://api.example.com/"], "read")),
        // A refresh token is active; its type is what tells.
        ("glewlwyd.introspect-bearer-refresh", active("refresh_token", &["app"], "read write")),
        ("glewlwyd.introspect-after-foreign-revoke", Says::Inactive),
        ("glewlwyd.introspect-after-revoke", Says::Inactive),
        ("glewlwyd.introspect-tampered-jwt", Says::Inactive),
        ("glewlwyd.introspect-unknown-hint", Says::Inactive),
        ("glewlwyd.introspect-unknown-token", Says::Inactive),
        ("glewlwyd.introspect-wrong-hint", Says::Inactive),
        ("glewlwyd.introspect-bad-secret", status(401)),
        ("glewlwyd.introspect-bearer-noscope", status(401)),
        ("glewlwyd.introspect-no-auth", status(401)),
        ("glewlwyd.introspect-post", status(401)),
        ("glewlwyd.introspect-missing-token", status(400)),
        // Signed answers, which we did not ask for.
        ("glewlwyd.introspect-accept-jwt", other_content_type()),
        ("glewlwyd.introspect-accept-jwt9701", other_content_type()),
        ("glewlwyd.introspect-accept-jwt-inactive", status(400)),
        ("glewlwyd.introspect-accept-jwt9701-inactive", status(400)),
        ("oidc-provider.introspect-accept-any", opaque()),
        ("oidc-provider.introspect-accept-html", opaque()),
        ("oidc-provider.introspect-accept-json", opaque()),
        ("oidc-provider.introspect-basic-active", opaque()),
        ("oidc-provider.introspect-basic-active-hint", opaque()),
        ("oidc-provider.introspect-basic-active-unknown-hint", opaque()),
        ("oidc-provider.introspect-basic-active-wrong-hint", opaque()),
        ("oidc-provider.introspect-formencoded-creds", opaque()),
        ("oidc-provider.introspect-mtls-active", opaque()),
        ("oidc-provider.introspect-mtls-bound", active("Bearer", &[], "read")),
        ("oidc-provider.introspect-pkjwt-active", opaque()),
        ("oidc-provider.introspect-pkjwt-aud-introspection", opaque()),
        ("oidc-provider.introspect-pkjwt-aud-token", opaque()),
        ("oidc-provider.introspect-post-active", opaque()),
        ("oidc-provider.introspect-dpop", active("DPoP", &[], "read")),
        (
            "oidc-provider.introspect-resource-opaque",
            active("Bearer", &["https://opaque.example.com/"], "read"),
        ),
        ("oidc-provider.stock-introspect-accept-jwt", active("Bearer", &[], "read")),
        ("oidc-provider.introspect-after-revoke", Says::Inactive),
        ("oidc-provider.introspect-unknown-token", Says::Inactive),
        ("oidc-provider.stock-introspect-expired", Says::Inactive),
        ("oidc-provider.introspect-accept-jwt9701-badauth", status(401)),
        ("oidc-provider.introspect-bad-secret", status(401)),
        ("oidc-provider.introspect-bad-secret-post", status(401)),
        ("oidc-provider.introspect-pkjwt-replayed-jti", status(401)),
        ("oidc-provider.introspect-unknown-client", status(401)),
        ("oidc-provider.introspect-dup-token", status(400)),
        ("oidc-provider.introspect-empty-token", status(400)),
        ("oidc-provider.introspect-json-body", status(400)),
        ("oidc-provider.introspect-jwt-access-token", status(400)),
        ("oidc-provider.introspect-missing-token", status(400)),
        ("oidc-provider.introspect-no-auth", status(400)),
        ("oidc-provider.introspect-raw-creds", status(400)),
        ("oidc-provider.introspect-get", status(404)),
        ("oidc-provider.introspect-accept-jwt9701", other_content_type()),
        ("oidc-provider.introspect-accept-jwt9701-es256", other_content_type()),
        ("oidc-provider.introspect-accept-jwt9701-inactive", other_content_type()),
        ("oidc-provider.introspect-accept-jwt9701-pref", other_content_type()),
        ("oidc-provider.introspect-accept-phantom", other_content_type()),
        ("oidc-provider.stock-introspect-accept-jwt9701-post-client", other_content_type()),
        ("keycloak.introspect-accept-jwt", active("Bearer", &["gateway"], "openid email profile")),
        ("keycloak.introspect-accept-jwt9701", active("Bearer", &["gateway"], "openid email profile")),
        ("keycloak.introspect-basic-active", active("Bearer", &["gateway"], "openid email profile")),
        ("keycloak.introspect-dpop", active("DPoP", &["gateway", "account"], "email profile")),
        (
            "keycloak.introspect-exchanged-audience",
            active("Bearer", &["gateway-post", "gateway"], "email profile"),
        ),
        ("keycloak.introspect-id-token-own-client", active("ID", &["shop", "gateway"], "")),
        (
            "keycloak.introspect-refresh-own-client",
            active(
                "Refresh",
                &["http://127.0.0.1:43080/realms/shop", "gateway"],
                "openid web-origins basic service_account email roles profile acr",
            ),
        ),
        ("keycloak.introspect-lightweight", active("Bearer", &["gateway"], "email profile")),
        ("keycloak.introspect-lightweight-accept-jwt", active("Bearer", &["gateway"], "email profile")),
        ("keycloak.introspect-mtls-bound", active("Bearer", &["gateway", "account"], "email profile")),
        ("keycloak.introspect-service-account", active("Bearer", &["gateway", "account"], "email profile")),
        ("keycloak.introspect-accept-jwt-inactive", Says::Inactive),
        ("keycloak.introspect-mtls-bound-other-host", Says::Inactive),
        ("keycloak.introspect-no-audience", Says::Inactive),
        ("keycloak.introspect-own-client", Says::Inactive),
        ("keycloak.introspect-unknown-token", Says::Inactive),
        ("keycloak.introspect-wrong-hint", Says::Inactive),
        ("keycloak.introspect-bad-secret", status(401)),
        ("keycloak.introspect-unknown-hint", status(400)),
        ("hydra.introspect-active", active("Bearer", &["https://api.example"], "read")),
        ("hydra.introspect-active-no-audience", active("Bearer", &[], "read")),
        ("hydra.introspect-active-no-scope", active("Bearer", &[], "")),
        ("hydra.introspect-jwt", active("Bearer", &["https://api.example"], "read")),
        ("hydra.introspect-user", active("Bearer", &["https://api.example"], "openid offline read")),
        // What kind of token it is, is said by `token_use`.
        (
            "hydra.introspect-refresh-token",
            active("refresh_token", &["https://api.example"], "openid offline read"),
        ),
        ("hydra.introspect-after-revoke", Says::Inactive),
        ("hydra.introspect-unknown-token", Says::Inactive),
        ("spring.introspect-active", active("Bearer", &["app"], "read")),
        ("spring.introspect-jwt", active("Bearer", &["app-jwt"], "read")),
        ("spring.introspect-user", active("Bearer", &["web"], "read openid profile")),
        ("spring.introspect-dpop-bound", active("DPoP", &["app"], "read")),
        ("spring.introspect-mtls-bound", active("Bearer", &["app-mtls"], "read")),
        // Active, and no access tokens.
        ("spring.introspect-id-token", Says::NoAccessToken),
        ("spring.introspect-refresh-token", Says::NoAccessToken),
        ("spring.introspect-after-revoke", Says::Inactive),
        ("spring.introspect-unknown-token", Says::Inactive),
        ("spring.introspect-bad-secret", status(401)),
        ("zitadel-oidc.introspect-active", active("", &[], "openid")),
        ("zitadel-oidc.introspect-not-for-this-client", Says::Inactive),
        // No content, which only that dialect takes for "inactive".
        ("oidc-provider.introspect-accept-phantom-inactive", status(204)),
    ])
}

fn says(recording: &Value) -> Says {
    let response = &recording["response"];
    let headers = response["headers"].as_array().unwrap();
    let content_type = headers
        .iter()
        .find(|header| header[0].as_str().unwrap().eq_ignore_ascii_case("content-type"))
        .map_or("", |header| header[1].as_str().unwrap());
    let reply = Reply {
        status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
        content_type: content_type.as_bytes(),
        content_encoding: b"",
        from_envoy: false,
        body: Some(response["body"].as_str().unwrap_or_default().as_bytes()),
        ..Reply::default()
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match parse(&reply, recorded(recording)) {
        Ok(Introspection::Active { is_access_token: false, .. }) => Says::NoAccessToken,
        Ok(Introspection::Active { claims, .. }) => Says::Active {
            token_type: claims.view().token_type.map(text),
            aud: claims.view().audiences().map(text).collect(),
            scope: claims.view().scopes().map(text).collect::<Vec<_>>().join(" "),
        },
        Ok(Introspection::Inactive | Introspection::Expired { .. }) => Says::Inactive,
        Err(failure) => Says::Failure(failure),
    }
}

#[test]
fn every_recorded_introspection_is_read_as_it_should_be() {
    let mut expected = expected();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/recordings");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let recording: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let expected = expected
            .remove(name.as_str())
            .unwrap_or_else(|| panic!("{name} is not expected to say anything"));
        assert_eq!(says(&recording), expected, "{name}");
    }
    assert!(expected.is_empty(), "no such recordings: {:?}", expected.keys());
}

#[test]
fn no_recorded_failure_shows_the_token() {
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/recordings")).unwrap() {
        let recording: Value = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        let Says::Failure(failure) = says(&recording) else { continue };
        let shown = format!("{failure} {failure:?} {}", failure.reason());
        let args = recording["request"]["data_args"].as_array().cloned().unwrap_or_default();
        for token in
            args.iter().filter_map(|arg| arg.as_str()?.strip_prefix("token=")).filter(|token| token.len() > 8)
        {
            assert!(!shown.contains(token), "{shown}");
        }
    }
}
