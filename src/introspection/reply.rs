//! What a reply of the introspection endpoint says (RFC 7662 §2.2).
//!
//! Lenient where servers differ, strict where safety lies. Whatever is not a verdict is a failure of the
//! *server*: never "inactive", which would make clients throw good tokens away.

use super::failure::ServerFailure;
use super::signed::{self, Keys, Response, SignedReplyKind};
use super::verdict::{Introspection, verdict};
use crate::claims::ClaimNames;
use crate::http::{Reply, is_media_type};
use crate::json;
use crate::token::UnixMillis;

/// Reads a reply that should have this form. `keys` verify a signed one.
///
/// # Errors
///
/// [`ServerFailure`] for everything that is not a verdict; [`ServerFailure::UnknownKey`] if newer keys may help.
pub fn parse(
    reply: &Reply<'_>,
    response: &Response,
    names: &ClaimNames,
    keys: Keys<'_>,
    now: UnixMillis,
) -> Result<Introspection, ServerFailure> {
    let gives_phantom_token = response.signed().is_some_and(|it| it.kind == SignedReplyKind::PhantomToken);
    match reply.status {
        // A framework's answer to a POST by default: the body says what counts.
        200 | 201 => {}
        // 502: the server reset the stream, or answered what is no HTTP.
        502 | 503 if reply.from_envoy => return Err(ServerFailure::Unreachable),
        504 if reply.from_envoy => return Err(ServerFailure::Timeout),
        // Where the reply is the JWT itself, an inactive token has none: 204 (Curity) or an empty 400 (glewlwyd).
        204 if gives_phantom_token => return Ok(Introspection::Inactive),
        400 if gives_phantom_token && reply.body.is_some_and(<[u8]>::is_empty) => {
            return Ok(Introspection::Inactive);
        }
        status @ (401 | 403) => return Err(ServerFailure::CredentialsRefused { status }),
        status => return Err(ServerFailure::OtherStatus { status }),
    }
    match response {
        Response::Json { jwt_member } => {
            let body = reply.text()?;
            if !is_media_type(reply.content_type, "application/json") {
                return Err(ServerFailure::OtherContentType);
            }
            let mut members = json::object(body).map_err(ServerFailure::NotJson)?;
            match jwt_member {
                None => verdict(members, names, now),
                Some(name) => {
                    let jwt = members.remove(name);
                    signed::from_member(verdict(members, names, now)?, jwt)
                }
            }
        }
        Response::Signed(signed) => signed.read(reply, names, keys, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::NotAnObject;
    use crate::jwt::NoSignatures;

    const NOW: UnixMillis = UnixMillis::from_secs(1_795_377_700);

    fn parse(reply: &Reply<'_>, now: UnixMillis) -> Result<Introspection, ServerFailure> {
        super::parse(
            reply,
            &Response::Json { jwt_member: None },
            &ClaimNames::default(),
            Keys { set: None, signatures: &NoSignatures },
            now,
        )
    }

    fn reply(status: u16, content_type: &str, body: &str) -> Result<Introspection, ServerFailure> {
        let reply = Reply {
            status,
            content_type: content_type.as_bytes(),
            content_encoding: b"",
            from_envoy: false,
            body: Some(body.as_bytes()),
            ..Reply::default()
        };
        parse(&reply, NOW)
    }

    #[test]
    fn active_must_be_the_boolean() {
        assert!(matches!(
            reply(200, "application/json", r#"{"active":true}"#),
            Ok(Introspection::Active { .. })
        ));
        assert_eq!(
            reply(200, "application/json", r#"{"active":false,"exp":"soon"}"#),
            Ok(Introspection::Inactive)
        );
        for body in
            [r#"{"active":"true"}"#, r#"{"active":1}"#, r#"{"active":null}"#, "{}", r#"{"Active":true}"#]
        {
            assert_eq!(reply(200, "application/json", body), Err(ServerFailure::NoActive), "{body}");
        }
        assert_eq!(
            reply(200, "application/json", r#"{"active":false,"active":true}"#),
            Err(ServerFailure::NotJson(NotAnObject::DuplicateMember))
        );
    }

    #[test]
    fn an_exp_in_the_past_is_not_active() {
        assert_eq!(
            reply(200, "application/json", r#"{"active":true,"exp":1795377700}"#),
            Ok(Introspection::Expired { exp: NOW })
        );
        assert_eq!(
            reply(200, "application/json", r#"{"active":true,"exp":-1}"#),
            Ok(Introspection::Expired { exp: UnixMillis::from_millis(0) })
        );
        assert!(matches!(
            reply(200, "application/json", r#"{"active":true,"exp":1795377701}"#),
            Ok(Introspection::Active { .. })
        ));
    }

    #[test]
    fn the_content_type_is_compared_without_case_and_parameters() {
        assert!(reply(200, "Application/JSON ; charset=utf-8", r#"{"active":false}"#).is_ok());
        for other in ["text/html", "", "application/jwt", "application/jsonp", "text/plain; application/json"]
        {
            assert_eq!(
                reply(200, other, r#"{"active":false}"#),
                Err(ServerFailure::OtherContentType),
                "{other}"
            );
        }
    }

    #[test]
    fn any_other_status_is_the_servers_failure() {
        for (status, transient) in
            [(204, false), (302, false), (400, false), (404, false), (429, true), (500, true), (503, true)]
        {
            let failure = reply(status, "application/json", r#"{"active":false}"#).unwrap_err();
            assert_eq!(failure, ServerFailure::OtherStatus { status });
            assert_eq!(failure.is_transient(), transient, "{status}");
        }
        let refused = reply(401, "application/json", r#"{"error":"invalid_client"}"#).unwrap_err();
        assert_eq!(refused, ServerFailure::CredentialsRefused { status: 401 });
        assert!(!refused.is_transient());
    }

    #[test]
    fn what_envoy_answers_itself_is_told_from_what_the_server_answers() {
        let from_envoy = |status| {
            parse(
                &Reply {
                    status,
                    content_type: b"text/plain",
                    from_envoy: true,
                    body: Some(b""),
                    ..Reply::default()
                },
                NOW,
            )
        };
        assert_eq!(from_envoy(502), Err(ServerFailure::Unreachable));
        assert_eq!(from_envoy(503), Err(ServerFailure::Unreachable));
        assert_eq!(from_envoy(504), Err(ServerFailure::Timeout));
    }

    #[test]
    fn a_body_that_is_too_long_is_not_read() {
        let reply = Reply {
            status: 200,
            content_type: b"application/json",
            from_envoy: false,
            body: None,
            ..Reply::default()
        };
        assert_eq!(parse(&reply, NOW), Err(ServerFailure::BodyTooLong));
    }
}
