//! Values in shared data, as another version or a broken host may have left them: every key has the fuzzer's bytes, or,
//! if the first of them is odd, what the cache has written itself for the claims that follow, with some bytes changed.
#![no_main]
use std::cell::RefCell;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use phantom_token_filter::cache::{
    Asked, Cache, Cached, Leases, Mailbox, Name, ProviderTag, SharedData, Standing, Subject, Verdict, Version,
    Vouched, Withdrawable,
};
use phantom_token_filter::claims::ClaimsBuf;
use phantom_token_filter::fleet::{Outbox, Waiting};
use phantom_token_filter::jwt::Minted;
use phantom_token_filter::revocation::Replay;
use phantom_token_filter::token::{AccessToken, TokenDigest, UnixMillis};
use std::time::Duration;

struct Foreign(RefCell<Vec<u8>>);

impl SharedData for Foreign {
    fn get(&self, _: &str) -> Option<Vec<u8>> {
        Some(self.0.borrow().clone())
    }

    fn set(&self, _: &str, value: &[u8]) {
        *self.0.borrow_mut() = value.to_vec();
    }

    fn read(&self, _: &str) -> (Option<Vec<u8>>, Version) {
        (Some(self.0.borrow().clone()), Version(1))
    }

    fn replace(&self, key: &str, value: &[u8], _: Version) -> bool {
        self.set(key, value);
        true
    }

    fn epoch(&self) -> Option<u64> {
        Some(1)
    }

    fn advance_epoch(&self, _: u64) {}
}

/// What the cache writes for an active token of these claims, and reads again.
fn written(members: &[u8], digest: &TokenDigest, now: UnixMillis) -> Option<Vec<u8>> {
    let claims = ClaimsBuf::from_members(serde_json::from_slice(members).ok()?).ok()?;
    let shared = Rc::new(Foreign(RefCell::new(Vec::new())));
    let cache = Cache::new(shared.clone(), 1, 1);
    cache.withdrawals().announce(Duration::from_secs(60));
    let asked = Asked { at: now, moment: cache.withdrawals().moment() };
    let (token, provider) = (TokenDigest::from_bytes([b't'; 32]), ProviderTag::new("p"));
    let standing =
        cache.withdrawals().standing(asked, &Withdrawable { token, provider, claims: claims.view() });
    let Standing::Good(checked) = standing else { return None };
    let minted = Minted { jwt: "a.b.c".to_owned(), exp: now.plus(Duration::from_secs(300)) };
    let useful_until = now.plus(Duration::from_secs(60));
    let jwt = Some((JWT_ID, &minted));
    let vouched = Vouched::ByServer;
    let verdict =
        Verdict { digest, token, provider, vouched, asked: now, checked, useful_until, claims: &claims, jwt };
    *shared.0.borrow_mut() = Vec::new();
    cache.insert_active(&verdict, now);
    // The last thing that is written is the entry, unless it is too long to be.
    let bytes = shared.0.borrow().clone();
    let is_entry = !verdict.is_oversized() && bytes.len() > claims.as_bytes().len();
    let cache = Cache::new(Rc::new(Foreign(RefCell::new(bytes.clone()))), 1, 1);
    if is_entry && let Some(Cached::Active(entry)) = cache.find(digest, now) {
        assert_eq!(entry.to_claims(), claims, "the claims are read as they were not written");
        assert_eq!(entry.minted(JWT_ID), Some(minted), "the JWT is read as it was not written");
        assert_eq!(entry.minted([b'o'; 8]), None, "a JWT of other settings");
    }
    Some(bytes)
}

const JWT_ID: [u8; 8] = [b'i'; 8];

/// What lies in shared data: see above. The changes, three bytes each (a place and what stands there now), come after a
/// line break.
fn values(input: &[u8], digest: &TokenDigest, now: UnixMillis) -> Option<Vec<u8>> {
    let (form, input) = input.split_first()?;
    if form % 2 == 0 {
        return Some(input.to_vec());
    }
    let end = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (members, changes) = input.split_at(end);
    let mut bytes = written(members, digest, now)?;
    for change in changes.get(1..).unwrap_or_default().chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]]));
        if let Some(byte) = bytes.get_mut(place) {
            *byte = change[2];
        }
    }
    Some(bytes)
}

fuzz_target!(|input: &[u8]| {
    let now = UnixMillis::from_secs(1_000);
    let until = UnixMillis::from_secs(1_060);
    let digest = TokenDigest::from_bytes([b'd'; 32]);
    let Some(bytes) = values(input, &digest, now) else { return };
    let shared = || Rc::new(Foreign(RefCell::new(bytes.clone())));
    let cache = Cache::new(shared(), 4, 4);
    match cache.find(&digest, now) {
        Some(Cached::Active(entry)) => {
            assert_eq!(entry.digest(), &digest, "another token's verdict");
            let _ = (entry.to_claims().view().members(), entry.minted(JWT_ID), cache.holds(&entry, now));
        }
        Some(Cached::Inactive { .. }) | None => {}
    }
    let token = AccessToken::parse(b"token").unwrap();
    cache.withdrawals().announce(Duration::from_secs(60));
    cache.withdrawals().withdraw(&[Subject::token(&token)], Duration::from_secs(1), now);
    let (provider, claims) = (ProviderTag::new("p"), ClaimsBuf::from_members(Default::default()).unwrap());
    let jwt = Withdrawable { token: TokenDigest::of(&token), provider, claims: claims.view() };
    let refusing = Name::of(&Subject::Jwt(provider, jwt.token));
    let cache = Cache::new(shared(), 4, 4);
    let _ = cache.withdrawals().refuses(&jwt, now);
    cache.withdrawals().withdraw_names([(refusing, Some(now))], Duration::from_secs(1), now);
    let outbox = Outbox::new(shared());
    outbox.add(Waiting { name: refusing, settle: Duration::from_secs(1), jwts: Some(now), at: now });
    let (first, count) = outbox.first(8);
    assert!(first.len() <= 8 && first.len() <= count);
    let cache = Cache::new(shared(), 4, 4);
    cache.insert_inactive(&digest, now, until, now);
    let leases = Leases::new(shared(), Mailbox(1));
    let _ = leases.claim(&digest, now, until, true);
    assert!(leases.release(&digest).len() <= 1 << 12);
    // Where more statements are remembered than the slot has room for, the one that ends first is forgotten.
    let has_room = shared().0.borrow().len() < 32 * 40;
    let replay = Replay::new(shared());
    if replay.is_first("iss", "jti", until, now) && has_room {
        assert!(!replay.is_first("iss", "jti", until, now), "a statement is taken twice");
    }
});
