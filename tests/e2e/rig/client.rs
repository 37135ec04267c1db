//! An HTTP/1.1 client over bare TCP: it sends any bytes as they are, in the order they are given, and can hang up
//! at any point.

use std::{fmt, io, net::SocketAddr};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::within_limit;

/// A request, sent exactly as written: no header is added but `host` and `content-length`.
#[derive(Clone)]
pub struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &'static str, path: &str) -> Self {
        Self::new_at(method, "api.example", path)
    }

    /// To another host than `api.example`.
    pub fn new_at(method: &'static str, host: &str, path: &str) -> Self {
        let host = ("host".to_owned(), host.as_bytes().to_vec());
        Self { method, path: path.to_owned(), headers: vec![host], body: Vec::new() }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path).body(body)
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub fn bearer(self, access_token: &str) -> Self {
        self.header("authorization", format!("Bearer {access_token}"))
    }

    /// The request line and headers.
    pub fn head(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if self.method == "POST" || !self.body.is_empty() {
            bytes.extend(format!("content-length: {}\r\n", self.body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes
    }

    /// Sends it on a connection of its own.
    pub async fn try_send(&self, to: SocketAddr) -> io::Result<Reply> {
        Connection::open(to).await?.send(self).await
    }

    /// As [`Self::try_send`], where no answer at all fails the test.
    pub async fn send(&self, to: SocketAddr) -> Reply {
        match self.try_send(to).await {
            Ok(reply) => reply,
            Err(error) => panic!("{} {} to {to} got no answer: {error}", self.method, self.path),
        }
    }
}

/// One keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = within_limit("connecting", TcpStream::connect(to)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        within_limit("sending a request", self.stream.write_all(bytes)).await
    }

    pub async fn send(&mut self, request: &Request) -> io::Result<Reply> {
        self.write(&[request.head(), request.body.clone()].concat()).await?;
        within_limit("waiting for an answer", self.read_reply(request.method != "HEAD")).await
    }

    /// Sends bytes until all are sent or there is an answer, and reads the answer: a server need not read all of a
    /// request that it refuses.
    pub async fn send_while_reading(&mut self, bytes: &[u8]) -> io::Result<Reply> {
        let mut rest = bytes;
        within_limit("sending a request", async {
            while !rest.is_empty() && self.received.is_empty() {
                let (mut read, mut write) = self.stream.split();
                tokio::select! {
                    written = write.write(rest) => match written {
                        Ok(count) => rest = &rest[count..],
                        // What was answered before lies in our buffer all the same.
                        Err(_) => break,
                    },
                    read = read.read_buf(&mut self.received) => drop(read?),
                }
            }
            Ok::<_, io::Error>(())
        })
        .await?;
        self.reply().await
    }

    pub async fn reply(&mut self) -> io::Result<Reply> {
        within_limit("waiting for an answer", self.read_reply(true)).await
    }

    async fn read_reply(&mut self, has_body: bool) -> io::Result<Reply> {
        let mut reply = loop {
            if let Some((length, reply)) = parse_head(&self.received)? {
                self.received.drain(..length);
                break reply;
            }
            self.read_more().await?;
        };
        if !has_body {
            return Ok(reply);
        }
        if reply.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            reply.body = self.read_chunks().await?;
        } else if let Some(length) = reply.header("content-length") {
            reply.body = self.take(length.parse().map_err(io::Error::other)?).await?;
        }
        Ok(reply)
    }

    async fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.received.windows(2).position(|pair| pair == b"\r\n") {
                    Some(end) => break end,
                    None => self.read_more().await?,
                }
            };
            let size = self.take(end + 2).await?;
            let size = String::from_utf8_lossy(&size[..end]).into_owned();
            let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
            let mut chunk = self.take(size + 2).await?;
            chunk.truncate(size);
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < length {
            self.read_more().await?;
        }
        Ok(self.received.drain(..length).collect())
    }

    async fn read_more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// An answer: from Envoy, or from the upstream behind it.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("expected JSON ({error}), got {self:?}"),
        }
    }

    /// All values of a request header that reached the upstream, as it echoes them.
    pub fn echoed(&self, header: &str) -> Vec<String> {
        assert_eq!(self.status, 200, "not an answer of the upstream: {self:?}");
        let values = self.json()["headers"][header].clone();
        serde_json::from_value(values).unwrap_or_default()
    }

    /// The one Bearer token that reached the upstream.
    pub fn echoed_bearer(&self) -> String {
        match self.echoed("authorization").as_slice() {
            [one] => {
                one.strip_prefix("Bearer ").expect("an Authorization header of scheme Bearer").to_owned()
            }
            other => panic!("expected one Authorization header at the upstream, got {other:?}"),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}

/// The head of a reply and its length in bytes, once it is there completely.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(usize, Reply)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = head.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
    Ok(Some((length, Reply { status: head.code.unwrap_or_default(), headers, body: Vec::new() })))
}
