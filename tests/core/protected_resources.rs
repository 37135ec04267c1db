//! Protected resource metadata (RFC 9728): the document, the challenge that points to it, and the audience.

use std::borrow::Cow;
use std::cell::Cell;

use phantom_token_filter::challenge::Answer;
use phantom_token_filter::config::Config;
use phantom_token_filter::request::{RequestView, Unreadable};
use serde_json::{Value, json};

use crate::support::{Fate, Request, Worker, active, config};

fn resources() -> Value {
    config(json!({
        "providers": {"main": {"issuer": "https://as.example"}},
        "protected_resources": {
            "api": {"resource": "https://api.example/v1", "scopes_supported": ["read"], "metadata": {"resource_name": "API"}},
            "other": {"resource": "https://api.example/v2", "authorization_servers": ["https://other.example"]},
        },
        "policies": {
            "default": {"resource": "api", "require": {"scopes": ["read"]}},
            "second": {"resource": "other", "require": {"audiences": ["https://api.example"]}},
        },
        "rules": [{"match": {"path_prefix": "/v2"}, "policy": "second"}],
    }))
}

fn request(method: &str, authority: &str, path: &str) -> Request {
    Request::default().with(":method", method).with(":authority", authority).with(":path", path)
}

fn answer(request: &Request) -> Answer {
    let mut worker = Worker::new(resources());
    let stream = worker.receive(request);
    let Fate::Answered(answer) = worker.fate(stream) else { panic!("not answered") };
    answer
}

fn header(answer: &Answer, wanted: &str) -> Option<String> {
    answer.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
}

#[test]
fn the_document_is_answered_on_its_host_before_any_policy() {
    let path = "/.well-known/oauth-protected-resource/v1";
    for method in ["GET", "HEAD"] {
        let answer = answer(&request(method, "API.example:443", path));
        assert_eq!(answer.status, 200);
        assert_eq!(
            serde_json::from_str::<Value>(&answer.body).unwrap(),
            json!({
                "resource": "https://api.example/v1", "authorization_servers": ["https://as.example"],
                "scopes_supported": ["read"], "resource_name": "API"
            })
        );
        assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some("*"));
    }
    assert_eq!(answer(&request("OPTIONS", "api.example", path)).status, 204);
    assert_eq!(answer(&request("POST", "api.example", path)).status, 405);
    // Another host, another port, another path, and the root form where two resources could be meant: as any request.
    for (authority, path) in [
        ("evil.example", path),
        ("api.example:8443", path),
        ("api.example", "/.well-known/oauth-protected-resource/v3"),
        ("api.example", "/.well-known/oauth-protected-resource/v1/../v2"),
        ("api.example", "/.well-known/oauth-protected-resource"),
    ] {
        assert_eq!(answer(&request("GET", authority, path)).status, 401, "{authority}{path}");
    }
}

#[test]
fn a_challenge_points_to_the_metadata_of_its_policys_resource() {
    for version in ["v1", "v2"] {
        let answer = answer(&request("GET", "evil.example", &["/", version, "/x"].concat()));
        let challenge = header(&answer, "www-authenticate").unwrap();
        let url = format!(
            "resource_metadata=\"https://api.example/.well-known/oauth-protected-resource/{version}\""
        );
        assert!(challenge.contains(&url), "{challenge}");
        assert_eq!(challenge.contains("scope=\"read\""), version == "v1", "{challenge}");
        assert_eq!(header(&answer, "access-control-expose-headers").as_deref(), Some("WWW-Authenticate"));
    }
}

#[test]
fn the_audience_is_the_resource_unless_the_policy_names_its_own() {
    for (path, aud, status) in [
        ("/v1", "https://api.example/v1", None),
        ("/v1", "https://api.example", Some(401)),
        ("/v2", "https://api.example", None),
        ("/v2", "https://api.example/v2", Some(401)),
    ] {
        let mut reply = active();
        reply["aud"] = json!(aud);
        reply["iss"] = json!("https://as.example");
        let mut worker = Worker::new(resources());
        let fate =
            worker.call(&request("GET", "api.example", path).with("authorization", "Bearer tok"), &reply);
        let refused = match &fate {
            Fate::Answered(answer) => Some(answer.status),
            _ => None,
        };
        assert_eq!(refused, status, "{path} {aud}");
    }
}

#[test]
fn a_503_has_neither_challenge_nor_word_of_one() {
    let mut worker = Worker::new(resources());
    let stream = worker.receive(&request("GET", "api.example", "/v1").with("authorization", "Bearer tok"));
    worker.answer_with(500, "application/json", b"");
    let Fate::Answered(answer) = worker.fate(stream) else { panic!("not answered") };
    assert_eq!(answer.status, 503);
    assert_eq!(header(&answer, "www-authenticate"), None);
    assert_eq!(header(&answer, "access-control-expose-headers"), None);
}

#[test]
fn the_root_form_is_of_a_hosts_only_resource() {
    let mut one = resources();
    one["protected_resources"]["other"]["resource"] = json!("https://other.example/v2");
    let mut worker = Worker::new(one);
    for (authority, resource) in
        [("api.example", "https://api.example/v1"), ("other.example", "https://other.example/v2")]
    {
        let stream = worker.receive(&request("GET", authority, "/.well-known/oauth-protected-resource"));
        let Fate::Answered(answer) = worker.fate(stream) else { panic!("not answered") };
        assert_eq!(answer.status, 200);
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["resource"], resource);
    }
}

/// A request that counts how often it is asked for its path.
struct Counting(&'static str, Cell<u32>);

impl RequestView for Counting {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match name {
            ":path" => {
                self.1.set(self.1.get() + 1);
                Some(self.0.as_bytes().into())
            }
            ":method" => Some(b"GET".into()),
            ":authority" => Some(b"api.example".into()),
            _ => None,
        }
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        self.header(name).into_iter().map(Cow::into_owned).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        Ok(None)
    }
}

#[test]
fn a_path_is_read_once_and_only_where_there_are_paths_of_our_own() {
    let of = |config: Value| Config::parse(config.to_string().as_bytes(), &|_| None).unwrap();
    let none = of(config(json!({"phantom_token": {"jwks_path": ""}})));
    for (config, path, is_own, reads) in [
        (&of(resources()), "/.well-known/oauth-protected-resource/v1", true, 1),
        (&of(resources()), "/.well-known/jwks.json", true, 1),
        (&of(resources()), "/v1", false, 1),
        (&none, "/.well-known/oauth-protected-resource/v1", false, 0),
    ] {
        let request = Counting(path, Cell::default());
        assert_eq!(config.own_path(&request).is_some(), is_own, "{path}");
        assert_eq!(request.1.take(), reads, "{path}");
        assert_eq!(config.is_own_path(&request), is_own, "{path}");
        assert_eq!(request.1.take(), reads, "{path}");
    }
}
