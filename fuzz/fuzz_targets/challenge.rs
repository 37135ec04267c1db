//! Challenges (RFC 6750 §3, RFC 9110 §11.6.1): whatever realm and scopes an operator may write, a client reads one
//! challenge of `Bearer` and one of `DPoP`, the one that was used first, with each parameter once and as it was written, and nothing else in the answer's headers.
//! The first line of the input is the realm, each other one a scope.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::challenge::Occasion;
use phantom_token_filter::config::Config;
use phantom_token_filter::introspection::ServerFailure;
use phantom_token_filter::policy::{Denial, InsufficientScope, InvalidRequest, InvalidToken, Unavailable};
use phantom_token_filter::request::KeptHeaders;
use phantom_token_filter::sender_constrained::dpop::BadProof;
use phantom_token_filter::token::Scheme;
use serde_json::{Value, json};

/// The parameters of a challenge, by RFC 9110: `SCHEME name="value", ..`, values with their escapes undone.
fn parameters(scheme: &str, challenge: &str) -> Vec<(String, String)> {
    let mut rest =
        challenge.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(' ')).expect("the scheme");
    let mut found: Vec<(String, String)> = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").expect("a parameter with a quoted string");
        assert!(
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{name}"
        );
        let (mut value, mut bytes) = (String::new(), after.char_indices());
        let end = loop {
            match bytes.next().expect("the end of a quoted string") {
                (at, '"') => break at,
                (_, '\\') => value.push(bytes.next().expect("what is escaped").1),
                (_, byte) => {
                    assert!(matches!(byte, ' '..='~'), "{byte:?} in a header");
                    value.push(byte);
                }
            }
        };
        assert!(found.iter().all(|(other, _)| other != name), "{name} twice");
        found.push((name.to_owned(), value));
        match after.split_at(end + 1).1 {
            "" => return found,
            more => rest = more.strip_prefix(", ").expect("another parameter"),
        }
    }
}

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let realm = lines.next().unwrap_or_default();
    let scopes: Vec<&str> = lines.take(64).collect();
    let configuration = |error_description: bool| {
        json!({
            "providers": {"main": {"introspection": {"cluster": "as", "path": "/i", "auth": {"none": {}}}}},
            "policies": {"default": {"strategy": "introspection", "require": {"scopes": scopes}}},
            "challenge": {"realm": realm, "error_description": error_description},
            "dpop": {"origins": ["https://api.example"], "algorithms": ["PS256", "ES256"]},
        })
    };
    for error_description in [true, false] {
        let json = configuration(error_description).to_string();
        // What cannot be written into a challenge is refused when the configuration is read.
        let Ok(config) = Config::parse(json.as_bytes(), &|_| None) else { return };
        let policy = config.policy_of(&KeptHeaders::default()).expect("the only policy").policy;
        let scope = policy.require.scope();
        for denial in [
            Denial::MissingToken,
            Denial::from(InsufficientScope::MissingScope),
            InsufficientScope::OtherClient.into(),
            InvalidRequest::SeveralTokens.into(),
            InvalidToken::Inactive.into(),
            InvalidToken::Malformed.into(),
            Denial::InvalidDpopProof(BadProof::Replayed),
            Unavailable::AuthorizationServer(ServerFailure::Timeout).into(),
            Unavailable::TooManyCalls.into(),
        ] {
            let is_dpop =
                matches!(denial, Denial::InvalidDpopProof(_) | Denial::InvalidToken(InvalidToken::Malformed));
            let scheme = if is_dpop { Scheme::DPoP } else { Scheme::Bearer };
            let occasion = Occasion { scope: &scope, resource_metadata: None, scheme, verifies_sender: true };
            let answer = config.challenge.answer(&denial, occasion);
            let challenges: Vec<_> =
                answer.headers.iter().filter(|(name, _)| *name == "www-authenticate").collect();
            let error = serde_json::from_str::<Value>(&answer.body).expect("a body in JSON")["error"].clone();
            if let Denial::Unavailable(_) = denial {
                assert!(challenges.is_empty() && answer.status == 503, "the token may be good");
                continue;
            }
            let [(_, challenge), (_, other)] = challenges[..] else {
                panic!("{} challenges", challenges.len())
            };
            assert!(challenge.len() < realm.len() + (4 << 10) + 256);
            let (used, offered) = if is_dpop { ("DPoP", "Bearer") } else { ("Bearer", "DPoP") };
            let others = parameters(offered, other);
            assert!(others.iter().all(|(name, _)| name != "error" && name != "error_description"), "{other}");
            let parameters = parameters(used, challenge);
            let algs = parameters.iter().chain(&others).filter(|(name, _)| name == "algs");
            assert_eq!(algs.map(|(_, algs)| algs.as_str()).collect::<Vec<_>>(), ["PS256 ES256"]);
            let get = |name: &str| {
                parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
            };
            assert_eq!(get("realm"), Some(realm));
            let told = (!scope.is_empty() && scope.len() <= 4 << 10).then_some(scope.as_str());
            assert_eq!(get("scope"), told);
            // Without credentials, no error code (RFC 6750 §3.1).
            let has_code = !matches!(denial, Denial::MissingToken);
            assert_eq!(get("error"), has_code.then(|| error.as_str().expect("an error")));
            assert_eq!(get("error_description").is_some(), has_code && error_description);
        }
    }
});
