//! The exported functions, through the rlib: what JavaScript sees of each, and what no integer
//! that JavaScript could pass may do.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "calls of unsafe functions, and set-up"
)]

mod util;

use std::net::SocketAddr;
use std::sync::Mutex;

use denio::Event;
use denio::ffi::*;
use denio::http1::{self, TABLE_WORDS, word};
use util::Random;
use util::abi::{self, handle};
use util::alone;

const READABLE: u32 = 1;
const WRITABLE: u32 = 2;

fn loopback() -> abi::Address {
    abi::encode(util::loopback())
}

/// A listener with its address.
fn listener() -> (u32, abi::Address) {
    let listener = handle(abi::bind(&loopback(), 16, 0));
    (listener, abi::local_address(listener).unwrap())
}

/// A stream that connected and the one that was accepted.
fn pair() -> (u32, u32) {
    let (listener, address) = listener();
    let client = handle(abi::connect(&address));
    let server = abi::accept_one(listener);
    close(&[listener]);
    (client, server)
}

#[track_caller]
fn close(handles: &[u32]) {
    for handle in handles {
        assert_eq!(denio_source_close(*handle), 0);
    }
}

/// Waits for one event and returns its token and bits.
#[track_caller]
fn one_event(poll: u32) -> (u32, u32) {
    let mut out = [0; CLOCK_WORDS + 2];
    assert_eq!(abi::wait(poll, &mut out, util::DEADLINE.as_millis() as i32), 1);
    (out[2], out[3])
}

fn is_silent(poll: u32) -> bool {
    abi::wait(poll, &mut [0; CLOCK_WORDS + 2], util::QUIET.as_millis() as i32) == 0
}

// One function after another.

#[test]
fn abi_version_is_told() {
    assert_eq!(denio_abi_version(), ABI_VERSION);
}

#[test]
fn source_count_follows_opening_and_closing() {
    let _alone = alone();
    let before = denio_source_count();
    let (listener, _) = listener();
    assert_eq!(denio_source_count(), before + 1);
    close(&[listener]);
    assert_eq!(denio_source_count(), before);
}

#[test]
fn streams_talk_both_ways_until_the_end() {
    let _alone = alone();
    let (client, server) = pair();
    assert_eq!(abi::peer_address(client), abi::local_address(server));
    assert_eq!(abi::peer_address(server), abi::local_address(client));
    let mut buffer = [0; 16];
    assert_eq!(abi::read(client, &mut buffer), -libc::EAGAIN);
    assert_eq!(abi::write(server, b"hello"), 5);
    assert_eq!(abi::eventually(|| abi::read(client, &mut buffer)), 5);
    assert_eq!(&buffer[..5], b"hello");
    assert_eq!(abi::read(client, &mut []), 0);
    close(&[server]);
    assert_eq!(abi::eventually(|| abi::read(client, &mut buffer)), 0);
    close(&[client]);
}

#[test]
fn read_and_write_keep_to_their_part_of_the_buffer() {
    let _alone = alone();
    let (client, server) = pair();
    // SAFETY: three bytes from the second are within the five.
    assert_eq!(unsafe { denio_stream_write(server, b"abcde".as_ptr(), 1, 3) }, 3);
    let mut buffer = *b"........";
    let pointer = buffer.as_mut_ptr();
    // SAFETY: two bytes from the fourth are within the eight.
    let count = abi::eventually(|| unsafe { denio_stream_read(client, pointer, 3, 2) });
    assert_eq!((count, &buffer), (2, b"...bc..."));
    close(&[client, server]);
}

#[test]
fn accept_says_how_many_and_why_it_stopped() {
    let _alone = alone();
    let (listener, address) = listener();
    let mut out = [7; 3];
    assert_eq!(abi::accept(listener, &mut out), 0);
    assert_eq!(out, [libc::EAGAIN as u32, 7, 7]);
    let clients: Vec<u32> = (0..3).map(|_| handle(abi::connect(&address))).collect();
    let (mut seen, mut last) = (Vec::new(), 0);
    while seen.len() < 3 {
        let count = abi::accept(listener, &mut out) as usize;
        seen.extend_from_slice(&out[1..=count]);
        last = out[0];
        assert_eq!(last == 0, count == 2, "0 means full: {out:?}");
    }
    assert_eq!(last, libc::EAGAIN as u32);
    assert_eq!(abi::accept(listener, &mut [9]), 0);
    close(&clients);
    close(&seen);
    close(&[listener]);
}

#[test]
fn accept_of_something_else_accepts_nothing_and_says_so() {
    let _alone = alone();
    let (client, server) = pair();
    let mut out = [0; 2];
    assert_eq!(abi::accept(client, &mut out), 0);
    assert_eq!(out[0], libc::EINVAL as u32);
    close(&[client, server]);
    assert_eq!(abi::accept(client, &mut out), 0);
    assert_eq!(out[0], libc::EBADF as u32);
}

#[test]
fn bind_and_connect_refuse_what_is_no_address() {
    let _alone = alone();
    for family in [0, 1, 5, 10, 255] {
        let mut address = loopback();
        address[0] = family;
        assert_eq!(abi::bind(&address, 1, 0), -libc::EAFNOSUPPORT);
        assert_eq!(abi::connect(&address), -libc::EAFNOSUPPORT);
    }
    let (listener, address) = listener();
    assert_eq!(abi::bind(&address, 1, 0), -libc::EADDRINUSE);
    close(&[listener]);
}

#[test]
fn bind_takes_its_flags() {
    let _alone = alone();
    let (reuse_port, nodelay) = (1, 4);
    let first = handle(abi::bind(&loopback(), 4, reuse_port | nodelay));
    let address = abi::local_address(first).unwrap();
    let second = handle(abi::bind(&address, 4, reuse_port));
    close(&[second]);
    let client = handle(abi::connect(&address));
    let server = abi::accept_one(first);
    assert_eq!(denio_stream_nodelay(server), 1);
    assert_eq!(denio_stream_set_nodelay(server, 0), 0);
    assert_eq!(denio_stream_nodelay(server), 0);
    close(&[first, client, server]);
}

#[test]
fn refused_connect_keeps_its_error_for_one_asking() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let stream = handle(abi::connect(&abi::encode(util::nobody())));
    assert_eq!(denio_registry_register(poll, stream, 5, WRITABLE), 0);
    let (token, bits) = one_event(poll);
    assert_eq!((token, bits & Event::WRITE_CLOSED), (5, Event::WRITE_CLOSED));
    assert_eq!(denio_source_take_error(stream), libc::ECONNREFUSED);
    assert_eq!(denio_source_take_error(stream), 0);
    assert_eq!(abi::peer_address(stream), Err(-libc::ENOTCONN));
    close(&[stream, poll]);
}

#[test]
fn shutdown_and_reset_reach_the_peer() {
    let _alone = alone();
    let (client, server) = pair();
    assert_eq!(denio_stream_shutdown(server, 1), 0);
    assert_eq!(abi::eventually(|| abi::read(client, &mut [0])), 0);
    assert_eq!(abi::write(server, b"x"), -libc::EPIPE);
    assert_eq!(denio_stream_shutdown(server, 3), -libc::EINVAL);
    assert_eq!(denio_stream_set_reset_on_close(client, 1), 0);
    close(&[client]);
    assert_eq!(abi::eventually(|| abi::read(server, &mut [0])), -libc::ECONNRESET);
    close(&[server]);
}

#[test]
fn poll_is_of_the_backend_asked_for() {
    let _alone = alone();
    let best = handle(denio_poll_new(0));
    let backend = denio_poll_backend(best);
    let other = if backend == 1 { 2 } else { 1 };
    let named = handle(denio_poll_new(backend as u32));
    assert_eq!(denio_poll_backend(named), backend);
    assert_eq!(denio_poll_new(other), -libc::ENOTSUP);
    assert_eq!(denio_poll_new(3), -libc::EINVAL);
    assert_eq!(denio_poll_new(u32::MAX), -libc::EINVAL);
    close(&[best, named]);
}

#[test]
fn wait_writes_the_clock_and_no_more_events_than_fit() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
    for (number, (client, _)) in pairs.iter().enumerate() {
        assert_eq!(denio_registry_register(poll, *client, 100 + number as u32, WRITABLE), 0);
    }
    let mut out = [0xA5A5_A5A5_u32; CLOCK_WORDS + 6];
    let mut seen = Vec::new();
    while seen.len() < 3 {
        // SAFETY: `out` has room for three events, and one is asked for.
        assert_eq!(unsafe { denio_poll_wait(poll, out.as_mut_ptr(), 1, 1000) }, 1);
        assert_eq!(out[4..], [0xA5A5_A5A5; 4]);
        assert_eq!(out[3], WRITABLE);
        seen.push(out[2]);
    }
    seen.sort_unstable();
    assert_eq!(seen, [100, 101, 102]);
    let clock = |out: &[u32]| (out[0], out[1]);
    let before = clock(&out);
    assert_eq!(abi::wait(poll, &mut out, 2), 0);
    assert!(clock(&out) > before && out[1] < 1_000_000_000, "{before:?} {out:?}");
    assert_eq!(abi::wait(poll, &mut [0; CLOCK_WORDS], 0), -libc::EINVAL);
    pairs.iter().for_each(|(client, server)| close(&[*client, *server]));
    close(&[poll]);
}

#[test]
fn wait_and_park_call_an_interruption_nothing() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    assert_eq!(util::interrupted(|| abi::wait(poll, &mut [0; 4], -1)), 0);
    assert_eq!(util::interrupted(|| denio_poll_park(poll, -1)), 0);
    close(&[poll]);
}

#[test]
fn registry_registers_replaces_and_removes() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let clone = handle(denio_registry_try_clone(poll));
    let again = handle(denio_registry_try_clone(clone));
    let (client, server) = pair();
    assert_eq!(denio_registry_register(clone, client, u32::MAX, WRITABLE), 0);
    assert_eq!(one_event(poll), (u32::MAX, WRITABLE));
    assert_eq!(denio_registry_register(poll, client, 1, READABLE), -libc::EEXIST);
    assert_eq!(denio_registry_reregister(again, client, 2, READABLE), 0);
    assert!(is_silent(poll));
    assert_eq!(abi::write(server, b"x"), 1);
    assert_eq!(one_event(poll), (2, READABLE));
    assert_eq!(denio_registry_deregister(poll, client), 0);
    assert_eq!(denio_registry_deregister(poll, client), -libc::ENOENT);
    assert_eq!(denio_registry_reregister(poll, client, 2, READABLE), -libc::ENOENT);
    assert_eq!(abi::write(server, b"x"), 1);
    assert!(is_silent(poll));
    close(&[client, server, again, clone, poll]);
}

#[test]
fn register_refuses_an_interest_in_nothing_or_in_what_there_is_not() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let (listener, _) = listener();
    for interest in [0, 8, 1 << 31, u32::MAX] {
        assert_eq!(denio_registry_register(poll, listener, 1, interest), -libc::EINVAL);
    }
    assert_eq!(denio_registry_register(poll, listener, 1, READABLE), 0);
    assert_eq!(denio_registry_reregister(poll, listener, 1, 0), -libc::EINVAL);
    close(&[listener, poll]);
}

#[test]
fn registry_outlives_the_handle_of_its_poll() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let registry = handle(denio_registry_try_clone(poll));
    let waker = handle(denio_waker_new(registry, 1));
    close(&[poll]);
    let (listener, _) = listener();
    assert_eq!(denio_registry_register(registry, listener, 1, READABLE), 0);
    assert_eq!(denio_waker_wake(waker), 0);
    close(&[listener, waker, registry]);
}

#[test]
fn waker_ends_waits_of_both_kinds() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let waker = handle(denio_waker_new(poll, 77));
    assert_eq!(denio_waker_new(poll, 78), -libc::EEXIST);
    std::thread::scope(|scope| {
        let parked = scope.spawn(|| denio_poll_park(poll, -1));
        assert_eq!(denio_waker_wake(waker), 0);
        assert_eq!(parked.join().unwrap(), 1);
        assert_eq!(one_event(poll), (77, READABLE));
        assert_eq!(denio_poll_park(poll, 0), 0);
        let waiting = scope.spawn(|| abi::wait(poll, &mut [0; 4], -1));
        assert_eq!(denio_waker_wake(waker), 0);
        assert_eq!(waiting.join().unwrap(), 1);
    });
    close(&[waker, poll]);
}

#[test]
fn poll_closed_during_a_wait_ends_after_it() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let waker = handle(denio_waker_new(poll, 1));
    std::thread::scope(|scope| {
        let (says, hears) = std::sync::mpsc::channel();
        let waiting = scope.spawn(move || {
            says.send(()).unwrap();
            abi::wait(poll, &mut [0; 4], -1)
        });
        hears.recv().unwrap();
        close(&[poll]);
        assert_eq!(denio_waker_wake(waker), 0);
        let answer = waiting.join().unwrap();
        assert!(answer == 1 || answer == -libc::EBADF, "it had begun, or not: {answer}");
    });
    close(&[waker]);
}

#[test]
fn resolve_knows_numbers_and_says_when_it_knows_nothing() {
    let resolve = |name: &[u8], room: &mut [u8]| {
        let capacity = (room.len() / ADDRESS_BYTES) as u32;
        // SAFETY: both are as long as is said.
        unsafe { denio_name_resolve(name.as_ptr(), name.len() as u32, room.as_mut_ptr(), capacity) }
    };
    for text in ["127.0.0.1", "::1"] {
        let mut room = [0; 3 * ADDRESS_BYTES];
        assert_eq!(resolve(text.as_bytes(), &mut room), 1);
        let expected = abi::encode(SocketAddr::new(text.parse().unwrap(), 0));
        assert_eq!(room[..ADDRESS_BYTES], expected);
        assert_eq!(room[ADDRESS_BYTES..], [0; 2 * ADDRESS_BYTES]);
    }
    assert_eq!(resolve(b"127.0.0.1", &mut []), 0);
    assert_eq!(resolve(b"\xff", &mut [0; ADDRESS_BYTES]), -libc::EINVAL);
    assert_eq!(resolve(b"a\0b", &mut [0; ADDRESS_BYTES]), -libc::ENOENT);
}

#[test]
fn http1_parse_answers_length_partial_or_status() {
    let mut table = [0; TABLE_WORDS];
    let mut parse = |bytes: &[u8], offset: u32, scanned: u32| {
        let length = bytes.len() as u32 - offset;
        // SAFETY: both are as long as is said.
        unsafe { denio_http1_parse(bytes.as_ptr(), offset, length, scanned, table.as_mut_ptr()) }
    };
    let head = b"xxGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(parse(head, 2, 0), head.len() as i32 - 2);
    assert_eq!(parse(head, 2, 20), head.len() as i32 - 2);
    assert_eq!(parse(&head[..20], 2, 0), 0);
    assert_eq!(parse(&head[..20], 2, 17), 0);
    assert_eq!(parse(b"", 0, 0), 0);
    assert_eq!(parse(b"GET / HTTP/1.1\n\r\n", 0, 0), -400);
    assert_eq!(parse(b"GET / HTTP/2.0\r\n\r\n", 0, 0), -505);
    assert_eq!(parse(head, 2, 0), head.len() as i32 - 2);
    assert_eq!((table[word::METHOD_START], table[word::METHOD_END]), (2, 5));
    assert_eq!(http1::METHODS[table[word::METHOD] as usize], "GET");
}

#[test]
fn handles_are_the_same_on_every_thread() {
    let _alone = alone();
    let (client, server) = pair();
    std::thread::scope(|scope| {
        assert_eq!(scope.spawn(move || abi::write(client, b"x")).join().unwrap(), 1);
        let read = scope.spawn(move || abi::eventually(|| abi::read(server, &mut [0; 4])));
        assert_eq!(read.join().unwrap(), 1);
        assert_eq!(scope.spawn(move || denio_source_close(client)).join().unwrap(), 0);
        assert_eq!(abi::write(client, b"x"), -libc::EBADF);
    });
    close(&[server]);
}

#[test]
fn stale_handles_are_bad_for_every_function() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let (live, _) = listener();
    let (stream, server) = pair();
    let waker = handle(denio_waker_new(poll, 1));
    let registry = handle(denio_registry_try_clone(poll));
    let stale = [poll, stream, server, waker, registry];
    close(&stale);
    let poll = handle(denio_poll_new(0));
    for old in stale.into_iter().chain([0, u32::MAX, i32::MAX as u32, old_generation(live)]) {
        for (name, answer) in answers_to(old, poll, live) {
            assert_eq!(answer, -libc::EBADF, "{name} of {old}");
        }
    }
    close(&[live, poll]);
}

/// The same slot in another generation.
fn old_generation(handle: u32) -> u32 {
    handle ^ 1 << 20
}

/// What each function that takes a handle answers to `old`, beside good ones.
fn answers_to(old: u32, poll: u32, listener: u32) -> Vec<(&'static str, i32)> {
    let mut out = [0; 4];
    abi::accept(old, &mut out);
    vec![
        ("accept", -(out[0] as i32)),
        ("close", denio_source_close(old)),
        ("take_error", denio_source_take_error(old)),
        ("local_address", abi::local_address(old).unwrap_err()),
        ("peer_address", abi::peer_address(old).unwrap_err()),
        ("backend", denio_poll_backend(old)),
        ("wait", abi::wait(old, &mut out, 0)),
        ("park", denio_poll_park(old, 0)),
        ("try_clone", denio_registry_try_clone(old)),
        ("register at", denio_registry_register(old, listener, 1, READABLE)),
        ("register", denio_registry_register(poll, old, 1, READABLE)),
        ("reregister at", denio_registry_reregister(old, listener, 1, READABLE)),
        ("reregister", denio_registry_reregister(poll, old, 1, READABLE)),
        ("deregister at", denio_registry_deregister(old, listener)),
        ("deregister", denio_registry_deregister(poll, old)),
        ("waker_new", denio_waker_new(old, 1)),
        ("wake", denio_waker_wake(old)),
        ("read", abi::read(old, &mut [0])),
        ("write", abi::write(old, b"x")),
        ("shutdown", denio_stream_shutdown(old, 2)),
        ("set_nodelay", denio_stream_set_nodelay(old, 1)),
        ("nodelay", denio_stream_nodelay(old)),
        ("set_reset_on_close", denio_stream_set_reset_on_close(old, 1)),
    ]
}

// Every function with any integers, from many threads.

const SEEDS: [u64; 6] = [1, 2, 3, 0xDE_10, 0x1234_5678, u64::MAX];
const THREADS: u64 = 4;
const CALLS_EACH: usize = 3000;
/// Handles that may be open at once: below the 256 descriptors that macOS gives a process.
const OPEN_MAX: usize = 100;
/// What surrounds every buffer, and must still be there after the call.
const CANARY: u8 = 0xA5;
const CANARY_BYTES: usize = 64;

/// What a handle was opened as.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Poll,
    Registry,
    Waker,
    Listener,
    Stream,
}

const POLLS: &[Kind] = &[Kind::Poll];
const REGISTRIES: &[Kind] = &[Kind::Poll, Kind::Registry];
const WAKERS: &[Kind] = &[Kind::Waker];
const LISTENERS: &[Kind] = &[Kind::Listener];
const STREAMS: &[Kind] = &[Kind::Stream];
const SOCKETS: &[Kind] = &[Kind::Listener, Kind::Stream];

type Call = fn(&mut Fuzzer<'_>) -> i32;

/// Every exported function by name, with a call of it that picks its arguments.
const CALLS: &[(&str, Call)] = &[
    ("denio_abi_version", |_| denio_abi_version()),
    ("denio_source_count", |_| denio_source_count()),
    ("denio_source_close", |fuzzer| fuzzer.close()),
    ("denio_source_take_error", |fuzzer| denio_source_take_error(fuzzer.handle(SOCKETS))),
    ("denio_source_local_address", |fuzzer| {
        let socket = fuzzer.handle(SOCKETS);
        // SAFETY: the buffer is an address long, or null.
        fuzzer.bytes(ADDRESS_BYTES, |at| unsafe { denio_source_local_address(socket, at) })
    }),
    ("denio_stream_peer_address", |fuzzer| {
        let stream = fuzzer.handle(STREAMS);
        // SAFETY: the buffer is an address long, or null.
        fuzzer.bytes(ADDRESS_BYTES, |at| unsafe { denio_stream_peer_address(stream, at) })
    }),
    ("denio_name_resolve", |fuzzer| {
        // Nothing that would be asked of a name server.
        let name = fuzzer.random.pick(&[&b"127.0.0.1"[..], b"::1", b"\xff\xfe", b"a\0b", b""]);
        let (pointer, length) = (name.as_ptr(), name.len() as u32);
        let capacity = fuzzer.random.below(4);
        // SAFETY: both buffers are as long as is said, or null.
        fuzzer.bytes(capacity * ADDRESS_BYTES, |at| unsafe {
            denio_name_resolve(pointer, length, at, capacity as u32)
        })
    }),
    ("denio_poll_new", |fuzzer| {
        let backend = fuzzer.random.pick(&[0, 0, 0, 1, 2, 3, u32::MAX]);
        fuzzer.opened(Kind::Poll, denio_poll_new(backend))
    }),
    ("denio_poll_backend", |fuzzer| denio_poll_backend(fuzzer.handle(POLLS))),
    ("denio_poll_wait", |fuzzer| {
        let (poll, timeout_ms) = (fuzzer.handle(POLLS), fuzzer.timeout_ms());
        let capacity = fuzzer.random.pick(&[0, 1, 7, 1024, 3000]);
        let words = CLOCK_WORDS + 2 * capacity as usize;
        // SAFETY: the buffer has room for the clock and the events, or is null or crooked.
        fuzzer.words(words, |at| unsafe { denio_poll_wait(poll, at, capacity, timeout_ms) }).0
    }),
    ("denio_poll_park", |fuzzer| {
        let (poll, timeout_ms) = (fuzzer.handle(POLLS), fuzzer.timeout_ms());
        denio_poll_park(poll, timeout_ms)
    }),
    ("denio_registry_try_clone", |fuzzer| {
        let clone = denio_registry_try_clone(fuzzer.handle(REGISTRIES));
        fuzzer.opened(Kind::Registry, clone)
    }),
    ("denio_registry_register", |fuzzer| {
        let (registry, source) = (fuzzer.handle(REGISTRIES), fuzzer.handle(SOCKETS));
        let (token, interest) = (fuzzer.integer(), fuzzer.interest());
        denio_registry_register(registry, source, token, interest)
    }),
    ("denio_registry_reregister", |fuzzer| {
        let (registry, source) = (fuzzer.handle(REGISTRIES), fuzzer.handle(SOCKETS));
        let (token, interest) = (fuzzer.integer(), fuzzer.interest());
        denio_registry_reregister(registry, source, token, interest)
    }),
    ("denio_registry_deregister", |fuzzer| {
        let (registry, source) = (fuzzer.handle(REGISTRIES), fuzzer.handle(SOCKETS));
        denio_registry_deregister(registry, source)
    }),
    ("denio_waker_new", |fuzzer| {
        let (registry, token) = (fuzzer.handle(REGISTRIES), fuzzer.integer());
        fuzzer.opened(Kind::Waker, denio_waker_new(registry, token))
    }),
    ("denio_waker_wake", |fuzzer| denio_waker_wake(fuzzer.handle(WAKERS))),
    ("denio_listener_bind", |fuzzer| {
        let mut address = fuzzer.address();
        address[2..4].fill(0);
        let (backlog, flags) = (fuzzer.integer() as i32, fuzzer.integer());
        fuzzer.opened(Kind::Listener, abi::bind(&address, backlog, flags))
    }),
    ("denio_listener_accept", |fuzzer| {
        let (listener, capacity) = (fuzzer.handle(LISTENERS), fuzzer.random.below(6));
        // SAFETY: the buffer has a word more than the capacity, or is null or crooked.
        let (count, out) = fuzzer.words(capacity + 1, |at| unsafe {
            denio_listener_accept(listener, at, capacity as u32)
        });
        for handle in out.into_iter().skip(1).take(count.max(0) as usize) {
            fuzzer.opened(Kind::Stream, handle as i32);
        }
        count
    }),
    ("denio_stream_connect", |fuzzer| {
        let address = fuzzer.address();
        fuzzer.opened(Kind::Stream, abi::connect(&address))
    }),
    ("denio_stream_read", |fuzzer| {
        let (stream, offset, length) = fuzzer.part();
        // SAFETY: the buffer has `offset + length` bytes, or is null.
        fuzzer.bytes(offset + length, |at| unsafe {
            denio_stream_read(stream, at, offset as u32, length as u32)
        })
    }),
    ("denio_stream_write", |fuzzer| {
        let (stream, offset, length) = fuzzer.part();
        // SAFETY: the buffer has `offset + length` bytes, or is null.
        fuzzer.bytes(offset + length, |at| unsafe {
            denio_stream_write(stream, at, offset as u32, length as u32)
        })
    }),
    ("denio_stream_shutdown", |fuzzer| {
        let (stream, how) = (fuzzer.handle(STREAMS), fuzzer.integer());
        denio_stream_shutdown(stream, how)
    }),
    ("denio_stream_set_nodelay", |fuzzer| {
        let (stream, nodelay) = (fuzzer.handle(STREAMS), fuzzer.integer());
        denio_stream_set_nodelay(stream, nodelay)
    }),
    ("denio_stream_nodelay", |fuzzer| denio_stream_nodelay(fuzzer.handle(STREAMS))),
    ("denio_stream_set_reset_on_close", |fuzzer| {
        let (stream, reset) = (fuzzer.handle(STREAMS), fuzzer.integer());
        denio_stream_set_reset_on_close(stream, reset)
    }),
    ("denio_http1_parse", |fuzzer| {
        let head = fuzzer.head();
        let offset = fuzzer.random.below(head.len() + 1) as u32;
        let (length, scanned) = (head.len() as u32 - offset, fuzzer.integer());
        // SAFETY: both buffers are as long as is said, or null or crooked.
        let parsed = fuzzer.words(TABLE_WORDS, |table| unsafe {
            denio_http1_parse(head.as_ptr(), offset, length, scanned, table)
        });
        parsed.0
    }),
];

struct Fuzzer<'p> {
    random: Random,
    /// Handles that some thread has opened and perhaps closed.
    pool: &'p Mutex<Vec<(Kind, u32)>>,
}

impl Fuzzer<'_> {
    /// Calls `CALLS_EACH` functions, and keeps the number of open handles low.
    fn run(&mut self) {
        for _ in 0..CALLS_EACH {
            let (name, call) = self.random.pick(CALLS);
            let answer = call(self);
            // Errnos end below 400 and statuses at 505.
            assert!(answer > -600, "{name} answers {answer}");
            let excess = self.pool.lock().unwrap().len().saturating_sub(OPEN_MAX);
            for _ in 0..excess {
                let mut pool = self.pool.lock().unwrap();
                let place = self.random.below(pool.len());
                let (_, handle) = pool.swap_remove(place);
                drop(pool);
                denio_source_close(handle);
            }
        }
    }

    /// Remembers the handle that a call answered with.
    fn opened(&mut self, kind: Kind, answer: i32) -> i32 {
        if answer > 0 {
            self.pool.lock().unwrap().push((kind, answer as u32));
        }
        answer
    }

    /// A handle: mostly of one of these kinds, else another's, stale, or made up.
    fn handle(&mut self, kinds: &[Kind]) -> u32 {
        let pool = self.pool.lock().unwrap();
        let start = if pool.is_empty() { 0 } else { self.random.below(pool.len()) };
        let any = pool.get(start).map_or(0, |(_, handle)| *handle);
        let fits =
            pool[start..].iter().chain(&pool[..start]).find(|(kind, _)| kinds.contains(kind));
        let fitting = fits.map_or(0, |(_, handle)| *handle);
        drop(pool);
        match self.random.below(16) {
            0 => self.integer(),
            1 => old_generation(fitting),
            2 => fitting.wrapping_add(1),
            3 => any,
            _ => fitting,
        }
    }

    /// Closes something now and then: most calls should meet open handles.
    fn close(&mut self) -> i32 {
        let handle = match self.random.below(4) {
            0 => self.handle(SOCKETS),
            1 => self.handle(REGISTRIES),
            _ => self.integer(),
        };
        denio_source_close(handle)
    }

    fn interest(&mut self) -> u32 {
        let any = self.integer();
        self.random.pick(&[READABLE, WRITABLE, READABLE | WRITABLE, any])
    }

    fn integer(&mut self) -> u32 {
        let any = self.random.next() as u32;
        self.random.pick(&[0, 1, 2, 3, 4, 7, i32::MAX as u32, 1 << 31, u32::MAX, any])
    }

    /// Never without limit: nobody would end such a wait.
    fn timeout_ms(&mut self) -> i32 {
        self.random.pick(&[0, 0, 0, 0, 1])
    }

    /// An address on this machine where this test may listen, or none at all.
    fn address(&mut self) -> abi::Address {
        let socket = self.handle(LISTENERS);
        match self.random.below(8) {
            0 => std::array::from_fn(|place| if place == 0 { 9 } else { CANARY }),
            1 => abi::encode("[::1]:0".parse().unwrap()),
            2 => loopback(),
            _ => abi::local_address(socket).unwrap_or(loopback()),
        }
    }

    /// A stream, and a part of a buffer.
    fn part(&mut self) -> (u32, usize, usize) {
        (self.handle(STREAMS), self.random.below(100), self.random.pick(&[0, 1, 64, 4096, 100_000]))
    }

    /// Something like a head.
    fn head(&mut self) -> Vec<u8> {
        let mut head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n".to_vec();
        head.truncate(self.random.below(2 * head.len()));
        for _ in 0..self.random.below(3) {
            let place = self.random.below(head.len() + 1);
            head.insert(place, self.random.next() as u8);
        }
        head
    }

    /// Calls with `honest` bytes, or null, and looks after the canaries around them.
    fn bytes(&mut self, honest: usize, call: impl FnOnce(*mut u8) -> i32) -> i32 {
        if self.random.below(16) == 0 {
            return call(std::ptr::null_mut());
        }
        let mut memory = vec![CANARY; honest + 2 * CANARY_BYTES];
        let answer = call(memory[CANARY_BYTES..].as_mut_ptr());
        let after = memory.split_off(CANARY_BYTES + honest);
        memory.truncate(CANARY_BYTES);
        assert_eq!([memory, after], [[CANARY; CANARY_BYTES]; 2], "written outside the buffer");
        answer
    }

    /// As `bytes`, with words, which may also be crooked; and what was written.
    fn words(&mut self, honest: usize, call: impl FnOnce(*mut u32) -> i32) -> (i32, Vec<u32>) {
        let fill = u32::from_ne_bytes([CANARY; 4]);
        let pad = CANARY_BYTES / 4;
        let mut memory = vec![fill; honest + 2 * pad];
        let start = memory[pad..].as_mut_ptr();
        let answer = match self.random.below(16) {
            0 => call(std::ptr::null_mut()),
            1 => call(start.wrapping_byte_add(1 + self.random.below(3))),
            _ => call(start),
        };
        let after = memory.split_off(pad + honest);
        let written = memory.split_off(pad);
        assert_eq!([memory, after], [[fill; CANARY_BYTES / 4]; 2], "written outside the buffer");
        (answer, written)
    }
}

#[test]
fn any_integers_from_many_threads_do_no_harm() {
    let _alone = alone();
    for seed in SEEDS {
        let pool = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let random = Random(seed.wrapping_mul(THREADS).wrapping_add(thread));
                let mut fuzzer = Fuzzer { random, pool: &pool };
                scope.spawn(move || fuzzer.run());
            }
        });
        for (_, handle) in pool.into_inner().unwrap() {
            denio_source_close(handle);
        }
    }
}

#[test]
fn every_exported_function_is_among_the_calls() {
    let source = include_str!("../src/ffi.rs");
    let exported: Vec<&str> = source
        .split("extern \"C\" fn ")
        .skip(1)
        .filter_map(|rest| rest.split('(').next())
        .collect();
    assert!(exported.len() > 20, "{exported:?}");
    let called: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
    assert_eq!(called, exported);
}
