//! Protected resource metadata (RFC 9728): where a client that knows nothing learns where to get a token.

use std::ops::Range;

use crate::challenge::Answer;
use crate::request::{RequestView, host_of};
use crate::target::Host;

/// A resource that tells about itself.
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    /// Where it is, and so where its metadata is.
    pub identifier: ResourceIdentifier,
    /// Its metadata (§2), as JSON.
    pub document: String,
}

/// A resource's identifier (§1.2), byte for byte as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceIdentifier {
    text: String,
    /// Where its host begins and ends there.
    authority: Range<usize>,
    /// What comes after the host in the URL of its metadata.
    metadata_target: String,
}

impl ResourceIdentifier {
    /// Reads an `https` URL without user, fragment and what Envoy would bring to another form; `http` on loopback only.
    /// Nothing in it ends a quoted string.
    pub fn new(text: &str) -> Option<Self> {
        let (scheme, after) = text.split_once("://")?;
        let rest = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, target) = after.split_at_checked(rest)?;
        let host = host_of(authority.as_bytes());
        let is_loopback = [&b"localhost"[..], b"127.0.0.1", b"[::1]"].contains(&host);
        let is_scheme = scheme == "https" || scheme == "http" && is_loopback;
        let is_target = target.bytes().all(|byte| {
            byte.is_ascii_graphic()
                && !matches!(byte, b'"' | b'\\' | b'#' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^')
        });
        let path = target.split('?').next().unwrap_or_default();
        let is_normal = !path.contains("//") && !path.split('/').any(|part| matches!(part, "." | ".."));
        let start = scheme.len() + 3;
        // A slash that only ends the host is no path.
        let of_metadata = target
            .strip_prefix('/')
            .filter(|rest| rest.is_empty() || rest.starts_with('?'))
            .unwrap_or(target);
        (is_scheme && Host::parse(authority).is_some() && is_target && is_normal && text.len() <= MAX_BYTES)
            .then(|| Self {
                text: text.to_owned(),
                authority: start..start + rest,
                metadata_target: [WELL_KNOWN, of_metadata].concat(),
            })
    }

    /// As it was configured.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The absolute URL of its metadata (§3.1).
    pub fn metadata_url(&self) -> String {
        [self.text.get(..self.authority.end).unwrap_or_default(), &self.metadata_target].concat()
    }

    /// The paths at which its metadata may be: its own, and that of a host's only resource.
    pub fn metadata_paths(&self) -> [&str; 2] {
        [self.metadata_target.split('?').next().unwrap_or_default(), WELL_KNOWN]
    }

    /// Whether a request for the metadata of the one may be for that of the other: schemes are not told apart.
    pub fn shares_metadata_place_with(&self, other: &Self) -> bool {
        self.metadata_target == other.metadata_target
            && (self.is_at(other.authority()) || other.is_at(self.authority()))
    }

    fn authority(&self) -> &[u8] {
        self.text.as_bytes().get(self.authority.clone()).unwrap_or_default()
    }

    fn is_at(&self, authority: &[u8]) -> bool {
        let default: &[u8] = if self.text.starts_with("https:") { b":443" } else { b":80" };
        let parts = |authority: &[u8]| {
            let host = host_of(authority);
            let port = authority.get(host.len()..).filter(|port| !port.is_empty()).unwrap_or(default);
            (host.to_ascii_lowercase(), port.to_vec())
        };
        parts(self.authority()) == parts(authority)
    }
}

/// Whether it can be the issuer of an authorization server (RFC 8414 §2): a URL like those of resources, without query.
pub fn is_issuer(text: &str) -> bool {
    !text.contains('?') && ResourceIdentifier::new(text).is_some()
}

/// The resource whose metadata a request for `target` is for: by host and path, and at the root form that of the host's
/// only one.
pub fn of_target<'r>(
    resources: &'r [ProtectedResource],
    target: &[u8],
    request: &dyn RequestView,
) -> Option<&'r ProtectedResource> {
    if resources.is_empty() {
        return None;
    }
    let target = target.split(|&byte| byte == b'#').next()?;
    let path = target.split(|&byte| byte == b'?').next()?;
    if !path.starts_with(WELL_KNOWN.as_bytes()) {
        return None;
    }
    let authority = request.header(":authority")?;
    let here: Vec<_> = resources.iter().filter(|resource| resource.identifier.is_at(&authority)).collect();
    let named = |wanted: &[u8]| {
        here.iter().find(|resource| resource.identifier.metadata_target.as_bytes() == wanted).copied()
    };
    named(target).or_else(|| named(path)).or_else(|| match here[..] {
        [only] if path == WELL_KNOWN.as_bytes() => Some(only),
        _ => None,
    })
}

impl ProtectedResource {
    /// What a request for the metadata is answered (§3.2). Scripts of any origin may read it: it is public.
    pub fn answer(&self, request: &dyn RequestView) -> Answer {
        let (status, mut headers, body, details) = match request.header(":method").as_deref() {
            Some(b"GET" | b"HEAD") => (
                200,
                vec![("content-type", "application/json"), ("cache-control", "public, max-age=300")],
                self.document.clone(),
                "protected_resource",
            ),
            Some(b"OPTIONS") => (
                204,
                vec![
                    ("access-control-allow-methods", "GET, HEAD"),
                    ("access-control-allow-headers", "*"),
                    ("access-control-max-age", "3600"),
                ],
                String::new(),
                "protected_resource_preflight",
            ),
            _ => (
                405,
                vec![("allow", "GET, HEAD, OPTIONS")],
                String::new(),
                "protected_resource_method_not_allowed",
            ),
        };
        headers.push(("access-control-allow-origin", "*"));
        Answer {
            status,
            headers: headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect(),
            body,
            details,
            grpc_status: 12, // UNIMPLEMENTED: the metadata is no gRPC method.
            grpc_message: "not a gRPC method",
        }
    }
}

/// Longest identifier: it goes into a header of each refusal.
const MAX_BYTES: usize = 1024;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_path_goes_before_path_and_query() {
        for (resource, url) in [
            ("https://a.example", "https://a.example/.well-known/oauth-protected-resource"),
            ("https://a.example/", "https://a.example/.well-known/oauth-protected-resource"),
            ("https://a.example/v1", "https://a.example/.well-known/oauth-protected-resource/v1"),
            ("https://a.example/v1/", "https://a.example/.well-known/oauth-protected-resource/v1/"),
            ("https://a.example/v1?a=b", "https://a.example/.well-known/oauth-protected-resource/v1?a=b"),
            ("https://a.example?a=b", "https://a.example/.well-known/oauth-protected-resource?a=b"),
            ("https://a.example/?a=b", "https://a.example/.well-known/oauth-protected-resource?a=b"),
            ("https://a.example:8443/v1", "https://a.example:8443/.well-known/oauth-protected-resource/v1"),
            ("https://a.example:443", "https://a.example:443/.well-known/oauth-protected-resource"),
            ("https://A.Example/V1", "https://A.Example/.well-known/oauth-protected-resource/V1"),
            ("https://[2001:db8::1]/v1", "https://[2001:db8::1]/.well-known/oauth-protected-resource/v1"),
            ("http://[::1]:80/m", "http://[::1]:80/.well-known/oauth-protected-resource/m"),
        ] {
            assert_eq!(ResourceIdentifier::new(resource).unwrap().metadata_url(), url);
        }
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        for text in [
            "",
            "a.example",
            "http://a.example",
            "HTTPS://a.example",
            "https://",
            "https:///v1",
            "https://u@a.example",
            "https://a.example#f",
            "https://a.example/\"",
            "https://a.example/\r\nx: y",
            "https://a.example/a b",
            "https://a.example//v1",
            "https://a.example/a/../b",
            "https://a.example:x",
            "https://a.example:",
            "https://a.example:65536",
            "https://[]",
            "https://::1",
        ] {
            assert_eq!(ResourceIdentifier::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_issuer_is_a_url_without_query_and_fragment() {
        for (text, is_one) in [
            ("https://as.example", true),
            ("https://as.example/", true),
            ("https://as.example:8443/realms/main", true),
            ("http://127.0.0.1:9000", true),
            ("http://as.example", false),
            ("https://as.example?a=b", false),
            ("https://as.example/?", false),
            ("https://as.example/#f", false),
            ("urn:as", false),
            ("as.example", false),
        ] {
            assert_eq!(is_issuer(text), is_one, "{text}");
        }
    }

    #[test]
    fn an_identifier_is_at_its_host_and_port_only() {
        for (resource, authority, is_at) in [
            ("https://a.example/v1", "A.EXAMPLE", true),
            ("https://a.example/v1", "a.example:443", true),
            ("https://a.example:443", "a.example", true),
            ("https://a.example", "a.example:80", false),
            ("https://a.example", "b.example", false),
            ("https://a.example:8443", "a.example", false),
            ("https://[::1]:8443", "[::1]:8443", true),
            ("https://a.example", "", false),
        ] {
            let identifier = ResourceIdentifier::new(resource).unwrap();
            assert_eq!(identifier.is_at(authority.as_bytes()), is_at, "{resource} {authority}");
        }
    }
}
