//! What is said of a request, in lines.

use std::fmt::Write;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use phantom_token_filter::challenge::Answer;
use phantom_token_filter::credentials::TokenSource;
use phantom_token_filter::filter::Passage;
use phantom_token_filter::http::HttpCall;
use phantom_token_filter::policy::{Policy, Requirements, Strategy};
use phantom_token_filter::request::HeaderEdit;
use serde_json::Value;

/// Lines of a name and what is said of it.
#[derive(Default)]
pub(super) struct Lines(pub(super) String);

impl Lines {
    pub(super) fn add(&mut self, name: &str, text: &str) {
        // A `String` takes all that is written.
        _ = writeln!(self.0, "{name:<10}{text}");
    }

    /// What a policy needs of a request.
    pub(super) fn policy(&mut self, policy: &Policy) {
        self.add("strategy", &strategy(&policy.strategy));
        if matches!(policy.strategy, Strategy::Allow) {
            return;
        }
        let sources: Vec<String> = policy.token_sources.iter().map(source).collect();
        self.add("needs", &format!("a token in {}", sources.join(" or ")));
        for need in requirements(&policy.require) {
            self.add("", &need);
        }
        self.add("cache_ttl", &length(policy.cache_ttl));
    }

    pub(super) fn call(&mut self, call: &HttpCall, name: &str) {
        let header = |wanted: &str| {
            call.headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str())
        };
        let (method, host, path) = (header(":method"), header(":authority"), header(":path"));
        self.add(name, &format!("{method} {path} of {host} in the cluster {}", call.cluster));
    }

    pub(super) fn answer(&mut self, answer: &Answer) {
        self.add("answered", &format!("{}, {}", answer.status, answer.details));
        for (name, value) in &answer.headers {
            self.add("", &format!("{name}: {value}"));
        }
        if !answer.body.is_empty() {
            self.add("", answer.body.trim_end());
        }
    }

    pub(super) fn forwarded(&mut self, passage: &Passage) {
        self.add("forwarded", if passage.edits().iter().next().is_some() { "with" } else { "as it came" });
        for edit in passage.edits().iter() {
            match edit {
                HeaderEdit::Remove(name) => self.add("", &format!("{name} removed")),
                HeaderEdit::Set(name, value) => {
                    let value = String::from_utf8_lossy(value);
                    self.add(
                        "",
                        &format!("{name}: {}", claims_of(&value).unwrap_or_else(|| value.into_owned())),
                    );
                }
            }
        }
    }
}

/// The claims of a JWT in their place: it is signed by whatever key is at hand, and nobody should use it.
fn claims_of(value: &str) -> Option<String> {
    let (scheme, token) = value.split_once(' ').unwrap_or(("", value));
    let claims = Base64UrlUnpadded::decode_vec(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(format!("{scheme} JWT of {claims}").trim_start().to_owned())
}

fn strategy(strategy: &Strategy) -> String {
    let of = |name: &str| format!("of {name}");
    match strategy {
        Strategy::Allow => "allow: every request passes, no token is read".to_owned(),
        Strategy::Auto(validators, introspector) => {
            let names: Vec<&str> = validators.iter().map(|it| it.origin.provider.as_str()).collect();
            format!(
                "auto: a JWT {} is validated here, anything else is asked about at {}",
                of(&names.join(" or ")),
                introspector.origin.provider
            )
        }
        Strategy::Introspect(introspector) => format!("{} is asked (RFC 7662)", introspector.origin.provider),
        Strategy::Jwt(validators) => {
            let names: Vec<&str> = validators.iter().map(|it| it.origin.provider.as_str()).collect();
            format!("a JWT {} is validated here (RFC 9068)", of(&names.join(" or ")))
        }
        Strategy::JwtAndIntrospection(both) => {
            let names: Vec<&str> = both.iter().map(|(it, _)| it.origin.provider.as_str()).collect();
            format!("a JWT {} is validated here, and its server is asked", of(&names.join(" or ")))
        }
    }
}

fn source(source: &TokenSource) -> String {
    match source {
        TokenSource::AuthorizationHeader => "Authorization".to_owned(),
        TokenSource::Cookie(name) => format!("the cookie {name}"),
        TokenSource::Header(name) => format!("the header {name}"),
    }
}

fn requirements(require: &Requirements) -> Vec<String> {
    let mut needs = Vec::new();
    let mut list = |what: &str, values: &[String]| {
        if !values.is_empty() {
            needs.push(format!("{what} {}", values.join(", ")));
        }
    };
    list("all of the scopes", &require.scopes);
    list("one of the scopes", &require.any_scope);
    list("one of the audiences", &require.audiences);
    list("one of the clients", &require.client_ids);
    list("one of the classes of authentication", &require.user_authentication.acr_values);
    for (name, values) in &require.claims {
        let values: Vec<String> = values.iter().map(Value::to_string).collect();
        needs.push(format!("the claim {name} as {}", values.join(" or ")));
    }
    if let Some(max_age) = require.user_authentication.max_age {
        needs.push(format!("a user authenticated at most {} ago", length(max_age)));
    }
    needs
}

fn length(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s: every request asks".to_owned();
    }
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}
