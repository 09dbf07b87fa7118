//! Threads that own what they open.
//!
//! A Worker of JavaScript's is a thread, and may end at any instruction: by an
//! error, by `terminate()`. What it has open would stay open, for the table of
//! handles is the process's; a listener of it would even go on taking its share
//! of the connections, and nobody would accept them. So a thread can say that
//! it owns what it opens: then all of that is closed when the thread is over,
//! however it ends.
//!
//! The number of a handle may be known to others. They find it closed, as when
//! its owner had closed it; a clone that they have made is theirs.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::source_table;
use crate::sync::thread_state;

/// The number of a thread that owns what it opens, or [`NOBODY`].
pub type Owner = u32;

/// What a thread opens that owns nothing belongs to the process.
pub(crate) const NOBODY: Owner = 0;

/// Closes what its thread has opened, at the thread's end.
struct AtEnd(Cell<Owner>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        source_table::remove_all(self.0.get());
    }
}

thread_state! {
    static OWNER: Cell<Owner> = Cell::new(NOBODY);
    static AT_END: AtEnd = AtEnd(Cell::new(NOBODY));
}

/// Whom a handle belongs to that this thread opens.
pub(crate) fn current() -> Owner {
    OWNER.with(Cell::get)
}

/// Has all that this thread opens from now on closed when it ends, and returns
/// the thread's number.
pub fn own() -> Owner {
    static NEXT: AtomicU32 = AtomicU32::new(NOBODY + 1);
    if current() != NOBODY {
        return current();
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    OWNER.with(|owner| owner.set(number));
    // Fails only at the thread's end, when there is nothing left to own.
    let _ = AT_END.try_with(|at_end| at_end.0.set(number));
    number
}

/// Closes what the thread of that number has opened, before the thread ends:
/// for one that runs JavaScript which never returns. What it opens afterwards
/// is closed at its own end.
pub fn end(owner: Owner) {
    source_table::remove_all(owner);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source_table::{Handle, Object};
    use denio_poll::{Poll, Token, Waker};
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    fn insert_poll() -> (Handle, Arc<Poll>) {
        let poll = Arc::new(Poll::new().unwrap());
        (source_table::insert(Object::Poll(Arc::clone(&poll))).unwrap(), poll)
    }

    fn is_open(handle: Handle) -> bool {
        source_table::with(handle, |_| Ok(())).is_ok()
    }

    #[test]
    fn what_a_thread_opens_ends_with_it_once_it_owns() {
        let (before, after) = thread::spawn(|| {
            let (before, _) = insert_poll();
            own();
            own();
            let (after, _) = insert_poll();
            assert!(is_open(before) && is_open(after));
            (before, after)
        })
        .join()
        .unwrap();
        assert!(is_open(before));
        assert!(!is_open(after));
        source_table::remove(before).unwrap();
    }

    #[test]
    fn what_others_opened_is_left_alone() {
        let (tell, told) = mpsc::channel::<()>();
        let other = thread::spawn(move || {
            own();
            let (handle, _) = insert_poll();
            told.recv().unwrap();
            assert!(is_open(handle));
        });
        let (mine, _) = insert_poll();
        thread::spawn(own).join().unwrap();
        assert!(is_open(mine));
        tell.send(()).unwrap();
        other.join().unwrap();
        source_table::remove(mine).unwrap();
    }

    #[test]
    fn another_thread_closes_what_a_thread_has_opened_that_never_returns() {
        let (tell, told) = mpsc::channel();
        let (let_go, is_let_go) = mpsc::channel::<()>();
        let stuck = thread::spawn(move || {
            let owner = own();
            tell.send((owner, insert_poll().0)).unwrap();
            is_let_go.recv().unwrap();
            insert_poll().0
        });
        let (owner, handle) = told.recv().unwrap();
        let (mine, _) = insert_poll();
        end(owner);
        end(NOBODY);
        assert!(!is_open(handle) && is_open(mine));
        let_go.send(()).unwrap();
        assert!(!is_open(stuck.join().unwrap()));
        source_table::remove(mine).unwrap();
    }

    #[test]
    fn a_thread_that_waits_for_another_one_is_let_go() {
        let (tell, told) = mpsc::channel();
        let owner = thread::spawn(move || {
            own();
            let (_, poll) = insert_poll();
            let waker = Waker::new(poll.registry(), Token(1)).unwrap();
            source_table::insert(Object::Waker(Box::new(waker))).unwrap();
            tell.send(poll).unwrap();
            // Long enough for the other to wait: were it not, it would pass, too.
            thread::sleep(Duration::from_millis(50));
        });
        let poll = told.recv().unwrap();
        assert!(poll.park(Some(Duration::from_secs(60))).unwrap());
        drop(poll);
        owner.join().unwrap();
    }
}
