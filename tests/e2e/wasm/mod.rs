//! What belongs to the Wasm host alone: its options, its statistics, and configurations that name it.

mod bodies;
mod examples;
mod fleet;
mod statistics;
mod validated;
