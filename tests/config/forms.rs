//! The forms in which a configuration and the keys in it may come.

use phantom_token_filter::config::Config;
use phantom_token_filter::http::Scheme;
use phantom_token_filter::jwt::PublicKey;
use phantom_token_filter::token::AccessToken;
use serde_json::{Value, json};

use crate::good::{changed, described, env, parse, smallest};

#[test]
fn json_and_protobuf_struct_give_the_same() {
    let config = changed(json!({
        "providers.main.introspection.retries": 0,
        "phantom_token.claims": {"rename": {"a": "b"}, "add": {"n": 1.5, "t": true, "z": null, "l": [1, {"a": "ä"}], "e": []}},
        "policies": {"default": {"require": {"claims": {"level": [1, 2]}}}, "public": {"strategy": "allow"}},
        "rules": [{"match": {"methods": ["GET"]}, "policy": "public"}],
        "cache": {},
    }));
    let from_struct = Config::parse(&protobuf::of_struct(&config), &env).unwrap();
    assert_eq!(described(&from_struct), described(&parse(&config).unwrap()));
}

#[test]
fn whole_numbers_may_be_floats() {
    let (whole, float) =
        (changed(json!({"cache.max_entries": 300})), changed(json!({"cache.max_entries": 300.0})));
    assert_eq!(described(&parse(&whole).unwrap()), described(&parse(&float).unwrap()));
}

/// The same with keys for signed replies.
fn signed(mut changes: Value) -> Value {
    changes["providers.main.issuer"] = "https://as.example".into();
    changes["providers.main.jwks"] = json!({"cluster": "authorization-server", "path": "/jwks"});
    changes
}

/// Envoy's YAML makes a text of a fraction, of an exponent and of a large number.
#[test]
fn numbers_may_be_texts() {
    for (number, text) in [
        (json!({"cache.max_entries": 300}), json!({"cache.max_entries": "3e2"})),
        (json!({"cache.refresh_ahead": 0.5}), json!({"cache.refresh_ahead": ".5"})),
        (json!({"cache.jitter": 0}), json!({"cache.jitter": "0.0"})),
    ] {
        assert_eq!(described(&parse(&changed(number)).unwrap()), described(&parse(&changed(text)).unwrap()));
    }
    for wrong in ["", ".", "0x1", "inf", "nan", "1,5", "0.5.5", "٣", " 1"] {
        assert!(parse(&changed(json!({"cache.jitter": wrong}))).is_err(), "{wrong}");
    }
}

#[test]
fn a_number_beyond_what_a_struct_can_hold_is_refused() {
    let exact = changed(json!({"policies.default.require.claims": {"id": 9_007_199_254_740_993_u64}}));
    assert!(parse(&exact).is_ok(), "a JSON text has it exactly");
    let refused = Config::parse(&protobuf::of_struct(&exact), &env).unwrap_err().remove(0);
    assert_eq!(refused.path, "policies.default.require.claims.id");
    assert!(refused.problem.starts_with("expected a whole number below 2^53"), "{refused}");
}

#[test]
fn the_host_that_is_called_is_the_issuers_or_the_clusters() {
    let place = |changes: Value| {
        let config = parse(&changed(changes));
        let endpoint =
            config.map(|config| config.providers[0].introspector.clone().unwrap().endpoint.clone());
        endpoint
            .map(|it| it.whereabouts.written().unwrap().clone())
            .map(|it| (it.authority, it.scheme.map(Scheme::as_str)))
            .map_err(|error| error.to_string())
    };
    let cluster = "providers.main.introspection.cluster";
    let of = |host: &str, scheme| Ok((host.to_owned(), scheme));
    assert_eq!(place(json!({})), of("authorization-server", None));
    let issuer = "https://as.example:8443/realms/a";
    assert_eq!(place(json!({"providers.main.issuer": issuer})), of("as.example:8443", Some("https")));
    let istio = "outbound|443||as.example";
    assert_eq!(
        place(json!({"providers.main.issuer": issuer, cluster: istio})),
        of("as.example:8443", Some("https"))
    );
    assert_eq!(
        place(json!({"providers.main.issuer": "as", cluster: "as-1.example"})),
        of("as-1.example", None)
    );
    let named = json!({"providers.main.introspection.authority": "a.example", "providers.main.introspection.scheme": "https", cluster: istio});
    assert_eq!(place(named), of("a.example", Some("https")));
    for name in [istio, "httproute/ns/name/rule/0"] {
        let wanted = "providers.main.introspection.authority: expected a host, for the name of the cluster is none and the provider has no issuer, got none";
        assert_eq!(place(json!({cluster: name})), Err(wanted.to_owned()), "{name}");
    }
}

#[test]
fn a_digest_depends_on_all_that_may_change_the_answer() {
    let digests = |changes: Value| {
        let config = parse(&changed(changes)).unwrap();
        config.providers[0]
            .introspector
            .as_ref()
            .unwrap()
            .digest_seed
            .digest(&AccessToken::parse(b"a").unwrap())
    };
    let mut seen = vec![digests(json!({}))];
    for changes in [
        json!({"providers.main.issuer": "https://as.example"}),
        json!({"providers.main.introspection.cluster": "other"}),
        json!({"providers.main.introspection.authority": "as.example"}),
        json!({"providers.main.introspection.path": "/introspect"}),
        json!({"providers.main.introspection.auth": {"none": {"client_id": "other"}}}),
        json!({"providers.main.introspection.token_type_hint": ""}),
        json!({"providers.main.introspection.parameters": {"a": "b"}}),
        json!({"providers.main.introspection.headers": {"a": "b"}}),
        json!({"providers.main.introspection.jwt_member": "jwt"}),
        json!({"providers.main.introspection.scheme": "https"}),
        json!({"providers.main.introspection.inactive_statuses": [404]}),
        json!({"providers.main.introspection.auth": {"none": {}}}),
        json!({"providers.main.claim_names.scope": ["scp"]}),
        json!({"providers.main.claim_names.client_id": ["azp"]}),
        json!({"providers.main.claim_names.sid": ["/ext/sid"]}),
        signed(json!({"providers.main.introspection.response": "jwt"})),
        signed(json!({"providers.main.introspection.response": "application_jwt"})),
        signed(json!({
            "providers.main.introspection.response": "jwt",
            "providers.main.introspection.response_audiences": ["another"],
        })),
    ] {
        let digest = digests(changes.clone());
        assert!(!seen.contains(&digest), "{changes}");
        seen.push(digest);
    }
    // A rotated secret or a longer timeout changes no answer.
    let same = json!({
        "providers.main.introspection.timeout": "5s",
        "providers.main.introspection.auth.client_secret_basic.client_secret": {"inline": "new"},
    });
    assert_eq!(digests(same), seen[0]);
}

#[test]
fn a_phantom_token_is_known_by_all_that_shapes_it() {
    let id = |changes: Value| parse(&changed(changes)).unwrap().phantom_token.unwrap().id;
    let mut seen = vec![id(json!({}))];
    let ed25519 = json!({"inline": include_str!("../keys/ed25519.pem")});
    for changes in [
        json!({"phantom_token.issuer": "https://other.example"}),
        json!({"phantom_token.audiences": ["https://api.example"]}),
        json!({"phantom_token.ttl": "4m"}),
        json!({"phantom_token.signing_keys[0].kid": "b"}),
        json!({"phantom_token.signing_keys[0]": {"kid": "2026-11", "alg": "EdDSA", "private_key": ed25519}}),
        json!({"phantom_token.claims.include": []}),
        json!({"phantom_token.claims.include": ["sub"]}),
        json!({"phantom_token.claims.exclude": ["sub"]}),
        json!({"phantom_token.claims.rename": {"sub": "user"}}),
        json!({"phantom_token.claims.add": {"sub": "user"}}),
    ] {
        let id = id(changes.clone());
        assert!(!seen.contains(&id), "{changes}");
        seen.push(id);
    }
}

#[test]
fn private_keys_are_pem_or_jwk() {
    let jwk = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for (alg, pem, public_pem, jwk_text) in [
        (
            "ES256",
            include_str!("../keys/ec256.pem"),
            include_str!("../keys/ec256.public.pem"),
            include_str!("../keys/ec256.jwk.json"),
        ),
        (
            "ES384",
            include_str!("../keys/ec384.pem"),
            include_str!("../keys/ec384.public.pem"),
            include_str!("../keys/ec384.jwk.json"),
        ),
        (
            "EdDSA",
            include_str!("../keys/ed25519.pem"),
            include_str!("../keys/ed25519.public.pem"),
            include_str!("../keys/ed25519.jwk.json"),
        ),
        (
            "RS256",
            include_str!("../keys/rsa2048.pem"),
            include_str!("../keys/rsa2048.public.pem"),
            include_str!("../keys/rsa2048.jwk.json"),
        ),
    ] {
        let published = |key: Value| {
            let key = [("kid".to_owned(), json!("a")), ("alg".to_owned(), json!(alg))]
                .into_iter()
                .chain(key.as_object().unwrap().clone());
            let mut config = smallest();
            // The first key signs, so the one in question comes second.
            config["phantom_token"]["signing_keys"].as_array_mut().unwrap().push(key.collect());
            parse(&config).unwrap().phantom_token.unwrap().published_keys[1].clone()
        };
        let expected = PublicKey::parse(public_pem).unwrap().to_jwk();
        for key in [
            json!({"private_key": {"inline": pem}}),
            json!({"private_key": {"inline": jwk_text}}),
            json!({"private_key": {"inline": jwk(jwk_text)}}),
            json!({"public_key": {"inline": public_pem}}),
            json!({"public_key": {"inline": jwk(jwk_text)}}),
            json!({"public_key": public_pem}),
            json!({"public_key": jwk_text}),
        ] {
            let published = published(key.clone());
            assert!(!published.contains_key("d"), "{key}");
            assert!(expected.iter().all(|(name, value)| published[name] == *value), "{key}: {published:?}");
            assert_eq!(
                (&published["kid"], &published["alg"], &published["use"]),
                (&json!("a"), &json!(alg), &json!("sig"))
            );
        }
    }
}

/// A `google.protobuf.Struct` as Envoy serializes it.
mod protobuf {
    use serde_json::Value;

    pub(super) fn of_struct(object: &Value) -> Vec<u8> {
        let entry = |(name, member): (&String, &Value)| {
            field(1, &[field(1, name.as_bytes()), field(2, &of_value(member))].concat())
        };
        object.as_object().unwrap().iter().flat_map(entry).collect()
    }

    fn of_value(value: &Value) -> Vec<u8> {
        match value {
            Value::Null => vec![1 << 3, 0],
            Value::Number(number) => [&[2 << 3 | 1][..], &number.as_f64().unwrap().to_le_bytes()].concat(),
            Value::String(text) => field(3, text.as_bytes()),
            Value::Bool(bool) => vec![4 << 3, u8::from(*bool)],
            Value::Object(_) => field(5, &of_struct(value)),
            Value::Array(elements) => field(
                6,
                &elements.iter().flat_map(|element| field(1, &of_value(element))).collect::<Vec<_>>(),
            ),
        }
    }

    /// A length-delimited field.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut message = vec![number << 3 | 2];
        let mut len = bytes.len();
        while len >= 0x80 {
            message.push((len % 0x80) as u8 | 0x80);
            len /= 0x80;
        }
        message.push(len as u8);
        [message, bytes.to_vec()].concat()
    }
}
