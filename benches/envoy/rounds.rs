//! The comparison: every contender in each of many short rounds, so that what disturbs the machine disturbs all.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    contender::Contender,
    envoys::bootstrap,
    load::Load,
    rig::envoy::Envoy,
    scenario::{Scenario, Upstream},
    statistics::{Spread, micros, quantile},
    surroundings::Surroundings,
    tokens::Tokens,
};

/// Load before the first round.
const WARM_UP: Duration = Duration::from_millis(150);

/// How long is measured.
#[derive(Clone, Copy)]
pub struct Effort {
    /// How often all Envoys are started anew: two equal processes can differ by a tenth, for as long as they live.
    pub generations: usize,
    pub rounds_per_generation: usize,
    /// A contender's time in a round.
    pub slice: Duration,
}

impl Effort {
    /// How often where caches take long to fill.
    pub fn generations_of_many_tokens(self) -> usize {
        self.generations.div_ceil(3)
    }
}

/// One contender in one scenario: the figures of each round.
pub struct Series {
    pub contender: Contender,
    pub requests: usize,
    /// Of these, how many with a token that was not in the cache.
    pub misses: u64,
    /// CPU time of the Envoy process per request, µs.
    pub cpu: Vec<f64>,
    /// Requests per second.
    pub rate: Vec<f64>,
    /// Latencies, µs.
    pub p50: Vec<f64>,
    pub p99: Vec<f64>,
}

impl Series {
    fn new(contender: Contender) -> Self {
        Self { contender, requests: 0, misses: 0, cpu: vec![], rate: vec![], p50: vec![], p99: vec![] }
    }

    /// Of each round, the ratio to `base` in the same round.
    pub fn ratio(&self, base: &Self) -> Spread {
        Spread::of(self.cpu.iter().zip(&base.cpu).map(|(own, base)| own / base))
    }

    /// Of each round, the difference from `base` in the same round, µs.
    pub fn difference(&self, base: &Self) -> Spread {
        Spread::of(self.cpu.iter().zip(&base.cpu).map(|(own, base)| own - base))
    }
}

/// The series of `contenders`, in their order.
pub async fn compare(
    scenario: &'static Scenario,
    contenders: &[Contender],
    effort: Effort,
    around: &Arc<Surroundings>,
) -> Vec<Series> {
    let takes_long = scenario.tokens > 10_000;
    let generations = if takes_long { effort.generations_of_many_tokens() } else { effort.generations };
    let rounds = effort.generations * effort.rounds_per_generation / generations;
    let mut all: Vec<Series> = contenders.iter().copied().map(Series::new).collect();
    for contender in contenders {
        contender.tokens(&around.mint, scenario.tokens); // made here, with all cores
    }
    for _ in 0..generations {
        let mut runners = start(scenario, contenders, around).await;
        for round in 0..rounds {
            // Another one first each time, and there and back: none always follows the same one.
            let mut order: Vec<usize> = (0..all.len()).map(|place| (place + round / 2) % all.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                runners[index].run(effort.slice, &mut all[index]).await;
            }
        }
        for (runner, series) in runners.into_iter().zip(&mut all) {
            series.misses += series.contender.misses(&runner.envoy).await - runner.misses_before;
        }
        around.cores.share();
    }
    all
}

/// Starts an Envoy for each contender and fills its cache.
async fn start(
    scenario: &'static Scenario,
    contenders: &[Contender],
    around: &Arc<Surroundings>,
) -> Vec<Runner> {
    let mut filling = JoinSet::new();
    for (index, contender) in contenders.iter().copied().enumerate() {
        let mut runner = Runner::start(contender, scenario, around).await;
        let around = around.clone();
        filling.spawn(async move {
            runner.fill().await;
            (index, runner, around)
        });
    }
    let mut filled = filling.join_all().await;
    filled.sort_by_key(|(index, ..)| *index);
    around.cores.separate(scenario.workers);
    let mut runners = Vec::new();
    for (_, mut runner, around) in filled {
        runner.load.run(&runner.tokens, WARM_UP).await;
        if scenario.upstream == Upstream::Service {
            check(runner.contender, &around.upstream.last_request());
        }
        runner.misses_before = runner.contender.misses(&runner.envoy).await;
        runners.push(runner);
    }
    runners
}

/// A contender's Envoy and the load on it.
struct Runner {
    contender: Contender,
    envoy: Envoy,
    load: Load,
    tokens: Tokens,
    misses_before: u64,
}

impl Runner {
    async fn start(contender: Contender, scenario: &Scenario, around: &Surroundings) -> Self {
        let envoy = bootstrap(contender, scenario, around).start().await;
        let tokens = contender.tokens(&around.mint, scenario.tokens);
        let load = Load::open(&envoy, scenario.workers, scenario.connections).await;
        Self { contender, envoy, load, tokens, misses_before: 0 }
    }

    /// Sends each token to each worker; again if an entry can lose its slot to a later one, until hardly one does; and
    /// as often as it takes until a worker keeps what it uses again and again.
    async fn fill(&mut self) {
        const MOST_TIMES: usize = 8;
        const USES: usize = 2;
        if !self.contender.knows_tokens() {
            return;
        }
        let mut hits = 0;
        for _ in 0..MOST_TIMES {
            let before = self.contender.misses(&self.envoy).await;
            self.load.each(&self.tokens).await;
            let missed = self.contender.misses(&self.envoy).await - before;
            hits += usize::from(missed <= self.tokens.len() as u64 / 1000);
            if !self.contender.is_this_filter() || hits == USES {
                return;
            }
        }
    }

    async fn run(&mut self, duration: Duration, series: &mut Series) {
        let before = self.envoy.process().cpu_time();
        let run = self.load.run(&self.tokens, duration).await;
        // The scheduler books a thread's time when the thread rests.
        tokio::time::sleep(Duration::from_millis(3)).await;
        let cpu = self.envoy.process().cpu_time() - before;
        let requests = run.latencies.len() as f64;
        series.requests += run.latencies.len();
        series.cpu.push(micros(cpu) / requests);
        series.rate.push(requests / run.duration.as_secs_f64());
        series.p50.push(quantile(&run.latencies, 0.50));
        series.p99.push(quantile(&run.latencies, 0.99));
    }
}

/// A contender that does not do its work would be fast. `request` is what the upstream got of it last.
fn check(contender: Contender, request: &str) {
    let has_jwt = request.contains("authorization: Bearer ey");
    let header = contender.sets_header().unwrap_or("");
    let right = has_jwt == contender.knows_tokens() && request.contains(header);
    assert!(right, "{contender:?} does not do its work; the upstream got\n{request}");
}
