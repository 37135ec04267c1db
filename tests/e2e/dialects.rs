//! What real servers answer otherwise than the RFCs, as it was recorded, through Envoy: what is no access token is
//! refused, what has another name counts, and what can never fit is said in the log.

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    authorization_server::AuthorizationServer,
    gateway::{Gateway, jwt_plugin, plugin},
    signer::{Signer, access_token_claims, now},
};

/// The body of a recorded reply, its end put off.
fn recorded(name: &str) -> Answer {
    let file = format!("{}/tests/vectors/recordings/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let recording: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut reply: Value = serde_json::from_str(recording["response"]["body"].as_str().unwrap()).unwrap();
    for (name, time) in [("exp", now() + 600), ("nbf", now()), ("iat", now())] {
        if !reply[name].is_null() {
            reply[name] = json!(time);
        }
    }
    Answer::body(reply.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_servers_call_active_passes_if_it_is_an_access_token() {
    let gateway = Gateway::start().await;
    for (name, wanted) in [
        ("hydra.introspect-active", (200, "via_upstream")),
        ("spring.introspect-user", (200, "via_upstream")),
        ("zitadel-oidc.introspect-active", (200, "via_upstream")),
        ("keycloak.introspect-basic-active", (200, "via_upstream")),
        ("hydra.introspect-refresh-token", (401, "token_of_other_type")),
        ("glewlwyd.introspect-bearer-refresh", (401, "token_of_other_type")),
        ("keycloak.introspect-id-token-own-client", (401, "token_of_other_type")),
        ("spring.introspect-refresh-token", (401, "not_an_access_token")),
        ("spring.introspect-id-token", (401, "not_an_access_token")),
    ] {
        gateway.server.answer(name, recorded(name));
        let (status, reason) = gateway.judged(&format!("/{name}"), name).await;
        assert_eq!((status, reason.as_str()), wanted, "{name}");
    }
    // It has no audience, and no configuration gives one.
    let log = gateway.envoy.log();
    assert_eq!(log.matches("`phantom_token.audiences`").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id_tokens_pass_for_no_access_tokens_where_types_are_not_told() {
    let signer = Signer::new("ES256", "a");
    let server = AuthorizationServer::with_keys(&[signer.jwk()]).await;
    let mut plugin = jwt_plugin("https://as.example", "/jwks");
    plugin["providers"]["main"]["jwt"] = json!({"types": ["", "JWT"]});
    plugin["policies"]["default"]["require"]["scopes"] = json!(["read"]);
    let gateway = Gateway::with_server(server, plugin, |envoy| envoy).await;
    for (path, typ, claims, wanted) in [
        ("/id", json!("JWT"), json!({"nonce": "n"}), (401, "not_an_access_token")),
        ("/hash", Value::Null, json!({"at_hash": "h"}), (401, "not_an_access_token")),
        ("/time", Value::Null, json!({"auth_time": 1, "scope": null}), (401, "not_an_access_token")),
        ("/access", json!("JWT"), json!({}), (200, "via_upstream")),
        // Scopes may have the name and the form that Hydra's JWTs give them.
        ("/scp", json!("JWT"), json!({"scope": null, "scp": ["read"]}), (200, "via_upstream")),
        ("/none", json!("JWT"), json!({"scope": null}), (403, "insufficient_scope")),
    ] {
        let mut header = signer.header();
        header["typ"] = typ;
        if header["typ"].is_null() {
            header.as_object_mut().unwrap().remove("typ");
        }
        let (status, reason) =
            gateway.judged(path, &signer.sign(&header, &access_token_claims(&claims))).await;
        assert_eq!((status, reason.as_str()), wanted, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_fit_is_said_in_the_log() {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["issuer"] = json!("https://as.example/");
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    for token in ["one", "two", "three"] {
        gateway.server.answer(token, Answer::active(json!({"iss": "https://as.example"})));
        assert_eq!(
            gateway.judged(&format!("/{token}"), token).await,
            (401, "token_of_other_issuer".to_owned())
        );
    }
    gateway.server.answer("forbidden", Answer::status(403));
    let judged = gateway.judged("/forbidden", "forbidden").await;
    assert_eq!(judged, (503, "introspection_credentials_refused".to_owned()));
    let log = gateway.envoy.log();
    let off = log
        .lines()
        .filter(|line| line.contains("\"https://as.example/\"") && line.contains("\"https://as.example\""));
    assert_eq!(off.count(), 1, "{log}");
    assert!(log.contains("(it says \"as the test wanted\")"), "{log}");
}
