//! Workers that share one map and are interrupted between any two of their accesses to it, in an order that a
//! number decides: no request is ever forwarded by a verdict that was asked for before a withdrawal that is done,
//! nor by one that a worker has since heard to be inactive; and none with a JWT that such a withdrawal refuses.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::claims::ClaimsBuf;
use crate::token::{AccessToken, Window};
use baton::{Baton, Handle, History, Inactive, State};
use random::Random;
use withdrawal::{TOKENS, Token, withdrawal};

mod baton;
mod jwts;
mod random;
mod withdrawal;

struct Worker {
    handle: Handle,
    cache: Cache,
    first_level: FirstLevel<Rc<ActiveEntry>>,
    random: Random,
}

impl Worker {
    fn turn<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        self.handle.baton.turn(self.handle.me, act)
    }

    fn now(&self) -> UnixMillis {
        UnixMillis::from_millis(self.turn(|state| state.now))
    }

    fn run(&mut self) {
        for _ in 0..ACTIONS {
            match self.random.next(10) {
                0 => self.withdraw(),
                3..6 => self.jwt_request(),
                1 => self.turn(|state| state.now += state.random.next(3)),
                2 => self.turn(|state| state.now += state.random.next(TTL.as_millis() as u64)),
                _ => self.request(),
            }
        }
        self.turn(|state| state.alive[self.handle.me] = false);
        // The turn may have been passed to us before.
        let mut state = self.handle.baton.state.lock().unwrap();
        if state.turn == self.handle.me {
            self.handle.baton.pass(&mut state);
        }
    }

    fn withdraw(&mut self) {
        let mut withdrawal = withdrawal(&mut self.random);
        let settle = Duration::from_millis(self.random.next(3) * 5);
        let (began, now) = self.turn(|state| {
            state.history.under_way += 1;
            (state.step, UnixMillis::from_millis(state.now))
        });
        withdrawal.jwts = self.jwts(now);
        // Until it is begun, the clock goes on for others.
        for _ in 0..self.random.next(30) {
            self.turn(|_| ());
        }
        let names = withdrawal.subjects.iter().map(Name::of);
        let names = names.map(|name| (name, withdrawal.jwts.issued_until(&name)));
        self.cache.withdrawals().withdraw_names(names, settle, now);
        self.turn(|state| {
            // A clock that stands still would let calls be sent "before" that are sent after.
            state.now += 1;
            state.history.under_way -= 1;
            state.history.withdrawals.push((withdrawal, began, state.step));
        });
    }

    fn request(&mut self) {
        let token = Token(self.random.next(TOKENS));
        let began = self.turn(|state| state.step);
        let now = self.now();
        // As the filter does it: what is kept rests on the epoch before the verdict was read.
        let tag = self.first_level.tag("", token.access_token().secret().as_bytes()).unwrap();
        let basis = Basis { epoch: self.cache.epoch().unwrap(), keys: 0 };
        let kept = self.first_level.get(tag, basis, now);
        let found = kept.or_else(|| match self.cache.find(&token.digest(), now) {
            Some(Cached::Active(entry)) => {
                let window = Window { from: UnixMillis::from_millis(0), until: entry.good_until() };
                self.first_level.put(tag, basis, window, Rc::clone(&entry), 1_000, now);
                Some(entry)
            }
            _ => None,
        });
        if let Some(entry) = found.filter(|entry| now.since(entry.asked()) < TTL) {
            let serial = entry.claims().members()["serial"].as_u64().unwrap();
            self.forward(token, serial, began, true);
            if self.random.next(4) == 0 {
                let minted = Minted { jwt: "a.b.c".to_owned(), exp: now };
                self.writing(token, || self.cache.update_jwt(&entry, ([7; 8], &minted), now));
            }
            return;
        }
        for _ in 0..3 {
            let moment = self.cache.withdrawals().moment();
            let (serial, at) = self.turn(|state| {
                state.history.calls.push(state.step);
                (state.history.calls.len() - 1, UnixMillis::from_millis(state.now))
            });
            let asked = Asked { at, moment };
            let is_active = self.random.next(8) > 0;
            for _ in 0..self.random.next(30) {
                self.turn(|_| ());
            }
            if self.reply(token, serial as u64, asked, is_active) {
                return;
            }
        }
    }

    /// Returns whether the request has its answer.
    fn reply(&mut self, token: Token, serial: u64, asked: Asked, is_active: bool) -> bool {
        let now = self.now();
        if !is_active {
            let sent = self.turn(|state| state.history.calls[serial as usize]);
            self.cache.insert_inactive(&token.digest(), asked.at, asked.at.plus(TTL), now);
            self.turn(|state| {
                let writing = state.history.writing.iter().filter(|(_, of)| *of == token.0);
                let but_for: Vec<usize> = writing.map(|(writer, _)| *writer).collect();
                let since = but_for.is_empty().then_some(state.step);
                state.history.inactive.push(Inactive { token: token.0, asked: sent, since, but_for });
            });
            return true;
        }
        let mut claims = json!({"sub": token.sub(), "client_id": token.client(), "serial": serial});
        if let Some(sid) = token.sid() {
            claims["sid"] = sid.into();
        }
        let claims = ClaimsBuf::from_members(claims.as_object().unwrap().clone()).unwrap();
        let withdrawable = Withdrawable {
            token: TokenDigest::of(&token.access_token()),
            provider: ProviderTag::new("main"),
            claims: claims.view(),
        };
        let began = self.turn(|state| state.step);
        let Standing::Good(checked) = self.cache.withdrawals().standing(asked, &withdrawable) else {
            return false;
        };
        self.forward(token, serial, began, false);
        let verdict = Verdict {
            digest: &token.digest(),
            token: withdrawable.token,
            provider: withdrawable.provider,
            vouched: Vouched::ByServer,
            asked: asked.at,
            checked,
            useful_until: asked.at.plus(TTL),
            claims: &claims,
            jwt: None,
        };
        self.writing(token, || _ = self.cache.insert_active(&verdict, now));
        true
    }

    fn writing(&self, token: Token, write: impl FnOnce()) {
        self.turn(|state| state.history.writing.push((self.handle.me, token.0)));
        write();
        self.turn(|state| state.history.written(self.handle.me, state.step));
    }

    /// A request that was looked at from `began` on is forwarded by the verdict of this call.
    fn forward(&self, token: Token, serial: u64, began: u64, from_cache: bool) {
        self.turn(|state| {
            let sent = state.history.calls[serial as usize];
            for (withdrawal, withdrawn, done) in &state.history.withdrawals {
                assert!(
                    *done >= began || *withdrawn <= sent || !(withdrawal.means)(token, withdrawal.about),
                    "token {}: asked at {sent}, {:?} withdrawn at {withdrawn}, done at {done}, served at {began}",
                    token.0,
                    withdrawal.subjects
                );
            }
            for Inactive { token: of, asked, since, .. } in &state.history.inactive {
                assert!(
                    !from_cache
                        || *of != token.0
                        || since.is_none_or(|since| since >= began)
                        || *asked <= sent,
                    "token {of}: asked at {sent}, inactive asked at {asked}, since {since:?}, served at {began}"
                );
            }
            state.history.forwarded += 1;
            state.history.looked_up += u64::from(from_cache);
        });
    }
}

/// With few slots, so that verdicts, watermarks and notes push each other out. Not so inactive ones: what nobody
/// remembers keeps no late reply from being believed.
fn cache(handle: Handle, slots: u32) -> Cache {
    let mut cache = Cache::new(Rc::new(handle), slots, 1024);
    cache.withdrawals.shrink(slots / 4 + 1, 2);
    cache.withdrawals.refusals.shrink(slots / 8 + 1, 2);
    cache.pushed_out.shrink(2, 2);
    cache
}

/// Requests: forwarded, of those by a verdict that was remembered, with a JWT forwarded, and refused.
struct Ran([u64; 4]);

/// Runs three workers by the order that `seed` decides.
fn run(seed: u64, slots: u32) -> Ran {
    let state = State {
        random: Random(seed),
        turn: 0,
        alive: vec![true; 3],
        values: HashMap::new(),
        version: 0,
        epoch: 0,
        step: 0,
        now: BEGIN,
        history: History::default(),
    };
    let baton = Arc::new(Baton { state: Mutex::new(state), passed: Condvar::new() });
    // Before any worker has requests.
    {
        let alone = Handle { me: 0, baton: Arc::clone(&baton) };
        baton.state.lock().unwrap().alive = vec![true, false, false];
        let cache = cache(alone, slots);
        cache.create();
        cache.withdrawals.announce(TTL);
        cache.withdrawals.create();
        baton.state.lock().unwrap().alive = vec![true; 3];
    }
    let threads: Vec<_> = (0..3)
        .map(|me| {
            let handle = Handle { me, baton: Arc::clone(&baton) };
            std::thread::spawn(move || {
                let cache = cache(handle.clone(), slots);
                let random = Random(seed.wrapping_mul(31).wrapping_add(me as u64));
                let first_level = FirstLevel::new(TOKENS as u32);
                Worker { handle, cache, first_level, random }.run();
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("the promise is broken by the order of the seed");
    }
    let state = baton.state.lock().unwrap();
    let History { forwarded, looked_up, forwarded_jwts, refused_jwts, .. } = &state.history;
    Ran([*forwarded, *looked_up, *forwarded_jwts, *refused_jwts])
}

#[test]
fn nothing_that_was_withdrawn_is_ever_forwarded() {
    let mut all = [0; 4];
    let first: u64 = std::env::var("SEED").map_or(0, |seed| seed.parse().unwrap());
    for seed in first..first + SEEDS {
        let Ran(ran) = run(seed, [3, 8, 64][seed as usize % 3]);
        all.iter_mut().zip(ran).for_each(|(all, ran)| *all += ran);
    }
    let least = [20, 5, 5, 5].map(|it| it * SEEDS);
    assert!(all.iter().zip(least).all(|(all, least)| *all > least), "{all:?}");
}

/// Long after what counts as never.
const BEGIN: u64 = 1_000_000_000_000;

const SEEDS: u64 = 150;

const ACTIONS: u32 = 60;

/// Short, so that watermarks make room for others while they are looked for.
const TTL: Duration = Duration::from_millis(200);
