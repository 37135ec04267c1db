//! What the smallest configuration means.

use std::borrow::Cow;
use std::time::Duration;

use phantom_token_filter::client::{ClientAuthentication, SecretEncoding};
use phantom_token_filter::config::{Config, OwnPath};
use phantom_token_filter::credentials::TokenSource;
use phantom_token_filter::http::Scheme;
use phantom_token_filter::introspection::{Authentication, Response, SignedReply, SignedReplyKind};
use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::policy::{AllowMissing, Authorization, Strategy, UserAuthentication};
use phantom_token_filter::request::{RequestView, Unreadable};
use serde_json::{Value, json};

use crate::good::{change, changed, parse, smallest};

struct Get(&'static str);

impl RequestView for Get {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match name {
            ":method" => Some(b"GET".into()),
            ":path" => Some(self.0.as_bytes().into()),
            _ => None,
        }
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        self.header(name).into_iter().map(Cow::into_owned).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        panic!("policy_from is not route_metadata");
    }
}

#[test]
fn providers() {
    let config = parse(&smallest()).unwrap();
    let [provider] = config.providers.as_slice() else { panic!("{config:?}") };
    assert!(provider.validator.is_none());
    let introspector = provider.introspector.as_ref().unwrap();
    assert_eq!((provider.name.as_str(), introspector.origin.expects.issuer.as_deref()), ("main", None));
    let format = &introspector.token_format;
    assert_eq!((format.prefix.as_str(), format.min_length, format.max_length), ("", 1, 8192));
    assert_eq!(introspector.origin.max_cache_ttl, Duration::from_secs(60));

    let endpoint = &introspector.endpoint;
    assert_eq!(endpoint.response, Response::Json { jwt_member: None });
    let target = endpoint.whereabouts.written().unwrap();
    assert_eq!((&*target.cluster, &*target.authority), ("authorization-server", "authorization-server"));
    assert_eq!((endpoint.timeout, endpoint.retries), (Duration::from_secs(2), 1));
    assert_eq!((endpoint.token_type_hint.as_str(), endpoint.max_concurrent_calls), ("access_token", 100));
    assert_eq!((endpoint.breaker.failures, endpoint.breaker.max_hold), (5, Duration::from_secs(10)));
    assert!(endpoint.parameters.is_empty() && endpoint.headers.is_empty());
    let Authentication::Client(ClientAuthentication::ClientSecretBasic { encoding, .. }) =
        endpoint.authentication
    else {
        panic!("{endpoint:?}")
    };
    assert_eq!(encoding, SecretEncoding::Form);
}

#[test]
fn phantom_tokens() {
    let config = parse(&smallest()).unwrap();
    let token = config.phantom_token.as_ref().unwrap();
    assert_eq!((token.audiences.as_slice(), token.ttl), (&[][..], Duration::from_secs(5 * 60)));
    assert_eq!((token.signing_key.alg(), token.signing_key.kid()), (Algorithm::ES256, Some("2026-11")));
    let claims = &token.claims;
    assert!(
        claims.include.is_none()
            && claims.exclude.is_empty()
            && claims.rename.is_empty()
            && claims.add.is_empty()
    );
    let Some(OwnPath::Answer(jwks)) = config.own_path(&Get("/.well-known/jwks.json")) else { panic!() };
    assert_eq!(jwks.body, token.jwks());
    let off = parse(&changed(json!({"phantom_token.jwks_path": ""}))).unwrap();
    assert!(off.own_path(&Get("/.well-known/jwks.json")).is_none());
}

#[test]
fn policies() {
    let config = parse(&smallest()).unwrap();
    let policy = config.policy_of(&Get("/")).unwrap().policy;
    assert!(matches!(&policy.strategy, Strategy::Introspect(asked) if asked.origin.provider == "main"));
    assert_eq!((policy.name.as_str(), policy.authorization), ("default", Authorization::Jwt));
    assert_eq!(
        (policy.token_sources.as_slice(), policy.cache_ttl),
        (&[TokenSource::AuthorizationHeader][..], Duration::from_secs(60))
    );
    assert!(policy.claim_headers.is_empty() && !policy.allow_preflight);
    assert_eq!(policy.allow_missing, AllowMissing::Never);
    let require = &policy.require;
    assert!(require.scopes.is_empty() && require.any_scope.is_empty() && require.audiences.is_empty());
    assert!(require.client_ids.is_empty() && require.claims.is_empty());
    assert_eq!(require.token_types, ["bearer", "dpop"]);
    assert_eq!(require.user_authentication, UserAuthentication::default());
}

#[test]
fn the_rest() {
    let config = parse(&smallest()).unwrap();
    assert_eq!((config.cache.max_entries, config.cache.max_negative_entries), (10_000, 2_000));
    assert_eq!(config.cache.negative_ttl, Duration::from_secs(10));
    assert_eq!((config.cache.refresh_ahead, config.cache.jitter), (0.8, 0.1));
    assert_eq!(config.cache.stale_if_error, Duration::ZERO);
    assert_eq!((config.challenge.realm.as_str(), config.challenge.error_description), ("api", true));
    assert!(!config.access_log_hits && config.warnings.is_empty());
}

#[test]
fn introspection_forwards_the_original_token() {
    let config = changed(json!({"-phantom_token": 0, "policies.default.strategy": "introspection"}));
    assert_eq!(policy_authorization(&parse(&config).unwrap()), Authorization::Original);
}

#[test]
fn validation() {
    let config = changed(json!({
        "-providers.main.introspection": 0,
        "providers.main.issuer": "https://as.example",
        "providers.main.jwks": {"cluster": "authorization-server", "path": "/jwks"},
        "policies.default.strategy": "jwt",
    }));
    let config = parse(&config).unwrap();
    let validator = config.providers[0].validator.as_ref().unwrap();
    let algorithms: Vec<_> = validator.rules.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    assert_eq!(algorithms, ["ES256", "RS256", "PS256", "EdDSA"]);
    assert_eq!(
        (validator.rules.types.as_slice(), validator.rules.leeway),
        (&["at+jwt".to_owned()][..], Duration::from_secs(30))
    );
    let target = validator.jwks.whereabouts.written().unwrap();
    assert_eq!((&*target.authority, target.scheme), ("as.example", Some(Scheme::Https)));
    assert_eq!(
        (validator.jwks.timeout, validator.jwks.refresh_interval),
        (Duration::from_secs(2), Duration::from_secs(300))
    );
    assert_eq!(policy_authorization(&config), Authorization::Original);
}

#[test]
fn forwarding_depends_on_the_strategy() {
    let authorizations = |strategy: &str, explicit: Value| {
        let mut config = changed(json!({
            "providers.main.issuer": "https://as.example",
            "providers.main.jwks": {"cluster": "authorization-server", "path": "/jwks"},
            "policies.default.strategy": strategy,
        }));
        if !explicit.is_null() {
            config["policies"]["default"]["forward"] = json!({"authorization": explicit});
        }
        let config = parse(&config).unwrap();
        let policy = config.policy_of(&Get("/")).unwrap().policy;
        (policy.authorization, policy.validated_authorization)
    };
    let (jwt, original) = (Authorization::Jwt, Authorization::Original);
    for (strategy, defaults) in [
        ("phantom_token", (jwt, jwt)),
        ("introspection", (original, original)),
        ("jwt", (original, original)),
        ("jwt_and_introspection", (original, original)),
        ("auto", (jwt, original)),
    ] {
        assert_eq!(authorizations(strategy, Value::Null), defaults, "{strategy}");
        // What is written down counts for both.
        for (text, written) in [("jwt", jwt), ("original", original), ("remove", Authorization::Remove)] {
            assert_eq!(authorizations(strategy, json!(text)), (written, written), "{strategy} {text}");
        }
    }
}

#[test]
fn signed_replies() {
    let response = |changes: Value| {
        let mut config = changed(json!({
            "providers.main.issuer": "https://as.example",
            "providers.main.jwks": {"cluster": "authorization-server", "path": "/jwks"},
            "providers.main.introspection.response": "jwt",
        }));
        config = change(config, changes);
        parse(&config).unwrap().providers[0].introspector.as_ref().unwrap().endpoint.response.clone()
    };
    let audiences = |changes: Value| match response(changes) {
        Response::Signed(SignedReply {
            kind: SignedReplyKind::IntrospectionResponse { audiences },
            issuer,
            algorithms,
            ..
        }) => {
            assert_eq!(issuer, "https://as.example");
            assert_eq!(algorithms.len(), 4, "those of jwt.algorithms");
            audiences
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(audiences(json!({})), ["gateway"], "our client_id");
    let named = json!({"providers.main.introspection.response_audiences": ["https://gateway.example"]});
    assert_eq!(audiences(named), ["https://gateway.example"]);
    let given = response(json!({"providers.main.introspection.response": "application_jwt"}));
    assert!(matches!(given, Response::Signed(SignedReply { kind: SignedReplyKind::PhantomToken, .. })));
    let none = json!({"providers.main.introspection.response": "json", "providers.main.introspection.jwt_member": ""});
    assert_eq!(response(none), Response::Json { jwt_member: None });
}

#[test]
fn a_provider_keeps_verdicts_as_long_as_its_most_patient_policy_uses_them() {
    let config = changed(json!({
        "providers.other": {"introspection": {"cluster": "b", "path": "/", "auth": {"none": {"client_id": "g"}}}},
        "policies": {
            "default": {"provider": "main", "cache_ttl": "5s"},
            "slow": {"provider": "main", "cache_ttl": "2m"},
            "payments": {"provider": "other", "cache_ttl": "0s"},
            "public": {"strategy": "allow"},
        },
    }));
    let ttls: Vec<_> = parse(&config)
        .unwrap()
        .providers
        .iter()
        .map(|it| it.introspector.as_ref().unwrap().origin.max_cache_ttl)
        .collect();
    assert_eq!(ttls, [Duration::from_secs(120), Duration::ZERO]);
}

#[test]
fn rules_choose_the_policy() {
    let config = parse(&changed(json!({
        "policies": {"public": {"strategy": "allow"}, "strict": {"cache_ttl": "0s"}},
        "default_policy": "strict",
        "rules": [{"match": {"path": "/healthz", "methods": ["GET"]}, "policy": "public"}],
    })));
    let config = config.unwrap();
    assert_eq!(config.policy_of(&Get("/healthz?full")).unwrap().policy.name, "public");
    assert_eq!(config.policy_of(&Get("/")).unwrap().policy.name, "strict");
}

fn policy_authorization(config: &Config) -> Authorization {
    config.policy_of(&Get("/")).unwrap().policy.authorization
}
