//! `providers`: authorization servers.

use std::rc::Rc;
use std::time::Duration;

use super::authorization::{Whose, authentication, parameters};
use super::choices::Form;
use super::discovery::{discovery, whereabouts};
use super::place::scheme;
use super::reader::{Item, Refused, Section, all, whole_number};
use super::{defaults, length};
use crate::claims::ClaimNames;
use crate::discovery::Discovery;
use crate::fingerprint::{fingerprint, texts};
use crate::introspection::{BreakerLimits, Endpoint, Response, SignedReply, SignedReplyKind};
use crate::jwt::{Algorithm, JwksEndpoint, JwtRules};
use crate::policy::Expectation;
use crate::provider::{Introspector, Origin, OriginKind, Provider, TokenFormat, Validator};
use crate::revocation::status_list::StatusListSource;

/// The providers. How old a verdict of theirs may get is for the policies to say.
pub(super) fn providers(root: &Section<'_>) -> Result<Vec<Provider>, Refused> {
    let providers = root.required("providers")?;
    let entries = providers.entries()?;
    if entries.is_empty() {
        return Err(providers.error("at least one authorization server", "none"));
    }
    all(entries.into_iter().map(|(name, item)| provider(name, item)))
}

#[inline(never)]
fn provider(name: &str, item: Item<'_>) -> Result<Provider, Refused> {
    let section = item.section(&[
        "issuer",
        "discovery",
        "introspection",
        "token_format",
        "jwks",
        "jwt",
        "status_list",
        "claim_names",
    ])?;
    let issuer = section.get("issuer").map(|issuer| issuer.text()).transpose()?;
    let whose = Whose { provider: Some(name), issuer };
    let claim_names = claim_names(&section);
    let token_format = token_format(&section);
    if section.get("jwt").is_some() && section.get("jwks").is_none() && section.get("discovery").is_none() {
        section.warn("jwt", "never used, for without jwks nothing is verified");
    }
    let discovery = discovery(name, &section, issuer);
    let found = discovery.as_ref().map(Option::as_ref).map_err(|refused| *refused);
    let keys = found.and_then(|found| keys(name, &section, issuer, found));
    let status_lists = section.get("status_list").map(|item| status_lists(&item)).transpose();
    let endpoint = section.get("introspection").map(|item| endpoint(&item, whose, found?, &keys)).transpose();
    let (endpoint, keys, discovery) = (endpoint?, keys?, discovery?);
    if endpoint.is_none() && keys.is_none() {
        return Err(section.error("introspection", "expected a value here or in jwks, got none"));
    }
    if section.get("status_list").is_some() && keys.is_none() {
        let problem = "expected jwks beside it, for status lists are verified, got none";
        return Err(section.error("status_list", problem));
    }
    let (claim_names, token_format, status_lists) = (claim_names?, token_format?, status_lists?);
    let introspector = endpoint.map(|endpoint| {
        introspector(name, Endpoint { claim_names: claim_names.clone(), ..endpoint }, issuer, &token_format)
    });
    if let Some(by_secret) = introspector.iter().find(|_| discovery.is_none())
        && by_secret.endpoint.authentication.is_sought()
    {
        let problem = "expected discovery beside it, which says how a secret is sent, got none";
        return Err(section.error("introspection.auth.client_secret", problem));
    }
    let validator = keys.map(|(jwks, rules)| {
        let rules = JwtRules { claim_names: claim_names.clone(), ..rules };
        Validator { status_lists, ..validator(name, rules, &token_format, jwks) }
    });
    Ok(Provider {
        name: name.to_owned(),
        introspector: introspector.map(Rc::new),
        validator: validator.map(Rc::new),
        discovery: discovery.map(Rc::new),
    })
}

/// Where an issuer's keys are, and what JWTs by them must be like.
type Keys = (Rc<JwksEndpoint>, JwtRules);

fn keys(
    name: &str,
    section: &Section<'_>,
    issuer: Option<&str>,
    discovery: Option<&Discovery>,
) -> Result<Option<Keys>, Refused> {
    let rules = rules(section);
    if section.get("jwks").is_none() && discovery.is_none() {
        return rules.map(|_| None);
    }
    let is_pss_named = section.section("jwt", &JWT_KEYS)?.get("algorithms").is_some();
    let jwks = jwks(name, &section.section("jwks", &JWKS_KEYS)?, issuer, discovery, is_pss_named)?;
    let Some(issuer) = issuer else {
        return Err(section.error("issuer", "expected a value, for jwks are the keys of an issuer, got none"));
    };
    Ok(Some((Rc::new(jwks), JwtRules { issuer: issuer.to_owned(), ..rules? })))
}

fn introspector(
    name: &str,
    endpoint: Endpoint,
    issuer: Option<&str>,
    token_format: &TokenFormat,
) -> Introspector {
    let kind = if endpoint.response.gives_jwt() {
        OriginKind::IntrospectedWithJwt
    } else {
        OriginKind::Introspected
    };
    let expects = Expectation {
        issuer: issuer.map(str::to_owned),
        exp_leeway: Duration::ZERO,
        nbf_leeway: INTROSPECTED_NBF_LEEWAY,
    };
    Introspector::new(origin(name, expects, kind), endpoint, token_format.clone())
}

fn validator(name: &str, rules: JwtRules, token_format: &TokenFormat, jwks: Rc<JwksEndpoint>) -> Validator {
    let JwtRules { issuer, leeway, .. } = &rules;
    let expects = Expectation { issuer: Some(issuer.clone()), exp_leeway: *leeway, nbf_leeway: *leeway };
    let where_asked = Expectation { exp_leeway: Duration::ZERO, ..expects.clone() };
    Validator {
        asked_origin: origin(name, where_asked, OriginKind::ValidatedAndAsked),
        origin: origin(name, expects, OriginKind::Validated),
        fingerprint: validator_fingerprint(name, &rules, &jwks),
        rules,
        jwks,
        status_lists: None,
        // A JWT begins as JWTs do; the prefix is that of opaque tokens.
        token_format: TokenFormat { prefix: String::new(), ..token_format.clone() },
    }
}

fn status_lists(item: &Item<'_>) -> Result<StatusListSource, Refused> {
    let section =
        item.section(&["cluster", "scheme", "authority", "uri_prefixes", "max_stale", "timeout"])?;
    let prefixes = section.required("uri_prefixes")?;
    // With a slash behind the host, or another host could begin with it.
    let is_prefix: fn(&str) -> bool = |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        rest.and_then(|rest| rest.split_once('/')).is_some_and(|(host, _)| !host.is_empty())
    };
    let wanted = "the beginning of an address such as \"https://as.example/\"";
    let named =
        prefixes.elements()?.iter().map(|it| it.text_such(wanted, is_prefix).map(str::to_owned)).collect();
    let stale = Duration::ZERO..=Duration::from_secs(24 * 60 * 60);
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    Ok(StatusListSource {
        cluster: section.required("cluster")?.text()?.to_owned(),
        scheme: scheme(&section)?,
        authority: section.get("authority").map(|item| item.authority().map(str::to_owned)).transpose()?,
        uri_prefixes: some(&prefixes, named)?,
        max_stale: section.duration("max_stale", defaults::STATUS_LIST_MAX_STALE, stale),
        timeout: section.duration("timeout", defaults::STATUS_LIST_TIMEOUT, timeouts),
    })
}

fn origin(provider: &str, expects: Expectation, kind: OriginKind) -> Rc<Origin> {
    Rc::new(Origin { provider: provider.to_owned(), expects, kind, max_cache_ttl: Duration::ZERO })
}

pub(super) fn jwks(
    name: &str,
    section: &Section<'_>,
    issuer: Option<&str>,
    discovery: Option<&Discovery>,
    is_pss_named: bool,
) -> Result<JwksEndpoint, Refused> {
    let whereabouts = whereabouts(section, issuer, discovery)?;
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    let intervals = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
    Ok(JwksEndpoint {
        is_pss_named,
        provider: name.to_owned(),
        transmitter: None,
        whereabouts,
        timeout: section.duration("timeout", defaults::JWKS_TIMEOUT, timeouts),
        refresh_interval: section.duration("refresh_interval", defaults::JWKS_REFRESH_INTERVAL, intervals),
    })
}

/// What a JWT must be like, but for the issuer.
fn rules(section: &Section<'_>) -> Result<JwtRules, Refused> {
    let section = section.section("jwt", &JWT_KEYS)?;
    let algorithms = match section.get("algorithms") {
        None => defaults::JWT_ALGORITHMS.to_vec(),
        Some(list) => {
            let named = list.elements()?.iter().map(verifying).collect();
            some(&list, named)?
        }
    };
    let types = match section.get("types") {
        None => defaults::JWT_TYPES.map(str::to_owned).to_vec(),
        Some(list) => {
            let named = list.elements()?.iter().map(|typ| typ.any_text().map(str::to_owned)).collect();
            some(&list, named)?
        }
    };
    let leeways = Duration::ZERO..=Duration::from_secs(5 * 60);
    let leeway = section.duration("leeway", defaults::JWT_LEEWAY, leeways);
    Ok(JwtRules { issuer: String::new(), algorithms, types, leeway, claim_names: ClaimNames::default() })
}

/// An algorithm that JWTs may be signed by.
pub(super) fn verifying(name: &Item<'_>) -> Result<Algorithm, Refused> {
    name.one_of(&VERIFYING.map(|algorithm| (algorithm.name(), algorithm)))
}

/// A list that must not be empty, for nothing would pass.
pub(super) fn some<T>(list: &Item<'_>, elements: Result<Vec<T>, Refused>) -> Result<Vec<T>, Refused> {
    match elements {
        Ok(none) if none.is_empty() => Err(list.error("at least one value", "none")),
        elements => elements,
    }
}

#[inline(never)]
fn endpoint(
    item: &Item<'_>,
    whose: Whose<'_>,
    discovery: Option<&Discovery>,
    keys: &Result<Option<Keys>, Refused>,
) -> Result<Endpoint, Refused> {
    let section = item.section(&[
        "cluster",
        "scheme",
        "authority",
        "path",
        "timeout",
        "retries",
        "auth",
        "token_type_hint",
        "parameters",
        "headers",
        "response",
        "response_audiences",
        "jwt_member",
        "inactive_statuses",
        "max_concurrent_calls",
        "max_unknown_per_second",
        "breaker",
        "access_tokens_only",
        "probe",
    ])?;
    let whereabouts = whereabouts(&section, whose.issuer, discovery);
    let authentication = section.required("auth").and_then(|item| authentication(&item, whose));
    let hint = section.get("token_type_hint").map_or(Ok(defaults::TOKEN_TYPE_HINT), |hint| hint.any_text());
    let headers = section
        .get("headers")
        .map_or_else(|| Ok(Vec::new()), |item| item.headers(&CODING_HEADERS, Item::header_value));
    let parameters = parameters(&section, &OWN_PARAMETERS);
    let statuses = section.elements("inactive_statuses").and_then(|items| all(items.iter().map(status)));
    let breaker = breaker(&section);
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    let timeout = section.duration("timeout", defaults::INTROSPECTION_TIMEOUT, timeouts);
    let retries = section.count("retries", defaults::INTROSPECTION_RETRIES, 0..=5);
    let calls = section.count("max_concurrent_calls", defaults::MAX_CONCURRENT_CALLS, 1..=10_000);
    let unknown = section.count("max_unknown_per_second", defaults::MAX_UNKNOWN_PER_SECOND, 0..=1_000_000);
    let access_tokens_only = section.boolean("access_tokens_only", defaults::ACCESS_TOKENS_ONLY);
    let probe = section.boolean("probe", defaults::PROBE);
    let (whereabouts, authentication) = (whereabouts?, authentication?);
    Ok(Endpoint {
        whereabouts,
        timeout,
        retries,
        response: response(&section, authentication.client_id(), keys)?,
        authentication,
        token_type_hint: hint?.to_owned(),
        parameters: parameters?,
        headers: headers?,
        max_concurrent_calls: calls as usize,
        max_unknown_per_second: unknown,
        breaker: breaker?,
        access_tokens_only,
        probe,
        inactive_statuses: statuses?,
        claim_names: ClaimNames::default(),
    })
}

/// A status that may say "not active": the server's word on this token, and not that it is overwhelmed or down.
fn status(item: &Item<'_>) -> Result<u16, Refused> {
    let status = whole_number(item.value).and_then(|status| u16::try_from(status).ok());
    let status = status.filter(|status| (400..500).contains(status) && ![408, 429].contains(status));
    status.ok_or_else(|| item.wrong("a status from 400 to 499 that is neither 408 nor 429"))
}

/// Which members are read as which.
fn claim_names(section: &Section<'_>) -> Result<ClaimNames, Refused> {
    let section = section.section("claim_names", &["scope", "client_id", "sid"])?;
    let defaults = ClaimNames::default();
    let names = |key, default| match section.get(key) {
        None => Ok(default),
        Some(list) => {
            let names = list.elements()?.iter().map(|name| name.claim_name().map(str::to_owned)).collect();
            some(&list, names)
        }
    };
    Ok(ClaimNames {
        scope: names("scope", defaults.scope)?,
        client_id: names("client_id", defaults.client_id)?,
        sid: names("sid", defaults.sid)?,
    })
}

/// In which form the server answers.
fn response(
    section: &Section<'_>,
    client_id: Option<&str>,
    keys: &Result<Option<Keys>, Refused>,
) -> Result<Response, Refused> {
    let names = [("json", Form::Json), ("jwt", Form::Jwt), ("application_jwt", Form::ApplicationJwt)];
    let item = section.get("response");
    let form = item.as_ref().map_or(Ok(defaults::RESPONSE), |item| item.one_of(&names))?;
    let member = section.get("jwt_member");
    let jwt_member = member.as_ref().map(|item| item.any_text()).transpose()?.filter(|name| !name.is_empty());
    let audiences = section.texts("response_audiences")?;
    if let Some(member) = member.filter(|_| jwt_member.is_some() && form != Form::Json) {
        return Err(member.error("no such key but with response json", "one"));
    }
    if let Some(item) = section.get("response_audiences").filter(|_| form != Form::Jwt) {
        return Err(item.error("no such key but with response jwt", "one"));
    }
    let kind = match form {
        Form::Json => return Ok(Response::Json { jwt_member: jwt_member.map(str::to_owned) }),
        Form::ApplicationJwt => SignedReplyKind::PhantomToken,
        Form::Jwt => {
            let audiences = match (audiences.as_slice(), client_id) {
                ([], Some(client_id)) => vec![client_id.to_owned()],
                ([], None) => {
                    let problem = "expected at least one value, for auth names no client_id, got none";
                    return Err(section.error("response_audiences", problem));
                }
                _ => audiences,
            };
            SignedReplyKind::IntrospectionResponse { audiences }
        }
    };
    let Some((jwks, JwtRules { issuer, algorithms, .. })) = keys.as_ref().map_err(|refused| *refused)? else {
        let problem = "expected jwks beside introspection, for a signed reply is verified, got none";
        return Err(section.error("response", problem));
    };
    Ok(Response::Signed(SignedReply {
        kind,
        issuer: issuer.clone(),
        algorithms: algorithms.clone(),
        jwks: Rc::clone(jwks),
    }))
}

fn breaker(section: &Section<'_>) -> Result<BreakerLimits, Refused> {
    let section = section.section("breaker", &["failures", "max_hold"])?;
    let holds = Duration::from_millis(100)..=Duration::from_secs(5 * 60);
    Ok(BreakerLimits {
        failures: section.count("failures", defaults::BREAKER_FAILURES, 1..=1000),
        max_hold: section.duration("max_hold", defaults::BREAKER_MAX_HOLD, holds),
    })
}

fn token_format(section: &Section<'_>) -> Result<TokenFormat, Refused> {
    let section = section.section("token_format", &["prefix", "min_length", "max_length"])?;
    let max_length = section.count("max_length", defaults::TOKEN_MAX_LENGTH, 1..=65_536);
    let min_length = section.count("min_length", defaults::TOKEN_MIN_LENGTH, 1..=max_length);
    let prefix = section.get("prefix").map_or(Ok(""), |prefix| prefix.any_text())?;
    Ok(TokenFormat {
        prefix: prefix.to_owned(),
        min_length: min_length as usize,
        max_length: max_length as usize,
    })
}

/// Everything but the keys that may change what becomes of a JWT.
fn validator_fingerprint(name: &str, rules: &JwtRules, jwks: &JwksEndpoint) -> [u8; 32] {
    let JwtRules { issuer, algorithms, types, leeway, claim_names } = rules;
    let [scope, client_id, sid] = claim_names.lists().map(texts);
    fingerprint(&[
        &[name, issuer, &length::text(*leeway)],
        &jwks.whereabouts.written().map_or_else(Vec::new, |target| target.texts().to_vec()),
        &algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>(),
        &texts(types),
        &scope,
        &client_id,
        &sid,
    ])
}

/// The keys of `jwks`.
pub(super) const JWKS_KEYS: [&str; 6] =
    ["cluster", "scheme", "authority", "path", "timeout", "refresh_interval"];

/// The keys of `jwt`.
const JWT_KEYS: [&str; 3] = ["algorithms", "types", "leeway"];

/// What JWTs may be signed by.
const VERIFYING: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::EdDSA,
];

/// How far the clock of a server that is asked may be ahead of ours when it says `nbf`.
const INTROSPECTED_NBF_LEEWAY: Duration = Duration::from_secs(60);

/// What the filter decides itself: a coded reply is none that it reads.
const CODING_HEADERS: [&str; 1] = ["accept-encoding"];

/// What [`Endpoint::request`] puts into every form.
const OWN_PARAMETERS: [&str; 2] = ["token", "token_type_hint"];
