//! Which key a JWT is verified with.

use phantom_token_filter::jwt::{Algorithm, SignError, Unverified};
use serde_json::{Value, json};

use super::{Refused::Unverified as Not, claims, verify};
use crate::support::issuer::{jwk, key_set, sign};

#[test]
fn the_key_is_found_by_name_or_by_trying() {
    let alg = Algorithm::ES256;
    let other = json!({"x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                       "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"});
    let with = |kid: Value| {
        let mut members = other.clone();
        members["kid"] = kid;
        jwk(alg, members)
    };
    let right = |kid: Value| jwk(alg, json!({ "kid": kid }));
    let unknown = Err(Not(Unverified::UnknownKey));
    for (keys, kid, wanted) in [
        (vec![with(json!("b")), right(json!("a"))], json!("a"), Ok(())),
        (vec![with(json!("a")), right(json!("b"))], json!("a"), Err(Not(Unverified::BadSignature))),
        (vec![with(json!("a")), right(json!("a"))], json!("a"), Ok(())),
        (vec![with(json!("a")), right(json!("b"))], json!("c"), unknown),
        (vec![right(json!("a"))], json!("A"), Err(Not(Unverified::UnknownKey))),
        (vec![right(json!("a"))], json!(""), Err(Not(Unverified::UnknownKey))),
        (vec![], json!("a"), Err(Not(Unverified::UnknownKey))),
        (vec![], json!(null), Err(Not(Unverified::UnknownKey))),
        // A token without a name: each key that fits.
        (vec![with(json!("a")), right(json!("b"))], json!(null), Ok(())),
        (vec![with(json!("a"))], json!(null), Err(Not(Unverified::UnknownKey))),
        // A key without a name may be the one that a token names, unless another has that name.
        (vec![with(json!("a")), right(json!(null))], json!("c"), Ok(())),
        (vec![with(json!("a")), right(json!(null))], json!("a"), Err(Not(Unverified::BadSignature))),
        (vec![with(json!(null))], json!("c"), Err(Not(Unverified::UnknownKey))),
        // The eighth is tried, the ninth is not.
        ([vec![with(json!("a")); 7], vec![right(json!("b"))]].concat(), json!(null), Ok(())),
        (
            [vec![with(json!("a")); 8], vec![right(json!("b"))]].concat(),
            json!(null),
            Err(Not(Unverified::UnknownKey)),
        ),
    ] {
        let jwt = sign(alg, json!({ "kid": kid }), &claims());
        assert_eq!(verify(&key_set(&keys), &jwt).map(|_| ()), wanted, "{kid} among {keys:?}");
    }
}

#[test]
fn newer_keys_are_asked_for_only_where_they_may_help() {
    assert!(Unverified::UnknownKey.newer_keys_may_help());
    for final_reason in [
        Unverified::AlgorithmNotAllowed,
        Unverified::BadSignature,
        Unverified::NotClaims,
        Unverified::Host(SignError::NotOffered),
    ] {
        assert!(!final_reason.newer_keys_may_help(), "{final_reason:?}");
    }
}

#[test]
fn no_key_is_taken_from_the_token() {
    // The attacker's own key, in every place where a JWS can carry one.
    let own = jwk(Algorithm::ES256, json!({}));
    let keys = key_set(&[jwk(Algorithm::RS256, json!({"kid": "k"}))]);
    for header in [
        json!({"jwk": own}),
        json!({"jku": "https://attacker.example/jwks"}),
        json!({"x5u": "https://attacker.example/chain"}),
        json!({"x5c": ["MIIB"]}),
        json!({"kid": "https://attacker.example/jwks"}),
        json!({"kid": "../../../dev/null"}),
        json!({"kid": "' OR 1=1 --"}),
        json!({"kid": null, "jwk": own}),
    ] {
        let jwt = sign(Algorithm::ES256, header.clone(), &claims());
        assert_eq!(verify(&keys, &jwt), Err(Not(Unverified::UnknownKey)), "{header}");
    }
    // And it does not disturb the verification by the right one.
    let jwt = sign(Algorithm::RS256, json!({"kid": "k", "jwk": own, "jku": 1, "x5c": []}), &claims());
    assert!(verify(&keys, &jwt).is_ok());
}
