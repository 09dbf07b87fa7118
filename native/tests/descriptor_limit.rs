//! What happens when the process runs out of descriptors: an answer, never a loss.
//!
//! A file of its own, since the limit is one of the process. Deno.serve dies of this.

#![allow(unsafe_code, clippy::panic, clippy::unwrap_used, reason = "rlimits, and set-up")]

mod util;

use denio::ffi::*;
use denio_poll::{Event, Poll, TcpListener, TcpStream, Token};
use util::abi::{self, handle};
use util::{READABLE, alone, errno, expect_event, expect_silence};

/// Lets the process open `more` descriptors than it has, until dropped.
struct Limited {
    before: libc::rlimit,
}

impl Limited {
    fn to(more: usize) -> Self {
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `before` is writable.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut before) }, 0);
        // Descriptors are handed out lowest first, so the limit is a number and not a count.
        let open = util::descriptors();
        let first_forbidden = (0..).filter(|fd| !open.contains(fd)).nth(more).unwrap();
        set_limit(libc::rlimit { rlim_cur: first_forbidden as _, ..before });
        Self { before }
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        set_limit(self.before);
    }
}

fn set_limit(limit: libc::rlimit) {
    // SAFETY: `limit` is readable.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

#[test]
fn accept_says_that_descriptors_ran_out_and_goes_on_when_some_are_back() {
    let _alone = alone();
    let listener = handle(abi::bind(&abi::encode(util::loopback()), 16, 0));
    let address = abi::local_address(listener).unwrap();
    let clients: Vec<f64> = (0..3).map(|_| handle(abi::connect(&address))).collect();
    let first = abi::accept_one(listener);
    let mut out = [0.0; 5];

    let limited = Limited::to(1);
    let second = abi::accept_one(listener);
    assert_eq!(abi::accept(listener, &mut out), 0);
    assert_eq!(out[0], libc::EMFILE.into());
    assert_eq!(denio_poll_new(0), -f64::from(libc::EMFILE));
    assert_eq!(abi::connect(&address), -f64::from(libc::EMFILE));
    assert_eq!(abi::bind(&abi::encode(util::loopback()), 1, 0), -f64::from(libc::EMFILE));

    assert_eq!(denio_source_close(first), 0);
    assert_eq!(abi::accept(listener, &mut out), 1);
    let third = out[2];
    // Systems differ in what they look at first: the queue, or the descriptors.
    assert!([libc::EAGAIN, libc::EMFILE].contains(&(out[0] as i32)), "{out:?}");
    drop(limited);

    assert_eq!(abi::accept(listener, &mut out), 0);
    assert_eq!(out[0], libc::EAGAIN.into());
    for open in clients.into_iter().chain([second, third, listener]) {
        assert_eq!(denio_source_close(open), 0);
    }
}

/// The edge is used up when accepting fails: registering again is how a server gets it back.
#[test]
fn connection_without_a_descriptor_is_reported_when_registered_again() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, address) = util::listener();
    poll.registry().register(&listener, Token(1), READABLE).unwrap();
    let _client = TcpStream::connect(address).unwrap();
    expect_event(&poll, Token(1), Event::READABLE);
    let limited = Limited::to(0);
    assert_eq!(errno(listener.accept()), libc::EMFILE);
    expect_silence(&poll);
    drop(limited);
    poll.registry().reregister(&listener, Token(1), READABLE).unwrap();
    expect_event(&poll, Token(1), Event::READABLE);
    listener.accept().unwrap();
}

#[test]
fn opening_fails_cleanly_without_descriptors() {
    let _alone = alone();
    let poll = util::poll();
    let limited = Limited::to(0);
    assert_eq!(errno(Poll::new()), libc::EMFILE);
    let waker = denio_poll::Waker::new(poll.registry(), Token(1));
    if util::sees_edges(&poll) {
        assert_eq!(errno(waker), libc::EMFILE);
    } else {
        drop(waker.unwrap());
    }
    assert_eq!(errno(TcpStream::connect(util::loopback())), libc::EMFILE);
    assert_eq!(errno(TcpListener::bind(util::loopback(), &Default::default())), libc::EMFILE);
    drop(limited);
    // The place for a waker was given back.
    denio_poll::Waker::new(poll.registry(), Token(1)).unwrap();
}

#[test]
fn batches_work_without_a_descriptor_for_their_ring() {
    let _alone = alone();
    let pairs: Vec<_> = (0..10).map(|_| abi::tcp_pair()).collect();
    let limited = Limited::to(0);
    assert_eq!(denio_batches_by_ring(1), 0, "no ring can be opened");
    let write = |[stream, _]: &[f64; 2]| StreamWrite {
        stream: *stream,
        start: 0,
        end: 3,
        result: -1,
        rest: 0,
    };
    let mut writes: Vec<_> = pairs.iter().map(write).collect();
    assert_eq!(abi::write_streams(b"abc", &mut writes), 0);
    assert!(writes.iter().all(|write| write.result == 3), "{writes:?}");
    drop(limited);
    for pair in pairs {
        assert_eq!(abi::eventually(|| abi::read(pair[1], &mut [0; 8])), 3);
        for stream in pair {
            assert_eq!(denio_source_close(stream), 0);
        }
    }
}
