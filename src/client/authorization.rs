//! What a call of ours shows in `authorization`.

use std::borrow::Cow;
use std::rc::Rc;

use super::credentials::ClientCredentials;
use crate::token::Secret;

/// What a call of ours shows in `authorization`.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// An access token that is fetched, and fetched anew before it ends (RFC 6749 §4.4).
    ClientCredentials(Rc<ClientCredentials>),
    /// A secret that does not change.
    Secret(Secret),
}

impl Authorization {
    /// What has to be fetched first, if anything has.
    pub fn client_credentials(&self) -> Option<&Rc<ClientCredentials>> {
        match self {
            Self::ClientCredentials(credentials) => Some(credentials),
            Self::Secret(_) => None,
        }
    }

    /// What tells it from others. It goes into one-way fingerprints only.
    pub(crate) fn identity(&self) -> Cow<'_, str> {
        match self {
            Self::ClientCredentials(credentials) => Cow::Owned(credentials.identity()),
            Self::Secret(secret) => Cow::Borrowed(secret.secret()),
        }
    }

    /// The secret or, where it is to be fetched, what was: nothing before.
    pub fn secret<'s>(&'s self, fetched: Option<&'s Secret>) -> Option<&'s Secret> {
        match self {
            Self::ClientCredentials(_) => fetched,
            Self::Secret(secret) => Some(secret),
        }
    }
}

/// A secret as the value of `authorization`: what has a scheme already stays as it is, everything else is a bearer token.
pub fn credentials(secret: &Secret) -> String {
    match secret.secret() {
        whole if whole.contains(' ') => whole.to_owned(),
        token => ["Bearer ", token].concat(),
    }
}
