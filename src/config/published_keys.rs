//! The filter's own answer with the keys that verify phantom tokens (RFC 7517).

use crate::challenge::Answer;
use crate::request::{RequestView, has_path};

/// The keys, and where they are published.
#[derive(Clone, Debug)]
pub(super) struct PublishedKeys {
    path: String,
    body: String,
}

impl PublishedKeys {
    pub(super) fn new(path: String, body: String) -> Self {
        Self { path, body }
    }

    /// Whether a request target is for them.
    pub(super) fn is_at(&self, target: &[u8]) -> bool {
        has_path(target, &self.path)
    }

    /// What a request for them gets.
    pub(super) fn answer(&self, request: &dyn RequestView) -> Answer {
        let answer = |status, headers, body, details| Answer {
            status,
            headers,
            body,
            details,
            grpc_status: 12, // UNIMPLEMENTED: a key set is no gRPC method.
            grpc_message: "not a gRPC method",
        };
        match request.header(":method").as_deref() {
            Some(b"GET" | b"HEAD") => answer(
                200,
                vec![
                    ("content-type", "application/jwk-set+json".to_owned()),
                    ("cache-control", JWKS_CACHE_CONTROL.to_owned()),
                ],
                self.body.clone(),
                "jwks",
            ),
            _ => {
                answer(405, vec![("allow", "GET, HEAD".to_owned())], String::new(), "jwks_method_not_allowed")
            }
        }
    }
}

/// Verifiers may keep the keys this long: what a new key must be published ahead of its first use.
const JWKS_CACHE_CONTROL: &str = "public, max-age=300";
