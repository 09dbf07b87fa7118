//! Threads as owners of handles.

use crate::source_table;

/// Makes this thread the owner of every handle that it opens from now on: they are closed
/// when the thread ends, for any reason. A Worker calls this first.
///
/// Returns the thread's number as an owner, 1 or more, which another thread may
/// give to [`denio_thread_end`].
#[unsafe(no_mangle)]
pub extern "C" fn denio_thread_own() -> i32 {
    i32::try_from(source_table::own_handles()).unwrap_or(i32::MAX)
}

/// Closes every handle that the thread with that number has opened: for a thread that never
/// returns to its event loop, and so cannot be ended.
///
/// Returns 0, also when there is no such thread.
#[unsafe(no_mangle)]
pub extern "C" fn denio_thread_end(owner: u32) -> i32 {
    source_table::remove_all(owner);
    0
}
