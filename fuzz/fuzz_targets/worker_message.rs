//! What lies in a worker's mailbox, from a worker of another version or from another plugin that shares our `vm_id`:
//! whatever it says, a request that waits for another worker passes by no verdict that is too old, and by none that
//! nobody gave. Each message comes after two bytes: whether it is about the token that is waited for, and how much later.
#![no_main]
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use phantom_token_filter::cache::{Mailbox, SharedData, Version};
use phantom_token_filter::config::Config;
use phantom_token_filter::filter::{CallId, Effect, Event, Filter, StreamId};
use phantom_token_filter::fuzzing::worker_message;
use phantom_token_filter::http::Reply;
use phantom_token_filter::jwt::{SignError, Signatures};
use phantom_token_filter::request::KeptHeaders;
use phantom_token_filter::token::{TokenDigest, UnixMillis};

type Values = HashMap<String, (Vec<u8>, u32)>;

/// Envoy's shared data: values and the version that set each, over those that were there at first.
#[derive(Default)]
struct Map {
    first: Rc<Values>,
    values: RefCell<Values>,
    version: Cell<u32>,
    epoch: Cell<u64>,
}

impl SharedData for Map {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.read(key).0
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.version.set(self.version.get() + 1);
        self.values.borrow_mut().insert(key.to_owned(), (value.to_vec(), self.version.get()));
    }

    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let value = self.values.borrow().get(key).or_else(|| self.first.get(key)).cloned();
        value.map_or((None, Version::NEVER_SET), |(value, version)| (Some(value), Version(version)))
    }

    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool {
        let is_same = version == Version::NEVER_SET || self.read(key).1 == version;
        if is_same {
            self.set(key, value);
        }
        is_same
    }

    fn epoch(&self) -> Option<u64> {
        Some(self.epoch.get())
    }

    fn advance_epoch(&self, by: u64) {
        self.epoch.set(self.epoch.get().wrapping_add(by));
    }
}

struct NoSignatures;

impl Signatures for NoSignatures {
    fn sign(&self, _: &str, _: &[u8], _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError::NotOffered)
    }

    fn verify(&self, _: &str, _: &[u8], _: &[u8], _: &[u8]) -> Result<bool, SignError> {
        Err(SignError::NotOffered)
    }
}

const CONFIGURATION: &str = r#"{
    "providers": {"main": {"introspection": {"cluster": "as", "path": "/i", "auth": {"none": {}}, "retries": 0}}},
    "policies": {"default": {"strategy": "introspection", "cache_ttl": "10s"}},
    "cache": {"max_entries": 4, "max_negative_entries": 4, "refresh_ahead": 0}
}"#;

const START: UnixMillis = UnixMillis::from_secs(1_795_377_648);

const ACTIVE: &[u8] = br#"{"active": true, "sub": "alice", "exp": 1895377648}"#;

/// Two workers of one Envoy. What is known of the token is five hours old; the one asks, and the other waits for it.
struct World {
    config: Rc<Config>,
    /// What lies in shared data once the one has asked.
    values: Rc<Values>,
    version: u32,
    epoch: u64,
    now: UnixMillis,
    digest: TokenDigest,
}

const WAITING: StreamId = StreamId(3);

fn worker(config: &Rc<Config>, shared: Rc<Map>, mailbox: u32) -> Filter {
    Filter::new(Rc::clone(config), shared, Rc::new(NoSignatures), Mailbox(mailbox))
}

fn ask(filter: &mut Filter, stream: StreamId, now: UnixMillis) -> Vec<Effect> {
    let request = KeptHeaders(vec![
        (":path".to_owned(), "/".to_owned()),
        ("authorization".to_owned(), "Bearer token".to_owned()),
    ]);
    filter.step(now, Event::RequestHeaders(stream, &request));
    filter.step(now, Event::Turn)
}

impl World {
    fn new() -> Self {
        let config = Rc::new(Config::parse(CONFIGURATION.as_bytes(), &|_| None).expect("a configuration"));
        let shared = Rc::new(Map::default());
        let mut one = worker(&config, Rc::clone(&shared), 1);
        let effects = ask(&mut one, StreamId(1), START);
        one.step(START, Event::Reply(call_of(&effects), reply(ACTIVE)));
        let now = START.plus(Duration::from_secs(5 * 3600));
        let asked = ask(&mut one, StreamId(2), now);
        let values = Rc::new(shared.values.borrow().clone());
        let (version, epoch) = (shared.version.get(), shared.epoch.get());
        // Another waits; what it is told names the token.
        let effects = ask(&mut worker(&config, Rc::clone(&shared), 2), WAITING, now);
        let does_nothing = effects.iter().all(|effect| matches!(effect, Effect::Gauge(..)));
        assert!(does_nothing, "it waits for the other worker: {effects:?}");
        let told = one.step(now, Event::CallFailed(call_of(&asked)));
        let digest = told.iter().find_map(|effect| match effect {
            Effect::Tell(_, digest, _) => Some(*digest),
            _ => None,
        });
        Self { config, values, version, epoch, now, digest: digest.expect("word for the other worker") }
    }

    /// The other, which waits.
    fn waiting(&self) -> Filter {
        let shared = Map { first: Rc::clone(&self.values), ..Map::default() };
        shared.version.set(self.version);
        shared.epoch.set(self.epoch);
        let mut two = worker(&self.config, Rc::new(shared), 2);
        ask(&mut two, WAITING, self.now);
        assert!(two.is_waiting(WAITING));
        two
    }
}

fn call_of(effects: &[Effect]) -> CallId {
    let call = effects.iter().find_map(|effect| match effect {
        Effect::Call(id, _) => Some(*id),
        _ => None,
    });
    call.expect("a call")
}

fn reply(body: &[u8]) -> Reply<'_> {
    Reply { status: 200, content_type: b"application/json", body: Some(body), ..Reply::default() }
}

thread_local! {
    static WORLD: World = World::new();
}

fuzz_target!(|input: &[u8]| {
    let (mut two, mut now, digest) = WORLD.with(|world| (world.waiting(), world.now, world.digest));
    let mut calls = Vec::new();
    let mut look = |effects: Vec<Effect>| {
        for effect in effects {
            assert!(!matches!(effect, Effect::Forward(..)), "passed by what nobody said");
            if let Effect::Call(id, _) = effect {
                calls.push(id);
            }
        }
    };
    for message in input.chunks(2 + 33).take(64) {
        let [is_ours, later, message @ ..] = message else { break };
        now = now.plus(Duration::from_millis(u64::from(*later)));
        if let Some(Some((named, told))) = worker_message(message) {
            let about = if is_ours % 2 == 0 { digest } else { named };
            look(two.step(now, Event::Told(about, told)));
        }
        look(two.step(now, if later % 2 == 0 { Event::Turn } else { Event::Tick }));
    }
    // It asks at most once, and not before it is told, or has waited long enough.
    assert!(calls.len() <= 1, "{} calls about one token", calls.len());
    if let Some(call) = calls.pop() {
        let effects = two.step(now, Event::Reply(call, reply(br#"{"active": false}"#)));
        let status = effects.iter().find_map(|effect| match effect {
            Effect::Answer(WAITING, answer) => Some(answer.status),
            _ => None,
        });
        assert_eq!(status, Some(401));
    }
});
