//! The members of a reply: what is read of them is read the same from their flat form, and any bytes may stand there.
#![no_main]
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::claims::{Claims, ClaimsBuf};

fuzz_target!(|bytes: &[u8]| {
    if let Some(claims) = Claims::parse(bytes) {
        let _ = (claims.scopes().count(), claims.audiences().count(), claims.members());
    }
    let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(bytes) else { return };
    let Ok(claims) = ClaimsBuf::from_members(members.clone()) else { return };
    let view = Claims::parse(claims.as_bytes()).expect("what was written can be read");
    let kept: serde_json::Map<_, _> = members.into_iter().filter(|(_, value)| !value.is_null()).collect();
    assert_eq!(view.members().len(), kept.len(), "no member is lost");
    let again = ClaimsBuf::from_members(view.members()).expect("what was accepted is accepted");
    assert_eq!((view.exp, view.nbf, view.sub), (again.view().exp, again.view().nbf, again.view().sub));
    assert!(view.scopes().eq(again.view().scopes()) && view.audiences().eq(again.view().audiences()));
});
