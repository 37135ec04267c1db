//! Tokens that the server has bound to their holder, through Envoy with TLS: by DPoP (RFC 9449) with a client library, and by a
//! certificate (RFC 8705) with curl. What their holder sends passes, and nothing of it in other hands.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Checks;
use crate::{
    curl::Curl,
    documented::configuration,
    rig::{
        bootstrap::Bootstrap,
        envoy::Envoy,
        https, jose,
        oauth4webapi::Session,
        signer::{Signer, encode, now},
        upstream::Upstream,
    },
    server::{Gateway, Server},
};

/// The API as its clients know it; Envoy is somewhere else.
const API: &str = "https://api.example";
/// By the first segment of the path; the last two leave the client's token as it is.
const STRATEGIES: [&str; 3] = ["phantom_token", "introspection", "jwt"];

impl<S: Server> Checks<'_, S> {
    pub(super) async fn bound(&mut self) {
        let upstream = Upstream::start().await;
        let Some(envoy) = self.over_tls(&upstream).await else { return };
        self.by_dpop(&envoy, &upstream).await;
        self.by_certificate(&envoy, &upstream).await;
    }

    /// Envoy with TLS and the documented configuration, if that is for bound tokens.
    async fn over_tls(&self, upstream: &Upstream) -> Option<Envoy> {
        let mut plugin = configuration(S::NAME, &self.server.replaced());
        if plugin["dpop"].is_null() {
            return None;
        }
        plugin.as_object_mut().expect("an object").remove("revocation");
        let default = plugin["policies"]["default"].clone();
        for strategy in STRATEGIES {
            let mut policy = default.clone();
            policy["strategy"] = json!(strategy);
            plugin["policies"][strategy] = policy;
        }
        let rule = |name: &str| json!({"match": {"path_prefix": format!("/{name}/")}, "policy": name});
        plugin["rules"] = json!(STRATEGIES.map(rule));
        let envoy = Bootstrap::new(plugin)
            .workers(2)
            .tls()
            .environment("GATEWAY_CLIENT_SECRET", Gateway::SECRET)
            .environment("SIGNING_KEY", &jose::any_key().await.pem)
            .cluster(&self.cluster, self.server.address(&self.cluster))
            .cluster("upstream", upstream.address());
        Some(envoy.start().await)
    }

    async fn by_dpop(&mut self, envoy: &Envoy, upstream: &Upstream) {
        let urls = STRATEGIES.map(|strategy| format!("{API}/{strategy}/dpop?page=2"));
        let requests = [0, 1, 2].map(|index| ("GET", urls[index].as_str()));
        let session = self.server.dpop_session(("https", envoy.address()), &requests).await;
        let answers: Vec<_> = STRATEGIES.iter().zip(&session.answers).collect();
        let is_right = session.token_type == "dpop" && answers.len() == STRATEGIES.len();
        let is_right =
            is_right && answers.iter().all(|(strategy, answer)| passed(strategy, answer, &session));
        if !is_right {
            println!("{answers:?}\n{}", envoy.log());
        }
        let statuses = answers.iter().map(|(strategy, answer)| format!("{strategy} {}", answer["status"]));
        let seen = statuses.collect::<Vec<_>>().join(", ");
        self.row("a token by DPoP (RFC 9449), with its proofs, over TLS", seen, is_right);

        let forwarded = upstream.requests();
        let again = session.sent_over_tls().into_iter();
        let again = STRATEGIES.iter().map(|strategy| format!("/{strategy}/dpop?page=2")).zip(again).collect();
        self.refused(envoy, "with a proof that was sent before", "dpop_replayed", again).await;

        let get = |strategy: &str, name: &str| {
            let path = format!("/{strategy}/{name}");
            (path.clone(), https::Request::get(&path))
        };
        let bearer = STRATEGIES
            .map(|strategy| get(strategy, "bearer"))
            .map(|(path, request)| (path, request.bearer(&session.token)));
        self.refused(envoy, "under Bearer", "bound_token_as_bearer", bearer.into()).await;

        let thief = Signer::new("ES256", "thief");
        let by_thief = STRATEGIES.map(|strategy| get(strategy, "thief")).map(|(path, request)| {
            let proof = proof(&thief, &session.token, &format!("{API}{path}"));
            let authorization = format!("DPoP {}", session.token);
            (path, request.header("authorization", &authorization).header("dpop", &proof))
        });
        self.refused(envoy, "with a proof by another key", "token_of_other_key", by_thief.into()).await;
        let forwarded = upstream.requests() - forwarded;
        self.row("a token by DPoP, of the refused", format!("{forwarded} forwarded"), forwarded == 0);
    }

    async fn refused(
        &mut self,
        envoy: &Envoy,
        how: &str,
        reason: &str,
        requests: Vec<(String, https::Request)>,
    ) {
        let mut wrong = Vec::new();
        for (path, request) in requests {
            let reply = https::send(envoy.address(), request).await;
            let status = reply.status;
            let line = envoy.access_log_line(&format!("{path} {status} ")).await;
            if status != 401 || !line.ends_with(reason) {
                wrong.push(line);
            }
        }
        let seen = if wrong.is_empty() { format!("401 {reason}") } else { format!("{wrong:?}") };
        self.row(format!("a token by DPoP, {how}"), seen, wrong.is_empty());
    }

    async fn by_certificate(&mut self, envoy: &Envoy, upstream: &Upstream) {
        let token = self.server.token_of_certificate("client.cert.pem").await;
        let none = "token_without_its_certificate";
        let other = "token_of_other_certificate";
        for (certificate, how, wanted) in [
            (Some("client.cert.pem"), "with its certificate, over TLS", (200, "via_upstream")),
            (None, "without a certificate", (401, none)),
            (Some("renewed.cert.pem"), "with another of the same name, key and authority", (401, other)),
            (Some("impostor.cert.pem"), "with another of the same name, by another authority", (401, other)),
        ] {
            let forwarded = upstream.requests();
            let mut seen = Vec::new();
            for strategy in STRATEGIES {
                let path = format!("/{strategy}/{}", certificate.unwrap_or("none"));
                let curl = Curl::new(envoy.address(), &path).bearer(&token);
                let (status, _) = match certificate {
                    Some(certificate) => curl.showing(certificate).send().await,
                    None => curl.send().await,
                };
                let line = envoy.access_log_line(&format!("{path} ")).await;
                seen.push((status, line.rsplit(' ').next().expect("details").to_owned()));
            }
            let forwarded = upstream.requests() - forwarded;
            let is_right = seen.iter().all(|(status, reason)| (*status, reason.as_str()) == wanted)
                && forwarded == if wanted.0 == 200 { STRATEGIES.len() } else { 0 };
            let check = format!("a token by certificate (RFC 8705), {how}");
            let as_wanted = format!("{} {}", wanted.0, wanted.1);
            self.row(check, if is_right { as_wanted } else { format!("{seen:?}") }, is_right);
        }
    }
}

/// Whether a request has passed, with a token that is bound to nothing and no proof where the token is ours.
fn passed(strategy: &str, answer: &Value, session: &Session) -> bool {
    let echo: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
    let authorization = echo["headers"]["authorization"][0].as_str().unwrap_or_default();
    let is_original = authorization.ends_with(&session.token);
    let has_proof = echo["headers"]["dpop"].is_array();
    let is_bound = claims(authorization)["cnf"].is_object();
    let is_ours = strategy == "phantom_token";
    answer["status"] == 200 && [is_original, has_proof, is_bound].iter().all(|it| *it != is_ours)
}

fn claims(jwt: &str) -> Value {
    let claims = jwt.split('.').nth(1).unwrap_or_default();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(claims).unwrap_or_default()).unwrap_or_default()
}

/// All that a proof for this token needs, but for the key.
fn proof(signer: &Signer, token: &str, url: &str) -> String {
    let mut jwk = signer.jwk();
    jwk.as_object_mut().expect("a JWK").retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
    let header = json!({"typ": "dpop+jwt", "alg": signer.alg, "jwk": jwk});
    let ath = encode(&Sha256::digest(token));
    signer.sign(&header, &json!({"jti": url, "htm": "GET", "htu": url, "iat": now(), "ath": ath}))
}
