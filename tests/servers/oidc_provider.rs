//! oidc-provider, as the end-to-end tests start it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    rig::{browser::Session, oidc_provider::OidcProvider as Running, process::Process},
    server::{End, Gateway, Server},
};

const LOGOUT: &str = "logout where access is offline";

pub struct OidcProvider(Running);

impl Server for OidcProvider {
    const NAME: &str = "oidc-provider";
    const ENDS: &[End] =
        &[End::refresh_token(true), End { way: LOGOUT, ends_access_token: false, is_told: true }];
    const INTROSPECTS_JWTS: bool = false;
    const TELLS_LOGOUTS: bool = true;

    async fn start(gateway: &Gateway) -> Self {
        Self(Running::with(json!({"gateway_jwk": gateway.jwk()})).await)
    }

    fn address(&self, _cluster: &str) -> SocketAddr {
        self.0.address()
    }

    fn process(&self) -> &Process {
        self.0.process()
    }

    fn issuer(&self) -> Option<String> {
        Some(self.0.issuer())
    }

    fn replaced(&self) -> Vec<(&'static str, String)> {
        vec![("client_id: gateway,", "client_id: gw-basic,".to_owned())]
    }

    fn authentications(&self, gateway: &Gateway) -> Vec<Value> {
        vec![
            gateway.client_secret_basic("gw-basic"),
            gateway.client_secret_post("gw-post"),
            gateway.private_key_jwt("gw-pkjwt", &self.0.issuer()),
        ]
    }

    async fn access_token(&self) -> String {
        self.0.token_for_audience(Self::SCOPE).await
    }

    async fn jwt(&self) -> Result<String, &'static str> {
        Ok(self.0.jwt("RS256", Self::SCOPE).await)
    }

    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        let session = self.login_offline().await;
        let refresh = session.refresh_token.expect("a refresh token, as asked for");
        let (_, code) = self.0.authorize("alice", "openid read", &[]).await;
        vec![("refresh token", refresh), ("ID token", session.id_token), ("authorization code", code)]
    }

    async fn revoke(&self, access_token: &str) {
        self.0.revoke(access_token).await;
    }

    async fn rotate_keys(&self) -> Result<(), &'static str> {
        self.0.set_keys(&[("next", "RS256"), ("as", "RS256")]).await;
        Ok(())
    }

    async fn tell_logouts(&self, uri: &str) {
        self.0.set_back_channel_logout_uri(uri).await;
    }

    async fn login(&self) -> Session {
        self.0.login("alice", "openid read").await
    }

    async fn logout(&self, session: Session) {
        self.0.logout(session).await;
    }

    async fn login_offline(&self) -> Session {
        self.0.login("alice", "openid offline_access read").await
    }

    async fn end(&self, way: &str, session: Session) {
        match way {
            LOGOUT => self.0.logout(session).await,
            _ => self.revoke(&session.refresh_token.expect("a refresh token, as asked for")).await,
        }
    }
}
