//! Hosts: what runs the filter. Each takes callbacks in, which become events to the filter, and carries out its effects.

#[cfg(target_arch = "wasm32")]
mod wasm;
