//! What a token costs that is bound to a key, beside one that is not: in one Envoy, by turns.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    rig::{
        answer::Answer,
        authorization_server::AuthorizationServer,
        client::{Connection, Request},
        gateway::{Gateway, plugin_with},
        signer::Signer,
    },
    statistics::{Spread, micros},
    surroundings::Surroundings,
};

/// Of each kind in a round.
pub const REQUESTS: usize = 500;

/// CPU time of the Envoy process per request, µs.
pub struct Bound {
    /// A token that is not bound, by the first level.
    pub free: Spread,
    /// A token that is bound to a key, with a proof by ES256, which Envoy verifies.
    pub by_key: Spread,
    /// A JWT by ES256, whose signature is verified each time: what a request costs with one.
    pub jwt: Spread,
    /// The same JWT, remembered.
    pub jwt_again: Spread,
    /// By round: what the bound token costs, divided by what the free one and one signature do.
    pub ratio: Spread,
}

pub async fn bound(around: &Surroundings, rounds: usize) -> Bound {
    let (client, issuer) = (Signer::new("ES256", "client"), Signer::new("ES256", "issuer"));
    let mut plugin = plugin_with(&around.key);
    plugin["dpop"] = json!({"origins": ["https://api.example"], "max_age": "5m"});
    plugin["providers"]["local"] =
        json!({"issuer": "https://as.example", "jwks": {"cluster": "authorization_server", "path": "/jwks"}});
    let jwt = |ttl: &str| json!({"strategy": "jwt", "provider": "local", "cache_ttl": ttl, "require": {"audiences": ["https://api.example"]}});
    plugin["policies"] =
        json!({"default": {"provider": "main", "cache_ttl": "1h"}, "jwt": jwt("0s"), "jwt-again": jwt("1h")});
    plugin["rules"] = json!([
        {"match": {"path": "/jwt"}, "policy": "jwt"},
        {"match": {"path": "/jwt-again"}, "policy": "jwt-again"},
    ]);
    let server = AuthorizationServer::with_keys(&[issuer.jwk()]).await;
    let gateway = Gateway::with_server(server, plugin, |envoy| envoy).await;
    gateway.server.answer("free", Answer::active(json!({})));
    gateway.server.answer("bound", Answer::active(json!({"cnf": {"jkt": thumbprint(&client)}})));
    let token = issuer.access_token(&json!({}));
    let mut connection = Connection::open(gateway.envoy.address()).await.expect("a connection to Envoy");
    let (mut kinds, mut ratios) = ([const { Vec::new() }; 4], Vec::new());
    // The first round fills caches, and does not count.
    for round in 0..=rounds {
        let bound: Vec<Request> =
            (0..REQUESTS).map(|number| proven(&client, round * REQUESTS + number)).collect();
        let same = |request: Request| vec![request; REQUESTS];
        let by_kind = [
            same(Request::get("/").bearer("free")),
            bound,
            same(Request::get("/jwt").bearer(&token)),
            same(Request::get("/jwt-again").bearer(&token)),
        ];
        let mut costs = [0.0; 4];
        for (cost, requests) in costs.iter_mut().zip(by_kind) {
            *cost = cpu(&gateway, &mut connection, &requests).await;
        }
        if round > 0 {
            let [free, by_key, jwt, jwt_again] = costs;
            ratios.push(by_key / (free + jwt - jwt_again));
            kinds.iter_mut().zip(costs).for_each(|(kind, cost)| kind.push(cost));
        }
    }
    let [free, by_key, jwt, jwt_again] = kinds.map(Spread::of);
    Bound { free, by_key, jwt, jwt_again, ratio: Spread::of(ratios) }
}

/// CPU time of the Envoy process per request, µs.
async fn cpu<S>(gateway: &Gateway<S>, connection: &mut Connection, requests: &[Request]) -> f64 {
    let before = gateway.envoy.process().cpu_time();
    for request in requests {
        let reply = connection.send(request).await.expect("an answer");
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let spent: Duration = gateway.envoy.process().cpu_time() - before;
    micros(spent) / requests.len() as f64
}

/// `GET /` with the bound token and a proof of its own.
fn proven(client: &Signer, number: usize) -> Request {
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": client.jwk()["x"], "y": client.jwk()["y"]});
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    let claims: Value = json!({
        "jti": format!("{number:022}"), "htm": "GET", "htu": "https://api.example/", "iat": now,
        "ath": Base64UrlUnpadded::encode_string(&Sha256::digest("bound")),
    });
    Request::get("/").header("authorization", "DPoP bound").header("dpop", client.sign(&header, &claims))
}

/// `jkt` of a P-256 key (RFC 7638).
fn thumbprint(client: &Signer) -> String {
    let jwk = client.jwk();
    let (x, y) = (jwk["x"].as_str().expect("x"), jwk["y"].as_str().expect("y"));
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Base64UrlUnpadded::encode_string(&Sha256::digest(members))
}
