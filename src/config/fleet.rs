//! `revocation.fleet`: other Envoys, and the store that they share.

use std::time::Duration;

use super::authorization::{Whose, authorization};
use super::defaults;
use super::reader::{Item, Refused, Section};
use crate::fleet::{Credentials, Fleet, OnSilence};

pub(super) fn fleet(item: Item<'_>) -> Result<Fleet, Refused> {
    let section =
        item.section(&["cluster", "prefix", "authorization", "user", "max_silence", "on_silence"])?;
    let cluster = section.required("cluster").and_then(|item| item.text());
    let prefix = section.required("prefix").and_then(|item| prefix(&item));
    // A sign of life is asked for each second.
    let silences = Duration::from_secs(2)..=Duration::from_secs(60 * 60);
    let on_silence = section.get("on_silence").map_or(Ok(defaults::ON_SILENCE), |item| {
        item.one_of(&[("serve", OnSilence::Serve), ("ask", OnSilence::Ask), ("refuse", OnSilence::Refuse)])
    });
    let credentials = credentials(&section);
    Ok(Fleet {
        cluster: cluster?.to_owned(),
        prefix: prefix?,
        credentials: credentials?,
        max_silence: section.duration("max_silence", defaults::MAX_SILENCE, silences),
        on_silence: on_silence?,
    })
}

/// Every fleet has one of its own, so there is none that all would have by default.
fn prefix(item: &Item<'_>) -> Result<String, Refused> {
    let is_prefix = |text: &str| {
        text.len() <= 256
            && text.starts_with('/')
            && !text.ends_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let wanted = "a prefix such as \"/phantom-token/prod\", without a slash at its end";
    item.text_such(wanted, is_prefix).map(str::to_owned)
}

fn credentials(section: &Section<'_>) -> Result<Option<Credentials>, Refused> {
    let nobody = Whose { provider: None, issuer: None };
    let token = section.get("authorization").map(|item| Ok((authorization(&item, nobody)?, item)));
    let token = token.transpose()?;
    let user = section.get("user").map(user).transpose()?;
    match (token, user) {
        (Some((_, item)), Some(_)) => Err(item.error("either this or user", "both")),
        (Some((token, _)), None) => Ok(Some(Credentials::Token(token))),
        (None, user) => Ok(user),
    }
}

fn user(item: Item<'_>) -> Result<Credentials, Refused> {
    let section = item.section(&["name", "password"])?;
    let name = section.required("name")?.text()?.to_owned();
    Ok(Credentials::User(name, section.required("password")?.secret()?))
}
