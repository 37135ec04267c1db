//! Three workers of one Envoy, and what happens to them in an order that a number decides: requests, clients that hang
//! up, replies that are early, late or lost, word from one worker to another, withdrawals, ticks, and a clock that is
//! set. Nothing is ever forwarded by a verdict that was too old, or withdrawn, when the request came; nor, where every
//! request asks, by one that another has asked for; nor by a JWT that has ended. Calls may be few, and wait in the queue.
//!
//! `SCHEDULES_FOR=10m cargo test --release --test core -- schedules` runs for ten minutes, `SEED=..` begins with another number.

mod random;
mod requests;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use phantom_token_filter::cache::{ProviderTag, Subject, Which, Withdrawals};
use phantom_token_filter::filter::{CallId, StreamId};
use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::token::{AccessToken, UnixMillis};
use random::Random;
use requests::{Judged, KINDS, Kind, jwt};
use serde_json::json;

use crate::support::issuer::jwk;
use crate::support::{Fate, Request, START, Worker, config};

/// A point in the order of things, which no clock tells: (true time in milliseconds, step).
type Point = (u64, u64);

/// A question that the server got.
struct Question {
    token: u64,
    /// What the server looks up it looks up at once; its answer is on the way.
    is_active: bool,
    sent: Point,
}

struct Came {
    token: u64,
    at: Point,
    clock: UnixMillis,
    kind: &'static Kind,
}

struct World {
    random: Random,
    workers: Vec<Worker>,
    withdrawals: Withdrawals,
    stale_if_error: u64,
    true_millis: u64,
    step: u64,
    clock: UnixMillis,
    is_active: Vec<bool>,
    questions: Vec<Question>,
    open: Vec<BTreeMap<CallId, usize>>,
    came: Vec<BTreeMap<StreamId, Came>>,
    /// When tokens were withdrawn last.
    withdrawn: Vec<Option<Point>>,
    /// JWTs and their ends. They are the tokens after the opaque ones; the last ones are in use.
    jwts: Vec<(String, UnixMillis)>,
    forwarded: u64,
    remembered: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let stale_if_error = if random.one_in(3) { 5_000 } else { 0 };
        let (max_entries, refresh_ahead) =
            ([2, 4, 1000][random.next(3) as usize], [0.0, 0.5][random.next(2) as usize]);
        let max_concurrent_calls = [1, 2, 100][random.next(3) as usize];
        let settings = config(json!({
            "providers": {"main": {
                "issuer": ISSUER,
                "introspection": {
                    "timeout": "2s", "retries": random.next(2), "breaker": {"failures": 3},
                    "max_concurrent_calls": max_concurrent_calls,
                },
                "jwks": {"cluster": "as", "path": "/jwks"},
                "jwt": {"leeway": "0s"},
            }},
            "policies": {
                "default": {"strategy": "introspection", "cache_ttl": format!("{USUAL}ms"),
                            "forward": {"claim_headers": {"x-serial": "serial"}}},
                "strict": {"strategy": "introspection", "cache_ttl": format!("{STRICT}ms"),
                           "forward": {"claim_headers": {"x-serial": "serial"}}},
                "fresh": {"strategy": "introspection", "cache_ttl": "0s",
                          "forward": {"claim_headers": {"x-serial": "serial"}}},
                "jwt": {"strategy": "jwt", "cache_ttl": format!("{USUAL}ms")},
                "both": {"strategy": "jwt_and_introspection", "cache_ttl": format!("{USUAL}ms"),
                         "forward": {"claim_headers": {"x-serial": "serial"}}},
            },
            "rules": [{"match": {"path": "/strict"}, "policy": "strict"},
                      {"match": {"path": "/fresh"}, "policy": "fresh"},
                      {"match": {"path": "/jwt"}, "policy": "jwt"},
                      {"match": {"path": "/both"}, "policy": "both"}],
            "cache": {
                "max_entries": max_entries,
                "refresh_ahead": refresh_ahead,
                "stale_if_error": format!("{stale_if_error}ms"),
            },
        }));
        let first = Worker::new(settings.clone());
        let shared = first.shared.clone();
        let mut workers = vec![first];
        workers.extend((1..WORKERS).map(|_| Worker::sharing(settings.clone(), shared.clone())));
        let withdrawals = Withdrawals::new(Rc::new(shared));
        withdrawals.create();
        Self {
            random,
            workers,
            withdrawals,
            stale_if_error,
            true_millis: 1_000_000,
            step: 0,
            clock: START,
            is_active: vec![true; OPAQUE as usize],
            questions: Vec::new(),
            open: (0..WORKERS).map(|_| BTreeMap::new()).collect(),
            came: (0..WORKERS).map(|_| BTreeMap::new()).collect(),
            withdrawn: vec![None; OPAQUE as usize],
            jwts: Vec::new(),
            forwarded: 0,
            remembered: 0,
        }
    }

    fn point(&mut self) -> Point {
        self.step += 1;
        (self.true_millis, self.step)
    }

    fn pass(&mut self, millis: u64) {
        self.true_millis += millis;
        self.set_clock(self.clock.plus(Duration::from_millis(millis)));
    }

    fn set_clock(&mut self, clock: UnixMillis) {
        self.clock = clock;
        self.workers.iter_mut().for_each(|worker| worker.now = clock);
    }

    fn act(&mut self) {
        let at = self.random.next(WORKERS as u64) as usize;
        match self.random.next(100) {
            0..30 => self.request(at),
            30..38 => self.hang_up(at),
            38..58 => {
                self.workers[at].give_turns();
            }
            58..73 => self.reply(at),
            73..85 => self.read_letters(at),
            85..91 => {
                let millis = [1, 20, 300, 1_500, 4_000][self.random.next(5) as usize];
                self.pass(millis);
            }
            91..94 => {
                self.workers[at].give_tick();
            }
            94..96 => self.withdraw(),
            96..98 => {
                let token = self.random.next(self.is_active.len() as u64) as usize;
                self.is_active[token] = !self.is_active[token];
            }
            98 => {
                let millis = USUAL + self.random.next(60_000);
                self.pass(millis);
            }
            _ => self.step_clock(),
        }
        self.look(at);
    }

    fn request(&mut self, at: usize) {
        let token = self.random.next(OPAQUE + JWTS);
        let token = if token < OPAQUE { token } else { self.jwt_in_use() };
        // What is validated is a JWT; what is asked about may be one, too.
        let of_token = if token < OPAQUE { 3 } else { KINDS.len() as u64 };
        let kind = &KINDS[if self.random.one_in(2) { self.random.next(of_token) as usize } else { 0 }];
        let came = Came { token, at: self.point(), clock: self.clock, kind };
        let text = self.text(token);
        let request = Request::get(kind.path).with("authorization", format!("Bearer {text}"));
        let stream = self.workers[at].receive(&request);
        self.came[at].insert(stream, came);
        // As from one TCP segment.
        if self.random.one_in(8) {
            self.look(at);
            self.workers[at].hang_up(stream);
        }
    }

    /// A JWT that has not ended, or not long ago.
    fn jwt_in_use(&mut self) -> u64 {
        let clock = self.clock;
        let is_in_use = |(_, exp): &(String, UnixMillis)| exp.plus(LATE) > clock && exp.since(clock) <= LIFE;
        let last = self.jwts.iter().rev().take(JWTS as usize);
        if last.filter(|jwt| is_in_use(jwt)).count() < JWTS as usize {
            self.jwts.push(jwt(OPAQUE + self.jwts.len() as u64, clock));
            self.is_active.push(true);
            self.withdrawn.push(None);
        }
        let first = self.jwts.len().saturating_sub(JWTS as usize) as u64;
        OPAQUE + first + self.random.next(self.jwts.len() as u64 - first)
    }

    /// The token as clients send it.
    fn text(&self, token: u64) -> String {
        let jwt = token.checked_sub(OPAQUE).map(|place| &self.jwts[place as usize]);
        jwt.map_or_else(|| name(token), |(jwt, _)| jwt.clone())
    }

    fn hang_up(&mut self, at: usize) {
        let waiting: Vec<_> = self.came[at].keys().copied().collect();
        if !waiting.is_empty() {
            let stream = waiting[self.random.next(waiting.len() as u64) as usize];
            self.workers[at].hang_up(stream);
            self.came[at].remove(&stream);
        }
    }

    /// Some call of the worker is answered.
    fn reply(&mut self, at: usize) {
        if self.workers[at].calls.is_empty() {
            return;
        }
        let which = self.random.next(self.workers[at].calls.len() as u64) as usize;
        let (id, _) = self.workers[at].calls.remove(which);
        let Some(serial) = self.open[at].remove(&id) else {
            // Of keys.
            let status = if self.random.one_in(4) { 500 } else { 200 };
            let keys = json!({"keys": [jwk(Algorithm::ES256, json!({}))]}).to_string();
            return self.workers[at].reply(id, status, "application/json", keys.as_bytes());
        };
        let question = &self.questions[serial];
        let exp = self.clock.plus(Duration::from_secs(3600 * 24 * 365)).as_secs();
        let token = question.token;
        let body = match (self.random.next(10), question.is_active) {
            (0, _) => return self.workers[at].reply(id, 500, "application/json", b"{}"),
            // Too long to be remembered.
            (1, true) => json!({"active": true, "sub": name(token), "serial": serial.to_string(), "exp": exp,
                                "permissions": "x".repeat(20_000)}),
            (_, true) => {
                json!({"active": true, "sub": name(token), "serial": serial.to_string(), "exp": exp})
            }
            (_, false) => json!({"active": false}),
        };
        self.workers[at].reply(id, 200, "application/json", body.to_string().as_bytes());
    }

    fn read_letters(&mut self, at: usize) {
        let from = (at + 1 + self.random.next(WORKERS as u64 - 1) as usize) % WORKERS;
        let [reader, writer] = self.workers.get_disjoint_mut([at, from]).unwrap();
        reader.read_letters(writer);
    }

    fn withdraw(&mut self) {
        let about = self.random.next(self.withdrawn.len() as u64);
        let subject = match self.random.next(4) {
            0 => Subject::Of(ProviderTag::new(ISSUER), Which::Sub(name(about))),
            1 => Subject::Of(ProviderTag::new(ISSUER), Which::All),
            _ => Subject::token(&AccessToken::parse(self.text(about).as_bytes()).unwrap()),
        };
        let is_of_all = format!("{subject:?}").contains("All");
        self.withdrawals.withdraw(&[subject], Duration::ZERO, self.clock);
        let point = self.point();
        for (token, withdrawn) in self.withdrawn.iter_mut().enumerate() {
            if is_of_all || token as u64 == about {
                *withdrawn = Some(point);
            }
        }
    }

    /// The clock is set ahead, or back. Workers have a tick now and then, so that they notice: here just before, and
    /// just after.
    fn step_clock(&mut self) {
        let by = Duration::from_millis([1_500, 8_000, 60_000, 3_600_000][self.random.next(4) as usize]);
        let clock = if self.random.one_in(3) { self.clock.plus(by) } else { self.clock.minus(by) };
        for at in 0..WORKERS {
            self.workers[at].give_tick();
            self.look(at);
        }
        self.set_clock(clock);
        for at in 0..WORKERS {
            self.workers[at].give_tick();
            self.look(at);
        }
    }

    /// Notes what a worker has asked, and judges what it has forwarded.
    fn look(&mut self, at: usize) {
        let sent: Vec<_> = self.workers[at]
            .calls
            .iter()
            .filter(|(id, call)| !self.open[at].contains_key(id) && !call.body.is_empty())
            .map(|(id, call)| (*id, String::from_utf8(call.body.clone()).unwrap()))
            .collect();
        for (id, body) in sent {
            let token = (0..self.withdrawn.len() as u64).find(|it| body.contains(&self.text(*it))).unwrap();
            let sent = self.point();
            self.open[at].insert(id, self.questions.len());
            self.questions.push(Question { token, is_active: self.is_active[token as usize], sent });
        }
        let fates = self.workers[at].fates.split_off(0);
        for (stream, fate) in fates {
            let Some(came) = self.came[at].remove(&stream) else { continue };
            if let Fate::Forwarded(_) = fate {
                if came.kind.judged != Judged::Asked {
                    let (_, exp) = &self.jwts[(came.token - OPAQUE) as usize];
                    // One that waited is judged when it goes on.
                    assert!(came.clock < *exp || self.clock < *exp, "forwarded with a JWT that had ended");
                }
                if came.kind.judged == Judged::Validated {
                    self.forwarded += 1;
                } else {
                    self.judge(&came, fate.header("x-serial").unwrap().parse().unwrap());
                }
            }
        }
    }

    fn judge(&mut self, came: &Came, serial: usize) {
        let question = &self.questions[serial];
        assert!(question.token == came.token && question.is_active);
        // Clocks may differ by a second, and steps of less are none.
        let ttl = came.kind.cache_ttl;
        assert!(ttl > 0 || question.sent.1 > came.at.1, "forwarded by what another request had asked for");
        let oldest = ttl + self.stale_if_error + 1_000;
        let age = came.at.0.saturating_sub(question.sent.0);
        assert!(age <= oldest, "forwarded by a verdict that was {age} ms old, at most {oldest} are allowed");
        let withdrawn = self.withdrawn[came.token as usize];
        assert!(
            withdrawn.is_none_or(|point| point.1 > came.at.1 || question.sent.1 > point.1),
            "forwarded by a verdict of {:?} that was withdrawn at {withdrawn:?}, before the request came at {:?}",
            question.sent,
            came.at
        );
        self.forwarded += 1;
        self.remembered += u64::from(question.sent.1 < came.at.1);
    }
}

fn name(token: u64) -> String {
    format!("tok{token}abcd")
}

fn run(seed: u64) -> (u64, u64) {
    let mut world = World::new(seed);
    for _ in 0..ACTIONS {
        world.act();
    }
    (world.forwarded, world.remembered)
}

/// A length such as `90s` or `10m`.
fn wanted_length() -> Duration {
    let Ok(text) = std::env::var("SCHEDULES_FOR") else { return Duration::from_secs(3) };
    let (number, unit) = text.split_at(text.len() - 1);
    let secs = if unit == "m" { 60 } else { 1 };
    Duration::from_secs(number.parse::<u64>().expect("SCHEDULES_FOR such as 90s or 10m") * secs)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long to run, and nothing else")]
fn nothing_too_old_or_withdrawn_is_forwarded_in_whatever_order_things_happen() {
    let first: u64 = std::env::var("SEED").map_or(0, |seed| seed.parse().unwrap());
    let (start, length) = (Instant::now(), wanted_length());
    let (mut forwarded, mut remembered, mut seed) = (0, 0, first);
    while start.elapsed() < length {
        let outcome = std::panic::catch_unwind(|| run(seed));
        let (all, by_memory) = outcome.unwrap_or_else(|_| panic!("by the schedule of SEED={seed}"));
        forwarded += all;
        remembered += by_memory;
        seed += 1;
    }
    println!("{} schedules, {forwarded} forwarded, {remembered} of them by what was known", seed - first);
    assert!(forwarded > 50 * (seed - first) && remembered > 10 * (seed - first), "{forwarded} {remembered}");
}

const WORKERS: usize = 3;

/// Opaque tokens: the first.
const OPAQUE: u64 = 5;

/// JWTs that are in use at once.
const JWTS: u64 = 2;

/// How long a JWT lives.
const LIFE: Duration = Duration::from_secs(60);

/// How long a JWT that has ended is still sent.
const LATE: Duration = Duration::from_secs(30);

const ISSUER: &str = "https://as.example";

const ACTIONS: u32 = 1_500;

const USUAL: u64 = 10_000;

const STRICT: u64 = 1_000;
