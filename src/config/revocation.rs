//! `revocation`: where withdrawals come from.

use std::rc::Rc;
use std::time::Duration;

use super::reader::{Item, Refused, Section, all};
use super::security_events::{events, streams_of_their_own};
use super::sender::{audiences, named, signer};
use super::{defaults, fleet, global_token_revocation, provider};
use crate::cache::ProviderTag;
use crate::provider::Provider;
use crate::revocation::back_channel_logout::LogoutRules;
use crate::revocation::sources::{
    AdminReceiver, LogoutReceiver, Receiver, Sources, UnknownSessions, WatchedEndpoint, WithdrawnJwts,
};
use crate::token::Secret;

/// The sources; none of them, unless it is named. `taken`: paths that others have, and who.
#[inline(never)]
pub(super) fn sources(
    root: &Section<'_>,
    providers: &Result<Vec<Provider>, Refused>,
    taken: &[(String, &str)],
) -> Result<Sources, Refused> {
    let section = root.section(
        "revocation",
        &[
            "endpoint",
            "back_channel_logout",
            "security_events",
            "global_token_revocation",
            "admin",
            "jwts",
            "fleet",
            "settle",
        ],
    )?;
    let settles = Duration::ZERO..=Duration::from_secs(5 * 60);
    let of = |key: &str| section.get(key);
    let admin = of("admin").map(admin).transpose();
    let fleet = of("fleet").map(fleet::fleet).transpose();
    let jwts = of("jwts").map_or(Ok(defaults::JWTS), |item| {
        item.one_of(&[("refuse", WithdrawnJwts::Refuse), ("ignore", WithdrawnJwts::Ignore)])
    });
    let providers = providers.as_deref().map_err(|refused| *refused)?;
    let endpoint = of("endpoint").map(|item| endpoint(item, providers)).transpose();
    let logouts = several(&section, "back_channel_logout", |item| logout(item, providers));
    let events = several(&section, "security_events", |item| events(item, providers));
    let orders = of("global_token_revocation");
    let orders = orders.map(|it| global_token_revocation::receiver(it, providers)).transpose();
    let sources = Sources {
        jwts: jwts?,
        endpoint: endpoint?,
        back_channel_logout: logouts?,
        security_events: events?.into_iter().map(Rc::new).collect(),
        global_token_revocation: orders?,
        admin: admin?,
        fleet: fleet?.map(Rc::new),
        settle: section.duration("settle", defaults::REVOCATION_SETTLE, settles),
        providers: providers
            .iter()
            .map(|provider| (provider.name.clone(), ProviderTag::new(provider.identity())))
            .collect(),
    };
    paths_of_their_own(&section, &sources, taken)?;
    streams_of_their_own(&section, &sources.security_events)?;
    Ok(sources)
}

/// What `read` makes of the object under a key, or of each in a list of them; nothing if it is left out.
fn several<'c, T>(
    section: &Section<'c>,
    key: &str,
    read: impl Fn(Item<'c>) -> Result<T, Refused>,
) -> Result<Vec<T>, Refused> {
    let Some(item) = section.get(key) else { return Ok(Vec::new()) };
    if item.value.is_object() {
        return read(item).map(|one| vec![one]);
    }
    if !item.value.is_array() {
        return Err(item.wrong_type("an object or a list of objects"));
    }
    let items = item.elements()?;
    match items.len() {
        1..=MAX_SENDERS => all(items.into_iter().map(read)),
        0 => Err(item.error("at least one value", "none")),
        count => Err(item.error(&format!("at most {MAX_SENDERS} values"), &count.to_string())),
    }
}

/// Refuses a path that another receiver has, or something else of the filter's own.
fn paths_of_their_own(
    section: &Section<'_>,
    sources: &Sources,
    taken: &[(String, &str)],
) -> Result<(), Refused> {
    let places = |key: &str, place: usize, rest: &str| {
        let is_list = section.get(key).is_some_and(|item| item.value.is_array());
        let place = if is_list { format!("[{place}]") } else { String::new() };
        [key, &place, rest].concat()
    };
    let mut seen: Vec<(String, &str)> = taken.iter().map(|(at, path)| (at.clone(), *path)).collect();
    for (receiver, path) in sources.paths() {
        let at = match receiver {
            Receiver::Admin => "admin.path".to_owned(),
            Receiver::Endpoint => "endpoint.path".to_owned(),
            Receiver::Order => "global_token_revocation.path".to_owned(),
            Receiver::Logout(place) => places("back_channel_logout", place, ".path"),
            Receiver::Push(place) => places("security_events", place, ".push.path"),
        };
        if let Some((other, _)) = seen.iter().find(|(_, other)| *other == path) {
            let problem = format!("expected a path of its own, got {path:?} again, after {other}");
            return Err(section.error(&at, &problem));
        }
        seen.push((section.path_of(&at), path));
    }
    Ok(())
}

fn endpoint(item: Item<'_>, providers: &[Provider]) -> Result<WatchedEndpoint, Refused> {
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

fn logout(item: Item<'_>, providers: &[Provider]) -> Result<LogoutReceiver, Refused> {
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

fn admin(item: Item<'_>) -> Result<AdminReceiver, Refused> {
    let section = item.section(&["path", "token"])?;
    Ok(AdminReceiver {
        path: section.required("path")?.normal_path()?.to_owned(),
        token: admin_token(&section.required("token")?)?,
    })
}

/// Anybody who reaches the path may guess: a secret that is too short to be one is refused. Says nothing of it.
fn admin_token(item: &Item<'_>) -> Result<Secret, Refused> {
    let token = item.secret()?;
    if token.secret().len() < MIN_ADMIN_TOKEN {
        let wanted = format!("a secret of at least {MIN_ADMIN_TOKEN} bytes");
        return Err(item.error(&wanted, "a shorter one"));
    }
    Ok(token)
}

/// 128 bits.
const MIN_ADMIN_TOKEN: usize = 16;

/// Of one kind. Each is looked for with every request, and keeps keys or a poll of its own.
const MAX_SENDERS: usize = 16;
