//! What a callback lets Envoy do.

/// Whether what the callback was about may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) enum Action {
    /// It may.
    Continue,
    /// It is kept, and what follows is shown to us and kept with it, as far as Envoy's buffer goes.
    Collect,
    /// It waits, and the client with it: what does not fit into Envoy's buffer is not read from the connection.
    Wait,
}

impl Action {
    /// What the ABI has for it where headers are concerned: Envoy's `FilterHeadersStatus`. Where an operator does not
    /// set `allow_on_headers_stop_iteration`, Envoy takes the second for the third.
    pub(in crate::host) fn of_headers(self) -> u32 {
        match self {
            Self::Continue => 0,
            Self::Collect => 1, // StopIteration
            Self::Wait => 4,    // StopAllIterationAndWatermark
        }
    }

    /// The same for bodies: Envoy's `FilterDataStatus`.
    pub(in crate::host) fn of_body(self) -> u32 {
        match self {
            Self::Continue => 0,
            Self::Collect => 1, // StopIterationAndBuffer: too much is answered by Envoy, with 413
            Self::Wait => 2,    // StopIterationAndWatermark
        }
    }

    /// The same for trailers: Envoy's `FilterTrailersStatus`.
    pub(in crate::host) fn of_trailers(self) -> u32 {
        u32::from(self != Self::Continue)
    }
}
