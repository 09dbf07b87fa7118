//! Handles that end with the thread that owns them.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's")]

mod util;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use denio::source_table::{Handle, Object, insert, own_handles, remove, remove_all, with};
#[cfg(target_os = "linux")]
use denio_poll::{Backend, Interest, Parker, UnixStream};
use denio_poll::{Poll, Token, Waker};
use util::alone;

fn insert_poll() -> (Handle, Arc<Poll>) {
    let poll = Arc::new(Poll::new().unwrap());
    (insert(Object::Poll(Arc::clone(&poll))).unwrap(), poll)
}

fn is_open(handle: Handle) -> bool {
    with(handle, |_| Ok(())).is_ok()
}

#[test]
fn handles_end_with_their_thread_once_it_owns_them() {
    let _alone = alone();
    let (before, after) = thread::spawn(|| {
        let (before, _) = insert_poll();
        own_handles();
        own_handles();
        let (after, _) = insert_poll();
        assert!(is_open(before) && is_open(after));
        (before, after)
    })
    .join()
    .unwrap();
    assert!(is_open(before));
    assert!(!is_open(after));
    remove(before).unwrap();
}

#[test]
fn handles_of_other_threads_stay_open() {
    let _alone = alone();
    let (sender, receiver) = mpsc::channel::<()>();
    let other = thread::spawn(move || {
        own_handles();
        let (handle, _) = insert_poll();
        receiver.recv().unwrap();
        assert!(is_open(handle));
    });
    let (mine, _) = insert_poll();
    thread::spawn(own_handles).join().unwrap();
    assert!(is_open(mine));
    sender.send(()).unwrap();
    other.join().unwrap();
    remove(mine).unwrap();
}

#[test]
fn another_thread_closes_the_handles_of_a_thread_that_never_returns() {
    let _alone = alone();
    let (sender, receiver) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let stuck = thread::spawn(move || {
        let owner = own_handles();
        sender.send((owner, insert_poll().0)).unwrap();
        may_go_on.recv().unwrap();
        insert_poll().0
    });
    let (owner, handle) = receiver.recv().unwrap();
    let (mine, _) = insert_poll();
    remove_all(owner);
    remove_all(0);
    assert!(!is_open(handle) && is_open(mine));
    go_on.send(()).unwrap();
    assert!(!is_open(stuck.join().unwrap()));
    remove(mine).unwrap();
}

#[test]
fn a_wait_ends_with_the_thread_that_owns_its_poll() {
    let _alone = alone();
    let (sender, receiver) = mpsc::channel();
    let owner = thread::spawn(move || {
        own_handles();
        let (_, poll) = insert_poll();
        let waker = Waker::new(poll.registry(), Token(1)).unwrap();
        insert(Object::Waker(Box::new(waker))).unwrap();
        sender.send(poll).unwrap();
        // The other thread most often waits by then; without the wait the test passes as well.
        thread::sleep(Duration::from_millis(50));
    });
    let poll = receiver.recv().unwrap();
    assert!(poll.park(Some(Duration::from_secs(60))).unwrap());
    drop(poll);
    owner.join().unwrap();
}

/// Rounds in which a source becomes ready while the thread that waits for it ends.
#[cfg(target_os = "linux")]
const ROUNDS: usize = 50;

#[cfg(target_os = "linux")]
#[test]
fn a_park_by_the_kernel_ends_with_its_thread() {
    let _alone = alone();
    for _ in 0..ROUNDS {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let parked = thread::spawn(move || {
            own_handles();
            let poll = Arc::new(Poll::with_backend(Backend::Epoll).unwrap());
            poll.registry().register(&ours, Token(1), Interest::READABLE).unwrap();
            let (parker, signal) = Parker::by_kernel(&poll).unwrap();
            parker.park(None).unwrap();
            let objects = [Object::Parker(parker), Object::Poll(poll), Object::UnixStream(ours)];
            (objects.map(|object| insert(object).unwrap()), signal)
        });
        // Before, during or after the park, or into a closed stream.
        let written = theirs.write(b"x");
        let (handles, _signal) = parked.join().unwrap();
        assert!(handles.into_iter().all(|handle| !is_open(handle)));
        // The peer's end is closed: an unread byte makes that a reset.
        match theirs.read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
                assert!(written.is_ok());
            }
        }
    }
}
