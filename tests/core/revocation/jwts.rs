//! JWTs that nobody is asked about: what is withdrawn refuses those that were issued before, and no others.

use std::rc::Rc;
use std::time::Duration;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use p256::elliptic_curve::ops::Neg;
use phantom_token_filter::cache::{Name, ProviderTag, Subject, Which, Withdrawals};
use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::Counter;
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};

use super::{
    FORM, ISSUER, answer_call, body, event_token, is_remembered, log_out, logout_token, post, push, remember,
    two_workers,
};
use crate::support::issuer::sign;
use crate::support::withdrawing::order;
use crate::support::{Fate, Request, START, Worker, active, merge};

const SECOND: Duration = Duration::from_secs(1);

const HOUR: Duration = Duration::from_secs(3600);

/// Two workers that validate JWTs.
fn validating(patch: Value) -> (Worker, Worker) {
    let mut all = json!({"policies": {"default": {"strategy": "jwt"}}});
    merge(&mut all, patch);
    two_workers(all)
}

/// A JWT of Alice's, issued ten seconds before the start; what is `null` is not there.
fn jwt(patch: Value) -> String {
    let mut claims = json!({"iss": ISSUER, "sub": "alice", "client_id": "app", "aud": "https://api.example",
        "iat": START.as_secs() - 10, "exp": START.as_secs() + 600});
    merge(&mut claims, patch);
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims)
}

/// What becomes of a request with this token, in a word.
fn fate(worker: &mut Worker, token: &str) -> String {
    let stream = worker.receive(&Request::bearer(token));
    match worker.fate(stream) {
        Fate::Forwarded(_) => "passes".to_owned(),
        Fate::Answered(answer) => answer.details.to_owned(),
    }
}

/// Which of these are refused: all others pass.
fn refused<'t>(worker: &mut Worker, tokens: &[(&'t str, String)]) -> Vec<&'t str> {
    let is_refused = |token: &str, worker: &mut Worker| match fate(worker, token).as_str() {
        "passes" => false,
        "token_withdrawn" => true,
        other => panic!("{other}"),
    };
    tokens.iter().filter(|(_, token)| is_refused(token, worker)).map(|(name, _)| *name).collect()
}

fn ago(seconds: u64) -> u64 {
    START.as_secs() - seconds
}

#[test]
fn after_a_logout_the_jwts_of_the_session_are_refused_on_every_worker_and_no_others() {
    let (mut one, mut two) = validating(json!({}));
    let tokens = [
        ("of the session", jwt(json!({"sid": "s1"}))),
        ("of the session, issued after it ended", jwt(json!({"sid": "s1", "iat": START.as_secs() + 5}))),
        ("of another session", jwt(json!({"sid": "s2"}))),
        ("of whatever session", jwt(json!({}))),
        ("of whatever session, issued later", jwt(json!({"iat": START.as_secs() + 1}))),
        ("of another", jwt(json!({"sub": "bob"}))),
        ("of another issuer's session", jwt(json!({"sub": "bob", "sid": "s3"}))),
    ];
    for worker in [&mut one, &mut two] {
        // By validation, by the cache, by the first level.
        for _ in 0..4 {
            assert_eq!(refused(worker, &tokens), Vec::<&str>::new());
        }
        assert!(worker.served_again > 0);
    }
    let stream = log_out(&mut one, &logout_token(json!({}), json!({})));
    assert_eq!(one.fate(stream).status(), 200);
    let gone = ["of the session", "of the session, issued after it ended", "of whatever session"];
    for worker in [&mut two, &mut one] {
        for _ in 0..3 {
            assert_eq!(refused(worker, &tokens), gone);
        }
    }
    let stream = two.receive(&Request::bearer(&tokens[0].1));
    let Fate::Answered(answer) = two.fate(stream) else { panic!() };
    assert_eq!((answer.status, answer.details), (401, "token_withdrawn"));
    assert_eq!(body(&two.fate(stream))["error"], "invalid_token");
    assert!(two.count(Counter::DeniedInvalidToken) > 0);
}

#[test]
fn up_to_the_date_of_the_event_means_to_the_end_of_its_second_by_the_servers_clock() {
    let (mut one, _) = validating(json!({}));
    // A minute late, by a server whose clock is 20 s behind.
    one.pass(60 * SECOND);
    let logged_out = ago(20);
    let tokens = [
        ("long before", jwt(json!({"iat": ago(3000)}))),
        ("a second before", jwt(json!({"iat": logged_out - 1}))),
        ("in that second", jwt(json!({"iat": logged_out}))),
        ("in that second, with fractions", jwt(json!({"iat": logged_out as f64 + 0.9}))),
        ("a second after", jwt(json!({"iat": logged_out + 1}))),
        ("ahead of our clock", jwt(json!({"iat": START.as_secs() + 80}))),
        ("nobody knows when", jwt(json!({"iat": null}))),
    ];
    let token = logout_token(json!({}), json!({"iat": logged_out, "sid": "other"}));
    let stream = log_out(&mut one, &token);
    assert_eq!(one.fate(stream).status(), 200);
    let gone = [
        "long before",
        "a second before",
        "in that second",
        "in that second, with fractions",
        "nobody knows when",
    ];
    assert_eq!(refused(&mut one, &tokens), gone);
}

#[test]
fn of_a_security_event_counts_when_it_happened_where_that_can_be() {
    let event = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
    let tokens = [
        ("an hour", jwt(json!({"iat": ago(3600)}))),
        ("a minute", jwt(json!({"iat": ago(60)}))),
        ("now", jwt(json!({"iat": ago(0)}))),
        ("later", jwt(json!({"iat": START.as_secs() + 1}))),
    ];
    let half_an_hour = json!(ago(1800));
    let in_millis = json!(ago(1800) * 1000 + 7);
    for (jti, (timestamp, toe, gone)) in [
        (half_an_hour.clone(), json!(null), 1),
        (in_millis, json!(null), 1),
        (json!(ago(1800) as f64 + 0.5), json!(null), 1),
        (json!(null), half_an_hour.clone(), 1),
        (json!(ago(30)), half_an_hour, 2),
        (json!(null), json!(null), 3),
        // What cannot be is not believed.
        (json!(0), json!(null), 3),
        (json!(START.as_secs() + 1_000_000), json!(null), 3),
        (json!("yesterday"), json!(-1), 3),
        (json!(1e300), json!(null), 3),
    ]
    .into_iter()
    .enumerate()
    {
        let (mut one, mut two) = validating(json!({}));
        let event =
            json!({"jti": jti.to_string(), "toe": toe, "events": {event: {"event_timestamp": timestamp}}});
        assert_eq!(push(&mut one, &event_token(event)).status(), 202);
        assert_eq!(refused(&mut two, &tokens).len(), gone, "{timestamp} {toe}");
    }
}

#[test]
fn what_a_signal_withdraws_for_want_of_something_better_refuses_no_jwt() {
    let tokens = [
        ("alice", jwt(json!({"email": "alice@example.org", "jti": "1", "sid": "s1"}))),
        ("says little", jwt(json!({"sub": "bob"}))),
        ("bob", jwt(json!({"sub": "bob", "email": "bob@example.org", "jti": "2", "sid": "s2"}))),
    ];
    let subject = |sub_id: Value| event_token(json!({"sub_id": sub_id}));
    for (event, gone) in [
        (subject(json!({"format": "email", "email": "Alice@Example.org"})), &["alice"][..]),
        (subject(json!({"format": "jwt_id", "iss": ISSUER, "jti": "2"})), &["bob"]),
        (subject(json!({"format": "opaque", "id": "s2"})), &["bob"]),
        (subject(json!({"format": "opaque", "id": "alice"})), &["alice"]),
        (subject(json!({"format": "phone_number", "phone_number": "+1"})), &[]),
        (subject(json!({"format": "iss_sub", "iss": "https://other.example", "sub": "alice"})), &[]),
    ] {
        let (mut one, mut two) = validating(json!({}));
        assert_eq!(refused(&mut one, &tokens), Vec::<&str>::new());
        assert_eq!(push(&mut one, &event).status(), 202);
        assert_eq!(refused(&mut two, &tokens), gone);
    }
    // A session, and nothing of whose it was.
    let (mut one, mut two) = validating(json!({}));
    let token = json!({"iss": ISSUER, "aud": "web", "iat": START.as_secs(), "exp": START.as_secs() + 120, "jti": "1",
        "sid": "s1", "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    log_out(&mut one, &sign(Algorithm::ES256, json!({"typ": "logout+jwt"}), &token));
    assert_eq!(refused(&mut two, &tokens), ["alice"]);
}

#[test]
fn sessions_that_jwts_name_are_known_ones_and_no_reason_to_ask_about_others() {
    let refusing = json!({"revocation": {"back_channel_logout": {"unknown_sessions": "refuse"}},
        "policies": {"default": {"strategy": "auto"}}});
    let (mut one, mut two) = validating(refusing);
    remember(&mut one, "opaque", json!({}));
    let log_out = |worker: &mut Worker, jti: &str| {
        let token = json!({"iss": ISSUER, "aud": "web", "iat": START.as_secs(), "exp": START.as_secs() + 120,
            "jti": jti, "sid": "s1", "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
        let stream = log_out(worker, &sign(Algorithm::ES256, json!({"typ": "logout+jwt"}), &token));
        worker.fate(stream).status()
    };
    assert_eq!(log_out(&mut one, "1"), 400);
    let token = jwt(json!({"sid": "s1"}));
    assert_eq!(fate(&mut two, &token), "passes");
    assert_eq!(log_out(&mut one, "2"), 200);
    assert_eq!(fate(&mut two, &token), "token_withdrawn");
    assert!(is_remembered(&mut one, "opaque"));
}

#[test]
fn an_order_refuses_what_it_names_and_was_issued_before_it() {
    let tokens = [
        ("alice", jwt(json!({"sid": "s1"}))),
        ("alice, later", jwt(json!({"sid": "s2", "iat": START.as_secs() + 1}))),
        ("bob", jwt(json!({"sub": "bob", "client_id": "web"}))),
        ("a machine", jwt(json!({"sub": "job", "client_id": "job"}))),
        ("a machine, later", jwt(json!({"sub": "job", "client_id": "job", "iat": START.as_secs() + 1}))),
    ];
    for (what, gone) in [
        (json!({"sub": "alice"}), &["alice"][..]),
        (json!({"sid": "s2"}), &["alice, later"]),
        (json!({"client_id": "job"}), &["a machine"]),
        (json!({"token": tokens[1].1}), &["alice, later"]),
        (json!({"all": true}), &["alice", "bob", "a machine"]),
        (json!({"all": true, "provider": "main"}), &["alice", "bob", "a machine"]),
    ] {
        let (mut one, mut two) = validating(json!({}));
        assert_eq!(refused(&mut two, &tokens), Vec::<&str>::new());
        order(&mut one, &what);
        assert_eq!(refused(&mut two, &tokens), gone, "{what}");
    }
}

#[test]
fn where_withdrawn_jwts_are_ignored_they_stay_good_and_their_verdicts_are_no_others() {
    let ignoring = json!({"revocation": {"jwts": "ignore"}});
    let (mut one, _) = validating(ignoring);
    let token = jwt(json!({}));
    order(&mut one, &json!({"sub": "alice"}));
    assert_eq!(fate(&mut one, &token), "passes");
    // A filter that refuses was not told of it; of the next one it is.
    let mut refusing = super::settings(json!({"policies": {"default": {"strategy": "jwt"}}}));
    let mut two = Worker::sharing(refusing.take(), one.shared.clone());
    two.start();
    answer_call(&mut two, "/jwks", 200, &super::jwks());
    assert_eq!(fate(&mut two, &token), "passes");
    order(&mut two, &json!({"sub": "alice"}));
    for _ in 0..3 {
        assert_eq!(
            (fate(&mut one, &token), fate(&mut two, &token)),
            ("passes".into(), "token_withdrawn".into())
        );
    }
}

#[test]
fn what_the_server_is_asked_about_is_for_the_server_to_say() {
    let (mut one, _) = validating(json!({"policies": {"default": {"strategy": "jwt_and_introspection"}}}));
    let token = jwt(json!({"sid": "s1"}));
    remember(&mut one, &token, json!({}));
    log_out(&mut one, &logout_token(json!({}), json!({})));
    one.pass(SECOND);
    // It outlives the logout: the server says so.
    remember(&mut one, &token, json!({}));
    assert!(is_remembered(&mut one, &token));
}

#[test]
fn a_client_that_revokes_takes_the_jwts_of_nobody_else() {
    let public = |body: &str| (post("/token/revocation", FORM).routed_to("as"), body.to_owned());
    let authenticated = |body: &str| {
        let (request, body) = public(body);
        (request.with("authorization", format!("Basic {}", Base64::encode_string(b"app:guess"))), body)
    };
    let (alices, mallorys) = (jwt(json!({})), jwt(json!({"sub": "mallory", "jti": "m"})));
    let others = alices.replace(alices.rsplit('.').next().unwrap(), mallorys.rsplit('.').next().unwrap());
    for (request, body) in [
        public("client_id=app&token=rubbish"),
        public(&format!("client_id=app&token={others}")),
        public("client_id=app"),
        authenticated("token=a-refresh-token"),
        authenticated(""),
        authenticated(&format!("token={mallorys}")),
    ] {
        let (mut one, mut two) = validating(json!({}));
        assert_eq!(fate(&mut one, &alices), "passes");
        let stream = one.post(&request, body.as_bytes());
        one.answered(stream, 200);
        one.pass(11 * SECOND).give_tick();
        two.now = one.now;
        assert_eq!(fate(&mut two, &alices), "passes", "{body}");
    }
}

#[test]
fn who_only_sends_what_looks_like_a_jwt_has_none_refused_by_revoking_it() {
    let introspected = json!({
        "policies": {"default": {"strategy": "jwt"}, "asked": {"strategy": "introspection"}},
        "rules": [{"match": {"path": "/asked"}, "policy": "asked"}],
    });
    let (mut one, mut two) = validating(introspected);
    let alices = jwt(json!({}));
    // Without her signature, as logs may have it; the server is about to be asked.
    let (input, _) = alices.rsplit_once('.').unwrap();
    let made_up = format!("{input}.bWFkZSB1cA");
    let asked = Request::get("/asked").with("authorization", format!("Bearer {made_up}"));
    let stream = one.receive(&asked);
    one.give_turns();
    assert!(one.is_waiting(stream) && !one.calls.is_empty());
    let revocation = post("/token/revocation", FORM).routed_to("as");
    let revoking = one.post(&revocation, format!("client_id=app&token={made_up}").as_bytes());
    one.answered(revoking, 200);
    two.now = one.now;
    for worker in [&mut one, &mut two] {
        assert_eq!(fate(worker, &alices), "passes");
    }
}

#[test]
fn an_event_that_names_very_many_asks_about_all_and_refuses_no_jwt() {
    let alices = jwt(json!({}));
    let of = |sub: String| json!({"format": "iss_sub", "iss": ISSUER, "sub": sub});
    for (groups, expected) in [(2, "token_withdrawn"), (8, "passes")] {
        let (mut one, mut two) = validating(json!({}));
        let group = |number: usize| {
            let others = (1..16).map(|it| of(format!("{number}-{it}")));
            json!({"format": "aliases", "identifiers": others.chain([of("alice".to_owned())]).collect::<Vec<_>>()})
        };
        let groups: Vec<Value> = (0..groups).map(group).collect();
        let event = event_token(json!({"sub_id": {"format": "aliases", "identifiers": groups}}));
        assert_eq!(push(&mut one, &event).status(), 202);
        assert_eq!(fate(&mut two, &alices), expected);
    }
}

/// The same JWT with the other signature that holds as well.
fn with_the_other_signature(token: &str) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&signature).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r, s.neg()).unwrap();
    format!("{input}.{}", Base64UrlUnpadded::encode_string(&other.to_bytes()))
}

#[test]
fn a_jwt_that_its_client_revokes_is_refused_in_all_its_spellings_though_nobody_has_sent_it_yet() {
    let (mut one, mut two) = validating(json!({}));
    let (token, other) = (jwt(json!({"jti": "1"})), jwt(json!({"jti": "2"})));
    let spelled = with_the_other_signature(&token);
    assert_ne!(spelled, token);
    let revoke = |worker: &mut Worker| {
        let stream = worker.post(
            &post("/token/revocation", FORM).routed_to("as"),
            format!("client_id=app&token={token}").as_bytes(),
        );
        worker.answered(stream, 200);
    };
    revoke(&mut one);
    assert_eq!(
        [&token, &spelled, &other].map(|it| fate(&mut two, it)),
        ["token_withdrawn", "token_withdrawn", "passes"]
    );
    // Again, and again: it is done, and costs nobody a look.
    let received = one.count(Counter::RevocationReceived);
    (0..10).for_each(|_| revoke(&mut one));
    assert_eq!(one.count(Counter::RevocationReceived), received);
}

#[test]
fn settle_holds_no_jwt_back() {
    let (mut one, mut two) = validating(json!({"revocation": {"settle": "10s"}}));
    log_out(&mut one, &logout_token(json!({}), json!({})));
    let token = jwt(json!({"sid": "s2", "iat": START.as_secs() + 1}));
    two.pass(SECOND);
    assert_eq!([(); 3].map(|()| fate(&mut two, &token)), ["passes"; 3]);
    assert_eq!((two.count(Counter::CacheMiss), two.count(Counter::CacheHit)), (1, 2));
    // One of the session that the server has yet to end.
    assert_eq!(fate(&mut two, &jwt(json!({"sid": "s1", "iat": START.as_secs() + 1}))), "token_withdrawn");
}

#[test]
fn a_jwt_of_offline_access_outlives_its_session_if_it_was_issued_after_the_server_has_settled() {
    let scopes = [json!("openid offline_access"), json!(["offline_access", "read"])];
    let (mut one, mut two) = validating(json!({"revocation": {"settle": "10s"}}));
    log_out(&mut one, &logout_token(json!({}), json!({})));
    one.pass(12 * SECOND);
    two.now = one.now;
    for scope in scopes {
        let issued = |later: u64| jwt(json!({"sid": "s1", "scope": scope, "iat": START.as_secs() + later}));
        let tokens = [
            ("before", jwt(json!({"sid": "s1", "scope": scope}))),
            ("while the server may yet end it", issued(10)),
            ("later", issued(11)),
            (
                "later, of no offline access",
                jwt(json!({"sid": "s1", "scope": "offline", "iat": START.as_secs() + 11})),
            ),
        ];
        let gone = ["before", "while the server may yet end it", "later, of no offline access"];
        for worker in [&mut one, &mut two] {
            assert_eq!(refused(worker, &tokens), gone);
        }
    }
    // What names one JWT is about that one.
    let token = jwt(json!({"sid": "s1", "scope": "offline_access", "jti": "1", "iat": START.as_secs() + 12}));
    assert_eq!(fate(&mut two, &token), "passes");
    order(&mut one, &json!({"token": token}));
    assert_eq!(fate(&mut two, &token), "token_withdrawn");
}

#[test]
fn what_was_withdrawn_is_refused_for_as_long_as_it_would_be_good() {
    for (life, longest) in
        [(600, 600), (5 * 3600, 5 * 3600), (6 * 24 * 3600, 6 * 24 * 3600), (30 * 24 * 3600, 7 * 24 * 3600)]
    {
        let (mut one, _) = validating(json!({}));
        let token = jwt(json!({"iat": ago(0), "exp": START.as_secs() + life}));
        order(&mut one, &json!({"sub": "alice"}));
        for part in [0.0, 0.5, 0.999] {
            one.now = START.plus(Duration::from_secs(longest).mul_f64(part));
            assert_eq!(fate(&mut one, &token), "token_withdrawn", "{life} {part}");
        }
    }
    // As long as any may be good, nobody's is that says not when it was issued.
    let (mut one, _) = validating(json!({}));
    let token = jwt(json!({"iat": null, "exp": START.as_secs() + 30 * 24 * 3600}));
    order(&mut one, &json!({"sub": "alice"}));
    one.pass(23 * HOUR);
    assert_eq!(fate(&mut one, &token), "token_withdrawn");
}

#[test]
fn more_than_memory_can_tell_apart_refuse_too_much_that_is_old_and_nothing_that_is_new() {
    let (mut one, mut two) = validating(json!({}));
    let empty = one.shared.size();
    let of = |number: u32, iat: u64| jwt(json!({"sub": format!("user-{number}"), "iat": iat}));
    for number in 0..60_000 {
        one.pass(Duration::from_millis(1));
        order(&mut one, &json!({"sub": format!("user-{number}")}));
    }
    two.now = one.now;
    assert!(one.shared.size() - empty < 3 << 20, "{}", one.shared.size() - empty);
    let mut judge = |token: String| fate(&mut two, &token);
    for number in [0, 1, 2, 30_000, 59_999] {
        assert_eq!(judge(of(number, ago(1))), "token_withdrawn", "{number}");
        assert_eq!(judge(of(number, START.as_secs() + 61)), "passes", "{number}");
    }
    // Of whom nothing was said: those with elder ones get new ones.
    for number in 70_000..70_100 {
        assert_eq!(judge(of(number, START.as_secs() + 50)), "passes", "{number}");
    }
}

#[test]
fn a_clock_that_is_set_back_takes_no_refusal_away() {
    let (mut one, mut two) = validating(json!({}));
    let token = jwt(json!({"sid": "s1"}));
    log_out(&mut one, &logout_token(json!({}), json!({})));
    for worker in [&mut one, &mut two] {
        worker.now = START.minus(HOUR / 2);
        worker.give_tick();
        assert_eq!(fate(worker, &jwt(json!({"sid": "s1", "iat": ago(3600)}))), "token_withdrawn");
        assert_eq!(fate(worker, &jwt(json!({"sid": "s2", "iat": ago(3600)}))), "passes");
    }
    _ = token;
}

#[test]
fn a_date_far_ahead_is_believed_for_five_minutes() {
    let (mut one, _) = validating(json!({}));
    let name = Name::of(&Subject::Of(ProviderTag::new(ISSUER), Which::Sub("alice".to_owned())));
    let withdrawals = Withdrawals::new(Rc::new(one.shared.clone()));
    withdrawals.withdraw_names([(name, Some(UnixMillis::MAX))], Duration::ZERO, START);
    one.pass(10 * 60 * SECOND);
    for (iat, wanted) in [(0, "token_withdrawn"), (300, "token_withdrawn"), (301, "passes")] {
        let token = jwt(json!({"iat": START.as_secs() + iat, "exp": START.as_secs() + 3600}));
        assert_eq!(fate(&mut one, &token), wanted, "{iat}");
    }
}

#[test]
fn no_opaque_token_is_refused_unasked() {
    let (mut one, _) = two_workers(json!({"policies": {"default": {"strategy": "auto"}}}));
    order(&mut one, &json!({"sub": "alice"}));
    one.pass(SECOND);
    let stream = one.receive(&Request::bearer("opaque"));
    one.give_turns();
    answer_call(&mut one, "/introspect", 200, &active());
    assert!(matches!(one.fate(stream), Fate::Forwarded(_)));
}
