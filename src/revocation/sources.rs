//! The sources of withdrawals, as they are configured.

use std::rc::Rc;
use std::time::Duration;

use super::back_channel_logout::LogoutRules;
use super::global_token_revocation::{OrderRefused, OrderRules, ordered};
use super::security_event::SecurityEventRules;
use super::stream::Stream;
use crate::cache::{ProviderTag, Which};
use crate::client::{Authorization, ClientCredentials, credentials};
use crate::fingerprint::{fingerprint, texts};
use crate::fleet::{Credentials, Fleet};
use crate::http::{HttpCall, Scheme};
use crate::jwt::{Algorithm, JwksEndpoint};
use crate::metrics::Whose;
use crate::request::{RequestView, has_host, has_path};
use crate::target::Target;
use crate::token::Secret;

/// Where withdrawals come from; nowhere, unless it is named.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// RFC 7009 requests that pass through.
    pub endpoint: Option<WatchedEndpoint>,
    /// Logout tokens.
    pub back_channel_logout: Vec<LogoutReceiver>,
    /// Security event tokens, by transmitter.
    pub security_events: Vec<Rc<SecurityEvents>>,
    /// Orders to revoke all tokens of a user.
    pub global_token_revocation: Option<RevocationReceiver>,
    /// The operator.
    pub admin: Option<AdminReceiver>,
    /// Other Envoys.
    pub fleet: Option<Rc<Fleet>>,
    /// How long a server may take to do what its signal announced: verdicts are not remembered meanwhile.
    pub settle: Duration,
    /// What becomes of JWTs that nobody is asked about.
    pub jwts: WithdrawnJwts,
    /// All providers, by name.
    pub providers: Vec<(String, ProviderTag)>,
}

impl Sources {
    /// Whether there are any.
    pub fn is_any(&self) -> bool {
        self.endpoint.is_some()
            || !self.back_channel_logout.is_empty()
            || !self.security_events.is_empty()
            || self.global_token_revocation.is_some()
            || self.admin.is_some()
            || self.fleet.is_some()
    }

    /// What a `POST` to this path is for.
    pub fn of_target(&self, target: &[u8]) -> Option<Receiver> {
        self.paths().find(|(_, path)| has_path(target, path)).map(|(receiver, _)| receiver)
    }

    /// The paths of all receivers.
    pub fn paths(&self) -> impl Iterator<Item = (Receiver, &str)> {
        let endpoint = self.endpoint.iter().map(|it| (Receiver::Endpoint, &*it.path));
        let logouts = self.back_channel_logout.iter().enumerate();
        let logouts = logouts.map(|(place, it)| (Receiver::Logout(place), &*it.path));
        let pushes = self.security_events.iter().enumerate();
        let pushes = pushes.filter_map(|(place, it)| Some((Receiver::Push(place), &*it.push.as_ref()?.path)));
        let admin = self.admin.iter().map(|it| (Receiver::Admin, &*it.path));
        let orders = self.global_token_revocation.iter().map(|it| (Receiver::Order, &*it.path));
        endpoint.chain(logouts).chain(pushes).chain(orders).chain(admin)
    }

    /// Access tokens of our own that are needed for them, each once.
    pub fn client_credentials(&self) -> impl Iterator<Item = &Rc<ClientCredentials>> {
        let store = self.fleet.as_ref().and_then(|fleet| match &fleet.credentials {
            Some(Credentials::Token(token)) => token.client_credentials(),
            _ => None,
        });
        self.security_events.iter().flat_map(|it| it.client_credentials()).chain(store)
    }

    /// Where the keys are that verify signals.
    pub fn jwks(&self) -> impl Iterator<Item = &Rc<JwksEndpoint>> {
        let logouts = self.back_channel_logout.iter().map(|it| &it.signer.jwks);
        let orders = self.global_token_revocation.iter().filter_map(|it| match &it.ordered_by {
            OrderedBy::Jwt(signer, _) => Some(&signer.jwks),
            OrderedBy::Secret(_) => None,
        });
        logouts.chain(self.security_events.iter().map(|it| &it.signer.jwks)).chain(orders)
    }
}

/// What receives a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// The operator's orders.
    Admin,
    /// Nobody here: the request goes on to the server, and its outcome is watched.
    Endpoint,
    /// Logout tokens, for the one at this place.
    Logout(usize),
    /// Orders to revoke all tokens of a user.
    Order,
    /// Security event tokens, pushed by the transmitter at this place.
    Push(usize),
}

/// A revocation endpoint (RFC 7009) that requests pass through to.
#[derive(Clone, Debug)]
pub struct WatchedEndpoint {
    /// Its path.
    pub path: String,
    /// Whose it is.
    pub provider: String,
    /// The same, as verdicts have it.
    pub tag: ProviderTag,
    /// The cluster that requests to it are routed to.
    pub cluster: String,
    /// The hosts that it has, where the cluster has others, too; none: any.
    pub hosts: Vec<String>,
}

impl WatchedEndpoint {
    /// Whether a request to its path reaches it. What Envoy does not say is not guessed: the same path of another
    /// service must not pass without a token, and what that service answers says nothing of tokens.
    pub fn is_reached_by(&self, request: &dyn RequestView) -> bool {
        has_host(request, &self.hosts) && request.route_cluster().as_deref() == Some(self.cluster.as_bytes())
    }
}

/// Who signs signals.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Its provider's name.
    pub provider: String,
    /// The same, as verdicts have it.
    pub tag: ProviderTag,
    /// Its keys.
    pub jwks: Rc<JwksEndpoint>,
    /// The algorithms that it signs with.
    pub algorithms: Vec<Algorithm>,
}

impl Signer {
    /// Whose keys, in texts.
    fn texts(&self) -> Vec<&str> {
        let place = self.jwks.whereabouts.written().map(Target::texts);
        [&*self.provider].into_iter().chain(place.into_iter().flatten()).collect()
    }
}

/// Receives logout tokens.
#[derive(Clone, Debug)]
pub struct LogoutReceiver {
    /// Where.
    pub path: String,
    /// Who signs them.
    pub signer: Signer,
    /// What they have to say.
    pub rules: LogoutRules,
    /// What is done where the session that one names is no verdict's.
    pub unknown_sessions: UnknownSessions,
}

impl LogoutReceiver {
    /// Stands for who sends here: what others call by the same `jti` is something else.
    pub fn sender(&self) -> [u8; 32] {
        let LogoutRules { issuer, audiences, .. } = &self.rules;
        fingerprint(&[&["logout", issuer], &texts(audiences), &self.signer.texts()])
    }
}

/// What is done with a logout that names only a session, at a provider whose verdicts never named any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSessions {
    /// It is refused.
    Refuse,
    /// All verdicts are withdrawn that name no session: every one of them may belong to it.
    Withdraw,
}

/// What becomes of a JWT that is validated here, and that nobody is asked about, when what it is of is withdrawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithdrawnJwts {
    /// It stays good until its `exp`.
    Ignore,
    /// It is refused, if it was issued before.
    #[default]
    Refuse,
}

/// Security event tokens.
#[derive(Clone, Debug)]
pub struct SecurityEvents {
    /// Who signs them.
    pub signer: Signer,
    /// What they have to say.
    pub rules: SecurityEventRules,
    /// Receives them.
    pub push: Option<PushReceiver>,
    /// Fetches them.
    pub poll: Option<Poll>,
    /// Where they are fetched, and for whom they are, is found out by this.
    pub stream: Option<Rc<Stream>>,
}

impl SecurityEvents {
    /// Whose its metrics are.
    pub fn whose(&self) -> Whose<'_> {
        Whose::provider(&self.signer.provider).transmitter(&self.rules.issuer)
    }

    /// Access tokens of our own: a stream and its poll may share one.
    fn client_credentials(&self) -> impl Iterator<Item = &Rc<ClientCredentials>> {
        let stream = self.stream.as_ref().and_then(|stream| stream.client_credentials());
        let poll = self.poll.as_ref().and_then(Poll::client_credentials);
        let is_shared = stream.zip(poll).is_some_and(|(stream, poll)| Rc::ptr_eq(stream, poll));
        stream.into_iter().chain(poll.filter(|_| !is_shared))
    }

    /// Stands for who sends here: what others call by the same `jti` is something else.
    pub fn sender(&self) -> [u8; 32] {
        let SecurityEventRules { issuer, audiences, .. } = &self.rules;
        fingerprint(&[&["events", issuer], &texts(audiences), &self.signer.texts()])
    }
}

/// Receives pushed security event tokens (RFC 8935).
#[derive(Clone, Debug)]
pub struct PushReceiver {
    /// Where.
    pub path: String,
    /// What `authorization` must be: this, or `Bearer` and this.
    pub authorization: Secret,
}

/// Fetches security event tokens (RFC 8936).
#[derive(Clone, Debug)]
pub struct Poll {
    /// Envoy cluster.
    pub cluster: String,
    /// `:scheme`, where it is known.
    pub scheme: Option<Scheme>,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What `authorization` is: this, or `Bearer` and this.
    pub authorization: Option<Authorization>,
}

/// Receives orders to revoke all tokens of a user (Global Token Revocation, a draft).
#[derive(Clone, Debug)]
pub struct RevocationReceiver {
    /// Where.
    pub path: String,
    /// Whose verdicts are withdrawn.
    pub tag: ProviderTag,
    /// Whose `sub` verdicts have: the provider's issuer.
    pub subject_issuer: String,
    /// How it is known who orders.
    pub ordered_by: OrderedBy,
}

/// How it is known who orders.
#[derive(Clone, Debug)]
pub enum OrderedBy {
    /// By this, or `Bearer` and this, in `authorization`.
    Secret(Secret),
    /// By a JWT there.
    Jwt(Signer, OrderRules),
}

impl RevocationReceiver {
    /// What an order withdraws; `body` is `None` if it is too long.
    ///
    /// # Errors
    ///
    /// [`OrderRefused`] with the first reason.
    pub fn read(&self, content_type: &[u8], body: Option<&[u8]>) -> Result<Vec<Which>, OrderRefused> {
        let orderer = match &self.ordered_by {
            OrderedBy::Secret(_) => None,
            OrderedBy::Jwt(_, rules) => Some(&*rules.issuer),
        };
        ordered(content_type, body, &self.subject_issuer, orderer)
    }

    /// Stands for who sends here: what others call by the same `jti` is something else.
    pub fn sender(&self) -> [u8; 32] {
        match &self.ordered_by {
            OrderedBy::Secret(_) => fingerprint(&[&["order", &self.path]]),
            OrderedBy::Jwt(signer, OrderRules { issuer, audiences }) => {
                fingerprint(&[&["order", issuer], &texts(audiences), &signer.texts()])
            }
        }
    }
}

/// Receives the operator's orders.
#[derive(Clone, Debug)]
pub struct AdminReceiver {
    /// Where.
    pub path: String,
    /// What proves that it is the operator.
    pub token: Secret,
}

impl Poll {
    /// What an access token is fetched with, if a poll shows one that is.
    pub fn client_credentials(&self) -> Option<&Rc<ClientCredentials>> {
        self.authorization.as_ref()?.client_credentials()
    }

    /// Stands for what is fetched. At one place streams are told apart by who asks for them.
    pub fn stream(&self) -> [u8; 32] {
        let asks = self.authorization.as_ref().map(Authorization::identity).unwrap_or_default();
        fingerprint(&[&["poll", &self.cluster, &self.authority, &self.path], &[&asks]])
    }

    /// A poll with this body. `fetched` is the access token, where one is fetched.
    pub fn request(&self, body: Vec<u8>, fetched: Option<&Secret>) -> HttpCall {
        let Self { cluster, scheme, authority, path, .. } = self.clone();
        let secret = self.authorization.as_ref().and_then(|it| it.secret(fetched));
        let target = Target { cluster, scheme, authority, path };
        target.json("POST", Some(body), secret.map(credentials), self.timeout)
    }
}

/// Whether `authorization` is the secret: as it is, or as a bearer token.
pub fn is_authorized(secret: &Secret, authorization: Option<&[u8]>) -> bool {
    let Some(presented) = authorization else { return false };
    secret.is(presented)
        || Secret::new(credentials(secret)).is(presented)
        || presented.split_at_checked(BEARER.len()).is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case(BEARER) && secret.is(token.trim_ascii())
        })
}

/// The token that `authorization` has under `Bearer`.
pub fn bearer_token(authorization: &[u8]) -> Option<String> {
    let (scheme, token) = authorization.split_at_checked(BEARER.len())?;
    let token = std::str::from_utf8(token.trim_ascii()).ok();
    token.filter(|token| scheme.eq_ignore_ascii_case(BEARER) && !token.is_empty()).map(str::to_owned)
}

const BEARER: &[u8] = b"bearer ";
