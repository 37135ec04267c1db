use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use phantom_token_filter::cache::{ProviderTag, Subject, Which};
use phantom_token_filter::revocation::revocation_endpoint::RevocationRequest;
use phantom_token_filter::token::AccessToken;

const FORM: &[u8] = b"application/x-www-form-urlencoded";

fn main_provider() -> ProviderTag {
    ProviderTag::new("main")
}

fn client(client: &str) -> Subject {
    Subject::Of(main_provider(), Which::Client(client.to_owned()))
}

fn token(token: &str) -> Subject {
    Subject::token(&AccessToken::parse(token.as_bytes()).unwrap())
}

fn all() -> Vec<Subject> {
    vec![Subject::Of(main_provider(), Which::All)]
}

/// What a request withdraws where only the token `known` is.
fn withdraws(authorization: Option<&str>, body: &str) -> Vec<Subject> {
    RevocationRequest::read(FORM, authorization.map(str::as_bytes), Some(body.as_bytes()))
        .withdraws(main_provider(), |token| token.secret() == "known")
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", Base64::encode_string(credentials.as_bytes()))
}

#[test]
fn a_known_token_goes_alone() {
    let authorization = basic("web:secret");
    let found = withdraws(Some(&authorization), "token=known&token_type_hint=access_token");
    assert_eq!(found, [token("known")]);
}

#[test]
fn an_unknown_token_may_be_a_refresh_token_and_takes_its_clients_verdicts() {
    let assertion = |claims: &str| format!("e30.{}.sig", Base64UrlUnpadded::encode_string(claims.as_bytes()));
    let ours = assertion(r#"{"iss":"web","sub":"web","aud":"as"}"#);
    for (authorization, body) in [
        (Some(basic("web:secret")), "token=other".to_owned()),
        (Some(basic("web:secret").replacen("Basic", "bASIC", 1)), "token=other".to_owned()),
        (None, "token=other&client_id=web&client_secret=s".to_owned()),
        (None, format!("token=other&client_assertion={ours}")),
        (Some(basic("web:secret")), "token=other&client_id=web".to_owned()),
    ] {
        assert_eq!(withdraws(authorization.as_deref(), &body), [token("other"), client("web")], "{body}");
    }
    // A refresh token need not look like an access token.
    assert_eq!(withdraws(None, "token=a+b%25&client_id=web"), [client("web")]);
    assert_eq!(withdraws(None, "client_id=web"), [client("web")]);
    // Of two, nobody knows which the server means.
    assert_eq!(withdraws(None, "token=known&token=a+b&client_id=web"), [token("known"), client("web")]);
}

#[test]
fn a_client_is_found_however_its_server_decodes_it() {
    assert_eq!(
        withdraws(Some(&basic("https%3A%2F%2Fweb.example:s")), "token=other"),
        [token("other"), client("https://web.example"), client("https%3A%2F%2Fweb.example")]
    );
}

#[test]
fn what_cannot_be_read_takes_all_of_the_provider() {
    for (content_type, body) in [
        (FORM, None),
        (&b"application/json"[..], Some(&br#"{"token":"known"}"#[..])),
        (&b""[..], Some(&b"token=known"[..])),
    ] {
        let request = RevocationRequest::read(content_type, Some(basic("web:s").as_bytes()), body);
        assert_eq!(request.withdraws(main_provider(), |_| true), all());
    }
    assert_eq!(withdraws(None, "token=known&client_assertion=rubbish"), all());
    let many: String = (0..100).map(|number| format!("token=t{number}&")).collect();
    assert_eq!(withdraws(Some(&basic("web:s")), &many), all());
    assert_eq!(
        withdraws(None, "token=other"),
        [&[token("other")][..], &all()].concat(),
        "nobody knows whose"
    );
    assert_eq!(withdraws(Some("Basic \u{e9}"), "token=other"), [&[token("other")][..], &all()].concat());
}
