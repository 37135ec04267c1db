//! Child processes: found or missed loudly, ended with their value, measured through /proc.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Once,
    thread,
    time::{Duration, Instant},
};

use super::ROOT;

/// A process that ends with this value.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        match command.spawn() {
            Ok(child) => Self(child),
            Err(error) => panic!("cannot start {command:?}: {error}"),
        }
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("the state of our own child").is_some()
    }

    /// Resident memory in bytes.
    pub fn resident_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.worker())).expect("a living process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS in status");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("VmRSS in kB");
        kib * 1024
    }

    /// CPU time of all threads so far, of the scheduler's own clock.
    pub fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.worker())).expect("a living process");
        let nanoseconds = |task: fs::DirEntry| -> Option<u64> {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            schedstat.split_whitespace().next()?.parse().ok()
        };
        Duration::from_nanos(tasks.flatten().filter_map(nanoseconds).sum())
    }

    /// The same with that of threads that have ended, of the kernel's clock: in steps of 10 ms.
    pub fn cpu_time_with_ended_threads(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.worker())).expect("a living process");
        // After the name in brackets, which may have spaces in it: the state, and `utime` and `stime` as the 12th and 13th.
        let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
        let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<u64>().ok());
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// Tells it to end.
    pub fn end(&self) {
        self.signal("-TERM");
    }

    /// Stops it in the middle of whatever it does: what is sent to it meanwhile comes in at once when it goes on.
    pub fn stop(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.worker().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// The process that does the work: the child, or, behind a launcher such as `func-e run`, its descendant.
    fn worker(&self) -> u32 {
        let mut pid = self.0.id();
        while let Some(child) = child_of(pid) {
            pid = child;
        }
        pid
    }
}

impl Drop for Process {
    /// Politely first, so that a launcher ends what it launched.
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        }
        let start = Instant::now();
        while !self.has_ended() && start.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(2));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A child of any of a process's threads: a launcher in Go starts it from whichever runs just then.
fn child_of(pid: u32) -> Option<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let child = |task: fs::DirEntry| -> Option<u32> {
        fs::read_to_string(task.path().join("children")).ok()?.split_whitespace().next()?.parse().ok()
    };
    tasks.flatten().find_map(child)
}

/// How Envoy is started here; `envoy/find-envoy` knows. The tests fail without one, they are never skipped.
pub fn envoy_command() -> Command {
    static IS_THERE: Once = Once::new();
    // A launcher may have to fetch Envoy first, which takes as long as it takes, and which it does not do twice at once.
    IS_THERE.call_once(|| {
        let state = tempfile::tempdir().expect("a temporary directory");
        let mut command = named_command();
        keep_in(state.path(), &mut command);
        let status = command.arg("--version").stdout(Stdio::null()).status();
        assert!(status.as_ref().is_ok_and(|it| it.success()), "{:?} --version: {status:?}", named_command());
    });
    named_command()
}

/// What a launcher such as func-e keeps of a run goes there, with the test's own files.
pub fn keep_in(directory: &Path, envoy: &mut Command) {
    let state = directory.join("func-e");
    envoy.env("FUNC_E_STATE_HOME", &state).env("FUNC_E_RUNTIME_DIR", &state);
}

fn named_command() -> Command {
    let found = Command::new("envoy/find-envoy").current_dir(ROOT).output().expect("envoy/find-envoy runs");
    let message = String::from_utf8_lossy(&found.stderr).into_owned();
    assert!(found.status.success(), "{message}");
    let words = String::from_utf8(found.stdout).expect("a command in UTF-8");
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().expect("a command"));
    command.args(words).current_dir(ROOT);
    command
}

/// Raises the limit of open files to what thousands of connections need; Envoy inherits it.
pub fn allow_open_files(count: u64) {
    let allowed = rlimit::increase_nofile_limit(count).expect("the limit of open files");
    assert!(
        allowed >= count,
        "this test needs {count} open files, the hard limit here is {allowed} (ulimit -Hn)"
    );
}
