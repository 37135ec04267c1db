//! Digests that each count until some time: the value of a slot where such are noted.
//!
//! ```text
//! version 1 · ( digest 32 · until 8 ) of each
//! ```

use crate::bytes::Reader;
use crate::token::{TokenDigest, UnixMillis};

/// Digests, and until when each counts.
#[derive(Default)]
pub(crate) struct Dated(pub(crate) Vec<(TokenDigest, UnixMillis)>);

impl Dated {
    /// What another version wrote is as good as nothing.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut reader = Reader::new(bytes);
        if reader.u8() != Some(VERSION) {
            return Self::default();
        }
        let next =
            || Some((TokenDigest::from_bytes(reader.array()?), UnixMillis::from_millis(reader.u64()?)));
        Self(std::iter::from_fn(next).collect())
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for (digest, until) in &self.0 {
            bytes.extend_from_slice(digest.as_bytes());
            bytes.extend_from_slice(&until.as_millis().to_le_bytes());
        }
        bytes
    }
}

const VERSION: u8 = 1;
