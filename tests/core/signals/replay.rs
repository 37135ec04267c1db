use std::rc::Rc;
use std::time::Duration;

use phantom_token_filter::revocation::Replay;
use phantom_token_filter::token::UnixMillis;

use crate::support::{Map, START};

fn replay() -> (Replay, Map) {
    let map = Map::default();
    let replay = Replay::new(Rc::new(map.clone()));
    replay.create();
    (replay, map)
}

fn after(secs: u64) -> UnixMillis {
    START.plus(Duration::from_secs(secs))
}

#[test]
fn a_signal_is_new_once_for_all_workers() {
    let (one, map) = replay();
    let two = Replay::new(Rc::new(map));
    assert!(one.is_first("https://as.example", "j1", after(60), START));
    assert!(!one.is_first("https://as.example", "j1", after(60), START));
    assert!(!two.is_first("https://as.example", "j1", after(60), after(60)));
    assert!(two.is_first("https://as.example", "j2", after(60), START));
    assert!(two.is_first("https://other.example", "j1", after(60), START), "issuers name their own");
    assert!(two.is_first("https://as.examplej", "1", after(60), START));
}

#[test]
fn memory_is_bounded_and_what_ends_first_is_forgotten_first() {
    let (replay, map) = replay();
    for number in 0..50_000 {
        assert!(replay.is_first("i", &format!("{number}"), after(100 + number), START));
    }
    assert!(map.size() < 720 << 10, "{}", map.size());
    assert!(!replay.is_first("i", "49999", after(1), START));
    assert!(replay.is_first("i", "0", after(1), START), "taken for new: better than refusing what is");
    assert!(!map.contains(b"49999"), "only digests lie in shared data");
}
