//! `explain`: what the filter would do with a request, by the filter itself.

mod request;
mod said;
mod server;
mod worker;

use std::fs;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::SystemTime;

use phantom_token_filter::config::Config;
use phantom_token_filter::policy::Policy;
use phantom_token_filter::token::UnixMillis;

use crate::check::{Configured, File};
use request::{Answer, Request};
use said::Lines;
use server::{Known, Server};
use worker::{Fate, course};

/// What is explained.
#[derive(clap::Args)]
pub(crate) struct Question {
    /// A file that configures the filter, in any form that `check` reads.
    file: String,
    /// The request's method.
    method: String,
    /// Its URL, or its path alone.
    url: String,
    /// One of its headers, as "name: value".
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// A JSON file with the claims of its token, which is active and not expired unless they say so.
    #[arg(long, value_name = "FILE", conflicts_with = "reply")]
    claims: Option<String>,
    /// A file with the server's answer about its token, as it came.
    #[arg(long, value_name = "FILE")]
    reply: Option<String>,
    /// Envoy's name of the route that it takes.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// The policy that the metadata of its route name.
    #[arg(long, value_name = "NAME")]
    route_policy: Option<String>,
}

/// What the filter would do, in lines; where its configuration is no good, what is wrong with that.
///
/// # Errors
///
/// What is wrong with the question.
pub(crate) fn explained(question: &Question) -> Result<(String, ExitCode), String> {
    let file = File::read(&question.file).map_err(|error| format!("{}: {error}", question.file))?;
    let configured = match Configured::first_in(&file) {
        Ok(configured) => configured,
        Err(findings) => {
            let lines = findings.iter().map(|finding| format!("{}:{finding}\n", file.name));
            return Ok((lines.collect(), ExitCode::FAILURE));
        }
    };
    let known = known(question)?;
    let mut request = Request::new(&question.method, &question.url, &question.headers)?;
    request.route = Answer::new(question.route.as_deref());
    request.route_policy = Answer::new(question.route_policy.as_deref());
    Ok((explain(&configured, request, known)?, ExitCode::SUCCESS))
}

/// What the files say of the token.
fn known(question: &Question) -> Result<Option<Known>, String> {
    let read = |name: &String| fs::read(name).map_err(|error| format!("{name}: {error}"));
    Ok(match (&question.claims, &question.reply) {
        (Some(name), _) => {
            let claims = serde_json::from_slice(&read(name)?);
            Some(Known::Claims(claims.map_err(|error| format!("{name}: expected a JSON object: {error}"))?))
        }
        (None, Some(name)) => Some(Known::Reply(read(name)?)),
        (None, None) => None,
    })
}

fn explain(configured: &Configured, request: Request, known: Option<Known>) -> Result<String, String> {
    let (config, now) = (Rc::clone(&configured.config), now());
    let mut lines = Lines::default();
    if configured.count > 1 {
        lines.add(
            "note",
            &format!("the file configures the filter {} times; this is the first", configured.count),
        );
    }
    let path = request.path();
    if may_be_normalised(&path) {
        lines.add(
            "note",
            "Envoy may bring this path to another form first; it is judged as it is written here",
        );
    }
    if config.is_own_path(&request) {
        lines.add("policy", "none: it is one of the filter's own paths");
        return Ok(conclude(lines, &config, &request, None, now));
    }
    let policy = match config.policy_of(&request) {
        Ok(ruling) => Rc::clone(ruling.policy),
        Err(_) => return Ok(conclude(lines, &config, &request, None, now)),
    };
    for (option, reason) in request.unread() {
        lines.add("note", &format!("{option} changes nothing: {reason}"));
    }
    lines.add("policy", &format!("{} ({})", policy.name, why(configured, &policy, &request)));
    lines.policy(&policy);
    let server = known.map(|known| Server::new(known, &policy, now)).transpose()?;
    let request = match (&server, policy.token_sources.first()) {
        (Some(server), Some(source)) if !has_token(&policy, &request) => {
            request.with_token(source, &server.token)
        }
        _ => request,
    };
    Ok(conclude(lines, &config, &request, server.as_ref(), now))
}

/// Whether Envoy has another form for a path, if it is told to look for one.
fn may_be_normalised(path: &str) -> bool {
    path.contains("//") || path.contains('%') || path.split('/').any(|part| part == "." || part == "..")
}

fn has_token(policy: &Policy, request: &Request) -> bool {
    let is_there =
        |source| !matches!(phantom_token_filter::credentials::access_token(request, &[source]), Ok(None));
    policy.token_sources.iter().cloned().any(is_there)
}

/// What says that this is the policy.
fn why(configured: &Configured, policy: &Policy, request: &Request) -> String {
    if request.is_policy_named_by_route(&policy.name) {
        return "named by the route".to_owned();
    }
    match configured.config.rule_of(request) {
        Ok(Some(index)) => {
            let (at, text) = configured.rule(index);
            format!("rules[{index}] at {at}: {text}")
        }
        _ => "the default: no rule holds".to_owned(),
    }
}

fn conclude(
    mut lines: Lines,
    config: &Rc<Config>,
    request: &Request,
    server: Option<&Server>,
    now: UnixMillis,
) -> String {
    let course = course(config, request, server, now);
    for call in &course.calls {
        lines.call(call, "asks");
    }
    match &course.fate {
        Fate::Answered(answer) => lines.answer(answer),
        Fate::Forwarded(passage) => lines.forwarded(passage),
        Fate::Received => lines.add("received", "as a signal: its body decides"),
        Fate::Waits(calls) => {
            for call in calls {
                lines.call(call, "asks");
            }
            lines.add("", "the answer decides: --claims FILE or --reply FILE says what it is");
        }
    }
    if let Some(outcome) = course.outcome {
        lines.add("outcome", outcome);
    }
    lines.0
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
