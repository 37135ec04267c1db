//! What is compared: one Envoy each, the same but for the HTTP filter in front of the router.

use std::borrow::Cow;

use crate::{
    rig::envoy::Envoy,
    tokens::{Mint, Tokens},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    Router,
    /// The router once more, in a process of its own: what two equal Envoys differ by.
    RouterAgain,
    /// A native filter that sets a header.
    HeaderMutation,
    /// A Wasm filter that sets a header.
    TrivialWasm,
    /// A Wasm filter that makes the host calls of this one, and no more.
    SameCalls,
    JwtAuthn,
    /// The same without its cache: each request verifies a signature.
    JwtAuthnUncached,
    PhantomToken,
    /// The same as a dynamic module.
    DynamicModule,
    /// Another build of the filter: the how manieth `--versus FILE`.
    OtherBuild(usize),
    /// This filter with `strategy: jwt`.
    LocalJwt,
    /// The same with `cache_ttl: 0s`: each request verifies a signature.
    LocalJwtUncached,
    Lua,
    ExtAuthz,
}

impl Contender {
    pub const ALL: [Self; 14] = [
        Self::Router,
        Self::RouterAgain,
        Self::HeaderMutation,
        Self::TrivialWasm,
        Self::SameCalls,
        Self::JwtAuthn,
        Self::JwtAuthnUncached,
        Self::PhantomToken,
        Self::DynamicModule,
        Self::OtherBuild(0),
        Self::LocalJwt,
        Self::LocalJwtUncached,
        Self::Lua,
        Self::ExtAuthz,
    ];

    /// On the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::RouterAgain => "router-again",
            Self::HeaderMutation => "header-mutation",
            Self::TrivialWasm => "trivial-wasm",
            Self::SameCalls => "same-calls",
            Self::JwtAuthn => "jwt-authn",
            Self::JwtAuthnUncached => "jwt-authn-uncached",
            Self::PhantomToken => "phantom-token",
            Self::DynamicModule => "dynamic-module",
            Self::OtherBuild(_) => "other-build",
            Self::LocalJwt => "local-jwt",
            Self::LocalJwtUncached => "local-jwt-uncached",
            Self::Lua => "lua",
            Self::ExtAuthz => "ext-authz",
        }
    }

    /// In tables and plots.
    pub fn title(self) -> Cow<'static, str> {
        let title = match self {
            Self::Router => "router only",
            Self::RouterAgain => "router only, once more",
            Self::HeaderMutation => "header_mutation, one header",
            Self::TrivialWasm => "Wasm, one header",
            Self::SameCalls => "Wasm, this filter’s host calls alone",
            Self::JwtAuthn => "jwt_authn ES256, cached",
            Self::JwtAuthnUncached => "jwt_authn ES256, verified each time",
            Self::PhantomToken => "this filter, cache hit",
            Self::DynamicModule => "this filter as a dynamic module, cache hit",
            Self::OtherBuild(number) => return format!("this filter, other build {}", number + 1).into(),
            Self::LocalJwt => "this filter, JWT ES256, cached",
            Self::LocalJwtUncached => "this filter, JWT ES256, verified each time",
            Self::Lua => "Lua, table cache",
            Self::ExtAuthz => "ext_authz to a no-op service",
        };
        title.into()
    }

    pub fn tokens(self, mint: &Mint, count: usize) -> Tokens {
        match self {
            Self::JwtAuthn | Self::JwtAuthnUncached | Self::LocalJwt | Self::LocalJwtUncached => {
                mint.jwts(count)
            }
            _ => mint.opaque(count),
        }
    }

    /// Whether it looks at tokens: then it remembers them, and the upstream gets a JWT.
    pub fn knows_tokens(self) -> bool {
        !matches!(
            self,
            Self::Router | Self::RouterAgain | Self::HeaderMutation | Self::TrivialWasm | Self::ExtAuthz
        )
    }

    pub fn is_this_filter(self) -> bool {
        matches!(self, Self::PhantomToken | Self::DynamicModule | Self::OtherBuild(_))
    }

    /// A header that the upstream gets besides.
    pub fn sets_header(self) -> Option<&'static str> {
        match self {
            Self::HeaderMutation => Some("x-native: 1"),
            Self::TrivialWasm => Some("x-wasm: 1"),
            _ => None,
        }
    }

    /// Requests of which its Envoy did not know the token, so far.
    pub async fn misses(self, envoy: &Envoy) -> u64 {
        let counter = match self {
            Self::PhantomToken | Self::DynamicModule | Self::OtherBuild(_) | Self::Lua => {
                "cluster.authorization_server.upstream_rq_total"
            }
            Self::JwtAuthn => "jwt_cache_miss",
            Self::LocalJwt => "phantom_token.cache.miss",
            _ => return 0,
        };
        envoy.stats(&format!("{counter}$")).await.values().sum()
    }
}
