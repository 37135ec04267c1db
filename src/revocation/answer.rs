//! What senders of signals are answered.

use serde_json::json;

use super::admin::{AdminRefused, Withdrawal};
use super::back_channel_logout::LogoutRefused;
use super::global_token_revocation::OrderRefused;
use super::security_event::{SetError, SetRefused};
use super::sources::Receiver;
use crate::challenge::Answer;

/// A logout was applied (OpenID Connect Back-Channel Logout 1.0 §2.8).
pub fn logout_received() -> Answer {
    answer(200, String::new(), "logout_received")
}

/// A security event token was applied, now or before (RFC 8935 §2.2).
pub fn event_received() -> Answer {
    answer(202, String::new(), "security_event_received")
}

/// All tokens of a user are withdrawn (Global Token Revocation §3.4.1).
pub fn order_done() -> Answer {
    answer(204, String::new(), "order_done")
}

/// An order to withdraw all tokens of a user is refused (§3.4.2).
pub fn order_refused(reason: OrderRefused) -> Answer {
    let body = json!({ "error": reason.code(), "error_description": reason.to_string() });
    let mut answer = answer(reason.status(), body.to_string(), "order_refused");
    if reason.status() == 401 {
        answer.headers.push(("www-authenticate", "Bearer".to_owned()));
    }
    answer
}

/// The operator's order was carried out.
pub fn withdrawn(withdrawal: &Withdrawal) -> Answer {
    answer(200, withdrawal.to_json().to_string(), "withdrawn")
}

/// A logout token is refused (§2.8).
pub fn logout_refused(reason: LogoutRefused) -> Answer {
    bad_request(&reason.to_string(), "logout_refused")
}

/// What came is no logout token at all, or not one of the provider's.
pub fn logout_not_verified(reason: &str) -> Answer {
    bad_request(reason, "logout_not_verified")
}

/// A security event token is refused (RFC 8935 §2.3).
pub fn event_refused(reason: SetRefused) -> Answer {
    let mut answer = answer(400, reason.to_json().to_string(), "security_event_refused");
    answer.headers.push(("content-language", "en".to_owned()));
    answer
}

/// The operator's order is refused.
pub fn admin_refused(reason: AdminRefused) -> Answer {
    bad_request(&reason.to_string(), "withdrawal_refused")
}

/// The sender did not show that it is the one.
pub fn not_authenticated(receiver: Receiver) -> Answer {
    let body = match receiver {
        Receiver::Push(_) => {
            SetError::AuthenticationFailed.because("the authorization header is not the agreed one").to_json()
        }
        Receiver::Admin | Receiver::Endpoint | Receiver::Logout(_) | Receiver::Order => {
            json!({ "error": "unauthorized" })
        }
    };
    let mut answer = answer(401, body.to_string(), "signal_not_authenticated");
    answer.headers.push(("www-authenticate", "Bearer".to_owned()));
    answer
}

/// Whoever is there has presented wrong secrets so often that another one is not looked at for a while.
pub fn too_many_guesses() -> Answer {
    let mut answer =
        answer(429, json!({ "error": "too_many_requests" }).to_string(), "signal_guessed_too_often");
    answer.headers.push(("retry-after", "1".to_owned()));
    answer
}

/// Signals are posted.
pub fn method_not_allowed() -> Answer {
    let mut answer = answer(405, String::new(), "signal_method_not_allowed");
    answer.headers.push(("allow", "POST".to_owned()));
    answer
}

/// Whether the signal is good cannot be told now; the sender should send it again.
pub fn unavailable(details: &'static str) -> Answer {
    let mut answer = answer(503, json!({ "error": "temporarily_unavailable" }).to_string(), details);
    answer.headers.push(("retry-after", "1".to_owned()));
    answer
}

fn bad_request(description: &str, details: &'static str) -> Answer {
    let body = json!({ "error": "invalid_request", "error_description": description });
    answer(400, body.to_string(), details)
}

fn answer(status: u16, body: String, details: &'static str) -> Answer {
    let mut headers = vec![("cache-control", "no-store".to_owned())];
    if !body.is_empty() {
        headers.push(("content-type", "application/json".to_owned()));
    }
    Answer {
        status,
        headers,
        body,
        details,
        grpc_status: 12, // UNIMPLEMENTED: a signal is no gRPC method.
        grpc_message: "not a gRPC method",
    }
}
