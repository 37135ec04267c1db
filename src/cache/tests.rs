use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::claims::ClaimsBuf;
use crate::token::{AccessToken, DigestSeed};

#[derive(Default)]
struct Map {
    values: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    epoch: Cell<u64>,
    /// What another worker does just before the next write.
    meanwhile: RefCell<Option<Box<dyn FnOnce()>>>,
}

impl Map {
    fn put(&self, key: &str, value: &[u8]) {
        let mut values = self.values.borrow_mut();
        let version = values.get(key).map_or(1, |(_, version)| version + 1);
        values.insert(key.to_owned(), (value.to_vec(), version));
    }

    fn meanwhile(&self) {
        let act = self.meanwhile.borrow_mut().take();
        if let Some(act) = act {
            act();
        }
    }

    /// The keys of a table's slots, and how long they and their values are.
    fn sizes(&self, prefix: char) -> Vec<(usize, usize)> {
        let values = self.values.borrow();
        let slots = values.iter().filter(|(key, _)| key.starts_with(prefix));
        slots.map(|(key, (value, _))| (key.len(), value.len())).collect()
    }
}

impl SharedData for Map {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.read(key).0
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.meanwhile();
        self.put(key, value);
    }

    fn epoch(&self) -> Option<u64> {
        Some(self.epoch.get())
    }

    fn advance_epoch(&self, by: u64) {
        self.epoch.set(self.epoch.get().wrapping_add(by));
    }

    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        match self.values.borrow().get(key) {
            Some((value, version)) => (Some(value.clone()), Version(*version)),
            None => (None, Version::NEVER_SET),
        }
    }

    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool {
        self.meanwhile();
        let is_same = version == Version::NEVER_SET || self.read(key).1 == version;
        if is_same {
            self.put(key, value);
        }
        is_same
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
    let cache = Cache::new(Rc::clone(&map) as Rc<dyn SharedData>, slots, negative);
    cache.create();
    (cache, map)
}

fn insert(
    cache: &Cache,
    token: &str,
    asked: UnixMillis,
    useful_until: UnixMillis,
    sub: &str,
    jwt: Option<(PhantomTokenId, &Minted)>,
    now: UnixMillis,
) -> bool {
    let verdict = Verdict {
        digest: &digest(token),
        token: TokenDigest::of(&AccessToken::parse(token.as_bytes()).unwrap()),
        provider: ProviderTag::new("main"),
        vouched: Vouched::ByServer,
        asked,
        checked: Checked { moment: cache.withdrawals().moment(), until: UnixMillis::MAX },
        useful_until,
        claims: &claims(sub),
        jwt,
    };
    cache.insert_active(&verdict, now)
}

fn subject(cache: &Cache, token: &str) -> Option<String> {
    match cache.find(&digest(token), NOW) {
        Some(Cached::Active(entry)) => Some(String::from_utf8(entry.claims().sub.unwrap().to_vec()).unwrap()),
        Some(Cached::Inactive { .. }) => Some("inactive".to_owned()),
        None => None,
    }
}

#[test]
fn what_was_put_in_is_found_and_nothing_else() {
    let (cache, _) = cache(100, 100);
    let minted = Minted { jwt: "a.b.c".to_owned(), exp: LATER };
    insert(&cache, "a", NOW, LATER, "alice", Some(([7; 8], &minted)), NOW);
    let Some(Cached::Active(entry)) = cache.find(&digest("a"), NOW) else { panic!() };
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
    insert(&cache, "a", NOW, LATER, "alice", None, NOW);
    let Some(Cached::Active(entry)) = cache.find(&digest("a"), NOW) else { panic!() };
    assert_eq!(entry.jwt([0; 8]), None, "none was minted");
    let minted = Minted { jwt: "d.e.f".to_owned(), exp: LATER };
    cache.update_jwt(&entry, ([7; 8], &minted), NOW);
    let Some(Cached::Active(entry)) = cache.find(&digest("a"), NOW) else { panic!() };
    assert_eq!(entry.jwt([7; 8]).unwrap().jwt, b"d.e.f");
    assert_eq!((entry.asked(), entry.claims().sub), (NOW, Some(&b"alice"[..])));
}

#[test]
fn memory_is_bounded_whatever_tokens_come() {
    let (cache, map) = cache(64, 16);
    for number in 0..5_000 {
        insert(&cache, &format!("a{number}"), NOW, LATER, "alice", None, NOW);
        cache.insert_inactive(&digest(&format!("n{number}")), NOW, LATER, NOW);
    }
    let sizes = ['p', 'n', 'o'].map(|prefix| map.sizes(prefix));
    let [active, inactive, notes] = &sizes;
    assert_eq!((active.len(), inactive.len(), notes.len()), (64, 16, 1024));
    assert!(notes.iter().all(|(_, len)| *len <= 1 + 8 * 40), "{notes:?}");
    assert!(sizes.iter().flatten().all(|(key, _)| *key <= 5), "a key that is made of a token would leak");
}

#[test]
fn a_flood_of_inactive_tokens_evicts_no_active_one() {
    let (cache, _) = cache(64, 16);
    insert(&cache, "good", NOW, LATER, "alice", None, NOW);
    for number in 0..5_000 {
        cache.insert_inactive(&digest(&format!("bad{number}")), NOW, LATER, NOW);
    }
    assert_eq!(subject(&cache, "good").unwrap(), "alice");
}

#[test]
fn the_entry_that_ends_first_makes_room() {
    let (cache, _) = cache(2, 1);
    let until = |seconds: u64| UnixMillis::from_secs(1_000 + seconds);
    assert!(!insert(&cache, "a", NOW, until(10), "a", None, NOW));
    assert!(!insert(&cache, "b", NOW, until(20), "b", None, NOW), "the other slot is empty");
    assert!(insert(&cache, "c", NOW, until(30), "c", None, NOW), "somebody had to go");
    assert_eq!(
        (subject(&cache, "a"), subject(&cache, "b"), subject(&cache, "c")),
        (None, Some("b".into()), Some("c".into()))
    );
    let after = NOW.plus(Duration::from_secs(25));
    assert!(!insert(&cache, "d", after, until(40), "d", None, after), "b was of no use any more");
    assert_eq!((subject(&cache, "b"), subject(&cache, "c")), (None, Some("c".into())));
}

#[test]
fn the_latest_verdict_on_a_token_stays() {
    let (cache, _) = cache(100, 100);
    cache.insert_inactive(&digest("a"), LATER, UnixMillis::MAX, LATER);
    insert(&cache, "a", NOW, UnixMillis::MAX, "alice", None, LATER);
    assert_eq!(subject(&cache, "a").unwrap(), "inactive");
    insert(&cache, "b", LATER, UnixMillis::MAX, "new", None, LATER);
    insert(&cache, "b", NOW, UnixMillis::MAX, "old", None, LATER);
    assert_eq!(subject(&cache, "b").unwrap(), "new");
    cache.insert_inactive(&digest("b"), LATER, UnixMillis::MAX, LATER);
    assert_eq!(subject(&cache, "b").unwrap(), "inactive", "of two at once, the careful one");
    insert(&cache, "b", LATER, UnixMillis::MAX, "back", None, LATER);
    assert_eq!(subject(&cache, "b").unwrap(), "inactive", "whichever comes first");
}

#[test]
fn an_entry_that_is_too_long_is_not_kept() {
    let (cache, map) = cache(100, 100);
    insert(&cache, "a", NOW, LATER, &"x".repeat(MAX_ENTRY_BYTES), None, NOW);
    assert!(map.sizes('p').is_empty());
}

#[test]
fn whatever_lies_in_a_slot_is_survived() {
    let (cache, map) = cache(1, 1);
    insert(&cache, "a", NOW, LATER, "alice", None, NOW);
    let good = map.get("p0").unwrap();
    for cut in 0..good.len() {
        map.set("p0", &good[..cut]);
        if let Some(Cached::Active(entry)) = cache.find(&digest("a"), NOW) {
            assert!(cut > 150, "{cut}");
            // The JSON of the claims is the last part; cut off, it says nothing.
            assert!(entry.claims().members().is_empty());
        }
        let mut torn = good.clone();
        torn[cut] ^= 0xff;
        map.set("p0", &torn);
        _ = cache.find(&digest("a"), NOW).map(|found| format!("{found:?}"));
        insert(&cache, "b", NOW, LATER, "bob", None, NOW);
        map.set("p0", &good);
    }
    map.set("p0", &[&[99][..], &good[1..]].concat());
    assert_eq!(subject(&cache, "a"), None, "another version of the filter wrote that");
}

#[test]
fn the_epoch_lasts_as_long_as_nothing_is_taken_away() {
    let (one, map) = cache(1, 64);
    let two = Cache::new(Rc::clone(&map) as Rc<dyn SharedData>, 1, 64);
    insert(&one, "a", NOW, LATER, "alice", None, NOW);
    one.insert_inactive(&digest("b"), NOW, LATER, NOW);
    let before = two.epoch();
    assert_eq!(one.epoch(), before, "a token that was never active takes nothing away");
    one.insert_inactive(&digest("a"), LATER, UnixMillis::MAX, LATER);
    assert_ne!(two.epoch(), before);
}

#[test]
fn what_was_pushed_out_is_taken_away_all_the_same() {
    let (one, map) = cache(1, 64);
    let two = Cache::new(Rc::clone(&map) as Rc<dyn SharedData>, 1, 64);
    insert(&one, "a", NOW, LATER, "alice", None, NOW);
    let before = two.epoch();
    assert!(insert(&one, "b", NOW, LATER, "bob", None, NOW));
    assert_eq!(two.epoch(), before, "copies of all others are as good as ever, and that of a, too");
    two.insert_inactive(&digest("c"), NOW, LATER, NOW);
    assert_eq!(one.epoch(), before, "of c, there are none");
    two.insert_inactive(&digest("a"), NOW, LATER, NOW);
    assert_ne!(one.epoch(), before);
    let before = two.epoch();
    two.insert_inactive(&digest("a"), LATER, UnixMillis::MAX, LATER);
    assert_eq!(one.epoch(), before, "no copy lives longer than the entry would have");
}

#[test]
fn more_entries_than_can_be_noted_are_pushed_out_with_their_copies() {
    let (mut cache, _) = cache(1, 64);
    cache.pushed_out.shrink(1, 3);
    let push_out = |token: &str, now| {
        let before = cache.epoch();
        assert!(insert(&cache, token, now, now.plus(Duration::from_secs(60)), "x", None, now));
        cache.epoch() != before
    };
    insert(&cache, "a", NOW, LATER, "a", None, NOW);
    assert_eq!(["b", "c", "d", "e"].map(|token| push_out(token, NOW)), [false, false, false, true]);
    let soon = NOW.plus(Duration::from_secs(59));
    assert!(push_out("f", soon));
    assert!(!push_out("g", LATER), "the notes of a, b and c say nothing any more");
}

#[test]
fn a_verdict_that_came_in_between_is_pushed_out_like_any_other() {
    for slots in [1, 2] {
        let (cache, map) = cache(slots, 64);
        let other = Cache::new(Rc::clone(&map) as Rc<dyn SharedData>, slots, 64);
        let long_ago = UnixMillis::from_secs(1);
        for token in ["x", "y"] {
            insert(&cache, token, long_ago, long_ago, "x", None, long_ago);
        }
        *map.meanwhile.borrow_mut() = Some(Box::new(move || {
            for token in ["a", "b"] {
                insert(&other, token, NOW, LATER, "alice", None, NOW);
            }
        }));
        assert!(insert(&cache, "c", NOW, LATER, "carol", None, NOW), "somebody had to go");
        for token in ["a", "b"] {
            let before = cache.epoch();
            cache.insert_inactive(&digest(token), NOW, LATER, NOW);
            assert_ne!(cache.epoch(), before, "{slots}: copies of {token} would live on");
        }
    }
}

/// The provider's withdrawal of this name, which refuses JWTs up to a date.
fn refuse(cache: &Cache, provider: &str, sub: &str, date: UnixMillis) {
    let subject = Subject::Of(ProviderTag::new(provider), Which::Sub(sub.to_owned()));
    cache.withdrawals().withdraw_names([(Name::of(&subject), Some(date))], Duration::ZERO, THEN);
}

/// Whether a JWT of this provider's is refused.
fn refuses(cache: &Cache, provider: &str, sub: &str, iat: UnixMillis) -> bool {
    let claims = format!("{{\"sub\":{sub:?},\"iat\":{}}}", iat.as_secs());
    let claims = ClaimsBuf::from_members(crate::json::object(claims.as_bytes()).unwrap()).unwrap();
    let token = TokenDigest::of(&AccessToken::parse(b"jwt").unwrap());
    let verdict = Withdrawable { token, provider: ProviderTag::new(provider), claims: claims.view() };
    cache.withdrawals().refuses(&verdict, THEN)
}

#[test]
fn each_provider_has_room_of_its_own_for_refusals_and_those_beyond_so_many_share_one() {
    let (mut cache, map) = cache(1, 1);
    cache.withdrawals.refusals.shrink(1, 2);
    cache.withdrawals().create();
    let second = Duration::from_secs(1);
    let flood = |from: u32, to: u32| {
        for (provider, user) in (from..to).flat_map(|provider| (0..5).map(move |user| (provider, user))) {
            let date = THEN.minus(second * (5 - user));
            refuse(&cache, &format!("provider-{provider}"), &format!("user-{user}"), date);
        }
    };
    let long_ago = THEN.minus(60 * second);
    flood(0, 32);
    assert!(!refuses(&cache, "other", "user-1", long_ago));
    refuse(&cache, "other", "user-1", THEN);
    assert!(refuses(&cache, "other", "user-1", THEN) && !refuses(&cache, "other", "user-2", long_ago));
    for provider in ["provider-0", "provider-31"] {
        for user in 0..5 {
            let date = THEN.minus(second * (5 - user));
            assert!(refuses(&cache, provider, &format!("user-{user}"), date), "{provider} {user}");
        }
        // Coarse are the dates of three of five.
        assert!(refuses(&cache, provider, "nobody", THEN.minus(3 * second)), "{provider}");
        assert!(!refuses(&cache, provider, "nobody", THEN.minus(2 * second)), "{provider}");
    }
    flood(32, 100);
    let size = map.get("r0").unwrap().len();
    assert!(size <= 2 + 33 * (24 + 2 * 56), "{size}");
    for provider in 0..100 {
        assert!(refuses(&cache, &format!("provider-{provider}"), "user-3", long_ago), "{provider}");
    }
    assert!(refuses(&cache, "other", "user-2", long_ago));
    assert!(!refuses(&cache, "other", "user-2", THEN));
}

#[test]
fn what_an_older_filter_has_refused_stays_refused_and_is_of_any_provider() {
    let (mut cache, map) = cache(1, 1);
    cache.withdrawals.refusals.shrink(1, 2);
    cache.withdrawals().create();
    refuse(&cache, "main", "alice", THEN);
    let millis = |time: UnixMillis| time.as_millis().to_le_bytes();
    let bob = Name::of(&Subject::Of(ProviderTag::new("main"), Which::Sub("bob".to_owned())));
    let coarse = THEN.minus(Duration::from_secs(60));
    let older =
        [&[1][..], &millis(coarse), &millis(THEN), bob.digest().as_bytes(), &millis(THEN), &millis(THEN)];
    map.put("r0", &older.concat());
    for _ in 0..2 {
        assert!(refuses(&cache, "main", "bob", THEN) && !refuses(&cache, "main", "carol", THEN));
        assert!(refuses(&cache, "main", "carol", coarse) && refuses(&cache, "other", "carol", coarse));
        // Written anew, in the form of now.
        refuse(&cache, "main", "dave", THEN);
        assert_eq!(map.get("r0").unwrap()[0], 2);
    }
}

/// Long after what counts as never.
const THEN: UnixMillis = UnixMillis::from_secs(1_000_000_000);
