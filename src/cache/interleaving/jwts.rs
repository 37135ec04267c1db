//! JWTs that nobody is asked about, beside the tokens that a server is.

use super::withdrawal::Withdrawal;
use super::*;

impl Worker {
    /// Which JWTs a withdrawal refuses: of a date that is not always the latest.
    pub(super) fn jwts(&mut self, now: UnixMillis) -> Jwts {
        let date = now.minus(Duration::from_millis(self.random.next(20)));
        match self.random.next(4) {
            0 => Jwts::Spared,
            1 => Jwts::All(date),
            _ => Jwts::Named(date),
        }
    }

    /// As the filter does it: a verdict that is remembered, or a validation.
    pub(super) fn jwt_request(&mut self) {
        let token = Token(self.random.next(TOKENS));
        let began = self.turn(|state| state.step);
        let now = self.now();
        // One of a few, so that they come again; some are issued when all is over.
        let iat = match self.random.next(8) {
            0 => None,
            1 => Some(UnixMillis::MAX.as_millis()),
            2 => Some(BEGIN + 400),
            _ => Some(BEGIN),
        };
        let provider = if self.random.next(4) == 0 { OTHER } else { "main" };
        let spelled = format!("jwt-{}-{iat:?}-{provider}", token.0).replace(['(', ')'], "-");
        let spelled = AccessToken::parse(spelled.as_bytes()).unwrap();
        let digest = crate::token::DigestSeed::new(&[1; 32]).digest(&spelled);
        if let Some(Cached::Active(entry)) = self.cache.find(&digest, now) {
            assert_eq!(entry.vouched(), Vouched::ByItself);
            return self.forward_jwt(token, provider, iat, began);
        }
        let mut claims = json!({"sub": token.sub(), "client_id": token.client()});
        if let Some(sid) = token.sid() {
            claims["sid"] = sid.into();
        }
        // In milliseconds, of which only the filter makes seconds.
        if let Some(iat) = iat.filter(|iat| *iat < u64::MAX) {
            claims["iat"] = format!("{}.{:03}", iat / 1000, iat % 1000).into();
        } else if iat.is_some() {
            claims["iat"] = 253_402_300_799_u64.into();
        }
        let claims = ClaimsBuf::from_members(claims.as_object().unwrap().clone()).unwrap();
        let withdrawals = self.cache.withdrawals();
        let verdict_on = Withdrawable {
            // No token is two providers'.
            token: TokenDigest::of(&if provider == OTHER { spelled } else { token.access_token() }),
            provider: ProviderTag::new(provider),
            claims: claims.view(),
        };
        let asked = Asked { at: now, moment: withdrawals.moment() };
        match withdrawals.standing_of_jwt(asked, &verdict_on, now) {
            Standing::Refused => self.refused_jwt(token, provider, iat),
            Standing::Void => self.forward_jwt(token, provider, iat, began),
            Standing::Good(checked) => {
                self.forward_jwt(token, provider, iat, began);
                let verdict = Verdict {
                    digest: &digest,
                    token: verdict_on.token,
                    provider: verdict_on.provider,
                    vouched: Vouched::ByItself,
                    asked: now,
                    checked,
                    useful_until: now.plus(TTL),
                    claims: &claims,
                    jwt: None,
                };
                self.cache.insert_active(&verdict, now);
            }
        }
    }

    /// No withdrawal that was done before refuses it.
    fn forward_jwt(&self, token: Token, provider: &str, iat: Option<u64>, began: u64) {
        self.turn(|state| {
            for (withdrawal, _, done) in state.history.withdrawals.iter().filter(|(_, _, done)| *done < began)
            {
                assert!(
                    !refuses(withdrawal, token, provider, iat),
                    "token {} of {iat:?}: {:?} {:?} done at {done}, served at {began}",
                    token.0,
                    withdrawal.subjects,
                    withdrawal.jwts
                );
            }
            state.history.forwarded_jwts += 1;
        });
    }

    /// It was named, or is older than something of the same provider that was.
    fn refused_jwt(&self, token: Token, provider: &str, iat: Option<u64>) {
        self.turn(|state| {
            let may_be_older = provider != OTHER && iat != Some(u64::MAX);
            // Of those that are under way nobody knows yet.
            let named = |(withdrawal, ..): &(Withdrawal, u64, u64)| {
                names(withdrawal, token, provider).next().is_some()
            };
            assert!(
                may_be_older || state.history.under_way > 0 || state.history.withdrawals.iter().any(named),
                "token {} of {provider} is another's, or issued later than anything was withdrawn",
                token.0
            );
            state.history.refused_jwts += 1;
        });
    }
}

/// Whether a withdrawal is to refuse a JWT. Of a session, and of a token by itself, those that were issued later are
/// refused only while there is room to tell it apart.
fn refuses(withdrawal: &Withdrawal, token: Token, provider: &str, iat: Option<u64>) -> bool {
    names(withdrawal, token, provider).any(|date| iat.is_none_or(|iat| iat <= date.as_millis()))
}

/// The dates of what a withdrawal says of a JWT.
fn names(withdrawal: &Withdrawal, token: Token, provider: &str) -> impl Iterator<Item = UnixMillis> {
    let is_other = provider == OTHER;
    let subjects = withdrawal.subjects.iter();
    subjects.filter(move |subject| !is_other || **subject == Subject::Everything).filter_map(move |subject| {
        let date = withdrawal.jwts.issued_until(&Name::of(subject))?;
        let is_named = match subject {
            Subject::Jwt(_, name) => *name == TokenDigest::of(&token.access_token()),
            Subject::Of(_, Which::Sid(sid)) => token.sid().as_ref() == Some(sid),
            Subject::Of(_, Which::SubWithoutSid(sub)) => token.sid().is_none() && token.sub() == *sub,
            _ => (withdrawal.means)(token, withdrawal.about),
        };
        is_named.then_some(date)
    })
}

/// A provider of which nothing is withdrawn but with all others.
const OTHER: &str = "other";
