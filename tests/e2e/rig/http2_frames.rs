//! An HTTP/2 client that sends any header fields as they are, pseudo-headers among them, and understands of the answer
//! no more than what is not compressed: its body (RFC 9113, RFC 7541).

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::within_limit;

/// A request of these header fields, in this order, without a body.
pub async fn get(to: SocketAddr, fields: &[(&str, &str)]) -> io::Result<Vec<u8>> {
    Connection::open(to).await?.send(fields, None).await
}

/// What a client begins a connection with: the preface and empty settings.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A request of these header fields and no body, to be sent among others.
pub fn request_frame(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields))
}

/// The end of a request by its client: `CANCEL`.
pub fn reset_frame(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// One connection with one stream.
pub struct Connection(TcpStream);

impl Connection {
    pub async fn open(to: SocketAddr) -> io::Result<Self> {
        let mut stream = within_limit("connecting", TcpStream::connect(to)).await?;
        stream.write_all(PREFACE).await?;
        Ok(Self(stream))
    }

    /// Sends a request; the body of its answer, or an error if the stream is reset or the connection ends.
    pub async fn send(
        mut self,
        fields: &[(&str, &str)],
        trailers: Option<&[(&str, &str)]>,
    ) -> io::Result<Vec<u8>> {
        let is_last = if trailers.is_none() { END_STREAM } else { 0 };
        self.0.write_all(&frame(HEADERS, END_HEADERS | is_last, 1, &block(fields))).await?;
        if let Some(trailers) = trailers {
            self.0.write_all(&frame(DATA, 0, 1, b"body")).await?;
            self.0.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers))).await?;
        }
        within_limit("an answer over HTTP/2", self.body()).await
    }

    async fn body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match head[3] {
                SETTINGS if head[4] & ACK == 0 => self.0.write_all(&frame(SETTINGS, ACK, 0, &[])).await?,
                RST_STREAM | GOAWAY => return Err(io::ErrorKind::ConnectionReset.into()),
                DATA => body.extend(payload),
                _ => {}
            }
            if stream == 1 && matches!(head[3], DATA | HEADERS) && head[4] & END_STREAM != 0 {
                return Ok(body);
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal fields, never indexed and not Huffman-coded (RFC 7541 §6.2.3).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| [&[0x10][..], &text(name), &text(value)].concat()).collect()
}

fn text(text: &str) -> Vec<u8> {
    let length = match text.len() {
        short @ 0..127 => vec![short as u8],
        long @ 127..255 => vec![127, (long - 127) as u8],
        long => vec![127, ((long - 127) & 0x7f) as u8 | 0x80, ((long - 127) >> 7) as u8],
    };
    [&length, text.as_bytes()].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
