//! What access logs can say of a request, by the names that they have for it.

use std::borrow::Cow;

use crate::filter::Description;

/// What is said, each under its name in access logs: `%FILTER_STATE(wasm.phantom_token.outcome:PLAIN)%`.
pub(in crate::host) fn texts(
    description: &Description,
) -> impl Iterator<Item = (&'static str, Cow<'_, [u8]>)> {
    let Description { outcome, policy, cache, provider, token, client_id, sub } = description;
    let texts = [
        ("wasm.phantom_token.outcome", Some(text(outcome))),
        ("wasm.phantom_token.policy", policy.as_deref().map(text)),
        ("wasm.phantom_token.cache", cache.map(text)),
        ("wasm.phantom_token.provider", provider.as_deref().map(text)),
        ("wasm.phantom_token.token", token.map(|token| Cow::Owned(token.to_string().into_bytes()))),
        ("wasm.phantom_token.client_id", client_id.as_deref().map(Cow::Borrowed)),
        ("wasm.phantom_token.sub", sub.as_deref().map(Cow::Borrowed)),
    ];
    texts.into_iter().filter_map(|(name, text)| Some((name, text?)))
}

fn text(text: &str) -> Cow<'_, [u8]> {
    text.as_bytes().into()
}
