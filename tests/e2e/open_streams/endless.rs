//! A service whose answers do not end, and what comes of them over HTTP/1.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::rig::within_limit;

/// A service that answers `/events` with an event every 50 ms, `/ticks` with one every 500 ms, `/flood` with as much
/// as the client takes, `/once` at once, `/socket` by changing to a protocol that echoes, and
/// `/silence` never.
pub(super) struct Endless {
    pub(super) address: SocketAddr,
    requests: Arc<AtomicUsize>,
    /// Tells events to end.
    end: watch::Sender<()>,
    serving: JoinHandle<()>,
}

impl Endless {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound address");
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = requests.clone();
        let (end, ends) = watch::channel(());
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let (counter, ends) = (counter.clone(), ends.clone());
                connections.spawn(async move {
                    // Whatever goes wrong, the connection closes.
                    _ = serve(connection, &counter, ends).await;
                });
            }
        });
        Self { address, requests, end, serving }
    }

    /// Ends all events that are under way, as they end by themselves.
    pub(super) fn end_events(&self) {
        // Without any, nobody listens.
        _ = self.end.send(());
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    mut connection: TcpStream,
    requests: &AtomicUsize,
    mut ends: watch::Receiver<()>,
) -> std::io::Result<()> {
    ends.mark_unchanged();
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if connection.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    requests.fetch_add(1, Ordering::SeqCst);
    let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
    let mut buffer = [0; 4096];
    match path.as_str() {
        "/events" | "/ticks" => {
            let pause = if path == "/events" { 50 } else { 500 };
            connection
                .write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
                )
                .await?;
            loop {
                connection.write_all(b"9\r\ndata: x\n\n\r\n").await?;
                if tokio::time::timeout(Duration::from_millis(pause), ends.changed()).await.is_ok() {
                    return connection.write_all(b"0\r\n\r\n").await;
                }
            }
        }
        "/flood" => {
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await?;
            loop {
                connection.write_all(&buffer).await?;
            }
        }
        "/once" => {
            connection
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .await?;
        }
        "/socket" => {
            connection
                .write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n",
                )
                .await?;
            loop {
                let read = connection.read(&mut buffer).await?;
                if read == 0 {
                    return Ok(());
                }
                connection.write_all(&buffer[..read]).await?;
            }
        }
        _ => while connection.read(&mut buffer).await? > 0 {},
    }
    Ok(())
}

/// What comes next, until this is in it.
pub(super) async fn read_until(connection: &mut TcpStream, text: &str) -> String {
    let reading = async {
        let mut bytes = Vec::with_capacity(4096);
        while !String::from_utf8_lossy(&bytes).contains(text) {
            let read = connection.read_buf(&mut bytes).await.expect("an open connection");
            assert!(read > 0, "the connection is closed before {text:?}");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    within_limit(text, reading).await
}

/// All that still comes until the connection is closed.
pub(super) async fn read_to_end(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    _ = within_limit("the end of a stream", connection.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
