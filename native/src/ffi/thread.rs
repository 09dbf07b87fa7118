//! The calling thread, and what ends with one.

use crate::owner;

/// Has every handle that this thread opens from now on closed when the thread
/// ends, however it does: what a Worker calls first.
///
/// Returns the thread's number as an owner, 1 or more, which another thread may
/// give to [`denio_thread_end`].
#[unsafe(no_mangle)]
pub extern "C" fn denio_thread_own() -> i32 {
    i32::try_from(owner::own()).unwrap_or(i32::MAX)
}

/// Closes every handle that the thread of that number has opened: for a thread
/// that cannot be ended, since it never returns to its event loop.
///
/// Returns 0, also when there is no such thread.
#[unsafe(no_mangle)]
pub extern "C" fn denio_thread_end(owner: u32) -> i32 {
    owner::end(owner);
    0
}
