//! `make servers`: the filter in real Envoy before the authorization servers that people have, each with the
//! configuration that `docs/servers.md` has for it. Prints one table; ends with an error if a line of it fails.
//!
//! Not part of `make test`: what it fetches (by Maven, Go, pip) is large. It is kept in `target/servers`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "these tests live in real time")]
#![allow(unreachable_pub, reason = "the rig is included")]

mod checks;
mod documented;
mod glewlwyd;
mod hydra;
mod installed;
mod keycloak;
mod oidc_provider;
#[path = "../e2e/rig/mod.rs"]
mod rig;
mod server;
mod spring;

use std::{env, process::ExitCode};

use checks::{Row, run};
use server::Server;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let only: Vec<String> = env::args().skip(1).collect();
    let mut rows = Vec::new();
    try_one::<oidc_provider::OidcProvider>(&only, &mut rows).await;
    try_one::<glewlwyd::Glewlwyd>(&only, &mut rows).await;
    try_one::<hydra::Hydra>(&only, &mut rows).await;
    try_one::<keycloak::Keycloak>(&only, &mut rows).await;
    try_one::<spring::Spring>(&only, &mut rows).await;

    println!("\n| server | what | seen | |\n|---|---|---|---|");
    for Row { server, what, seen, is_right } in &rows {
        println!("| {server} | {what} | {seen} | {} |", if *is_right { "ok" } else { "**WRONG**" });
    }
    let wrong = rows.iter().filter(|row| !row.is_right).count();
    println!("\n{} passed, {wrong} failed", rows.len() - wrong);
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn try_one<S: Server>(only: &[String], rows: &mut Vec<Row>) {
    if only.is_empty() || only.iter().any(|name| S::NAME.to_lowercase().contains(&name.to_lowercase())) {
        println!("{} ...", S::NAME);
        rows.extend(run(&S::start().await).await);
    }
}
