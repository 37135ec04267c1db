//! Tokens, and what withdraws them.

use super::super::*;
use super::random::Random;
use crate::token::{AccessToken, DigestSeed};

/// A token of the test: what its verdicts say.
#[derive(Clone, Copy)]
pub(super) struct Token(pub(super) u64);

impl Token {
    pub(super) fn access_token(self) -> AccessToken {
        AccessToken::parse(format!("token-{}", self.0).as_bytes()).unwrap()
    }

    pub(super) fn digest(self) -> TokenDigest {
        DigestSeed::new(&[0; 32]).digest(&self.access_token())
    }

    pub(super) fn sub(self) -> String {
        format!("sub-{}", self.0 / 2)
    }

    /// Every third says no session.
    pub(super) fn sid(self) -> Option<String> {
        (!self.0.is_multiple_of(3)).then(|| format!("sid-{}", self.0))
    }

    pub(super) fn client(self) -> String {
        format!("client-{}", self.0 % 2)
    }
}

/// Something that is withdrawn, and which tokens that means.
#[derive(Clone)]
pub(super) struct Withdrawal {
    pub(super) subjects: Vec<Subject>,
    pub(super) means: fn(Token, u64) -> bool,
    pub(super) about: u64,
    pub(super) jwts: Jwts,
}

pub(super) fn withdrawal(random: &mut Random) -> Withdrawal {
    let about = random.next(TOKENS);
    let token = Token(about);
    let of = |which| Subject::Of(ProviderTag::new("main"), which);
    let (subjects, means): (_, fn(Token, u64) -> bool) = match random.next(12) {
        0 => (vec![Subject::Everything], |_, _| true),
        1 => (vec![of(Which::All)], |_, _| true),
        2 => (vec![of(Which::WithoutSid)], |token, _| token.sid().is_none()),
        3 | 4 => (vec![of(Which::Client(token.client()))], |token, of| token.client() == Token(of).client()),
        5 | 6 => (vec![of(Which::Sub(token.sub()))], |token, of| token.sub() == Token(of).sub()),
        7 | 8 => match token.sid() {
            Some(sid) => (vec![of(Which::Sid(sid)), of(Which::SubWithoutSid(token.sub()))], |token, of| {
                token.0 == of || token.sid().is_none() && token.sub() == Token(of).sub()
            }),
            None => (vec![of(Which::SubWithoutSid(token.sub()))], |token, of| {
                token.sid().is_none() && token.sub() == Token(of).sub()
            }),
        },
        _ => {
            let name = TokenDigest::of(&token.access_token());
            (vec![Subject::Jwt(ProviderTag::new("main"), name)], |token, of| token.0 == of)
        }
    };
    Withdrawal { subjects, means, about, jwts: Jwts::Spared }
}

pub(super) const TOKENS: u64 = 6;
