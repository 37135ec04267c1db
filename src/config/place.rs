//! Where a call goes: `cluster`, `scheme` and `authority`.

use super::reader::{Refused, Section};
use crate::http::Scheme;

/// An Envoy cluster, and what the server there is told of whom the call is for.
pub(super) struct Place {
    pub(super) cluster: String,
    /// `:scheme`, where it is known.
    pub(super) scheme: Option<Scheme>,
    /// `:authority`.
    pub(super) authority: String,
}

/// The place that a section names. What it leaves out is that of `issuer`: servers look at the host. Without an issuer, a
/// cluster that has the name of a host is taken for it.
/// `of_discovery`: the cluster that is meant where none is named.
pub(super) fn place(
    section: &Section<'_>,
    issuer: Option<&str>,
    of_discovery: Option<&str>,
) -> Result<Place, Refused> {
    let cluster = match (section.get("cluster"), of_discovery) {
        (None, Some(of_discovery)) => of_discovery,
        _ => section.required("cluster")?.text()?,
    };
    let authority = match section.get("authority") {
        Some(authority) => Some(authority.authority()?),
        None => issuer.and_then(authority_of).or_else(|| Some(cluster).filter(|name| is_name(name))),
    };
    let Some(authority) = authority else {
        let problem =
            "expected a host, for the name of the cluster is none and the provider has no issuer, got none";
        return Err(section.error("authority", problem));
    };
    if authority.contains('_') && section.get("authority").is_none() {
        let warning = format!(
            "neither this nor issuer names a host, so the server is called by the cluster's name, {authority:?}, which is \
             none: many servers answer 400; write one of the two"
        );
        section.warn("authority", &warning);
    }
    Ok(Place {
        cluster: cluster.to_owned(),
        scheme: scheme(section)?.or_else(|| issuer.and_then(Scheme::of)),
        authority: authority.to_owned(),
    })
}

/// The scheme that a section names.
pub(super) fn scheme(section: &Section<'_>) -> Result<Option<Scheme>, Refused> {
    let names = [("http", Scheme::Http), ("https", Scheme::Https)];
    section.get("scheme").map(|item| item.one_of(&names)).transpose()
}

/// Host and port of a URI.
fn authority_of(uri: &str) -> Option<&str> {
    Scheme::of(uri)?;
    let authority = uri.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let is_one = !authority.is_empty()
        && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte));
    is_one.then_some(authority)
}

/// Whether a cluster's name could be that of a host, or of a container, which may have a `_` though no host has.
fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
