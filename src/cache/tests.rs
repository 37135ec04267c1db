use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::token::{AccessToken, DigestSeed};

#[derive(Default)]
struct Map(RefCell<HashMap<String, Vec<u8>>>, Cell<u64>);

impl SharedData for Map {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.borrow().get(key).cloned()
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
    }

    fn epoch(&self) -> Option<u64> {
        Some(self.1.get())
    }

    fn begin_epoch(&self) {
        self.1.set(self.1.get() + 1);
    }

    fn read(&self, _: &str) -> (Option<Vec<u8>>, Version) {
        unimplemented!("verdicts need no versions")
    }

    fn replace(&self, _: &str, _: &[u8], _: Version) -> bool {
        unimplemented!("verdicts need no versions")
    }
}

const NOW: UnixMillis = UnixMillis::from_secs(1_000);
const LATER: UnixMillis = UnixMillis::from_secs(1_060);

fn digest(token: &str) -> TokenDigest {
    DigestSeed::new(&[0; 32]).digest(&AccessToken::parse(token.as_bytes()).unwrap())
}

fn claims(sub: &str) -> ClaimsBuf {
    ClaimsBuf::from_members(crate::json::object(format!("{{\"sub\":{sub:?}}}").as_bytes()).unwrap()).unwrap()
}

fn cache(slots: u32, negative: u32) -> (Cache, Rc<Map>) {
    let map = Rc::new(Map::default());
    (Cache::new(Rc::clone(&map) as Rc<dyn SharedData>, slots, negative), map)
}

fn subject(cache: &Cache, token: &str) -> Option<String> {
    match cache.find(&digest(token)) {
        Some(Cached::Active(entry)) => Some(String::from_utf8(entry.claims().sub.unwrap().to_vec()).unwrap()),
        Some(Cached::Inactive { .. }) => Some("inactive".to_owned()),
        None => None,
    }
}

#[test]
fn what_was_put_in_is_found_and_nothing_else() {
    let (cache, _) = cache(100, 100);
    let minted = Minted { jwt: "a.b.c".to_owned(), exp: LATER };
    cache.insert_active(&digest("a"), NOW, LATER, &claims("alice"), Some(([7; 8], &minted)), NOW);
    let Some(Cached::Active(entry)) = cache.find(&digest("a")) else { panic!() };
    assert_eq!((entry.asked(), entry.claims().sub), (NOW, Some(&b"alice"[..])));
    assert_eq!(entry.jwt([7; 8]), Some(CachedJwt { jwt: b"a.b.c", exp: LATER }));
    assert_eq!(entry.jwt([8; 8]), None, "minted under other settings");
    assert_eq!(subject(&cache, "b"), None);
    cache.insert_inactive(&digest("b"), NOW, LATER, NOW);
    assert_eq!(subject(&cache, "b").unwrap(), "inactive");
}

#[test]
fn a_new_jwt_takes_the_place_of_the_old_one() {
    let (cache, _) = cache(100, 100);
    cache.insert_active(&digest("a"), NOW, LATER, &claims("alice"), None, NOW);
    let Some(Cached::Active(entry)) = cache.find(&digest("a")) else { panic!() };
    assert_eq!(entry.jwt([0; 8]), None, "none was minted");
    let minted = Minted { jwt: "d.e.f".to_owned(), exp: LATER };
    cache.update_jwt(&entry, ([7; 8], &minted), NOW);
    let Some(Cached::Active(entry)) = cache.find(&digest("a")) else { panic!() };
    assert_eq!(entry.jwt([7; 8]).unwrap().jwt, b"d.e.f");
    assert_eq!((entry.asked(), entry.claims().sub), (NOW, Some(&b"alice"[..])));
}

#[test]
fn memory_is_bounded_whatever_tokens_come() {
    let (cache, map) = cache(64, 16);
    for number in 0..5_000 {
        cache.insert_active(&digest(&format!("a{number}")), NOW, LATER, &claims("alice"), None, NOW);
        cache.insert_inactive(&digest(&format!("n{number}")), NOW, LATER, NOW);
    }
    assert!(map.0.borrow().len() <= 64 + 16);
    assert!(map.0.borrow().keys().all(|key| key.len() <= 3), "a key that is made of a token would leak");
}

#[test]
fn a_flood_of_inactive_tokens_evicts_no_active_one() {
    let (cache, _) = cache(64, 16);
    cache.insert_active(&digest("good"), NOW, LATER, &claims("alice"), None, NOW);
    for number in 0..5_000 {
        cache.insert_inactive(&digest(&format!("bad{number}")), NOW, LATER, NOW);
    }
    assert_eq!(subject(&cache, "good").unwrap(), "alice");
}

#[test]
fn the_entry_that_ends_first_makes_room() {
    let (cache, _) = cache(2, 1);
    let until = |seconds: u64| UnixMillis::from_secs(1_000 + seconds);
    assert!(!cache.insert_active(&digest("a"), NOW, until(10), &claims("a"), None, NOW));
    assert!(
        !cache.insert_active(&digest("b"), NOW, until(20), &claims("b"), None, NOW),
        "the other slot is empty"
    );
    assert!(cache.insert_active(&digest("c"), NOW, until(30), &claims("c"), None, NOW), "somebody had to go");
    assert_eq!(
        (subject(&cache, "a"), subject(&cache, "b"), subject(&cache, "c")),
        (None, Some("b".into()), Some("c".into()))
    );
    let after = NOW.plus(Duration::from_secs(25));
    assert!(
        !cache.insert_active(&digest("d"), after, until(40), &claims("d"), None, after),
        "b was of no use any more"
    );
    assert_eq!((subject(&cache, "b"), subject(&cache, "c")), (None, Some("c".into())));
}

#[test]
fn the_latest_verdict_on_a_token_stays() {
    let (cache, _) = cache(100, 100);
    cache.insert_inactive(&digest("a"), LATER, UnixMillis::MAX, LATER);
    cache.insert_active(&digest("a"), NOW, UnixMillis::MAX, &claims("alice"), None, LATER);
    assert_eq!(subject(&cache, "a").unwrap(), "inactive");
    cache.insert_active(&digest("b"), LATER, UnixMillis::MAX, &claims("new"), None, LATER);
    cache.insert_active(&digest("b"), NOW, UnixMillis::MAX, &claims("old"), None, LATER);
    assert_eq!(subject(&cache, "b").unwrap(), "new");
    cache.insert_inactive(&digest("b"), LATER, UnixMillis::MAX, LATER);
    assert_eq!(subject(&cache, "b").unwrap(), "inactive", "of two at once, the careful one");
    cache.insert_active(&digest("b"), LATER, UnixMillis::MAX, &claims("back"), None, LATER);
    assert_eq!(subject(&cache, "b").unwrap(), "inactive", "whichever comes first");
}

#[test]
fn an_entry_that_is_too_long_is_not_kept() {
    let (cache, map) = cache(100, 100);
    cache.insert_active(&digest("a"), NOW, LATER, &claims(&"x".repeat(MAX_ENTRY_BYTES)), None, NOW);
    assert!(map.0.borrow().is_empty());
}

#[test]
fn whatever_lies_in_a_slot_is_survived() {
    let (cache, map) = cache(1, 1);
    cache.insert_active(&digest("a"), NOW, LATER, &claims("alice"), None, NOW);
    let good = map.0.borrow()["p0"].clone();
    for cut in 0..good.len() {
        map.set("p0", &good[..cut]);
        if let Some(Cached::Active(entry)) = cache.find(&digest("a")) {
            assert!(cut > 100, "{cut}");
            // The JSON of the claims is the last part; cut off, it says nothing.
            assert!(entry.claims().members().is_empty());
        }
        let mut torn = good.clone();
        torn[cut] ^= 0xff;
        map.set("p0", &torn);
        _ = cache.find(&digest("a")).map(|found| format!("{found:?}"));
        cache.insert_active(&digest("b"), NOW, LATER, &claims("bob"), None, NOW);
        map.set("p0", &good);
    }
    map.set("p0", &[&[99][..], &good[1..]].concat());
    assert_eq!(subject(&cache, "a"), None, "another version of the filter wrote that");
}

#[test]
fn a_copy_lives_as_long_as_nothing_was_taken_away() {
    let (cache, map) = cache(64, 64);
    cache.insert_active(&digest("a"), NOW, LATER, &claims("alice"), None, NOW);
    assert!(cache.copy(&digest("a")).is_none(), "it was not read yet");
    cache.find(&digest("a"));
    map.0.borrow_mut().clear();
    assert_eq!(cache.copy(&digest("a")).unwrap().claims().sub, Some(&b"alice"[..]), "nothing is read again");
    cache.insert_inactive(&digest("b"), NOW, LATER, NOW);
    assert!(cache.copy(&digest("a")).is_some(), "a token that was never active takes nothing away");
    map.begin_epoch();
    assert!(cache.copy(&digest("a")).is_none());
}

#[test]
fn a_copy_of_another_worker_ends_with_its_original() {
    let (one, map) = cache(1, 64);
    let two = Cache::new(Rc::clone(&map) as Rc<dyn SharedData>, 1, 64);
    one.insert_active(&digest("a"), NOW, LATER, &claims("alice"), None, NOW);
    two.find(&digest("a"));
    assert!(two.copy(&digest("a")).is_some());
    one.insert_inactive(&digest("a"), LATER, UnixMillis::MAX, LATER);
    assert!(two.copy(&digest("a")).is_none(), "withdrawn");
    one.insert_active(&digest("b"), NOW, UnixMillis::MAX, &claims("bob"), None, NOW);
    two.find(&digest("b"));
    one.insert_active(&digest("c"), NOW, UnixMillis::MAX, &claims("carol"), None, NOW);
    assert!(two.copy(&digest("b")).is_none(), "pushed out: what comes of b now would not be seen there");
}
