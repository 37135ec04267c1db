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

/// The keys and values that a `TxnRequest` of ours puts.
pub(crate) fn puts_of(message: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut puts = Vec::new();
    for operation in texts_of(message, 2) {
        for request in texts_of(operation, 2) {
            let text = |field| texts_of(request, field).concat();
            puts.push((text(1), text(2)));
        }
    }
    puts
}

/// The fields of this number that have a length, of a message in which all others of wire type 0 come last.
fn texts_of(message: &[u8], field: u8) -> Vec<&[u8]> {
    let (mut texts, mut rest) = (Vec::new(), message);
    while let [tag, after @ ..] = rest {
        if tag & 7 != 2 {
            break;
        }
        let end = after.iter().position(|byte| byte & 0x80 == 0).unwrap();
        let length =
            after[..=end].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
        let (text, others) = after[end + 1..].split_at(length);
        if tag >> 3 == field {
            texts.push(text);
        }
        rest = others;
    }
    texts
}

/// What another Envoy puts about a token.
pub(crate) fn withdrawal(token: &str, revision: u64) -> Vec<u8> {
    let name = Name::of(&Subject::token(&AccessToken::parse(token.as_bytes()).unwrap()));
    let notice = Notice { name, settle: Duration::ZERO, jwts: None, by: Envoy(*b"another1") };
    let (key, value) = notice.write(&Keys::new(PREFIX));
    pair(&key, &value, revision)
}
