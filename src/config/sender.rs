//! Who sends signals: whose, by which keys, and for whom.

use std::rc::Rc;

use super::reader::{Refused, Section};
use super::{defaults, provider};
use crate::cache::ProviderTag;
use crate::jwt::{Algorithm, JwksEndpoint};
use crate::provider::Provider;
use crate::revocation::sources::Signer;

/// Whose tokens are for us: at least one, for none would be taken.
pub(super) fn audiences(section: &Section<'_>) -> Result<Vec<String>, Refused> {
    let list = section.required("audiences")?;
    let audiences = list.elements()?.iter().map(|audience| audience.text().map(str::to_owned)).collect();
    provider::some(&list, audiences)
}

/// The provider that a section names; the only one, where there is but one and none is named.
pub(super) fn named<'p>(section: &Section<'_>, providers: &'p [Provider]) -> Result<&'p Provider, Refused> {
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

/// The issuer that subjects are of.
pub(super) fn issuer_of<'p>(section: &Section<'_>, provider: &'p Provider) -> Result<&'p str, Refused> {
    provider.issuer().ok_or_else(|| {
        let problem = format!(
            "expected a provider with issuer, for subjects are named by it, got {:?} without",
            provider.name
        );
        section.error("provider", &problem)
    })
}

/// Who signs, and its issuer.
pub(super) fn signer(section: &Section<'_>, providers: &[Provider]) -> Result<(Signer, String), Refused> {
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

/// Who sends, and for whom.
pub(super) struct Sender {
    pub(super) signer: Signer,
    /// His own, to the letter.
    pub(super) issuer: String,
    /// That which subjects are of.
    pub(super) subject_issuer: String,
}

/// A sender who may have keys and an issuer of his own; those of the provider otherwise.
pub(super) fn sender(section: &Section<'_>, providers: &[Provider]) -> Result<Sender, Refused> {
    let issuer = section.get("issuer").map(|issuer| issuer.text().map(str::to_owned)).transpose()?;
    let (signer, subject_issuer) = match section.get("jwks") {
        None => signer(section, providers)?,
        Some(_) => own_signer(section, issuer.as_deref(), providers)?,
    };
    no_algorithms_without_keys(section)?;
    let issuer = issuer.unwrap_or_else(|| subject_issuer.clone());
    Ok(Sender { signer, issuer, subject_issuer })
}

/// Those of the provider's keys are said there.
fn no_algorithms_without_keys(section: &Section<'_>) -> Result<(), Refused> {
    match section.get("algorithms").filter(|_| section.get("jwks").is_none()) {
        Some(item) => Err(item.error("no such key but beside jwks", "one")),
        None => Ok(()),
    }
}

/// A sender with keys of its own, and the issuer that its subjects are of.
fn own_signer(
    section: &Section<'_>,
    issuer: Option<&str>,
    providers: &[Provider],
) -> Result<(Signer, String), Refused> {
    let provider = named(section, providers)?;
    let subject_issuer = issuer_of(section, provider)?;
    let issuer = issuer.unwrap_or(subject_issuer);
    let algorithms = algorithms(section)?;
    let keys = section.section("jwks", &provider::JWKS_KEYS)?;
    let jwks =
        provider::jwks(&provider.name, &keys, Some(issuer), None, section.get("algorithms").is_some())?;
    let signer = Signer {
        provider: provider.name.clone(),
        tag: ProviderTag::new(provider.identity()),
        jwks: Rc::new(JwksEndpoint { transmitter: Some(issuer.to_owned()), ..jwks }),
        algorithms,
    };
    Ok((signer, subject_issuer.to_owned()))
}

fn algorithms(section: &Section<'_>) -> Result<Vec<Algorithm>, Refused> {
    let Some(list) = section.get("algorithms") else { return Ok(defaults::JWT_ALGORITHMS.to_vec()) };
    let named = list.elements()?.iter().map(provider::verifying).collect();
    provider::some(&list, named)
}
