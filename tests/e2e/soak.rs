//! Everything at once, for a good minute: hot, new, invalid, expiring and revoked tokens, clients that hang up, and a
//! server that fails every few seconds, each time in another way. Nobody gets through who must not, every request is
//! accounted for, memory stays what it was, and no VM restarts.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use tokio::task::JoinSet;

use crate::rig::{
    answer::Answer,
    client::{Connection, Request},
    eventually,
    gateway::{Gateway, plugin},
    host::Host,
};

/// In it, tables and heaps reach their size.
const WARM_UP: Duration = Duration::from_secs(20);

const SOAK: Duration = Duration::from_secs(52);

/// The server works for the first part of each, and fails in the rest.
const CYCLE: Duration = Duration::from_secs(5);
const WORKS: Duration = Duration::from_secs(4);

/// After it works again, calls may be held back for a second; and a half, because this machine is busy.
const RECOVERY: Duration = Duration::from_millis(1500);

/// Of one try; there are two.
const TIMEOUT: Duration = Duration::from_millis(500);

const CACHE_TTL: Duration = Duration::from_secs(2);
const STALE_IF_ERROR: Duration = Duration::from_secs(1);

/// Some tokens are revoked in the middle of each.
const REVOCATION_CYCLE: Duration = Duration::from_secs(6);

/// What Envoy may have more at the end of the soak than after the warm-up: 100 bytes per request would be the same.
const ALLOWED_GROWTH: u64 = 5 << 20;

/// Each makes some forty requests per second,
const CLIENTS: usize = 24;

/// and each of these about fifteen, whose answers it does not always wait for.
const LEAVERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_mixed_load_and_trouble_in_a_minute() {
    let gateway = start().await;
    let clock = Clock { start: Instant::now() };
    gateway.server.keep_no_calls();
    gateway.server.answer_with(move |access_token| clock.answer(access_token));
    let vms = vms(&gateway).await;

    let mut clients = JoinSet::new();
    let connections = gateway.envoy.connect_to_every_worker(CLIENTS / 2).await;
    for (number, connection) in connections.into_iter().flatten().enumerate() {
        clients.spawn(ask_on_and_on(connection, number, clock));
    }
    let mut leavers = JoinSet::new();
    for number in 0..LEAVERS {
        leavers.spawn(ask_and_leave(gateway.envoy.address(), number, clock));
    }
    tokio::time::sleep(WARM_UP).await;
    let before = gateway.envoy.process().resident_memory();
    let mut seen = Seen::default();
    clients.join_all().await.into_iter().for_each(|client| seen.add(&client));
    let left_alone: u64 = leavers.join_all().await.into_iter().sum();
    let after = gateway.envoy.process().resident_memory();
    println!("{seen:?}, {left_alone} left alone; resident bytes: {before}, {SOAK:?} later {after}");

    assert!(after < before + ALLOWED_GROWTH, "{before} bytes grew to {after}");
    for count in [seen.passed, seen.denied, seen.unavailable] {
        assert!(count > 100, "this proves little: {seen:?}");
    }
    // Not none: the server is in this process, which may not run for longer than the timeout.
    assert!(seen.unavailable_in_good_times * 100 <= seen.requests(), "{seen:?}");
    gateway.envoy.active_requests(0).await;
    accounts_for_every_request(&gateway, &seen, left_alone).await;
    assert_eq!(self::vms(&gateway).await, vms, "no VM was restarted");
    every_token_is_answered(&gateway).await;
}

/// What clients got.
#[derive(Debug, Default)]
struct Seen {
    passed: u64,
    denied: u64,
    unavailable: u64,
    /// Of these: while the server worked, and had for a while.
    unavailable_in_good_times: u64,
}

impl Seen {
    fn requests(&self) -> u64 {
        self.passed + self.denied + self.unavailable
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.denied += other.denied;
        self.unavailable += other.unavailable;
        self.unavailable_in_good_times += other.unavailable_in_good_times;
    }
}

/// What happens when.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
}

impl Clock {
    fn elapsed(self) -> Duration {
        self.start.elapsed()
    }

    fn is_over(self) -> bool {
        self.elapsed() >= WARM_UP + SOAK
    }

    /// What the server says now.
    fn answer(self, access_token: &str) -> Answer {
        let elapsed = self.elapsed();
        let is_active = match Token::parse(access_token) {
            Token::Hot | Token::New => true,
            Token::Bad => false,
            Token::Expiring { exp } => unix_time() < exp,
            Token::Revoked { at } => elapsed < at,
        };
        let answer = match Token::parse(access_token) {
            _ if !is_active => Answer::inactive(),
            Token::Expiring { exp } => Answer::active(json!({"exp": exp.as_secs()})),
            _ => Answer::active(json!({})),
        };
        let (cycle, time) = (elapsed.div_duration_f64(CYCLE) as u32, into(elapsed, CYCLE));
        if time < WORKS || self.is_over() {
            return answer;
        }
        match cycle % 6 {
            0 => Answer::status(500),
            1 => Answer::hang(),
            2 => answer.broken_off(),
            3 => answer.after(TIMEOUT * 3 / 4),
            4 => Answer::close(),
            _ => Answer::status(429),
        }
    }
}

/// What is to be known of an access token, which says it itself.
#[derive(Clone, Copy)]
enum Token {
    Bad,
    /// By the system's clock.
    Expiring {
        exp: Duration,
    },
    Hot,
    New,
    /// By ours.
    Revoked {
        at: Duration,
    },
}

impl Token {
    /// The one of the `number`th request of a client.
    fn of(client: usize, number: usize, clock: Clock) -> String {
        let round = number / 10;
        match (client + number) % 10 {
            5 => format!("new-{client}-{number}"),
            6 => format!("bad-{client}-{number}"),
            7 => format!("bad-{}", round % 50),
            // From a second ago to three seconds ahead, so that each is used before and after.
            8 => format!("expiring-{}-{client}", unix_time().as_secs() + (round % 5) as u64 - 1),
            // This cycle's and the one before.
            9 => {
                let cycle = clock.elapsed().div_duration_f64(REVOCATION_CYCLE) as u32;
                format!("revoked-{}", cycle.saturating_sub(round as u32 % 2))
            }
            _ => format!("hot-{}", (client + round) % 40),
        }
    }

    fn parse(access_token: &str) -> Self {
        let mut parts = access_token.split('-');
        let kind = parts.next().unwrap_or_default();
        let number: u32 = parts.next().and_then(|number| number.parse().ok()).expect("a number");
        match kind {
            "bad" => Self::Bad,
            "expiring" => Self::Expiring { exp: Duration::from_secs(number.into()) },
            "hot" => Self::Hot,
            "new" => Self::New,
            "revoked" => Self::Revoked { at: REVOCATION_CYCLE * number + REVOCATION_CYCLE / 2 },
            other => panic!("no such kind of token: {other}"),
        }
    }

    /// What must not be answered to a request that was sent then.
    fn must_not_get(self, sent: Duration, sent_by_system: Duration) -> Option<u16> {
        match self {
            Self::Bad => Some(200),
            Self::Expiring { exp } => (sent_by_system >= exp).then_some(200),
            Self::Hot | Self::New => Some(401),
            Self::Revoked { at } => (sent >= at + CACHE_TTL + STALE_IF_ERROR).then_some(200),
        }
    }
}

async fn ask_on_and_on(mut connection: Connection, client: usize, clock: Clock) -> Seen {
    let mut seen = Seen::default();
    for number in 0.. {
        if clock.is_over() {
            break;
        }
        let access_token = Token::of(client, number, clock);
        let (sent, sent_by_system) = (clock.elapsed(), unix_time());
        let reply = connection.send(&Request::get("/").bearer(&access_token)).await.expect("an answer");
        let wrong = Token::parse(&access_token).must_not_get(sent, sent_by_system);
        assert_ne!(Some(reply.status), wrong, "{access_token}, sent at {sent:?}, {sent_by_system:?}");
        match reply.status {
            200 => seen.passed += 1,
            401 => seen.denied += 1,
            503 => {
                seen.unavailable += 1;
                let is_good_time =
                    into(sent, CYCLE) >= RECOVERY && into(sent, CYCLE) + (clock.elapsed() - sent) < WORKS;
                seen.unavailable_in_good_times += u64::from(is_good_time);
            }
            _ => panic!("{access_token}: {reply:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    seen
}

/// Returns how many requests were left alone: at once, or a little later.
async fn ask_and_leave(to: SocketAddr, leaver: usize, clock: Clock) -> u64 {
    for number in 0.. {
        if clock.is_over() {
            return number as u64;
        }
        let mut connection = Connection::open(to).await.expect("a connection to Envoy");
        let access_token = Token::of(CLIENTS + leaver, number, clock);
        connection.write(&Request::get("/").bearer(&access_token).head()).await.expect("a request sent");
        tokio::time::sleep(Duration::from_millis(number as u64 * 7 % 20)).await;
        drop(connection);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("numbers do not end before the test does")
}

/// Each request that the filter saw was forwarded, denied or unavailable, or its client left while it waited: by the
/// filter's counters, by Envoy's, by the access log and by what clients got.
async fn accounts_for_every_request(gateway: &Gateway, seen: &Seen, left_alone: u64) {
    let total = gateway.envoy.stats("^http.main.downstream_rq_total$").await["http.main.downstream_rq_total"];
    eventually("the whole access log", || async {
        (gateway.envoy.access_log().lines().count() as u64 == total).then_some(())
    })
    .await;
    let mut logged = BTreeMap::<&str, u64>::new();
    let log = gateway.envoy.access_log();
    for line in log.lines() {
        let what = match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["forwarded", ..] => "forwarded",
            ["token_inactive" | "token_expired", ..] => "denied.invalid_token",
            ["-", "0", "DC"] => "left",
            [reason, ..] if reason.starts_with("introspection_") || reason.starts_with("too_many_") => {
                "unavailable"
            }
            _ => panic!("a line that should not be in the access log: {line}"),
        };
        *logged.entry(what).or_default() += 1;
    }
    let mut counters: BTreeMap<String, u64> = BTreeMap::new();
    for (name, count) in gateway.envoy.stats("phantom_token.requests").await {
        let (_, what) = name.split_once("phantom_token.requests.").expect("one of the filter's");
        *counters.entry(Host::tested().without_labels(what).to_owned()).or_default() += count;
    }
    println!("of {total} requests {logged:?}");
    let logged = |what| logged.get(what).copied().unwrap_or_default();
    // Natively another thread may have judged a request, and counted it, whose client leaves before it hears of it.
    let late = if Host::tested() == Host::Native { logged("left") } else { 0 };
    for (what, count) in &counters {
        let logged = logged(what.as_str());
        assert!((logged..=logged + late).contains(count), "{what}: {count} counted, {logged} logged");
    }
    let heard_of = total - logged("left");
    assert!((heard_of..=heard_of + late).contains(&counters.values().sum()), "{counters:?} of {total}");
    assert!(logged("left") > 0 && logged("left") < left_alone);
    for (answered, counted) in [
        (seen.passed, logged("forwarded")),
        (seen.denied, logged("denied.invalid_token")),
        (seen.unavailable, logged("unavailable")),
        (seen.requests(), total),
    ] {
        assert!(
            (answered..=answered + left_alone).contains(&counted),
            "{answered} answers, {counted} counted"
        );
    }
}

/// Nothing of all this is left: old tokens and new ones are answered, at once, on every worker.
async fn every_token_is_answered(gateway: &Gateway) {
    for connection in gateway.envoy.connect_to_every_worker(1).await.iter_mut().flatten() {
        let of_kinds = [("hot", 40, 200), ("bad", 50, 401), ("new", 100, 200), ("revoked", 8, 401)];
        for (kind, count, status) in of_kinds {
            for number in 0..count {
                let request = Request::get("/").bearer(&format!("{kind}-{number}"));
                let start = Instant::now();
                let reply = connection.send(&request).await.expect("an answer");
                assert_eq!(reply.status, status, "{kind} {number}: {reply:?}");
                assert!(start.elapsed() < TIMEOUT, "{kind} {number}: {:?}", start.elapsed());
            }
        }
    }
}

/// VMs made so far, and those that failed and were made anew.
async fn vms(gateway: &Gateway) -> BTreeMap<String, u64> {
    gateway.envoy.stats("^wasm.envoy.wasm.runtime.v8.created$|^wasm.phantom_token_filter.vm_reload").await
}

fn into(elapsed: Duration, cycle: Duration) -> Duration {
    Duration::from_nanos((elapsed.as_nanos() % cycle.as_nanos()) as u64)
}

#[allow(clippy::disallowed_methods)]
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970")
}

async fn start() -> Gateway {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!(format!("{}ms", TIMEOUT.as_millis()));
    plugin["policies"] = json!({"default": {"cache_ttl": format!("{}s", CACHE_TTL.as_secs())}});
    // So small that entries have to make room all the time.
    plugin["cache"] = json!({
        "max_entries": 500, "max_negative_entries": 200, "negative_ttl": "1s",
        "stale_if_error": format!("{}s", STALE_IF_ERROR.as_secs()),
    });
    plugin["access_log"] = json!({"hits": true});
    Gateway::with(plugin, |envoy| {
        envoy
            .workers(2)
            // Envoy answers in place of the upstream: only the filter is of interest.
            .route(json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}}))
            .adjust(|manager| {
                let log = &mut manager["access_log"][0]["typed_config"]["log_format"];
                log["text_format_source"]["inline_string"] = json!(
                    "%FILTER_STATE(wasm.phantom_token.outcome:PLAIN)% %RESPONSE_CODE% %RESPONSE_FLAGS%\n"
                );
            })
    })
    .await
}
