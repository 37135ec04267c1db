//! The border to Envoy: what the filter uses of the ABI of dynamic modules. All that is `unsafe` is in here.
//!
//! The ABI is a C header of Envoy's (`source/extensions/dynamic_modules/abi/abi.h`). What is used of it was read at its version
//! v0.1.0, and is the same in v0.2.0. There is no SDK on the crate registry; `docs/decisions/dynamic-module.md` has what was
//! weighed.

mod config;
mod confined;
mod exports;
mod functions;
mod stream;
mod types;
mod unused_hooks;

pub(super) use config::{Config, Metric, NotSent, Scheduler, log, log_enabled};
pub(super) use config::{concurrency, is_validation_mode};
pub(super) use confined::Confined;
pub(super) use functions::{lacks, stay_loaded};
pub(super) use stream::{Doorbell, Stream};
pub(super) use types::{Attribute, BodyType, HeaderType, LogLevel};
