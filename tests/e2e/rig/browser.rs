//! A browser without a screen: it keeps cookies and fills in forms, for logins at the real authorization servers.

use std::{collections::BTreeMap, net::SocketAddr};

use base64ct::Encoding;
use serde_json::Value;

use super::{
    client::{Reply, Request},
    oauth_client::text,
};

/// Of one person at one server.
pub struct Browser {
    server: SocketAddr,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn new(server: SocketAddr) -> Self {
        Self { server, cookies: BTreeMap::new() }
    }

    /// `location` is a path or an address at this server. Redirects are the caller's to follow.
    pub async fn get(&mut self, location: &str) -> Reply {
        self.send(Request::get(self.path(location))).await
    }

    pub async fn post(&mut self, location: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(form(self.path(location), fields)).await
    }

    /// Sends the form on `page` with what is in its fields, and in some of them what is filled in here.
    pub async fn submit(&mut self, page: &Reply, filled_in: &[(&str, &str)]) -> Reply {
        let html = String::from_utf8_lossy(&page.body);
        let action = attribute(&html, "action").unwrap_or_else(|| panic!("no form on {page:?}"));
        let there = html.split("<input ").skip(1).filter_map(|input| {
            let input = input.split_once('>')?.0;
            Some((attribute(input, "name")?, attribute(input, "value")?))
        });
        let there = there.filter(|(name, _)| filled_in.iter().all(|(known, _)| known != name));
        let fields: Vec<_> = there.chain(filled_in.iter().copied()).collect();
        self.post(action, &fields).await
    }

    /// Any request, with our cookies.
    pub async fn send(&mut self, request: Request) -> Reply {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let reply = request.header("cookie", cookies.join("; ")).send(self.server).await;
        for (_, cookie) in reply.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let pair = cookie.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        reply
    }

    fn path<'a>(&self, location: &'a str) -> &'a str {
        match location.strip_prefix(&format!("http://{}", self.server)) {
            Some(path) => path,
            None => location,
        }
    }
}

/// What a person has after a login: the tokens that the application `web` or `app` got, and the session at the
/// server.
pub struct Session {
    pub browser: Browser,
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub id_token: String,
}

impl Session {
    /// What the reply of a token endpoint (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3) gives.
    pub fn of(browser: Browser, reply: &Value) -> Self {
        Self {
            browser,
            access_token: text(reply, "access_token"),
            refresh_token: reply["refresh_token"].as_str().map(str::to_owned),
            id_token: text(reply, "id_token"),
        }
    }

    /// What its ID token calls it.
    pub fn sid(&self) -> String {
        let claims = self.id_token.split('.').nth(1).expect("claims of an ID token");
        let claims = base64ct::Base64UrlUnpadded::decode_vec(claims).expect("base64url");
        text(&serde_json::from_slice(&claims).expect("claims in JSON"), "sid")
    }
}

/// A POST of form fields.
pub fn form(path: &str, fields: &[(&str, &str)]) -> Request {
    Request::post(path, query(fields)).header("content-type", "application/x-www-form-urlencoded")
}

/// `a=1&b=2`, encoded.
pub fn query(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A parameter of a URL's query.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

fn attribute<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = html.split_once(&format!(" {name}=\"")).or_else(|| {
        let rest = html.strip_prefix(name)?.strip_prefix("=\"")?;
        Some(("", rest))
    })?;
    Some(rest.split_once('"')?.0)
}
