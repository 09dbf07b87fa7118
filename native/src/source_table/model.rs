//! A few threads that open, use and close handles, in every order of their steps.
//!
//! With loom a block has four slots and a thread keeps one free slot for itself,
//! so a few handles reach every limit of the table.

use loom::thread::{self, JoinHandle};

use super::*;
use crate::sync;

/// Runs `main` in every order of its threads' steps, and then expects that no
/// handle is open and every slot is free, exactly once.
fn model(main: fn()) {
    sync::model(move || {
        thread::spawn(main).join().unwrap();
        await_free_slots();
        assert_eq!(open_count(), 0);
    });
}

/// Waits until every thread has given its free slots back. A lost slot makes this wait
/// endless, which loom reports.
fn await_free_slots() {
    loop {
        let state = free();
        let mut closed = state.closed.clone();
        if closed.len() >= state.never_used as usize {
            closed.sort_unstable();
            assert!(closed.into_iter().eq(0..state.never_used), "a slot is free twice");
            return;
        }
        drop(state);
        thread::yield_now();
    }
}

fn open() -> (Handle, Arc<Poll>) {
    let poll = Arc::new(Poll::new().unwrap());
    (insert(Object::Poll(Arc::clone(&poll))).unwrap(), poll)
}

/// Whether `handle` is open; fails when its object is not `poll`.
fn expect_same_or_closed(handle: Handle, poll: &Arc<Poll>) -> bool {
    let found = with(handle, |object| {
        let Object::Poll(found) = object else { unreachable!() };
        // Other threads go on in the middle of the call.
        thread::yield_now();
        assert!(Arc::ptr_eq(found, poll), "a stale handle has met another object");
        Ok(())
    });
    found.is_ok()
}

fn join<T>(threads: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn a_call_meets_its_own_object_or_none_while_the_slot_is_used_again() {
    model(|| {
        let (handle, poll) = open();
        let user = thread::spawn(move || expect_same_or_closed(handle, &poll));
        remove(handle).unwrap();
        let (next, poll) = open();
        assert_eq!(index_of(next), index_of(handle));
        assert!(expect_same_or_closed(next, &poll));
        user.join().unwrap();
        remove(next).unwrap();
    });
}

#[test]
fn of_two_closes_one_succeeds_and_the_next_object_of_the_slot_stays() {
    model(|| {
        let (handle, _) = open();
        let closers = [(); 2].map(|()| {
            thread::spawn(move || {
                let is_closed = remove(handle).is_ok();
                let (next, poll) = open();
                assert!(expect_same_or_closed(next, &poll), "another thread closed it");
                remove(next).unwrap();
                is_closed
            })
        });
        assert_eq!(join(closers).iter().filter(|is_closed| **is_closed).count(), 1);
    });
}

#[test]
fn threads_that_open_and_close_at_once_have_slots_of_their_own() {
    model(|| {
        let openers = [(); 2].map(|()| thread::spawn(|| [open().0, open().0, open().0]));
        let handles = join(openers).concat();
        let mut slots: Vec<u32> = handles.iter().copied().map(index_of).collect();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), handles.len());
        // A thread that closes handles of others keeps a few slots and gives the rest back.
        handles.into_iter().try_for_each(remove).unwrap();
    });
}

#[test]
fn a_descriptor_is_adopted_once() {
    model(|| {
        let (fd, _writer) = rustix::pipe::pipe().unwrap();
        let number = fd.as_raw_fd();
        let fd = Arc::new(Mutex::new(Some(fd)));
        let adopters = [(); 2].map(|()| {
            let fd = Arc::clone(&fd);
            thread::spawn(move || {
                insert_adopted(number, || {
                    let fd = fd.lock().unwrap().take().expect("it is made once");
                    PipeReader::try_from(fd).map(Object::PipeReader)
                })
            })
        });
        let (adopted, refused): (Vec<_>, Vec<_>) =
            join(adopters).into_iter().partition(Result::is_ok);
        assert_eq!(refused[0].as_ref().unwrap_err().raw_os_error(), Some(libc::EBUSY));
        remove(*adopted[0].as_ref().unwrap()).unwrap();
    });
}

#[test]
fn handles_of_a_thread_end_with_it_also_when_others_close_them() {
    model(|| {
        let owner = thread::spawn(|| {
            own_handles();
            (open().0, open().0)
        });
        let (first, _) = owner.join().unwrap();
        // The end of its thread may have closed it by now.
        let _ = remove(first);
    });
}
