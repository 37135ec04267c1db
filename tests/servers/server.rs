//! What the checks want of an authorization server.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::rig::{
    browser::{Browser, Session},
    client::Request,
    jose::{self, Key},
    oauth4webapi,
    process::Process,
};

/// One that runs, with a client that gets tokens, a client `gateway` that asks what they mean, and the user `alice`.
pub trait Server: Sized {
    /// Its heading in `docs/servers.md`.
    const NAME: &str;
    /// A scope that it gives on request.
    const SCOPE: &str = "read";
    /// Whether it says of its JWTs if they are active.
    const INTROSPECTS_JWTS: bool = true;
    /// Whether its metadata have its introspection endpoint.
    const NAMES_INTROSPECTION: bool = true;
    /// Whether it sends logout tokens.
    const TELLS_LOGOUTS: bool = false;
    /// Ways besides in which the tokens that people have can end there.
    const ENDS: &[End];
    /// What its signals are worth.
    const SERVED: &[Served] = &[];
    /// The one of [`Self::ENDS`] that no signal tells of, where [`Self::login_briefly`] is possible.
    const UNTOLD: Option<&str> = None;

    async fn start(gateway: &Gateway) -> Self;

    /// The same, but for its metadata: its endpoints are on the host that asks for them, under its public issuer.
    /// `None` if it has no such thing.
    async fn start_inside(_gateway: &Gateway) -> Option<Self> {
        None
    }

    /// Where the cluster of this name in its documented configuration leads.
    fn address(&self, cluster: &str) -> SocketAddr;

    fn process(&self) -> &Process;

    /// Its issuer, where that is not the documented one.
    fn issuer(&self) -> Option<String> {
        None
    }

    /// The documented configuration's client and path, and what they are here.
    fn replaced(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Every way in which its introspection endpoint lets the gateway show who it is, as `auth`.
    fn authentications(&self, gateway: &Gateway) -> Vec<Value>;

    /// A new access token with [`Self::SCOPE`].
    async fn access_token(&self) -> String;

    /// A new access token that is a JWT, or why there is none that can be validated.
    async fn jwt(&self) -> Result<String, &'static str>;

    /// What it gives besides, which is no access token, by its name.
    async fn no_access_tokens(&self) -> Vec<(&'static str, String)>;

    /// A client whose tokens are bound to its key (RFC 9449) gets one, and sends these requests to Envoy: where the documented
    /// configuration has `dpop`.
    async fn dpop_session(
        &self,
        _envoy: (&str, SocketAddr),
        _requests: &[(&str, &str)],
    ) -> oauth4webapi::Session {
        unreachable!("{}: DPoP is not documented", Self::NAME);
    }

    /// A new access token of a client that shows this certificate of `tests/keys`, and is bound to it (RFC 8705): where the
    /// documented configuration has `client_certificate`.
    async fn token_of_certificate(&self, certificate: &str) -> String {
        unreachable!("{}: {certificate} is not documented", Self::NAME);
    }

    /// Takes an access token back (RFC 7009).
    async fn revoke(&self, access_token: &str);

    /// Signs by another key from now on, and publishes the one before beside it; or why it cannot.
    async fn rotate_keys(&self) -> Result<(), &'static str>;

    /// Sends logout tokens there from now on.
    async fn tell_logouts(&self, uri: &str) {
        unreachable!("{} sends none to {uri}", Self::NAME);
    }

    /// A person logs in.
    async fn login(&self) -> Session;

    /// The same for a client that is to have a refresh token, which makes tokens outlive a logout at some servers.
    async fn login_offline(&self) -> Session {
        self.login().await
    }

    /// The same for a client whose access tokens live for seconds; though they were disabled before.
    async fn login_briefly(&self) -> Session {
        unreachable!("{} has no tokens of seconds", Self::NAME);
    }

    /// A person logs in once, in one browser, for a client and for another that is to have `offline_access`. `None` where that
    /// makes no difference to be seen.
    async fn login_for_two(&self) -> Option<(Session, Session)> {
        None
    }

    /// A new access token for an old session.
    async fn refresh(&self, session: &Session) -> String {
        unreachable!("{} has no refresh token: {}", Self::NAME, session.id_token.len());
    }

    /// Ends a session, and its tokens with it, where [`Self::TELLS_LOGOUTS`].
    async fn logout(&self, session: Session) {
        unreachable!("{} tells of no logout: {}", Self::NAME, session.id_token.len());
    }

    /// An administrator ends a person's sessions, where the documented configuration has `security_events`.
    async fn sign_out(&self, session: Session) {
        unreachable!("{} tells of no event: {}", Self::NAME, session.id_token.len());
    }

    /// Sends security events there from now on, to the audience `gateway`, with this as `authorization`: where [`Self::SERVED`]
    /// has some that are pushed.
    async fn push_events(&self, uri: &str, _authorization: &str) {
        unreachable!("{} sends none to {uri}", Self::NAME);
    }

    /// Does what one of [`Self::ENDS`] or [`Self::SERVED`] is called.
    async fn end(&self, way: &str, session: Session);
}

/// What may end a session's tokens, and what comes of it.
pub struct End {
    pub way: &'static str,
    /// From then on the server says that the access token is not active.
    pub ends_access_token: bool,
    /// It sends a logout token.
    pub is_told: bool,
}

impl End {
    /// The revocation of the refresh token (RFC 7009 §2.1: the server SHOULD end the access tokens, too).
    pub const REFRESH_TOKEN: &str = "refresh token revoked (RFC 7009)";

    pub const fn refresh_token(ends_access_token: bool) -> Self {
        Self { way: Self::REFRESH_TOKEN, ends_access_token, is_told: false }
    }
}

/// By what a server tells of an end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    LogoutToken,
    PolledEvent,
    PushedEvent,
}

/// The tokens of two sessions of one person, after one of them has ended in some way: what is served under `phantom_token` with
/// `cache_ttl: 10m`, and under `jwt`.
pub struct Served {
    pub way: &'static str,
    pub signal: Signal,
    /// By the tokens of the session that ended.
    pub ended: [u16; 2],
    /// By those of the other.
    pub other: [u16; 2],
}

impl Served {
    /// All is as it was.
    pub const AS_BEFORE: [u16; 2] = [200, 200];
    /// The server was asked, and says that the token is good; the JWT is to be replaced.
    pub const ASKED: [u16; 2] = [200, 401];
    /// Nothing is.
    pub const NOT: [u16; 2] = [401, 401];
}

/// What servers are told of the client that asks about tokens.
pub struct Gateway {
    key: Key,
}

impl Gateway {
    pub const SECRET: &str = "gw-secret";
    /// `kid` of its key.
    const KID: &str = "gateway";

    pub async fn new() -> Self {
        Self { key: jose::generate("RS256").await }
    }

    /// The public key by which assertions of the gateway are verified (RFC 7523).
    pub fn jwk(&self) -> Value {
        let mut jwk = self.key.public_jwk.clone();
        jwk["kid"] = json!(Self::KID);
        jwk["alg"] = json!("RS256");
        jwk["use"] = json!("sig");
        jwk
    }

    pub fn jwks(&self) -> Value {
        json!({"keys": [self.jwk()]})
    }

    pub fn client_secret_basic(&self, client_id: &str) -> Value {
        json!({"client_secret_basic": {"client_id": client_id, "client_secret": {"inline": Self::SECRET}}})
    }

    pub fn client_secret_post(&self, client_id: &str) -> Value {
        json!({"client_secret_post": {"client_id": client_id, "client_secret": {"inline": Self::SECRET}}})
    }

    pub fn private_key_jwt(&self, client_id: &str, audience: &str) -> Value {
        json!({"private_key_jwt": {
            "client_id": client_id, "private_key": {"inline": self.key.pem}, "alg": "RS256", "kid": Self::KID,
            "audience": audience,
        }})
    }
}

/// The session of a login that gave a refresh token, too.
pub fn session(browser: Browser, reply: &Value) -> Session {
    let session = Session::of(browser, reply);
    assert!(session.refresh_token.is_some(), "expected refresh_token, got {reply}");
    session
}

/// A server of our own making has another key from now on.
pub async fn rotate_keys_of_ours(address: SocketAddr) {
    let reply = Request::post("/rotate", "").send(address).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}
