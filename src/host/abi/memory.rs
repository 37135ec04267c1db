//! Memory that the host writes into.

#![expect(unsafe_code, reason = "the host writes where pointers say")]

use std::alloc::{Layout, alloc};
use std::cell::{Cell, RefCell, UnsafeCell};
use std::marker::PhantomData;
use std::{ptr, slice};

use super::hostcalls::{MapType, check, proxy_get_header_map_value};

/// Values of request headers, read into memory that is there already: what a request of a known token needs is
/// read without an allocation. Everything lasts as long as the reader.
pub(in super::super) struct HeaderReader {
    /// Values that found no room.
    too_long: RefCell<Vec<Box<[u8]>>>,
    /// Whether the memory is ours; of two readers, the second allocates.
    has_room: bool,
    _not_send: PhantomData<*const ()>,
}

impl HeaderReader {
    pub(in super::super) fn new() -> Self {
        let has_room = ROOM.with(|room| !room.is_taken.replace(true));
        Self { too_long: RefCell::default(), has_room, _not_send: PhantomData }
    }

    /// The value of a header of the effective context's request.
    pub(in super::super) fn read(&self, name: &str) -> Option<&[u8]> {
        let (mut data, mut size) = (ptr::null_mut(), 0);
        let map = MapType::HttpRequestHeaders as u32;
        ROOM.with(|room| room.is_open.set(self.has_room));
        // SAFETY: the host asks `proxy_on_memory_allocate` for `size` bytes at `data` and writes them all.
        let status = unsafe {
            proxy_get_header_map_value(map, name.as_ptr(), name.len(), &raw mut data, &raw mut size)
        };
        ROOM.with(|room| room.is_open.set(false));
        check(status).ok()?;
        if data.is_null() {
            return Some(&[]);
        }
        if !ROOM.with(|room| room.contains(data)) {
            // SAFETY: allocated with this very layout, and given to nobody else.
            let bytes = unsafe { Vec::from_raw_parts(data, size, size) };
            self.too_long.borrow_mut().push(bytes.into_boxed_slice());
        }
        // SAFETY: the bytes were written. They are not written again while a reader lives that has the room, nor
        // moved or freed while the list lives that has the box, and both live as long as `self`.
        Some(unsafe { slice::from_raw_parts(data, size) })
    }
}

impl Drop for HeaderReader {
    fn drop(&mut self) {
        if self.has_room {
            ROOM.with(|room| {
                room.used.set(0);
                room.is_taken.set(false);
            });
        }
    }
}

/// Memory for one [`HeaderReader`] at a time.
struct Room {
    bytes: UnsafeCell<[u8; ROOM_BYTES]>,
    used: Cell<usize>,
    is_taken: Cell<bool>,
    /// Whether the next allocation is made in it.
    is_open: Cell<bool>,
}

impl Room {
    fn allocate(&self, size: usize) -> Option<*mut u8> {
        let start = self.used.get();
        let end = start.checked_add(size).filter(|end| self.is_open.get() && *end <= ROOM_BYTES)?;
        self.used.set(end);
        Some(self.bytes.get().cast::<u8>().wrapping_add(start))
    }

    fn contains(&self, data: *const u8) -> bool {
        data.addr().wrapping_sub(self.bytes.get().addr()) < ROOM_BYTES
    }
}

thread_local! {
    static ROOM: Room = const {
        Room {
            bytes: UnsafeCell::new([0; ROOM_BYTES]),
            used: Cell::new(0),
            is_taken: Cell::new(false),
            is_open: Cell::new(false),
        }
    };
}

/// More than the path and the token of most requests have.
const ROOM_BYTES: usize = 8 << 10;

/// Where the host puts what a call gives back.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    match (ROOM.with(|room| room.allocate(size)), Layout::array::<u8>(size)) {
        (Some(room), _) => room,
        // SAFETY: the size is not zero.
        (None, Ok(layout)) if size > 0 => unsafe { alloc(layout) },
        _ => ptr::null_mut(),
    }
}
