//! This library's own place in memory: `dlopen(3)`.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Once;

/// Keeps this library in memory until the process ends.
///
/// Deno closes its libraries when a program ends, while a thread of the library may
/// still wait: without the code, that thread's next instruction would be a crash.
/// Linked into a program of its own this function does nothing.
pub fn keep_loaded() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let here = keep_loaded as fn() as *const c_void;
        let mut found = MaybeUninit::<libc::Dl_info>::uninit();
        // SAFETY: any address may be asked for, and `found` is writable.
        if unsafe { libc::dladdr(here, found.as_mut_ptr()) } == 0 {
            return;
        }
        // SAFETY: dladdr has found the address, and filled it.
        let found = unsafe { found.assume_init() };
        let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
        // SAFETY: the loader itself gave this name of a library that is loaded.
        unsafe { libc::dlopen(found.dli_fname, flags) };
    });
}
