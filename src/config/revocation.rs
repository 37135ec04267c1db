//! `revocation`: where withdrawals come from.

use std::rc::Rc;
use std::time::Duration;

use super::error::ConfigError;
use super::place::{Place, place};
use super::reader::{Item, Section};
use super::{defaults, fleet, provider};
use crate::cache::ProviderTag;
use crate::provider::Provider;
use crate::revocation::back_channel_logout::LogoutRules;
use crate::revocation::security_event::SecurityEventRules;
use crate::revocation::sources::{
    AdminReceiver, LogoutReceiver, Poll, PushReceiver, SecurityEvents, Signer, Sources, UnknownSessions,
    WatchedEndpoint, WithdrawnJwts,
};
use crate::token::Secret;

/// The sources; none of them, unless it is named. `taken`: paths that others have.
pub(super) fn sources(
    root: &Section<'_>,
    providers: &Result<Vec<Provider>, ConfigError>,
    taken: &[&str],
) -> Result<Sources, ConfigError> {
    let section = root.section(
        "revocation",
        &["endpoint", "back_channel_logout", "security_events", "admin", "jwts", "fleet", "settle"],
    )?;
    let settles = Duration::ZERO..=Duration::from_secs(5 * 60);
    let of = |key: &str| section.get(key);
    let admin = section.noted(of("admin").map(admin).transpose());
    let fleet = section.noted(of("fleet").map(fleet::fleet).transpose());
    let jwts = section.noted(of("jwts").map_or(Ok(defaults::JWTS), |item| {
        item.one_of(&[("refuse", WithdrawnJwts::Refuse), ("ignore", WithdrawnJwts::Ignore)])
    }));
    let providers = providers.as_deref().map_err(Clone::clone)?;
    let endpoint = section.noted(of("endpoint").map(|item| endpoint(item, providers)).transpose());
    let logout = section.noted(of("back_channel_logout").map(|item| logout(item, providers)).transpose());
    let events = section.noted(of("security_events").map(|item| events(item, providers)).transpose());
    let sources = Sources {
        jwts: jwts?,
        endpoint: endpoint?,
        back_channel_logout: logout?,
        security_events: events?.map(Rc::new),
        admin: admin?,
        fleet: fleet?.map(Rc::new),
        settle: section.duration("settle", defaults::REVOCATION_SETTLE, settles),
        providers: providers
            .iter()
            .map(|provider| (provider.name.clone(), ProviderTag::new(provider.identity())))
            .collect(),
    };
    let paths = [
        ("endpoint", sources.endpoint.as_ref().map(|it| &it.path)),
        ("back_channel_logout", sources.back_channel_logout.as_ref().map(|it| &it.path)),
        ("security_events.push", push_path(&sources)),
        ("admin", sources.admin.as_ref().map(|it| &it.path)),
    ];
    let mut seen = taken.to_vec();
    for (key, path) in paths {
        let Some(path) = path else { continue };
        if seen.contains(&path.as_str()) {
            let problem = format!("expected a path of its own, got {path:?} again");
            return Err(section.error(&format!("{key}.path"), &problem));
        }
        seen.push(path);
    }
    Ok(sources)
}

fn push_path(sources: &Sources) -> Option<&String> {
    sources.security_events.as_ref()?.push.as_ref().map(|push| &push.path)
}

fn endpoint(item: Item<'_>, providers: &[Provider]) -> Result<WatchedEndpoint, ConfigError> {
    let section = item.section(&["path", "provider", "cluster", "hosts"])?;
    let provider = named(&section, providers)?;
    let cluster = section.get("cluster").map(|item| item.text().map(str::to_owned)).transpose()?;
    let hosts = section.get("hosts").map(|item| {
        let hosts = item.elements()?.iter().map(Item::host).collect();
        provider::some(&item, hosts)
    });
    Ok(WatchedEndpoint {
        path: section.required("path")?.normal_path()?.to_owned(),
        provider: provider.name.clone(),
        tag: ProviderTag::new(provider.identity()),
        cluster: cluster.unwrap_or_else(|| provider.cluster().to_owned()),
        hosts: hosts.transpose()?.unwrap_or_default(),
    })
}

fn logout(item: Item<'_>, providers: &[Provider]) -> Result<LogoutReceiver, ConfigError> {
    let section = item.section(&["path", "provider", "audiences", "require_exp", "unknown_sessions"])?;
    let (signer, issuer) = signer(&section, providers)?;
    Ok(LogoutReceiver {
        path: section.required("path")?.normal_path()?.to_owned(),
        signer,
        rules: LogoutRules {
            issuer,
            audiences: audiences(&section)?,
            require_exp: section.boolean("require_exp", defaults::REQUIRE_EXP),
        },
        unknown_sessions: section.get("unknown_sessions").map_or(Ok(defaults::UNKNOWN_SESSIONS), |item| {
            item.one_of(&[("withdraw", UnknownSessions::Withdraw), ("refuse", UnknownSessions::Refuse)])
        })?,
    })
}

fn events(item: Item<'_>, providers: &[Provider]) -> Result<SecurityEvents, ConfigError> {
    let section = item.section(&["provider", "issuer", "audiences", "push", "poll"])?;
    let (signer, subject_issuer) = signer(&section, providers)?;
    let issuer = section.get("issuer").map(|issuer| issuer.text().map(str::to_owned)).transpose()?;
    let rules = SecurityEventRules {
        issuer: issuer.unwrap_or_else(|| subject_issuer.clone()),
        audiences: audiences(&section)?,
        subject_issuer,
    };
    let push = section.get("push").map(push).transpose()?;
    let poll = section.get("poll").map(|item| poll(item, &rules.issuer)).transpose()?;
    if push.is_none() && poll.is_none() {
        return Err(section.error("push", "expected a value here or in poll, got none"));
    }
    Ok(SecurityEvents { signer, rules, push, poll })
}

fn push(item: Item<'_>) -> Result<PushReceiver, ConfigError> {
    let section = item.section(&["path", "authorization"])?;
    Ok(PushReceiver {
        path: section.required("path")?.normal_path()?.to_owned(),
        authorization: section.required("authorization")?.secret()?,
    })
}

fn poll(item: Item<'_>, issuer: &str) -> Result<Poll, ConfigError> {
    let section =
        item.section(&["cluster", "scheme", "authority", "path", "interval", "timeout", "authorization"])?;
    let Place { cluster, scheme, authority } = place(&section, Some(issuer), None)?;
    let intervals = Duration::from_secs(1)..=Duration::from_secs(60 * 60);
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    Ok(Poll {
        cluster,
        scheme,
        authority,
        path: section.required("path")?.path()?.to_owned(),
        interval: section.duration("interval", defaults::POLL_INTERVAL, intervals),
        timeout: section.duration("timeout", defaults::POLL_TIMEOUT, timeouts),
        authorization: section.get("authorization").map(|item| item.credential()).transpose()?,
    })
}

fn admin(item: Item<'_>) -> Result<AdminReceiver, ConfigError> {
    let section = item.section(&["path", "token"])?;
    Ok(AdminReceiver {
        path: section.required("path")?.normal_path()?.to_owned(),
        token: admin_token(&section.required("token")?)?,
    })
}

/// Anybody who reaches the path may guess: a secret that is too short to be one is refused. Says nothing of it.
fn admin_token(item: &Item<'_>) -> Result<Secret, ConfigError> {
    let token = item.secret()?;
    if token.secret().len() < MIN_ADMIN_TOKEN {
        let wanted = format!("a secret of at least {MIN_ADMIN_TOKEN} bytes");
        return Err(item.error(&wanted, "a shorter one"));
    }
    Ok(token)
}

/// Whose tokens are for us: at least one, for none would be taken.
fn audiences(section: &Section<'_>) -> Result<Vec<String>, ConfigError> {
    let list = section.required("audiences")?;
    let audiences = list.elements()?.iter().map(|audience| audience.text().map(str::to_owned)).collect();
    provider::some(&list, audiences)
}

/// The provider that a section names; the only one, where there is but one and none is named.
fn named<'p>(section: &Section<'_>, providers: &'p [Provider]) -> Result<&'p Provider, ConfigError> {
    match (section.get("provider"), providers) {
        (None, [only]) => Ok(only),
        (None, _) => Err(section.error("provider", "expected the name of a provider, got none")),
        (Some(item), _) => {
            let name = item.text()?;
            let found = providers.iter().find(|provider| provider.name == name);
            found.ok_or_else(|| item.error("the name of a provider", &format!("{name:?}")))
        }
    }
}

/// Who signs, and its issuer.
fn signer(section: &Section<'_>, providers: &[Provider]) -> Result<(Signer, String), ConfigError> {
    let provider = named(section, providers)?;
    let Some(validator) = &provider.validator else {
        let problem = format!(
            "expected a provider with jwks and issuer, for signals are verified, got {:?} without",
            provider.name
        );
        return Err(section.error("provider", &problem));
    };
    Ok((validator.signer(), validator.rules.issuer.clone()))
}

/// 128 bits.
const MIN_ADMIN_TOKEN: usize = 16;
