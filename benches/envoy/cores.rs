//! Which cores Envoy runs on and which all else does. Apart, neither waits for the other, and figures are steadier.

use std::fs;

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// The cores that this process may use.
pub struct Cores(Vec<usize>);

impl Cores {
    pub fn available() -> Self {
        let set = sched_getaffinity(None).expect("the cores of this process");
        Self((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Gives Envoys that run now a core for each worker, and the benchmark itself the others; if none is left, they
    /// share all.
    pub fn separate(&self, workers: u32) {
        let (envoy, rest) = match self.0.split_at_checked(workers as usize) {
            Some((envoy, rest)) if !rest.is_empty() => (envoy, rest),
            _ => (&self.0[..], &self.0[..]),
        };
        let own = std::process::id();
        pin(own, rest);
        descendants(own).into_iter().for_each(|process| pin(process, envoy));
    }

    /// Lets the benchmark, and what it starts from now on, use all cores again.
    pub fn share(&self) {
        pin(std::process::id(), &self.0);
    }
}

/// Keeps all threads of a process on `cores`. A thread that has just ended needs no core.
fn pin(process: u32, cores: &[usize]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    for thread in entries(&format!("/proc/{process}/task")) {
        _ = sched_setaffinity(Pid::from_raw(thread), &set);
    }
}

fn descendants(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for thread in entries(&format!("/proc/{process}/task")) {
        let children =
            fs::read_to_string(format!("/proc/{process}/task/{thread}/children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            found.push(child);
            found.extend(descendants(child));
        }
    }
    found
}

/// The entries of a directory that are numbers.
fn entries(directory: &str) -> Vec<i32> {
    let names = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).collect()
}
