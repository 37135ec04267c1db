//! `phantom_token`: the JWT that replaces the opaque token.

use std::time::Duration;

use serde_json::{Map, Value};

use super::reader::{Item, Refused, Section, all};
use super::{defaults, length};
use crate::fingerprint::{fingerprint, flat};
use crate::jwt::{
    self, Algorithm, ClaimMapping, PhantomToken, PhantomTokenId, PrivateKey, PublicKey, SigningKey,
};

/// How phantom tokens are made, and the path of the key set; empty: it is not published.
#[inline(never)]
pub(super) fn phantom_token(root: &Section<'_>) -> Result<Option<(PhantomToken, String)>, Refused> {
    let Some(item) = root.get("phantom_token") else { return Ok(None) };
    let section = item.section(&["issuer", "audiences", "ttl", "signing_keys", "claims", "jwks_path"])?;
    let issuer = section.required("issuer").and_then(|item| Ok(item.text()?.to_owned()));
    let audiences = section.texts("audiences");
    let ttls = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
    let ttl = section.duration("ttl", defaults::PHANTOM_TOKEN_TTL, ttls);
    let keys = section.required("signing_keys").and_then(|list| keys(&list));
    let claims = mapping(&section);
    let jwks_path = match section.get("jwks_path") {
        None => defaults::JWKS_PATH,
        Some(item) if item.value == "" => "",
        Some(item) => item.normal_path()?,
    };
    let (issuer, audiences, claims, (signing_key, published_keys)) = (issuer?, audiences?, claims?, keys?);
    let id = id(&issuer, &audiences, ttl, &signing_key, &claims);
    Ok(Some((
        PhantomToken { issuer, audiences, ttl, signing_key, published_keys, claims, id },
        jwks_path.to_owned(),
    )))
}

/// A key that signs by `alg`.
pub(super) fn signing_key(item: &Item<'_>, alg: Algorithm, kid: Option<&str>) -> Result<SigningKey, Refused> {
    let text = item.secret()?;
    let key =
        PrivateKey::parse(text.secret()).and_then(|key| SigningKey::new(alg, kid.map(str::to_owned), key));
    key.map_err(|reason| item.spot.refuse(&reason.to_string()))
}

/// The algorithms by name.
pub(super) const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("RS256", Algorithm::RS256),
    ("EdDSA", Algorithm::EdDSA),
    ("HS256", Algorithm::HS256),
];

/// What signs, and what is published.
type Halves = (Option<SigningKey>, Option<Map<String, Value>>);

/// The key that signs, and all that are published: rotation needs both.
fn keys(list: &Item<'_>) -> Result<(SigningKey, Vec<Map<String, Value>>), Refused> {
    let mut kids = Vec::new();
    let elements = list.elements()?;
    let keys = elements.into_iter().enumerate().map(|(index, item)| key(item, index == 0, &mut kids));
    let mut signing = None;
    let mut published = Vec::new();
    for (key, public) in all(keys)? {
        signing = signing.or(key);
        published.extend(public);
    }
    Ok((signing.ok_or_else(|| list.error("at least one key", "none"))?, published))
}

/// A key, if it may sign, and what is published of it. The first one signs.
fn key<'c>(item: Item<'c>, is_first: bool, kids: &mut Vec<&'c str>) -> Result<Halves, Refused> {
    let section = item.section(&["kid", "alg", "private_key", "public_key"])?;
    let kid_item = section.required("kid")?;
    let kid = kid_item.text()?;
    if kids.contains(&kid) {
        return Err(kid_item.error("a kid of its own", &format!("{kid:?} again")));
    }
    kids.push(kid);
    let alg = section.required("alg")?.one_of(&ALGORITHMS)?;
    match (section.get("private_key"), section.get("public_key")) {
        (Some(private_key), None) => {
            let key = signing_key(&private_key, alg, Some(kid))?;
            let public = key.to_public_jwk();
            Ok((Some(key), public))
        }
        (None, Some(public_key)) if is_first => {
            Err(public_key.error("a private_key, for the first key signs", "a public one"))
        }
        (None, Some(public_key)) => Ok((None, Some(published_key(&public_key, alg, kid)?))),
        (Some(_), Some(public_key)) => Err(public_key.error("private_key or public_key", "both")),
        (None, None) => Err(section.error("private_key", "expected private_key or public_key, got neither")),
    }
}

/// A public key needs no secrecy: besides the forms of a secret it may stand as it is.
fn published_key(item: &Item<'_>, alg: Algorithm, kid: &str) -> Result<Map<String, Value>, Refused> {
    let secret;
    let text = match item.value.as_str() {
        Some(text) => text,
        None => {
            secret = item.secret()?;
            secret.secret()
        }
    };
    let key = PublicKey::parse(text).and_then(|key| jwt::published_key(&key, alg, kid));
    key.map_err(|reason| item.spot.refuse(&reason.to_string()))
}

fn mapping(section: &Section<'_>) -> Result<ClaimMapping, Refused> {
    let section = section.section("claims", &["include", "exclude", "rename", "add"])?;
    let mut mapping = ClaimMapping::default();
    if section.get("include").is_some() {
        let include = section.texts("include")?;
        mapping.include = (!include.iter().any(|name| name == ALL_CLAIMS)).then_some(include);
    }
    mapping.exclude = section.texts("exclude")?;
    for (member, item) in section.entries("rename")? {
        let claim = item.text()?;
        own_claim(&item, claim)?;
        if mapping.rename.values().any(|other| other == claim) {
            return Err(item.error("a claim of its own", &format!("{claim:?} again")));
        }
        mapping.rename.insert(member.to_owned(), claim.to_owned());
    }
    for (claim, item) in section.entries("add")? {
        own_claim(&item, claim)?;
        mapping.add.insert(claim.to_owned(), item.exact()?.value.clone());
    }
    Ok(mapping)
}

/// Refuses a claim that the filter itself sets, or that a phantom token never has.
fn own_claim(item: &Item<'_>, claim: &str) -> Result<(), Refused> {
    if PhantomToken::OWN_CLAIMS.contains(&claim) {
        return Err(item.error("a claim that the filter does not set itself", &format!("{claim:?}")));
    }
    if PhantomToken::NEVER_CLAIMS.contains(&claim) {
        return Err(item.error("a claim that a phantom token can have", &format!("{claim:?}")));
    }
    Ok(())
}

fn id(
    issuer: &str,
    audiences: &[String],
    ttl: Duration,
    key: &SigningKey,
    claims: &ClaimMapping,
) -> PhantomTokenId {
    let ClaimMapping { include, exclude, rename, add } = claims;
    let include = match include {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => vec![ALL_CLAIMS],
    };
    let digest = fingerprint(&[
        &[
            MINTING,
            issuer,
            &length::text(ttl),
            key.alg().name(),
            key.kid().unwrap_or_default(),
            &key.fingerprint(),
        ],
        &audiences.iter().map(String::as_str).collect::<Vec<_>>(),
        &include,
        &exclude.iter().map(String::as_str).collect::<Vec<_>>(),
        &flat(rename),
        &[&Value::Object(add.clone()).to_string()],
    ]);
    digest.first_chunk().copied().unwrap_or_default()
}

/// How claims are put into form; another number where that changes, so that no JWT of before is used.
const MINTING: &str = "2";

/// In `include`: every member of the reply.
const ALL_CLAIMS: &str = "*";
