//! `revocation.security_events`: transmitters of security events.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::authorization::{Whose, authorization};
use super::place::{Place, place, scheme};
use super::reader::{Item, Refused, Section, all};
use super::sender::{Sender, audiences, sender};
use super::{defaults, provider};
use crate::provider::Provider;
use crate::revocation::security_event::{SecurityEventRules, acted_on};
use crate::revocation::sources::{Poll, PushReceiver, SecurityEvents};
use crate::revocation::stream::{Stream, Subjects};
use crate::target::{Host, Target, Url};

/// One transmitter.
#[inline(never)]
pub(super) fn events(item: Item<'_>, providers: &[Provider]) -> Result<SecurityEvents, Refused> {
    let section =
        item.section(&["provider", "issuer", "audiences", "jwks", "algorithms", "push", "poll", "stream"])?;
    let Sender { signer, issuer, subject_issuer } = sender(&section, providers)?;
    let rules = SecurityEventRules {
        issuer,
        // A stream says for whom it is.
        audiences: match (section.get("stream"), section.get("audiences")) {
            (Some(_), None) => Vec::new(),
            _ => audiences(&section)?,
        },
        subject_issuer,
    };
    let whose = Whose { provider: Some(&signer.provider), issuer: Some(&rules.issuer) };
    let stream = section.get("stream").map(|item| stream(item, &rules.issuer, whose)).transpose()?;
    let poll = match (section.get("poll"), &stream) {
        (None, None) => None,
        (item, stream) => Some(poll(&section, item.is_some(), stream.as_ref(), whose)?),
    };
    if let Some(item) = section.get("push").filter(|_| stream.is_some()) {
        return Err(item.error("no such key beside stream, which is polled", "one"));
    }
    let push = section.get("push").map(push).transpose()?;
    if push.is_none() && poll.is_none() {
        return Err(section.error("push", "expected a value here, in poll or in stream, got none"));
    }
    let stream = stream.map(|stream| {
        let authority = poll.as_ref().and_then(|poll| Host::parse(&poll.authority));
        let allowed_hosts = stream.allowed_hosts.iter().cloned().chain(authority).collect();
        let polled_at =
            poll.as_ref().map(|poll| poll.path.clone()).filter(|path| *path != stream.target.path);
        Rc::new(Stream { allowed_hosts, polled_at, ..stream })
    });
    Ok(SecurityEvents { signer, rules, push, poll, stream })
}

fn push(item: Item<'_>) -> Result<PushReceiver, Refused> {
    let section = item.section(&["path", "authorization"])?;
    Ok(PushReceiver {
        path: section.required("path")?.normal_path()?.to_owned(),
        authorization: section.required("authorization")?.secret()?,
    })
}

/// Where and how events are polled. Of a stream, what is not written is the stream's; the path is yet to be found.
fn poll(
    section: &Section<'_>,
    is_written: bool,
    stream: Option<&Stream>,
    whose: Whose<'_>,
) -> Result<Poll, Refused> {
    let section = section.section(
        "poll",
        &["cluster", "scheme", "authority", "path", "interval", "timeout", "authorization"],
    )?;
    let of_stream = stream.map(|stream| &stream.target);
    let Target { cluster, scheme, authority, path } = match of_stream {
        Some(target)
            if !is_written || (section.get("cluster").is_none() && section.get("authority").is_none()) =>
        {
            let scheme = scheme(&section)?.or(target.scheme);
            Target { scheme, ..target.clone() }
        }
        _ => {
            let of_stream = of_stream.map(|target| &*target.cluster);
            let Place { cluster, scheme, authority } = place(&section, whose.issuer, of_stream)?;
            Target { cluster, scheme, authority, path: String::new() }
        }
    };
    let path = match (section.get("path"), stream) {
        (None, Some(_)) => path,
        _ => section.required("path")?.path()?.to_owned(),
    };
    let authorization = section.get("authorization").map(|item| authorization(&item, whose)).transpose()?;
    let intervals = Duration::from_secs(1)..=Duration::from_secs(60 * 60);
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    Ok(Poll {
        cluster,
        scheme,
        authority,
        path,
        interval: section.duration("interval", defaults::POLL_INTERVAL, intervals),
        timeout: section.duration("timeout", defaults::POLL_TIMEOUT, timeouts),
        authorization: authorization.or_else(|| stream?.authorization.clone()),
    })
}

/// A stream that is found, or made.
fn stream(item: Item<'_>, issuer: &str, whose: Whose<'_>) -> Result<Stream, Refused> {
    let section = item.section(&[
        "cluster",
        "scheme",
        "authority",
        "path",
        "timeout",
        "authorization",
        "description",
        "events",
        "subjects",
    ])?;
    let Place { cluster, scheme, authority } = place(&section, Some(issuer), None)?;
    let path = section.required("path").and_then(|item| item.path());
    let authorization = section.get("authorization").map(|item| authorization(&item, whose)).transpose();
    let description = section.get("description").map_or_else(
        || Ok(defaults::STREAM_DESCRIPTION.to_owned()),
        |item| match item.value.is_object() {
            true => item.credential().map(|name| name.secret().to_owned()),
            false => item.text_such("a text of up to 255 characters", is_short).map(str::to_owned),
        },
    );
    let events = event_types(&section);
    let subjects = subjects(&section);
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    let hosts = [Url::parse(issuer).and_then(|url| url.host()), Host::parse(&authority)];
    Ok(Stream {
        target: Target { cluster, scheme, authority, path: path?.to_owned() },
        timeout: section.duration("timeout", defaults::POLL_TIMEOUT, timeouts),
        authorization: authorization?,
        issuer: issuer.to_owned(),
        description: description?,
        events: events?,
        subjects: subjects?,
        allowed_hosts: hosts.into_iter().flatten().collect(),
        polled_at: None,
    })
}

/// The types of events that are asked for: by default all that something follows from.
fn event_types(section: &Section<'_>) -> Result<Vec<String>, Refused> {
    let Some(list) = section.get("events") else { return Ok(acted_on().collect()) };
    let elements = list.elements()?;
    let known: Vec<String> = acted_on().collect();
    for element in &elements {
        if element.value.as_str().is_some_and(|event| !known.iter().any(|known| known == event)) {
            element.warn("nothing follows from such events: they are acknowledged and change nothing");
        }
    }
    provider::some(&list, all(elements.iter().map(|element| element.text().map(str::to_owned))))
}

fn subjects(section: &Section<'_>) -> Result<Subjects, Refused> {
    let wanted = "all, none, or a list of subject identifiers (RFC 9493)";
    let Some(item) = section.get("subjects") else { return Ok(Subjects::All) };
    match item.value {
        Value::String(all) if all == "all" => Ok(Subjects::All),
        Value::String(none) if none == "none" => Ok(Subjects::None),
        Value::Array(subjects) if subjects.len() <= MAX_SUBJECTS => {
            let identifier = |subject: &Item<'_>| {
                let format = subject.value.get("format").and_then(Value::as_str);
                let wanted = "a subject identifier, with its format (RFC 9493)";
                format.map(|_| subject.value.clone()).ok_or_else(|| subject.wrong_type(wanted))
            };
            let subjects = all(item.elements()?.iter().map(identifier));
            provider::some(&item, subjects).map(Subjects::These)
        }
        Value::Array(_) => Err(item.error(&format!("at most {MAX_SUBJECTS} subjects"), "more")),
        _ => Err(item.wrong_type(wanted)),
    }
}

fn is_short(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 255
}

/// Refuses two that would fetch the same stream: what one takes from it and refuses, the other never sees.
pub(super) fn streams_of_their_own(
    section: &Section<'_>,
    events: &[Rc<SecurityEvents>],
) -> Result<(), Refused> {
    let mut seen: Vec<(usize, &Poll)> = Vec::new();
    for (place, poll) in events.iter().enumerate().filter_map(|(place, it)| Some((place, it.poll.as_ref()?)))
    {
        if let Some((other, _)) = seen.iter().find(|(_, other)| other.stream() == poll.stream()) {
            let problem = format!(
                "expected a place or an authorization of its own, got those of {} again",
                section.path_of(&format!("security_events[{other}].poll"))
            );
            return Err(section.error(&format!("security_events[{place}].poll"), &problem));
        }
        seen.push((place, poll));
    }
    Ok(())
}

/// Each costs a call whenever a worker begins to poll.
const MAX_SUBJECTS: usize = 100;
