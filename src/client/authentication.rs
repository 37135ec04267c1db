//! How we show an authorization server which client we are (RFC 6749 §2.3, RFC 7523).

use base64ct::{Base64, Encoding};
use serde_json::Value;

use crate::json::object_of;
use crate::jwt::{self, Algorithm, SignError, Signatures, SigningKey};
use crate::token::{Secret, UnixMillis};

/// Our credentials as a client.
#[derive(Clone, Debug)]
pub enum ClientAuthentication {
    /// HTTP Basic (RFC 6749 §2.3.1).
    ClientSecretBasic {
        /// Who we are.
        client_id: String,
        /// And the proof.
        client_secret: Secret,
        /// How both are written.
        encoding: SecretEncoding,
    },
    /// In the way that discovery says the server takes.
    ClientSecret {
        /// Who we are.
        client_id: String,
        /// And the proof.
        client_secret: Secret,
    },
    /// Both in the body (RFC 6749 §2.3.1).
    ClientSecretPost {
        /// Who we are.
        client_id: String,
        /// And the proof.
        client_secret: Secret,
    },
    /// The cluster's TLS certificate proves it (RFC 8705 §2), or nothing does.
    None {
        /// Who we are, where the server wants to know.
        client_id: Option<String>,
    },
    /// A signed assertion (RFC 7523 §2.2).
    PrivateKeyJwt {
        /// Who we are: `iss` and `sub`.
        client_id: String,
        /// What signs.
        key: SigningKey,
        /// `aud`: the authorization server's issuer identifier.
        audience: String,
    },
}

/// How id and secret stand in HTTP Basic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretEncoding {
    /// Form-encoded first, as RFC 6749 §2.3.1 says.
    Form,
    /// As they are, for servers that do not decode.
    Raw,
}

impl ClientAuthentication {
    /// Adds what proves who we are: a value for `authorization`, or parameters to the body.
    pub(crate) fn apply(
        &self,
        form: &mut Form,
        signatures: &dyn Signatures,
        now: UnixMillis,
    ) -> Result<Option<String>, SignError> {
        match self {
            // What a server takes that does not say what it takes (RFC 7591 §2).
            Self::ClientSecret { client_id, client_secret } => {
                Ok(Some(basic(client_id, client_secret, SecretEncoding::Form)))
            }
            Self::ClientSecretBasic { client_id, client_secret, encoding } => {
                Ok(Some(basic(client_id, client_secret, *encoding)))
            }
            Self::ClientSecretPost { client_id, client_secret } => {
                form.append_pair("client_id", client_id).append_pair("client_secret", client_secret.secret());
                Ok(None)
            }
            Self::None { client_id } => {
                if let Some(client_id) = client_id {
                    form.append_pair("client_id", client_id);
                }
                Ok(None)
            }
            Self::PrivateKeyJwt { client_id, key, audience } => {
                let assertion = assertion(client_id, key, audience, signatures, now)?;
                form.append_pair("client_id", client_id)
                    .append_pair("client_assertion_type", ASSERTION_TYPE)
                    .append_pair("client_assertion", &assertion);
                Ok(None)
            }
        }
    }

    /// Signs once where these credentials are a signature.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the key does not sign.
    pub fn try_out(&self, signatures: &dyn Signatures) -> Result<(), SignError> {
        match self {
            Self::PrivateKeyJwt { key, .. } => key.try_out(signatures),
            Self::ClientSecret { .. }
            | Self::ClientSecretBasic { .. }
            | Self::ClientSecretPost { .. }
            | Self::None { .. } => Ok(()),
        }
    }

    /// Who we are to the server, if these credentials say so.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::None { client_id } => client_id.as_deref(),
            Self::ClientSecret { client_id, .. }
            | Self::ClientSecretBasic { client_id, .. }
            | Self::ClientSecretPost { client_id, .. }
            | Self::PrivateKeyJwt { client_id, .. } => Some(client_id),
        }
    }

    /// Whether the server has to say how it takes them.
    pub fn is_sought(&self) -> bool {
        matches!(self, Self::ClientSecret { .. })
    }

    /// The same credentials in a way that is among those that the server takes (RFC 8414 §2); `None`: in no way that it
    /// takes. Where it takes a secret in both ways, or does not say, HTTP Basic is what every server has to take (RFC 6749
    /// §2.3.1) and a client has unless it was registered otherwise (RFC 7591 §2).
    pub fn taken_by(&self, methods: Option<&[String]>) -> Option<Self> {
        let Self::ClientSecret { client_id, client_secret } = self else { return Some(self.clone()) };
        let takes = |method: &str| methods.is_none_or(|methods| methods.iter().any(|it| it == method));
        let (client_id, client_secret) = (client_id.clone(), client_secret.clone());
        if takes("client_secret_basic") {
            let encoding = SecretEncoding::Form;
            Some(Self::ClientSecretBasic { client_id, client_secret, encoding })
        } else if takes("client_secret_post") {
            Some(Self::ClientSecretPost { client_id, client_secret })
        } else {
            None
        }
    }

    /// The way, as registered at IANA ("OAuth Token Endpoint Authentication Methods"), where it has a name there.
    pub fn method(&self) -> Option<&'static str> {
        match self {
            Self::ClientSecretBasic { .. } => Some("client_secret_basic"),
            Self::ClientSecretPost { .. } => Some("client_secret_post"),
            Self::PrivateKeyJwt { key, .. } if key.alg() == Algorithm::HS256 => Some("client_secret_jwt"),
            Self::PrivateKeyJwt { .. } => Some("private_key_jwt"),
            Self::ClientSecret { .. } | Self::None { .. } => None,
        }
    }
}

/// The value of `authorization` (RFC 6749 §2.3.1).
fn basic(client_id: &str, client_secret: &Secret, encoding: SecretEncoding) -> String {
    let credentials = match encoding {
        SecretEncoding::Form => {
            format!("{}:{}", form_encoded(client_id), form_encoded(client_secret.secret()))
        }
        SecretEncoding::Raw => format!("{client_id}:{}", client_secret.secret()),
    };
    format!("Basic {}", Base64::encode_string(credentials.as_bytes()))
}

/// A form under construction.
pub(crate) type Form = form_urlencoded::Serializer<'static, String>;

/// A client assertion (RFC 7523 §3) with an id of its own: servers accept each only once.
fn assertion(
    client_id: &str,
    key: &SigningKey,
    audience: &str,
    signatures: &dyn Signatures,
    now: UnixMillis,
) -> Result<String, SignError> {
    let claims: [(&str, Value); 6] = [
        ("iss", client_id.into()),
        ("sub", client_id.into()),
        ("aud", audience.into()),
        ("jti", jwt::random_id()?.into()),
        ("iat", now.as_secs().into()),
        ("exp", (now.as_secs() + ASSERTION_SECONDS).into()),
    ];
    let claims = object_of(claims.map(|(name, value)| (name.to_owned(), value)));
    jwt::sign_compact(signatures, key, "JWT", claims)
}

fn form_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Life of an assertion: long enough for a clock that is a little off, short enough to be worthless when seen.
const ASSERTION_SECONDS: u64 = 60;
