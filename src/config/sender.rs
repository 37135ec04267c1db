//! Who sends signals: whose, by which keys, and for whom.

use super::error::ConfigError;
use super::provider;
use super::reader::Section;
use crate::provider::Provider;
use crate::revocation::sources::Signer;

/// Whose tokens are for us: at least one, for none would be taken.
pub(super) fn audiences(section: &Section<'_>) -> Result<Vec<String>, ConfigError> {
    let list = section.required("audiences")?;
    let audiences = list.elements()?.iter().map(|audience| audience.text().map(str::to_owned)).collect();
    provider::some(&list, audiences)
}

/// The provider that a section names; the only one, where there is but one and none is named.
pub(super) fn named<'p>(
    section: &Section<'_>,
    providers: &'p [Provider],
) -> Result<&'p Provider, ConfigError> {
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

/// Who signs, and its issuer.
pub(super) fn signer(section: &Section<'_>, providers: &[Provider]) -> Result<(Signer, String), ConfigError> {
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
