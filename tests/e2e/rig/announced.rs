//! A server in a process of its own that says on its standard output where it listens, and then what it likes.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use tokio::sync::oneshot;

use super::{process::Process, within_limit};

pub struct Announced {
    process: Process,
    address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Announced {
    /// Starts a command whose standard output is piped.
    pub async fn start(what: &str, command: &mut Command) -> Self {
        let mut process = Process::start(command);
        let output = BufReader::new(process.child().stdout.take().expect("a piped stdout"));
        let (announce, announced) = oneshot::channel();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        thread::spawn(move || {
            // Reads on after the address, because a process stops at a full or closed pipe.
            let mut announce = Some(announce);
            for line in output.lines().map_while(Result::ok) {
                match (line.parse::<SocketAddr>(), announce.take()) {
                    (Ok(address), Some(announce)) => drop(announce.send(address)),
                    (_, waiting) => {
                        announce = waiting;
                        kept.lock().expect("lines").push(line);
                    }
                }
            }
        });
        let address = within_limit(&format!("the start of {what}"), announced).await;
        let address = address.unwrap_or_else(|_| panic!("{what} tells its address; see its error above"));
        Self { process, address, lines }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// What it has said beside its address.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("lines").clone()
    }
}
