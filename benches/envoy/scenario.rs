//! What clients do, and how many Envoy workers serve them.

use crate::contender::Contender;

pub struct Scenario {
    /// On the command line.
    pub name: &'static str,
    /// In tables.
    pub title: &'static str,
    /// Among how many access tokens clients choose at random.
    pub tokens: usize,
    pub workers: u32,
    /// How many connections have a request under way, on all workers together.
    pub connections: usize,
    pub upstream: Upstream,
    pub contenders: &'static [Contender],
    /// Whether it belongs to a `--quick` run.
    pub is_quick: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// A service of its own, as in real life.
    Service,
    /// Envoy answers itself: what a filter costs is then the largest part of what is measured.
    None,
}

/// As many as keep one worker busy.
const CONNECTIONS: usize = 32;

/// Whatever forwards a request with an opaque token or a JWT that was seen before, and what it is measured by.
const EVERYBODY: &[Contender] = &[
    Contender::Router,
    Contender::RouterAgain,
    Contender::HeaderMutation,
    Contender::TrivialWasm,
    Contender::SameCalls,
    Contender::JwtAuthn,
    Contender::PhantomToken,
    Contender::DynamicModule,
    Contender::OtherBuild(0),
    Contender::Lua,
    Contender::ExtAuthz,
];

const COMPARED: &[Contender] = &[
    Contender::Router,
    Contender::TrivialWasm,
    Contender::SameCalls,
    Contender::JwtAuthn,
    Contender::PhantomToken,
    Contender::DynamicModule,
    Contender::OtherBuild(0),
    Contender::Lua,
    Contender::ExtAuthz,
];

pub const HOT: Scenario = Scenario {
    name: "hot",
    title: "One hot token, one worker",
    tokens: 1,
    workers: 1,
    connections: CONNECTIONS,
    upstream: Upstream::Service,
    contenders: EVERYBODY,
    is_quick: true,
};

pub const ALL: [Scenario; 10] = [
    HOT,
    Scenario {
        name: "direct",
        title: "One hot token, one worker, no upstream (`direct_response`)",
        upstream: Upstream::None,
        ..HOT
    },
    Scenario {
        name: "one-connection",
        title: "One hot token, one worker, one connection",
        connections: 1,
        contenders: COMPARED,
        is_quick: false,
        ..HOT
    },
    Scenario {
        name: "thousand",
        title: "1,000 tokens, one worker",
        tokens: 1_000,
        contenders: COMPARED,
        ..HOT
    },
    Scenario {
        name: "many",
        title: "100,000 tokens, one worker",
        tokens: 100_000,
        contenders: COMPARED,
        is_quick: false,
        ..HOT
    },
    Scenario {
        name: "jwt",
        title: "JWTs that Envoy validates itself: one hot token, one worker",
        contenders: &[Contender::Router, Contender::TrivialWasm, Contender::JwtAuthn, Contender::LocalJwt],
        is_quick: false,
        ..HOT
    },
    Scenario {
        name: "jwt-new",
        title: "JWTs that Envoy validates itself: each request verifies a signature, one worker",
        contenders: &[Contender::Router, Contender::JwtAuthnUncached, Contender::LocalJwtUncached],
        is_quick: false,
        ..HOT
    },
    Scenario { name: "hot-2", title: "One hot token, two workers", workers: 2, contenders: COMPARED, ..HOT },
    Scenario {
        name: "thousand-2",
        title: "1,000 tokens, two workers",
        tokens: 1_000,
        workers: 2,
        contenders: COMPARED,
        is_quick: false,
        ..HOT
    },
    Scenario {
        name: "many-2",
        title: "100,000 tokens, two workers",
        tokens: 100_000,
        workers: 2,
        contenders: COMPARED,
        is_quick: false,
        ..HOT
    },
];
