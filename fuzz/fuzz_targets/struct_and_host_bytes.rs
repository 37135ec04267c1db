//! What the host hands over: `google.protobuf.Struct`, pairs of headers, messages of a mailbox, replies to polls.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| phantom_token_filter::fuzzing::host_bytes(bytes));
