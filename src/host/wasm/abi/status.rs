//! How the host answers a call.

/// Why the host did not do what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Status {
    BadArgument,
    CasMismatch,
    Empty,
    InternalFailure,
    NotFound,
    SerializationFailure,
    /// What no call of ours is known to give.
    Unexpected,
}

pub(super) fn check(status: u32) -> Result<(), Status> {
    Err(match status {
        0 => return Ok(()),
        1 => Status::NotFound,
        2 => Status::BadArgument,
        3 => Status::SerializationFailure,
        7 => Status::Empty,
        8 => Status::CasMismatch,
        10 => Status::InternalFailure,
        _ => Status::Unexpected,
    })
}
