//! Every exported function with any integers, from many threads: the calls that
//! JavaScript could make. None may crash, write outside a buffer, or leave a descriptor or a handle
//! open. `cross_talk.rs` tests that handles stay apart.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "calls of unsafe functions, and set-up"
)]

mod util;

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Mutex;

use denio::ffi::*;
use denio_http1::TABLE_WORDS;
use denio_poll::SocketOption;
use denio_proactor::{Completion, Request};
use denio_websocket::accept::ACCEPT_LENGTH;
use denio_websocket::frames::{ROW_WORDS, STATE_WORDS};
use util::Random;
use util::{abi, alone};

const READABLE: u32 = 1;
const WRITABLE: u32 = 2;

const SEEDS: [u64; 6] = [1, 2, 3, 0xDE_10, 0x1234_5678, u64::MAX];
const THREADS: u64 = 4;
/// Calls of each thread for each seed, about a second in all. `DENIO_FUZZ_CALLS` asks for more.
const CALLS_EACH: usize = 3000;
/// Handles that may be open at once: below the 256 descriptors that macOS gives a process.
const OPEN_MAX: usize = 100;
/// Surrounds every buffer, and must be unchanged after the call.
const CANARY: u8 = 0xA5;
const CANARY_BYTES: usize = 64;
const CANARY_ITEMS: usize = 16;

/// The kind of a handle.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Poll,
    Registry,
    Waker,
    Parker,
    Listener,
    Stream,
    Udp,
    Pipe,
    Proactor,
    Reaper,
    File,
}

const POLLS: &[Kind] = &[Kind::Poll];
const REGISTRIES: &[Kind] = &[Kind::Poll, Kind::Registry];
const WAKERS: &[Kind] = &[Kind::Waker];
const PARKERS: &[Kind] = &[Kind::Parker];
const LISTENERS: &[Kind] = &[Kind::Listener];
const STREAMS: &[Kind] = &[Kind::Stream];
/// Kinds that can be read or written.
const BYTE_STREAMS: &[Kind] = &[Kind::Stream, Kind::Pipe];
const UDPS: &[Kind] = &[Kind::Udp];
const SOCKETS: &[Kind] = &[Kind::Listener, Kind::Stream, Kind::Udp, Kind::Pipe];
const PROACTORS: &[Kind] = &[Kind::Proactor];
const REAPERS: &[Kind] = &[Kind::Reaper];
/// Kinds that an operation may work on.
const SOURCES: &[Kind] = &[Kind::Listener, Kind::Stream, Kind::Udp, Kind::Pipe, Kind::File];

type Call = fn(&mut Fuzzer<'_>) -> i32;

/// Every exported function by name, with a call of it that picks its arguments.
const CALLS: &[(&str, Call)] = &[
    ("denio_abi_version", |_| denio_abi_version()),
    ("denio_thread_own", |_| denio_thread_own()),
    ("denio_thread_end", |fuzzer| {
        // Seldom a thread's number: most calls should meet open handles.
        let owner = if fuzzer.random.below(64) == 0 { fuzzer.integer() } else { 0 };
        denio_thread_end(owner)
    }),
    ("denio_source_count", |_| denio_source_count()),
    ("denio_source_close", |fuzzer| fuzzer.close()),
    ("denio_source_take_error", |fuzzer| denio_source_take_error(fuzzer.handle(SOCKETS))),
    ("denio_source_local_address", |fuzzer| {
        let socket = fuzzer.handle(SOCKETS);
        // SAFETY: the buffer is an address long, or null.
        fuzzer.bytes(ADDRESS_BYTES, |at| unsafe { denio_source_local_address(socket, at) })
    }),
    ("denio_stream_peer_key", |fuzzer| denio_stream_peer_key(fuzzer.handle(STREAMS))),
    ("denio_stream_peer_address", |fuzzer| {
        let stream = fuzzer.handle(STREAMS);
        // SAFETY: the buffer is an address long, or null.
        fuzzer.bytes(ADDRESS_BYTES, |at| unsafe { denio_stream_peer_address(stream, at) })
    }),
    ("denio_name_resolve", |fuzzer| {
        // No name that a name server would be asked for.
        let name = fuzzer.random.pick(&[&b"127.0.0.1"[..], b"::1", b"\xff\xfe", b"a\0b", b""]);
        let (pointer, length) = (name.as_ptr(), name.len() as u32);
        let capacity = fuzzer.random.below(4);
        let is_address = fuzzer.random.pick(&[0, 1, u32::MAX]);
        // SAFETY: both buffers are as long as is said, or null.
        fuzzer.bytes(capacity * ADDRESS_BYTES, |at| unsafe {
            denio_name_resolve(pointer, length, at, capacity as u32, is_address)
        })
    }),
    ("denio_path_resolve", |fuzzer| {
        let path = fuzzer.random.pick(&[&b"/tmp/../etc"[..], b".", b"\xff\xfe", b"a\0b", b""]);
        let (pointer, length) = (path.as_ptr(), path.len() as u32);
        let capacity = fuzzer.random.pick(&[0, 1, 64, 4096]);
        // SAFETY: both buffers are as long as is said, or null.
        fuzzer.bytes(capacity, |at| unsafe {
            denio_path_resolve(pointer, length, at, capacity as u32)
        })
    }),
    ("denio_poll_new", |fuzzer| {
        let backend = fuzzer.random.pick(&[0, 0, 1, 2, 3, 3, 4, 4, 5, 5, 6, u32::MAX]);
        fuzzer.opened(Kind::Poll, denio_poll_new(backend))
    }),
    ("denio_poll_backend", |fuzzer| denio_poll_backend(fuzzer.handle(POLLS))),
    ("denio_poll_backends", |_| denio_poll_backends()),
    ("denio_backend_refusal", |fuzzer| denio_backend_refusal(fuzzer.integer())),
    ("denio_poll_held_bytes", |fuzzer| denio_poll_held_bytes(fuzzer.handle(POLLS))),
    ("denio_poll_supports", |fuzzer| {
        let (poll, interest, mode) = (fuzzer.handle(POLLS), fuzzer.interest(), fuzzer.mode());
        denio_poll_supports(poll, interest, mode)
    }),
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
    ("denio_poll_await_park", |fuzzer| {
        let (poll, begun) = (fuzzer.handle(POLLS), fuzzer.integer() as i32);
        denio_poll_await_park(poll, begun, fuzzer.timeout_ms())
    }),
    ("denio_parker_new", |fuzzer| {
        let poll = fuzzer.handle(POLLS);
        let by_kernel = fuzzer.integer() as i32 & 1;
        // SAFETY: the buffer has two words, or is null or crooked.
        let (answer, out) =
            fuzzer.numbers(2, |at| unsafe { denio_parker_new(poll, by_kernel, at) });
        if answer < 0 {
            return answer;
        }
        // SAFETY: the descriptor is new, and the caller's.
        drop(unsafe { OwnedFd::from_raw_fd(out[1] as i32) });
        fuzzer.opened(Kind::Parker, out[0])
    }),
    ("denio_parker_park", |fuzzer| {
        denio_parker_park(fuzzer.handle(PARKERS), fuzzer.integer() as i32)
    }),
    ("denio_parker_wake", |fuzzer| denio_parker_wake(fuzzer.handle(PARKERS))),
    ("denio_registry_try_clone", |fuzzer| {
        let clone = denio_registry_try_clone(fuzzer.handle(REGISTRIES));
        fuzzer.opened(Kind::Registry, clone)
    }),
    ("denio_registry_register", |fuzzer| {
        let (registry, source) = (fuzzer.handle(REGISTRIES), fuzzer.handle(SOCKETS));
        let (token, interest, mode) = (fuzzer.integer(), fuzzer.interest(), fuzzer.mode());
        denio_registry_register(registry, source, token, interest, mode)
    }),
    ("denio_registry_reregister", |fuzzer| {
        let (registry, source) = (fuzzer.handle(REGISTRIES), fuzzer.handle(SOCKETS));
        let (token, interest, mode) = (fuzzer.integer(), fuzzer.interest(), fuzzer.mode());
        denio_registry_reregister(registry, source, token, interest, mode)
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
        // Mostly none, since most numbers are refused.
        let [idle, timeout_ms] = std::array::from_fn(|_| match fuzzer.random.below(4) {
            0 => fuzzer.integer(),
            _ => 0,
        });
        let (interval, count) = (fuzzer.integer(), fuzzer.integer());
        let at = address.as_ptr();
        // SAFETY: `address` is as long as its type says.
        let listener =
            unsafe { denio_listener_bind(at, backlog, flags, idle, interval, count, timeout_ms) };
        fuzzer.opened(Kind::Listener, listener)
    }),
    ("denio_listener_accept", |fuzzer| {
        let (listener, capacity) = (fuzzer.handle(LISTENERS), fuzzer.random.below(6));
        // SAFETY: the buffer has the words and the capacity, or is null or crooked.
        let (count, out) = fuzzer.numbers(ACCEPT_WORDS + capacity, |at| unsafe {
            denio_listener_accept(listener, at, capacity as u32)
        });
        for handle in out.into_iter().skip(ACCEPT_WORDS).take(count.max(0) as usize) {
            fuzzer.opened(Kind::Stream, handle);
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
    ("denio_stream_set_last_words", |fuzzer| {
        let (stream, words) = (fuzzer.handle(STREAMS), fuzzer.integer());
        denio_stream_set_last_words(stream, words)
    }),
    ("denio_stream_shutdown", |fuzzer| {
        let (stream, how) = (fuzzer.handle(STREAMS), fuzzer.integer());
        denio_stream_shutdown(stream, how)
    }),
    ("denio_stream_unacked", |fuzzer| denio_stream_unacked(fuzzer.handle(STREAMS))),
    ("denio_stream_unread", |fuzzer| denio_stream_unread(fuzzer.handle(STREAMS))),
    ("denio_http1_parse", |fuzzer| {
        let head = fuzzer.head();
        let offset = fuzzer.random.below(head.len() + 1) as u32;
        let (length, scanned) = (head.len() as u32 - offset, fuzzer.integer());
        let lenient = fuzzer.integer();
        // SAFETY: both buffers are as long as is said, or null or crooked.
        let parsed = fuzzer.words(TABLE_WORDS, |table| unsafe {
            denio_http1_parse(head.as_ptr(), offset, length, scanned, lenient, table)
        });
        parsed.0
    }),
    ("denio_websocket_parse", |fuzzer| fuzzer.frames()),
    ("denio_websocket_accept", |fuzzer| {
        fuzzer.bytes(ACCEPT_LENGTH, |text| {
            // SAFETY: it is as long as it must be, or null.
            unsafe { denio_websocket_accept(text) }
        })
    }),
    ("denio_websocket_inflate", |fuzzer| fuzzer.deflated(true)),
    ("denio_websocket_inflate_aside", |_| denio_websocket_inflate_aside()),
    ("denio_websocket_inflate_resume", |fuzzer| {
        let number = fuzzer.random.pick(&[0, 1, u32::MAX]);
        denio_websocket_inflate_resume(number)
    }),
    ("denio_websocket_deflate", |fuzzer| fuzzer.deflated(false)),
    ("denio_source_try_clone", |fuzzer| {
        let clone = denio_source_try_clone(fuzzer.handle(SOCKETS));
        fuzzer.opened(Kind::Stream, clone)
    }),
    ("denio_source_option", |fuzzer| {
        let (socket, option) = (fuzzer.handle(SOCKETS), fuzzer.option());
        denio_source_option(socket, option)
    }),
    ("denio_source_set_option", |fuzzer| {
        let (socket, option, any) = (fuzzer.handle(SOCKETS), fuzzer.option(), fuzzer.integer());
        // With more, closing would wait for it.
        let lingers = option == SocketOption::Linger as u32;
        let value = if lingers { fuzzer.random.pick(&[0, 1, 1 << 31, u32::MAX]) } else { any };
        denio_source_set_option(socket, option, value)
    }),
    ("denio_descriptor_describe", |fuzzer| {
        let fd = fuzzer.integer() as i32;
        // SAFETY: the buffer is an address long, or null.
        fuzzer.bytes(ADDRESS_BYTES, |at| unsafe { denio_descriptor_describe(fd, at) })
    }),
    ("denio_source_adopt", |fuzzer| fuzzer.adopt()),
    ("denio_unix_listener_bind", |fuzzer| {
        let name = fuzzer.unix_name();
        fuzzer.opened(Kind::Listener, abi::unix_bind(&name, 16))
    }),
    ("denio_unix_stream_connect", |fuzzer| {
        let name = fuzzer.unix_name();
        fuzzer.opened(Kind::Stream, abi::unix_connect(&name))
    }),
    ("denio_unix_stream_pair", |fuzzer| {
        // SAFETY: the buffer has two words, or is null or crooked.
        let (answer, out) = fuzzer.numbers(2, |at| unsafe { denio_unix_stream_pair(at) });
        fuzzer.opened_both(Kind::Stream, answer, &out)
    }),
    ("denio_pipe_new", |fuzzer| {
        // SAFETY: the buffer has two words, or is null or crooked.
        let (answer, out) = fuzzer.numbers(2, |at| unsafe { denio_pipe_new(at) });
        fuzzer.opened_both(Kind::Pipe, answer, &out)
    }),
    ("denio_stream_peek", |fuzzer| {
        let (stream, offset, length) = fuzzer.part();
        // SAFETY: the buffer has `offset + length` bytes, or is null.
        fuzzer.bytes(offset + length, |at| unsafe {
            denio_stream_peek(stream, at, offset as u32, length as u32)
        })
    }),
    ("denio_stream_read_vectored", |fuzzer| {
        let stream = fuzzer.handle(BYTE_STREAMS);
        let (room, parts) = fuzzer.parts();
        fuzzer.bytes(room, |at| {
            let part = |(start, length): (usize, u32)| match at.is_null() {
                true => (at, length),
                false => (at.wrapping_add(start), length),
            };
            let parts: Vec<_> = parts.into_iter().map(part).collect();
            // SAFETY: the parts are within the buffer, or all null.
            unsafe { abi::read_vectored(stream, &parts) }
        })
    }),
    ("denio_stream_write_vectored", |fuzzer| {
        let stream = fuzzer.handle(BYTE_STREAMS);
        let (room, parts) = fuzzer.parts();
        fuzzer.bytes(room, |at| {
            let part = |(start, length): (usize, u32)| match at.is_null() {
                true => (at.cast_const(), length),
                false => (at.wrapping_add(start).cast_const(), length),
            };
            let parts: Vec<_> = parts.into_iter().map(part).collect();
            // SAFETY: the parts are within the buffer, or all null.
            unsafe { abi::write_vectored(stream, &parts) }
        })
    }),
    ("denio_batches_by_ring", |fuzzer| denio_batches_by_ring(fuzzer.integer() % 2)),
    ("denio_streams_read", |fuzzer| {
        let (_, offset, length) = fuzzer.part();
        let room_min = fuzzer.integer();
        let make = |fuzzer: &mut Fuzzer<'_>| {
            let (stream, result) = (fuzzer.handle(BYTE_STREAMS), fuzzer.position() as i32);
            StreamRead { stream, result, room: 0 }
        };
        fuzzer.batch(make, |fuzzer, reads, count| {
            // SAFETY: both buffers are as long as is said, or null or crooked.
            fuzzer.bytes(offset + length, |at| unsafe {
                denio_streams_read(at, offset as u32, length as u32, room_min, reads, count)
            })
        })
    }),
    ("denio_streams_write", |fuzzer| {
        let (_, _, length) = fuzzer.part();
        let make = |fuzzer: &mut Fuzzer<'_>| {
            let (stream, start) = (fuzzer.handle(BYTE_STREAMS), fuzzer.position());
            StreamWrite { stream, start, end: fuzzer.position(), result: 0, rest: 0 }
        };
        fuzzer.batch(make, |fuzzer, writes, count| {
            // SAFETY: both buffers are as long as is said, or null or crooked.
            fuzzer.bytes(length, |at| unsafe {
                denio_streams_write(at, length as u32, writes, count)
            })
        })
    }),
    ("denio_proactor_refusal", |_| denio_proactor_refusal()),
    ("denio_proactor_least_kernel", |fuzzer| denio_proactor_least_kernel(fuzzer.code()).min(0)),
    ("denio_proactor_new", |fuzzer| {
        let operations = fuzzer.random.pick(&[0, 1, 2, 8, 100, 32_001, u32::MAX]);
        let buffers = fuzzer.random.pick(&[0, 0, 1, 3, 4, 64, u32::MAX]);
        let bytes = fuzzer.random.pick(&[0, 1, 100, 100, u32::MAX]);
        let (batching, value) = (fuzzer.random.below(4) as u32, fuzzer.number());
        let idle_ms = u32::from(fuzzer.random.below(16) == 0);
        let proactor = denio_proactor_new(operations, buffers, bytes, batching, value, idle_ms);
        fuzzer.opened(Kind::Proactor, proactor)
    }),
    ("denio_proactor_supports", |fuzzer| {
        denio_proactor_supports(fuzzer.handle(PROACTORS), fuzzer.code())
    }),
    ("denio_proactor_submit", |fuzzer| {
        let proactor = fuzzer.handle(PROACTORS);
        fuzzer.batch(Fuzzer::request, |fuzzer, requests, count| {
            let length = fuzzer.random.pick(&[0, 1, 64, 5000]);
            // Zeroes are no path, so that no file is made.
            let names = [0; 200];
            // SAFETY: the buffers are as long as is said, or null or crooked.
            fuzzer.bytes(length, |at| unsafe {
                let names = (names.as_ptr(), names.len() as u32);
                denio_proactor_submit(
                    proactor,
                    requests,
                    count,
                    at,
                    length as u32,
                    names.0,
                    names.1,
                )
            })
        })
    }),
    ("denio_proactor_cancel", |fuzzer| {
        let (proactor, source) = (fuzzer.handle(PROACTORS), fuzzer.handle(SOURCES));
        let by_source = fuzzer.random.below(2) as u32;
        denio_proactor_cancel(proactor, source, by_source)
    }),
    ("denio_proactor_flush", |fuzzer| denio_proactor_flush(fuzzer.handle(PROACTORS))),
    ("denio_proactor_wait", |fuzzer| {
        let (proactor, timeout_ms) = (fuzzer.handle(PROACTORS), fuzzer.timeout_ms());
        fuzzer.reap(|completions, capacity, buffer, length| {
            // SAFETY: both buffers are as long as is said, or null or crooked.
            unsafe {
                denio_proactor_wait(proactor, completions, capacity, buffer, length, timeout_ms)
            }
        })
    }),
    ("denio_proactor_descriptor", |fuzzer| {
        let descriptor = denio_proactor_descriptor(fuzzer.handle(PROACTORS));
        if descriptor > 0 {
            // SAFETY: the descriptor is new, and the caller's.
            drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
        }
        descriptor.min(0)
    }),
    ("denio_proactor_park", |fuzzer| denio_proactor_park(fuzzer.handle(PROACTORS))),
    ("denio_proactor_unpark", |fuzzer| denio_proactor_unpark(fuzzer.handle(PROACTORS))),
    ("denio_proactor_stats", |fuzzer| {
        let proactor = fuzzer.handle(PROACTORS);
        // SAFETY: the buffer has room for them, or is null or crooked.
        fuzzer.numbers(PROACTOR_STATS, |at| unsafe { denio_proactor_stats(proactor, at) }).0
    }),
    ("denio_reaper_new", |fuzzer| {
        let (proactor, operations) = (fuzzer.handle(PROACTORS), fuzzer.integer());
        fuzzer.opened(Kind::Reaper, denio_reaper_new(proactor, operations))
    }),
    ("denio_reaper_wait", |fuzzer| {
        let (reaper, timeout_ms) = (fuzzer.handle(REAPERS), fuzzer.timeout_ms());
        fuzzer.reap(|completions, capacity, buffer, length| {
            // SAFETY: both buffers are as long as is said, or null or crooked.
            unsafe { denio_reaper_wait(reaper, completions, capacity, buffer, length, timeout_ms) }
        })
    }),
    ("denio_reaper_descriptor", |fuzzer| {
        let descriptor = denio_reaper_descriptor(fuzzer.handle(REAPERS));
        if descriptor > 0 {
            // SAFETY: the descriptor is new, and the caller's.
            drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
        }
        descriptor.min(0)
    }),
    ("denio_reaper_park", |fuzzer| denio_reaper_park(fuzzer.handle(REAPERS))),
    ("denio_reaper_unpark", |fuzzer| denio_reaper_unpark(fuzzer.handle(REAPERS))),
    ("denio_udp_bind", |fuzzer| {
        let mut address = fuzzer.address();
        address[2..4].fill(0);
        let flags = fuzzer.integer();
        fuzzer.opened(Kind::Udp, abi::udp_bind(&address, flags))
    }),
    ("denio_udp_connect", |fuzzer| {
        let (udp, address) = (fuzzer.handle(UDPS), fuzzer.udp_address());
        abi::udp_connect(udp, &address)
    }),
    ("denio_udp_peer_address", |fuzzer| {
        let udp = fuzzer.handle(UDPS);
        // SAFETY: the buffer is an address long, or null.
        fuzzer.bytes(ADDRESS_BYTES, |at| unsafe { denio_udp_peer_address(udp, at) })
    }),
    ("denio_udp_send", |fuzzer| {
        let (udp, offset, length) = fuzzer.udp_part();
        // SAFETY: the buffer has `offset + length` bytes, or is null.
        fuzzer.bytes(offset + length, |at| unsafe {
            denio_udp_send(udp, at, offset as u32, length as u32)
        })
    }),
    ("denio_udp_receive", |fuzzer| {
        let (udp, offset, length) = fuzzer.udp_part();
        // SAFETY: the buffer has `offset + length` bytes, or is null.
        fuzzer.bytes(offset + length, |at| unsafe {
            denio_udp_receive(udp, at, offset as u32, length as u32)
        })
    }),
    ("denio_udp_peek", |fuzzer| {
        let (udp, offset, length) = fuzzer.udp_part();
        // SAFETY: the buffer has `offset + length` bytes, or is null.
        fuzzer.bytes(offset + length, |at| unsafe {
            denio_udp_peek(udp, at, offset as u32, length as u32)
        })
    }),
    ("denio_udp_send_to", |fuzzer| {
        let ((udp, offset, length), address) = (fuzzer.udp_part(), fuzzer.udp_address());
        // SAFETY: the buffer has `offset + length` bytes, or is null.
        fuzzer.bytes(offset + length, |at| unsafe {
            denio_udp_send_to(udp, at, offset as u32, length as u32, address.as_ptr())
        })
    }),
    ("denio_udp_receive_from", |fuzzer| {
        let ((udp, offset, length), mut from) = (fuzzer.udp_part(), [0; ADDRESS_BYTES]);
        // SAFETY: the buffer has `offset + length` bytes, or is null.
        fuzzer.bytes(offset + length, |at| unsafe {
            denio_udp_receive_from(udp, at, offset as u32, length as u32, from.as_mut_ptr())
        })
    }),
    ("denio_udp_peek_from", |fuzzer| {
        let udp = fuzzer.handle(UDPS);
        let mut room = [0; 64];
        // SAFETY: the buffer is an address long, or null; the other as long as is said.
        fuzzer.bytes(ADDRESS_BYTES, |at| unsafe {
            denio_udp_peek_from(udp, room.as_mut_ptr(), 0, 64, at)
        })
    }),
    ("denio_udp_set_membership", |fuzzer| {
        let (udp, join) = (fuzzer.handle(UDPS), fuzzer.integer());
        let groups = [abi::group(), fuzzer.address()];
        let group = fuzzer.random.pick(&groups);
        let interface = fuzzer.address();
        let chosen = (fuzzer.random.below(2) == 0).then_some(&interface);
        abi::udp_set_membership(udp, &group, chosen, join)
    }),
];

struct Fuzzer<'p> {
    random: Random,
    /// Handles that some thread has opened and perhaps closed.
    pool: &'p Mutex<Vec<(Kind, f64)>>,
}

impl Fuzzer<'_> {
    /// Calls functions, and keeps the number of open handles low.
    fn run(&mut self, calls: usize) {
        for _ in 0..calls {
            let (name, call) = self.random.pick(CALLS);
            let answer = call(self);
            // Errnos end below 400, statuses at 505; one is a close code.
            assert!(answer > -600 || answer == -1007, "{name} answers {answer}");
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
    fn opened(&mut self, kind: Kind, answer: f64) -> i32 {
        if answer > 0.0 {
            self.pool.lock().unwrap().push((kind, answer));
        }
        answer.min(0.0) as i32
    }

    /// A handle: mostly of one of these kinds, otherwise of another, stale, or invented.
    fn handle(&mut self, kinds: &[Kind]) -> f64 {
        let pool = self.pool.lock().unwrap();
        let start = if pool.is_empty() { 0 } else { self.random.below(pool.len()) };
        let any = pool.get(start).map_or(0.0, |(_, handle)| *handle);
        let fits =
            pool[start..].iter().chain(&pool[..start]).find(|(kind, _)| kinds.contains(kind));
        let fitting = fits.map_or(0.0, |(_, handle)| *handle);
        drop(pool);
        match self.random.below(16) {
            0 => self.number(),
            1 => abi::old_generation(fitting),
            2 => fitting + 1.0,
            3 => any,
            _ => fitting,
        }
    }

    /// Closes something now and then: most calls should meet open handles.
    fn close(&mut self) -> i32 {
        let handle = match self.random.below(4) {
            0 => self.handle(SOCKETS),
            1 => self.handle(REGISTRIES),
            _ => self.number(),
        };
        denio_source_close(handle)
    }

    fn interest(&mut self) -> u32 {
        let any = self.integer();
        self.random.pick(&[READABLE, WRITABLE, READABLE | WRITABLE, any])
    }

    fn mode(&mut self) -> u32 {
        let any = self.integer();
        self.random.pick(&[0, 0, 0, 1, 2, 4, 5, 8, 8, any])
    }

    fn integer(&mut self) -> u32 {
        let any = self.random.next() as u32;
        self.random.pick(&[0, 1, 2, 3, 4, 7, i32::MAX as u32, 1 << 31, u32::MAX, any])
    }

    /// A number that JavaScript could pass as a handle.
    fn number(&mut self) -> f64 {
        let (integer, any) = (self.integer().into(), f64::from_bits(self.random.next()));
        self.random.pick(&[integer, integer, integer * 1_048_576.0, -integer, 0.5, f64::NAN, any])
    }

    /// Never without limit: no thread would end such a wait.
    fn timeout_ms(&mut self) -> i32 {
        self.random.pick(&[0, 0, 0, 0, 1])
    }

    /// An address on this machine where this test may listen, or none at all.
    fn address(&mut self) -> abi::Address {
        let socket = self.handle(LISTENERS);
        match self.random.below(8) {
            0 => std::array::from_fn(|place| if place == 0 { 9 } else { CANARY }),
            1 => abi::encode("[::1]:0".parse().unwrap()),
            2 => abi::encode(util::loopback()),
            _ => abi::local_address(socket).unwrap_or(abi::encode(util::loopback())),
        }
    }

    /// Remembers two handles that a call has written.
    fn opened_both(&mut self, kind: Kind, answer: i32, handles: &[f64]) -> i32 {
        if answer == 0 {
            for handle in handles {
                self.opened(kind, *handle);
            }
        }
        answer
    }

    /// Adopts a descriptor of its own, or a number that is certainly none: what is another's must
    /// not be taken.
    fn adopt(&mut self) -> i32 {
        let kind = self.random.pick(&[0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8, u32::MAX]);
        if self.random.below(2) == 0 {
            let number = self.random.pick(&[-1, i32::MIN, i32::MAX]);
            // SAFETY: no descriptor has such a number.
            return unsafe { denio_source_adopt(number, kind) } as i32;
        }
        let Ok((one, _other)) = std::os::unix::net::UnixStream::pair() else { return 0 };
        let fd = one.into_raw_fd();
        // SAFETY: it has no other owner.
        let answer = unsafe { denio_source_adopt(fd, kind) };
        if answer < 0.0 {
            // SAFETY: it was not taken, and has no other owner.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        self.opened(Kind::Stream, answer)
    }

    /// An option that there is, mostly.
    fn option(&mut self) -> u32 {
        let any = self.integer();
        let known = self.random.pick(&SocketOption::ALL) as u32;
        self.random.pick(&[known, known, known, any])
    }

    /// An abstract name, or a name that no system accepts.
    fn unix_name(&mut self) -> Vec<u8> {
        let name = format!("\0denio-{}-{}", std::process::id(), self.random.below(8));
        let too_long = vec![CANARY; 109 + self.random.below(4096)];
        match self.random.below(8) {
            0 => b"/tmp\0/x".to_vec(),
            1 => too_long,
            2 => Vec::new(),
            _ => name.into_bytes(),
        }
    }

    /// Up to eight parts of a buffer, one after the other or all over it, and how long that is.
    fn parts(&mut self) -> (usize, Vec<(usize, u32)>) {
        let (mut end, mut parts) = (0, Vec::new());
        for _ in 0..self.random.below(9) {
            let length = self.random.pick(&[0, 1, 64, 5000]);
            let start = if self.random.below(8) == 0 { 0 } else { end };
            parts.push((start, length as u32));
            end = end.max(start + length);
        }
        (end, parts)
    }

    /// Calls with a few streams, made by `make`, or null or crooked, and looks after the canary
    /// behind them.
    fn batch<T: Copy + PartialEq + std::fmt::Debug + Default>(
        &mut self,
        make: impl Fn(&mut Self) -> T,
        call: impl FnOnce(&mut Self, *mut T, u32) -> i32,
    ) -> i32 {
        let count = self.random.below(6);
        let mut streams: Vec<T> = (0..count).map(|_| make(self)).collect();
        streams.resize(count + CANARY_ITEMS, T::default());
        let start = streams.as_mut_ptr();
        let start = match self.random.below(16) {
            0 => std::ptr::null_mut(),
            1 => start.wrapping_byte_add(1 + self.random.below(3)),
            _ => start,
        };
        let answer = call(self, start, count as u32);
        let behind = streams.split_off(count);
        assert_eq!(behind, [T::default(); CANARY_ITEMS], "written outside the streams");
        answer
    }

    fn code(&mut self) -> u32 {
        let any = self.integer();
        let known = self.random.below(22) as u32;
        self.random.pick(&[known, known, known, any])
    }

    /// An operation on sources of this test.
    fn request(&mut self) -> Request {
        let reaper = if self.random.below(4) == 0 { self.handle(REAPERS) } else { 0.0 };
        let other = if self.random.below(2) == 0 { SOURCES } else { PROACTORS };
        Request {
            source: self.handle(SOURCES),
            other: self.handle(other),
            offset: self.number(),
            other_offset: self.number(),
            reaper,
            token: self.integer(),
            code: self.code(),
            start: self.position(),
            end: self.position(),
            argument: self.integer(),
            flags: self.random.below(4) as u32,
        }
    }

    /// Takes completions, and remembers what was opened.
    fn reap(&mut self, call: impl FnOnce(*mut Completion, u32, *mut u8, u32) -> i32) -> i32 {
        let capacity = self.random.pick(&[0, 1, 7, 300]);
        let length = self.random.pick(&[0, 1, 64, 100_000]);
        let mut written = Vec::new();
        let answer = self.bytes(length, |bytes| {
            let mut completions = vec![Completion::default(); capacity + CANARY_ITEMS];
            let start = completions.as_mut_ptr();
            let length = if bytes.is_null() { 0 } else { length as u32 };
            let answer = call(start, capacity as u32, bytes, length);
            let behind = completions.split_off(capacity);
            assert_eq!(behind, [Completion::default(); CANARY_ITEMS], "written outside");
            completions.truncate(answer.max(0) as usize);
            written = completions;
            answer
        });
        for completion in written.iter().filter(|completion| completion.value > 0.0) {
            assert!(completion.start <= completion.end && completion.end as usize <= length);
            self.opened(Kind::Stream, completion.value);
        }
        answer
    }

    fn position(&mut self) -> u32 {
        let any = self.integer();
        self.random.pick(&[0, 1, 64, 4096, any])
    }

    /// Where a UDP socket of this test is bound, mostly.
    fn udp_address(&mut self) -> abi::Address {
        let udp = self.handle(UDPS);
        abi::local_address(udp).unwrap_or_else(|_| self.address())
    }

    fn udp_part(&mut self) -> (f64, usize, usize) {
        (self.handle(UDPS), self.random.below(100), self.random.pick(&[0, 1, 64, 4096, 100_000]))
    }

    /// A stream, and a part of a buffer.
    fn part(&mut self) -> (f64, usize, usize) {
        (
            self.handle(BYTE_STREAMS),
            self.random.below(100),
            self.random.pick(&[0, 1, 64, 4096, 100_000]),
        )
    }

    /// Bytes that resemble a head.
    fn head(&mut self) -> Vec<u8> {
        let mut head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n".to_vec();
        head.truncate(self.random.below(2 * head.len()));
        for _ in 0..self.random.below(3) {
            let place = self.random.below(head.len() + 1);
            head.insert(place, self.random.next() as u8);
        }
        head
    }

    /// Parses bytes that resemble frames, from any state.
    fn frames(&mut self) -> i32 {
        let (offset, length) = (self.random.below(100), self.random.below(400));
        let mut buffer = vec![CANARY; offset];
        for _ in 0..length {
            let any = self.random.next() as u8;
            buffer.push(self.random.pick(&[0x81, 0x81, 0x85, 0x01, 0x00, 0xfe, b'a', any]));
        }
        buffer.resize(offset + length + CANARY_BYTES, CANARY);
        let state: [u32; STATE_WORDS] = std::array::from_fn(|_| {
            let any = self.position();
            self.random.pick(&[0, 0, any])
        });
        let start =
            if self.random.below(16) == 0 { std::ptr::null_mut() } else { buffer.as_mut_ptr() };
        let part = self.random.pick(&[(offset, length), (0, 0), (usize::MAX, length)]);
        let answer = self.batch(
            |_| [0_u32; ROW_WORDS],
            |fuzzer, table, rows| {
                let call = |words: *mut u32| {
                    if !words.is_null() && words.is_aligned() {
                        // SAFETY: the words are those of a state.
                        unsafe { words.copy_from_nonoverlapping(state.as_ptr(), STATE_WORDS) };
                    }
                    let (offset, length) = (part.0 as u32, part.1 as u32);
                    // SAFETY: all are as long as is said, or null or crooked, or the sum of offset
                    // and length is refused.
                    unsafe {
                        denio_websocket_parse(start, offset, length, words, table.cast(), rows)
                    }
                };
                fuzzer.words(STATE_WORDS, call).0
            },
        );
        let behind = buffer.split_off(offset + length);
        buffer.truncate(offset);
        assert!(buffer.iter().chain(&behind).all(|byte| *byte == CANARY), "written outside");
        answer
    }

    /// Decompresses or compresses bytes of any kind.
    fn deflated(&mut self, inflates: bool) -> i32 {
        const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        let noise: Vec<_> = (0..self.random.below(300)).map(|_| self.integer() as u8).collect();
        let message = self.random.pick(&[HELLO, b"\x00", b"\xf2\x00\x11\x00\x00", &noise]);
        let history = self.random.pick(&[&b""[..], b"Hello", &[7; 70_000]]);
        let start = self.random.pick(&[0, 1, message.len(), usize::MAX]);
        let length = message.len().saturating_sub(start) as u32;
        let (start, history_length) = (start as u32, history.len() as u32);
        let flags = self.integer();
        let (bits, level) =
            (self.random.pick(&[8, 9, 15, flags]), self.random.pick(&[1, 6, flags]));
        let (message, history) = (message.as_ptr(), history.as_ptr());
        let capacity = self.random.below(400);
        self.bytes(capacity, |out| {
            let capacity = capacity as u32;
            if inflates {
                // SAFETY: all are as long as is said, or null, or the sum is refused.
                unsafe {
                    denio_websocket_inflate(
                        message,
                        start,
                        length,
                        history,
                        history_length,
                        out,
                        capacity,
                        flags,
                    )
                }
            } else {
                // SAFETY: all are as long as is said, or null, or the sum is refused.
                unsafe {
                    denio_websocket_deflate(
                        message,
                        start,
                        length,
                        history,
                        history_length,
                        out,
                        capacity,
                        bits,
                        level,
                    )
                }
            }
        })
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
        self.items(honest, u32::from_ne_bytes([CANARY; 4]), call)
    }

    /// As `words`, with numbers.
    fn numbers(&mut self, honest: usize, call: impl FnOnce(*mut f64) -> i32) -> (i32, Vec<f64>) {
        self.items(honest, f64::from_ne_bytes([CANARY; 8]), call)
    }

    fn items<T: Copy + PartialEq + std::fmt::Debug>(
        &mut self,
        honest: usize,
        fill: T,
        call: impl FnOnce(*mut T) -> i32,
    ) -> (i32, Vec<T>) {
        let mut memory = vec![fill; honest + 2 * CANARY_ITEMS];
        let start = memory[CANARY_ITEMS..].as_mut_ptr();
        let answer = match self.random.below(16) {
            0 => call(std::ptr::null_mut()),
            1 => call(start.wrapping_byte_add(1 + self.random.below(3))),
            _ => call(start),
        };
        let after = memory.split_off(CANARY_ITEMS + honest);
        let written = memory.split_off(CANARY_ITEMS);
        assert_eq!([memory, after], [[fill; CANARY_ITEMS]; 2], "written outside the buffer");
        (answer, written)
    }
}

#[test]
fn any_integers_from_many_threads_do_no_harm() {
    let _alone = alone();
    let calls = util::fuzz_calls(CALLS_EACH);
    for seed in SEEDS {
        let pool = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let random = Random(seed.wrapping_mul(THREADS).wrapping_add(thread));
                    let mut fuzzer = Fuzzer { random, pool: &pool };
                    scope.spawn(move || fuzzer.run(calls))
                })
                .collect();
            // Joined one by one: the scope does not wait for what a thread closes at its end.
            for thread in threads {
                thread.join().unwrap();
            }
        });
        for (_, handle) in pool.into_inner().unwrap() {
            denio_source_close(handle);
        }
    }
}

#[test]
fn every_exported_function_is_among_the_calls() {
    // It opens files, which other tests would count as leaks.
    let _alone = alone();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ffi");
    let mut exported = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let names =
            source.split("extern \"C\" fn ").skip(1).filter_map(|rest| rest.split('(').next());
        exported.extend(names.map(String::from));
    }
    assert!(exported.len() > 20, "{exported:?}");
    let mut called: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
    exported.sort_unstable();
    called.sort_unstable();
    assert_eq!(called, exported);
}
