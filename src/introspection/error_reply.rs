//! What a server says of a request of ours that it refused (RFC 6749 §5.2): for the log, and for nothing else.

use serde_json::Value;

use crate::http::Reply;
use crate::json;

/// What a reply says of why, if it says anything, at the end of a line of the log.
pub fn says(reply: Option<&Reply<'_>>) -> String {
    reply.and_then(error_of).map_or_else(String::new, |error| format!(" (it says {error})"))
}

/// `error` and `error_description` of a reply, if it has any: short, on one line, and without any word that could be a
/// token, an assertion or a secret of which the server complains by repeating it.
fn error_of(reply: &Reply<'_>) -> Option<String> {
    let members = json::object(reply.text().ok()?).ok()?;
    let text =
        |name: &str| members.get(name).and_then(Value::as_str).map(cleaned).filter(|text| !text.is_empty());
    match (text("error"), text("error_description")) {
        (Some(error), Some(description)) => Some(format!("{error:?}, {description:?}")),
        (one, other) => one.or(other).map(|text| format!("{text:?}")),
    }
}

fn cleaned(text: &str) -> String {
    let is_shown = |word: &&str| word.len() <= MAX_WORD && word.bytes().all(|byte| byte.is_ascii_graphic());
    let words =
        text.split_whitespace().take(MAX_WORDS).map(|word| if is_shown(&word) { word } else { "..." });
    words.collect::<Vec<_>>().join(" ")
}

/// Longer than any word of a sentence, or any error code (RFC 6749, RFC 8628); shorter than what is hard to guess.
const MAX_WORD: usize = 23;

const MAX_WORDS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> Option<String> {
        let content_encoding = b"";
        let body = Some(body.as_bytes());
        error_of(&Reply { status: 403, content_encoding, body, ..Reply::default() })
    }

    #[test]
    fn an_error_is_said_in_short() {
        let https = r#"{"error":"invalid_request","error_description":"HTTPS required"}"#;
        assert_eq!(said(https).unwrap(), r#""invalid_request", "HTTPS required""#);
        assert_eq!(said(r#"{"error":"access_denied"}"#).unwrap(), r#""access_denied""#);
        for nothing in ["", "<html>", "[]", "{}", r#"{"error":1}"#, r#"{"error":" "}"#] {
            assert_eq!(said(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn nothing_that_could_be_a_secret_or_break_the_line_is_said() {
        let secret = "a".repeat(24);
        let body = serde_json::json!({"error": "x\n[error] y\u{1b}[0m", "error_description": format!("token {secret} bad")});
        assert_eq!(said(&body.to_string()).unwrap(), r#""x [error] ...", "token ... bad""#);
        let long = serde_json::json!({"error": "word ".repeat(10_000)});
        assert!(said(&long.to_string()).unwrap().len() < 1000);
    }
}
