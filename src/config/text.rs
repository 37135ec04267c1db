//! What the texts of a configuration may be.

use serde_json::Value;

use super::reader::{Item, QUOTES_NEEDED, Refused};
use crate::request::host_of;
use crate::token::Secret;

impl<'c> Item<'c> {
    /// A text of at least one character.
    pub(super) fn text(&self) -> Result<&'c str, Refused> {
        self.text_such("a text", |text| !text.is_empty())
    }

    /// A text that may be empty, and is not shown: a value that is sent as it is.
    pub(super) fn any_text(&self) -> Result<&'c str, Refused> {
        self.value.as_str().ok_or_else(|| match self.value {
            Value::Bool(_) => self.error("a text", &["a boolean", QUOTES_NEEDED].concat()),
            Value::Number(_) => self.error("a text", &["a number", QUOTES_NEEDED].concat()),
            _ => self.wrong_type("a text"),
        })
    }

    /// A path that starts with a slash.
    pub(super) fn path(&self) -> Result<&'c str, Refused> {
        self.text_such("a path such as \"/introspect\"", is_path)
    }

    /// A path without query, as requests have it once Envoy has brought it to its normal form.
    pub(super) fn normal_path(&self) -> Result<&'c str, Refused> {
        self.text_such("a path such as \"/api\" in its normal form and without query", |path| {
            let others = ["?", "#", "//", "/./", "/../"];
            is_path(path) && !others.iter().any(|other| path.contains(other))
        })
    }

    /// A host with or without a port.
    pub(super) fn authority(&self) -> Result<&'c str, Refused> {
        self.text_such("a host such as \"as.example\"", |host| {
            !host.is_empty() && host.bytes().all(|byte| is_host_byte(byte) || byte == b':')
        })
    }

    /// A host as requests are compared with it, with a port or without, brought to lower case.
    pub(super) fn host(&self) -> Result<String, Refused> {
        let authority = self.text_such("a host such as \"api.example\", without wildcard", |authority| {
            let host = host_of(authority.as_bytes());
            let port = authority.as_bytes().get(host.len() + 1..);
            let is_ipv6 = host.starts_with(b"[") && host.ends_with(b"]");
            !host.is_empty()
                && host.iter().all(|&byte| is_host_byte(byte) || is_ipv6 && byte == b':')
                && port
                    .is_none_or(|port| (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit))
        })?;
        if host_of(authority.as_bytes()).len() < authority.len() {
            self.warn(
                "by its port a host is told apart only where Envoy does so, too: not with \
                 ignore_port_in_host_matching, which Istio sets, or strip_any_host_port",
            );
        }
        Ok(authority.to_ascii_lowercase())
    }

    /// A request method (RFC 9110 §9.1).
    pub(super) fn method(&self) -> Result<&'c str, Refused> {
        self.text_such("a method in capitals such as GET", |method| {
            is_token(method) && !method.bytes().any(|byte| byte.is_ascii_lowercase())
        })
    }

    /// The name of a claim, or, if it begins with a slash, a JSON Pointer to one (RFC 6901).
    pub(super) fn claim_name(&self) -> Result<&'c str, Refused> {
        let name = self.text()?;
        self.claim_named(name).map(|()| name)
    }

    /// Checks a name that stands for a claim of this item.
    pub(super) fn claim_named(&self, name: &str) -> Result<(), Refused> {
        if name.starts_with('/') {
            if name.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
                let wanted = "a JSON Pointer, in which ~ is ~0 and / in a name is ~1";
                return Err(self.error(wanted, &format!("{name:?}")));
            }
        } else if name.contains('.') && !name.contains(['/', ':']) {
            let pointer = format!("/{}", name.replace('.', "/"));
            self.warn(&format!(
                "no path but the name of one claim, with dots in it; a path is written {pointer:?}"
            ));
        }
        Ok(())
    }

    /// A scope-token (RFC 6749 §3.3).
    pub(super) fn scope(&self) -> Result<&'c str, Refused> {
        self.text_such("one scope without spaces", is_word)
    }

    /// A value of `acr` that a challenge can name (RFC 9470 §3): spaces divide them there.
    pub(super) fn acr(&self) -> Result<&'c str, Refused> {
        self.text_such("a text in ASCII without spaces, quotes and backslashes", is_word)
    }

    /// A text that can stand between quotes in a challenge (RFC 6750 §3).
    pub(super) fn quotable(&self) -> Result<&'c str, Refused> {
        self.text_such("ASCII without quotes and backslashes", |text| {
            text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
        })
    }

    /// The name of a cookie (RFC 6265 §4.1.1).
    pub(super) fn cookie_name(&self) -> Result<&'c str, Refused> {
        self.text_such("the name of a cookie", is_token)
    }

    /// The name of a header, brought to lower case, but none of `others`.
    pub(super) fn header_name(&self, name: &str, others: &[&str]) -> Result<String, Refused> {
        let lower = name.to_ascii_lowercase();
        if is_token(name)
            && !UNTOUCHABLE_HEADERS.contains(&lower.as_str())
            && !others.contains(&lower.as_str())
        {
            Ok(lower)
        } else {
            Err(self.error("the name of a header that is free to use", &format!("{name:?}")))
        }
    }

    /// The headers of an object of names and values, as `value` reads those; names in lower case, none twice.
    pub(super) fn headers(
        self,
        others: &[&str],
        value: fn(&Self) -> Result<&'c str, Refused>,
    ) -> Result<Vec<(String, String)>, Refused> {
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, item) in self.entries()? {
            let name = item.header_name(name, others)?;
            if headers.iter().any(|(other, _)| *other == name) {
                return Err(item.error("every header once", &format!("{name:?} again")));
            }
            headers.push((name, value(&item)?.to_owned()));
        }
        Ok(headers)
    }

    /// The value of a header; not shown, for it may be a credential.
    pub(super) fn header_value(&self) -> Result<&'c str, Refused> {
        let value = self.any_text()?;
        let is_one = !value.chars().any(char::is_control);
        is_one.then_some(value).ok_or_else(|| self.error("a value without control characters", "one with"))
    }

    /// A secret that is sent to the authorization server.
    pub(super) fn credential(&self) -> Result<Secret, Refused> {
        let secret = self.secret()?;
        if secret.secret().chars().any(char::is_control) {
            let got = "one with (is there a line break at its end?)";
            return Err(self.error("a secret without control characters", got));
        }
        Ok(secret)
    }

    /// The secret under `{env: NAME}` or `{inline: "..."}`, or a JWK that stands there as it is.
    pub(super) fn secret(&self) -> Result<Secret, Refused> {
        let wanted = "{env: NAME} or {inline: \"...\"}";
        let text = match self.only_member(&[("env", true), ("inline", false)]) {
            Some((true, name)) => name.variable()?,
            Some((false, Self { value: jwk @ Value::Object(_), .. })) => jwk.to_string(),
            Some((false, text))
                if matches!(text.value, Value::String(_) | Value::Bool(_) | Value::Number(_)) =>
            {
                text.any_text()?.to_owned()
            }
            _ if self.value.is_object() => return Err(self.error(wanted, "another object")),
            _ => return Err(self.wrong_type(wanted)),
        };
        if text.is_empty() { Err(self.error("a secret", "an empty one")) } else { Ok(Secret::new(text)) }
    }

    /// What the environment variable of this name holds.
    fn variable(&self) -> Result<String, Refused> {
        let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let name =
            self.value.as_str().filter(is_name).ok_or_else(|| self.wrong_type("the name of a variable"))?;
        (self.spot.context.env)(name).ok_or_else(|| {
            let hint = "none (add it to vm_config.environment_variables.host_env_keys and to Envoy's own environment)";
            self.error(&format!("the environment variable {name}"), hint)
        })
    }
}

/// A token (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| matches!(byte, b'!'..=b'~'))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._[]".contains(&byte)
}

/// Framing and routing are Envoy's business.
const UNTOUCHABLE_HEADERS: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];

/// Whether it is one of a list that spaces divide and quotes enclose.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}
