//! What the filter costs, beside what others cost: a program that reports, never a test.
//!
//! `cargo bench --bench envoy -- --help` says what it can be asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark lives in real time")]
#![allow(unreachable_pub, reason = "the rig is also a test's")]

mod arguments;
mod bound;
mod contender;
mod cores;
mod envoys;
mod findings;
mod herd;
mod load;
mod machine;
mod outage;
mod plot;
mod random;
mod report;
#[path = "../../tests/e2e/rig/mod.rs"]
mod rig;
mod rounds;
mod scenario;
mod server;
mod start;
mod statistics;
mod surroundings;
mod tokens;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use arguments::{Arguments, BOUND, HERD, OUTAGE, START};
use contender::Contender;
use findings::{Comparison, Findings};
use surroundings::Surroundings;
use tokio::runtime::{Builder, Handle};

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--help") {
        println!("{}", arguments::usage());
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    // The servers have a thread of their own; the load comes from this one.
    let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let load = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let findings = load.block_on(run(&arguments, servers.handle()));
    print!("{findings}");
    if arguments.reports {
        report::write(&findings);
    }
    ExitCode::SUCCESS
}

async fn run(arguments: &Arguments, servers: &Handle) -> Findings {
    let begin = Instant::now();
    let progress = |part: &str| eprintln!("{:4} s: {part}", begin.elapsed().as_secs());
    let mut findings = Findings {
        machine: machine::description(),
        effort: arguments.effort(),
        comparisons: vec![],
        starts: vec![],
        herds: vec![],
        outage: None,
        bound: None,
    };
    let around = Arc::new(Surroundings::start(servers, Duration::ZERO, arguments.versus.clone()).await);

    for scenario in scenario::ALL.iter().filter(|scenario| arguments.runs(scenario.name, scenario.is_quick)) {
        progress(scenario.title);
        let contenders = arguments.choose(scenario.contenders);
        let series = rounds::compare(scenario, &contenders, arguments.effort(), &around).await;
        findings.comparisons.push(Comparison { scenario, series });
    }
    if arguments.runs(START, true) {
        progress("starts of Envoy");
        findings.starts = start::starts(arguments.starts(), &around).await;
    }
    if arguments.runs(HERD, true) {
        progress("one new token for many clients");
        let slow = Surroundings::start(servers, herd::SERVER_TAKES, arguments.versus.clone()).await;
        findings.herds = herd::herds(&arguments.choose(&Contender::ALL), &slow).await;
    }
    if arguments.runs(OUTAGE, true) {
        progress("the authorization server is down");
        findings.outage = Some(outage::outage(&around).await);
    }
    if arguments.runs(BOUND, true) {
        progress("tokens that are bound to a key");
        findings.bound = Some(bound::bound(&around, arguments.bound_rounds()).await);
    }
    progress("done");
    findings
}
