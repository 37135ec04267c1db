//! Calls from here, by the operator's own curl: it has the proxies and authorities of this machine, and no HTTP and TLS are
//! compiled into this program for what it does now and then.

use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use phantom_token_filter::http::Reply;

/// A request. Its secrets reach curl by its standard input, so that no list of processes shows them.
#[derive(Default)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout: Duration,
    /// Host and port to connect to, whatever the URL says.
    pub(crate) connect_to: Option<String>,
    /// A file with the authorities to trust.
    pub(crate) authorities: Option<String>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    content_type: String,
    body: Vec<u8>,
}

impl Answer {
    /// As the filter sees answers.
    pub(crate) fn reply(&self) -> Reply<'_> {
        let body = (self.body.len() <= Reply::MAX_BODY_BYTES).then_some(self.body.as_slice());
        Reply { status: self.status, content_type: self.content_type.as_bytes(), body, ..Reply::default() }
    }
}

impl Call {
    /// Sends it. Redirects are not followed.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub(crate) fn send(&self) -> Result<Answer, String> {
        let mut curl = Command::new("curl")
            // Without the settings of whoever runs this.
            .args(["--disable", "--config", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => "curl is missing: it makes the calls".to_owned(),
                _ => format!("curl: {error}"),
            })?;
        let (Some(mut settings), Some(output), Some(errors)) =
            (curl.stdin.take(), curl.stdout.take(), curl.stderr.take())
        else {
            return Err("curl: no pipes".to_owned());
        };
        // Fits into the pipe, unless curl ends before it has read it.
        _ = settings.write_all(self.settings().as_bytes());
        drop(settings);
        let (mut said, mut reason) = (Vec::new(), String::new());
        let read = output.take(LONGEST).read_to_end(&mut said);
        _ = errors.take(LONGEST).read_to_string(&mut reason);
        if said.len() as u64 == LONGEST {
            _ = curl.kill();
        }
        let ended = curl.wait();
        let is_good = read.is_ok() && ended.is_ok_and(|status| status.success());
        let answer = if is_good { answer(&said) } else { None };
        answer.ok_or_else(|| match reason.trim() {
            "" => format!("{}: more than 1 MiB came", self.url),
            reason => format!("{}: {reason}", self.url),
        })
    }

    fn settings(&self) -> String {
        let mut settings = String::from("silent\nshow-error\n");
        let mut set = |name: &str, value: &str| {
            settings.push_str(&format!("{name} = {}\n", quoted(value)));
        };
        set("proto", "=http,https");
        set("url", &self.url);
        set("request", self.method);
        set("max-time", &self.timeout.as_secs_f64().to_string());
        set("write-out", "\n%{http_code} %{content_type}");
        for (name, value) in &self.headers {
            // A header without a value has a semicolon.
            set("header", &if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") });
        }
        if self.method == "POST" {
            set("data-raw", &String::from_utf8_lossy(&self.body));
        }
        self.connect_to.iter().for_each(|to| set("connect-to", &format!("::{to}")));
        self.authorities.iter().for_each(|file| set("cacert", file));
        settings
    }
}

/// Status and content type stand in a line of their own behind the body.
fn answer(said: &[u8]) -> Option<Answer> {
    let end = said.iter().rposition(|&byte| byte == b'\n')?;
    let (body, line) = said.split_at_checked(end)?;
    let line = std::str::from_utf8(line).ok()?.trim_start();
    let (status, content_type) = line.split_once(' ')?;
    Some(Answer { status: status.parse().ok()?, content_type: content_type.to_owned(), body: body.to_vec() })
}

/// A text as a curl's file of settings has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// An answer that is too long, with what stands behind it.
const LONGEST: u64 = Reply::MAX_BODY_BYTES as u64 + 1024;
