//! An authorization server, as far as the filter knows it: one that is asked about tokens, one whose JWTs are
//! validated here, or both.

use std::rc::Rc;
use std::time::Duration;

use crate::cache::ProviderTag;
use crate::discovery::{Discovery, Metadata};
use crate::fingerprint::{fingerprint, flat, texts};
use crate::introspection::{Endpoint, Response, SignedReply, SignedReplyKind};
use crate::jwt::{JwksEndpoint, JwtRules};
use crate::policy::Expectation;
use crate::revocation::sources::Signer;
use crate::revocation::status_list::StatusListSource;
use crate::target::{Target, Url, Whereabouts};
use crate::token::{AccessToken, DigestSeed};

/// An authorization server as it is configured: it has at least one of the two sides.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// The side that is asked about tokens.
    pub introspector: Option<Rc<Introspector>>,
    /// The side whose JWTs are validated here.
    pub validator: Option<Rc<Validator>>,
    /// Where it says the rest of where its endpoints are.
    pub discovery: Option<Rc<Discovery>>,
}

/// What discovery has to find of a provider.
#[derive(Clone, Debug)]
pub struct Search {
    /// Where to look.
    pub discovery: Rc<Discovery>,
    /// The side that cannot be asked before.
    pub introspector: Option<Rc<Introspector>>,
    /// The keys that cannot be fetched before.
    pub jwks: Option<Rc<JwksEndpoint>>,
}

/// An authorization server that is asked about tokens (RFC 7662).
#[derive(Clone, Debug)]
pub struct Introspector {
    /// How its verdicts are judged.
    pub origin: Rc<Origin>,
    /// Where it is asked about tokens.
    pub endpoint: Endpoint,
    /// What its tokens look like.
    pub token_format: TokenFormat,
    /// Stands for everything that may change its answer.
    pub fingerprint: [u8; 32],
    /// Turns a token into the digest that its verdict is found under.
    pub digest_seed: DigestSeed,
}

/// An authorization server whose JWT access tokens are validated here (RFC 9068 §4).
#[derive(Clone, Debug)]
pub struct Validator {
    /// How its tokens are judged, once their signature holds.
    pub origin: Rc<Origin>,
    /// The same where the server is asked besides: when it says that a token ends, there is no leeway.
    pub asked_origin: Rc<Origin>,
    /// What a token must be like.
    pub rules: JwtRules,
    /// Where its keys are.
    pub jwks: Rc<JwksEndpoint>,
    /// Where it says which of its tokens it has revoked, if it does.
    pub status_lists: Option<StatusListSource>,
    /// What its tokens look like.
    pub token_format: TokenFormat,
    /// Stands for everything but the keys that may change the outcome.
    pub fingerprint: [u8; 32],
}

/// Where a verdict comes from, and how it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The provider's name in the configuration.
    pub provider: String,
    /// What every verdict of this origin must be like.
    pub expects: Expectation,
    /// How the token was judged.
    pub kind: OriginKind,
    /// The longest `cache_ttl` of the policies that use it: a verdict older than this is of no use to any.
    pub max_cache_ttl: Duration,
}

/// How a token was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginKind {
    /// By the server (RFC 7662), which says what the token means.
    Introspected,
    /// By the server, which also gives the JWT to forward.
    IntrospectedWithJwt,
    /// Here: it is a JWT itself (RFC 9068).
    Validated,
    /// The same, and by the server besides.
    ValidatedAndAsked,
}

impl Origin {
    /// What its verdicts are withdrawn by: its issuer, so that two ways to ask one server share their signals; or
    /// its provider's name, where it has none.
    pub fn identity(&self) -> &str {
        self.expects.issuer.as_deref().unwrap_or(&self.provider)
    }
}

impl Introspector {
    /// One as it is configured.
    pub fn new(origin: Rc<Origin>, endpoint: Endpoint, token_format: TokenFormat) -> Self {
        Self::with_keys(origin, endpoint, token_format, None)
    }

    /// `keys`: where discovery has found those that verify its replies.
    fn with_keys(
        origin: Rc<Origin>,
        endpoint: Endpoint,
        token_format: TokenFormat,
        keys: Option<&Target>,
    ) -> Self {
        let fingerprint = fingerprint_of(&origin, &endpoint, keys);
        let digest_seed = DigestSeed::new(&fingerprint);
        Self { origin, endpoint, token_format, fingerprint, digest_seed }
    }

    /// Whether discovery has to say first where or how it is asked, or where the keys are that verify its replies.
    pub fn is_sought(&self) -> bool {
        let Endpoint { whereabouts, authentication, response, .. } = &self.endpoint;
        let keys = response.signed().map(|signed| &signed.jwks.whereabouts);
        [Some(whereabouts), keys].into_iter().flatten().any(|it| it.sought().is_some())
            || authentication.is_sought()
    }

    /// The same, with what discovery has found. `None`: it takes our credentials in no way that it says it takes.
    pub fn found(&self, metadata: &Metadata) -> Option<Self> {
        let Endpoint { whereabouts, authentication, response, .. } = &self.endpoint;
        let at = |whereabouts: &Whereabouts, url: Option<&Url>| Some(whereabouts.sought()?.at(url?));
        let target = at(whereabouts, metadata.introspection.as_ref());
        let keys = response.signed().and_then(|it| at(&it.jwks.whereabouts, metadata.jwks.as_ref()));
        let endpoint = Endpoint {
            whereabouts: target.map_or_else(|| whereabouts.clone(), Whereabouts::Written),
            authentication: authentication.taken_by(metadata.methods())?,
            ..self.endpoint.clone()
        };
        let (origin, token_format) = (Rc::clone(&self.origin), self.token_format.clone());
        Some(Self::with_keys(origin, endpoint, token_format, keys.as_ref()))
    }
}

/// Everything that may change the server's answer or what it means (RFC 7662 §2.2).
fn fingerprint_of(origin: &Origin, endpoint: &Endpoint, keys: Option<&Target>) -> [u8; 32] {
    let Endpoint { authentication, token_type_hint, parameters, headers, .. } = endpoint;
    let statuses: Vec<String> = endpoint.inactive_statuses.iter().map(u16::to_string).collect();
    let [scope, client_id, sid] = endpoint.claim_names.lists();
    let (form, names, jwks) = match &endpoint.response {
        Response::Json { jwt_member } => ("json", jwt_member.iter().map(String::as_str).collect(), None),
        Response::Signed(SignedReply { kind, algorithms, jwks, .. }) => {
            let mut names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
            let form = match kind {
                SignedReplyKind::IntrospectionResponse { audiences } => {
                    names.extend(audiences.iter().map(String::as_str));
                    "jwt"
                }
                SignedReplyKind::PhantomToken => "application_jwt",
            };
            (form, names, Some(jwks))
        }
    };
    let jwks = jwks.and_then(|jwks| jwks.whereabouts.written()).or(keys);
    let issuer = origin.expects.issuer.as_deref().unwrap_or_default();
    fingerprint(&[
        &[&origin.provider, issuer, &authentication.identity(), token_type_hint, form],
        &of_target(endpoint.whereabouts.written()),
        &flat(parameters.iter().map(|(name, value)| (name, value))),
        &flat(headers.iter().map(|(name, value)| (name, value))),
        &names,
        &of_target(jwks),
        &texts(&statuses),
        &texts(scope),
        &texts(client_id),
        &texts(sid),
    ])
}

fn of_target(target: Option<&Target>) -> Vec<&str> {
    target.map_or_else(Vec::new, |target| target.texts().to_vec())
}

impl Validator {
    /// Who signs its tokens, and whatever else is signed with the same keys.
    pub fn signer(&self) -> Signer {
        Signer {
            provider: self.origin.provider.clone(),
            tag: ProviderTag::new(self.origin.identity()),
            jwks: Rc::clone(&self.jwks),
            algorithms: self.rules.algorithms.clone(),
        }
    }
}

impl Provider {
    /// The cluster that it is reached by: that of its introspection, or of its keys.
    pub fn cluster(&self) -> &str {
        let introspection = self.introspector.as_ref().map(|introspector| &introspector.endpoint.whereabouts);
        let keys = self.validator.as_ref().map(|validator| &validator.jwks.whereabouts);
        introspection.or(keys).map_or("", Whereabouts::cluster)
    }

    /// The same of the provider.
    pub fn identity(&self) -> &str {
        self.origin().map_or(&self.name, Origin::identity)
    }

    /// Its `iss`, if it is written.
    pub fn issuer(&self) -> Option<&str> {
        self.origin()?.expects.issuer.as_deref()
    }

    fn origin(&self) -> Option<&Origin> {
        let introspected = self.introspector.as_ref().map(|introspector| &*introspector.origin);
        introspected.or_else(|| self.validator.as_ref().map(|validator| &*validator.origin))
    }
}

/// What a provider's tokens look like; others are refused unasked.
#[derive(Clone, Debug)]
pub struct TokenFormat {
    /// What they begin with.
    pub prefix: String,
    /// Fewest bytes.
    pub min_length: usize,
    /// Most bytes.
    pub max_length: usize,
}

impl TokenFormat {
    /// Whether this could be such a token.
    pub fn fits(&self, token: &AccessToken) -> bool {
        let text = token.secret();
        (self.min_length..=self.max_length).contains(&text.len()) && text.starts_with(&self.prefix)
    }
}
