//! Where and with what the figures were made.

use std::{env, fs, process::Command};

use serde_json::json;

use crate::{
    cores::Cores,
    rig::{
        process::{envoy_command, keep_in},
        wasm_filter::WasmFilter,
    },
};

/// One line for the reader of a report.
pub fn description() -> String {
    let cores = Cores::available().count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let module = fs::metadata(module()).map_or(0, |file| file.len());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{}, {cores} cores of {}, {} {}, Envoy {}, module of {} KB. Load average at the start: {}.",
        first_line(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])),
        cpu_model(),
        env::consts::OS,
        kernel.trim(),
        envoy_version(),
        module / 1000,
        load.split_whitespace().next().unwrap_or("unknown"),
    )
}

/// The file of the filter's module, which the rig chooses.
fn module() -> String {
    let entry = WasmFilter::default().inline(&json!({}));
    let file = &entry["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"];
    file.as_str().unwrap_or_default().to_owned()
}

fn cpu_model() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("an unknown CPU", |(_, model)| model).to_owned()
}

/// Of `envoy  version: COMMIT/1.39.3/Clean/RELEASE/BoringSSL`, which a launcher may put lines of its own before.
fn envoy_version() -> String {
    let (state, mut command) = (tempfile::tempdir().expect("a temporary directory"), envoy_command());
    keep_in(state.path(), &mut command);
    let output = output(command.arg("--version"));
    let build = output.lines().find_map(|line| line.split_once("version: ")).map(|(_, build)| build);
    build.and_then(|build| build.split('/').nth(1)).unwrap_or("unknown").to_owned()
}

fn first_line(command: &mut Command) -> String {
    let output = output(command);
    output.lines().find(|line| !line.trim().is_empty()).unwrap_or("unknown").to_owned()
}

fn output(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).into_owned()
}
