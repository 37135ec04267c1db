//! `client_certificate`: where clients' certificates are learned from (RFC 8705).

use super::defaults;
use super::reader::{Refused, Section};
use crate::sender_constrained::ClientCertificate;

/// Where clients' certificates are learned from.
pub(super) fn client_certificate(root: &Section<'_>) -> Result<ClientCertificate, Refused> {
    let section = root.section("client_certificate", &["from", "xfcc_element"])?;
    let is_forwarded = match section.get("from") {
        Some(from) => from.one_of(&[("connection", false), ("xfcc", true)])?,
        None => defaults::CERTIFICATE_IS_FORWARDED,
    };
    let element = section.count("xfcc_element", defaults::XFCC_ELEMENT, 0..=MAX_ELEMENT);
    if !is_forwarded {
        if element != defaults::XFCC_ELEMENT {
            return Err(section.error("xfcc_element", "expected none without `from: xfcc`, got one"));
        }
        return Ok(ClientCertificate::Connection);
    }
    Ok(ClientCertificate::Forwarded { element: element as usize })
}

/// Nobody has so many proxies in front.
const MAX_ELEMENT: u32 = 15;
