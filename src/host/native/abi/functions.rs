//! Envoy's functions that we call, found by name in the program that has loaded us.
//!
//! They are in no library: the crate is also linked into tests and the tool, which have none of them. So they are looked up
//! once, and an Envoy that lacks one is told which.

#![expect(unsafe_code, reason = "functions by name, and tables of them")]

use std::ffi::CString;
use std::mem::transmute_copy;
use std::ptr;
use std::sync::OnceLock;

use super::types::{EnvoyBuffer, ModuleBuffer, ModuleHeader, Pointer};

/// Declares the table and how it is filled.
macro_rules! functions {
    ($($(#[$about:meta])* $name:ident($($argument:ty),*) $(-> $result:ty)?;)+) => {
        /// The functions, each by the end of its name.
        #[derive(Clone, Copy)]
        pub(super) struct Functions {
            $($(#[$about])* pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)+
        }

        impl Functions {
            fn find() -> Result<Self, String> {
                Ok(Self {
                    $($name: {
                        let address = address(stringify!($name)).ok_or(stringify!($name))?;
                        // SAFETY: a pointer to the function of this name, whose type is that of the ABI's header at v0.1.0
                        // and v0.2.0, which are the same here.
                        unsafe { transmute_copy::<Address, unsafe extern "C" fn($($argument),*) $(-> $result)?>(&address) }
                    },)+
                })
            }
        }
    };
}

functions! {
    get_concurrency() -> u32;
    http_clear_route_cache(Pointer);
    http_filter_config_decrement_gauge(Pointer, usize, *const ModuleBuffer, usize, u64) -> u32;
    http_filter_config_define_counter(Pointer, ModuleBuffer, *const ModuleBuffer, usize, *mut usize) -> u32;
    http_filter_config_define_gauge(Pointer, ModuleBuffer, *const ModuleBuffer, usize, *mut usize) -> u32;
    http_filter_config_define_histogram(Pointer, ModuleBuffer, *const ModuleBuffer, usize, *mut usize) -> u32;
    http_filter_config_http_callout(Pointer, *mut u64, ModuleBuffer, *const ModuleHeader, usize, ModuleBuffer, u64) -> u32;
    http_filter_config_increment_counter(Pointer, usize, *const ModuleBuffer, usize, u64) -> u32;
    http_filter_config_increment_gauge(Pointer, usize, *const ModuleBuffer, usize, u64) -> u32;
    http_filter_config_reset_http_stream(Pointer, u64);
    http_filter_config_record_histogram_value(Pointer, usize, *const ModuleBuffer, usize, u64) -> u32;
    http_filter_config_scheduler_commit(Pointer, u64);
    http_filter_config_scheduler_delete(Pointer);
    http_filter_config_scheduler_new(Pointer) -> Pointer;
    http_filter_config_set_gauge(Pointer, usize, *const ModuleBuffer, usize, u64) -> u32;
    http_filter_config_start_http_stream(Pointer, *mut u64, ModuleBuffer, *const ModuleHeader, usize, ModuleBuffer, bool, u64) -> u32;
    http_filter_config_stream_send_data(Pointer, u64, ModuleBuffer, bool) -> bool;
    http_filter_continue_decoding(Pointer);
    http_filter_get_attribute_string(Pointer, u32, *mut EnvoyBuffer) -> bool;
    http_filter_get_worker_index(Pointer) -> u32;
    http_filter_scheduler_commit(Pointer, u64);
    http_filter_scheduler_delete(Pointer);
    http_filter_scheduler_new(Pointer) -> Pointer;
    http_get_body_chunks(Pointer, u32, *mut EnvoyBuffer) -> bool;
    http_get_body_chunks_size(Pointer, u32) -> usize;
    http_get_body_size(Pointer, u32) -> usize;
    http_get_cluster_name(Pointer, *mut EnvoyBuffer) -> bool;
    http_get_header(Pointer, u32, ModuleBuffer, *mut EnvoyBuffer, usize, *mut usize) -> bool;
    http_get_metadata_keys(Pointer, u32, ModuleBuffer, *mut EnvoyBuffer) -> bool;
    http_get_metadata_keys_count(Pointer, u32, ModuleBuffer) -> usize;
    http_get_metadata_string(Pointer, u32, ModuleBuffer, ModuleBuffer, *mut EnvoyBuffer) -> bool;
    http_send_response(Pointer, u32, *const ModuleHeader, usize, ModuleBuffer, ModuleBuffer);
    http_set_filter_state_bytes(Pointer, ModuleBuffer, ModuleBuffer) -> bool;
    http_set_header(Pointer, u32, ModuleBuffer, ModuleBuffer) -> bool;
    is_validation_mode() -> bool;
    log(u32, ModuleBuffer);
    log_enabled(u32) -> bool;
}

/// Where a function is.
type Address = ptr::NonNull<libc::c_void>;

/// The functions, if all are there.
pub(super) fn functions() -> Option<&'static Functions> {
    found().as_ref().ok()
}

/// What the program lacks, if anything.
pub(in super::super) fn lacks() -> Option<&'static str> {
    found().as_ref().err().map(String::as_str)
}

fn found() -> &'static Result<Functions, String> {
    static FOUND: OnceLock<Result<Functions, String>> = OnceLock::new();
    FOUND.get_or_init(Functions::find)
}

/// The version of the ABI that the program has, of those that were tested, by what came with the second.
pub(in super::super) fn abi_version() -> &'static std::ffi::CStr {
    if address("log_v2").is_some() { c"v0.2.0" } else { c"v0.1.0" }
}

/// Has the loader keep this module for as long as the program runs. Envoy would let go of it with its last configuration, perhaps
/// on a thread of the module's own.
pub(in super::super) fn stay_loaded() {
    let mut found = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    // SAFETY: the address lies in this module; the loader writes where it found that, in text of its own, and loads nothing anew.
    unsafe {
        let here = stay_loaded as fn() as *const libc::c_void;
        if libc::dladdr(here, &raw mut found) != 0 {
            libc::dlopen(found.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}

fn address(name: &str) -> Option<Address> {
    let name = CString::new(["envoy_dynamic_module_callback_", name].concat()).ok()?;
    // SAFETY: the name ends with a zero, and nothing is done with what is found.
    Address::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
}
