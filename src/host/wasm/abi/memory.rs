//! Memory that the host writes into.

#![expect(unsafe_code, reason = "the host writes where pointers say")]

use std::alloc::{Layout, alloc};
use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::{ptr, slice};

use super::status::{Status, check};

/// What a call gives back, read into memory that is there already.
///
/// A call that gives bytes costs a microsecond, whatever it gives: the host asks us for memory first.
pub(in super::super) struct Given {
    bytes: Bytes,
    _not_send: PhantomData<*const ()>,
}

enum Bytes {
    /// There is no more than this.
    Boxed(Box<[u8]>),
    /// So much of [`ROOM`], which is ours.
    InRoom(usize),
}

impl Given {
    /// What `call` gives back.
    ///
    /// # Safety
    ///
    /// `call` asks `proxy_on_memory_allocate` for as many bytes as it says, once at most, and writes them all.
    pub(super) unsafe fn by(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Self, Status> {
        let (mut data, mut size) = (ptr::null_mut(), 0);
        ROOM.with(|room| room.is_open.set(!room.is_taken.get()));
        let status = check(call(&raw mut data, &raw mut size));
        ROOM.with(|room| room.is_open.set(false));
        status?;
        let bytes = if ROOM.with(|room| room.bytes.get().cast() == data) {
            ROOM.with(|room| room.is_taken.set(true));
            Bytes::InRoom(size.min(ROOM_BYTES))
        } else {
            // SAFETY: what our caller promises, and not in the room.
            Bytes::Boxed(unsafe { taken(data, size) }.unwrap_or_default().into_boxed_slice())
        };
        Ok(Self { bytes, _not_send: PhantomData })
    }

    pub(in super::super) fn as_bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Boxed(bytes) => bytes,
            // SAFETY: the host has written so much, and nobody writes while the room is taken, which is as long as
            // `self` lives. The room itself lives as long as the VM.
            Bytes::InRoom(size) => ROOM.with(|room| unsafe {
                slice::from_raw_parts(room.bytes.get().cast::<u8>().cast_const(), *size)
            }),
        }
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if let Bytes::InRoom(_) = self.bytes {
            ROOM.with(|room| room.is_taken.set(false));
        }
    }
}

/// What the host has written into memory that it asked for; `None` if that is nothing.
///
/// # Safety
///
/// `data` is null, or was allocated by `proxy_on_memory_allocate` for `size` bytes, outside the room, is written all
/// over and belongs to nobody else.
pub(super) unsafe fn taken(data: *mut u8, size: usize) -> Option<Vec<u8>> {
    // SAFETY: allocated with this very layout.
    (!data.is_null()).then(|| unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Memory for one [`Given`] at a time.
struct Room {
    bytes: UnsafeCell<[u8; ROOM_BYTES]>,
    is_taken: Cell<bool>,
    /// Whether the next allocation is made in it.
    is_open: Cell<bool>,
}

thread_local! {
    static ROOM: Room = const {
        Room {
            bytes: UnsafeCell::new([0; ROOM_BYTES]),
            is_taken: Cell::new(false),
            is_open: Cell::new(false),
        }
    };
}

/// More than the headers of most requests take.
const ROOM_BYTES: usize = 16 << 10;

/// Where the host puts what a call gives back.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    if size <= ROOM_BYTES && ROOM.with(|room| room.is_open.replace(false)) {
        return ROOM.with(|room| room.bytes.get().cast());
    }
    match Layout::array::<u8>(size) {
        // SAFETY: the size is not zero.
        Ok(layout) if size > 0 => unsafe { alloc(layout) },
        _ => ptr::null_mut(),
    }
}
