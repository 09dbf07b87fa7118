//! The exported functions, through the rlib, as JavaScript sees them.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "calls of unsafe functions, and set-up"
)]

mod util;

use std::net::SocketAddr;

use denio::ffi::*;
use denio_http1::{self as http1, TABLE_WORDS, word};
use denio_poll::{Event, SocketOption};
use util::abi::{self, handle};
use util::alone;

const READABLE: u32 = 1;
const WRITABLE: u32 = 2;

fn loopback() -> abi::Address {
    abi::encode(util::loopback())
}

/// A listener with its address.
fn listener() -> (f64, abi::Address) {
    let listener = handle(abi::bind(&loopback(), 16, 0));
    (listener, abi::local_address(listener).unwrap())
}

/// A client and the accepted stream.
fn pair() -> (f64, f64) {
    let (listener, address) = listener();
    let client = handle(abi::connect(&address));
    let server = abi::accept_one(listener);
    close(&[listener]);
    (client, server)
}

#[track_caller]
fn close(handles: &[f64]) {
    for handle in handles {
        assert_eq!(denio_source_close(*handle), 0);
    }
}

/// Waits for one event and returns its token and bits.
#[track_caller]
fn one_event(poll: f64) -> (u32, u32) {
    let mut out = [0; CLOCK_WORDS + 2];
    assert_eq!(abi::wait(poll, &mut out, util::DEADLINE.as_millis() as i32), 1);
    (out[2], out[3])
}

fn is_silent(poll: f64) -> bool {
    abi::wait(poll, &mut [0; CLOCK_WORDS + 2], util::QUIET.as_millis() as i32) == 0
}

// One function after another.

#[test]
fn abi_version_is_returned() {
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
    let mut out = [7.0; 4];
    assert_eq!(abi::accept(listener, &mut out), 0);
    assert_eq!(out, [libc::EAGAIN.into(), 0.0, 7.0, 7.0]);
    let clients: Vec<f64> = (0..3).map(|_| handle(abi::connect(&address))).collect();
    let (mut seen, mut last) = (Vec::new(), 0.0);
    while seen.len() < 3 {
        let count = abi::accept(listener, &mut out) as usize;
        seen.extend_from_slice(&out[ACCEPT_WORDS..][..count]);
        last = out[0];
        assert_eq!(last == 0.0, count == 2, "0 means full: {out:?}");
    }
    assert_eq!(last, libc::EAGAIN.into());
    assert_eq!(abi::accept(listener, &mut [9.0; 2]), 0);
    close(&clients);
    close(&seen);
    close(&[listener]);
}

#[test]
fn accept_of_something_else_accepts_nothing_and_says_so() {
    let _alone = alone();
    let (client, server) = pair();
    let mut out = [0.0; 3];
    assert_eq!(abi::accept(client, &mut out), 0);
    assert_eq!(out[0], libc::EINVAL.into());
    close(&[client, server]);
    assert_eq!(abi::accept(client, &mut out), 0);
    assert_eq!(out[0], libc::EBADF.into());
}

#[test]
fn bind_and_connect_refuse_what_is_no_address() {
    let _alone = alone();
    for family in [0, 1, 5, 10, 255] {
        let mut address = loopback();
        address[0] = family;
        assert_eq!(abi::bind(&address, 1, 0), -f64::from(libc::EAFNOSUPPORT));
        assert_eq!(abi::connect(&address), -f64::from(libc::EAFNOSUPPORT));
    }
    let (listener, address) = listener();
    assert_eq!(abi::bind(&address, 1, 0), -f64::from(libc::EADDRINUSE));
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
    let option = SocketOption::Nodelay as u32;
    assert_eq!(denio_source_option(server, option), 1);
    assert_eq!(denio_source_set_option(server, option, 0), 0);
    assert_eq!(denio_source_option(server, option), 0);
    close(&[first, client, server]);
}

#[test]
fn refused_connect_keeps_its_error_for_one_asking() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let stream = handle(abi::connect(&abi::encode(util::unused_address())));
    assert_eq!(denio_registry_register(poll, stream, 5, WRITABLE, 0), 0);
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
    assert_eq!(denio_source_set_option(client, SocketOption::Linger as u32, 1), 0);
    close(&[client]);
    assert_eq!(abi::eventually(|| abi::read(server, &mut [0])), -libc::ECONNRESET);
    close(&[server]);
}

#[test]
fn poll_is_of_the_backend_asked_for() {
    let _alone = alone();
    let best = handle(denio_poll_new(0));
    let available = denio_poll_backends();
    assert_ne!(available & 1 << denio_poll_backend(best), 0);
    for backend in 1..=5 {
        let answer = denio_poll_new(backend);
        if available & 1 << backend == 0 {
            assert_eq!(answer, (-libc::ENOTSUP).into());
        } else {
            assert_eq!(denio_poll_backend(handle(answer)), backend as i32);
            close(&[answer]);
        }
    }
    assert_eq!(denio_poll_new(6), -f64::from(libc::EINVAL));
    assert_eq!(denio_poll_new(u32::MAX), -f64::from(libc::EINVAL));
    close(&[best]);
}

#[test]
fn wait_writes_the_clock_and_no_more_events_than_fit() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
    for (number, (client, _)) in pairs.iter().enumerate() {
        assert_eq!(denio_registry_register(poll, *client, 100 + number as u32, WRITABLE, 0), 0);
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
    assert_eq!(denio_registry_register(clone, client, u32::MAX, WRITABLE, 0), 0);
    assert_eq!(one_event(poll), (u32::MAX, WRITABLE));
    assert_eq!(denio_registry_register(poll, client, 1, READABLE, 0), -libc::EEXIST);
    assert_eq!(denio_registry_reregister(again, client, 2, READABLE, 0), 0);
    assert!(is_silent(poll));
    assert_eq!(abi::write(server, b"x"), 1);
    assert_eq!(one_event(poll), (2, READABLE));
    assert_eq!(denio_registry_deregister(poll, client), 0);
    assert_eq!(denio_registry_deregister(poll, client), -libc::ENOENT);
    assert_eq!(denio_registry_reregister(poll, client, 2, READABLE, 0), -libc::ENOENT);
    assert_eq!(abi::write(server, b"x"), 1);
    assert!(is_silent(poll));
    close(&[client, server, again, clone, poll]);
}

#[test]
fn register_refuses_an_empty_or_unknown_interest() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let (listener, _) = listener();
    for interest in [0, 8, 1 << 31, u32::MAX] {
        assert_eq!(denio_registry_register(poll, listener, 1, interest, 0), -libc::EINVAL);
    }
    assert_eq!(denio_registry_register(poll, listener, 1, READABLE, 0), 0);
    assert_eq!(denio_registry_reregister(poll, listener, 1, 0, 0), -libc::EINVAL);
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
    assert_eq!(denio_registry_register(registry, listener, 1, READABLE, 0), 0);
    assert_eq!(denio_waker_wake(waker), 0);
    close(&[listener, waker, registry]);
}

#[test]
fn waker_ends_waits_of_both_kinds() {
    let _alone = alone();
    let poll = handle(denio_poll_new(0));
    let waker = handle(denio_waker_new(poll, 77));
    assert_eq!(denio_waker_new(poll, 78), -f64::from(libc::EEXIST));
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
        let (sender, receiver) = std::sync::mpsc::channel();
        let waiting = scope.spawn(move || {
            sender.send(()).unwrap();
            abi::wait(poll, &mut [0; 4], -1)
        });
        receiver.recv().unwrap();
        close(&[poll]);
        assert_eq!(denio_waker_wake(waker), 0);
        let answer = waiting.join().unwrap();
        assert!(answer == 1 || answer == -libc::EBADF, "it had begun, or not: {answer}");
    });
    close(&[waker]);
}

#[test]
fn resolve_knows_numbers_and_says_when_it_knows_nothing() {
    let ask = |name: &[u8], room: &mut [u8], is_address: u32| {
        let (capacity, length) = ((room.len() / ADDRESS_BYTES) as u32, name.len() as u32);
        let (name, room) = (name.as_ptr(), room.as_mut_ptr());
        // SAFETY: both are as long as is said.
        unsafe { denio_name_resolve(name, length, room, capacity, is_address) }
    };
    let resolve = |name: &[u8], room: &mut [u8]| ask(name, room, 0);
    for text in ["127.0.0.1", "::1"] {
        let mut room = [0; 3 * ADDRESS_BYTES];
        assert_eq!(resolve(text.as_bytes(), &mut room), 1);
        let expected = abi::encode(SocketAddr::new(text.parse().unwrap(), 0));
        assert_eq!(room[..ADDRESS_BYTES], expected);
        assert_eq!(room[ADDRESS_BYTES..], [0; 2 * ADDRESS_BYTES]);
    }
    assert_eq!(resolve(b"127.0.0.1", &mut []), 0);
    assert_eq!(ask(b"127.0.0.1", &mut [0; ADDRESS_BYTES], 1), 1);
    assert_eq!(ask(b"localhost", &mut [0; ADDRESS_BYTES], 1), -libc::ENOENT);
    assert_eq!(resolve(b"\xff", &mut [0; ADDRESS_BYTES]), -libc::EINVAL);
    assert_eq!(resolve(b"a\0b", &mut [0; ADDRESS_BYTES]), -libc::ENOENT);
}

#[test]
fn http1_parse_answers_length_partial_or_status() {
    let mut table = [0; TABLE_WORDS];
    let mut call = |bytes: &[u8], offset: u32, scanned: u32, lenient: u32| {
        let length = bytes.len() as u32 - offset;
        let (buffer, table) = (bytes.as_ptr(), table.as_mut_ptr());
        // SAFETY: both are as long as is said.
        unsafe { denio_http1_parse(buffer, offset, length, scanned, lenient, table) }
    };
    assert_eq!(call(b"GET / HTTP/1.1\n\r\n", 0, 0, 1), 17);
    assert_eq!(call(b"GET / HTTP/1.1\n\r\n", 0, 0, u32::MAX), 17);
    let mut parse = |bytes: &[u8], offset: u32, scanned: u32| call(bytes, offset, scanned, 0);
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
fn websocket_parse_refuses_buffers_that_overlap_or_have_no_end() {
    let mut words = [0_u32; 64];
    let start = words.as_mut_ptr();
    let parse = |buffer: usize, offset: u32, length: u32, state: usize, table: usize| {
        let (buffer, state) = (start.wrapping_add(buffer).cast(), start.wrapping_add(state));
        let table = start.wrapping_add(table);
        // SAFETY: all parts lie in `words`, or the call refuses them.
        unsafe { denio_websocket_parse(buffer, offset, length, state, table, 4) }
    };
    // Zeros continue no message, which is one row.
    assert_eq!(parse(0, 0, 16, 4, 16), 1);
    assert_eq!(parse(0, 0, 17, 4, 16), -libc::EINVAL);
    assert_eq!(parse(0, 16, 1, 4, 16), -libc::EINVAL);
    assert_eq!(parse(40, 0, 16, 4, 12), -libc::EINVAL);
    assert_eq!(parse(12, 0, 16, 0, 16), 1);
    assert_eq!(parse(12, 0, 17, 0, 16), -libc::EINVAL);
    assert_eq!(parse(0, u32::MAX, 1, 20, 32), -libc::EINVAL);
    assert_eq!(parse(0, 1, u32::MAX, 20, 32), -libc::EINVAL);
}

#[test]
fn websocket_inflate_and_deflate_refuse_buffers_that_overlap_or_have_no_end() {
    let mut bytes = [0_u8; 64];
    bytes[..7].copy_from_slice(b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    let start = bytes.as_mut_ptr();
    let inflate = |at: u32, length: u32, behind: u32, out: usize, flags: u32| {
        let (history, out) = (start.wrapping_add(8), start.wrapping_add(out));
        // SAFETY: all parts lie in `bytes`, or the call refuses them.
        unsafe { denio_websocket_inflate(start, at, length, history, behind, out, 20, flags) }
    };
    assert_eq!(inflate(0, 7, 0, 7, 1), 5);
    assert_eq!(inflate(0, 7, 0, 6, 1), -libc::EINVAL);
    assert_eq!(inflate(0, 7, 13, 20, 1), -libc::EINVAL);
    assert_eq!(inflate(1, u32::MAX, 0, 20, 1), -libc::EINVAL);
    assert_eq!(inflate(1, 3, 0, 20, 1), -1007);
    // One byte, 0xFF, is no text.
    bytes[..4].copy_from_slice(b"\xfa\x0f\x00\x00");
    assert_eq!(inflate(0, 3, 0, 20, 1), 1);
    assert_eq!(inflate(0, 3, 0, 20, 3), -1007);
    let deflate = |length: u32, out: usize, capacity: u32| {
        let out = start.wrapping_add(out);
        // SAFETY: all parts lie in `bytes`, or the call refuses them.
        unsafe { denio_websocket_deflate(start, 0, length, start, 0, out, capacity, 15, 6) }
    };
    assert_eq!(deflate(8, 9, 4), 0);
    assert!(deflate(8, 9, 55) > 0);
    assert_eq!(deflate(9, 8, 55), -libc::EINVAL);
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
    for old in
        stale.into_iter().chain([0.0, -1.0, live + 0.5, f64::NAN, 1e300, abi::old_generation(live)])
    {
        for (name, answer) in answers_to(old, poll, live) {
            assert_eq!(answer, -libc::EBADF, "{name} of {old}");
        }
    }
    close(&[live, poll]);
}

/// The answers of all functions with a handle to `old`, beside good handles.
fn answers_to(old: f64, poll: f64, listener: f64) -> Vec<(&'static str, i32)> {
    let (mut accepted, mut out) = ([0.0; 3], [0; 4]);
    abi::accept(old, &mut accepted);
    let mut reads = [StreamRead { stream: old, ..Default::default() }];
    let mut writes = [StreamWrite { stream: old, end: 1, ..Default::default() }];
    assert_eq!(abi::read_streams(&mut [0], 0, 1, &mut reads), 1);
    assert_eq!(abi::write_streams(b"x", &mut writes), 0);
    vec![
        ("accept", -(accepted[0] as i32)),
        ("close", denio_source_close(old)),
        ("take_error", denio_source_take_error(old)),
        ("local_address", abi::local_address(old).unwrap_err()),
        ("peer_address", abi::peer_address(old).unwrap_err()),
        ("backend", denio_poll_backend(old)),
        ("supports", denio_poll_supports(old, READABLE, 0)),
        ("wait", abi::wait(old, &mut out, 0)),
        ("park", denio_poll_park(old, 0)),
        ("try_clone", denio_registry_try_clone(old) as i32),
        ("register at", denio_registry_register(old, listener, 1, READABLE, 0)),
        ("register", denio_registry_register(poll, old, 1, READABLE, 0)),
        ("reregister at", denio_registry_reregister(old, listener, 1, READABLE, 0)),
        ("reregister", denio_registry_reregister(poll, old, 1, READABLE, 0)),
        ("deregister at", denio_registry_deregister(old, listener)),
        ("deregister", denio_registry_deregister(poll, old)),
        ("waker_new", denio_waker_new(old, 1) as i32),
        ("wake", denio_waker_wake(old)),
        ("read", abi::read(old, &mut [0])),
        ("write", abi::write(old, b"x")),
        ("read of several", reads[0].result),
        ("write of several", writes[0].result),
        ("shutdown", denio_stream_shutdown(old, 2)),
        ("clone", denio_source_try_clone(old) as i32),
        ("option", denio_source_option(old, SocketOption::Ttl as u32)),
        ("set_option", denio_source_set_option(old, SocketOption::Ttl as u32, 1)),
        ("peek", abi::peek(old, &mut [0])),
        // SAFETY: there are no buffers.
        ("read_vectored", unsafe { abi::read_vectored(old, &[]) }),
        // SAFETY: there are no buffers.
        ("write_vectored", unsafe { abi::write_vectored(old, &[]) }),
        ("udp connect", abi::udp_connect(old, &loopback())),
        ("udp peer_address", abi::udp_peer_address(old).unwrap_err()),
        ("udp send", abi::udp_send(old, b"x")),
        ("udp receive", abi::udp_receive(old, &mut [0])),
        ("udp peek", abi::udp_peek(old, &mut [0])),
        ("udp send_to", abi::udp_send_to(old, b"x", &loopback())),
        ("udp receive_from", abi::udp_receive_from(old, &mut [0]).0),
        ("udp peek_from", abi::udp_peek_from(old, &mut [0]).0),
        ("udp set_membership", abi::udp_set_membership(old, &abi::group(), None, 1)),
    ]
}
