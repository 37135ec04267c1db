use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use phantom_token_filter::cache::Subject;
use phantom_token_filter::revocation::revocation_endpoint::{
    Known, RevocationRequest, Revoked, RevokedClients,
};
use phantom_token_filter::token::AccessToken;

const FORM: &[u8] = b"application/x-www-form-urlencoded";

fn authenticated(clients: &[&str]) -> RevokedClients {
    RevokedClients::Authenticated(clients.iter().map(|client| (*client).to_owned()).collect())
}

fn named(clients: &[&str]) -> RevokedClients {
    RevokedClients::Named(clients.iter().map(|client| (*client).to_owned()).collect())
}

fn known() -> Vec<Subject> {
    vec![Subject::token(&AccessToken::parse(b"known").unwrap())]
}

/// What a request withdraws where only the token `known` is.
fn withdraws(authorization: Option<&str>, body: &str) -> Revoked {
    read(FORM, authorization, Some(body.as_bytes()))
}

fn read(content_type: &[u8], authorization: Option<&str>, body: Option<&[u8]>) -> Revoked {
    RevocationRequest::read(content_type, authorization.map(str::as_bytes), body)
        .withdraws(|token| if token.secret() == "known" { Known::Asked } else { Known::No })
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", Base64::encode_string(credentials.as_bytes()))
}

fn assertion(claims: &str) -> String {
    format!("e30.{}.sig", Base64UrlUnpadded::encode_string(claims.as_bytes()))
}

#[test]
fn a_known_token_goes_alone() {
    let authorization = basic("web:secret");
    let found = withdraws(Some(&authorization), "token=known&token_type_hint=access_token");
    assert_eq!(found, Revoked { tokens: known(), jwts: vec![], clients: RevokedClients::None });
}

#[test]
fn an_unknown_token_may_be_a_refresh_token_and_takes_its_clients_verdicts() {
    let ours = assertion(r#"{"iss":"web","sub":"web","aud":"as"}"#);
    for (authorization, body) in [
        (Some(basic("web:secret")), "token=other".to_owned()),
        (Some(basic("web:secret").replacen("Basic", "bASIC", 1)), "token=other".to_owned()),
        (None, "token=other&client_id=web&client_secret=s".to_owned()),
        (None, format!("token=other&client_assertion={ours}")),
        // A refresh token need not look like an access token.
        (Some(basic("web:secret")), "token=a+b%25".to_owned()),
        (Some(basic("web:secret")), String::new()),
        // The server goes by what it can check.
        (Some(basic("web:secret")), "token=other&client_id=somebody-else".to_owned()),
    ] {
        let found = withdraws(authorization.as_deref(), &body);
        // An unknown token leaves no watermark: made-up ones would push others out.
        assert_eq!(
            found,
            Revoked { tokens: vec![], jwts: vec![], clients: authenticated(&["web"]) },
            "{body}"
        );
    }
    let found = withdraws(Some(&basic("web:s")), "token=known&token=a+b");
    assert_eq!(found, Revoked { tokens: known(), jwts: vec![], clients: authenticated(&["web"]) });
}

#[test]
fn a_client_that_shows_no_secret_is_one_that_anybody_may_have_named() {
    for (authorization, body) in [
        (None, "token=other&client_id=web".to_owned()),
        (None, "token=other&client_id=web&client_secret=".to_owned()),
        (Some(basic("web:")), "token=other&client_id=web".to_owned()),
        (Some("Bearer x".to_owned()), "token=other&client_id=web".to_owned()),
        // Of several ways, nobody knows which one the server has looked at.
        (Some(basic("web:s")), format!("token=other&client_assertion={}", assertion(r#"{"sub":"web"}"#))),
    ] {
        assert_eq!(withdraws(authorization.as_deref(), &body).clients, named(&["web"]), "{body}");
    }
}

#[test]
fn a_client_is_found_however_its_server_decodes_it() {
    assert_eq!(
        withdraws(Some(&basic("https%3A%2F%2Fweb.example:s")), "token=other").clients,
        authenticated(&["https://web.example", "https%3A%2F%2Fweb.example"])
    );
}

#[test]
fn what_cannot_be_read_takes_what_its_client_has_and_nobody_elses() {
    for (content_type, body) in [
        (FORM, None),
        (&b"application/json"[..], Some(&br#"{"token":"known"}"#[..])),
        (&b""[..], Some(&b"token=known"[..])),
    ] {
        let found = read(content_type, Some(&basic("web:s")), body);
        assert_eq!(found, Revoked { tokens: vec![], jwts: vec![], clients: authenticated(&["web"]) });
        assert_eq!(read(content_type, None, body).clients, RevokedClients::None);
    }
    let many: String = (0..100).map(|number| format!("token=t{number}&client_id=c{number}&")).collect();
    let RevokedClients::Named(clients) = withdraws(None, &many).clients else { panic!() };
    assert_eq!(clients.len(), 8, "whatever is sent");
    for authorization in [None, Some("Basic \u{e9}"), Some("Basic"), Some("")] {
        assert_eq!(withdraws(authorization, "token=other").clients, RevokedClients::None, "nobody is named");
        let rubbish = withdraws(authorization, "token=known&client_assertion=rubbish");
        assert_eq!(rubbish, Revoked { tokens: known(), jwts: vec![], clients: RevokedClients::None });
    }
}
