//! Values in shared data, as another version or a broken host may have left them: every key has the fuzzer's bytes.
#![no_main]
use std::cell::RefCell;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use phantom_token_filter::cache::{Cache, Cached, Leases, Mailbox, SharedData, Subject, Version};
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

fuzz_target!(|bytes: &[u8]| {
    let now = UnixMillis::from_secs(1_000);
    let until = UnixMillis::from_secs(1_060);
    let shared = || Rc::new(Foreign(RefCell::new(bytes.to_vec())));
    let digest = TokenDigest::from_bytes([b'd'; 32]);
    let cache = Cache::new(shared(), 4, 4);
    match cache.find(&digest, now) {
        Some(Cached::Active(entry)) => {
            assert_eq!(entry.digest(), &digest, "another token's verdict");
            let _ = (entry.to_claims().view().members(), entry.minted([b'i'; 8]), cache.holds(&entry, now));
        }
        Some(Cached::Inactive { .. }) | None => {}
    }
    let token = AccessToken::parse(b"token").unwrap();
    cache.withdrawals().announce(Duration::from_secs(60));
    cache.withdrawals().withdraw(&[Subject::token(&token)], Duration::from_secs(1), now);
    let cache = Cache::new(shared(), 4, 4);
    cache.insert_inactive(&digest, now, until, now);
    let leases = Leases::new(shared(), Mailbox(1));
    let _ = leases.claim(&digest, now, until, true);
    assert!(leases.release(&digest).len() <= 1 << 12);
    let replay = Replay::new(shared());
    if replay.is_first("iss", "jti", until, now) {
        assert!(!replay.is_first("iss", "jti", until, now), "a statement is taken twice");
    }
});
