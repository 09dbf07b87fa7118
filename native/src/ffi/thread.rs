//! The calling thread.

use crate::owner;

/// Has every handle that this thread opens from now on closed when the thread
/// ends, however it does: what a Worker calls first.
#[unsafe(no_mangle)]
pub extern "C" fn denio_thread_own() -> i32 {
    owner::own();
    0
}
