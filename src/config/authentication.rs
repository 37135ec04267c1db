//! `auth`: how we show a server who calls, as a client of its own.

use super::defaults;
use super::phantom_token::{ALGORITHMS, signing_key};
use super::reader::{Item, Refused};
use crate::client::{ClientAuthentication, SecretEncoding};

/// The one way that is named, of some.
pub(super) fn one_way<R: Copy, T>(
    item: &Item<'_>,
    ways: &[(&str, R)],
    read: impl FnOnce(R, Item<'_>) -> Result<T, Refused>,
) -> Result<T, Refused> {
    let names: Vec<&str> = ways.iter().map(|(name, _)| *name).collect();
    let wanted = &*["exactly one of ", &*names.join(", ")].concat();
    match item.only_member(ways) {
        Some((way, item)) => read(way, item),
        None => match item.value.as_object() {
            Some(members) => {
                let names: Vec<&str> = members.keys().map(String::as_str).collect();
                Err(item
                    .error(wanted, &if names.is_empty() { "no key".to_owned() } else { names.join(", ") }))
            }
            None => Err(item.wrong_type(wanted)),
        },
    }
}

/// At a token endpoint: the one way that is named.
pub(super) fn of_client(item: &Item<'_>, issuer: Option<&str>) -> Result<ClientAuthentication, Refused> {
    let ways: [(&str, Read); 4] = [
        ("client_secret_basic", client_secret_basic),
        ("client_secret_post", client_secret_post),
        ("private_key_jwt", private_key_jwt),
        ("none", none),
    ];
    one_way(item, &ways, |read, item| read(item, issuer))
}

/// Reads one way; `issuer`: that of the server.
pub(super) type Read = fn(Item<'_>, Option<&str>) -> Result<ClientAuthentication, Refused>;

pub(super) fn client_secret_basic(item: Item<'_>, _: Option<&str>) -> Result<ClientAuthentication, Refused> {
    let section = item.section(&["client_id", "client_secret", "encoding"])?;
    let encodings = [("form", SecretEncoding::Form), ("raw", SecretEncoding::Raw)];
    let encoding =
        section.get("encoding").map_or(Ok(defaults::SECRET_ENCODING), |item| item.one_of(&encodings))?;
    let client_id = section.required("client_id")?;
    if encoding == SecretEncoding::Raw {
        client_id.text_such(
            "a client_id without a colon, which encoding raw could not tell from the secret",
            |id| !id.contains(':'),
        )?;
    }
    let client_id = client_id.text();
    let client_secret = section.required("client_secret")?.credential()?;
    Ok(ClientAuthentication::ClientSecretBasic { client_id: client_id?.to_owned(), client_secret, encoding })
}

pub(super) fn client_secret_post(item: Item<'_>, _: Option<&str>) -> Result<ClientAuthentication, Refused> {
    let section = item.section(&["client_id", "client_secret"])?;
    let client_id = section.required("client_id")?.text()?.to_owned();
    Ok(ClientAuthentication::ClientSecretPost {
        client_id,
        client_secret: section.required("client_secret")?.credential()?,
    })
}

/// How it is sent is for the server's metadata to say.
pub(super) fn client_secret(item: Item<'_>, _: Option<&str>) -> Result<ClientAuthentication, Refused> {
    let section = item.section(&["client_id", "client_secret"])?;
    let client_id = section.required("client_id").and_then(|item| item.text());
    let client_secret = section.required("client_secret")?.credential()?;
    Ok(ClientAuthentication::ClientSecret { client_id: client_id?.to_owned(), client_secret })
}

pub(super) fn private_key_jwt(item: Item<'_>, issuer: Option<&str>) -> Result<ClientAuthentication, Refused> {
    let section = item.section(&["client_id", "private_key", "alg", "kid", "audience"])?;
    let alg = section.get("alg").map_or(Ok(defaults::ASSERTION_ALG), |alg| alg.one_of(&ALGORITHMS))?;
    let kid = section.get("kid").map(|kid| kid.text()).transpose()?;
    let audience = section.get("audience").map(|audience| audience.text()).transpose()?.or(issuer);
    let no_audience = || section.error("audience", "expected a value, or the provider's issuer, got neither");
    Ok(ClientAuthentication::PrivateKeyJwt {
        client_id: section.required("client_id")?.text()?.to_owned(),
        key: signing_key(&section.required("private_key")?, alg, kid)?,
        audience: audience.ok_or_else(no_audience)?.to_owned(),
    })
}

pub(super) fn none(item: Item<'_>, _: Option<&str>) -> Result<ClientAuthentication, Refused> {
    let section = item.section(&["client_id"])?;
    let client_id = section.get("client_id").map(|item| item.text().map(str::to_owned)).transpose()?;
    Ok(ClientAuthentication::None { client_id })
}
