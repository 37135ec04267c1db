//! `protected_resources`: what clients are told about the APIs behind us (RFC 9728).

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::reader::{Item, Refused, Section, all};
use crate::policy::Policy;
use crate::protected_resource::{ProtectedResource, ResourceIdentifier, is_issuer};

/// The identifiers, by name. `jwks_path`: where no metadata may be, for the published keys are there.
#[inline(never)]
pub(super) fn identifiers<'c>(
    root: &Section<'c>,
    jwks_path: Option<&str>,
) -> Result<Vec<(&'c str, ResourceIdentifier)>, Refused> {
    let entries = root.entries("protected_resources")?;
    bounded(root, "protected_resources", entries.len(), MAX_RESOURCES)?;
    let mut taken: Vec<ResourceIdentifier> = Vec::new();
    all(entries.into_iter().map(|(name, item)| {
        let item = item.section(&KEYS)?.required("resource")?;
        let identifier = ResourceIdentifier::new(item.text_such(RESOURCE, is_identifier)?)
            .ok_or_else(|| item.wrong(RESOURCE))?;
        if jwks_path.is_some_and(|path| identifier.metadata_paths().contains(&path)) {
            let got = "one whose metadata would be at phantom_token.jwks_path";
            return Err(item.error("a resource whose metadata has a path of its own", got));
        }
        if taken.iter().any(|other| other.shares_metadata_place_with(&identifier)) {
            let got = "one whose metadata would be where another's is";
            return Err(item.error("a resource whose metadata has a path of its own", got));
        }
        taken.push(identifier.clone());
        Ok((name, identifier))
    }))
}

/// The resources with their documents, once it is known which policies name them.
#[inline(never)]
pub(super) fn protected_resources(
    root: &Section<'_>,
    identifiers: &Result<Vec<(&str, ResourceIdentifier)>, Refused>,
    policies: &Result<Vec<Rc<Policy>>, Refused>,
) -> Result<Vec<ProtectedResource>, Refused> {
    let identifiers = identifiers.as_ref().map_err(|refused| *refused)?;
    let policies = policies.as_deref().map_err(|refused| *refused)?;
    let entries = root.entries("protected_resources")?;
    all(entries.into_iter().zip(identifiers).map(|((_, item), (_, identifier))| {
        let section = item.section(&KEYS)?;
        let document = document(&section, identifier, policies)?;
        Ok(ProtectedResource { identifier: identifier.clone(), document })
    }))
}

fn document(
    section: &Section<'_>,
    identifier: &ResourceIdentifier,
    policies: &[Rc<Policy>],
) -> Result<String, Refused> {
    let url = identifier.metadata_url();
    let policies: Vec<&Policy> = (policies.iter().map(Rc::as_ref))
        .filter(|policy| policy.resource_metadata.as_deref() == Some(&url))
        .collect();
    let mut members = Map::new();
    members.insert("resource".to_owned(), identifier.as_str().into());
    members.insert("authorization_servers".to_owned(), json!(authorization_servers(section, &policies)?));
    let scopes = section.elements("scopes_supported")?;
    bounded(section, "scopes_supported", scopes.len(), MAX_SCOPES)?;
    let scopes = all(scopes.iter().map(Item::scope))?;
    if !scopes.is_empty() {
        members.insert("scopes_supported".to_owned(), json!(scopes));
    }
    for (name, item) in section.entries("metadata")? {
        members.insert(name.to_owned(), member(name, item)?.clone());
    }
    let document = Value::Object(members).to_string();
    if document.len() > MAX_DOCUMENT {
        let problem = format!("expected a document of at most {MAX_DOCUMENT} bytes, got {}", document.len());
        return Err(section.spot.refuse(&problem));
    }
    if policies.is_empty() {
        section.warn("resource", "no challenge leads to its metadata, for no policy names this resource");
    }
    Ok(document)
}

/// Those that are written down, else the issuers of the providers that judge tokens for this resource.
fn authorization_servers(section: &Section<'_>, policies: &[&Policy]) -> Result<Vec<String>, Refused> {
    let key = "authorization_servers";
    let written = section.elements(key)?;
    let servers = if written.is_empty() {
        issuers(policies)
    } else {
        all(written.iter().map(|item| item.text_such(ISSUER, is_issuer).map(str::to_owned)))?
    };
    bounded(section, key, servers.len(), MAX_SERVERS)?;
    if let Some(other) = servers.iter().find(|issuer| !is_issuer(issuer)) {
        let problem = format!("expected {ISSUER}, got the issuer of a provider, which is none: {other:?}");
        return Err(section.error(key, &problem));
    }
    if servers.is_empty() {
        let problem = "expected at least one issuer, for no provider of a policy that names this resource has one, got none";
        return Err(section.error(key, problem));
    }
    Ok(servers)
}

fn issuers(policies: &[&Policy]) -> Vec<String> {
    let mut issuers: Vec<String> = Vec::new();
    for policy in policies {
        for issuer in policy.strategy.origins().filter_map(|origin| origin.expects.issuer.as_ref()) {
            if !issuers.contains(issuer) {
                issuers.push(issuer.clone());
            }
        }
    }
    issuers
}

/// A member of the document that has no key of its own.
fn member<'c>(name: &str, item: Item<'c>) -> Result<&'c Value, Refused> {
    if OURS.contains(&name) {
        return Err(item.error("a member that is free to set", &format!("{name:?}")));
    }
    let is_empty = match item.value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if is_empty {
        return Err(item.error("a value (RFC 9728 §3.2: members without one are left out)", "an empty one"));
    }
    Ok(item.exact()?.value)
}

fn bounded(section: &Section<'_>, key: &str, len: usize, most: usize) -> Result<(), Refused> {
    if len <= most {
        return Ok(());
    }
    Err(section.error(key, &format!("expected at most {most}, got {len}")))
}

fn is_identifier(text: &str) -> bool {
    ResourceIdentifier::new(text).is_some()
}

const RESOURCE: &str = "an https URL in its normal form, without user and fragment (http: on loopback only)";

const ISSUER: &str = "the URL of an issuer, https and without query and fragment (http: on loopback only)";

const KEYS: [&str; 4] = ["resource", "authorization_servers", "scopes_supported", "metadata"];

/// What has keys of its own, and what we cannot sign.
const OURS: [&str; 4] = ["resource", "authorization_servers", "scopes_supported", "signed_metadata"];

/// Bounds: all of it goes to whoever asks.
const MAX_RESOURCES: usize = 64;
const MAX_SERVERS: usize = 16;
const MAX_SCOPES: usize = 256;
const MAX_DOCUMENT: usize = 16 << 10;
