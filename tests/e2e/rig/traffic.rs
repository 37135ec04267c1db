//! Requests at a steady rate, whether or not the ones before have been answered.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::{JoinHandle, JoinSet};

use super::client::{Connection, Request};

/// Goes on until it is stopped. It opens a connection for each request that finds none idle, and keeps it.
pub struct Traffic {
    going_on: JoinHandle<Vec<Answered>>,
    ends: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Its place in the order of requests.
    pub number: usize,
    pub sent: Instant,
    pub took: Duration,
    pub status: u16,
}

impl Answered {
    pub fn ended(&self) -> Instant {
        self.sent + self.took
    }
}

impl Traffic {
    /// Sends `request(0)`, `request(1)` and so on, over `connections` and as many more as it takes.
    pub fn start(
        to: SocketAddr,
        connections: Vec<Connection>,
        per_second: u32,
        request: impl Fn(usize) -> Request + Send + 'static,
    ) -> Self {
        let (ends, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let idle = Arc::new(Mutex::new(VecDeque::from(connections)));
        let (stop, count) = (ends.clone(), answered.clone());
        let going_on = tokio::spawn(async move {
            let (start, mut number) = (Instant::now(), 0);
            let (mut under_way, mut done) = (JoinSet::new(), Vec::new());
            while !stop.load(Ordering::SeqCst) {
                let due = (start.elapsed().as_secs_f64() * f64::from(per_second)) as usize;
                while number < due {
                    under_way.spawn(send(to, idle.clone(), number, request(number), count.clone()));
                    number += 1;
                }
                while let Some(answered) = under_way.try_join_next() {
                    done.push(answered.expect("an answer to every request"));
                }
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
            while let Some(answered) = under_way.join_next().await {
                done.push(answered.expect("an answer to every request"));
            }
            done.sort_by_key(|answered| answered.number);
            done
        });
        Self { going_on, ends, answered }
    }

    /// How many were answered so far.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Stops, and waits for the answers to all requests that were sent. One without answer fails the test.
    pub async fn stop(self) -> Vec<Answered> {
        self.ends.store(true, Ordering::SeqCst);
        self.going_on.await.expect("an answer to every request")
    }
}

async fn send(
    to: SocketAddr,
    idle: Arc<Mutex<VecDeque<Connection>>>,
    number: usize,
    request: Request,
    answered: Arc<AtomicUsize>,
) -> Answered {
    // The one that has been idle for longest, so that all of them, and all workers, get requests.
    let free = idle.lock().expect("no panic while held").pop_front();
    let mut connection = match free {
        Some(connection) => connection,
        None => Connection::open(to).await.expect("a connection to Envoy"),
    };
    let sent = Instant::now();
    let reply = connection.send(&request).await.unwrap_or_else(|error| panic!("request {number}: {error}"));
    let took = sent.elapsed();
    idle.lock().expect("no panic while held").push_back(connection);
    answered.fetch_add(1, Ordering::SeqCst);
    Answered { number, sent, took, status: reply.status }
}
