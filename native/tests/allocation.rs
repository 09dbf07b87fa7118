//! Native code allocates nothing for a request, a message or a poll: every allocation of this
//! process is counted, by the thread that makes it.
//!
//! Opening may allocate: see [`churn_allocates_only_while_the_table_grows`].

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "an allocator, calls of unsafe functions, and set-up"
)]

mod util;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::net::TcpListener;

use denio::ffi::*;
use denio_http1::TABLE_WORDS;
use denio_websocket::frames::{ROW_WORDS, STATE_WORDS};
use util::abi::{self, handle};
use util::alone;

const READABLE: u32 = 1;
const WRITABLE: u32 = 2;
const EDGE: u32 = 0;
const TOKEN: u32 = 7;
const DEADLINE_MS: i32 = util::DEADLINE.as_millis() as i32;

/// The number of calls that must not allocate.
const TIMES: usize = 1_000;
/// Connections until the table has its size.
const CHURN: usize = 1_024;
/// The allocations of the table until then: two blocks of slots, and lists of free slots that
/// double a few times.
const TABLE_ALLOCATIONS_MAX: usize = 2 + 12;

const REQUEST: &[u8] = b"GET /app?user=42 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAccept: */*\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nHello, World!";

/// The system's allocator, and how often it was asked.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Of this thread. Made without allocating, and never dropped.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: all is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(start, layout, size) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(start, layout) }
    }
}

/// How often `call` allocates, done `times` times.
fn allocations(times: usize, mut call: impl FnMut()) -> usize {
    let before = ALLOCATIONS.get();
    for _ in 0..times {
        call();
    }
    ALLOCATIONS.get() - before
}

/// How often `call` allocates after a first call, which may open what it uses.
fn allocations_when_warm(mut call: impl FnMut()) -> usize {
    call();
    allocations(TIMES, call)
}

#[track_caller]
fn close(handles: &[f64]) {
    for handle in handles {
        assert_eq!(denio_source_close(*handle), 0);
    }
}

/// A poll, a stream that is registered with it, and the peer of the stream.
struct Pair {
    poll: f64,
    server: f64,
    client: f64,
}

impl Pair {
    fn open() -> Self {
        let listener = handle(abi::bind(&abi::encode(util::loopback()), 16, 0));
        let client = handle(abi::connect(&abi::local_address(listener).unwrap()));
        let server = abi::accept_one(listener);
        let poll = handle(denio_poll_new(0));
        assert_eq!(denio_registry_register(poll, server, TOKEN, READABLE, EDGE), 0);
        close(&[listener]);
        Self { poll, server, client }
    }

    /// Waits until the server has something to read.
    fn wait(&self) {
        let mut out = [0; CLOCK_WORDS + 2 * 64];
        assert_eq!(abi::wait(self.poll, &mut out, DEADLINE_MS), 1);
        assert_eq!(out[CLOCK_WORDS], TOKEN);
    }

    fn close(&self) {
        close(&[self.client, self.server, self.poll]);
    }
}

fn parse(bytes: &[u8], table: &mut [u32; TABLE_WORDS]) -> i32 {
    let length = bytes.len() as u32;
    // SAFETY: `bytes` is readable and `table` writable for its length.
    unsafe { denio_http1_parse(bytes.as_ptr(), 0, length, 0, 0, table.as_mut_ptr()) }
}

#[test]
fn allocations_are_counted() {
    assert_eq!(allocations(TIMES, || ()), 0);
    assert_eq!(allocations(TIMES, || drop(black_box(Box::new(1)))), TIMES);
    assert_eq!(allocations(1, || drop(black_box(vec![0; 64]))), 1);
    let mut grown = Vec::with_capacity(1);
    assert_eq!(allocations(2, || grown.push(black_box(1))), 1);
}

#[test]
fn a_request_allocates_nothing() {
    let _alone = alone();
    let pair = Pair::open();
    let mut buffer = [0; 1024];
    let mut table = [0; TABLE_WORDS];
    let count = allocations_when_warm(|| {
        assert_eq!(abi::write(pair.client, REQUEST), REQUEST.len() as i32);
        pair.wait();
        let length = abi::read(pair.server, &mut buffer) as usize;
        assert_eq!(parse(&buffer[..length], &mut table), REQUEST.len() as i32);
        assert_eq!(abi::write(pair.server, ANSWER), ANSWER.len() as i32);
        let read = || abi::read(pair.client, &mut buffer);
        assert_eq!(abi::eventually(read), ANSWER.len() as i32);
    });
    assert_eq!(count, 0);
    pair.close();
}

#[test]
fn a_head_allocates_nothing_however_it_is_parsed() {
    let mut table = [0; TABLE_WORDS];
    let long = [b"GET / HTTP/1.1\r\nHost: a\r\n".as_slice(), &b"X: y\r\n".repeat(90), b"\r\n"];
    let many = long.concat();
    let bad = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n";
    let count = allocations_when_warm(|| {
        assert_eq!(parse(&many, &mut table), many.len() as i32);
        assert_eq!(parse(&REQUEST[..40], &mut table), 0);
        assert_eq!(parse(bad, &mut table), -400);
    });
    assert_eq!(count, 0);
}

#[test]
fn frames_allocate_nothing_however_they_are_parsed() {
    let text = "é".repeat(60);
    // Of a server: zeros as the key leave a frame as it is.
    let mut frames = [&[0x81, 0x80 | 120, 0, 0, 0, 0], text.as_bytes()].concat().repeat(9);
    let (mut state, mut table) = ([0_u32; STATE_WORDS], [0_u32; 16 * ROW_WORDS]);
    state[..3].copy_from_slice(&[1, 120, 1]);
    let count = allocations_when_warm(|| {
        let (mut offset, mut rows) = (0, 0);
        // The first call ends inside a character.
        for end in [frames.len() - 9, frames.len()] {
            let (start, length) = (frames.as_mut_ptr(), (end - offset) as u32);
            let (state, table) = (state.as_mut_ptr(), table.as_mut_ptr());
            // SAFETY: all are as long as is said.
            rows +=
                unsafe { denio_websocket_parse(start, offset as u32, length, state, table, 16) };
            offset = end;
        }
        assert_eq!(rows, 10);
    });
    assert_eq!(count, 0);
}

#[test]
fn an_echo_of_several_buffers_allocates_nothing() {
    let _alone = alone();
    let pair = Pair::open();
    let mut buffer = [0; 128];
    let count = allocations_when_warm(|| {
        let parts = [(REQUEST.as_ptr(), 32), (REQUEST[32..].as_ptr(), 32)];
        // SAFETY: both lie within the request.
        assert_eq!(unsafe { abi::write_vectored(pair.client, &parts) }, 64);
        pair.wait();
        let (first, second) = buffer.split_at_mut(48);
        let parts = [(first.as_mut_ptr(), 48), (second.as_mut_ptr(), 80)];
        // SAFETY: both lie within the buffer, and apart.
        assert_eq!(unsafe { abi::read_vectored(pair.server, &parts) }, 64);
    });
    assert_eq!(count, 0);
    pair.close();
}

#[test]
fn calls_that_find_nothing_or_fail_allocate_nothing() {
    let _alone = alone();
    let pair = Pair::open();
    let mut buffer = [0; 128];
    let mut out = [0; CLOCK_WORDS + 2];
    let count = allocations_when_warm(|| {
        assert_eq!(abi::wait(pair.poll, &mut out, 0), 0);
        assert_eq!(abi::read(pair.server, &mut buffer), -libc::EAGAIN);
        assert_eq!(abi::read(abi::old_generation(pair.server), &mut buffer), -libc::EBADF);
        assert_eq!(abi::accept(pair.server, &mut [0.0; 3]), 0);
        assert_eq!(denio_poll_park(pair.poll, 0), 0);
    });
    assert_eq!(count, 0);
    pair.close();
}

#[test]
fn asking_for_room_and_waking_allocate_nothing() {
    let _alone = alone();
    let pair = Pair::open();
    let waker = handle(denio_waker_new(pair.poll, TOKEN + 1));
    let mut out = [0; CLOCK_WORDS + 2 * 64];
    let count = allocations_when_warm(|| {
        let both = READABLE | WRITABLE;
        assert_eq!(denio_registry_reregister(pair.poll, pair.server, TOKEN, both, EDGE), 0);
        assert_eq!(denio_waker_wake(waker), 0);
        assert_eq!(denio_poll_park(pair.poll, DEADLINE_MS), 1);
        assert_eq!(abi::wait(pair.poll, &mut out, DEADLINE_MS), 2);
    });
    assert_eq!(count, 0);
    close(&[waker]);
    pair.close();
}

#[test]
fn a_datagram_allocates_nothing() {
    let _alone = alone();
    let udp = handle(abi::udp_bind(&abi::encode(util::loopback()), 0));
    let address = abi::local_address(udp).unwrap();
    let mut buffer = [0; 128];
    let count = allocations_when_warm(|| {
        assert_eq!(abi::udp_send_to(udp, ANSWER, &address), ANSWER.len() as i32);
        let receive = || abi::udp_receive_from(udp, &mut buffer).0;
        assert_eq!(abi::eventually(receive), ANSWER.len() as i32);
    });
    assert_eq!(count, 0);
    close(&[udp]);
}

/// A connection that is accepted, registered, reported and closed.
fn connect_and_close(poll: f64, listener: f64, address: &abi::Address) {
    let client = handle(abi::connect(address));
    let server = abi::accept_one(listener);
    assert_eq!(denio_registry_register(poll, server, TOKEN, READABLE, EDGE), 0);
    close(&[client, server]);
}

#[test]
fn churn_allocates_only_while_the_table_grows() {
    let _alone = alone();
    let listener = handle(abi::bind(&abi::encode(util::loopback()), 16, 0));
    let address = abi::local_address(listener).unwrap();
    let poll = handle(denio_poll_new(0));
    let growing = allocations(CHURN, || connect_and_close(poll, listener, &address));
    assert!(growing <= TABLE_ALLOCATIONS_MAX, "{growing} allocations");
    assert_eq!(allocations(TIMES, || connect_and_close(poll, listener, &address)), 0);
    close(&[poll, listener]);
}

#[test]
fn a_connection_over_ipv6_allocates_nothing_for_its_peer() {
    let _alone = alone();
    let loopback = "[::1]:0".parse().unwrap();
    if TcpListener::bind(loopback).is_err() {
        return util::skip("this machine has no IPv6");
    }
    let listener = handle(abi::bind(&abi::encode(loopback), 16, 0));
    let address = abi::local_address(listener).unwrap();
    let poll = handle(denio_poll_new(0));
    let mut connect = || connect_and_close(poll, listener, &address);
    allocations(CHURN, &mut connect);
    assert_eq!(allocations(TIMES, &mut connect), 0);
    close(&[poll, listener]);
}
