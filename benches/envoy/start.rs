//! How long Envoy takes to start, without and with a Wasm module.

use std::time::Instant;

use crate::{
    contender::Contender,
    envoys::bootstrap,
    scenario::HOT,
    statistics::{Spread, millis},
    surroundings::Surroundings,
};

pub const COMPARED: [Contender; 4] =
    [Contender::Router, Contender::TrivialWasm, Contender::PhantomToken, Contender::DynamicModule];

/// The figures of each start.
pub struct Start {
    pub contender: Contender,
    /// Until the listener serves, ms.
    pub ready: Spread,
    /// CPU time until then, ms.
    pub cpu: Spread,
    /// Resident memory then, MiB.
    pub memory: Spread,
}

pub async fn starts(times: usize, around: &Surroundings) -> Vec<Start> {
    let mut figures = COMPARED.map(|_| [vec![], vec![], vec![]]);
    for _ in 0..times {
        for (contender, [ready, cpu, memory]) in COMPARED.iter().zip(&mut figures) {
            let bootstrap = bootstrap(*contender, &HOT, around);
            let begin = Instant::now();
            let envoy = bootstrap.start().await;
            ready.push(millis(begin.elapsed()));
            cpu.push(millis(envoy.process().cpu_time()));
            memory.push(envoy.process().resident_memory() as f64 / f64::from(1 << 20));
        }
    }
    let of = |(contender, [ready, cpu, memory]): (&Contender, [Vec<f64>; 3])| Start {
        contender: *contender,
        ready: Spread::of(ready),
        cpu: Spread::of(cpu),
        memory: Spread::of(memory),
    };
    COMPARED.iter().zip(figures).map(of).collect()
}
