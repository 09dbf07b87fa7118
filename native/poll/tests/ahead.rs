//! Streams whose bytes the kernel moves into the process before the program reads them.

#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failure here is the test's"
)]

mod util;

use std::io::{IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpStream as Peer};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use denio_poll::{Backend, Event, Mode, Poll, Socket, Source, TcpStream, Token};
use util::{READABLE, WRITABLE, alone, errno, eventually, skip};

const STREAM: Token = Token(7);
/// Unread bytes with which a stream receives no more, and what may come on top.
const UNREAD_MAX: usize = 64 * 1024;
const UNREAD_SLACK: usize = 32 * 2048;

/// A ring, unless the system has none: then the test proves nothing, and says so.
fn ring() -> Option<Poll> {
    if Backend::available().contains(&Backend::IoUring) {
        return Some(Poll::with_backend(Backend::IoUring).unwrap());
    }
    skip("the kernel has no io_uring for this process");
    None
}

/// A stream that is read ahead, whose receive is in flight, and its peer.
fn connected(poll: &Poll) -> (TcpStream, Peer) {
    let (listener, address) = util::listener();
    let peer = Peer::connect(address).unwrap();
    let stream = eventually(|| listener.accept()).unwrap();
    poll.registry().register_with(&stream, STREAM, READABLE, Mode::AHEAD).unwrap();
    assert_eq!(wait(poll, Duration::ZERO), 0);
    (stream, peer)
}

/// Returns the bits of the stream's event; 0 for none.
fn wait(poll: &Poll, timeout: Duration) -> u32 {
    let mut events = [Event::default(); 4];
    let count = poll.poll(&mut events, Some(timeout)).unwrap();
    events[..count].iter().filter(|event| event.token() == STREAM).map(Event::readiness).sum()
}

fn await_bits(poll: &Poll, bits: u32) {
    let mut seen = 0;
    while seen & bits != bits {
        let more = wait(poll, util::DEADLINE);
        assert_ne!(more, 0, "saw {seen}, not {bits}");
        seen |= more;
    }
}

#[test]
fn received_bytes_are_read_peeked_and_counted() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    let (stream, mut peer) = connected(&poll);
    peer.write_all(b"hello world").unwrap();
    await_bits(&poll, Event::READABLE);
    assert_eq!(stream.unread().unwrap(), 11);
    let mut bytes = [0; 32];
    assert_eq!((stream.peek(&mut bytes).unwrap(), &bytes[..11]), (11, &b"hello world"[..]));
    assert_eq!(stream.read(&mut bytes[..2]).unwrap(), 2);
    let (first, second) = bytes.split_at_mut(4);
    let parts = &mut [IoSliceMut::new(first), IoSliceMut::new(second)];
    assert_eq!(stream.read_vectored(parts).unwrap(), 9);
    assert_eq!(&bytes[..9], b"llo world");
    assert_eq!(errno(stream.read(&mut bytes)), libc::EAGAIN);
    assert_eq!(errno(stream.peek(&mut bytes)), libc::EAGAIN);
    assert_eq!((stream.unread().unwrap(), stream.read(&mut []).unwrap()), (0, 0));
}

#[test]
fn a_read_finds_what_has_come_since_the_last_wait() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    let (stream, mut peer) = connected(&poll);
    peer.write_all(b"later").unwrap();
    let mut bytes = [0; 8];
    assert_eq!(eventually(|| stream.read(&mut bytes)).unwrap(), 5);
}

#[test]
fn an_end_and_an_error_come_behind_the_bytes() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    let mut bytes = [0; 8];
    for is_reset in [false, true] {
        let (stream, mut peer) = connected(&poll);
        peer.write_all(b"last").unwrap();
        await_bits(&poll, Event::READABLE);
        if is_reset {
            socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(peer);
        await_bits(&poll, Event::READABLE | Event::READ_CLOSED);
        assert_eq!(stream.read(&mut bytes).unwrap(), 4);
        if is_reset {
            let error = stream.take_error().unwrap().unwrap();
            assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
        }
        assert!(stream.take_error().unwrap().is_none());
        assert_eq!(stream.read(&mut bytes).unwrap(), 0);
    }
}

#[test]
fn a_refused_connect_keeps_its_error() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    let address = util::listener().1;
    let stream = TcpStream::connect(address).unwrap();
    let both = READABLE | WRITABLE;
    poll.registry().register_with(&stream, STREAM, both, Mode::AHEAD).unwrap();
    await_bits(&poll, Event::ERROR);
    let error = stream.take_error().unwrap().unwrap();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
}

#[test]
fn a_stream_that_is_deregistered_keeps_what_was_received() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    let other = Poll::with_backend(Backend::Epoll).unwrap();
    let (stream, mut peer) = connected(&poll);
    peer.write_all(b"kept").unwrap();
    await_bits(&poll, Event::READABLE);
    poll.registry().deregister(&stream).unwrap();
    // No event of epoll would tell of these bytes.
    let refused = other.registry().register(&stream, STREAM, READABLE);
    assert_eq!(errno(refused), libc::EBUSY);
    assert_eq!(stream.unread().unwrap(), 4);
    // The ring reports them.
    poll.registry().register_with(&stream, STREAM, READABLE, Mode::AHEAD).unwrap();
    await_bits(&poll, Event::READABLE);
    let mut bytes = [0; 8];
    assert_eq!((stream.read(&mut bytes[..1]).unwrap(), bytes[0]), (1, b'k'));
    poll.registry().deregister(&stream).unwrap();
    assert_eq!((stream.read(&mut bytes).unwrap(), &bytes[..3]), (3, &b"ept"[..]));
    peer.write_all(b"!").unwrap();
    assert_eq!(eventually(|| stream.read(&mut bytes)).unwrap(), 1);
    other.registry().register(&stream, STREAM, READABLE).unwrap();
    peer.write_all(b"?").unwrap();
    await_bits(&other, Event::READABLE);
}

#[test]
fn a_stream_that_is_closed_ends_for_its_peer_at_once() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    for _ in 0..20 {
        let (stream, mut peer) = connected(&poll);
        let fd = stream.registration().as_fd().as_raw_fd();
        peer.set_read_timeout(Some(util::DEADLINE)).unwrap();
        drop(stream);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        // The next stream gets the number, and none of the bytes of this one.
        peer.write_all(b"lost").ok();
        let (next, mut next_peer) = connected(&poll);
        assert!(next.registration().as_fd().as_raw_fd() <= fd + 2);
        next_peer.write_all(b"ours").unwrap();
        await_bits(&poll, Event::READABLE);
        let mut bytes = [0; 8];
        assert_eq!((next.read(&mut bytes).unwrap(), &bytes[..4]), (4, &b"ours"[..]));
    }
}

#[test]
fn a_stream_may_be_closed_by_another_thread() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    let (stream, mut peer) = connected(&poll);
    peer.write_all(b"unread").unwrap();
    let elsewhere = || errno(poll.registry().deregister(&stream));
    assert_eq!(std::thread::scope(|scope| scope.spawn(elsewhere).join().unwrap()), libc::EBUSY);
    std::thread::spawn(move || drop(stream)).join().unwrap();
    assert_eq!(wait(&poll, util::QUIET), 0, "no event of a closed stream");
    peer.set_read_timeout(Some(util::DEADLINE)).unwrap();
    // A reset, when the bytes were not received.
    assert!(matches!(peer.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn a_stream_that_is_not_read_holds_its_peer_back() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    let (stream, peer) = connected(&poll);
    peer.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let noise: Vec<u8> = (0..251).collect();
    let mut quiet = 0;
    while quiet < 20 {
        let from = sent % noise.len();
        match { &peer }.write(&noise[from..]) {
            Ok(count) => (sent, quiet) = (sent + count, 0),
            Err(_) => quiet += 1,
        }
        wait(&poll, Duration::from_millis(u64::from(quiet > 0)));
    }
    let held = poll.held_bytes();
    assert!((UNREAD_MAX..UNREAD_MAX + UNREAD_SLACK).contains(&held), "{held}");
    let mut seen = 0;
    let mut bytes = vec![0; 100_000];
    while seen < sent {
        match stream.read(&mut bytes) {
            Ok(count) => {
                let expected = (seen..).map(|at| noise[at % noise.len()]);
                assert!(bytes[..count].iter().copied().zip(expected).all(|(a, b)| a == b));
                seen += count;
            }
            Err(_) => await_bits(&poll, Event::READABLE),
        }
    }
    wait(&poll, Duration::ZERO);
    assert_eq!(poll.held_bytes(), 0);
}

#[test]
fn a_reset_reaches_a_stream_that_is_not_read() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    let (stream, mut peer) = connected(&poll);
    let both = [0; 2 * UNREAD_MAX];
    peer.write_all(&both).unwrap();
    while poll.held_bytes() < UNREAD_MAX {
        wait(&poll, Duration::from_millis(1));
    }
    wait(&poll, Duration::ZERO);
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    await_bits(&poll, Event::ERROR);
    assert!(stream.take_error().unwrap().is_some());
}

#[test]
fn megabytes_arrive_whole() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    let (stream, mut peer) = connected(&poll);
    let total = 8 * 1024 * 1024;
    let byte = |at: usize| ((at * 7) ^ (at >> 9)) as u8;
    let sends = std::thread::spawn(move || {
        let bytes: Vec<u8> = (0..total).map(byte).collect();
        peer.write_all(&bytes).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        peer
    });
    let (mut seen, mut bytes) = (0, vec![0; 65_536]);
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => {
                assert!(bytes[..count].iter().zip(seen..).all(|(seen, at)| *seen == byte(at)));
                seen += count;
            }
            Err(_) => await_bits(&poll, Event::READABLE),
        }
    }
    assert_eq!(seen, total);
    drop(sends.join().unwrap());
}

#[test]
fn a_ring_may_end_on_another_thread_with_receives_in_flight() {
    let _alone = alone();
    let Some(poll) = ring() else { return };
    let pairs: Vec<_> = (0..50).map(|_| connected(&poll)).collect();
    std::thread::spawn(move || drop(poll)).join().unwrap();
    let mut bytes = [0; 8];
    for (stream, mut peer) in pairs {
        // Its receive is gone, or will be: either it or this read gets the bytes.
        peer.write_all(b"x").unwrap();
        let _ = stream.read(&mut bytes);
        drop(stream);
        peer.set_read_timeout(Some(util::DEADLINE)).unwrap();
        assert!(matches!(peer.read(&mut bytes), Ok(0) | Err(_)));
    }
}
