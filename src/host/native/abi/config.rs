//! What Envoy does for a configuration, and for the whole program.

#![expect(unsafe_code, reason = "foreign functions that take pointers")]

use std::ptr;
use std::time::Duration;

use super::functions::functions;
use super::types::{
    CALLOUT_SENT, CLUSTER_NOT_FOUND, LogLevel, METRIC_DONE, ModuleBuffer, ModuleHeader, Pointer,
};

/// A line in Envoy's log.
pub(in super::super) fn log(level: LogLevel, message: &str) {
    if let Some(functions) = functions() {
        // SAFETY: as everywhere here: Envoy reads the bytes before it returns, and keeps nothing.
        unsafe { (functions.log)(level as u32, ModuleBuffer::new(message.as_bytes())) }
    }
}

/// Whether lines of this level arrive anywhere.
pub(in super::super) fn log_enabled(level: LogLevel) -> bool {
    // SAFETY: no memory is involved.
    functions().is_some_and(|functions| unsafe { (functions.log_enabled)(level as u32) })
}

/// How many workers Envoy has; on the main thread.
pub(in super::super) fn concurrency() -> u32 {
    // SAFETY: no memory is involved.
    functions().map_or(1, |functions| unsafe { (functions.get_concurrency)() })
}

/// Whether Envoy only looks whether its configuration is one; on the main thread.
pub(in super::super) fn is_validation_mode() -> bool {
    // SAFETY: no memory is involved.
    functions().is_some_and(|functions| unsafe { (functions.is_validation_mode)() })
}

/// A configuration as Envoy has it: alive until it is told to us that it ends.
#[derive(Clone, Copy)]
pub(in super::super) struct Config(Pointer);

// SAFETY: Envoy counts from any thread; what is for the main thread alone says so.
unsafe impl Send for Config {}
// SAFETY: likewise.
unsafe impl Sync for Config {}

/// A statistic that was defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Metric(usize);

/// Why a call was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum NotSent {
    /// Envoy knows no cluster of that name.
    NoCluster,
    /// It has no host that takes it, say.
    Refused,
}

impl Config {
    pub(super) fn new(pointer: Pointer) -> Self {
        Self(pointer)
    }

    /// Defines a counter with these labels. Only while the configuration is made.
    pub(in super::super) fn define_counter(self, name: &str, labels: &[&str]) -> Option<Metric> {
        self.define(name, labels, functions()?.http_filter_config_define_counter)
    }

    pub(in super::super) fn define_gauge(self, name: &str, labels: &[&str]) -> Option<Metric> {
        self.define(name, labels, functions()?.http_filter_config_define_gauge)
    }

    pub(in super::super) fn define_histogram(self, name: &str, labels: &[&str]) -> Option<Metric> {
        self.define(name, labels, functions()?.http_filter_config_define_histogram)
    }

    fn define(
        self,
        name: &str,
        labels: &[&str],
        define: unsafe extern "C" fn(Pointer, ModuleBuffer, *const ModuleBuffer, usize, *mut usize) -> u32,
    ) -> Option<Metric> {
        let labels: Vec<ModuleBuffer> =
            labels.iter().map(|label| ModuleBuffer::new(label.as_bytes())).collect();
        let (name, mut id) = (ModuleBuffer::new(name.as_bytes()), 0);
        // SAFETY: see `log`; Envoy writes one word besides.
        let result = unsafe { define(self.0, name, labels.as_ptr(), labels.len(), &raw mut id) };
        (result == METRIC_DONE).then_some(Metric(id))
    }

    /// Adds to a counter whose labels have these values.
    pub(in super::super) fn count(self, counter: Metric, values: &[&str], by: u64) {
        let of = |functions: &super::functions::Functions| functions.http_filter_config_increment_counter;
        self.change(counter, values, by, functions().map(of));
    }

    pub(in super::super) fn add_to_gauge(self, gauge: Metric, values: &[&str], by: i64) {
        let change = functions().map(|functions| match by {
            0.. => functions.http_filter_config_increment_gauge,
            _ => functions.http_filter_config_decrement_gauge,
        });
        self.change(gauge, values, by.unsigned_abs(), change);
    }

    pub(in super::super) fn set_gauge(self, gauge: Metric, values: &[&str], to: u64) {
        self.change(gauge, values, to, functions().map(|functions| functions.http_filter_config_set_gauge));
    }

    pub(in super::super) fn record(self, histogram: Metric, values: &[&str], value: u64) {
        let of =
            |functions: &super::functions::Functions| functions.http_filter_config_record_histogram_value;
        self.change(histogram, values, value, functions().map(of));
    }

    fn change(
        self,
        Metric(id): Metric,
        values: &[&str],
        value: u64,
        change: Option<unsafe extern "C" fn(Pointer, usize, *const ModuleBuffer, usize, u64) -> u32>,
    ) {
        let Some(change) = change else { return };
        if values.is_empty() {
            // SAFETY: no memory is involved but Envoy's own.
            _ = unsafe { change(self.0, id, ptr::null(), 0, value) };
        } else {
            let values: Vec<ModuleBuffer> =
                values.iter().map(|value| ModuleBuffer::new(value.as_bytes())).collect();
            // SAFETY: see `log`.
            _ = unsafe { change(self.0, id, values.as_ptr(), values.len(), value) };
        }
    }

    /// Sends a request to a cluster; the answer comes under the number that this gives. Only on the main thread.
    pub(in super::super) fn call(
        self,
        cluster: &str,
        headers: &[(String, String)],
        body: &[u8],
        timeout: Duration,
    ) -> Result<u64, NotSent> {
        let functions = functions().ok_or(NotSent::Refused)?;
        let headers: Vec<ModuleHeader> =
            headers.iter().map(|(name, value)| ModuleHeader::new(name, value)).collect();
        let (cluster, body, mut id) = (ModuleBuffer::new(cluster.as_bytes()), ModuleBuffer::new(body), 0);
        let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        // SAFETY: see `log`; Envoy writes eight bytes besides.
        let result = unsafe {
            (functions.http_filter_config_http_callout)(
                self.0,
                &raw mut id,
                cluster,
                headers.as_ptr(),
                headers.len(),
                body,
                timeout,
            )
        };
        match result {
            CALLOUT_SENT => Ok(id),
            CLUSTER_NOT_FOUND => Err(NotSent::NoCluster),
            _ => Err(NotSent::Refused),
        }
    }

    /// Opens a stream to a cluster, with the beginning of its body; what comes, comes under the number that this gives. A
    /// `timeout` of zero is none. Only on the main thread.
    pub(in super::super) fn open_stream(
        self,
        cluster: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        is_last: bool,
        timeout: Duration,
    ) -> Option<u64> {
        let headers: Vec<ModuleHeader> =
            headers.iter().map(|(name, value)| ModuleHeader::new(name, value)).collect();
        let (cluster, body, mut id) = (ModuleBuffer::new(cluster.as_bytes()), ModuleBuffer::new(body), 0);
        let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        // SAFETY: see `log`; Envoy writes eight bytes besides.
        let result = unsafe {
            (functions()?.http_filter_config_start_http_stream)(
                self.0,
                &raw mut id,
                cluster,
                headers.as_ptr(),
                headers.len(),
                body,
                is_last,
                timeout,
            )
        };
        (result == CALLOUT_SENT).then_some(id)
    }

    /// Sends more on a stream, which goes on. Its end may come back to us at once. Only on the main thread.
    pub(in super::super) fn send_on_stream(self, stream: u64, data: &[u8]) {
        if let Some(functions) = functions() {
            // SAFETY: see `log`.
            _ = unsafe {
                (functions.http_filter_config_stream_send_data)(
                    self.0,
                    stream,
                    ModuleBuffer::new(data),
                    false,
                )
            };
        }
    }

    /// Ends a stream; that comes back to us at once. Only on the main thread, and in no hook of a stream.
    pub(in super::super) fn reset_stream(self, stream: u64) {
        if let Some(functions) = functions() {
            // SAFETY: no memory is involved.
            unsafe { (functions.http_filter_config_reset_http_stream)(self.0, stream) }
        }
    }

    /// What wakes the main thread; on the main thread.
    pub(in super::super) fn scheduler(self) -> Option<Scheduler> {
        // SAFETY: the configuration lives.
        let scheduler = unsafe { (functions()?.http_filter_config_scheduler_new)(self.0) };
        (!scheduler.is_null()).then_some(Scheduler(scheduler))
    }
}

/// Has the main thread call us, from any thread and as long as the configuration lives.
pub(in super::super) struct Scheduler(Pointer);

// SAFETY: Envoy promises so.
unsafe impl Send for Scheduler {}
// SAFETY: likewise.
unsafe impl Sync for Scheduler {}

impl Scheduler {
    /// Has the main thread call us with this number.
    pub(in super::super) fn commit(&self, event: u64) {
        if let Some(functions) = functions() {
            // SAFETY: the scheduler is ours until it is dropped.
            unsafe { (functions.http_filter_config_scheduler_commit)(self.0, event) }
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        if let Some(functions) = functions() {
            // SAFETY: nobody else has it.
            unsafe { (functions.http_filter_config_scheduler_delete)(self.0) }
        }
    }
}
