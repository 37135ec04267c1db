//! A stream of security events that the filter finds or makes itself (SSF 1.0 §8.1): what is asked of the transmitter, and
//! what is believed of its answers.
//!
//! Ours is the one with our description; of a transmitter that keeps no descriptions, the only one that is polled. Nothing
//! is deleted, and none that is somebody else's is changed. What the transmitter says leads nowhere else: of an endpoint's URL
//! the path is taken, and only if its host is one that is called anyway.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::claim::text;
use crate::client::{Authorization, ClientCredentials, credentials};
use crate::http::{HttpCall, Reply, Unreadable};
use crate::json::{self, NotAnObject};
use crate::target::{Host, Target, Url};
use crate::token::Secret;

/// A stream, as it is configured.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The transmitter's configuration endpoint.
    pub target: Target,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What `authorization` is: this, or `Bearer` and this.
    pub authorization: Option<Authorization>,
    /// The transmitter.
    pub issuer: String,
    /// What our stream is known by.
    pub description: String,
    /// The events that are asked for.
    pub events: Vec<String>,
    /// Whose events come.
    pub subjects: Subjects,
    /// Where its endpoints may be.
    pub allowed_hosts: Vec<Host>,
    /// Path of where it is polled, where that is written; otherwise the transmitter says it.
    pub polled_at: Option<String>,
}

/// Whose events come.
#[derive(Clone, Debug, PartialEq)]
pub enum Subjects {
    /// Everybody's, which only the transmitter can bring about.
    All,
    /// Those of whom somebody else adds.
    None,
    /// Those of these (RFC 9493), whom we add.
    These(Vec<Value>),
}

/// A stream that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its identifier.
    pub stream_id: String,
    /// `aud` of its events: one of these.
    pub audiences: Vec<String>,
    /// Path of where it is polled.
    pub path: String,
    /// Whether it lacks events that the transmitter would send if they were asked for.
    pub lacks_events: bool,
    /// Between two verifications at the least.
    pub verification_interval: Duration,
}

/// What the transmitter says of itself (SSF 1.0 §7.1), as far as it is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Path of where subjects are added.
    pub add_subject: Option<String>,
    /// Path of where verification is asked for.
    pub verification: Option<String>,
    /// Whether events come of subjects that nobody has added; `None` if it does not say.
    pub are_all_subjects: Option<bool>,
}

/// Why an answer is of no use. Says nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A member is absent, of another type, or longer than any.
    BadMember(&'static str),
    /// There are streams, none of which is known to be ours.
    Ambiguous,
    /// It may have no further stream.
    NoMoreStreams,
    /// The body is not JSON as it should be.
    NotJson(NotAnObject),
    /// The stream is not polled.
    NotPolled,
    /// An endpoint is on a host that is not called.
    OtherHost(&'static str),
    /// It is by another transmitter.
    OtherIssuer,
    /// Another status.
    Status(u16),
    /// The body is not read.
    Unreadable(Unreadable),
}

impl Stream {
    /// What an access token is fetched with, if calls show one that is.
    pub fn client_credentials(&self) -> Option<&Rc<ClientCredentials>> {
        self.authorization.as_ref()?.client_credentials()
    }

    /// Asks for the streams that there are.
    pub fn list(&self, fetched: Option<&Secret>) -> HttpCall {
        self.call("GET", &self.target.path, None, fetched)
    }

    /// Asks for a stream.
    pub fn create(&self, fetched: Option<&Secret>) -> HttpCall {
        let body = json!({
            "delivery": {"method": POLL}, "events_requested": self.events, "description": self.description,
        });
        self.call("POST", &self.target.path, Some(&body), fetched)
    }

    /// Asks for our events, of a stream of ours.
    pub fn update(&self, found: &Found, fetched: Option<&Secret>) -> HttpCall {
        let body = json!({"stream_id": found.stream_id, "events_requested": self.events});
        self.call("PATCH", &self.target.path, Some(&body), fetched)
    }

    /// Asks what the transmitter says of itself; `None` if there are not so many documents. The first is where SSF 1.0 §7.2
    /// has it, the second where some have it.
    pub fn metadata(&self, document: usize, fetched: Option<&Secret>) -> Option<HttpCall> {
        let path = Url::parse(&self.issuer).map_or_else(String::new, |url| url.path);
        let path = path.trim_end_matches('/');
        let path = match document {
            0 => [WELL_KNOWN, path].concat(),
            1 if !path.is_empty() => [path, WELL_KNOWN].concat(),
            _ => return None,
        };
        Some(self.call("GET", &path, None, fetched))
    }

    /// Adds a subject; `None` if there are not so many.
    pub fn add_subject(
        &self,
        place: usize,
        found: &Found,
        path: &str,
        fetched: Option<&Secret>,
    ) -> Option<HttpCall> {
        let Subjects::These(subjects) = &self.subjects else { return None };
        let body = json!({"stream_id": found.stream_id, "subject": subjects.get(place)?});
        Some(self.call("POST", path, Some(&body), fetched))
    }

    /// Asks for an event that proves that events come.
    pub fn verify(&self, found: &Found, path: &str, state: &str, fetched: Option<&Secret>) -> HttpCall {
        let body = json!({"stream_id": found.stream_id, "state": state});
        self.call("POST", path, Some(&body), fetched)
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>, fetched: Option<&Secret>) -> HttpCall {
        let target = Target { path: path.to_owned(), ..self.target.clone() };
        let secret = self.authorization.as_ref().and_then(|it| it.secret(fetched));
        let body = body.map(|body| body.to_string().into_bytes());
        target.json(method, body, secret.map(credentials), self.timeout)
    }

    /// Ours of the streams that there are; `None`: it is yet to be made.
    ///
    /// # Errors
    ///
    /// [`Refused`] with the reason.
    pub fn find(&self, reply: &Reply<'_>) -> Result<Option<Found>, Refused> {
        let streams = match read(reply, &[200, 404])? {
            _ if reply.status == 404 => return Ok(None),
            Value::Array(streams) => streams,
            // Of one, older drafts have no list.
            Value::Object(stream) if stream.is_empty() => return Ok(None),
            stream @ Value::Object(_) => vec![stream],
            _ => return Err(Refused::NotJson(NotAnObject::OtherValue)),
        };
        if streams.len() > MAX_STREAMS {
            return Err(Refused::BadMember("stream_id"));
        }
        let streams: Vec<&Map<String, Value>> = streams.iter().filter_map(Value::as_object).collect();
        let described =
            |stream: &&&Map<String, Value>| text(stream, "description") == Some(&self.description);
        // Whatever the order: a restart finds the same one.
        let ours = streams.iter().filter(described).min_by_key(|stream| text(stream, "stream_id"));
        let ours = match ours {
            Some(ours) => Some(*ours),
            None => {
                let mut nameless = streams.iter().filter(|stream| {
                    is_polled(stream) && text(stream, "description").is_none_or(str::is_empty)
                });
                match (nameless.next(), nameless.next()) {
                    (_, Some(_)) => return Err(Refused::Ambiguous),
                    (only, None) => only.copied(),
                }
            }
        };
        ours.map(|stream| self.read_stream(stream)).transpose()
    }

    /// The stream that was made, or changed.
    ///
    /// # Errors
    ///
    /// [`Refused`] with the reason.
    pub fn made(&self, reply: &Reply<'_>) -> Result<Found, Refused> {
        if reply.status == 409 && !reply.from_envoy {
            return Err(Refused::NoMoreStreams);
        }
        match read(reply, &[200, 201])? {
            Value::Object(stream) => self.read_stream(&stream),
            _ => Err(Refused::NotJson(NotAnObject::OtherValue)),
        }
    }

    fn read_stream(&self, stream: &Map<String, Value>) -> Result<Found, Refused> {
        if text(stream, "iss") != Some(&self.issuer) {
            return Err(Refused::OtherIssuer);
        }
        if !is_polled(stream) {
            return Err(Refused::NotPolled);
        }
        let is_short = |text: &&str| !text.is_empty() && text.len() <= MAX_TEXT;
        let stream_id = text(stream, "stream_id").filter(is_short).ok_or(Refused::BadMember("stream_id"))?;
        let audiences: Vec<String> = match stream.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let is_audience = |audience: &String| is_short(&audience.as_str());
        if audiences.is_empty() || audiences.len() > MAX_AUDIENCES || !audiences.iter().all(is_audience) {
            return Err(Refused::BadMember("aud"));
        }
        let delivery = stream.get("delivery").and_then(Value::as_object);
        let endpoint = delivery.and_then(|delivery| text(delivery, "endpoint_url"));
        let path = self.path(endpoint, "endpoint_url")?.ok_or(Refused::BadMember("endpoint_url"))?;
        let has = |name: &str| {
            let all = stream.get(name).and_then(Value::as_array);
            all.map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>())
        };
        let (requested, supported) = (has("events_requested").unwrap_or_default(), has("events_supported"));
        let is_lacking = |event: &String| {
            !requested.contains(&event.as_str())
                && supported.as_ref().is_none_or(|supported| supported.contains(&event.as_str()))
        };
        let seconds = stream.get("min_verification_interval").and_then(Value::as_u64).unwrap_or_default();
        Ok(Found {
            stream_id: stream_id.to_owned(),
            audiences,
            path,
            lacks_events: self.events.iter().any(is_lacking),
            verification_interval: Duration::from_secs(seconds.min(MAX_INTERVAL)),
        })
    }

    /// What the transmitter says of itself.
    ///
    /// # Errors
    ///
    /// [`Refused`] with the reason.
    pub fn endpoints(&self, reply: &Reply<'_>) -> Result<Endpoints, Refused> {
        let Value::Object(members) = read(reply, &[200])? else {
            return Err(Refused::NotJson(NotAnObject::OtherValue));
        };
        if text(&members, "issuer") != Some(&self.issuer) {
            return Err(Refused::OtherIssuer);
        }
        Ok(Endpoints {
            add_subject: self.path(text(&members, "add_subject_endpoint"), "add_subject_endpoint")?,
            verification: self.path(text(&members, "verification_endpoint"), "verification_endpoint")?,
            are_all_subjects: text(&members, "default_subjects").map(|subjects| subjects == "ALL"),
        })
    }

    /// The path of an endpoint, which is on a host that may be called.
    fn path(&self, endpoint: Option<&str>, name: &'static str) -> Result<Option<String>, Refused> {
        let Some(endpoint) = endpoint else { return Ok(None) };
        let url = Url::parse(endpoint).ok_or(Refused::BadMember(name))?;
        let host = url.host().ok_or(Refused::BadMember(name))?;
        if !self.allowed_hosts.iter().any(|allowed| allowed.covers(&host)) {
            return Err(Refused::OtherHost(name));
        }
        Ok(Some(url.path))
    }
}

/// Whether what was asked for is done.
///
/// # Errors
///
/// [`Refused`] with the status.
pub fn done(reply: &Reply<'_>) -> Result<(), Refused> {
    match reply.status {
        200 | 202 | 204 if !reply.from_envoy => Ok(()),
        status => Err(Refused::Status(status)),
    }
}

fn read(reply: &Reply<'_>, statuses: &[u16]) -> Result<Value, Refused> {
    if reply.from_envoy || !statuses.contains(&reply.status) {
        return Err(Refused::Status(reply.status));
    }
    if reply.status == 404 {
        return Ok(Value::Null);
    }
    json::value(reply.text().map_err(Refused::Unreadable)?).map_err(Refused::NotJson)
}

fn is_polled(stream: &Map<String, Value>) -> bool {
    let delivery = stream.get("delivery").and_then(Value::as_object);
    delivery.and_then(|delivery| text(delivery, "method")).is_some_and(|it| [POLL, RISC_POLL].contains(&it))
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambiguous => {
                f.write_str("there are several streams without a description, any of which may be ours")
            }
            Self::BadMember(name) => write!(f, "{name} is absent, of another type, or longer than any"),
            Self::NoMoreStreams => f.write_str(
                "it lets us have no further stream (409), and none that there is has the description of ours",
            ),
            Self::NotJson(reason) => reason.fmt(f),
            Self::NotPolled => {
                f.write_str("the stream of our description is not delivered by polling (RFC 8936)")
            }
            Self::OtherHost(name) => write!(f, "{name} is on another host than those that are called"),
            Self::OtherIssuer => f.write_str("it names another issuer than the one that is configured"),
            Self::Status(status) => write!(f, "got status {status}"),
            Self::Unreadable(reason) => reason.fmt(f),
        }
    }
}

const WELL_KNOWN: &str = "/.well-known/ssf-configuration";

/// Delivery by polling, as it is asked for (SSF 1.0 §6.1).
const POLL: &str = "urn:ietf:rfc:8936";

/// The same, in older drafts.
const RISC_POLL: &str = "https://schemas.openid.net/secevent/risc/delivery-method/poll";

/// Of one receiver.
const MAX_STREAMS: usize = 100;

const MAX_AUDIENCES: usize = 16;

/// Of an identifier or an audience.
const MAX_TEXT: usize = 1024;

/// Seconds that a transmitter can keep us from verifying a stream.
const MAX_INTERVAL: u64 = 24 * 60 * 60;
