//! `discovery`: where the server says what is not written of it, and what is left to be found.

use std::time::Duration;

use super::defaults;
use super::place::{Place, place, scheme};
use super::reader::{Refused, Section, all};
use crate::discovery::{Discovery, Transport, WellKnown};
use crate::http::Scheme;
use crate::target::{Host, Sought, Target, Url, Whereabouts};

/// Where a provider's metadata is; `None` if it is not asked for any.
pub(super) fn discovery(
    name: &str,
    provider: &Section<'_>,
    issuer: Option<&str>,
) -> Result<Option<Discovery>, Refused> {
    let Some(item) = provider.get("discovery") else { return Ok(None) };
    let section = item.section(&KEYS)?;
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    let intervals = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
    let timeout = section.duration("timeout", defaults::DISCOVERY_TIMEOUT, timeouts);
    let refresh_interval =
        section.duration("refresh_interval", defaults::DISCOVERY_REFRESH_INTERVAL, intervals);
    let document = section.get("document").map_or(Ok(defaults::DOCUMENT), |item| item.one_of(&DOCUMENTS));
    let allowed_hosts = section
        .elements("allowed_hosts")
        .and_then(|hosts| all(hosts.iter().map(|item| Ok(Host::parse(item.text_such(HOST, is_host)?)))));
    let place = place(&section, issuer, None);
    let Some(issuer) = issuer else {
        let problem = "expected a value, for discovery is by the issuer (RFC 8414 §3), got none";
        return Err(provider.error("issuer", problem));
    };
    let Some(url) = Url::parse(issuer).filter(|url| !url.path.contains('?')) else {
        let problem = format!(
            "expected a URL without query and fragment beside discovery (RFC 8414 §2), got {issuer:?}"
        );
        return Err(provider.error("issuer", &problem));
    };
    let transport = match scheme(&section)? {
        Some(Scheme::Http) => Transport::Any,
        Some(Scheme::Https) | None => Transport::Tls,
    };
    if url.scheme == Scheme::Http && transport == Transport::Tls {
        let problem =
            "expected http beside an issuer of http: its cluster is plain, and has to be said to be, got ";
        let got = if section.get("scheme").is_some() { "https" } else { "none" };
        return Err(section.error("scheme", &[problem, got].concat()));
    }
    let Place { cluster, scheme, authority } = place?;
    let documents = document?.iter().map(|document| Target {
        cluster: cluster.clone(),
        scheme,
        authority: authority.clone(),
        path: document.path(&url),
    });
    let mut allowed_hosts: Vec<Host> = allowed_hosts?.into_iter().flatten().collect();
    if allowed_hosts.is_empty() {
        allowed_hosts.extend(url.host());
    }
    Ok(Some(Discovery {
        provider: name.to_owned(),
        issuer: issuer.to_owned(),
        documents: documents.collect(),
        timeout,
        refresh_interval,
        allowed_hosts,
        transport,
    }))
}

/// Where an endpoint is: as it is written, or, if its path is not, as discovery says.
pub(super) fn whereabouts(
    section: &Section<'_>,
    issuer: Option<&str>,
    discovery: Option<&Discovery>,
) -> Result<Whereabouts, Refused> {
    let of_discovery = discovery.and_then(|it| Some(&*it.documents.first()?.cluster));
    let path = section.get("path");
    let (Some(of_discovery), None) = (of_discovery, path) else {
        let place = place(section, issuer, of_discovery);
        let path = section.required("path").and_then(|item| item.path());
        let Place { cluster, scheme, authority } = place?;
        return Ok(Whereabouts::Written(Target { cluster, scheme, authority, path: path?.to_owned() }));
    };
    let cluster = section.get("cluster").map_or(Ok(of_discovery), |item| item.text())?;
    let authority = section.get("authority").map(|item| item.authority().map(str::to_owned)).transpose()?;
    Ok(Whereabouts::Sought(Sought { cluster: cluster.to_owned(), scheme: scheme(section)?, authority }))
}

fn is_host(text: &str) -> bool {
    Host::parse(text).is_some()
}

const HOST: &str = "a host such as \"as.example\", with a port or without";

const KEYS: [&str; 7] =
    ["cluster", "scheme", "authority", "document", "timeout", "refresh_interval", "allowed_hosts"];

/// Each with where it is looked for, in this order.
const DOCUMENTS: [(&str, &[WellKnown]); 3] = [
    ("oauth", &[WellKnown::Oauth]),
    ("openid", &[WellKnown::Openid]),
    ("any", &[WellKnown::Oauth, WellKnown::Openid]),
];
