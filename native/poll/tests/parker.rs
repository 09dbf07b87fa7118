//! Parked polls: the parker writes a byte when something is ready or the time is over,
//! and takes no event.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "set-up: a failure here is the test's"
)]

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::time::Duration;

use denio_poll::{Backend, Event, Interest, Parker, Poll, Registry, Token, UnixStream, Waker};

const LONG: Duration = Duration::from_secs(60);

/// Opens a poll and its parker; a read of the socket waits for a byte.
fn parked(backend: Backend) -> (Arc<Poll>, Parker, StdStream) {
    let poll = Arc::new(Poll::with_backend(backend).unwrap());
    let (parker, reader) = Parker::new(Arc::clone(&poll)).unwrap();
    let reader = StdStream::from(reader);
    reader.set_nonblocking(false).unwrap();
    reader.set_read_timeout(Some(LONG)).unwrap();
    (poll, parker, reader)
}

/// Waits for one byte.
fn expect_byte(mut reader: &StdStream) {
    // Linux interrupts a thread a moment after it has closed a ring.
    let count = loop {
        match reader.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read.unwrap(),
        }
    };
    assert_eq!(count, 1);
}

/// Fails when there is a byte now.
fn expect_none(mut reader: &StdStream) {
    reader.set_nonblocking(true).unwrap();
    assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    reader.set_nonblocking(false).unwrap();
}

fn register(registry: &Registry) -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    registry.register(&ours, Token(1), Interest::READABLE).unwrap();
    (ours, theirs)
}

#[test]
fn a_byte_comes_when_something_is_ready_and_no_event_is_taken() {
    for backend in Backend::available() {
        let (poll, parker, reader) = parked(*backend);
        let (_ours, theirs) = register(poll.registry());
        parker.park(Some(LONG)).unwrap();
        expect_none(&reader);
        theirs.write(b"x").unwrap();
        expect_byte(&reader);
        let mut events = [Event::default(); 4];
        assert_eq!(poll.poll(&mut events, Some(LONG)).unwrap(), 1, "{backend:?}");
    }
}

#[test]
fn a_byte_comes_at_once_when_something_was_ready_before() {
    for backend in Backend::available() {
        let (poll, parker, reader) = parked(*backend);
        let (_ours, theirs) = register(poll.registry());
        theirs.write(b"x").unwrap();
        parker.park(None).unwrap();
        expect_byte(&reader);
    }
}

#[test]
fn a_byte_comes_when_the_time_is_over_the_shortest_first() {
    for backend in Backend::available() {
        let places = [30_u64, 1, 10].map(|ms| (ms, parked(*backend)));
        for (ms, (_, parker, _)) in &places {
            parker.park(Some(Duration::from_millis(*ms))).unwrap();
        }
        let mut order: Vec<_> = places.iter().collect();
        order.sort_by_key(|(ms, _)| *ms);
        for (_, (_, _, reader)) in order {
            expect_byte(reader);
        }
    }
}

#[test]
fn the_end_of_a_wait_is_one_byte() {
    for backend in Backend::available() {
        let (poll, parker, reader) = parked(*backend);
        let (_ours, theirs) = register(poll.registry());
        parker.park(Some(Duration::ZERO)).unwrap();
        expect_byte(&reader);
        // Not parked any more: the next wait reports what is ready now.
        theirs.write(b"x").unwrap();
        let (_, other, beside) = parked(*backend);
        other.park(Some(Duration::from_millis(5))).unwrap();
        expect_byte(&beside);
        expect_none(&reader);
        parker.park(None).unwrap();
        expect_byte(&reader);
        expect_none(&reader);
    }
}

#[test]
fn a_waker_and_a_wake_end_a_wait() {
    for backend in Backend::available() {
        let (poll, parker, reader) = parked(*backend);
        let waker = Waker::new(poll.registry(), Token(9)).unwrap();
        parker.park(None).unwrap();
        waker.wake().unwrap();
        expect_byte(&reader);
        parker.wake();
        expect_byte(&reader);
    }
}

#[test]
fn a_parker_that_is_gone_closes_its_socket_and_its_poll() {
    for backend in Backend::available() {
        let (poll, parker, mut reader) = parked(*backend);
        parker.park(None).unwrap();
        drop(poll);
        drop(parker);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "{backend:?}");
    }
}

#[test]
fn a_wait_that_replaces_another_ends_in_its_own_time() {
    for backend in Backend::available() {
        let (_poll, parker, reader) = parked(*backend);
        parker.park(None).unwrap();
        parker.park(Some(LONG)).unwrap();
        parker.park(Some(Duration::from_millis(1))).unwrap();
        expect_byte(&reader);
        expect_none(&reader);
    }
}

#[test]
fn a_hundred_polls_are_parked_at_once() {
    let places: Vec<_> = (0..100).map(|_| parked(Backend::available()[0])).collect();
    let ends: Vec<_> = places.iter().map(|(poll, ..)| register(poll.registry())).collect();
    for (_, parker, _) in &places {
        parker.park(Some(LONG)).unwrap();
    }
    for (index, (_, theirs)) in ends.iter().enumerate().rev() {
        theirs.write(b"x").unwrap();
        expect_byte(&places[index].2);
    }
}

#[test]
fn a_full_socket_is_no_error() {
    let (_poll, parker, mut reader) = parked(Backend::available()[0]);
    reader.write_all(b"unread").unwrap();
    for _ in 0..100_000 {
        parker.wake();
    }
    expect_byte(&reader);
}

/// Reads the eventfd of a park by the kernel: the number of its signals.
#[cfg(target_os = "linux")]
fn signalled(signal: &std::fs::File) -> Option<u64> {
    let mut bytes = [0; 8];
    let count = { signal }.read(&mut bytes);
    count.is_ok().then(|| u64::from_ne_bytes(bytes))
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_signals_the_end_of_each_wait_once() {
    let backends = Backend::available().iter();
    for backend in backends.filter(|one| matches!(one, Backend::Epoll | Backend::IoUring)) {
        expect_signals(&Arc::new(Poll::with_backend(*backend).unwrap()));
    }
}

#[cfg(target_os = "linux")]
fn expect_signals(poll: &Arc<Poll>) {
    let (parker, signal) = Parker::by_kernel(poll).unwrap();
    let signal = std::fs::File::from(signal);
    let (ours, theirs) = register(poll.registry());
    let mut events = [Event::default(); 4];
    let readable = |signal: &std::fs::File| {
        let fd = rustix::event::PollFd::new(signal, rustix::event::PollFlags::IN);
        rustix::event::poll(&mut [fd], None).unwrap();
        signalled(signal)
    };
    parker.park(None).unwrap();
    assert_eq!(signalled(&signal), None, "nothing is ready");
    theirs.write(b"x").unwrap();
    assert_eq!(readable(&signal), Some(1));
    // The park took no event: a source that is still ready is signalled at once.
    parker.park(None).unwrap();
    assert_eq!(readable(&signal), Some(1));
    assert_eq!(poll.poll(&mut events, Some(LONG)).unwrap(), 1);
    ours.read(&mut [0; 4]).unwrap();
    parker.park(Some(LONG)).unwrap();
    assert_eq!(signalled(&signal), None, "nothing is ready any more");
    // A shorter time replaces a longer one.
    parker.park(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(readable(&signal), Some(1));
    parker.park(Some(Duration::ZERO)).unwrap();
    assert_eq!(readable(&signal), Some(1));
    parker.wake();
    assert_eq!(readable(&signal), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_watches_no_emulated_poll() {
    let poll = Arc::new(Poll::with_backend(Backend::Poll).unwrap());
    let error = Parker::by_kernel(&poll).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSYS));
}
