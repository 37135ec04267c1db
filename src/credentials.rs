//! Reading the access token out of a request (RFC 6750 §2, RFC 9449 §7.1).
//!
//! A token stands in `authorization` under the scheme `Bearer` or `DPoP`, or, where a policy says so, in
//! another header or in a cookie. It never stands in the query or the body (RFC 9700 §4.3.2). Whether its sender may use
//! it so is for [`sender_constrained`](crate::sender_constrained) to judge.

use crate::policy::{Denial, InvalidRequest, InvalidToken};
use crate::request::{HeaderEditsBuf, RequestView};
use crate::token::{AccessToken, Scheme};

/// A place where a token may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// `Authorization: Bearer TOKEN` (RFC 6750 §2.1).
    AuthorizationHeader,
    /// A cookie whose value is the token.
    Cookie(String),
    /// A header whose value is the token, without a scheme.
    Header(String),
}

/// The access token of `request`, and how it is carried; `None` if there is none. A header or a cookie that is empty, as a logout may leave it,
/// is none.
///
/// # Errors
///
/// [`Denial`] if something stands where a token should that is none, or more than one does.
pub fn access_token(
    request: &dyn RequestView,
    sources: &[TokenSource],
) -> Result<Option<(AccessToken, Scheme)>, Denial> {
    let mut found = None;
    for source in sources {
        let (token, scheme) = match source {
            TokenSource::AuthorizationHeader => match request.authorization() {
                Some(value) => match in_authorization(&value)? {
                    Some((token, scheme)) => (Some(AccessToken::parse(token)), scheme),
                    None => continue,
                },
                None => continue,
            },
            TokenSource::Cookie(name) => {
                (only(&cookie_values(&request.copies("cookie"), name))?, Scheme::Bare)
            }
            TokenSource::Header(name) => (only(&request.copies(name))?, Scheme::Bare),
        };
        let Some(token) = token else { continue };
        if found.is_some() {
            return Err(InvalidRequest::SeveralTokens.into());
        }
        found = Some((token.ok_or(InvalidToken::Malformed)?, scheme));
    }
    // A token that nobody looks at must not travel along with the one that is judged.
    if found.is_some() && !sources.contains(&TokenSource::AuthorizationHeader) {
        let authorization = request.authorization().unwrap_or_default();
        if !matches!(in_authorization(&authorization), Ok(None)) {
            return Err(InvalidRequest::SeveralTokens.into());
        }
    }
    Ok(found)
}

/// The one token that stands in a place, if any does; within, `None` if it is malformed.
fn only(texts: &[Vec<u8>]) -> Result<Option<Option<AccessToken>>, InvalidRequest> {
    let mut texts = texts.iter().filter(|text| !matches!(text.trim_ascii(), b"" | b"\"\""));
    match (texts.next(), texts.next()) {
        (None, _) => Ok(None),
        // Two copies of a header may arrive as one.
        (Some(text), None) if !text.contains(&b',') => Ok(Some(AccessToken::parse(text))),
        (Some(_), _) => Err(InvalidRequest::SeveralTokens),
    }
}

/// What takes the client's token out of a request, wherever it may stand but in `authorization`.
pub fn removal(request: &dyn RequestView, sources: &[TokenSource]) -> HeaderEditsBuf {
    let mut edits = HeaderEditsBuf::default();
    sources.iter().for_each(|source| match source {
        TokenSource::AuthorizationHeader => {}
        TokenSource::Header(name) => edits.remove(name),
        TokenSource::Cookie(name) => {
            let copies = request.copies("cookie");
            let others: Vec<&[u8]> = copies
                .iter()
                .flat_map(|copy| cookies(copy))
                .filter(|cookie| value_of(cookie, name).is_none())
                .collect();
            match others.as_slice() {
                [] => edits.remove("cookie"),
                others => edits.set("cookie", &[&others.join(&b"; "[..])]),
            }
        }
    });
    edits
}

/// The scheme of a request's token, as far as `authorization` says it, whatever follows.
pub fn scheme(request: &dyn RequestView) -> Scheme {
    let value = request.authorization().unwrap_or_default();
    token_scheme(scheme_and_rest(value.trim_ascii()).0).unwrap_or(Scheme::Bare)
}

/// What follows the scheme in a value of `authorization`, and it; `None` under another scheme.
fn in_authorization(value: &[u8]) -> Result<Option<(&[u8], Scheme)>, InvalidRequest> {
    let (scheme, rest) = scheme_and_rest(value.trim_ascii());
    if let Some(scheme) = token_scheme(scheme) {
        // Two copies of the header arrive as one value with a comma; no b64token has one.
        if rest.contains(&b',') {
            return Err(InvalidRequest::SeveralTokens);
        }
        // Between them stand spaces and nothing else (RFC 9110 §11.4); with anything else it is no b64token.
        let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
        return Ok(rest.get(spaces..).map(|token| (token, scheme)));
    }
    let parts = value.split(|&byte| byte == b',').skip(1);
    let hides_a_token =
        parts.map(<[u8]>::trim_ascii).any(|part| token_scheme(scheme_and_rest(part).0).is_some());
    if hides_a_token { Err(InvalidRequest::SeveralTokens) } else { Ok(None) }
}

/// A scheme is a token (RFC 9110 §11.1), and ends where that does.
fn scheme_and_rest(value: &[u8]) -> (&[u8], &[u8]) {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = value.iter().position(|byte| !is_tchar(byte)).unwrap_or(value.len());
    value.split_at_checked(end).unwrap_or((value, b""))
}

/// Schemes are case-insensitive (RFC 9110 §11.1).
fn token_scheme(scheme: &[u8]) -> Option<Scheme> {
    let is = |name: &[u8]| scheme.eq_ignore_ascii_case(name);
    if is(b"bearer") { Some(Scheme::Bearer) } else { is(b"dpop").then_some(Scheme::DPoP) }
}

fn cookie_values(copies: &[Vec<u8>], name: &str) -> Vec<Vec<u8>> {
    copies
        .iter()
        .flat_map(|copy| cookies(copy))
        .filter_map(|cookie| value_of(cookie, name))
        .map(<[u8]>::to_vec)
        .collect()
}

/// The pairs of a `cookie` header (RFC 6265 §4.2.1).
fn cookies(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).filter(|cookie| !cookie.is_empty())
}

fn value_of<'c>(cookie: &'c [u8], name: &str) -> Option<&'c [u8]> {
    cookie.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::request::{HeaderEdit, Unreadable};

    struct Headers(Vec<(&'static str, &'static [u8])>);

    impl RequestView for Headers {
        fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
            let copies = self.copies(name);
            (!copies.is_empty()).then(|| copies.join(&b","[..]).into())
        }

        fn copies(&self, name: &str) -> Vec<Vec<u8>> {
            self.0.iter().filter(|header| header.0 == name).map(|header| header.1.to_vec()).collect()
        }

        fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
            Ok(None)
        }
    }

    fn authorization(values: &[&'static str]) -> Result<Option<String>, Denial> {
        let headers = Headers(values.iter().map(|value| ("authorization", value.as_bytes())).collect());
        access_token(&headers, &[TokenSource::AuthorizationHeader])
            .map(|token| token.map(|(token, _)| token.secret().to_owned()))
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for value in ["Bearer abc", "bEARER abc", "DPoP abc", "Bearer   abc"] {
            assert_eq!(authorization(&[value]), Ok(Some("abc".to_owned())), "{value}");
        }
    }

    #[test]
    fn other_schemes_are_no_token() {
        for values in
            [&[][..], &["Basic YWJj"], &["Bearerabc"], &["Digest a=\"b\", c=\"d\""], &[""], &["abc"]]
        {
            assert_eq!(authorization(values), Ok(None), "{values:?}");
        }
    }

    #[test]
    fn a_token_that_is_none_is_malformed() {
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a\tb",
            "Bearer a\u{e9}",
            "Bearer \"abc\"",
            "Bearer\tabc d",
            "Bearer\tabc",
            "Bearer \tabc",
            "Bearer\u{b}abc",
            "Bearer=abc",
            "DPoP\tabc",
        ] {
            assert_eq!(authorization(&[value]), Err(InvalidToken::Malformed.into()), "{value:?}");
        }
    }

    #[test]
    fn several_tokens_are_refused() {
        for values in [
            &["Bearer a", "Bearer a"][..],
            &["Basic YQ==", "Bearer a"],
            &["Bearer a", "Basic YQ=="],
            &["Bearer a,Bearer b"],
            &["Basic YQ==,\tBearer\ta"],
            &["Basic YQ==, bearer"],
            &["Bearer,a"],
        ] {
            assert_eq!(authorization(values), Err(InvalidRequest::SeveralTokens.into()), "{values:?}");
        }
        let both = Headers(vec![("authorization", b"Bearer a"), ("x-token", b"b")]);
        let sources = [TokenSource::AuthorizationHeader, TokenSource::Header("x-token".to_owned())];
        assert_eq!(access_token(&both, &sources), Err(InvalidRequest::SeveralTokens.into()));
        let twice = Headers(vec![("x-token", b"a"), ("x-token", b"b")]);
        assert_eq!(access_token(&twice, &sources), Err(InvalidRequest::SeveralTokens.into()));
        let only_header = [TokenSource::Header("x-token".to_owned())];
        assert_eq!(access_token(&both, &only_header), Err(InvalidRequest::SeveralTokens.into()));
        let with_basic = Headers(vec![("authorization", b"Basic YQ=="), ("x-token", b"b")]);
        assert_eq!(access_token(&with_basic, &only_header).unwrap().unwrap().0.secret(), "b");
    }

    #[test]
    fn a_cookie_is_found_and_taken_out() {
        let sources = [TokenSource::Cookie("at".to_owned())];
        let headers = Headers(vec![("cookie", b"a=1; at=tok; b=2"), ("cookie", b"xat=no")]);
        assert_eq!(access_token(&headers, &sources).unwrap().unwrap().0.secret(), "tok");
        let edits = removal(&headers, &sources).share();
        assert_eq!(edits.iter().collect::<Vec<_>>(), [HeaderEdit::Set("cookie", b"a=1; b=2; xat=no")]);
        let alone = Headers(vec![("cookie", b"at=tok")]);
        let edits = removal(&alone, &sources).share();
        assert_eq!(edits.iter().collect::<Vec<_>>(), [HeaderEdit::Remove("cookie")]);
    }
}
