//! Access tokens of our own, for calls that need one (RFC 6749 §4.4): what there is, and what is wanted.
//!
//! They lie in this worker's memory alone. What is in shared data, every filter of the same `vm_id` can read, and this is a
//! credential; and all calls but introspections are made by one worker of an Envoy anyway.
//! [Another part](super::fetches::tokens) fetches them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::client::ClientCredentials;
use crate::token::{Secret, UnixMillis};

/// What a worker has of each kind.
pub(super) struct AccessTokens(Vec<(Rc<ClientCredentials>, RefCell<Kept>)>);

struct Kept {
    /// The last one, and until when it serves.
    token: Option<(AccessToken, UnixMillis)>,
    /// How many there were.
    count: u64,
    want: Want,
    is_under_way: bool,
    /// When another was wanted last because a call was refused for the one that there was.
    refused: Option<UnixMillis>,
}

/// An access token of our own.
#[derive(Clone)]
struct AccessToken {
    secret: Rc<Secret>,
    /// Of all that there were for the same credentials, this one: later ones have greater numbers.
    number: u64,
}

/// What a caller of ours shows who may have to show an access token.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Showing {
    /// The number of the token that was shown last; zero: none was.
    number: u64,
    /// Of one that was refused: only newer ones are shown.
    refused: u64,
}

/// A token that is needed has yet to be fetched.
pub(super) struct Awaited;

impl Showing {
    /// The token to show; none where none is fetched.
    ///
    /// # Errors
    ///
    /// [`Awaited`]: it is wanted from now on.
    pub(super) fn token(
        &mut self,
        credentials: Option<&Rc<ClientCredentials>>,
        tokens: &AccessTokens,
        now: UnixMillis,
    ) -> Result<Option<Rc<Secret>>, Awaited> {
        let Some(credentials) = credentials else { return Ok(None) };
        let AccessToken { secret, number } = tokens.get(credentials, self.refused, now).ok_or(Awaited)?;
        self.number = number;
        Ok(Some(secret))
    }

    /// What was shown was refused (401). Returns whether there is another by now, or will be.
    pub(super) fn was_refused(
        &mut self,
        credentials: Option<&Rc<ClientCredentials>>,
        tokens: &AccessTokens,
        now: UnixMillis,
    ) -> bool {
        let is_renewed = credentials.is_some_and(|it| tokens.refused(it, self.number, now));
        if is_renewed {
            self.refused = self.number;
        }
        is_renewed
    }

    /// Whether another was shown, or is to be, in the place of one that was refused.
    pub(super) fn is_renewed(&self) -> bool {
        self.refused > 0
    }
}

/// Whether a token is wanted; the stronger later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// Nobody has used the last one.
    Nothing,
    /// The last one is in use: one that takes its place before it ends.
    Renewal,
    /// There is none, and somebody waits for it.
    Another,
    /// One in the place of the last, which was refused.
    Unrefused,
}

impl AccessTokens {
    /// None yet, of what these bring.
    pub(super) fn new<'c>(all: impl Iterator<Item = &'c Rc<ClientCredentials>>) -> Self {
        let none = || {
            RefCell::new(Kept {
                token: None,
                count: 0,
                want: Want::Nothing,
                is_under_way: false,
                refused: None,
            })
        };
        Self(all.map(|credentials| (Rc::clone(credentials), none())).collect())
    }

    /// A token that is newer than the one of this number, if there is one. Otherwise it is wanted from now on.
    fn get(&self, credentials: &Rc<ClientCredentials>, after: u64, now: UnixMillis) -> Option<AccessToken> {
        let mut kept = self.of(credentials)?.borrow_mut();
        let usable = kept.token.as_ref().filter(|(token, until)| token.number > after && now < *until);
        let usable = usable.map(|(token, _)| token.clone());
        kept.want = kept.want.max(if usable.is_some() { Want::Renewal } else { Want::Another });
        usable
    }

    /// A call was refused (401) for the token of this number. Returns whether there is another by now, or will be. For this
    /// one is fetched, and then none for a while: where every token is refused, they are not fetched in a circle. The last
    /// serves on meanwhile, for it may be that the call was bad, and not the token.
    fn refused(&self, credentials: &Rc<ClientCredentials>, number: u64, now: UnixMillis) -> bool {
        let Some(mut kept) = self.of(credentials).map(RefCell::borrow_mut) else { return false };
        if number < kept.count || kept.is_under_way || kept.want == Want::Unrefused {
            return true;
        }
        let is_recent = |then: UnixMillis| !then.is_from_the_future(now) && now < then.plus(BETWEEN_REFUSALS);
        if kept.refused.is_some_and(is_recent) {
            return false;
        }
        (kept.refused, kept.want) = (Some(now), Want::Unrefused);
        true
    }

    /// What is wanted of these.
    pub(super) fn want(&self, credentials: &Rc<ClientCredentials>) -> Want {
        self.of(credentials).map_or(Want::Nothing, |kept| kept.borrow().want)
    }

    /// It is fetched.
    pub(super) fn begun(&self, credentials: &Rc<ClientCredentials>) {
        if let Some(mut kept) = self.of(credentials).map(RefCell::borrow_mut) {
            (kept.want, kept.is_under_way) = (Want::Nothing, true);
        }
    }

    /// It was fetched: a token that serves until then, or nothing.
    pub(super) fn ended(&self, credentials: &Rc<ClientCredentials>, token: Option<(Secret, UnixMillis)>) {
        let Some(mut kept) = self.of(credentials).map(RefCell::borrow_mut) else { return };
        kept.is_under_way = false;
        if let Some((secret, until)) = token {
            kept.count += 1;
            kept.want = Want::Nothing;
            kept.token = Some((AccessToken { secret: Rc::new(secret), number: kept.count }, until));
        }
    }

    /// Nobody knows any more how long they serve.
    pub(super) fn clock_set_back(&self) {
        self.0.iter().for_each(|(_, kept)| kept.borrow_mut().token = None);
    }

    fn of(&self, credentials: &Rc<ClientCredentials>) -> Option<&RefCell<Kept>> {
        self.0.iter().find(|(it, _)| Rc::ptr_eq(it, credentials)).map(|(_, kept)| kept)
    }
}

/// Between two tokens that are fetched because the last was refused.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(30);
