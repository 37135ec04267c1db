//! A scriptable authorization server: it records how it is asked to introspect, and answers as it is told. At
//! `/jwks` it has a key set, which goes the same way.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use hyper::{HeaderMap, Request, body::Bytes};
use serde_json::Value;
use tokio::sync::watch;

use super::{answer::Answer, http_server::HttpServer, within_limit};

pub struct AuthorizationServer {
    server: HttpServer,
    script: Arc<Script>,
}

impl AuthorizationServer {
    /// Knows no token: every one is inactive.
    pub async fn start() -> Self {
        let script = Arc::new(Script::new());
        let plan = script.clone();
        let server = HttpServer::start(move |request| {
            let answer = plan.call(&request);
            async move { answer.give().await }
        });
        Self { server: server.await, script }
    }

    /// As [`Self::start`], with these keys, as JWKs.
    pub async fn with_keys(keys: &[Value]) -> Self {
        let server = Self::start().await;
        server.publish(keys);
        server
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// From now on `access_token` is answered so.
    pub fn answer(&self, access_token: &str, answer: Answer) {
        lock(&self.script.by_token).insert(access_token.to_owned(), answer);
    }

    /// From now on every token that has no answer of its own is answered so.
    pub fn answer_all(&self, answer: Answer) {
        self.answer_with(move |_| answer.clone());
    }

    /// From now on every token that has no answer of its own is answered as `of_token` says.
    pub fn answer_with(&self, of_token: impl Fn(&str) -> Answer + Send + Sync + 'static) {
        self.answer_calls(move |call| of_token(call.parameter("token").unwrap_or_default()));
    }

    /// From now on every token that has no answer of its own is answered as `of_call` says.
    pub fn answer_calls(&self, of_call: impl Fn(&Call) -> Answer + Send + Sync + 'static) {
        *lock(&self.script.otherwise) = Arc::new(of_call);
    }

    /// How often it was asked to introspect so far.
    pub fn call_count(&self) -> usize {
        *self.script.count.borrow()
    }

    /// Waits until it was asked to introspect `count` times.
    pub async fn called(&self, count: usize) {
        let mut asked = self.script.count.subscribe();
        let what = format!("{count} calls at the authorization server");
        within_limit(&what, asked.wait_for(|asked| *asked >= count)).await.expect("the script lives");
    }

    /// The requests so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.script.calls).clone()
    }

    /// From now on requests are counted, but not kept: for tests with very many of them.
    pub fn keep_no_calls(&self) {
        self.script.keeps_calls.store(false, Ordering::SeqCst);
    }

    /// From now on it publishes these keys, as JWKs.
    pub fn publish(&self, keys: &[Value]) {
        self.answer_jwks(Answer::keys(keys));
    }

    /// From now on it answers so who asks for its keys.
    pub fn answer_jwks(&self, answer: Answer) {
        *lock(&self.script.jwks) = answer;
    }

    /// How often it was asked for its keys so far.
    pub fn jwks_count(&self) -> usize {
        *self.script.jwks_count.borrow()
    }

    /// Waits until it was asked for its keys `count` times.
    pub async fn asked_for_jwks(&self, count: usize) {
        let mut asked = self.script.jwks_count.subscribe();
        let what = format!("{count} requests for keys at the authorization server");
        within_limit(&what, asked.wait_for(|asked| *asked >= count)).await.expect("the script lives");
    }

    pub async fn refuse_connections(&self) {
        self.server.refuse_connections().await;
    }

    pub async fn accept_connections(&self) {
        self.server.accept_connections().await;
    }
}

/// One introspection request.
#[derive(Clone, Debug)]
pub struct Call {
    pub at: Instant,
    pub path: String,
    pub headers: HeaderMap,
    pub form: Vec<(String, String)>,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a form parameter that was sent exactly once.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut values = self.form.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }
}

/// The answer to a call.
type AnswerOf = dyn Fn(&Call) -> Answer + Send + Sync;

struct Script {
    by_token: Mutex<HashMap<String, Answer>>,
    otherwise: Mutex<Arc<AnswerOf>>,
    count: watch::Sender<usize>,
    calls: Mutex<Vec<Call>>,
    keeps_calls: AtomicBool,
    jwks: Mutex<Answer>,
    jwks_count: watch::Sender<usize>,
}

impl Script {
    fn new() -> Self {
        Self {
            jwks: Mutex::new(Answer::keys(&[])),
            jwks_count: watch::Sender::new(0),
            by_token: Mutex::default(),
            otherwise: Mutex::new(Arc::new(|_| Answer::inactive())),
            count: watch::Sender::new(0),
            calls: Mutex::default(),
            keeps_calls: AtomicBool::new(true),
        }
    }

    fn call(&self, request: &Request<Bytes>) -> Answer {
        if request.uri().path() == "/jwks" {
            self.jwks_count.send_modify(|count| *count += 1);
            return lock(&self.jwks).clone();
        }
        let form = form_urlencoded::parse(request.body()).into_owned().collect();
        let path = request.uri().path().to_owned();
        let call = Call { at: Instant::now(), path, headers: request.headers().clone(), form };
        let access_token = call.form.iter().find(|(name, _)| name == "token").map_or("", |(_, value)| value);
        let own = lock(&self.by_token).get(access_token).cloned();
        let answer = own.unwrap_or_else(|| {
            let otherwise = lock(&self.otherwise).clone();
            otherwise(&call)
        });
        if self.keeps_calls.load(Ordering::SeqCst) {
            lock(&self.calls).push(call);
        }
        self.count.send_modify(|count| *count += 1);
        answer
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds this")
}
