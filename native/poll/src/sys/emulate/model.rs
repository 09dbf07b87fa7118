//! Every order in which threads that wait, register, wake and close can meet.
//!
//! The system call is the real `poll(2)`, called again whenever the selector's own
//! descriptor is signalled: loom cannot see other descriptors, and their readiness
//! never changes here. A wait that nothing ends is a deadlock, which loom reports.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::SeqCst;

use loom::sync::Condvar;
use loom::sync::atomic::AtomicBool;
use loom::thread::{self, JoinHandle};

use super::*;
use crate::sync::model;
use crate::sys::{eventfd, poll};

loom::lazy_static! {
    static ref SIGNALLED: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
}

/// The selector's own descriptor, which ends the model's waits.
#[derive(Debug)]
pub struct EventFd(eventfd::EventFd);

impl EventFd {
    pub fn new() -> io::Result<Self> {
        eventfd::EventFd::new().map(Self)
    }

    pub fn signal(&self) -> io::Result<()> {
        let (lock, condvar) = &*SIGNALLED;
        let _guard = lock.lock().unwrap();
        condvar.notify_all();
        self.0.signal()
    }

    pub fn reset(&self) -> io::Result<()> {
        let _guard = SIGNALLED.0.lock().unwrap();
        self.0.reset()
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The system call of every selector of a model.
pub fn wait(entries: &mut [libc::pollfd], timeout_ms: i32) -> io::Result<usize> {
    let (lock, condvar) = &*SIGNALLED;
    let mut guard = lock.lock().unwrap();
    loop {
        let count = poll::wait(entries, 0)?;
        if count == 0 && timeout_ms != 0 {
            guard = condvar.wait(guard).unwrap();
            continue;
        }
        drop(guard);
        if count == 1 && entries[0].revents != 0 {
            // A wait that was signalled goes on until the other waits have ended, too.
            thread::yield_now();
        }
        return Ok(count);
    }
}

fn selector() -> Arc<Emulated> {
    Arc::new(Emulated::new(poll::SYSTEM).unwrap())
}

/// A thread that waits for one event and returns its token.
fn waiter(selector: &Arc<Emulated>) -> JoinHandle<u32> {
    let selector = Arc::clone(selector);
    thread::spawn(move || wait_once(&selector))
}

fn wait_once(selector: &Emulated) -> u32 {
    let mut events = [Event::default()];
    assert_eq!(selector.wait(&mut events, -1).unwrap(), 1);
    events[0].token().0
}

/// A source that stays readable: its peer has gone.
fn ended() -> UnixStream {
    UnixStream::pair().unwrap().0
}

fn register(selector: &Emulated, source: &impl AsFd, token: u32) {
    let (fd, token) = (source.as_fd(), Token(token));
    selector.register(fd, token, Interest::READABLE, Mode::EDGE).unwrap();
}

fn expect_no_wait(selector: &Emulated) {
    let state = selector.shared.lock();
    assert_eq!((state.waiting, state.outdated), (0, 0));
}

#[test]
fn two_waits_report_different_sources() {
    model(|| {
        let selector = selector();
        let waiters = [waiter(&selector), waiter(&selector)];
        let sources = [ended(), ended()];
        register(&selector, &sources[0], 1);
        register(&selector, &sources[1], 2);
        let mut tokens = waiters.map(|waiter| waiter.join().unwrap());
        tokens.sort_unstable();
        assert_eq!(tokens, [1, 2]);
        expect_no_wait(&selector);
    });
}

#[test]
fn a_wake_ends_a_wait() {
    model(|| {
        let selector = selector();
        let waker = Waker::new(&selector, Token(9)).unwrap();
        let waiter = waiter(&selector);
        waker.wake().unwrap();
        assert_eq!(waiter.join().unwrap(), 9);
        expect_no_wait(&selector);
    });
}

#[test]
fn a_source_that_is_rearmed_during_a_wait_is_reported_again() {
    model(|| {
        let selector = selector();
        let source = Arc::new(ended());
        register(&selector, &*source, 1);
        let readers = [(); 2].map(|()| {
            let (selector, source) = (Arc::clone(&selector), Arc::clone(&source));
            thread::spawn(move || {
                let token = wait_once(&selector);
                selector.rearm(source.as_fd(), Interest::READABLE);
                token
            })
        });
        assert_eq!(readers.map(|reader| reader.join().unwrap()), [1, 1]);
        expect_no_wait(&selector);
    });
}

#[test]
fn an_answer_of_the_system_counts_for_the_registration_that_was_asked_about() {
    model(|| {
        let selector = selector();
        let mut source = OwnedFd::from(ended());
        register(&selector, &source, 1);
        let waiter = waiter(&selector);
        selector.deregister(source.as_fd()).unwrap();
        // From now on the same number is another file, which is not ready.
        let (quiet, _peer) = UnixStream::pair().unwrap();
        rustix::io::dup2(&quiet, &mut source).unwrap();
        register(&selector, &source, 2);
        let other = ended();
        register(&selector, &other, 3);
        assert_ne!(waiter.join().unwrap(), 2);
    });
}

#[test]
fn a_park_sees_that_it_is_over() {
    model(|| {
        let selector = selector();
        let is_over = Arc::new(AtomicBool::new(false));
        let parked = {
            let (selector, is_over) = (Arc::clone(&selector), Arc::clone(&is_over));
            thread::spawn(move || selector.park_unless(-1, &|| is_over.load(SeqCst)))
        };
        is_over.store(true, SeqCst);
        selector.interrupt();
        parked.join().unwrap().unwrap();
    });
}
