//! What a request shows of its sender beside the token, read while its headers are at hand: it may have to wait, and then
//! they are not.

use super::certificate::ClientCertificate;
use super::confirmation::Thumbprint;
use super::dpop::ShownProof;
use crate::request::RequestView;
use crate::token::{AccessToken, UnixMillis};

/// What a request shows of its sender.
#[derive(Debug)]
pub struct Shown {
    /// Of the certificate that its client has shown.
    pub(super) certificate: Option<Thumbprint>,
    /// Boxed, for most have none.
    pub(super) proof: Option<Box<ShownProof>>,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Where certificates are found.
    pub certificate: ClientCertificate,
    /// Whether proofs are taken.
    pub proof: bool,
}

impl Shown {
    /// What a request with this token shows, which came at `now`.
    pub fn by(request: &dyn RequestView, token: &AccessToken, look: Look, now: UnixMillis) -> Self {
        Self {
            certificate: look.certificate.thumbprint(request),
            proof: look.proof.then(|| Box::new(ShownProof::of(request, token, now))),
        }
    }

    /// How many bytes of the client's it holds.
    pub fn size(&self) -> usize {
        self.proof.as_ref().map_or(0, |proof| proof.size())
    }
}
