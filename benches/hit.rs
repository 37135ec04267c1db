//! What the core does with a request whose verdict is known, natively and without Envoy: allocations, time, and, where
//! valgrind is there, instructions, which are the same on a busy machine.
//!
//! `cargo bench --bench hit`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark lives in real time")]
#![allow(missing_docs, unreachable_pub, unused_qualifications, reason = "the support is also a test's")]

#[path = "../tests/core/support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Cow;
use std::hint::black_box;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use phantom_token_filter::cache::SharedData;
use phantom_token_filter::filter::{Outcome, StreamId};
use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::request::{RequestView, Unreadable};
use serde_json::json;
use support::issuer::{jwk, sign};
use support::{Request, START, Worker, active, config, inactive};

/// The kinds of requests, each with what is done with one of it.
const CASES: [(&str, Run); 8] = [
    ("first level, opaque token of 43 bytes", |bench| bench.served_again(OPAQUE)),
    ("first level, opaque token of 43 bytes, noted while it is open", |bench| {
        bench.opened_and_closed(OPAQUE)
    }),
    ("first level, JWT of 900 bytes", |bench| bench.served_again(&JWT)),
    ("first level, 10 rules", |bench| bench.served_again(OPAQUE)),
    ("shared cache, opaque token of 43 bytes", |bench| bench.judged(OPAQUE)),
    ("shared cache, inactive token", |bench| bench.judged(INACTIVE)),
    ("first level, JWT validated here", |bench| bench.served_again(&VALIDATED)),
    ("shared cache, JWT validated here", |bench| bench.judged(&VALIDATED)),
];

type Run = fn(&mut Bench);

const OPAQUE: &str = "Bearer 0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const INACTIVE: &str = "Bearer 0123456789abcdefghijklmnopqrstuvwxyzHIJKLMN";

/// Of an issuer whose keys are here.
static VALIDATED: LazyLock<String> = LazyLock::new(|| {
    let claims = json!({"iss": ISSUER, "sub": "alice", "client_id": "app", "aud": "https://api.example", "sid": "session-1",
        "scope": "read write", "iat": START.as_secs(), "exp": START.as_secs() + 600, "jti": "1"});
    format!("Bearer {}", sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims))
});

const ISSUER: &str = "https://as.example";

static JWT: LazyLock<String> =
    LazyLock::new(|| format!("Bearer {}.{}.{}", "h".repeat(80), "c".repeat(732), "s".repeat(86)));

fn main() {
    let words: Vec<String> = std::env::args().collect();
    // As valgrind runs it: one case, so many times.
    if let [_, word, case, times] = words.as_slice()
        && word == "--run"
    {
        let (name, run) = CASES[case.parse::<usize>().unwrap()];
        let mut bench = Bench::new(name);
        (0..times.parse().unwrap()).for_each(|_| run(&mut bench));
        return;
    }
    println!("| a request of the core | instructions | allocations | ns |\n|---|--:|--:|--:|");
    for (number, (name, run)) in CASES.into_iter().enumerate() {
        let mut bench = Bench::new(name);
        let instructions =
            instructions(number).map_or_else(|| "no valgrind".to_owned(), |count| count.to_string());
        println!(
            "| {name} | {instructions} | {:.1} | {:.0} |",
            allocations(&mut bench, run),
            nanos(&mut bench, run)
        );
    }
}

/// A worker whose cache knows the tokens.
struct Bench {
    worker: Worker,
}

impl Bench {
    fn new(case: &str) -> Self {
        let rule =
            |number: u32| json!({"match": {"path_prefix": format!("/service-{number}/")}, "policy": "other"});
        let rules: Vec<_> = (0..if case.contains("rules") { 10 } else { 0 }).map(rule).collect();
        let policies = json!({"default": {}, "other": {"require": {"scopes": ["other"]}}});
        let mut settings = json!({"policies": policies, "rules": rules});
        if case.contains("noted") {
            settings["policies"]["default"] = json!({"open_streams": {"on_revocation": true}});
        }
        let is_validated = case.contains("validated");
        if is_validated {
            let provider = json!({"issuer": ISSUER, "jwks": {"cluster": "as", "path": "/jwks"}});
            settings["providers"] = json!({"main": provider});
            settings["policies"]["default"] = json!({"strategy": "jwt"});
        }
        let mut worker = Worker::new(config(settings));
        if is_validated {
            worker.start().answer(&json!({"keys": [jwk(Algorithm::ES256, json!({}))]}));
            let request = Request::get("/accounts/1").with("authorization", VALIDATED.as_str());
            (0..4).for_each(|_| _ = worker.call(&request, &active()));
            return Self { worker };
        }
        for (value, body) in [(OPAQUE, active()), (&JWT, active()), (INACTIVE, inactive())] {
            let request = Request::get("/accounts/1").with("authorization", value);
            (0..3).for_each(|_| _ = worker.call(&request, &body));
        }
        Self { worker }
    }

    fn served_again(&mut self, authorization: &str) {
        let outcome = self.worker.filter.request(StreamId(1), &View { authorization }, self.worker.now);
        assert!(matches!(black_box(outcome), Outcome::Again(_)), "it was served before");
    }

    fn opened_and_closed(&mut self, authorization: &str) {
        self.served_again(authorization);
        self.worker.filter.closed(StreamId(1));
    }

    fn judged(&mut self, authorization: &str) {
        // As if something else had been pushed out of the cache: the first level is worth nothing then.
        self.worker.shared.advance_epoch(1);
        let outcome = self.worker.filter.request(StreamId(1), &View { authorization }, self.worker.now);
        assert!(matches!(black_box(outcome), Outcome::Judged(_)), "nothing of the first level holds");
    }
}

struct View<'a> {
    authorization: &'a str,
}

impl RequestView for View<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match name {
            ":path" => Some(Cow::Borrowed(b"/accounts/1")),
            "authorization" => Some(self.authorization.as_bytes().into()),
            _ => None,
        }
    }

    fn copies(&self, _: &str) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        Ok(None)
    }
}

/// Instructions of one request: what ten thousand more of them make a run longer by.
fn instructions(case: usize) -> Option<u64> {
    let run = |times: u64| {
        let out = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args(["--run", &case.to_string(), &times.to_string()])
            .output()
            .ok()?;
        let said = String::from_utf8(out.stderr).ok()?;
        said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok())
    };
    const MORE: u64 = 10_000;
    Some((run(100 + MORE)?.saturating_sub(run(100)?)) / MORE)
}

fn allocations(bench: &mut Bench, run: Run) -> f64 {
    const TIMES: u32 = 1_000;
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..TIMES).for_each(|_| run(bench));
    (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / f64::from(TIMES)
}

/// The median of some batches.
fn nanos(bench: &mut Bench, run: Run) -> f64 {
    const TIMES: u32 = 20_000;
    let mut batches: Vec<f64> = (0..21)
        .map(|_| {
            let start = Instant::now();
            (0..TIMES).for_each(|_| run(bench));
            start.elapsed().as_nanos() as f64 / f64::from(TIMES)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator that counts")]
// SAFETY: the system's, called with what it was called with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}
