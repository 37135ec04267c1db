//! phantom-token-filter: a WebAssembly HTTP filter that makes Envoy enforce OAuth access tokens.
//!
//! # The life of a request
//!
//! 1. Envoy calls the [host layer](crate) with a request's headers; it makes them an
//!    [`Event`](filter::Event) for the worker's [`Filter`](filter::Filter).
//! 2. The configuration says which [`Policy`](policy::Policy) the request falls under, and [`credentials`]
//!    reads the access token. Without one, or with something else in its place, the request ends here.
//! 3. If one like it was just served, it [gets the same](filter::Ready), and that is all.
//! 4. The policy's [`Strategy`](policy::Strategy) has a *way* for the token, and where there is a choice the
//!    token's `iss` makes it: *ask* its [`Introspector`](provider::Introspector), *validate* it by its
//!    [`Validator`](provider::Validator), or *validate and ask*. The way says which [`Origin`](provider::Origin)
//!    the verdict will have, and so how it is judged and what is forwarded.
//! 5. The token's [digest](token::TokenDigest) is looked up in the [`cache`]. A verdict that is fresh enough for
//!    this policy is judged ([`policy::decide`]), and the request goes on with the JWT beside it. The digest of a
//!    token that is validated depends on the provider's keys, so a request that comes before them waits here, and one
//!    whose provider's metadata has yet to be found waits for that first ([`discovery`]).
//! 6. Otherwise, on a way that validates, the JWT is verified ([`jwt::JwtRules::verify`]) with the keys that are
//!    at hand ([`jwt::KeySet`]). If it names one that is not, the keys are fetched once more, and it waits. If
//!    nobody is to be asked besides, its claims are remembered and judged.
//! 7. On a way that asks, the stream waits. A call to the authorization server is made ([`introspection`]), or
//!    joined if another request has made it, on this worker or another.
//! 8. The reply is read ([`introspection::parse`]), with its signature verified if it should have one,
//!    remembered, and told to every stream that waits: each is judged by its own policy, and either forwarded
//!    with a JWT ([`jwt::mint`], or the server's own) or answered ([`challenge`]).
//!
//! # Rooms
//!
//! Everything but the host layer is sans-io: it knows neither Envoy nor a clock, and runs natively in tests.
//! Imports point one way: host → [`filter`] → the concepts → [`token`].
//!
//! | room | there |
//! |---|---|
//! | `host` | Envoy: callbacks, host calls, effects carried out. The only room that knows of proxy-wasm |
//! | [`filter`] | the state machine of a worker: a router of events, and the parts that own its state: questions to servers (`introspections`), what is fetched on a schedule (`fetches`), `signals`, `parking`; what becomes of a request (`judge`) has none |
//! | [`config`] | the configuration: read once, refused whole, never read again |
//! | [`provider`], [`policy`] | what a configuration says of authorization servers, and of requests; the decision on a verdict |
//! | [`discovery`], [`target`] | what a server says of itself, and what is believed of it; where calls go |
//! | [`client`] | the filter as a client: how it shows who it is, and how it comes by access tokens of its own |
//! | [`introspection`] | what is asked, and what an answer says: JSON or signed |
//! | [`jwt`] | JWTs of ours are minted, those of others verified; keys of both |
//! | [`fleet`] | what Envoys tell each other of withdrawals, and the store that carries it |
//! | [`cache`] | verdicts in memory that all workers share, and leases on questions |
//! | [`credentials`], [`request`], [`challenge`], [`http`], [`grpc`] | tokens in requests, what is read and changed of them, answers, calls |
//! | [`sender_constrained`] | tokens that are bound to a key or a certificate: what binds them, and whether their sender has it |
//! | `two_sources`, `token_kind` | what a JWT and its server's reply say together; whether it is an access token at all |
//! | [`claims`], [`token`], [`metrics`], `numbered` | words that everybody uses |
//!
//! A test (`tests/imports.rs`) keeps the direction: no file needs another that needs it. Why things are as they are where
//! another way would be at hand is written in `docs/decisions/`, and
//! which files a request passes through in `docs/design.md`.
//!
//! # Words of our own
//!
//! The rest are those of the RFCs and of Envoy.
//!
//! | word | means |
//! |---|---|
//! | verdict | what a server, or the keys of one, say of a token: active with these claims, or not |
//! | permit | proof that a verdict was judged by a policy ([`policy::Permit`]); a phantom token is minted for one alone |
//! | ruling | what the configuration says of a request: its policy, and the host that its route must have ([`config::Config::policy_of`]) |
//! | case | a request to be judged, with its policy and where its token stood |
//! | likeness | what requests have in common that get the same: policy, `authorization`, epoch and keys |
//! | ready | what a request got that those like it get, too, without being judged again ([`filter::Ready`]) |
//! | first level | a worker's own memory of what is ready; shared data is the second ([`cache::FirstLevel`]) |
//! | epoch, moment | a number that all workers see and that each withdrawal changes; copies live within one ([`cache::Moment`]) |
//! | to withdraw | to make verdicts worthless before their time, by token, subject, session or client ([`cache::Subject`]) |
//! | standing | what withdrawals leave of a verdict ([`cache::Standing`]) |
//! | overtaken | said of a reply that was under way while its token was withdrawn |
//! | inquiry | a case with its token and the way to a verdict on it |
//! | part, step | a piece of the state machine with a state of its own; one event on its way through the parts |
//! | schedule | when something is fetched that is fetched again and again: metadata, keys, status lists, polled events, access tokens of our own |
//! | basis | the epoch and the keys that what a request got rests on: with others it is not served again |
//! | pushed out | said of a verdict whose slot another token took before its time: workers may still have copies of it |
//! | what is shown | what a request shows of its sender beside the token: a certificate, a DPoP proof |
//! | dice | cheap random numbers that choose whose place in the first level a newcomer gets |
//! | to settle | to tell streams that waited what became of their call, so many in one callback |
//! | parking | where requests wait for something else than a verdict: metadata, keys, a status list |
//! | whereabouts, sought, found | where an endpoint is: written, or to be found in the server's metadata; what was found there |
//! | fleet, store | the Envoys that tell each other of withdrawals, and what they put them into |
//! | outbox | withdrawals that have yet to be put into the store |
//! | doubt | a callback that has not been seen to come yet, for an operator may have left it out |

mod bytes;
pub mod cache;
pub mod challenge;
pub mod claims;
pub mod client;
pub mod config;
pub mod credentials;
mod date;
pub mod discovery;
pub mod filter;
mod fingerprint;
pub mod fleet;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod grpc;
mod host;
pub mod http;
pub mod introspection;
mod json;
pub mod jwt;
pub mod metrics;
mod numbered;
pub mod policy;
pub mod protected_resource;
mod protobuf;
pub mod provider;
pub mod request;
pub mod revocation;
pub mod sender_constrained;
pub mod target;
pub mod token;
mod token_kind;
mod two_sources;
