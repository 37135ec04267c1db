//! JWTs that are no access tokens of the issuer, whatever they say; and those that are, by every algorithm.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::rig::{
    authorization_server::AuthorizationServer,
    client::Request,
    gateway::{Gateway, jwt_plugin},
    signer::{Signer, access_token_claims, encode, now, unsigned, with_broken_signature},
};

const ALGORITHMS: [&str; 9] =
    ["ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_algorithm_that_is_allowed_is_accepted_and_no_other() {
    let signers = ALGORITHMS.map(|alg| Signer::new(alg, alg));
    let keys = signers.each_ref().map(Signer::jwk);
    let mut plugin = jwt_plugin("https://as.example", "/jwks");
    plugin["providers"]["main"]["jwt"] = json!({"algorithms": ALGORITHMS});
    let server = AuthorizationServer::with_keys(&keys).await;
    let gateway = Gateway::with_server(server, plugin.clone(), |envoy| envoy.reloadable()).await;
    for signer in &signers {
        let jwt = signer.access_token(&json!({}));
        assert_eq!(gateway.get(&jwt).await.echoed_bearer(), jwt, "{}", signer.alg);
        let judged = gateway.judged(&format!("/broken/{}", signer.alg), &with_broken_signature(&jwt)).await;
        assert_eq!(judged, (401, "jwt_signature".to_owned()), "{}", signer.alg);
    }
    plugin["providers"]["main"]["jwt"] = json!({"algorithms": ["ES256"]});
    gateway.envoy.reload(&plugin).await;
    for signer in &signers {
        let jwt = signer.access_token(&json!({}));
        let judged = gateway.judged(&format!("/only-es256/{}", signer.alg), &jwt).await;
        let expected = if signer.alg == "ES256" { (200, "via_upstream") } else { (401, "jwt_algorithm") };
        assert_eq!(judged, (expected.0, expected.1.to_owned()), "{}", signer.alg);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_header_says_of_algorithm_and_key_is_not_believed() {
    let (ec, rsa, ed) = (Signer::new("ES256", "ec"), Signer::new("RS256", "rsa"), Signer::new("EdDSA", "ed"));
    let evil = Signer::new("ES256", "evil");
    let gateway = gateway(&[&ec, &rsa, &ed]).await;
    let claims = access_token_claims(&json!({}));
    let jku = format!("http://{}/evil", gateway.server.address());
    let public_pem = include_str!("../keys/rsa2048.public.pem");
    let signed_by = |signer: &Signer, header: Value| signer.sign(&header, &claims);
    let header = |changes: Value| {
        let mut header = ec.header();
        header.as_object_mut().expect("a header").extend(changes.as_object().expect("members").clone());
        header
    };
    for (name, token, reason) in [
        ("none", unsigned(&header(json!({"alg": "none"})), &claims), "jwt_algorithm"),
        ("none-in-other-case", unsigned(&header(json!({"alg": "nOnE"})), &claims), "jwt_algorithm"),
        ("none-with-signature", signed_by(&ec, header(json!({"alg": "none"}))), "jwt_algorithm"),
        ("no-signature", unsigned(&ec.header(), &claims), "jwt_signature"),
        ("no-alg", signed_by(&ec, json!({"kid": "ec", "typ": "at+jwt"})), "jwt_malformed"),
        ("hmac-with-pem", hs256("rsa", public_pem.as_bytes(), &claims), "jwt_algorithm"),
        ("hmac-with-jwk", hs256("rsa", rsa.jwk().to_string().as_bytes(), &claims), "jwt_algorithm"),
        ("hmac-with-nothing", hs256("ec", b"", &claims), "jwt_algorithm"),
        ("key-of-other-type", signed_by(&ec, header(json!({"kid": "rsa"}))), "jwt_algorithm"),
        (
            "pss-by-pkcs1-key",
            signed_by(&rsa, json!({"alg": "PS256", "kid": "rsa", "typ": "at+jwt"})),
            "jwt_algorithm",
        ),
        (
            "longer-hash",
            signed_by(&rsa, json!({"alg": "RS512", "kid": "rsa", "typ": "at+jwt"})),
            "jwt_algorithm",
        ),
        ("other-curve", signed_by(&ec, header(json!({"alg": "ES384"}))), "jwt_algorithm"),
        ("jwk", signed_by(&evil, header(json!({"jwk": evil.jwk()}))), "jwt_signature"),
        (
            "jwk-with-its-kid",
            signed_by(&evil, header(json!({"kid": "evil", "jwk": evil.jwk()}))),
            "jwt_unknown_key",
        ),
        ("jku", signed_by(&evil, header(json!({"jku": jku, "x5u": jku}))), "jwt_signature"),
        ("path-as-kid", signed_by(&evil, header(json!({"kid": "../../dev/null"}))), "jwt_unknown_key"),
        ("number-as-kid", signed_by(&ec, header(json!({"kid": 1}))), "jwt_malformed"),
        ("crit", signed_by(&ec, header(json!({"crit": ["exp"]}))), "jwt_malformed"),
        ("crit-of-nothing", signed_by(&ec, header(json!({"crit": []}))), "jwt_malformed"),
        ("b64", signed_by(&ec, header(json!({"b64": false, "crit": ["b64"]}))), "jwt_malformed"),
        ("of-type-jwt", signed_by(&ec, header(json!({"typ": "JWT"}))), "jwt_type"),
        ("of-no-type", signed_by(&ec, json!({"alg": "ES256", "kid": "ec"})), "jwt_type"),
        ("logout-token", signed_by(&ec, header(json!({"typ": "logout+jwt"}))), "jwt_type"),
    ] {
        assert_eq!(gateway.judged(&format!("/{name}"), &token).await, (401, reason.to_owned()), "{name}");
    }
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        let token = signed_by(&ec, header(json!({"typ": typ})));
        assert_eq!(gateway.get(&token).await.status, 200, "{typ}");
    }
    assert_eq!(gateway.upstream.requests(), 4);
    assert_eq!(gateway.server.call_count(), 0, "nobody went to `jku`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_that_are_almost_a_jwt_are_none() {
    let ec = Signer::new("ES256", "ec");
    let gateway = gateway(&[&ec]).await;
    let good = ec.access_token(&json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{good}") };
    let raw = Base64UrlUnpadded::decode_vec(signature).expect("base64url");
    let with_signature = |signature: &[u8]| format!("{header}.{payload}.{}", encode(signature));
    let claims = access_token_claims(&json!({})).to_string();
    let text = |header: &str, claims: &str| ec.sign_bytes(header.as_bytes(), claims.as_bytes());
    let twice = |claims: &str| claims.replacen('{', r#"{"iss":"https://other.example","#, 1);
    for (name, token, reason) in [
        ("two-parts", format!("{header}.{payload}"), "jwt_malformed"),
        ("four-parts", format!("{good}.{signature}"), "jwt_malformed"),
        ("five-parts", format!("{header}.{payload}.{signature}.{payload}.{signature}"), "jwt_malformed"),
        ("no-header", format!(".{payload}.{signature}"), "jwt_malformed"),
        ("no-payload", format!("{header}..{signature}"), "jwt_signature"),
        ("padding", format!("{good}=="), "jwt_malformed"),
        ("standard-base64", format!("{header}+/.{payload}.{signature}"), "jwt_malformed"),
        ("bits-to-spare", bits_to_spare(&good), "jwt_malformed"),
        (
            "header-twice",
            text(r#"{"alg":"none","alg":"ES256","kid":"ec","typ":"at+jwt"}"#, &claims),
            "jwt_malformed",
        ),
        ("header-no-object", text(r#"["ES256"]"#, &claims), "jwt_malformed"),
        ("claims-twice", text(&ec.header().to_string(), &twice(&claims)), "jwt_not_claims"),
        ("claims-no-object", text(&ec.header().to_string(), "[]"), "jwt_not_claims"),
        ("claims-and-more", text(&ec.header().to_string(), &format!("{claims}{claims}")), "jwt_not_claims"),
        ("zeros", with_signature(&[0; 64]), "jwt_signature"),
        ("r-of-zero", with_signature(&[&[0; 32], &raw[32..]].concat()), "jwt_signature"),
        ("short", with_signature(&raw[..63]), "jwt_signature"),
        ("long", with_signature(&[&raw[..], &[0]].concat()), "jwt_signature"),
        ("der", with_signature(&der(&raw)), "jwt_signature"),
        ("of-other-claims", format!("{header}.{}.{signature}", encode(claims.as_bytes())), "jwt_signature"),
    ] {
        assert_eq!(gateway.judged(&format!("/{name}"), &token).await, (401, reason.to_owned()), "{name}");
    }
    let json = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
    assert_eq!(gateway.judged("/json", &json.to_string()).await.0, 400, "that is not even a token");
    assert_eq!(gateway.get(&good).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_read_strictly() {
    let ec = Signer::new("ES256", "ec");
    let gateway = gateway(&[&ec]).await;
    let now = now();
    for (name, claims, reason) in [
        ("expired", json!({"exp": now - 31}), "token_expired"),
        ("long-expired", json!({"exp": 0}), "token_expired"),
        ("endless", json!({"exp": null}), "jwt_not_claims"),
        ("exp-as-text", json!({"exp": (now + 60).to_string()}), "jwt_not_claims"),
        ("future", json!({"nbf": now + 90}), "token_not_yet_valid"),
        ("issued-ahead", json!({"iat": now + 90}), "token_not_yet_valid"),
        ("nbf-as-text", json!({"nbf": "0"}), "jwt_not_claims"),
        ("no-issuer", json!({"iss": null}), "token_of_other_issuer"),
        ("other-issuer", json!({"iss": "https://as.example/"}), "token_of_other_issuer"),
        ("issuers", json!({"iss": ["https://as.example"]}), "jwt_not_claims"),
        ("no-audience", json!({"aud": null}), "token_for_other_audience"),
        ("other-audience", json!({"aud": "https://api.example/"}), "token_for_other_audience"),
        ("audiences", json!({"aud": ["https://a.example", "https://b.example"]}), "token_for_other_audience"),
        ("subject-as-number", json!({"sub": 7}), "jwt_not_claims"),
    ] {
        let token = ec.access_token(&claims);
        assert_eq!(gateway.judged(&format!("/{name}"), &token).await, (401, reason.to_owned()), "{name}");
    }
    for claims in [
        json!({"exp": now - 5}), // within the leeway of 30 s
        json!({"nbf": now + 20, "iat": now + 20}),
        json!({"exp": now as f64 + 60.5}),
        json!({"aud": ["https://other.example", "https://api.example"]}),
        json!({"iat": null, "jti": null}),
    ] {
        assert_eq!(gateway.get(&ec.access_token(&claims)).await.status, 200, "{claims}");
    }
    let refused = gateway.send(Request::get("/").bearer(&ec.access_token(&json!({"exp": 1})))).await;
    assert!(
        refused.header("www-authenticate").expect("a challenge").contains("error=\"invalid_token\""),
        "{refused:?}"
    );
}

async fn gateway(signers: &[&Signer]) -> Gateway {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    let plugin = jwt_plugin("https://as.example", "/jwks");
    Gateway::with_server(AuthorizationServer::with_keys(&keys).await, plugin, |envoy| envoy).await
}

fn hs256(kid: &str, key: &[u8], claims: &Value) -> String {
    let header = json!({"alg": "HS256", "kid": kid, "typ": "at+jwt"}).to_string();
    let text = format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any key").chain_update(text.as_bytes()).finalize();
    format!("{text}.{}", encode(&mac.into_bytes()))
}

/// The same bytes in base64url that is not canonical: a signature of 64 bytes leaves bits of its last character
/// unused.
fn bits_to_spare(jws: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = jws.split_at(jws.len() - 1);
    let place =
        ALPHABET.iter().position(|&letter| letter == last.as_bytes()[0]).expect("a letter of base64url");
    format!("{rest}{}", char::from(ALPHABET[place + 1]))
}

/// An ECDSA signature as ASN.1, which JOSE does not use.
fn der(raw: &[u8]) -> Vec<u8> {
    let signature = p256::ecdsa::Signature::from_slice(raw).expect("a signature");
    signature.to_der().as_bytes().to_vec()
}
