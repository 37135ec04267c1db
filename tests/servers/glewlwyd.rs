//! glewlwyd, as the end-to-end tests start it.

use std::net::SocketAddr;

use crate::{rig::glewlwyd::Glewlwyd as Running, server::Server};

pub struct Glewlwyd(Running);

impl Server for Glewlwyd {
    const NAME: &str = "glewlwyd";

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
        self.0.token_for_resource().await
    }

    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        let session = self.0.login().await;
        let refresh = session.refresh_token.map(|token| ("refresh token", token));
        refresh.into_iter().chain([("ID token", session.id_token)]).collect()
    }

    async fn revoke(&self, access_token: &str) {
        self.0.revoke(access_token).await;
    }
}
