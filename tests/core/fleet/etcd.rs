//! Messages of etcd, made by another hand than the filter's.

use std::time::Duration;

use phantom_token_filter::cache::{Name, Subject};
use phantom_token_filter::fleet::{Envoy, Keys, Notice};
use phantom_token_filter::token::AccessToken;

use super::PREFIX;

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(crate) fn number(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3], varint(value)].concat()
}

pub(crate) fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    [vec![field << 3 | 2], varint(value.len() as u64), value.to_vec()].concat()
}

pub(crate) fn header(revision: u64) -> Vec<u8> {
    bytes(1, &[number(1, 77), number(3, revision)].concat())
}

/// A `KeyValue`.
pub(crate) fn pair(key: &[u8], value: &[u8], revision: u64) -> Vec<u8> {
    [bytes(1, key), number(3, revision), bytes(5, value)].concat()
}

/// A `RangeResponse`.
pub(crate) fn page(revision: u64, pairs: &[Vec<u8>], more: bool) -> Vec<u8> {
    let pairs: Vec<u8> = pairs.iter().flat_map(|pair| bytes(2, pair)).collect();
    [header(revision), pairs, number(3, more.into())].concat()
}

/// A `WatchResponse` with puts.
pub(crate) fn watched(revision: u64, pairs: &[Vec<u8>], goes_on: bool) -> Vec<u8> {
    let events: Vec<u8> = pairs.iter().flat_map(|pair| bytes(11, &bytes(2, pair))).collect();
    [header(revision), number(7, goes_on.into()), events].concat()
}

/// The identity of the store.
pub(crate) fn identity(revision: u64) -> Vec<u8> {
    pair(b"/fleet/1/store", b"identity-of-it-1", revision)
}

/// What another Envoy puts about a token.
pub(crate) fn withdrawal(token: &str, revision: u64) -> Vec<u8> {
    let name = Name::of(&Subject::token(&AccessToken::parse(token.as_bytes()).unwrap()));
    let notice = Notice { name, settle: Duration::ZERO, jwts: None, by: Envoy(*b"another1") };
    let (key, value) = notice.write(&Keys::new(PREFIX));
    pair(&key, &value, revision)
}
