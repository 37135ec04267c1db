//! Tokens in requests: what is found is a `b64token` that stands there, and once it is taken out it is gone.
//! The lines of the input are `authorization`, `x-token` and copies of `cookie`.
#![no_main]
use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use phantom_token_filter::credentials::{TokenSource, access_token, removal};
use phantom_token_filter::request::{HeaderEdit, RequestView, Unreadable};
use phantom_token_filter::token::AccessToken;

struct Request(Vec<(&'static str, Vec<u8>)>);

impl RequestView for Request {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_slice().into())
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        self.0.iter().filter(|(other, _)| *other == name).map(|(_, value)| value.clone()).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        Ok(None)
    }
}

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|&byte| byte == b'\n');
    let mut headers = Vec::new();
    for name in ["authorization", "x-token"] {
        headers.extend(lines.next().filter(|line| !line.is_empty()).map(|line| (name, line.to_vec())));
    }
    headers.extend(lines.take(4).map(|line| ("cookie", line.to_vec())));
    let mut request = Request(headers);
    let (header, cookie) = (TokenSource::Header("x-token".to_owned()), TokenSource::Cookie("at".to_owned()));
    let sources = [TokenSource::AuthorizationHeader, header, cookie];
    let found = access_token(&request, &sources);
    if let Ok(Some((token, _))) = &found {
        let text = token.secret().as_bytes();
        assert_eq!(AccessToken::parse(text).as_ref(), Some(token));
        assert!(request.0.iter().any(|(_, value)| value.windows(text.len()).any(|part| part == text)));
    }
    for edit in removal(&request, &sources).share().iter() {
        match edit {
            HeaderEdit::Remove(name) => request.0.retain(|(other, _)| *other != name),
            HeaderEdit::Set(name, value) => {
                request.0.retain(|(other, _)| *other != name);
                assert!(!value.contains(&b'\n') && name == "cookie");
                request.0.push(("cookie", value.to_vec()));
            }
        }
    }
    assert!(matches!(access_token(&request, &sources[1..]), Ok(None) | Err(_)));
    request.0.retain(|(name, _)| *name != "authorization");
    assert!(matches!(access_token(&request, &sources), Ok(None)), "the token travels on");
});
