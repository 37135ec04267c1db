//! What was withdrawn serves no more, with whichever worker and however it was remembered; everything else goes on.

use std::rc::Rc;
use std::time::Duration;

use phantom_token_filter::cache::{ProviderTag, SharedData, Subject, Which, Withdrawals};
use phantom_token_filter::metrics::Counter;
use phantom_token_filter::token::AccessToken;
use serde_json::{Value, json};

use crate::support::withdrawing::is_remembered;
use crate::support::{Fate, Map, Request, START, Worker, active, config, inactive, merge};

const NOTHING: Duration = Duration::ZERO;

fn of(which: Which) -> Subject {
    Subject::Of(ProviderTag::new("main"), which)
}

fn token(token: &str) -> Subject {
    Subject::token(&AccessToken::parse(token.as_bytes()).unwrap())
}

/// Two workers of one Envoy with a long `cache_ttl`, who may be told what to withdraw.
fn two_workers(patch: Value) -> (Worker, Worker, Withdrawals) {
    let mut settings = json!({"policies": {"default": {"cache_ttl": "10m"}}, "cache": {"refresh_ahead": 0}});
    merge(&mut settings, patch);
    let one = Worker::new(config(settings.clone()));
    let two = Worker::sharing(config(settings), one.shared.clone());
    let withdrawals = Withdrawals::new(Rc::new(one.shared.clone()));
    withdrawals.create();
    (one, two, withdrawals)
}

fn verdict(patch: Value) -> Value {
    let mut verdict = active();
    merge(&mut verdict, patch);
    verdict
}

#[test]
fn what_is_withdrawn_is_asked_for_anew_and_nothing_else() {
    let verdicts = [
        ("session", json!({"sub": "alice", "sid": "s1", "email": "Alice@example.com", "jti": "j1"})),
        ("other-session", json!({"sub": "alice", "sid": "s2", "email": "alice@example.com", "jti": "j2"})),
        ("no-session", json!({"sub": "alice"})),
        ("bob", json!({"sub": "bob", "client_id": "web"})),
        ("machine", json!({"sub": null, "client_id": "job"})),
    ];
    for (subject, gone) in [
        (token("bob"), &["bob"][..]),
        (of(Which::Sid("s1".into())), &["session"]),
        (of(Which::Sub("alice".into())), &["session", "other-session", "no-session"]),
        (of(Which::SubWithoutSid("alice".into())), &["no-session"]),
        (of(Which::WithoutSid), &["no-session", "bob", "machine"]),
        (of(Which::Client("web".into())), &["bob"]),
        (of(Which::Client("job".into())), &["machine"]),
        (of(Which::Email("ALICE@example.com".into())), &["session", "other-session"]),
        (of(Which::WithoutEmail), &["no-session", "bob", "machine"]),
        (of(Which::Jti("j2".into())), &["other-session"]),
        (of(Which::WithoutJti), &["no-session", "bob", "machine"]),
        (of(Which::All), &["session", "other-session", "no-session", "bob", "machine"]),
        (Subject::Everything, &["session", "other-session", "no-session", "bob", "machine"]),
        (Subject::Of(ProviderTag::new("partner"), Which::All), &[]),
        (Subject::Of(ProviderTag::new("partner"), Which::Sub("alice".into())), &[]),
        (of(Which::Sub("s1".into())), &[]),
        (of(Which::Sub("".into())), &[]),
    ] {
        let (mut one, mut two, withdrawals) = two_workers(json!({}));
        for (token, claims) in &verdicts {
            one.call(&Request::bearer(token), &verdict(claims.clone()));
            assert!(is_remembered(&mut one, token) && is_remembered(&mut two, token));
        }
        withdrawals.withdraw(std::slice::from_ref(&subject), NOTHING, START);
        for (token, _) in &verdicts {
            let is_gone = gone.contains(token);
            assert_eq!(is_remembered(&mut two, token), !is_gone, "{subject:?} {token}");
            // The one has heard from the other that the token is inactive, or from nobody anything.
            let stream = one.receive(&Request::bearer(token));
            assert_eq!(matches!(one.fate(stream), Fate::Forwarded(_)), !is_gone, "{subject:?} {token}");
        }
    }
}

#[test]
fn a_withdrawal_by_token_takes_its_other_spellings_with_it() {
    // A server that decodes leniently takes these for one token: the last letter has four bits to spare.
    let spellings = ["eyJhIjoxfQ.eyJhIjoxfQ.c2lnbmF0dXJlMQ", "eyJhIjoxfQ.eyJhIjoxfQ.c2lnbmF0dXJlMR"];
    for withdrawn in spellings {
        let (mut one, mut two, withdrawals) = two_workers(json!({}));
        for token in spellings {
            one.call(&Request::bearer(token), &active());
        }
        withdrawals.withdraw(&[token(withdrawn)], NOTHING, START);
        for token in spellings {
            assert!(!is_remembered(&mut two, token), "{token} lives on though {withdrawn} was withdrawn");
        }
    }
}

#[test]
fn a_withdrawal_bans_nobody() {
    let (mut one, mut two, withdrawals) = two_workers(json!({}));
    one.call(&Request::bearer("tok"), &active());
    withdrawals.withdraw(&[of(Which::Sub("alice".into()))], NOTHING, START);
    two.pass(Duration::from_millis(1));
    let stream = two.receive(&Request::bearer("tok"));
    two.answer(&active());
    assert!(matches!(two.fate(stream), Fate::Forwarded(_)), "the server says that it is still good");
    assert!(is_remembered(&mut two, "tok") && is_remembered(&mut one, "tok"), "one call is enough");
}

#[test]
fn a_verdict_that_was_on_the_wire_is_asked_for_again() {
    let (mut one, mut two, withdrawals) = two_workers(json!({}));
    let (first, second) = (one.receive(&Request::bearer("tok")), two.receive(&Request::bearer("tok")));
    one.give_turns();
    two.give_turns();
    withdrawals.withdraw(&[token("tok")], NOTHING, START);
    one.pass(Duration::from_millis(5)).answer(&active());
    assert!(one.is_waiting(first), "what the server said before is not believed");
    assert_eq!(one.calls.len(), 1);
    one.answer(&inactive());
    two.read_letters(&mut one);
    assert_eq!((one.fate(first).status(), two.fate(second).status()), (401, 401));
}

#[test]
fn a_server_that_never_catches_up_with_withdrawals_is_asked_only_so_often() {
    let (mut one, mut two, withdrawals) = two_workers(json!({"cache": {"stale_if_error": "10m"}}));
    let (first, second) = (one.receive(&Request::bearer("tok")), two.receive(&Request::bearer("tok")));
    two.give_turns();
    for call in 0..4 {
        one.give_turns();
        assert!(one.is_waiting(first), "{call}");
        withdrawals.withdraw(&[Subject::Everything], NOTHING, one.now);
        one.answer(&active()).pass(Duration::from_millis(5));
    }
    two.read_letters(&mut one);
    assert_eq!(one.fate(first).reason(), "introspection_overtaken_by_withdrawals");
    assert_eq!((one.fate(first).status(), two.fate(second).status()), (503, 503));
}

#[test]
fn streams_that_are_told_in_a_later_batch_hear_what_is_true_then() {
    let (mut one, _, withdrawals) = two_workers(json!({}));
    let streams: Vec<_> = (0..50).map(|_| one.receive(&Request::bearer("tok"))).collect();
    one.give_turns();
    let (id, _) = one.calls.remove(0);
    one.reply(id, 200, "application/json", active().to_string().as_bytes());
    let told = streams.iter().filter(|stream| !one.is_waiting(**stream)).count();
    assert_eq!(told, 32);
    withdrawals.withdraw(&[token("tok")], NOTHING, START);
    one.pass(Duration::from_millis(5)).give_turns();
    assert_eq!(streams.iter().filter(|stream| one.is_waiting(**stream)).count(), 18);
    one.answer(&inactive());
    assert!(streams[32..].iter().all(|stream| one.fate(*stream).status() == 401));
}

#[test]
fn a_stale_verdict_that_was_withdrawn_does_not_serve_on() {
    for withdraw_while_waiting in [false, true] {
        let (mut one, _, withdrawals) = two_workers(json!({
            "policies": {"default": {"cache_ttl": "60s"}}, "cache": {"stale_if_error": "5m"}
        }));
        one.call(&Request::bearer("tok"), &active());
        one.pass(Duration::from_secs(61));
        if !withdraw_while_waiting {
            withdrawals.withdraw(&[of(Which::Sub("alice".into()))], NOTHING, one.now);
        }
        let stream = one.receive(&Request::bearer("tok"));
        if withdraw_while_waiting {
            withdrawals.withdraw(&[of(Which::Sub("alice".into()))], NOTHING, one.now);
        }
        one.fail_call();
        assert_eq!(one.fate(stream).status(), 503);
        assert_eq!(one.count(Counter::CacheStale), 0);
    }
}

#[test]
fn until_the_server_has_done_what_it_announced_its_word_is_not_remembered() {
    let settle = Duration::from_secs(10);
    let (mut one, _, withdrawals) = two_workers(json!({}));
    one.call(&Request::bearer("tok"), &active());
    withdrawals.withdraw(&[of(Which::Sub("alice".into()))], settle, START);
    for after in [1, 4_000, 9_999] {
        one.now = START.plus(Duration::from_millis(after));
        let stream = one.receive(&Request::bearer("tok"));
        one.answer(&active());
        assert!(matches!(one.fate(stream), Fate::Forwarded(_)), "{after}");
    }
    one.call(&Request::bearer("other"), &verdict(json!({"sub": "bob"})));
    assert!(is_remembered(&mut one, "other"), "others are none of its business");
    one.now = START.plus(Duration::from_millis(10_001));
    one.call(&Request::bearer("tok"), &active());
    assert!(is_remembered(&mut one, "tok"), "by now the server means it");
}

#[test]
fn while_a_broad_withdrawal_settles_verdicts_are_remembered_for_a_second() {
    let (mut one, _, withdrawals) = two_workers(json!({}));
    withdrawals.withdraw(&[of(Which::All)], Duration::from_secs(10), START);
    one.pass(Duration::from_millis(1));
    one.call(&Request::bearer("tok"), &active());
    assert!(is_remembered(&mut one, "tok"));
    one.pass(Duration::from_secs(1));
    assert!(!is_remembered(&mut one, "tok"));
}

#[test]
fn a_clock_that_was_set_back_costs_calls_and_stops_nothing() {
    let (mut one, _, withdrawals) = two_workers(json!({}));
    withdrawals.withdraw(&[token("tok")], NOTHING, START.plus(Duration::from_secs(3600)));
    for _ in 0..3 {
        one.pass(Duration::from_millis(1));
        let stream = one.receive(&Request::bearer("tok"));
        one.answer(&active());
        assert!(matches!(one.fate(stream), Fate::Forwarded(_)));
    }
    one.call(&Request::bearer("other"), &active());
    assert!(is_remembered(&mut one, "other"));
}

#[test]
fn a_hundred_thousand_withdrawals_fit_into_bounded_memory_and_none_is_lost() {
    let map = Map::default();
    let withdrawals = Withdrawals::new(Rc::new(map.clone()));
    withdrawals.announce(Duration::from_secs(3600));
    withdrawals.create();
    let (mut one, mut two) =
        (Worker::sharing(config(json!({})), map.clone()), Worker::sharing(config(json!({})), map.clone()));
    one.call(&Request::bearer("tok"), &verdict(json!({"sub": "sub-99999"})));
    assert!(is_remembered(&mut two, "tok"));
    let before = map.size();
    for number in 0..100_000 {
        withdrawals.withdraw(&[of(Which::Sub(format!("sub-{number}")))], NOTHING, START);
    }
    assert!(map.size() - before < 1 << 20, "{} bytes", map.size() - before);
    assert!(!is_remembered(&mut two, "tok"));
}

#[test]
fn no_value_of_a_withdrawal_lies_in_shared_data() {
    let map = Map::default();
    let withdrawals = Withdrawals::new(Rc::new(map.clone()));
    withdrawals.create();
    let subjects = [of(Which::Sub("alice-the-user".into())), token("alice-the-token")];
    withdrawals.withdraw(&subjects, NOTHING, START);
    assert!(!map.contains(b"alice"));
    assert_eq!(format!("{subjects:?}"), "[Subject(Sub), Subject(Token)]");
}

#[test]
fn a_damaged_summary_withdraws_everything() {
    let (mut one, _, withdrawals) = two_workers(json!({}));
    one.call(&Request::bearer("tok"), &active());
    one.shared.set("withdrawals", b"\x07rubbish");
    one.shared.advance_epoch(1 << 24);
    assert!(!is_remembered(&mut one, "tok"));
    withdrawals.withdraw(&[token("x")], NOTHING, START);
    one.pass(Duration::from_millis(1));
    one.call(&Request::bearer("other"), &active());
    assert!(is_remembered(&mut one, "other"), "the next withdrawal writes it anew");
}
