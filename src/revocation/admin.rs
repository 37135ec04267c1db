//! The operator's own withdrawals: `POST {"token": ".."}`, `"sub"`, `"sid"` or `"client_id"` with a text, or
//! `{"all": true}`, each perhaps with `"provider"`; authenticated by a secret.

use std::fmt;

use serde_json::{Value, json};

use crate::cache::{ProviderTag, Subject, Which};
use crate::json::{self, NotAnObject};
use crate::token::AccessToken;

/// What an operator withdraws.
#[derive(Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The member that names it.
    member: &'static str,
    subjects: Vec<Subject>,
    providers: Vec<String>,
}

/// Why a request is refused. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminRefused {
    /// The body is longer than [`Withdrawal::MAX_BODY_BYTES`].
    BodyTooLong,
    /// A member's value is not what it should be.
    BadMember(&'static str),
    /// The body is not a JSON object.
    NotJson(NotAnObject),
    /// None, or more than one, of the members that name something.
    NotOne,
    /// A member that means nothing here; it may have been meant to narrow down.
    UnknownMember,
    /// There is no such provider.
    UnknownProvider,
}

impl fmt::Display for AdminRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BodyTooLong => "the body is too long",
            Self::BadMember(name) => return write!(f, "{name} has an unexpected value"),
            Self::NotJson(reason) => return reason.fmt(f),
            Self::NotOne => "expected exactly one of token, sub, sid, client_id and all",
            Self::UnknownMember => "expected only token, sub, sid, client_id or all, and provider",
            Self::UnknownProvider => "there is no such provider",
        })
    }
}

impl Withdrawal {
    /// Longest body that is read: 16 KiB.
    pub const MAX_BODY_BYTES: usize = 16 << 10;

    /// Reads a request's body. `body` is `None` if it is longer than [`Self::MAX_BODY_BYTES`]; `providers` are
    /// those that there are, by name.
    ///
    /// # Errors
    ///
    /// [`AdminRefused`] with the first reason.
    pub fn read(body: Option<&[u8]>, providers: &[(String, ProviderTag)]) -> Result<Self, AdminRefused> {
        let mut members =
            json::object(body.ok_or(AdminRefused::BodyTooLong)?).map_err(AdminRefused::NotJson)?;
        let named = members.remove("provider");
        let providers: Vec<&(String, ProviderTag)> = match &named {
            None => providers.iter().collect(),
            Some(named) => {
                let named = named.as_str().ok_or(AdminRefused::BadMember("provider"))?;
                let one = providers.iter().find(|(name, _)| name == named);
                vec![one.ok_or(AdminRefused::UnknownProvider)?]
            }
        };
        let mut found = MEMBERS.iter().filter_map(|member| Some((*member, members.remove(*member)?)));
        let (Some((member, value)), None) = (found.next(), found.next()) else {
            return Err(AdminRefused::NotOne);
        };
        drop(found);
        if !members.is_empty() {
            return Err(AdminRefused::UnknownMember);
        }
        let of_each =
            |which: Which| providers.iter().map(|(_, tag)| Subject::Of(*tag, which.clone())).collect();
        let text = value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let text = text.ok_or(AdminRefused::BadMember(member));
        let subjects = match member {
            "all" if value == Value::Bool(true) && named.is_none() => vec![Subject::Everything],
            "all" if value == Value::Bool(true) => of_each(Which::All),
            "all" => return Err(AdminRefused::BadMember("all")),
            "client_id" => of_each(Which::Client(text?)),
            "sid" => of_each(Which::Sid(text?)),
            "sub" => of_each(Which::Sub(text?)),
            // A token is one whoever is asked about it.
            _ => {
                let token = AccessToken::parse(text?.as_bytes()).ok_or(AdminRefused::BadMember("token"))?;
                vec![Subject::token(&token)]
            }
        };
        let providers = providers.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { member, subjects, providers })
    }

    /// What is to be withdrawn.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// The answer once it was: what was withdrawn by, not whose it was.
    pub fn to_json(&self) -> Value {
        json!({ "withdrawn_by": self.member, "providers": self.providers })
    }
}

impl fmt::Display for Withdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "withdrawn by {:?} at {}", self.member, self.providers.join(", "))
    }
}

/// What names something.
const MEMBERS: [&str; 5] = ["token", "sub", "sid", "client_id", "all"];
