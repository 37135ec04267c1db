//! Tokens that are bound to certificates (RFC 8705), in real Envoy with real TLS: who has the token and not the certificate
//! does not pass, wherever the certificate was seen.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::rig::{
    ROOT,
    answer::Answer,
    bootstrap::Bootstrap,
    browser::form,
    envoy::Envoy,
    gateway::{Gateway, plugin},
    https::{self, Request},
    oauth_client::{basic, text},
    oidc_provider::OidcProvider,
};

/// `x5t#S256` of a certificate of `tests/keys`.
fn thumbprint(certificate: &str) -> String {
    let pem = std::fs::read_to_string(format!("{ROOT}/tests/keys/{certificate}")).expect(certificate);
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Base64UrlUnpadded::encode_string(&Sha256::digest(Base64::decode_vec(&lines).expect("base64")))
}

/// A gateway whose token `bound` is bound to `client.cert.pem`, and `free` to nothing.
async fn gateway(patch: Value, of_envoy: impl FnOnce(Bootstrap) -> Bootstrap) -> Gateway {
    let mut plugin = plugin().await;
    for (key, value) in patch.as_object().expect("keys") {
        plugin[key] = value.clone();
    }
    let gateway = Gateway::with(plugin, of_envoy).await;
    let cnf = json!({"x5t#S256": thumbprint("client.cert.pem")});
    gateway.server.answer("bound", Answer::active(json!({"cnf": cnf})));
    gateway.server.answer("free", Answer::active(json!({})));
    let cnf = json!({"x5t#S256": thumbprint("tls.cert.pem")});
    gateway.server.answer("of-self-signed", Answer::active(json!({"cnf": cnf})));
    gateway
}

fn with(token: &str, path: &str, certificate: Option<&str>) -> Request {
    let request = Request::get(path).bearer(token);
    match certificate {
        Some(certificate) => request.showing(certificate, "ec256.pem"),
        None => request,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_passes_with_its_certificate_and_with_no_other() {
    let gateway = gateway(json!({}), Bootstrap::tls).await;
    let cases = [
        ("/client", "bound", Some("client.cert.pem"), None),
        ("/none", "bound", None, Some("token_without_its_certificate")),
        // The same name and key, by another authority.
        ("/impostor", "bound", Some("impostor.cert.pem"), Some("token_of_other_certificate")),
        // The same name, key and authority.
        ("/renewed", "bound", Some("renewed.cert.pem"), Some("token_of_other_certificate")),
        ("/self-signed", "of-self-signed", Some("tls.cert.pem"), None),
        ("/self-signed/other", "of-self-signed", Some("client.cert.pem"), Some("token_of_other_certificate")),
        ("/free", "free", Some("client.cert.pem"), None),
        ("/free/none", "free", None, None),
    ];
    // By a call, and by the cache.
    for round in ["first", "again"] {
        let requests: Vec<Request> = cases
            .iter()
            .map(|(path, token, certificate, _)| with(token, &format!("{path}/{round}"), *certificate))
            .collect();
        let answers = https::send_all(gateway.envoy.address(), &requests).await;
        for ((path, _, _, reason), answered) in cases.iter().zip(answers) {
            let line = gateway.envoy.access_log_line(&format!("{path}/{round} ")).await;
            match reason {
                None => {
                    let jwt = answered.reply.echoed_bearer();
                    let claims = jwt.split('.').nth(1).expect("claims");
                    let claims = Base64UrlUnpadded::decode_vec(claims).expect("base64url");
                    let claims: Value = serde_json::from_slice(&claims).expect("claims");
                    assert_eq!(claims.get("cnf"), None, "{path}: ours is bound to nothing");
                }
                Some(reason) => {
                    assert_eq!(answered.reply.status, 401, "{path}");
                    assert!(line.ends_with(reason), "{line}");
                    let challenge = answered.reply.header("www-authenticate").expect("a challenge");
                    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
                }
            }
        }
    }
    assert_eq!(gateway.upstream.requests(), 2 * 4, "none of the others was forwarded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_oidc_provider_has_bound_to_a_certificate_passes_with_it_alone() {
    let server = OidcProvider::start().await;
    let pem = std::fs::read_to_string(format!("{ROOT}/tests/keys/client.cert.pem")).expect("a certificate");
    let pem: String = form_urlencoded::byte_serialize(pem.as_bytes()).collect();
    let grant = form("/token", &[("grant_type", "client_credentials"), ("scope", "read")])
        .header("authorization", basic("app-mtls", "app-mtls-secret"))
        .header("x-client-cert", pem.replace('+', "%20"));
    let token = text(&grant.send(server.address()).await.json(), "access_token");
    let said = server.introspect(&token).await;
    assert_eq!(said["cnf"], json!({"x5t#S256": thumbprint("client.cert.pem")}), "{said}");
    let gateway = Gateway::with_oidc_provider(server, plugin().await, Bootstrap::tls).await;
    for (certificate, status) in [
        (Some("client.cert.pem"), 200),
        (Some("impostor.cert.pem"), 401),
        (None, 401),
        (Some("client.cert.pem"), 200),
    ] {
        let reply = https::send(gateway.envoy.address(), with(&token, "/", certificate)).await;
        assert_eq!(reply.status, status, "{certificate:?}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_counts_in_every_version_of_tls_and_when_sessions_are_resumed() {
    let gateway = gateway(json!({}), Bootstrap::tls).await;
    for version in ["TLSv1.2", "TLSv1.3"] {
        let own = with("bound", "/", Some("client.cert.pem")).version(version);
        let answers = https::send_all(gateway.envoy.address(), &[own.clone(), own.clone(), own]).await;
        assert!(answers.iter().all(|it| it.protocol == version && it.reply.status == 200), "{answers:?}");
        assert!(answers.iter().any(|it| it.is_resumed), "no session was resumed: {answers:?}");
        let other = with("bound", "/", Some("renewed.cert.pem")).version(version);
        let answers = https::send_all(gateway.envoy.address(), &[other.clone(), other]).await;
        assert!(answers.iter().all(|it| it.reply.status == 401), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_header_is_no_certificate() {
    let gateway = gateway(json!({}), Bootstrap::tls).await;
    let hash = hex(&thumbprint("client.cert.pem"));
    let forged = with("bound", "/", None).header("x-forwarded-client-cert", &format!("Hash={hash}"));
    assert_eq!(https::send(gateway.envoy.address(), forged).await.status, 401);
}

/// What the filter makes of a token behind another Envoy, to which clients connect with TLS: with its certificate, with
/// another, with none, and with none but a forged header.
async fn behind_a_proxy(details: &'static str, is_mutual: bool, element: u32) -> Vec<(u16, String)> {
    let from = json!({"client_certificate": {"from": "xfcc", "xfcc_element": element}});
    let of_envoy = |envoy: Bootstrap| envoy.forwards_certificates(details);
    let gateway =
        gateway(from, |envoy| if is_mutual { of_envoy(envoy).tls() } else { of_envoy(envoy) }).await;
    let edge = Bootstrap::without_filter().cluster("upstream", gateway.envoy.address());
    let edge =
        if is_mutual { edge.over_tls("as.example").showing("tls.cert.pem", "ec256.pem") } else { edge };
    let edge: Envoy = edge.tls().forwards_certificates("SANITIZE_SET").start().await;
    let hash = hex(&thumbprint("client.cert.pem"));
    let forged = format!("Hash={hash}");
    let requests = [
        with("bound", "/own", Some("client.cert.pem")),
        with("bound", "/other", Some("renewed.cert.pem")),
        with("bound", "/none", None),
        with("bound", "/forged", None).header("x-forwarded-client-cert", &forged),
        with("bound", "/forged/beside", Some("renewed.cert.pem")).header("x-forwarded-client-cert", &forged),
    ];
    let mut seen = Vec::new();
    for (request, path) in requests.into_iter().zip(["/own", "/other", "/none", "/forged", "/forged/beside"])
    {
        let reply = https::send(edge.address(), request).await;
        let line = gateway.envoy.access_log_line(&format!("{path} ")).await;
        seen.push((reply.status, line.rsplit(' ').next().expect("details").to_owned()));
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_that_writes_the_header_its_clients_certificate_counts() {
    let none = || (401, "token_without_its_certificate".to_owned());
    let other = || (401, "token_of_other_certificate".to_owned());
    let passes = || (200, "via_upstream".to_owned());
    let well = || vec![passes(), other(), none(), none(), other()];
    for (details, is_mutual, element, wanted) in [
        // The default, and what says nothing without TLS between the two.
        ("SANITIZE", false, 0, vec![none(); 5]),
        ("FORWARD_ONLY", false, 0, vec![none(); 5]),
        ("ALWAYS_FORWARD_ONLY", false, 0, well()),
        ("FORWARD_ONLY", true, 0, well()),
        // Where the proxy says nothing of its client, the first element is the proxy's own.
        ("APPEND_FORWARD", true, 0, vec![passes(), other(), other(), other(), other()]),
        ("APPEND_FORWARD", true, 1, vec![other(), other(), none(), none(), other()]),
        ("SANITIZE_SET", true, 0, vec![other(); 5]),
    ] {
        let seen = behind_a_proxy(details, is_mutual, element).await;
        assert_eq!(seen, wanted, "{details}, element {element}");
    }
}

fn hex(thumbprint: &str) -> String {
    let bytes = Base64UrlUnpadded::decode_vec(thumbprint).expect("base64url");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
