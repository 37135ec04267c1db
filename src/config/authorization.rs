//! What a call of ours shows in `authorization`: a secret, or an access token that is fetched.

use std::rc::Rc;
use std::time::Duration;

use super::authentication::{
    Read, client_secret, client_secret_basic, client_secret_post, of_client, one_way,
};
use super::authentication::{none, private_key_jwt};
use super::defaults;
use super::place::{Place, place};
use super::reader::{Item, Refused, Section, all};
use crate::client::{Authorization, ClientCredentials};
use crate::introspection::Authentication;
use crate::target::Target;

/// Whose sake a call is for.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) provider: Option<&'a str>,
    pub(super) issuer: Option<&'a str>,
}

/// A secret, or what an access token is fetched with.
pub(super) fn authorization(item: &Item<'_>, whose: Whose<'_>) -> Result<Authorization, Refused> {
    match item.only_member(&[("client_credentials", ())]) {
        Some(((), credentials)) => {
            let credentials = client_credentials(&credentials, &item.spot.path(), whose)?;
            Ok(Authorization::ClientCredentials(Rc::new(credentials)))
        }
        None if item.only_member(&[("env", ()), ("inline", ())]).is_some() => {
            item.credential().map(Authorization::Secret)
        }
        None => Err(item.wrong_type("{env: NAME}, {inline: \"...\"} or {client_credentials: {..}}")),
    }
}

fn client_credentials(
    item: &Item<'_>,
    used_by: &str,
    whose: Whose<'_>,
) -> Result<ClientCredentials, Refused> {
    let section =
        item.section(&["cluster", "scheme", "authority", "path", "timeout", "auth", "scopes", "parameters"])?;
    let place = place(&section, whose.issuer, None);
    let path = section.required("path").and_then(|item| item.path());
    let auth = section.required("auth").and_then(|item| of_client(&item, whose.issuer));
    let scopes = scopes(&section);
    let parameters = parameters(&section, &OWN_PARAMETERS);
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    let timeout = section.duration("timeout", defaults::TOKEN_TIMEOUT, timeouts);
    let Place { cluster, scheme, authority } = place?;
    Ok(ClientCredentials {
        used_by: used_by.to_owned(),
        provider: whose.provider.map(str::to_owned),
        target: Target { cluster, scheme, authority, path: path?.to_owned() },
        timeout,
        authentication: auth?,
        scopes: scopes?,
        parameters: parameters?,
    })
}

/// Each as RFC 6749 §3.3 has it: what is joined by spaces has none.
fn scopes(section: &Section<'_>) -> Result<Vec<String>, Refused> {
    let is_scope = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    let wanted = "a scope: visible ASCII without space, quote and backslash";
    let elements = section.elements("scopes")?;
    all(elements.iter().map(|element| element.text_such(wanted, is_scope).map(str::to_owned)))
}

/// Form parameters, none of which the filter sets itself; none may occur twice (RFC 6749 §3.2).
pub(super) fn parameters(section: &Section<'_>, own: &[&str]) -> Result<Vec<(String, String)>, Refused> {
    let entries = section.entries("parameters")?;
    all(entries.into_iter().map(|(name, item)| {
        if own.contains(&name) {
            return Err(item.error("a parameter that the filter does not set itself", &format!("{name:?}")));
        }
        Ok((name.to_owned(), item.any_text()?.to_owned()))
    }))
}

/// How we show an authorization server who asks about tokens: the one way that is named.
pub(super) fn authentication(item: &Item<'_>, whose: Whose<'_>) -> Result<Authentication, Refused> {
    let client = |read: Read| Some(read);
    let ways = [
        ("client_secret_basic", client(client_secret_basic)),
        ("client_secret_post", client(client_secret_post)),
        ("client_secret", client(client_secret)),
        ("private_key_jwt", client(private_key_jwt)),
        ("bearer", None),
        ("none", client(none)),
    ];
    one_way(item, &ways, |read, item| match read {
        Some(read) => read(item, whose.issuer).map(Authentication::Client),
        None => bearer(item, whose),
    })
}

fn bearer(item: Item<'_>, whose: Whose<'_>) -> Result<Authentication, Refused> {
    let section = item.section(&["token"])?;
    authorization(&section.required("token")?, whose).map(Authentication::Bearer)
}

/// What every request for a token has, and what shows who asks.
const OWN_PARAMETERS: [&str; 6] =
    ["grant_type", "scope", "client_id", "client_secret", "client_assertion", "client_assertion_type"];
