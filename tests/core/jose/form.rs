//! The form of a JWT: the compact serialization, and one spelling of it (RFC 7515 §3.1, RFC 8725 §3.12).

use base64ct::{Base64, Base64Url, Encoding};
use phantom_token_filter::jwt::{Algorithm, MalformedJwt, UntrustedJwt, Unverified, looks_like_jwt};
use serde_json::json;

use super::{Refused::Malformed, Refused::Unverified as Not, all_keys, claims, parts, verify};
use crate::support::issuer::{encode, sign, sign_text, signature};

#[test]
fn only_the_compact_form_is_a_jwt() {
    let jwt = sign(Algorithm::ES256, json!({}), &claims());
    let [header, payload, signature] = <[&str; 3]>::try_from(jwt.split('.').collect::<Vec<_>>()).unwrap();
    let flattened = json!({"protected": header, "payload": payload, "signature": signature});
    let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
    for (text, reason) in [
        (String::new(), MalformedJwt::NotCompact),
        (".".to_owned(), MalformedJwt::NotCompact),
        ("..".to_owned(), MalformedJwt::NoHeader),
        ("...".to_owned(), MalformedJwt::NotCompact),
        ("....".to_owned(), MalformedJwt::NotCompact),
        (header.to_owned(), MalformedJwt::NotCompact),
        (format!("{header}.{payload}"), MalformedJwt::NotCompact),
        (format!("{jwt}."), MalformedJwt::NotCompact),
        (format!(".{jwt}"), MalformedJwt::NotCompact),
        (format!("{jwt}.{signature}.{signature}"), MalformedJwt::NotCompact),
        (format!(".{payload}.{signature}"), MalformedJwt::NoHeader),
        (format!("Bearer {jwt}"), MalformedJwt::Encoding),
        (format!(" {jwt}"), MalformedJwt::Encoding),
        (format!("{jwt} "), MalformedJwt::Encoding),
        (format!("{jwt}\n"), MalformedJwt::Encoding),
        (format!("{jwt}\0"), MalformedJwt::Encoding),
        (format!("{jwt}\u{e9}"), MalformedJwt::Encoding),
        (format!("\"{jwt}\""), MalformedJwt::Encoding),
        (flattened.to_string(), MalformedJwt::NotCompact),
        (general.to_string(), MalformedJwt::NotCompact),
    ] {
        assert_eq!(verify(&all_keys(), &text), Err(Malformed(reason)), "{text}");
    }
}

#[test]
fn base64url_has_one_spelling() {
    // The header is 32 bytes long, so that its last letter carries two bits that mean nothing.
    let header = br#"{"alg":"ES256","kid":"ES256"   }"#;
    let payload = br#"{"iss":"https://as.example??>>~~"}"#;
    let text = |header: &str, payload: &str| {
        let signature = encode(&signature(Algorithm::ES256, format!("{header}.{payload}").as_bytes()));
        format!("{header}.{payload}.{signature}")
    };
    let (good_header, good_payload) = (encode(header), encode(payload));
    let good = text(&good_header, &good_payload);
    assert!(verify(&all_keys(), &good).is_ok());
    let stray_bits = format!("{}{}", &good_header[..good_header.len() - 1], "1");
    assert_eq!(good_header.chars().last(), Some('0'));
    assert_ne!(Base64::encode_string(payload), Base64Url::encode_string(payload), "has + or /");
    for (header, payload) in [
        (Base64Url::encode_string(header), good_payload.clone()),
        (good_header.clone(), Base64Url::encode_string(payload)),
        (good_header.clone(), Base64::encode_string(payload)),
        (good_header.clone(), Base64::encode_string(payload).trim_end_matches('=').to_owned()),
        (stray_bits, good_payload.clone()),
        (format!("{good_header}\n"), good_payload.clone()),
        (good_header.clone(), format!("{}\r\n{}", &good_payload[..8], &good_payload[8..])),
        (good_header.clone(), format!("{good_payload}AAA")),
        (good_header, format!("{good_payload}$")),
    ] {
        // Signed as it stands: the signature is good, the form is not.
        let jwt = text(&header, &payload);
        assert_eq!(verify(&all_keys(), &jwt), Err(Malformed(MalformedJwt::Encoding)), "{jwt}");
        assert!(!good.contains(&jwt));
    }
    for signature in ["=", "==", "AAA", "AA=", " "] {
        assert_eq!(
            verify(&all_keys(), &format!("{good}{signature}")).map(|_| ()),
            Err(Malformed(MalformedJwt::Encoding))
        );
    }
}

#[test]
fn a_header_says_what_it_must_once() {
    for (header, reason) in [
        (r#"{}"#, MalformedJwt::BadMember("alg")),
        (r#"{"kid":"ES256"}"#, MalformedJwt::BadMember("alg")),
        (r#"{"alg":null}"#, MalformedJwt::BadMember("alg")),
        (r#"{"alg":256}"#, MalformedJwt::BadMember("alg")),
        (r#"{"alg":["ES256"]}"#, MalformedJwt::BadMember("alg")),
        (r#"{"Alg":"ES256"}"#, MalformedJwt::BadMember("alg")),
        (r#"{"alg":"ES256","kid":1}"#, MalformedJwt::BadMember("kid")),
        (r#"{"alg":"ES256","kid":null}"#, MalformedJwt::BadMember("kid")),
        (r#"{"alg":"ES256","kid":["ES256"]}"#, MalformedJwt::BadMember("kid")),
        (r#"{"alg":"ES256","typ":1}"#, MalformedJwt::BadMember("typ")),
        (r#"{"alg":"none","alg":"ES256"}"#, MalformedJwt::NoHeader),
        (r#"{"alg":"ES256","alg":"ES256"}"#, MalformedJwt::NoHeader),
        (r#"{"alg":"ES256","\u0061lg":"none"}"#, MalformedJwt::NoHeader),
        (r#"{"alg":"ES256","kid":"a","kid":"ES256"}"#, MalformedJwt::NoHeader),
        (r#"{"alg":"ES256","crit":["exp"],"exp":1}"#, MalformedJwt::Extension),
        (r#"{"alg":"ES256","crit":[]}"#, MalformedJwt::Extension),
        (r#"{"alg":"ES256","crit":null}"#, MalformedJwt::Extension),
        (r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, MalformedJwt::Extension),
        (r#"{"alg":"ES256","b64":false}"#, MalformedJwt::Extension),
        (r#"{"alg":"ES256","b64":true}"#, MalformedJwt::Extension),
        (r#"["ES256"]"#, MalformedJwt::NoHeader),
        (r#""ES256""#, MalformedJwt::NoHeader),
        (r#"null"#, MalformedJwt::NoHeader),
        (r#"{"alg":"ES256"}x"#, MalformedJwt::NoHeader),
        (r#"{"alg":"ES256""#, MalformedJwt::NoHeader),
        (r#"{alg:"ES256"}"#, MalformedJwt::NoHeader),
        (r#"{"alg":"ES256",}"#, MalformedJwt::NoHeader),
        ("\u{feff}{\"alg\":\"ES256\"}", MalformedJwt::NoHeader),
        ("", MalformedJwt::NoHeader),
    ] {
        let jwt = sign_text(Algorithm::ES256, header, &claims().to_string());
        assert_eq!(verify(&all_keys(), &jwt), Err(Malformed(reason)), "{header}");
    }
}

#[test]
fn lengths_are_bounded() {
    let long = |len: usize| sign(Algorithm::EdDSA, json!({"x": "a".repeat(len)}), &claims());
    assert!(verify(&all_keys(), &long(6_000)).is_ok());
    assert_eq!(verify(&all_keys(), &long(6_200)), Err(Malformed(MalformedJwt::TooLong)));
    assert!(!looks_like_jwt(long(6_200).as_bytes()));
    let payload = json!({"x": "a".repeat(1 << 20)});
    assert_eq!(
        verify(&all_keys(), &sign(Algorithm::EdDSA, json!({}), &payload)),
        Err(Malformed(MalformedJwt::TooLong))
    );
}

#[test]
fn a_signed_payload_is_read_as_strictly_as_any_json() {
    for payload in [
        "",
        "null",
        "[]",
        "\"sub\"",
        "{\"sub\":\"alice\"",
        "{\"sub\":\"alice\",\"sub\":\"root\"}",
        "{\"sub\":\"alice\",\"s\\u0075b\":\"root\"}",
        "{\"a\":{\"b\":1,\"b\":2}}",
        "{\"exp\":1e999}",
        "{\"exp\":Infinity}",
        "{} {}",
        "eyJhbGciOiJub25lIn0.e30.",
    ] {
        let jwt = sign_text(Algorithm::EdDSA, r#"{"alg":"EdDSA"}"#, payload);
        assert_eq!(verify(&all_keys(), &jwt), Err(Not(Unverified::NotClaims)), "{payload}");
    }
}

#[test]
fn a_jwt_is_told_from_an_opaque_token_by_its_form() {
    let jwt = sign(Algorithm::ES256, json!({}), &claims());
    let unsigned = format!("{}.e30.", encode(b"{\"alg\":\"none\"}"));
    for text in [jwt.as_str(), &unsigned] {
        assert!(looks_like_jwt(text.as_bytes()), "{text}");
    }
    let jwe = format!("{}.a.b.c.d", encode(b"{\"alg\":\"dir\",\"enc\":\"A256GCM\"}"));
    let no_alg = format!("{}.e30.AA", encode(b"{\"typ\":\"JWT\"}"));
    for text in ["", "..", "a.b.c", "mF_9.B5f-4.1JqM", "Kz~8mXK1EalYznwH-LC-1fBAo", &jwe, &no_alg] {
        assert!(!looks_like_jwt(text.as_bytes()), "{text}");
    }
    assert!(!looks_like_jwt(format!("{jwt}~disclosure").as_bytes()), "an SD-JWT is none of ours");
}

#[test]
fn the_issuer_of_an_unverified_jwt_is_read_for_choosing_a_provider() {
    let issuer = |payload: &str| {
        let jwt = sign_text(Algorithm::EdDSA, r#"{"alg":"EdDSA"}"#, payload);
        UntrustedJwt::parse(jwt.as_bytes()).unwrap().issuer_unchecked()
    };
    assert_eq!(issuer(r#"{"iss":"https://as.example"}"#).as_deref(), Some("https://as.example"));
    for payload in ["", "{}", "[]", r#"{"iss":1}"#, r#"{"iss":null}"#, r#"{"iss":"a","iss":"b"}"#] {
        assert_eq!(issuer(payload), None, "{payload}");
    }
}

#[test]
fn nothing_of_a_jwt_is_printed_that_could_be_used() {
    let jwt = sign(Algorithm::EdDSA, json!({}), &claims());
    let untrusted = UntrustedJwt::parse(jwt.as_bytes()).unwrap();
    let verified = verify(&all_keys(), &jwt).unwrap();
    let signature = format!("{:?}", parts(&jwt)[2]);
    for printed in [format!("{untrusted:?}"), format!("{verified:?}")] {
        assert!(!printed.contains("alice") && !printed.contains(&signature), "{printed}");
    }
}
