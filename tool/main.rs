//! `phantom-token-filter`: the operator's tool beside the filter. It judges by the filter's own code.
#![allow(clippy::disallowed_methods, reason = "a program of its own has a clock")]

mod check;
mod curl;
mod discover;
mod explain;
mod finding;
mod keygen;
mod schema;
mod yaml;

use std::io::{self, Write};
use std::process::ExitCode;

use check::{File, Reach, Report};
use clap::{Parser, Subcommand};
use explain::Question;
use finding::Level;
use keygen::{Keys, Signing};

/// Checks configurations of phantom-token-filter, and makes what they need.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says all that is wrong with configurations of the filter: in Envoy's own files, and in resources of Istio and
    /// Envoy Gateway. Exit code 0: no error; 1: errors; 2: a file cannot be read.
    Check {
        /// Warnings count as errors.
        #[arg(long)]
        strict: bool,
        /// Asks the endpoints of the providers from here, as the filter would.
        #[arg(long)]
        ask: bool,
        /// Files that belong together; `-` is the standard input.
        #[arg(required = true)]
        files: Vec<String>,
    },
    /// Prints a provider section of the configuration, by the metadata that an authorization server publishes.
    Discover(discover::Server),
    /// Says which policy a request falls under and why, what it needs, what is asked, and what becomes of it. The filter
    /// itself judges. Exit code 1: the configuration is wrong.
    Explain(Question),
    /// Makes a key that signs, in PEM, and its public half as a JWK, with an RFC 7638 thumbprint as its name.
    Keygen {
        /// By which algorithm it signs.
        alg: Signing,
    },
    /// Prints a JSON Schema (2020-12) of the filter's configuration, for editors: alone or in a file of Envoy, Istio or
    /// Envoy Gateway.
    Schema,
}

fn main() -> ExitCode {
    let said = match Arguments::parse().command {
        Command::Check { strict, ask, files } => {
            checked(&files, strict, if ask { Reach::Endpoints } else { Reach::Files })
        }
        Command::Discover(server) => discover::discovered(&server).map(|text| (text, ExitCode::SUCCESS)),
        Command::Explain(question) => explain::explained(&question),
        Command::Keygen { alg } => match Keys::generate(alg) {
            Some(keys) => Ok((keys.to_string(), ExitCode::SUCCESS)),
            None => Err("no random bytes from the system".to_owned()),
        },
        Command::Schema => schema::schema().map(|text| (text, ExitCode::SUCCESS)),
    };
    let (text, code) = match said {
        Ok(said) => said,
        Err(reason) => {
            eprintln!("phantom-token-filter: {reason}");
            return UNREADABLE.into();
        }
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => UNREADABLE.into(),
    }
}

fn checked(names: &[String], strict: bool, reach: Reach) -> Result<(String, ExitCode), String> {
    let read = |name: &String| File::read(name).map_err(|error| format!("{name}: {error}"));
    let files: Vec<File> = names.iter().map(read).collect::<Result<_, _>>()?;
    let report = Report::of(&files, reach);
    let (errors, warnings) = (report.count(Level::Error), report.count(Level::Warning));
    let mut text: String = report.lines().map(|line| line + "\n").collect();
    let asked = match reach {
        Reach::Files => String::new(),
        Reach::Endpoints => format!("; {} asked", counted(report.asked, "endpoint")),
    };
    text += &format!("{}, {}{asked}\n", counted(errors, "error"), counted(warnings, "warning"));
    let is_good = errors == 0 && !(strict && warnings > 0);
    Ok((text, if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

fn counted(count: usize, what: &str) -> String {
    format!(
        "{} {what}{}",
        if count == 0 { "no".to_owned() } else { count.to_string() },
        if count == 1 { "" } else { "s" }
    )
}

/// Usage, as clap has it, and files that cannot be read.
const UNREADABLE: u8 = 2;
