//! What all parts of a worker's filter use and none of them owns: the configuration, the memory that workers share, what
//! requests got, and what the log was told. Nothing of it is a state of one part; what is, lies in the part.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::access_tokens::AccessTokens;
use super::complaints::Complaints;
use super::event::CallId;
use super::first_verdicts::FirstVerdicts;
use super::judge::ready::Ready;
use crate::cache::{Cache, Cached, FirstLevel, Leases, Mailbox, ProviderTag, SharedData, Vouched};
use crate::config::Config;
use crate::fleet;
use crate::jwt::Signatures;
use crate::metrics::Names;
use crate::provider::{Origin, OriginKind};
use crate::revocation::Replay;
use crate::revocation::sources::WithdrawnJwts;
use crate::sender_constrained::dpop::SeenProofs;
use crate::token::{TokenDigest, UnixMillis};

/// What all parts of a worker's filter use.
pub(super) struct Worker {
    pub(super) config: Rc<Config>,
    pub(super) cache: Cache,
    pub(super) leases: Leases,
    /// This one's.
    pub(super) mailbox: Mailbox,
    /// What workers know of other Envoys, if there are any.
    pub(super) fleet: Option<fleet::Shared>,
    /// Signals that were seen already.
    pub(super) replay: Replay,
    /// DPoP proofs that were seen already, if any are taken.
    pub(super) seen_proofs: Option<SeenProofs>,
    /// What requests got that were like those to come.
    pub(super) first_level: RefCell<FirstLevel<Ready>>,
    /// What calls show that need an access token.
    pub(super) access_tokens: AccessTokens,
    /// What the log was told of providers.
    pub(super) complaints: Complaints,
    pub(super) first_verdicts: FirstVerdicts,
    /// Whom metrics are of.
    pub(super) names: Rc<Names>,
    signatures: Rc<dyn Signatures>,
    ids: CallIds,
}

/// Numbers for calls.
#[derive(Clone, Default)]
pub(super) struct CallIds(Rc<Cell<u64>>);

impl CallIds {
    /// One that no call has.
    pub(super) fn next(&self) -> CallId {
        self.0.set(self.0.get() + 1);
        CallId(self.0.get())
    }
}

impl Worker {
    /// `longest_life`: how long a verdict may serve.
    pub(super) fn new(
        config: Rc<Config>,
        shared: Rc<dyn SharedData>,
        signatures: Rc<dyn Signatures>,
        mailbox: Mailbox,
        longest_life: Duration,
    ) -> Self {
        let names = config.names();
        let max_entries = config.cache.max_entries;
        let cache = Cache::new(Rc::clone(&shared), max_entries, config.cache.max_negative_entries);
        cache.create();
        cache.withdrawals().announce(longest_life);
        for provider in &config.providers {
            cache.seen().create(ProviderTag::new(provider.identity()));
        }
        let replay = Replay::new(Rc::clone(&shared));
        if config.revocation.is_any() {
            cache.withdrawals().create();
            replay.create();
        }
        let fleet = config.revocation.fleet.as_ref().map(|it| fleet::Shared::new(it, Rc::clone(&shared)));
        fleet.iter().for_each(fleet::Shared::create);
        let seen_proofs =
            config.dpop.as_ref().map(|rules| SeenProofs::new(Rc::clone(&shared), rules.max_proofs));
        seen_proofs.iter().for_each(SeenProofs::create);
        let access_tokens = AccessTokens::new(config.client_credentials());
        let leases = Leases::new(shared, mailbox);
        leases.create();
        Self {
            config,
            cache,
            leases,
            mailbox,
            fleet,
            replay,
            seen_proofs,
            first_level: RefCell::new(FirstLevel::new(max_entries)),
            access_tokens,
            complaints: Complaints::default(),
            first_verdicts: FirstVerdicts::default(),
            names: Rc::new(names),
            signatures,
            ids: CallIds::default(),
        }
    }

    /// The host's cryptography.
    pub(super) fn signatures(&self) -> &dyn Signatures {
        self.signatures.as_ref()
    }

    /// Numbers for calls; no two get the same.
    pub(super) fn call_ids(&self) -> &CallIds {
        &self.ids
    }

    /// Who vouches for tokens of this origin.
    pub(super) fn vouched(&self, origin: &Origin) -> Vouched {
        match (origin.kind, self.config.revocation.jwts) {
            (OriginKind::Validated, WithdrawnJwts::Refuse) => Vouched::ByItself,
            _ => Vouched::ByServer,
        }
    }

    /// Whether there is a verdict under this digest, or another worker asks for one.
    pub(super) fn knows(&self, digest: &TokenDigest, now: UnixMillis) -> bool {
        matches!(self.cache.find(digest, now), Some(Cached::Active(_))) || self.leases.is_held(digest, now)
    }
}
