use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use phantom_token_filter::revocation::status_list::{
    MalformedReference, Status, StatusList, StatusListRefused, StatusReference,
};
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};

use super::patched;
use crate::support::part;

const NOW: UnixMillis = UnixMillis::from_secs(1_795_377_700);

const URI: &str = "https://as.example/statuslists/1";

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/token-status-list.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn list(patch: Value) -> Result<StatusList, StatusListRefused> {
    let claims =
        json!({"sub": URI, "iat": NOW.as_secs(), "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}});
    StatusList::read(Some("statuslist+jwt"), &patched(&claims, &patch), URI, NOW)
}

fn value(status: Status) -> u64 {
    match status {
        Status::Valid => 0,
        Status::Invalid => 1,
        Status::Suspended => 2,
        Status::Other(other) => other.into(),
    }
}

#[test]
fn the_drafts_own_lists_are_read() {
    for vector in vectors()["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let list = list(json!({"status_list": vector["status_list"]})).unwrap();
        let known = vector["nonzero"].as_object().unwrap();
        for (idx, status) in known {
            let found = value(list.status(idx.parse().unwrap()).unwrap());
            assert_eq!(found, status.as_u64().unwrap(), "{name} {idx}");
        }
        let size = vector["size"].as_u64().unwrap();
        let nonzero = (0..size).filter(|idx| list.status(*idx) != Some(Status::Valid)).count();
        assert_eq!(
            nonzero,
            known.values().filter(|status| **status != 0).count(),
            "{name}: all others are valid"
        );
        assert_eq!(list.status(vector["out_of_bounds_index"].as_u64().unwrap()), None, "{name}");
        assert_eq!(list.status(u64::MAX), None, "{name}");
    }
}

#[test]
fn the_drafts_own_token_is_taken() {
    let token = vectors()["status_list_token_jwt"].as_str().unwrap().to_owned();
    let (header, claims) = (part(&token, 0), part(&token, 1));
    let uri = "https://example.com/statuslists/1";
    let read = |now| StatusList::read(header["typ"].as_str(), claims.as_object().unwrap(), uri, now);
    let list = read(NOW).unwrap();
    assert_eq!((list.status(0), list.status(1)), (Some(Status::Invalid), Some(Status::Valid)));
    assert_eq!(
        list.fresh_until,
        NOW.plus(Duration::from_secs(15 * 60)),
        "its ttl of twelve hours is clamped"
    );
    assert_eq!(read(UnixMillis::from_secs(2_291_720_170)), Err(StatusListRefused::Expired));
}

#[test]
fn a_list_says_how_long_it_lasts_within_reason() {
    let lasts = |patch| list(patch).unwrap().fresh_until.since(NOW).as_secs();
    assert_eq!(lasts(json!({})), 300);
    assert_eq!(lasts(json!({"ttl": 60})), 60);
    assert_eq!(lasts(json!({"ttl": 0.001})), 5);
    assert_eq!(lasts(json!({"ttl": 1e300})), 900);
    assert_eq!(lasts(json!({"ttl": 60, "exp": NOW.as_secs() + 30})), 30);
    let list = list(json!({"ttl": 60})).unwrap();
    let after = |secs| NOW.plus(Duration::from_secs(secs));
    assert!(list.serves(Duration::ZERO, after(59)) && !list.serves(Duration::ZERO, after(60)));
    assert!(
        list.serves(Duration::from_secs(30), after(89)) && !list.serves(Duration::from_secs(30), after(90))
    );
}

#[test]
fn whatever_is_not_in_order_is_refused() {
    let now = NOW.as_secs();
    let with = |bits: Value, lst: &str| json!({"status_list": {"bits": bits, "lst": lst}});
    let bomb = {
        let zeros = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; (1 << 20) + 1], 9);
        Base64UrlUnpadded::encode_string(&zeros)
    };
    for (patch, reason) in [
        (json!({"sub": "https://as.example/statuslists/2"}), StatusListRefused::OtherList),
        (json!({"sub": null}), StatusListRefused::OtherList),
        (json!({"iat": null}), StatusListRefused::NotUsable("iat")),
        (json!({"iat": now + 61}), StatusListRefused::FromTheFuture),
        (json!({"exp": now}), StatusListRefused::Expired),
        (json!({"exp": "never"}), StatusListRefused::NotUsable("exp")),
        (json!({"ttl": 0}), StatusListRefused::NotUsable("ttl")),
        (json!({"ttl": -1}), StatusListRefused::NotUsable("ttl")),
        (json!({"ttl": "60"}), StatusListRefused::NotUsable("ttl")),
        (json!({"status_list": null}), StatusListRefused::NotUsable("status_list")),
        (json!({"status_list": "eNrbuRgAAhcBXQ"}), StatusListRefused::NotUsable("status_list")),
        (with(json!(3), "eNrbuRgAAhcBXQ"), StatusListRefused::NotUsable("status_list.bits")),
        (with(json!(0), "eNrbuRgAAhcBXQ"), StatusListRefused::NotUsable("status_list.bits")),
        (with(json!("1"), "eNrbuRgAAhcBXQ"), StatusListRefused::NotUsable("status_list.bits")),
        (with(json!(1), ""), StatusListRefused::NotUsable("status_list.lst")),
        (with(json!(1), "eNrbuRgAAhcBXQ=="), StatusListRefused::NotInflatable),
        (with(json!(1), "eNrbuRgAAhcBX"), StatusListRefused::NotInflatable),
        (with(json!(1), "eNrbuRgAAhcBXA"), StatusListRefused::NotInflatable),
        (with(json!(1), "AAAA"), StatusListRefused::NotInflatable),
        (with(json!(8), &bomb), StatusListRefused::NotInflatable),
    ] {
        assert_eq!(list(patch.clone()).map(|_| ()), Err(reason), "{patch}");
    }
    let claims = patched(
        &json!({"sub": URI, "iat": now, "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}}),
        &json!({}),
    );
    for typ in [None, Some("JWT"), Some("at+jwt"), Some("statuslist+cwt")] {
        assert_eq!(StatusList::read(typ, &claims, URI, NOW), Err(StatusListRefused::OtherType), "{typ:?}");
    }
}

#[test]
fn a_token_says_where_its_status_stands_or_nothing() {
    let of = |claims: Value| StatusReference::of(claims.as_object().unwrap());
    assert_eq!(of(json!({"sub": "alice"})), Ok(None));
    assert_eq!(of(json!({"status": {"other": 1}})), Ok(None));
    let reference = StatusReference { idx: 7, uri: URI.to_owned() };
    assert_eq!(of(json!({"status": {"status_list": {"idx": 7, "uri": URI}}})), Ok(Some(reference)));
    for status in [
        json!(null),
        json!("valid"),
        json!({"status_list": null}),
        json!({"status_list": {"idx": -1, "uri": URI}}),
        json!({"status_list": {"idx": 1.5, "uri": URI}}),
        json!({"status_list": {"idx": "7", "uri": URI}}),
        json!({"status_list": {"idx": 7}}),
        json!({"status_list": {"uri": URI}}),
        json!({"status_list": {"idx": 7, "uri": ""}}),
    ] {
        assert_eq!(of(json!({"status": status})), Err(MalformedReference), "{status}");
    }
}
