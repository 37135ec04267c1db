//! Envoy behind a launcher, as `func-e run` is one.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::rig::process::Process;

#[test]
fn a_launcher_is_seen_through_whichever_of_its_threads_started_envoy() {
    const HOLDS_64_MIB: &str = "held = b\"1\" * (64 << 20); print(\"ready\", flush=True); input()";
    let launcher = format!(
        "import subprocess, sys, threading
threading.Thread(target=lambda: subprocess.run([sys.executable, '-c', '{HOLDS_64_MIB}'])).start()"
    );
    // What it started ends with the pipe, and so with this test.
    let mut command = Command::new("python3");
    command.args(["-c", &launcher]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process::start(&mut command);
    let stdout = process.child().stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut String::new()).expect("a line when it holds the memory");
    assert!(process.resident_memory() > 64 << 20, "{} bytes", process.resident_memory());
}
