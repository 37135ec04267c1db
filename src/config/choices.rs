//! What a configuration chooses from, where a default is among it.

/// `response` as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    ApplicationJwt,
    Json,
    Jwt,
}

/// `strategy` as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StrategyName {
    Allow,
    Auto,
    Introspection,
    Jwt,
    JwtAndIntrospection,
    PhantomToken,
}

impl StrategyName {
    /// As they are written.
    pub(super) const ALL: [(&str, Self); 6] = [
        ("phantom_token", Self::PhantomToken),
        ("introspection", Self::Introspection),
        ("jwt", Self::Jwt),
        ("jwt_and_introspection", Self::JwtAndIntrospection),
        ("auto", Self::Auto),
        ("allow", Self::Allow),
    ];

    /// As it is written.
    pub(super) fn as_written(self) -> &'static str {
        Self::ALL.iter().find(|(_, name)| *name == self).map_or("", |(text, _)| text)
    }
}
