//! `dpop`: what is asked of DPoP proofs (RFC 9449).

use std::time::Duration;

use super::defaults;
use super::provider::verifying;
use super::reader::{Item, Refused, Section, all};
use crate::jwt::PhantomToken;
use crate::sender_constrained::dpop::{NonceKey, Origin, Rules};

/// What is asked of proofs, if any are taken. Nonces are made with a secret of the key that signs phantom tokens, if there
/// is no other.
#[inline(never)]
pub(super) fn rules(
    root: &Section<'_>,
    phantom_token: Result<Option<&PhantomToken>, Refused>,
) -> Result<Option<Rules>, Refused> {
    let Some(item) = root.get("dpop") else { return Ok(None) };
    let section = item.section(&KEYS)?;
    let origins = origins(&section);
    let algorithms = match section.get("algorithms") {
        None => defaults::DPOP_ALGORITHMS.to_vec(),
        Some(list) => {
            let algorithms = all(list.elements()?.iter().map(verifying))?;
            if algorithms.is_empty() {
                return Err(list.error("at least one algorithm", "none"));
            }
            algorithms
        }
    };
    let ages = Duration::from_secs(1)..=Duration::from_secs(5 * 60);
    let max_age = section.duration("max_age", defaults::DPOP_MAX_AGE, ages);
    let leeways = Duration::ZERO..=Duration::from_secs(60);
    let leeway = section.duration("leeway", defaults::DPOP_LEEWAY, leeways);
    let max_proofs = section.count("max_proofs", defaults::MAX_PROOFS, 100_000..=10_000_000);
    let nonces = nonces(&section, phantom_token);
    Ok(Some(Rules { origins: origins?, algorithms, max_age, leeway, nonces: nonces?, max_proofs }))
}

fn origins(section: &Section<'_>) -> Result<Vec<Origin>, Refused> {
    let list = section.required("origins")?;
    let origins = all(list.elements()?.iter().map(|item| origin(item)))?;
    if origins.is_empty() {
        return Err(list.error("at least one origin", "none"));
    }
    if origins.len() > MAX_ORIGINS {
        return Err(list.error(&format!("at most {MAX_ORIGINS} origins"), &origins.len().to_string()));
    }
    Ok(origins)
}

fn origin(item: &Item<'_>) -> Result<Origin, Refused> {
    let wanted = "a URL such as \"https://api.example\", without user, query and fragment";
    let text = item.text_such(wanted, |text| Origin::parse(text).is_some())?;
    let origin = Origin::parse(text).ok_or_else(|| item.wrong(wanted))?;
    if origin.is_in_the_clear() {
        item.warn("clients send tokens and proofs there for everybody on the way to read");
    }
    Ok(origin)
}

fn nonces(
    section: &Section<'_>,
    phantom_token: Result<Option<&PhantomToken>, Refused>,
) -> Result<Option<NonceKey>, Refused> {
    let is_required = match section.get("nonce") {
        Some(item) => item.one_of(&[("none", false), ("required", true)])?,
        None => defaults::DPOP_NONCE,
    };
    let secret = section.get("nonce_secret").map(|item| item.secret()).transpose()?;
    if !is_required {
        return match secret {
            Some(_) => Err(section.error("nonce_secret", "expected none without `nonce: required`, got one")),
            None => Ok(None),
        };
    }
    if let Some(secret) = secret {
        let bytes = secret.secret().as_bytes();
        if bytes.len() < MIN_SECRET {
            let problem = format!("expected a secret of at least {MIN_SECRET} bytes, got {}", bytes.len());
            return Err(section.error("nonce_secret", &problem));
        }
        return Ok(Some(NonceKey::new(bytes.to_vec())));
    }
    let signing_key = phantom_token?.map(|it| &it.signing_key).ok_or_else(|| {
        let problem = "expected a secret, for there is no phantom_token whose key could stand in, got none";
        section.error("nonce_secret", problem)
    })?;
    Ok(Some(NonceKey::new(signing_key.derive(NONCES))))
}

const KEYS: [&str; 7] = ["origins", "algorithms", "max_age", "leeway", "nonce", "nonce_secret", "max_proofs"];

/// What the secret is for.
const NONCES: &str = "phantom-token-filter: DPoP nonces";

const MAX_ORIGINS: usize = 64;

/// As long as its hash.
const MIN_SECRET: usize = 32;
