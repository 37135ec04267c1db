//! The store of a fleet, with an access token of our own.

use phantom_token_filter::grpc::GrpcCall;
use serde_json::json;

use super::{SECOND, answer, client_credentials, granted, open, tick_after, worker};
use crate::support::{Map, Worker, config};

const UNAUTHENTICATED: u32 = 16;

fn speaking() -> Worker {
    let mut token = client_credentials();
    token["client_credentials"]["authority"] = json!("as.example");
    worker(
        config(
            json!({"revocation": {"fleet": {"cluster": "etcd", "prefix": "/fleet", "authorization": token}}}),
        ),
        &Map::default(),
    )
}

fn token(call: &GrpcCall) -> Option<&str> {
    call.metadata.iter().find(|(name, _)| *name == "token").map(|(_, token)| token.as_str())
}

#[test]
fn the_store_is_called_once_the_token_is_there() {
    let mut worker = speaking();
    assert!(worker.grpc.is_empty());
    answer(&mut worker, "/token", 200, &granted("ours", json!({})));
    let [(_, call)] = &worker.grpc[..] else { panic!("{:?}", worker.grpc) };
    assert_eq!((call.method, token(call)), ("Range", Some("ours")), "as it is");
}

#[test]
fn a_token_that_the_store_refuses_is_fetched_anew_and_not_in_a_circle() {
    let mut worker = speaking();
    let mut tokens = 0;
    for second in 0..60 {
        if open(&worker, "/token") == 1 {
            tokens += 1;
            answer(&mut worker, "/token", 200, &granted(&format!("t{tokens}"), json!({})));
        }
        if let Some((id, call)) = worker.grpc.pop() {
            assert_eq!(token(&call).unwrap(), format!("t{tokens}"), "{second}");
            worker.grpc_closed(id, UNAUTHENTICATED);
        }
        tick_after(&mut worker, SECOND);
    }
    assert!((2..=4).contains(&tokens), "{tokens} tokens in a minute");
}
