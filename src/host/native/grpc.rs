//! Calls and streams by gRPC, over streams of HTTP/2 that Envoy opens for a configuration: it lends modules no gRPC of its own.
//! What is said on the wire: `PROTOCOL-HTTP2.md` of gRPC.

use std::collections::HashMap;

use crate::filter::CallId;
use crate::grpc::{GrpcCall, GrpcStatus};

/// Calls and streams that are open, by Envoy's numbers.
#[derive(Default)]
pub(super) struct OpenCalls(HashMap<u64, Open>);

struct Open {
    worker: usize,
    id: CallId,
    /// A stream goes on after a message; a call ends with it.
    is_stream: bool,
    /// What has come and is not whole yet.
    received: Vec<u8>,
    status: Option<GrpcStatus>,
}

/// A message, or that one was too long.
type Message = Option<Vec<u8>>;

impl OpenCalls {
    pub(super) fn opened(&mut self, stream: u64, worker: usize, id: CallId, is_stream: bool) {
        self.0.insert(stream, Open { worker, id, is_stream, received: Vec::new(), status: None });
    }

    /// Envoy's number for a stream.
    pub(super) fn stream(&self, worker: usize, id: CallId) -> Option<u64> {
        self.0.iter().find(|(_, open)| open.id == id && open.worker == worker).map(|(stream, _)| *stream)
    }

    /// Forgets a call; gives back whose it was, and how it ended.
    pub(super) fn remove(&mut self, stream: u64) -> Option<(usize, CallId, GrpcStatus)> {
        let Open { worker, id, status, .. } = self.0.remove(&stream)?;
        Some((worker, id, status.unwrap_or(GrpcStatus::UNAVAILABLE)))
    }

    /// Headers or trailers have come.
    pub(super) fn headers(&mut self, stream: u64, headers: &[(&[u8], &[u8])]) {
        let status = headers.iter().find(|(name, _)| *name == b"grpc-status");
        let status = status.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
        if let (Some(open), Some(status)) = (self.0.get_mut(&stream), status) {
            open.status = Some(GrpcStatus(status));
        }
    }

    /// Bytes have come: whose they are, and the messages that are whole by now. After one that is too long, nothing more is read.
    pub(super) fn data(&mut self, stream: u64, chunks: &[&[u8]]) -> Option<(usize, CallId, Vec<Message>)> {
        let open = self.0.get_mut(&stream)?;
        let (worker, id, is_stream) = (open.worker, open.id, open.is_stream);
        chunks.iter().for_each(|chunk| open.received.extend_from_slice(chunk));
        let (mut messages, mut unread) = (Vec::new(), &*open.received);
        let mut is_over = false;
        while let Some((message, rest)) = next_message(unread).filter(|_| !is_over) {
            is_over = message.is_none() || !is_stream;
            messages.push(message.map(<[u8]>::to_vec));
            unread = rest;
        }
        let read = open.received.len() - unread.len();
        open.received.drain(..read);
        if is_over {
            self.0.remove(&stream);
        }
        Some((worker, id, messages))
    }
}

/// The first message, if it is whole, and what follows it; `None` in it: it is too long, or compressed, which no call of ours
/// asks for.
fn next_message(received: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (&[is_compressed, a, b, c, d], rest) = received.split_first_chunk::<5>()?;
    let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if is_compressed != 0 || len > GrpcCall::MAX_MESSAGE_BYTES {
        return Some((None, rest));
    }
    let (message, rest) = rest.split_at_checked(len)?;
    Some((Some(message), rest))
}

/// A message as it is sent.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &len.to_be_bytes(), message].concat()
}

/// The headers of a call.
pub(super) fn headers<'c>(call: &'c GrpcCall, path: &'c str) -> Vec<(&'c str, &'c str)> {
    let own = [
        (":method", "POST"),
        (":path", path),
        (":authority", call.cluster.as_str()),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    own.into_iter().chain(call.metadata.iter().map(|(name, value)| (*name, value.as_str()))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let sent = [framed(b"first"), framed(b""), framed(b"third")].concat();
        for size in 1..=sent.len() {
            let mut calls = OpenCalls::default();
            calls.opened(7, 1, CallId(5), true);
            let mut found = Vec::new();
            for chunk in sent.chunks(size) {
                let (worker, id, messages) = calls.data(7, &[chunk]).unwrap();
                assert_eq!((worker, id), (1, CallId(5)));
                found.extend(messages);
            }
            let expected = [&b"first"[..], b"", b"third"].map(|it| Some(it.to_vec()));
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_call_ends_with_its_answer_and_a_stream_with_what_cannot_be_read() {
        let mut calls = OpenCalls::default();
        calls.opened(1, 0, CallId(1), false);
        assert_eq!(
            calls.data(1, &[&framed(b"answer"), &framed(b"more")]).unwrap().2,
            [Some(b"answer".to_vec())]
        );
        assert!(calls.stream(0, CallId(1)).is_none());
        for unreadable in [&[0, 0xff, 0xff, 0xff, 0xff][..], &[1, 0, 0, 0, 0]] {
            calls.opened(2, 0, CallId(2), true);
            assert_eq!(calls.data(2, &[unreadable]).unwrap().2, [None]);
            assert!(calls.stream(0, CallId(2)).is_none());
        }
    }

    #[test]
    fn a_call_without_a_status_was_unavailable() {
        let mut calls = OpenCalls::default();
        calls.opened(1, 0, CallId(1), true);
        calls.headers(1, &[(b":status", b"200")]);
        assert_eq!(calls.remove(1), Some((0, CallId(1), GrpcStatus::UNAVAILABLE)));
        calls.opened(1, 0, CallId(1), true);
        calls.headers(1, &[(b"grpc-status", b"11")]);
        assert_eq!(calls.remove(1), Some((0, CallId(1), GrpcStatus::OUT_OF_RANGE)));
        assert_eq!(calls.remove(1), None);
    }
}
