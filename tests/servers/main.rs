//! `make servers`: the filter in real Envoy before the authorization servers that people have, each with the
//! configuration that `docs/servers.md` has for it. Prints one table; ends with an error if a cell of it is wrong.
//! Words after `--` choose servers by a part of their names.
//!
//! Not part of `make test`: what it fetches (by Maven, Go, pip) is large. It is kept in `target/servers`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "these tests live in real time")]
#![allow(unreachable_pub, reason = "the rig is included")]

mod canaille;
mod checks;
mod curl;
mod documented;
mod glewlwyd;
mod hydra;
mod keycloak;
mod oidc_provider;
#[path = "../e2e/rig/mod.rs"]
mod rig;
mod server;
mod spring;
mod table;
mod zitadel;

use std::{env, process::ExitCode};

use server::Server;
use table::Table;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let only: Vec<String> = env::args().skip(1).map(|name| name.to_lowercase()).collect();
    let mut table = Table::default();
    try_one::<oidc_provider::OidcProvider>(&only, &mut table).await;
    try_one::<glewlwyd::Glewlwyd>(&only, &mut table).await;
    try_one::<canaille::Canaille>(&only, &mut table).await;
    try_one::<zitadel::Zitadel>(&only, &mut table).await;
    try_one::<hydra::Hydra>(&only, &mut table).await;
    try_one::<keycloak::Keycloak>(&only, &mut table).await;
    try_one::<spring::Spring>(&only, &mut table).await;
    if table.print() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn try_one<S: Server>(only: &[String], table: &mut Table) {
    if only.is_empty() || only.iter().any(|name| S::NAME.to_lowercase().contains(name)) {
        println!("{} ...", S::NAME);
        table.server(S::NAME);
        checks::run::<S>(table).await;
    }
}
