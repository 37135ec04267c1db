//! How we show the authorization server who asks (RFC 7662 §2.1).

use std::borrow::Cow;

use crate::client::{Authorization, ClientAuthentication, Form};
use crate::jwt::{SignError, Signatures};
use crate::token::{Secret, UnixMillis};

/// Our credentials at the introspection endpoint.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// An access token of our own.
    Bearer(Authorization),
    /// As a client.
    Client(ClientAuthentication),
}

impl Authentication {
    /// Adds what proves who we are: a value for `authorization`, or parameters to the body. `fetched`: the access token,
    /// where it is one that is fetched.
    pub(super) fn apply(
        &self,
        form: &mut Form,
        fetched: Option<&Secret>,
        signatures: &dyn Signatures,
        now: UnixMillis,
    ) -> Result<Option<String>, SignError> {
        match self {
            Self::Bearer(token) => {
                Ok(token.secret(fetched).map(|token| ["Bearer ", token.secret()].concat()))
            }
            Self::Client(client) => client.apply(form, signatures, now),
        }
    }

    /// The access token that is fetched, if one is.
    pub fn authorization(&self) -> Option<&Authorization> {
        match self {
            Self::Bearer(token) => Some(token),
            Self::Client(_) => None,
        }
    }

    /// Who we are, if it is as a client.
    pub fn client(&self) -> Option<&ClientAuthentication> {
        match self {
            Self::Bearer(_) => None,
            Self::Client(client) => Some(client),
        }
    }

    /// Who we are to the server, if these credentials say so.
    pub fn client_id(&self) -> Option<&str> {
        self.client()?.client_id()
    }

    /// What tells these credentials from others in a fingerprint, without being a secret: a server may
    /// answer each client differently (RFC 7662 §2.2).
    pub fn identity(&self) -> Cow<'_, str> {
        match self {
            // Whom a bearer token stands for is not known.
            Self::Bearer(token) => token.identity(),
            Self::Client(client) => Cow::Borrowed(client.client_id().unwrap_or_default()),
        }
    }

    /// Whether the server has to say how it takes them.
    pub fn is_sought(&self) -> bool {
        self.client().is_some_and(ClientAuthentication::is_sought)
    }

    /// The same credentials in a way that is among those that the server takes (RFC 8414 §2); `None`: in no way that it
    /// takes.
    pub fn taken_by(&self, methods: Option<&[String]>) -> Option<Self> {
        match self {
            Self::Bearer(_) => Some(self.clone()),
            Self::Client(client) => client.taken_by(methods).map(Self::Client),
        }
    }

    /// The way, as registered at IANA ("OAuth Token Endpoint Authentication Methods"), where it has a name there.
    pub fn method(&self) -> Option<&'static str> {
        self.client()?.method()
    }
}
