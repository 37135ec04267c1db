//! Token revocation requests (RFC 7009 §2.1) on their way to the authorization server: what they would revoke.
//!
//! Nothing is checked here: the server does that, and only if it answers 2xx is anything withdrawn. A token that is
//! no known access token may be a refresh token, whose revocation ends access tokens that the request does not name
//! (§2.1): then the verdicts on the client's tokens go.
//!
//! A server says 200 to rubbish, too (§2.2), and asks a public client for no secret. So what a request names counts, and
//! nothing beyond it; and a client that does not show a secret counts as one that anybody may have named.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};

use super::claim::is_form;
use crate::cache::Subject;
use crate::json;
use crate::token::{AccessToken, TokenDigest};

/// What a revocation request names.
#[derive(Clone, Default)]
pub struct RevocationRequest {
    tokens: Vec<AccessToken>,
    /// Whether there may be tokens that are not among these: by its letters no access token, too many, or unread.
    names_another: bool,
    /// Who has sent something to authenticate by (RFC 6749 §2.3), in all ways to read it.
    authenticated: Vec<String>,
    /// Who is named besides.
    named: Vec<String>,
}

/// What is known of a token that is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    No,
    /// There is a verdict on it, or somebody asks for one. Anybody can bring about the latter, with a token that he has made up.
    Asked,
    /// It is a JWT that is good by itself, as its signature shows.
    Good,
}

/// What is withdrawn once the server has said yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Verdicts on single tokens.
    pub tokens: Vec<Subject>,
    /// JWTs that nobody is asked about, and verdicts on them.
    pub jwts: Vec<TokenDigest>,
    /// Verdicts on all tokens of clients.
    pub clients: RevokedClients,
}

/// Whose tokens are revoked, as far as the request does not name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokedClients {
    /// Nobody's.
    None,
    /// Those of a client that has shown something that the server could check.
    Authenticated(Vec<String>),
    /// Those of clients that anybody may have named.
    Named(Vec<String>),
}

impl RevocationRequest {
    /// Longest body that is read: 64 KiB.
    pub const MAX_BODY_BYTES: usize = 64 << 10;

    /// Reads a request's form. `body` is `None` if it is longer than [`Self::MAX_BODY_BYTES`].
    pub fn read(content_type: &[u8], authorization: Option<&[u8]>, body: Option<&[u8]>) -> Self {
        let mut request = Self::default();
        let mut ways = 0;
        if let Some(clients) = authorization.and_then(basic) {
            ways += 1;
            clients.into_iter().for_each(|client| add(&mut request.authenticated, client));
        }
        let Some(body) = body.filter(|_| is_form(content_type)) else {
            return Self { names_another: true, ..request };
        };
        let mut has_secret = false;
        for (name, value) in form_urlencoded::parse(body) {
            match name.as_ref() {
                "token" => match AccessToken::parse(value.as_bytes()) {
                    Some(token) if request.tokens.len() < MAX_NAMED => request.tokens.push(token),
                    _ => request.names_another = true,
                },
                "client_id" => add(&mut request.named, value.into_owned()),
                "client_secret" => has_secret |= !value.is_empty(),
                "client_assertion" => {
                    if let Some(sub) = unverified_sub(&value) {
                        ways += 1;
                        add(&mut request.authenticated, sub);
                    }
                }
                _ => {}
            }
        }
        if has_secret {
            ways += 1;
            request.authenticated.append(&mut request.named);
        }
        // Of several, nobody knows which one the server has checked.
        if ways > 1 {
            let authenticated = std::mem::take(&mut request.authenticated);
            authenticated.into_iter().for_each(|client| add(&mut request.named, client));
        }
        request
    }

    /// What is withdrawn once the server has answered 2xx. `known` says what is known of a token: one that nothing is known of need
    /// not be withdrawn, and would fill the room for those that do.
    pub fn withdraws(&self, known: impl Fn(&AccessToken) -> Known) -> Revoked {
        let known: Vec<(&AccessToken, Known)> =
            self.tokens.iter().map(|token| (token, known(token))).collect();
        let of = |which: Known| {
            let tokens = known.iter().filter(move |(_, known)| *known == which);
            tokens.map(|(token, _)| TokenDigest::of(token))
        };
        let is_any_unknown = known.iter().any(|(_, known)| *known == Known::No);
        let may_be_a_refresh_token = self.names_another || is_any_unknown || known.is_empty();
        let clients = match (may_be_a_refresh_token, self.authenticated.as_slice()) {
            (false, _) => RevokedClients::None,
            (true, []) if self.named.is_empty() => RevokedClients::None,
            (true, []) => RevokedClients::Named(self.named.clone()),
            (true, authenticated) => RevokedClients::Authenticated(authenticated.to_vec()),
        };
        Revoked {
            tokens: of(Known::Asked).map(Subject::Token).collect(),
            jwts: of(Known::Good).collect(),
            clients,
        }
    }
}

fn add(clients: &mut Vec<String>, client: String) {
    if !client.is_empty() && clients.len() < MAX_NAMED && !clients.contains(&client) {
        clients.push(client);
    }
}

/// The client identifier in HTTP Basic (RFC 6749 §2.3.1): form-decoded, and as it is, for servers differ. `None` where
/// no password is beside it.
fn basic(authorization: &[u8]) -> Option<[String; 2]> {
    let (scheme, credentials) = authorization.split_at_checked(b"basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let credentials = std::str::from_utf8(credentials.trim_ascii()).ok()?;
    let credentials = String::from_utf8(Base64::decode_vec(credentials).ok()?).ok()?;
    let (raw, _) = credentials.split_once(':').filter(|(_, password)| !password.is_empty())?;
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
