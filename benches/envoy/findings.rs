//! All that a run found out, as tables in Markdown.

use std::fmt::{self, Display, Formatter};

use crate::{
    bound::{self, Bound},
    contender::Contender,
    herd::{self, Herd},
    outage::{self, Answers, Outage},
    rounds::{Effort, Series},
    scenario::Scenario,
    start::Start,
    statistics::Spread,
};

/// What was not asked for is empty.
pub struct Findings {
    pub machine: String,
    pub effort: Effort,
    pub comparisons: Vec<Comparison>,
    pub starts: Vec<Start>,
    pub herds: Vec<Herd>,
    pub outage: Option<Outage>,
    pub bound: Option<Bound>,
}

/// A scenario and how each contender did in it; the router is the first.
pub struct Comparison {
    pub scenario: &'static Scenario,
    pub series: Vec<Series>,
}

impl Comparison {
    pub fn router(&self) -> Option<&Series> {
        self.series.iter().find(|series| series.contender == Contender::Router)
    }
}

impl Display for Findings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Effort { generations, rounds_per_generation, slice } = self.effort;
        let rounds = generations * rounds_per_generation;
        writeln!(f, "{}\n", self.machine)?;
        if !self.comparisons.is_empty() {
            writeln!(
                f,
                "Medians of {rounds} rounds, {} ms for each contender in a round, all Envoys started anew {generations} \
                 times ({} times with 100,000 tokens); in parentheses the quartiles of the rounds’ own ratios and \
                 differences.\n",
                slice.as_millis(),
                self.effort.generations_of_many_tokens(),
            )?;
        }
        self.comparisons.iter().try_for_each(|comparison| write!(f, "{comparison}"))?;
        self.write_starts(f)?;
        self.write_herds(f)?;
        self.outage.iter().try_for_each(|outage| write!(f, "{outage}"))?;
        self.bound.iter().try_for_each(|bound| write!(f, "{bound}"))
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(router) = self.router() else { return Ok(()) };
        writeln!(f, "### {}\n", self.scenario.title)?;
        writeln!(
            f,
            "| | Envoy’s CPU, µs per request | × router | µs more than router | requests/s | p50, µs | p99, µs |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|")?;
        for series in &self.series {
            let median = |figures: &Vec<f64>| Spread::of(figures.iter().copied()).median;
            let (ratio, more) = (series.ratio(router), series.difference(router));
            let is_base = series.contender == Contender::Router;
            let (ratio, more) = match is_base {
                true => ("1".to_owned(), String::new()),
                false => (
                    format!("**{:.2}** ({:.2}–{:.2})", ratio.median, ratio.q1, ratio.q3),
                    format!("{:+.1} ({:+.1} to {:+.1})", more.median, more.q1, more.q3),
                ),
            };
            writeln!(
                f,
                "| {} | {:.1} | {ratio} | {more} | {:.0} | {:.0} | {:.0} |",
                series.contender.title(),
                median(&series.cpu),
                median(&series.rate),
                median(&series.p50),
                median(&series.p99),
            )?;
        }
        for series in self.series.iter().filter(|series| series.misses > 0) {
            let (title, requests) = (series.contender.title(), series.requests);
            writeln!(f, "\nNot in the cache of “{title}”: {} of {requests} requests.", series.misses)?;
        }
        writeln!(f)
    }
}

impl Findings {
    fn write_starts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.starts.is_empty() {
            return Ok(());
        }
        writeln!(f, "### Start of Envoy, one worker\n")?;
        writeln!(f, "| | ready after, ms | CPU until then, ms | resident memory, MiB |\n|---|--:|--:|--:|")?;
        for Start { contender, ready, cpu, memory } in &self.starts {
            let title = contender.title();
            writeln!(f, "| {title} | {:.0} | {:.0} | {:.0} |", ready.median, cpu.median, memory.median)?;
        }
        writeln!(f)
    }

    fn write_herds(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.herds.is_empty() {
            return Ok(());
        }
        let (clients, millis) = (herd::CLIENTS, herd::SERVER_TAKES.as_millis());
        let times = herd::HERDS;
        writeln!(
            f,
            "### {clients} clients at once with one new token, a server that takes {millis} ms ({times} times)\n"
        )?;
        writeln!(
            f,
            "| | workers | calls to the server | last answer after the last reply, ms |\n|---|--:|--:|--:|"
        )?;
        for Herd { contender, workers, calls, last_answer } in &self.herds {
            let (title, calls, last_answer) = (contender.title(), calls.median, last_answer.median);
            writeln!(f, "| {title} | {workers} | {calls:.0} | {last_answer:.0} |")?;
        }
        writeln!(f)
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "### Tokens that are bound to a key ({} requests of each in a round)\n",
            bound::REQUESTS
        )?;
        writeln!(f, "| | Envoy’s CPU, µs per request |\n|---|--:|")?;
        for (what, cost) in [
            ("a token that is not bound, cache hit", &self.free),
            ("a token that is bound, with a proof by ES256", &self.by_key),
            ("a JWT by ES256, cache hit", &self.jwt_again),
            ("a JWT by ES256, verified each time", &self.jwt),
        ] {
            writeln!(f, "| {what} | {:.1} ({:.1}–{:.1}) |", cost.median, cost.q1, cost.q3)?;
        }
        let Spread { q1, median, q3 } = self.ratio;
        writeln!(
            f,
            "\nThe bound token costs {median:.2} ({q1:.2}–{q3:.2}) times what the one that is not bound and one verified JWT cost.\n"
        )
    }
}

impl Display for Outage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let requests = outage::REQUESTS;
        writeln!(f, "### The authorization server is down ({requests} requests each)\n")?;
        writeln!(f, "| | status | p50, ms |\n|---|--:|--:|")?;
        let mut row = |what: &str, Answers { status, latency }: &Answers| {
            let status = status.map_or("differing".to_owned(), |status| status.to_string());
            writeln!(f, "| {what} | {status} | {:.1} |", latency.median)
        };
        row("a token that the cache knows", &self.known)?;
        row("a new token, the server refuses connections", &self.refused)?;
        row("a new token, the server does not answer", &self.hanging)?;
        writeln!(f, "\nThe server is back: a new token is served {:.0} ms later.\n", self.recovery)
    }
}
