//! `revocation.security_events`: transmitters of security events.

use std::rc::Rc;
use std::time::Duration;

use super::authorization::{Whose, authorization};
use super::defaults;
use super::error::ConfigError;
use super::place::{Place, place};
use super::reader::{Item, Section};
use super::sender::{audiences, no_algorithms_without_keys, own_signer, signer};
use crate::provider::Provider;
use crate::revocation::security_event::SecurityEventRules;
use crate::revocation::sources::{Poll, PushReceiver, SecurityEvents};

/// One transmitter.
pub(super) fn events(item: Item<'_>, providers: &[Provider]) -> Result<SecurityEvents, ConfigError> {
    let section = item.section(&["provider", "issuer", "audiences", "jwks", "algorithms", "push", "poll"])?;
    let issuer = section.get("issuer").map(|issuer| issuer.text().map(str::to_owned)).transpose()?;
    let (signer, subject_issuer) = match section.get("jwks") {
        None => signer(&section, providers)?,
        Some(_) => own_signer(&section, issuer.as_deref(), providers)?,
    };
    no_algorithms_without_keys(&section)?;
    let rules = SecurityEventRules {
        issuer: issuer.unwrap_or_else(|| subject_issuer.clone()),
        audiences: audiences(&section)?,
        subject_issuer,
    };
    let push = section.get("push").map(push).transpose()?;
    let poll = section.get("poll").map(|item| poll(item, &rules.issuer, &signer.provider)).transpose()?;
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

fn poll(item: Item<'_>, issuer: &str, provider: &str) -> Result<Poll, ConfigError> {
    let section =
        item.section(&["cluster", "scheme", "authority", "path", "interval", "timeout", "authorization"])?;
    let Place { cluster, scheme, authority } = place(&section, Some(issuer), None)?;
    let intervals = Duration::from_secs(1)..=Duration::from_secs(60 * 60);
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    let whose = Whose { provider: Some(provider), issuer: Some(issuer) };
    Ok(Poll {
        cluster,
        scheme,
        authority,
        path: section.required("path")?.path()?.to_owned(),
        interval: section.duration("interval", defaults::POLL_INTERVAL, intervals),
        timeout: section.duration("timeout", defaults::POLL_TIMEOUT, timeouts),
        authorization: section.get("authorization").map(|item| authorization(&item, whose)).transpose()?,
    })
}

/// Refuses two that would fetch the same stream: what one takes from it and refuses, the other never sees.
pub(super) fn streams_of_their_own(
    section: &Section<'_>,
    events: &[Rc<SecurityEvents>],
) -> Result<(), ConfigError> {
    let mut seen: Vec<(usize, &Poll)> = Vec::new();
    for (place, poll) in events.iter().enumerate().filter_map(|(place, it)| Some((place, it.poll.as_ref()?)))
    {
        if let Some((other, _)) = seen.iter().find(|(_, other)| other.stream() == poll.stream()) {
            let problem = format!(
                "expected a place or an authorization of its own, got those of {} again",
                section.path_of(&format!("security_events[{other}].poll"))
            );
            return Err(section.error(&format!("security_events[{place}].poll"), &problem));
        }
        seen.push((place, poll));
    }
    Ok(())
}
