//! `revocation.global_token_revocation`: orders to revoke all tokens of a user.

use super::reader::{Item, Refused, Section};
use super::sender::{Sender, audiences, issuer_of, named, sender};
use crate::cache::ProviderTag;
use crate::provider::Provider;
use crate::revocation::global_token_revocation::OrderRules;
use crate::revocation::sources::{OrderedBy, RevocationReceiver};

pub(super) fn receiver(item: Item<'_>, providers: &[Provider]) -> Result<RevocationReceiver, Refused> {
    let section =
        item.section(&["path", "provider", "audiences", "issuer", "jwks", "algorithms", "authorization"])?;
    let path = section.required("path").and_then(|item| item.normal_path());
    let ordered_by = ordered_by(&section, providers);
    let provider = named(&section, providers)?;
    Ok(RevocationReceiver {
        path: path?.to_owned(),
        tag: ProviderTag::new(provider.identity()),
        subject_issuer: issuer_of(&section, provider)?.to_owned(),
        ordered_by: ordered_by?,
    })
}

fn ordered_by(section: &Section<'_>, providers: &[Provider]) -> Result<OrderedBy, Refused> {
    if let Some(item) = section.get("authorization") {
        let secret = item.secret()?;
        return match OF_JWTS.iter().any(|key| section.get(key).is_some()) {
            true => Err(item.error("either this or audiences", "both")),
            false => Ok(OrderedBy::Secret(secret)),
        };
    }
    if section.get("audiences").is_none() {
        return Err(section.error("audiences", "expected a value here or in authorization, got none"));
    }
    let Sender { signer, issuer, .. } = sender(section, providers)?;
    let audiences = audiences(section)?;
    Ok(OrderedBy::Jwt(signer, OrderRules { issuer, audiences }))
}

/// What is said of a JWT, and of no secret.
const OF_JWTS: [&str; 4] = ["issuer", "audiences", "jwks", "algorithms"];
