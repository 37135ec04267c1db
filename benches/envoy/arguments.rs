//! The command line.

use std::time::Duration;

use crate::{contender::Contender, rounds::Effort, scenario};

/// Parts of a run that are no scenario.
pub const START: &str = "start";
pub const HERD: &str = "herd";
pub const OUTAGE: &str = "outage";
pub const BOUND: &str = "bound";

#[derive(Default)]
pub struct Arguments {
    pub is_quick: bool,
    /// Write `docs/performance.md` and its plots.
    pub reports: bool,
    /// Other modules to compare with.
    pub versus: Vec<String>,
    /// Names of contenders and of parts; an empty kind means all of that kind.
    only: Vec<String>,
}

impl Arguments {
    /// # Errors
    ///
    /// What is wrong and how to say it right.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        let mut words = words.filter(|word| word != "--bench"); // which Cargo adds
        while let Some(word) = words.next() {
            let mut value =
                || words.next().ok_or_else(|| format!("{word}: expected a value after it\n\n{}", usage()));
            match word.as_str() {
                "--quick" => arguments.is_quick = true,
                "--report" => arguments.reports = true,
                "--versus" => arguments.versus.push(value()?),
                "--only" => arguments.only.push(known(value()?)?),
                _ => return Err(format!("{word}: not known here\n\n{}", usage())),
            }
        }
        Ok(arguments)
    }

    /// Whether to run a scenario, or another part.
    pub fn runs(&self, part: &str, is_quick: bool) -> bool {
        let named: Vec<&String> = self.only.iter().filter(|name| contender(name).is_none()).collect();
        if named.is_empty() { is_quick || !self.is_quick } else { named.iter().any(|name| *name == part) }
    }

    /// Those of `contenders` to run; the router, which all are compared with, always.
    pub fn choose(&self, contenders: &[Contender]) -> Vec<Contender> {
        let named: Vec<Contender> = self.only.iter().filter_map(|name| contender(name)).collect();
        let is_chosen = |contender: &Contender| match contender {
            Contender::Router => true,
            other => named.is_empty() || named.contains(other),
        };
        let each_build = |contender: Contender| match contender {
            Contender::OtherBuild(_) => (0..self.versus.len()).map(Contender::OtherBuild).collect(),
            other if is_chosen(&other) => vec![other],
            _ => vec![],
        };
        contenders.iter().copied().flat_map(each_build).collect()
    }

    pub fn effort(&self) -> Effort {
        match self.is_quick {
            true => Effort { generations: 1, rounds_per_generation: 6, slice: Duration::from_millis(150) },
            false => Effort { generations: 9, rounds_per_generation: 2, slice: Duration::from_millis(150) },
        }
    }

    /// How often what bound tokens cost is measured.
    pub fn bound_rounds(&self) -> usize {
        if self.is_quick { 4 } else { 20 }
    }

    pub fn starts(&self) -> usize {
        if self.is_quick { 2 } else { 5 }
    }
}

fn contender(name: &str) -> Option<Contender> {
    Contender::ALL.into_iter().find(|contender| contender.name() == name)
}

fn parts() -> Vec<&'static str> {
    let scenarios = scenario::ALL.iter().map(|scenario| scenario.name);
    scenarios.chain([START, HERD, OUTAGE, BOUND]).collect()
}

fn known(name: String) -> Result<String, String> {
    match contender(&name).is_some() || parts().contains(&name.as_str()) {
        true => Ok(name),
        false => Err(format!("--only {name}: no such contender or part\n\n{}", usage())),
    }
}

pub fn usage() -> String {
    let contenders: Vec<&str> = Contender::ALL.iter().map(|contender| contender.name()).collect();
    format!(
        "cargo bench --bench envoy -- [--quick] [--only NAME].. [--versus FILE].. [--report]

Compares what HTTP filters cost in Envoy and prints tables in Markdown; about twenty minutes.
  --quick        fewer rounds and scenarios, less than a minute: to see whether a change helps
  --only NAME    only this contender beside the router, or only this part; may be repeated
                 contenders: {}
                 parts: {}
  --versus FILE  another build of the filter too; may be repeated
  --report       write the tables and plots of docs/performance.md

PHANTOM_TOKEN_FILTER_WASM names another module than `make build` makes, ENVOY another Envoy.",
        contenders.join(", "),
        parts().join(", "),
    )
}
