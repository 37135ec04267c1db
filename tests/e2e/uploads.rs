//! Uploads whose token is not known yet: whatever their size and form, and however Envoy takes a pause, they are judged
//! by their token. What Envoy cannot keep of them it leaves to wait with the client, instead of answering 413.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::rig::{
    answer::Answer,
    client::{Connection, Request},
    gateway::{Gateway, plugin},
    http2::Http2,
};

const SIZES: [usize; 5] = [30_000, 100_000, 1_000_000, 2_000_000, 8_000_000];

/// How long the server takes for a token whose name ends so.
const DELAYS: [u64; 2] = [5, 300];

/// How a client sends its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    ContentLength,
    Chunked,
    /// It waits for `100 Continue`, or for an answer.
    ExpectContinue,
    Http2,
}

const FORMS: [Form; 4] = [Form::ContentLength, Form::Chunked, Form::ExpectContinue, Form::Http2];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_are_judged_by_their_token_when_envoy_stops_all_iteration() {
    for buffer in [64 << 10, 1 << 20] {
        uploads_are_judged(buffer, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_are_judged_by_their_token_when_envoy_really_stops_at_the_headers() {
    for buffer in [64 << 10, 1 << 20] {
        uploads_are_judged(buffer, true).await;
    }
}

async fn uploads_are_judged(buffer: u32, stops_at_headers: bool) {
    let gateway = gateway(buffer, stops_at_headers).await;
    let address = gateway.envoy.address();
    let mut uploads = JoinSet::new();
    for size in SIZES {
        for form in FORMS {
            for delay in DELAYS {
                for (word, status) in [("good", 200), ("bad", 401)] {
                    let token = format!("{word}-{form:?}-{size}-{delay}");
                    uploads.spawn(async move {
                        let path = format!("/{word}");
                        let got = match form {
                            Form::Http2 => {
                                Http2::open(address).await.post(&path, &token, vec![b'x'; size]).await
                            }
                            _ => upload(address, &path, &token, form, size).await,
                        };
                        assert_eq!(
                            got, status,
                            "{token}, buffer {buffer}, stops at headers: {stops_at_headers}"
                        );
                    });
                }
            }
        }
    }
    while let Some(upload) = uploads.join_next().await {
        upload.expect("an upload that is judged");
    }
    assert_eq!(gateway.upstream.requests(), SIZES.len() * FORMS.len() * DELAYS.len());
}

/// The status that an HTTP/1.1 client gets. It reads while it sends: an answer may come before it has sent all.
async fn upload(to: std::net::SocketAddr, path: &str, token: &str, form: Form, size: usize) -> u16 {
    let request = Request::new("PUT", path).bearer(token);
    let request = match form {
        Form::Chunked => request.header("transfer-encoding", "chunked"),
        Form::ExpectContinue => {
            request.header("content-length", size.to_string()).header("expect", "100-continue")
        }
        _ => request.header("content-length", size.to_string()),
    };
    let mut client = Connection::open(to).await.expect("a connection to Envoy");
    client.write(&request.head()).await.expect("the headers sent");
    if form == Form::ExpectContinue {
        let first = client.reply().await.expect("an answer").status;
        if first != 100 {
            return first;
        }
    }
    let mut body = vec![b'x'; size];
    if form == Form::Chunked {
        let chunk = [b"4000\r\n".to_vec(), vec![b'x'; 0x4000], b"\r\n".to_vec()].concat();
        body = [chunk.repeat(size / 0x4000), b"0\r\n\r\n".to_vec()].concat();
    }
    client.send_while_reading(&body).await.expect("an answer").status
}

async fn gateway(buffer: u32, stops_at_headers: bool) -> Gateway {
    let mut plugin: Value = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!("15s");
    plugin["providers"]["main"]["introspection"]["max_concurrent_calls"] = json!(1000);
    let gateway = Gateway::with(plugin, |envoy| {
        let envoy = envoy.buffer(buffer);
        if stops_at_headers { envoy.allow_on_headers_stop_iteration() } else { envoy }
    })
    .await;
    gateway.server.answer_with(|token| {
        let answer = if token.starts_with("good") { Answer::active(json!({})) } else { Answer::inactive() };
        answer.after(Duration::from_millis(token.rsplit('-').next().unwrap().parse().unwrap()))
    });
    gateway
}
