//! The operator's tool, run as operators run it.
//!
//! Each file of `bootstrap` and `resources` is a mistake and what `check` says of it. `BLESS=1 cargo test --test tool`
//! writes anew what it says.

#![allow(unreachable_pub, reason = "the mutations are part of other test programs, too")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bootstraps;
mod docs;
mod explain;
mod golden;
mod keygen;
#[path = "../core/support/mutations.rs"]
mod mutations;
mod providers;
mod resources;
mod run;
