//! Strategies that validate JWTs, with real authorization servers: what passes, what is refused, and what the
//! service behind gets.

use serde_json::{Value, json};

use crate::rig::{
    authorization_server::AuthorizationServer,
    client::Request,
    gateway::{Gateway, jwt_plugin, plugin, validating},
    jose,
    oidc_provider::{self, OidcProvider},
    signer::{Signer, access_token_claims, with_broken_signature},
};

const ALGORITHMS: [&str; 4] = ["ES256", "RS256", "PS256", "EdDSA"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwt_passes_jwts_of_four_algorithms_as_they_are_and_asks_nobody() {
    let server = OidcProvider::with_algorithms(&ALGORITHMS).await;
    let plugin = jwt_plugin(&server.issuer(), oidc_provider::JWKS);
    let gateway = Gateway::with_oidc_provider(server, plugin, |envoy| envoy.workers(2)).await;
    for alg in ALGORITHMS {
        let of_client = gateway.server.jwt(alg, "read").await;
        let of_alice = gateway.server.login_for_jwt("alice", "openid read", alg).await.access_token;
        for (name, jwt) in [("client", of_client), ("alice", of_alice)] {
            for _ in 0..2 {
                assert_eq!(gateway.get(&jwt).await.echoed_bearer(), jwt, "{alg}, {name}");
            }
            let forged = with_broken_signature(&jwt);
            let judged = gateway.judged(&format!("/forged/{alg}/{name}"), &forged).await;
            assert_eq!(judged, (401, "jwt_signature".to_owned()));
        }
    }
    let opaque = gateway.server.token_for_audience("read").await;
    assert_eq!(gateway.judged("/opaque", &opaque).await, (401, "jwt_malformed".to_owned()));
    let session = gateway.server.login("alice", "openid read").await;
    let judged = gateway.judged("/id-token", &session.id_token).await;
    assert_eq!(judged, (401, "jwt_type".to_owned()), "an ID token is no access token");
    assert_eq!(
        gateway.envoy.counter("cache.hit").await,
        8,
        "the second request with a JWT costs no signature check"
    );
    assert_eq!(gateway.envoy.counter("jwt.minted").await, 0);
    assert_eq!(gateway.upstream.requests(), 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwt_requires_what_the_policy_requires() {
    let server = OidcProvider::with_algorithms(&["ES256"]).await;
    let mut plugin = jwt_plugin(&server.issuer(), oidc_provider::JWKS);
    let policy = |require: Value| json!({"strategy": "jwt", "require": require});
    let api = json!([oidc_provider::AUDIENCE]);
    plugin["policies"]["write"] = policy(json!({"audiences": api, "scopes": ["write"]}));
    plugin["policies"]["other"] = policy(json!({"audiences": ["https://other.example"]}));
    plugin["policies"]["alice"] = policy(json!({"audiences": api, "claims": {"sub": "alice"}}));
    plugin["rules"] = ["write", "other", "alice"]
        .map(|name| json!({"match": {"path": format!("/{name}")}, "policy": name}))
        .into();
    let gateway = Gateway::with_oidc_provider(server, plugin, |envoy| envoy).await;
    let of_client = gateway.server.jwt("ES256", "read").await;
    let of_alice = gateway.server.login_for_jwt("alice", "openid write", "ES256").await.access_token;
    for (path, jwt, status) in [
        ("/", &of_client, 200),
        ("/write", &of_client, 403),
        ("/write", &of_alice, 200),
        ("/other", &of_alice, 401),
        ("/alice", &of_client, 403),
        ("/alice", &of_alice, 200),
    ] {
        assert_eq!(gateway.send(Request::get(path).bearer(jwt)).await.status, status, "{path}");
    }
    let refused = gateway.send(Request::get("/write").bearer(&of_client)).await;
    let challenge = refused.header("www-authenticate").expect("a challenge");
    assert!(
        challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"write\""),
        "{challenge}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_validates_jwts_and_asks_about_opaque_tokens() {
    let server = OidcProvider::with_algorithms(&ALGORITHMS).await;
    let plugin = auto_plugin(&server).await;
    let gateway = Gateway::with_oidc_provider(server, plugin, |envoy| envoy.workers(2)).await;
    for alg in ALGORITHMS {
        let jwt = gateway.server.jwt(alg, "read").await;
        assert_eq!(gateway.get(&jwt).await.echoed_bearer(), jwt, "{alg}");
        let forged = with_broken_signature(&jwt);
        assert_eq!(
            gateway.judged(&format!("/forged/{alg}"), &forged).await,
            (401, "jwt_signature".to_owned())
        );
    }
    assert_eq!(gateway.envoy.counter("introspection.active").await, 0, "no JWT was asked about");
    let opaque = gateway.server.token_for_audience("read").await;
    let phantom = gateway.get(&opaque).await.echoed_bearer();
    let verified = jose::verify(&[phantom], &gateway.jwks().await).await;
    assert_eq!(verified[0].claims["iss"], "https://gateway.example");
    assert_eq!(gateway.envoy.counter("introspection.active").await, 1);
    gateway.server.revoke(&opaque).await;
    assert_eq!(gateway.get("unknown").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_can_give_services_one_kind_of_token() {
    let server = OidcProvider::with_algorithms(&["ES256"]).await;
    let mut plugin = auto_plugin(&server).await;
    plugin["policies"]["default"]["forward"] = json!({"authorization": "jwt"});
    let gateway = Gateway::with_oidc_provider(server, plugin, |envoy| envoy).await;
    let tokens = [gateway.server.jwt("ES256", "read").await, gateway.server.token_for_audience("read").await];
    for token in tokens {
        let phantoms = [gateway.get(&token).await.echoed_bearer(), gateway.get(&token).await.echoed_bearer()];
        for verified in jose::verify(&phantoms, &gateway.jwks().await).await {
            assert_eq!(verified.claims["iss"], "https://gateway.example");
            assert_eq!(verified.claims["aud"], oidc_provider::AUDIENCE);
            assert_eq!(verified.claims["client_id"], "app");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwts_of_several_servers_are_told_apart_by_their_issuer() {
    let (ours, theirs) = (OidcProvider::start().await, OidcProvider::start().await);
    let stranger = OidcProvider::start().await;
    let tokens = [ours.jwt("RS256", "read").await, theirs.jwt("RS256", "read").await];
    let strange = stranger.jwt("RS256", "read").await;
    for (strategy, reason) in [("jwt", "token_of_other_issuer"), ("auto", "token_inactive")] {
        let mut plugin = plugin().await;
        plugin["providers"]["ours"] = validating(&ours.issuer(), "ours", oidc_provider::JWKS);
        plugin["providers"]["theirs"] = validating(&theirs.issuer(), "theirs", oidc_provider::JWKS);
        let providers: &[&str] =
            if strategy == "auto" { &["main", "ours", "theirs"] } else { &["ours", "theirs"] };
        plugin["policies"] = json!({"default": {"strategy": strategy, "providers": providers}});
        let gateway = Gateway::with(plugin, |envoy| {
            envoy.cluster("ours", ours.address()).cluster("theirs", theirs.address())
        })
        .await;
        for jwt in &tokens {
            assert_eq!(gateway.get(jwt).await.echoed_bearer(), *jwt, "{strategy}");
            assert_eq!(gateway.get(&with_broken_signature(jwt)).await.status, 401, "{strategy}");
        }
        assert_eq!(gateway.judged("/strange", &strange).await, (401, reason.to_owned()), "{strategy}");
        assert_eq!(gateway.upstream.requests(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_issuer_that_a_token_names_must_have_signed_it() {
    let (ours, theirs) = (Signer::new("ES256", "ours"), Signer::new("ES256", "theirs"));
    let server_of_ours = AuthorizationServer::with_keys(&[ours.jwk()]).await;
    let server_of_theirs = AuthorizationServer::with_keys(&[theirs.jwk()]).await;
    let plugin = json!({
        "providers": {
            "ours": validating("https://ours.example", "ours", "/jwks"),
            "theirs": validating("https://theirs.example", "theirs", "/jwks"),
        },
        "policies": {"default": {"strategy": "jwt", "providers": ["ours", "theirs"]}},
    });
    let gateway = Gateway::with(plugin, |envoy| {
        envoy.cluster("ours", server_of_ours.address()).cluster("theirs", server_of_theirs.address())
    })
    .await;
    let token = |signer: &Signer, issuer: &str| signer.access_token(&json!({"iss": issuer}));
    assert_eq!(gateway.get(&token(&ours, "https://ours.example")).await.status, 200);
    assert_eq!(gateway.get(&token(&theirs, "https://theirs.example")).await.status, 200);
    let claims = access_token_claims(&json!({"iss": "https://theirs.example"}));
    let named_as_theirs = ours.sign(&theirs.header(), &claims);
    for (path, jwt, reason) in [
        ("/key-of-other", token(&theirs, "https://ours.example"), "jwt_unknown_key"),
        ("/kid-of-other", named_as_theirs, "jwt_signature"),
        ("/no-issuer", theirs.access_token(&json!({"iss": null})), "token_of_other_format"),
        ("/nobodys", token(&theirs, "https://theirs.example/"), "token_of_other_issuer"),
    ] {
        assert_eq!(gateway.judged(path, &jwt).await, (401, reason.to_owned()), "{path}");
    }
}

/// Opaque tokens are introspected, JWTs of the server validated.
async fn auto_plugin(server: &OidcProvider) -> Value {
    let mut plugin = plugin().await;
    let main = validating(&server.issuer(), "authorization_server", oidc_provider::JWKS);
    plugin["providers"]["main"].as_object_mut().unwrap().extend(main.as_object().unwrap().clone());
    plugin["policies"] =
        json!({"default": {"strategy": "auto", "require": {"audiences": [oidc_provider::AUDIENCE]}}});
    plugin
}
