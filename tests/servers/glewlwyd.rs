//! glewlwyd, as the end-to-end tests start it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    rig::{browser::Session, glewlwyd::Glewlwyd as Running, jose, process::Process},
    server::{End, Gateway, Server},
};

pub struct Glewlwyd {
    running: Running,
    keys: [Value; 2],
    introspection_token: String,
}

impl Server for Glewlwyd {
    const NAME: &str = "glewlwyd";
    const ENDS: &[End] = &[End::refresh_token(false)];
    const TELLS_LOGOUTS: bool = true;

    async fn start(_gateway: &Gateway) -> Self {
        let running = Running::start().await;
        let keys = [key("first").await, key("next").await];
        running.set_keys(&[&keys[0]]).await;
        let introspection_token = running.introspection_token().await;
        Self { running, keys, introspection_token }
    }

    fn address(&self, _cluster: &str) -> SocketAddr {
        self.running.address()
    }

    fn process(&self) -> &Process {
        self.running.process()
    }

    fn issuer(&self) -> Option<String> {
        Some(self.running.issuer())
    }

    fn replaced(&self) -> Vec<(&'static str, String)> {
        vec![("client_id: gateway,", "client_id: gw-basic,".to_owned())]
    }

    fn authentications(&self, gateway: &Gateway) -> Vec<Value> {
        let token = json!({"inline": self.introspection_token});
        vec![gateway.client_secret_basic("gw-basic"), json!({"bearer": {"token": token}})]
    }

    async fn access_token(&self) -> String {
        self.running.token_for_resource().await
    }

    async fn jwt(&self) -> Result<String, &'static str> {
        Ok(self.access_token().await)
    }

    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        let session = self.running.login().await;
        let refresh = session.refresh_token.expect("a refresh token, as it always gives");
        let (_, code) = self.running.authorize().await;
        vec![("refresh token", refresh), ("ID token", session.id_token), ("authorization code", code)]
    }

    async fn revoke(&self, access_token: &str) {
        self.running.revoke(access_token).await;
    }

    async fn rotate_keys(&self) -> Result<(), &'static str> {
        let [first, next] = &self.keys;
        self.running.set_keys(&[next, first]).await;
        Ok(())
    }

    async fn tell_logouts(&self, uri: &str) {
        self.running.set_back_channel_logout_uri(uri).await;
    }

    async fn login(&self) -> Session {
        self.running.login().await
    }

    async fn logout(&self, session: Session) {
        self.running.logout(session).await;
    }

    async fn end(&self, _way: &str, session: Session) {
        self.revoke(&session.refresh_token.expect("a refresh token")).await;
    }
}

async fn key(kid: &str) -> Value {
    let mut jwk = jose::generate("RS256").await.jwk;
    (jwk["kid"], jwk["alg"], jwk["use"]) = (json!(kid), json!("RS256"), json!("sig"));
    jwk
}
