//! The two real authorization servers: people log in, call the API through Envoy, and log out; and the rig's own
//! promises about them, on which other tests rely.

use std::sync::{Arc, Mutex};

use base64ct::{Base64UrlUnpadded, Encoding};
use hyper::Response;
use serde_json::{Value, json};

use crate::rig::{
    browser::parameter,
    client::Request,
    eventually,
    gateway::{Gateway, plugin},
    glewlwyd::{self, Glewlwyd},
    http_server::{HttpServer, whole},
    jose,
    oidc_provider::{self, OidcProvider},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_out_at_oidc_provider_is_refused_unless_access_is_offline() {
    let gateway =
        Gateway::with_oidc_provider(OidcProvider::start().await, asking_always().await, |envoy| envoy).await;
    let online = gateway.server.login("alice", "openid read").await;
    let offline = gateway.server.login("bob", "openid offline_access read").await;
    assert_eq!((online.refresh_token.is_some(), offline.refresh_token.is_some()), (false, true));
    let (of_alice, of_bob) = (online.access_token.clone(), offline.access_token.clone());
    assert_eq!(claims(&gateway.get(&of_alice).await.echoed_bearer())["sub"], "alice");
    assert_eq!(claims(&gateway.get(&of_bob).await.echoed_bearer())["sub"], "bob");
    gateway.server.logout(online).await;
    gateway.server.logout(offline).await;
    assert_eq!(gateway.get(&of_alice).await.status, 401);
    assert_eq!(gateway.get(&of_bob).await.status, 200, "that is what offline_access is for");
    let again = gateway.server.login("alice", "openid read").await;
    assert_eq!(gateway.get(&again.access_token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_out_at_glewlwyd_is_refused() {
    let gateway = Gateway::with_glewlwyd(Glewlwyd::start().await, asking_always().await, |envoy| envoy).await;
    let session = gateway.server.login().await;
    let access_token = session.access_token.clone();
    assert_eq!(claims(&gateway.get(&access_token).await.echoed_bearer())["username"], "alice");
    gateway.server.logout(session).await;
    assert_eq!(gateway.get(&access_token).await.status, 401);
    let again = gateway.server.login().await;
    assert_eq!(gateway.get(&again.access_token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_revoked_at_glewlwyd_is_refused() {
    let gateway = Gateway::with_glewlwyd(Glewlwyd::start().await, asking_always().await, |envoy| envoy).await;
    for access_token in [gateway.server.token("read").await, gateway.server.token_for_user("read").await] {
        assert_eq!(gateway.get(&access_token).await.status, 200);
        gateway.server.revoke(&access_token).await;
        assert_eq!(gateway.get(&access_token).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn glewlwyd_lets_a_gateway_introspect_by_a_bearer_token() {
    let server = Glewlwyd::start().await;
    let mut plugin = asking_always().await;
    let token = json!({"inline": server.introspection_token().await});
    plugin["providers"]["main"]["introspection"]["auth"] = json!({"bearer": {"token": token}});
    let gateway = Gateway::with_glewlwyd(server, plugin, |envoy| envoy).await;
    let jwt = gateway.get(&gateway.server.token_for_resource().await).await.echoed_bearer();
    assert_eq!(claims(&jwt)["aud"], glewlwyd::AUDIENCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oidc_provider_tells_of_logouts() {
    let server = OidcProvider::with_algorithms(&["ES256"]).await;
    let receiver = Receiver::start().await;
    server.set_back_channel_logout_uri(&receiver.uri()).await;
    let session = server.login("alice", "openid read").await;
    let sid = claims(&session.id_token)["sid"].clone();
    server.logout(session).await;
    let told = receiver.logout_token().expect("a logout token");
    assert_eq!(header(&told), json!({"alg": "ES256", "kid": "ES256", "typ": "logout+jwt"}));
    let told = claims(&told);
    assert_eq!(
        (&told["sub"], &told["aud"], &told["iss"]),
        (&json!("alice"), &json!("web"), &json!(server.issuer()))
    );
    assert!(told["sid"].is_string() && told["sid"] == sid, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn glewlwyd_tells_of_logouts() {
    let server = Glewlwyd::start().await;
    let receiver = Receiver::start().await;
    server.set_back_channel_logout_uri(&receiver.uri()).await;
    let session = server.login().await;
    let sid = claims(&session.id_token)["sid"].clone();
    server.logout(session).await;
    let told = eventually("a logout token", || async { receiver.logout_token() }).await;
    let told = claims(&told);
    assert_eq!(told["aud"], "app");
    assert!(told["sid"].is_string() && told["sid"] == sid, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwts_of_both_servers_verify_by_their_keys() {
    let algorithms = ["ES256", "RS256", "PS256", "EdDSA"];
    let server = OidcProvider::with_algorithms(&algorithms).await;
    let jwks = Request::get(oidc_provider::JWKS).send(server.address()).await.json();
    for alg in algorithms {
        let of_client = server.jwt(alg, "read").await;
        let of_user = server.login_for_jwt("alice", "openid read", alg).await.access_token;
        for (jwt, subject) in jose::verify(&[of_client, of_user], &jwks).await.iter().zip(["app", "alice"]) {
            assert_eq!(jwt.header, json!({"alg": alg, "kid": alg, "typ": "at+jwt"}));
            assert_eq!(jwt.claims["aud"], oidc_provider::AUDIENCE);
            assert_eq!(jwt.claims["sub"], subject);
        }
    }
    let server = Glewlwyd::start().await;
    let jwks = Request::get(glewlwyd::JWKS).send(server.address()).await.json();
    let jwts = [server.token("read").await, server.login().await.access_token];
    assert_eq!(jose::verify(&jwts, &jwks).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_oidc_provider_change_over_while_it_runs() {
    let server = OidcProvider::with_algorithms(&["ES256"]).await;
    let jwks = || async { Request::get(oidc_provider::JWKS).send(server.address()).await.json() };
    let (before, session) = (jwks().await, server.login("alice", "openid read").await);
    server.set_keys(&[("next", "ES256"), ("ES256", "ES256")]).await;
    assert_eq!(header(&server.jwt("ES256", "read").await)["kid"], "next");
    assert_eq!(jwks().await["keys"][1], before["keys"][0]);
    server.set_keys(&[("next", "ES256")]).await;
    assert_eq!(jwks().await["keys"].as_array().expect("keys").len(), 1);
    assert_eq!(server.introspect(&session.access_token).await["active"], true, "tokens and sessions stay");
}

/// The filter's configuration, with a policy that asks each time.
async fn asking_always() -> Value {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": "0s"}});
    plugin
}

/// Takes logout tokens.
struct Receiver {
    server: HttpServer,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn start() -> Self {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let received = bodies.clone();
        let server = HttpServer::start(move |request| {
            received
                .lock()
                .expect("no panic while held")
                .push(String::from_utf8_lossy(request.body()).into_owned());
            async { Ok(Response::new(whole(""))) }
        });
        Self { server: server.await, bodies }
    }

    fn uri(&self) -> String {
        format!("http://{}/backchannel-logout", self.server.address())
    }

    /// The only one that came.
    fn logout_token(&self) -> Option<String> {
        let bodies = self.bodies.lock().expect("no panic while held");
        assert!(bodies.len() <= 1, "{bodies:?}");
        parameter(&format!("?{}", bodies.first()?), "logout_token")
    }
}

fn header(jwt: &str) -> Value {
    part(jwt, 0)
}

fn claims(jwt: &str) -> Value {
    part(jwt, 1)
}

fn part(jwt: &str, index: usize) -> Value {
    let part = jwt.split('.').nth(index).unwrap_or_else(|| panic!("not a JWT: {jwt}"));
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).expect("base64url")).expect("JSON")
}
