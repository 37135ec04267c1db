use phantom_token_filter::cache::{ProviderTag, Subject, Which};
use phantom_token_filter::revocation::admin::{AdminRefused, Withdrawal};
use phantom_token_filter::token::AccessToken;
use serde_json::{Value, json};

fn read(body: Value) -> Result<Withdrawal, AdminRefused> {
    let providers = ["main", "partner"].map(|name| (name.to_owned(), ProviderTag::new(name)));
    Withdrawal::read(Some(body.to_string().as_bytes()), &providers)
}

fn of(provider: &str, which: Which) -> Subject {
    Subject::Of(ProviderTag::new(provider), which)
}

#[test]
fn what_is_named_is_withdrawn_and_said_in_the_answer() {
    let alice = || Which::Sub("alice".to_owned());
    for (body, subjects, answer) in [
        (
            json!({"sub": "alice"}),
            vec![of("main", alice()), of("partner", alice())],
            json!({"withdrawn_by": "sub", "providers": ["main", "partner"]}),
        ),
        (
            json!({"sub": "alice", "provider": "partner"}),
            vec![of("partner", alice())],
            json!({"withdrawn_by": "sub", "providers": ["partner"]}),
        ),
        (
            json!({"sid": "s", "provider": "main"}),
            vec![of("main", Which::Sid("s".to_owned()))],
            json!({"withdrawn_by": "sid", "providers": ["main"]}),
        ),
        (
            json!({"client_id": "c", "provider": "main"}),
            vec![of("main", Which::Client("c".to_owned()))],
            json!({"withdrawn_by": "client_id", "providers": ["main"]}),
        ),
        (
            json!({"token": "abc"}),
            vec![Subject::token(&AccessToken::parse(b"abc").unwrap())],
            json!({"withdrawn_by": "token", "providers": ["main", "partner"]}),
        ),
        (
            json!({"all": true}),
            vec![Subject::Everything],
            json!({"withdrawn_by": "all", "providers": ["main", "partner"]}),
        ),
        (
            json!({"all": true, "provider": "main"}),
            vec![of("main", Which::All)],
            json!({"withdrawn_by": "all", "providers": ["main"]}),
        ),
    ] {
        let found = read(body.clone()).unwrap_or_else(|reason| panic!("{body}: {reason}"));
        assert_eq!((found.subjects(), found.to_json()), (subjects.as_slice(), answer), "{body}");
    }
}

#[test]
fn whatever_else_it_may_be_is_refused() {
    for (body, reason) in [
        (json!({}), AdminRefused::NotOne),
        (json!({"provider": "main"}), AdminRefused::NotOne),
        (json!({"sub": "a", "sid": "b"}), AdminRefused::NotOne),
        (json!({"sub": "a", "all": true}), AdminRefused::NotOne),
        (json!({"sub": "a", "client": "b"}), AdminRefused::UnknownMember),
        (json!({"sub": 7}), AdminRefused::BadMember("sub")),
        (json!({"sub": ""}), AdminRefused::BadMember("sub")),
        (json!({"token": "a b"}), AdminRefused::BadMember("token")),
        (json!({"all": false}), AdminRefused::BadMember("all")),
        (json!({"all": "true"}), AdminRefused::BadMember("all")),
        (json!({"sub": "a", "provider": "other"}), AdminRefused::UnknownProvider),
        (json!({"sub": "a", "provider": ["main"]}), AdminRefused::BadMember("provider")),
    ] {
        assert_eq!(read(body.clone()).map(|_| ()), Err(reason), "{body}");
    }
    assert!(matches!(read(json!([])).map(|_| ()), Err(AdminRefused::NotJson(_))));
    assert_eq!(Withdrawal::read(None, &[]).map(|_| ()), Err(AdminRefused::BodyTooLong));
    let twice = br#"{"sub":"a","sub":"b"}"#;
    assert!(matches!(Withdrawal::read(Some(twice), &[]).map(|_| ()), Err(AdminRefused::NotJson(_))));
}
