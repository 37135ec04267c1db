//! Token revocation requests (RFC 7009 §2.1) on their way to the authorization server: what they would revoke.
//!
//! Nothing is checked here: the server does that, and only if it answers 200 is anything withdrawn. A token that is
//! no known access token may be a refresh token, whose revocation ends access tokens that the request does not name
//! (§2.1): then the verdicts on the client's tokens go.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};

use super::claim::is_form;
use crate::cache::{ProviderTag, Subject, Which};
use crate::json;
use crate::token::AccessToken;

/// What a revocation request names.
#[derive(Clone, Default)]
pub struct RevocationRequest {
    tokens: Vec<AccessToken>,
    /// Whether it also names a token that by its letters is no access token, and so none that is known.
    names_another: bool,
    /// Whoever may be revoking.
    clients: Vec<String>,
    /// Whether all of it is in the above: a body that is too long or of another kind may name anything.
    is_understood: bool,
}

impl RevocationRequest {
    /// Longest body that is read: 64 KiB.
    pub const MAX_BODY_BYTES: usize = 64 << 10;

    /// Reads a request's form. `body` is `None` if it is longer than [`Self::MAX_BODY_BYTES`].
    pub fn read(content_type: &[u8], authorization: Option<&[u8]>, body: Option<&[u8]>) -> Self {
        let mut request = Self::default();
        if let Some(credentials) = authorization.and_then(basic) {
            credentials.into_iter().for_each(|client| request.name_client(client));
        }
        let Some(body) = body.filter(|_| is_form(content_type)) else { return request };
        let mut is_understood = true;
        for (name, value) in form_urlencoded::parse(body) {
            match name.as_ref() {
                "token" => match AccessToken::parse(value.as_bytes()) {
                    Some(token) => request.tokens.push(token),
                    None => request.names_another = true,
                },
                "client_id" => request.name_client(value.into_owned()),
                "client_assertion" => match unverified_sub(&value) {
                    Some(sub) => request.name_client(sub),
                    None => is_understood = false,
                },
                _ => {}
            }
        }
        request.is_understood =
            is_understood && request.tokens.len() <= MAX_NAMED && request.clients.len() <= MAX_NAMED;
        request
    }

    fn name_client(&mut self, client: String) {
        if !client.is_empty() && self.clients.len() <= MAX_NAMED && !self.clients.contains(&client) {
            self.clients.push(client);
        }
    }

    /// What is withdrawn once the server has answered 200. `is_known` says whether there is a verdict on a token.
    pub fn withdraws(&self, provider: ProviderTag, is_known: impl Fn(&AccessToken) -> bool) -> Vec<Subject> {
        if !self.is_understood {
            return vec![Subject::Of(provider, Which::All)];
        }
        let mut subjects: Vec<Subject> = self.tokens.iter().map(Subject::token).collect();
        if self.tokens.is_empty() || self.names_another || !self.tokens.iter().all(is_known) {
            match self.clients.as_slice() {
                [] => subjects.push(Subject::Of(provider, Which::All)),
                clients => subjects.extend(
                    clients.iter().map(|client| Subject::Of(provider, Which::Client(client.clone()))),
                ),
            }
        }
        subjects
    }
}

/// The client identifier in HTTP Basic (RFC 6749 §2.3.1): form-decoded, and as it is, for servers differ.
fn basic(authorization: &[u8]) -> Option<[String; 2]> {
    let (scheme, credentials) = authorization.split_at_checked(b"basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let credentials = std::str::from_utf8(credentials.trim_ascii()).ok()?;
    let credentials = String::from_utf8(Base64::decode_vec(credentials).ok()?).ok()?;
    let raw = credentials.split(':').next().unwrap_or_default();
    let decoded = form_urlencoded::parse(format!("id={raw}").as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned());
    Some([decoded, raw.to_owned()])
}

/// Whom a client assertion (RFC 7523 §3) speaks for.
fn unverified_sub(assertion: &str) -> Option<String> {
    let payload = Base64UrlUnpadded::decode_vec(assertion.split('.').nth(1)?).ok()?;
    Some(json::object(&payload).ok()?.get("sub")?.as_str()?.to_owned())
}

/// Tokens, and clients, in one request; RFC 7009 has one of each.
const MAX_NAMED: usize = 8;
