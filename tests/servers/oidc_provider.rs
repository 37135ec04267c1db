//! oidc-provider, as the end-to-end tests start it.

use std::net::SocketAddr;

use crate::{rig::oidc_provider::OidcProvider as Running, server::Server};

pub struct OidcProvider(Running);

impl Server for OidcProvider {
    const NAME: &str = "oidc-provider";

    async fn start() -> Self {
        Self(Running::start().await)
    }

    fn address(&self) -> SocketAddr {
        self.0.address()
    }

    fn issuer(&self) -> Option<String> {
        Some(self.0.issuer())
    }

    fn replaced(&self) -> Vec<(&'static str, String)> {
        vec![("client_id: gateway,", "client_id: gw-basic,".to_owned())]
    }

    async fn access_token(&self) -> String {
        self.0.token_for_audience(Self::SCOPE).await
    }

    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        let session = self.0.login("alice", "openid offline_access read").await;
        let refresh = session.refresh_token.map(|token| ("refresh token", token));
        refresh.into_iter().chain([("ID token", session.id_token)]).collect()
    }

    async fn revoke(&self, access_token: &str) {
        self.0.revoke(access_token).await;
    }
}
