//! Threads that own what they open.
//!
//! A JavaScript Worker is a thread, and may end at any instruction: by an error, by
//! `terminate()`. Its handles would stay open, because the table of handles belongs to
//! the process; its listener would even go on taking its share of the connections, which
//! no thread would accept. So a thread can own what it opens: its handles are closed when
//! the thread ends, for any reason.
//!
//! Other threads may know the number of such a handle. They find it closed, as if its owner
//! had closed it; a clone that they have made is theirs.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sync::thread_state;

/// The number of a thread that owns what it opens, or [`NOBODY`].
pub type Owner = u32;

/// The owner of handles that belong to the process: their threads own nothing.
pub const NOBODY: Owner = 0;

/// A function and the number to call it with.
type Call = (fn(Owner), Owner);

/// Makes its call at the thread's end.
struct AtEnd(Cell<Option<Call>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some((close_all, owner)) = self.0.get() {
            close_all(owner);
        }
    }
}

thread_state! {
    static OWNER: Cell<Owner> = Cell::new(NOBODY);
    static AT_END: AtEnd = AtEnd(Cell::new(None));
}

/// The owner of a handle that this thread opens.
pub fn current() -> Owner {
    OWNER.with(Cell::get)
}

/// Makes this thread the owner of what it opens from now on, and returns its number. The
/// thread calls `close_all` with that number at its end.
pub fn own(close_all: fn(Owner)) -> Owner {
    static NEXT: AtomicU32 = AtomicU32::new(NOBODY + 1);
    if current() != NOBODY {
        return current();
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    OWNER.with(|owner| owner.set(number));
    // Fails only at the thread's end, when nothing is left to own.
    let _ = AT_END.try_with(|at_end| at_end.0.set(Some((close_all, number))));
    number
}
