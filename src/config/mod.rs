//! The plugin's configuration: read, checked, and turned into what the filter works with.
//!
//! A configuration that is wrong anywhere is refused whole; the errors name the keys, what was wanted and what
//! was there. Secrets come through `env`, which is the VM's environment.

mod authentication;
mod authorization;
mod cache;
mod choices;
mod client_certificate;
mod defaults;
mod discovery;
mod document;
mod dpop;
mod error;
mod fleet;
mod global_token_revocation;
mod length;
mod own_paths;
mod phantom_token;
mod place;
mod policy;
mod protected_resources;
mod provider;
mod published_keys;
mod reader;
mod revocation;
mod rules;
mod security_events;
mod sender;
mod strategy;
mod text;

use std::rc::Rc;

use crate::challenge::Challenge;
use crate::client::ClientCredentials;
use crate::jwt::{JwksEndpoint, PhantomToken, SignError, Signatures};
use crate::metrics::Names;
use crate::policy::{Denial, IdentityHeaders, InvalidRequest, Policy, Reading, Rule, Strategy, Unavailable};
use crate::provider::{Provider, Search};
use crate::request::{RequestView, host_of};
use crate::revocation::sources::Sources;
use crate::sender_constrained::ClientCertificate;
use crate::sender_constrained::dpop::Rules;

pub use cache::CacheLimits;
pub use error::ConfigError;
pub use own_paths::OwnPath;

use document::members;
use own_paths::OwnPaths;
use published_keys::PublishedKeys;
use reader::{Context, Item, Refused, Section};

/// A configuration that the filter can work by.
#[derive(Clone, Debug)]
pub struct Config {
    /// The authorization servers.
    pub providers: Vec<Provider>,
    /// How phantom tokens are made, if they are.
    pub phantom_token: Option<PhantomToken>,
    /// What the filter answers itself.
    own_paths: OwnPaths,
    policies: Vec<Rc<Policy>>,
    rules: Vec<Rule>,
    default_policy: Rc<Policy>,
    /// Whether the route's metadata names the policy first.
    policy_from_route: bool,
    /// Whether Envoy's choice of a route may decide about the policy of any request.
    may_hang_on_route: bool,
    /// Headers that say who the client is.
    pub identity_headers: IdentityHeaders,
    /// Where clients' certificates are learned from.
    pub client_certificate: ClientCertificate,
    /// What is asked of DPoP proofs, if any are taken.
    pub dpop: Option<Rules>,
    /// Bounds of the cache.
    pub cache: CacheLimits,
    /// Where withdrawals come from.
    pub revocation: Sources,
    /// How refusals are worded.
    pub challenge: Challenge,
    /// Whether access logs are told of requests that the cache answers.
    pub access_log_hits: bool,
    /// What is allowed but hardly meant.
    pub warnings: Vec<String>,
}

/// What the configuration says of a request.
#[derive(Clone, Debug)]
pub struct Ruling<'c> {
    /// What it needs.
    pub policy: &'c Rc<Policy>,
    /// The host that it must be for. Envoy may tell hosts apart by their port, or not; rules do not. So where the port
    /// would make a difference, the request goes on without it, and to the host that the rules have matched.
    pub host: Option<Vec<u8>>,
}

impl Config {
    /// Reads and checks a configuration: a JSON text (Envoy's `StringValue`, Istio's `pluginConfig`) or a
    /// serialized `google.protobuf.Struct` (plain YAML in Envoy).
    ///
    /// # Errors
    ///
    /// All that is wrong, in the order of reading; at least one thing.
    pub fn parse(
        configuration: &[u8],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<ConfigError>> {
        let members = members(configuration).map_err(|error| vec![error])?;
        let context = Context::new(&members, env);
        let config = Self::read(&Section::root(&context, &KEYS));
        let config = config.inspect(|config| config.warn_of_unused(&context));
        context.finish(config).map(|(config, warnings)| Self { warnings, ..config })
    }

    fn read(root: &Section<'_>) -> Result<Self, Refused> {
        let mut providers = provider::providers(root);
        let phantom_token = phantom_token::phantom_token(root);
        let has_phantom_token = root.get("phantom_token").is_some();
        let default_policy = root.get("default_policy");
        let default_name = default_policy.as_ref().map_or(Ok(defaults::POLICY), Item::text)?;
        let mut jwks_path = phantom_token.iter().flatten().map(|(_, path)| path.as_str());
        let jwks_path = jwks_path.find(|path| !path.is_empty());
        let resources = protected_resources::identifiers(root, jwks_path);
        let policies = policy::policies(root, default_name, &mut providers, has_phantom_token, &resources);
        let metadata_paths = resources.iter().flatten().flat_map(|(name, it)| {
            let at = ["protected_resources.", name, ".resource"].concat();
            it.metadata_paths().into_iter().map(move |path| (at.clone(), path))
        });
        let jwks_path = jwks_path.map(|path| ("phantom_token.jwks_path".to_owned(), path));
        let taken: Vec<(String, &str)> = jwks_path.into_iter().chain(metadata_paths).collect();
        let revocation = revocation::sources(root, &providers, &taken);
        let resources = protected_resources::protected_resources(root, &resources, &policies);
        let rules = rules::rules(root, &policies);
        let default_policy = rules::named(root, default_name, root.spot.key("default_policy"), &policies);
        let policy_from_route = match root.get("policy_from") {
            Some(item) => item.one_of(&[("rules", false), ("route_metadata", true)]),
            None => Ok(defaults::POLICY_FROM_ROUTE),
        };
        let cache = cache::limits(root);
        let client_certificate = client_certificate::client_certificate(root);
        let minting = phantom_token.as_ref().map(|it| it.as_ref().map(|(token, _)| token));
        let dpop = dpop::rules(root, minting.map_err(|refused| *refused));
        let challenge = challenge(root, dpop.iter().flatten().next());
        let access_log_hits = root
            .section("access_log", &["hits"])
            .map(|section| section.boolean("hits", defaults::ACCESS_LOG_HITS));
        let (phantom_token, jwks_path) = phantom_token?.unzip();
        let jwks = jwks_path.filter(|path| !path.is_empty()).zip(phantom_token.as_ref());
        let jwks = jwks.map(|(path, token)| PublishedKeys::new(path, token.jwks()));
        let (policies, rules, policy_from_route) = (policies?, rules?, policy_from_route?);
        Ok(Self {
            revocation: revocation?,
            providers: providers?,
            own_paths: OwnPaths::new(jwks, resources?),
            phantom_token,
            may_hang_on_route: policy_from_route
                || rules.iter().any(|rule| !rule.matches.route_names.is_empty()),
            rules,
            default_policy: default_policy?,
            policy_from_route,
            identity_headers: IdentityHeaders::new(policies.iter().map(Rc::as_ref)),
            policies,
            client_certificate: client_certificate?,
            dpop: dpop?,
            cache: cache?,
            challenge: challenge?,
            access_log_hits: access_log_hits?,
            warnings: Vec::new(),
        })
    }

    /// What is written down but serves no request.
    fn warn_of_unused(&self, context: &Context<'_>) {
        for provider in &self.providers {
            let path = |key: &str| ["providers.", &provider.name, key].concat();
            let (asks, validates) = (self.asks(provider), self.validates_tokens_of(provider));
            if provider.discovery.is_some() && self.sought(provider).is_none() {
                context.warn(&path(".discovery"), "never fetched, for all that policies need is written");
            }
            if !asks && !validates {
                context.warn(&path(""), "never used, for no policy names it");
            } else if !asks && provider.introspector.is_some() {
                context.warn(&path(".introspection"), "never asked, for no policy introspects there");
            } else if has_written_keys(provider) && self.needed_keys(provider).is_none() {
                context.warn(&path(".jwks"), "never fetched, for no policy needs these keys");
            }
        }
        let mints = |policy: &Rc<Policy>| {
            policy::mints(&policy.strategy, policy.authorization, policy.validated_authorization)
        };
        if self.phantom_token.is_some() && !self.policies.iter().any(mints) {
            context.warn("phantom_token", "never made, for no policy forwards it");
        }
        let is_used = |policy: &Rc<Policy>| {
            let mut named = self.rules.iter().map(|rule| &rule.policy).chain([&self.default_policy]);
            self.policy_from_route || named.any(|used| Rc::ptr_eq(used, policy))
        };
        for policy in self.policies.iter().filter(|policy| !is_used(policy)) {
            context.warn(
                &["policies.", &policy.name].concat(),
                "never used, for no rule and no default_policy names it",
            );
        }
    }

    /// Whom metrics are of.
    pub fn names(&self) -> Names {
        let providers = self.providers.iter().map(|provider| provider.name.as_str());
        let transmitters = self.revocation.security_events.iter().map(|it| it.rules.issuer.as_str());
        Names::new(providers, transmitters, self.policies().map(|policy| policy.name.as_str()))
    }

    /// All policies.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter().map(Rc::as_ref)
    }

    /// Whether any policy asks again about tokens whose requests are still open.
    pub fn rechecks_open_streams(&self) -> bool {
        self.policies.iter().any(|policy| !policy.open_streams.recheck.is_zero())
    }

    /// Whether any policy ends requests that were passed on and are still open.
    pub fn ends_open_streams(&self) -> bool {
        self.policies.iter().any(|policy| policy.open_streams.are_watched())
    }

    /// Signs once with every key, so that a host that cannot sign stops the start and not a request.
    ///
    /// # Errors
    ///
    /// The key that does not sign, and why.
    pub fn try_out_keys(&self, signatures: &dyn Signatures) -> Result<(), ConfigError> {
        let named = |path: String| move |reason: SignError| ConfigError::new(path, reason.to_string());
        if let Some(token) = &self.phantom_token {
            token
                .signing_key
                .try_out(signatures)
                .map_err(named("phantom_token.signing_keys[0].private_key".to_owned()))?;
        }
        for Provider { name, introspector, .. } in &self.providers {
            let client = introspector.as_ref().and_then(|it| it.endpoint.authentication.client());
            let Some(client) = client else { continue };
            client
                .try_out(signatures)
                .map_err(named(format!("providers.{name}.introspection.auth.private_key_jwt.private_key")))?;
        }
        for credentials in self.client_credentials() {
            let path =
                [&credentials.used_by, ".client_credentials.auth.private_key_jwt.private_key"].concat();
            credentials.authentication.try_out(signatures).map_err(named(path))?;
        }
        Ok(())
    }

    /// All access tokens of our own that calls may need.
    pub fn client_credentials(&self) -> impl Iterator<Item = &Rc<ClientCredentials>> {
        let introspectors = self.providers.iter().filter_map(|provider| provider.introspector.as_ref());
        introspectors
            .filter_map(|introspector| introspector.endpoint.client_credentials())
            .chain(self.revocation.client_credentials())
    }

    /// Where to fetch a provider's keys, if anything needs them: its JWTs, its signed replies, or its signals.
    pub fn needed_keys<'p>(&self, provider: &'p Provider) -> Option<&'p Rc<JwksEndpoint>> {
        let validator = provider.validator.as_ref().filter(|_| self.validates_tokens_of(provider));
        let introspector = provider.introspector.as_ref().filter(|_| self.asks(provider));
        let signed = introspector.and_then(|introspector| introspector.endpoint.response.signed());
        let keys = validator.map(|validator| &validator.jwks).or_else(|| signed.map(|signed| &signed.jwks));
        let of_signals = || {
            let jwks = &provider.validator.as_ref()?.jwks;
            self.revocation.jwks().any(|used| Rc::ptr_eq(used, jwks)).then_some(jwks)
        };
        keys.or_else(of_signals)
    }

    /// What discovery has to find before a provider can be used; `None` if it is not asked for anything.
    pub fn sought(&self, provider: &Provider) -> Option<Search> {
        let discovery = Rc::clone(provider.discovery.as_ref()?);
        let asked = provider.introspector.as_ref().filter(|it| self.asks(provider) && it.is_sought());
        let keys = self.needed_keys(provider).filter(|jwks| jwks.whereabouts.sought().is_some());
        let is_any = asked.is_some() || keys.is_some();
        is_any.then(|| Search { discovery, introspector: asked.cloned(), jwks: keys.cloned() })
    }

    /// Whether any policy asks this provider about tokens.
    fn asks(&self, provider: &Provider) -> bool {
        let Some(introspector) = &provider.introspector else { return false };
        let strategies = self.policies.iter().map(|policy| &policy.strategy);
        strategies.flat_map(Strategy::introspectors).any(|used| Rc::ptr_eq(used, introspector))
    }

    /// Whether any policy validates this provider's JWTs.
    fn validates_tokens_of(&self, provider: &Provider) -> bool {
        let Some(validator) = &provider.validator else { return false };
        let strategies = self.policies.iter().map(|policy| &policy.strategy);
        strategies.flat_map(Strategy::validators).any(|used| Rc::ptr_eq(used, validator))
    }

    /// The policy of a request: the one that the route names, else that of the first rule that holds, else the
    /// default.
    ///
    /// # Errors
    ///
    /// [`Denial`] if the route names a policy that does not exist or cannot be read, or if it is not known which
    /// route the request takes.
    pub fn policy_of(&self, request: &dyn RequestView) -> Result<Ruling<'_>, Denial> {
        // Envoy chooses the route again when this header is taken away, and nobody would have asked that one.
        if self.may_hang_on_route && self.identity_headers.are_in(request) && self.hangs_on_route(request) {
            return Err(InvalidRequest::ClaimHeader.into());
        }
        if self.policy_from_route
            && let Some(name) = request.route_policy().map_err(|_| Unavailable::UnknownPolicy)?
        {
            let named = self.policies.iter().find(|policy| policy.name.as_bytes() == name);
            return Ok(Ruling { policy: named.ok_or(Unavailable::UnknownPolicy)?, host: None });
        }
        let policy = self.policy_by_rules(request, Reading::WithoutPort)?;
        let host = self.host_that_decides(request, policy)?;
        // Another host is another route, and the one that was looked at is not the one that is taken.
        if host.is_some() && self.may_hang_on_route {
            return Err(InvalidRequest::PortInHost.into());
        }
        Ok(Ruling { policy, host })
    }

    /// Whether Envoy's choice of a route may decide about the policy of this request.
    fn hangs_on_route(&self, request: &dyn RequestView) -> bool {
        self.policy_from_route || self.rules.iter().any(|rule| rule.matches.hangs_on_route(request))
    }

    fn policy_by_rules(&self, request: &dyn RequestView, reading: Reading) -> Result<&Rc<Policy>, Denial> {
        let rule = self.first_rule(request, reading)?;
        Ok(rule.map_or(&self.default_policy, |(_, rule)| &rule.policy))
    }

    /// The first rule that holds for a request, by its place among `rules`: what says its policy, if not the route does.
    ///
    /// # Errors
    ///
    /// [`Denial`] if it is not known which route the request takes.
    pub fn rule_of(&self, request: &dyn RequestView) -> Result<Option<usize>, Denial> {
        Ok(self.first_rule(request, Reading::WithoutPort)?.map(|(index, _)| index))
    }

    fn first_rule(
        &self,
        request: &dyn RequestView,
        reading: Reading,
    ) -> Result<Option<(usize, &Rule)>, Denial> {
        for (index, rule) in self.rules.iter().enumerate() {
            if rule.matches.holds(request, reading).map_err(|_| Unavailable::UnknownPolicy)? {
                return Ok(Some((index, rule)));
            }
        }
        Ok(None)
    }

    /// The host without its port, if `policy` is that of the host and not that of the authority as it stands.
    ///
    /// # Errors
    ///
    /// As [`Config::policy_of`].
    fn host_that_decides(
        &self,
        request: &dyn RequestView,
        policy: &Rc<Policy>,
    ) -> Result<Option<Vec<u8>>, Denial> {
        if self.rules.iter().all(|rule| rule.matches.hosts.is_empty()) {
            return Ok(None);
        }
        let Some(authority) = request.header(":authority") else { return Ok(None) };
        let host = host_of(&authority);
        if host.len() == authority.len() {
            return Ok(None);
        }
        let decides = !Rc::ptr_eq(self.policy_by_rules(request, Reading::AsItStands)?, policy);
        Ok(decides.then(|| host.to_vec()))
    }

    /// Whether the request is for one of the filter's own paths, and so for no policy to judge.
    pub fn is_own_path(&self, request: &dyn RequestView) -> bool {
        self.own_paths.of(request, &self.revocation).is_some()
    }

    /// What the filter does itself with the request, if it is for one of its own paths.
    pub fn own_path(&self, request: &dyn RequestView) -> Option<OwnPath> {
        self.own_paths.of(request, &self.revocation).map(|found| found.own_path(request))
    }
}

fn has_written_keys(provider: &Provider) -> bool {
    provider.validator.as_ref().is_some_and(|it| it.jwks.whereabouts.written().is_some())
}

fn challenge(root: &Section<'_>, dpop: Option<&Rules>) -> Result<Challenge, Refused> {
    let section = root.section("challenge", &["realm", "error_description"])?;
    Ok(Challenge {
        realm: section.get("realm").map_or(Ok(defaults::REALM), |realm| realm.quotable())?.to_owned(),
        error_description: section.boolean("error_description", defaults::ERROR_DESCRIPTION),
        dpop_algorithms: dpop.map(|rules| {
            rules.algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(" ")
        }),
    })
}

const KEYS: [&str; 13] = [
    "providers",
    "phantom_token",
    "policies",
    "default_policy",
    "rules",
    "policy_from",
    "cache",
    "client_certificate",
    "dpop",
    "protected_resources",
    "revocation",
    "challenge",
    "access_log",
];
