//! The configuration as operators write it: what is understood, what is refused in which words, and what is
//! never shown.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod corpus;
mod defaults;
mod forms;
mod good;
mod refusals;
mod secrets;
mod warnings;
