//! Batches that are long enough for a ring: each test runs with it and without, and expects the
//! same.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "calls of unsafe functions, and set-up"
)]

mod util;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use denio::ffi::{
    CLOCK_WORDS, StreamRead, StreamWrite, denio_batches_by_ring, denio_poll_backends,
    denio_poll_new, denio_registry_register, denio_source_close, denio_source_set_option,
    denio_stream_shutdown,
};
use util::abi::{self, handle};
use util::{alone, with_deadly_sigpipe};

const READABLE: u32 = 1;
const WRITABLE: u32 = 2;
/// The option `SO_LINGER` of the ABI, in seconds and one more.
const LINGER: u32 = 6;
/// The most room of a stream in a batch that goes through a ring.
const ROOM: usize = 2048;
const BUFFER_BYTES: usize = 65_536;
const ROOM_MIN: u32 = 16_384;

/// Runs a test with a system call for each stream, and through a ring where the system has one.
fn both_ways(test: impl Fn()) {
    assert_eq!(denio_batches_by_ring(0), 0);
    test();
    if denio_batches_by_ring(1) == 0 {
        return util::skip("this system has no ring");
    }
    test();
    assert_eq!(denio_batches_by_ring(1), 1, "the ring still works");
}

/// TCP streams and their peers.
struct Pairs {
    streams: Vec<f64>,
    peers: Vec<f64>,
}

impl Pairs {
    fn new(count: usize) -> Self {
        let listener = handle(abi::bind(&abi::encode(util::loopback()), 16, 0));
        let address = abi::local_address(listener).unwrap();
        let pairs = (0..count).map(|_| {
            let peer = handle(abi::connect(&address));
            (abi::accept_one(listener), peer)
        });
        let (streams, peers) = pairs.collect();
        close(&[listener]);
        Self { streams, peers }
    }

    /// Has each peer send its bytes, and waits until they have come.
    fn send(&self, bytes_of: impl Fn(usize) -> Vec<u8>) {
        for (index, (peer, stream)) in self.peers.iter().zip(&self.streams).enumerate() {
            let bytes = bytes_of(index);
            assert_eq!(abi::write(*peer, &bytes), bytes.len() as i32);
            await_bytes(*stream, bytes.len());
        }
    }
}

impl Drop for Pairs {
    fn drop(&mut self) {
        close(&self.streams);
        close(&self.peers);
    }
}

/// Closes what is open.
fn close(handles: &[f64]) {
    for handle in handles {
        denio_source_close(*handle);
    }
}

fn await_bytes(stream: f64, count: usize) {
    let mut bytes = vec![0; count.max(1)];
    abi::eventually(|| match abi::peek(stream, &mut bytes) {
        peeked if peeked >= 0 && (peeked as usize) < count => -libc::EAGAIN,
        _ if count == 0 => 0,
        peeked => peeked,
    });
}

/// Reads all streams, in as many calls as it takes, and returns what each gave.
fn read_all(streams: &[f64]) -> Vec<(i32, Vec<u8>)> {
    let mut seen: Vec<(i32, Vec<u8>)> = Vec::new();
    while seen.len() < streams.len() {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut reads: Vec<_> = streams[seen.len()..]
            .iter()
            .map(|stream| StreamRead { stream: *stream, result: -1, room: 0 })
            .collect();
        let done = abi::read_streams(&mut buffer, 0, ROOM_MIN, &mut reads);
        assert!(done > 0);
        let mut at = 0;
        for read in &reads[..done as usize] {
            assert!(BUFFER_BYTES - at >= ROOM_MIN as usize, "it stops while there is room");
            assert!(read.room as usize <= BUFFER_BYTES - at && read.result <= read.room as i32);
            let end = at + read.result.max(0) as usize;
            seen.push((read.result, buffer[at..end].to_vec()));
            at = end;
        }
        assert!(buffer[at..].iter().all(|byte| *byte == 0), "nothing is written behind");
    }
    seen
}

fn results(streams: &[f64]) -> Vec<i32> {
    read_all(streams).into_iter().map(|(result, _)| result).collect()
}

fn write_all(parts: &[(f64, u32, u32)], bytes: &[u8]) -> Vec<i32> {
    let part = |(stream, start, end): &(f64, u32, u32)| StreamWrite {
        stream: *stream,
        start: *start,
        end: *end,
        result: -1,
        rest: 0,
    };
    let mut writes: Vec<_> = parts.iter().map(part).collect();
    assert_eq!(abi::write_streams(bytes, &mut writes), 0);
    writes.iter().map(|write| write.result).collect()
}

fn message(index: usize) -> Vec<u8> {
    format!("{index}:").repeat(1 + index % 7).into_bytes()
}

#[test]
fn each_of_200_streams_gives_and_takes_its_own_bytes() {
    let _alone = alone();
    both_ways(|| {
        let pairs = Pairs::new(200);
        // Every fifth peer is silent.
        let bytes_of = |index| if index % 5 == 4 { Vec::new() } else { message(index) };
        pairs.send(bytes_of);
        for (index, (result, bytes)) in read_all(&pairs.streams).into_iter().enumerate() {
            let expected = bytes_of(index);
            let count = if expected.is_empty() { -libc::EAGAIN } else { expected.len() as i32 };
            assert_eq!((result, bytes), (count, expected), "{index}");
        }
        let mut all = Vec::new();
        let parts = pairs.streams.iter().enumerate().map(|(index, stream)| {
            let start = all.len() as u32;
            all.extend(message(index));
            (*stream, start, all.len() as u32)
        });
        let parts: Vec<_> = parts.collect();
        let lengths: Vec<_> = (0..200).map(|index| message(index).len() as i32).collect();
        assert_eq!(write_all(&parts, &all), lengths);
        for (index, peer) in pairs.peers.iter().enumerate() {
            let mut bytes = vec![0; 100];
            let count = abi::eventually(|| abi::read(*peer, &mut bytes));
            assert_eq!(bytes[..count as usize], message(index));
        }
    });
}

#[test]
fn bytes_beyond_a_streams_room_are_read_by_the_next_batch() {
    let _alone = alone();
    both_ways(|| {
        let pairs = Pairs::new(40);
        let bytes_of = |index: usize| -> Vec<u8> {
            (0..[10, ROOM - 1, ROOM, ROOM + 1, 3 * ROOM][index % 5])
                .map(|at| (at + index) as u8)
                .collect()
        };
        pairs.send(bytes_of);
        let mut got = vec![Vec::new(); 40];
        for _ in 0..4 {
            for (got, (_, bytes)) in got.iter_mut().zip(read_all(&pairs.streams)) {
                got.extend(bytes);
            }
        }
        assert!(got.into_iter().enumerate().all(|(index, got)| got == bytes_of(index)));
        assert_eq!(results(&pairs.streams), [-libc::EAGAIN; 40]);
    });
}

#[test]
fn less_than_its_room_is_all_that_a_stream_had() {
    let _alone = alone();
    both_ways(|| {
        let pairs = Pairs::new(16);
        pairs.send(|_| vec![1; ROOM + 100]);
        let mut reads: Vec<_> = pairs
            .streams
            .iter()
            .map(|stream| StreamRead { stream: *stream, result: -1, room: 0 })
            .collect();
        assert_eq!(abi::read_streams(&mut [0; BUFFER_BYTES], 0, ROOM_MIN, &mut reads), 16);
        for read in reads {
            let is_drained = abi::peek(read.stream, &mut [0]) == -libc::EAGAIN;
            assert_eq!(read.result < read.room as i32, is_drained, "{read:?}");
        }
    });
}

#[test]
fn ends_and_errors_come_once_and_to_their_own_stream() {
    let _alone = alone();
    both_ways(|| {
        let pairs = Pairs::new(24);
        assert_eq!(denio_stream_shutdown(pairs.peers[3], 1), 0);
        // The peer's system then resets the connection.
        assert_eq!(denio_source_set_option(pairs.peers[7], LINGER, 1), 0);
        assert_eq!(denio_source_close(pairs.peers[7]), 0);
        abi::eventually(|| abi::peek(pairs.streams[3], &mut [0]));
        pairs_await_reset(pairs.streams[7]);
        let mut expected = [-libc::EAGAIN; 24];
        (expected[3], expected[7]) = (0, -libc::ECONNRESET);
        assert_eq!(results(&pairs.streams), expected);
        expected[7] = 0;
        assert_eq!(results(&pairs.streams), expected, "an error is reported once");
        let parts: Vec<_> = pairs.streams.iter().map(|stream| (*stream, 0, 4)).collect();
        let mut expected = [4; 24];
        expected[7] = -libc::EPIPE;
        // It must not end the process by a signal.
        assert_eq!(with_deadly_sigpipe(|| write_all(&parts, b"byte")), expected);
    });
}

/// Waits for a reset, and leaves the error in the stream.
fn pairs_await_reset(stream: f64) {
    let poll = handle(denio_poll_new(0));
    assert_eq!(denio_registry_register(poll, stream, 1, READABLE, 0), 0);
    let mut out = [0; CLOCK_WORDS + 2];
    abi::eventually(|| if abi::wait(poll, &mut out, 100) == 0 { -libc::EAGAIN } else { 0 });
    close(&[poll]);
}

#[test]
fn streams_that_no_ring_takes_keep_their_place() {
    let _alone = alone();
    both_ways(|| {
        let pairs = Pairs::new(40);
        let [unix, peer_of_unix] = abi::unix_pair().unwrap();
        let [reader, writer] = abi::pipe().unwrap();
        pairs.send(message);
        assert_eq!(abi::write(peer_of_unix, b"unix"), 4);
        denio_source_close(pairs.streams[30]);
        let mut streams = pairs.streams.clone();
        (streams[12], streams[20]) = (unix, reader);
        for (index, (result, bytes)) in read_all(&streams).into_iter().enumerate() {
            match index {
                12 => assert_eq!((result, bytes), (4, b"unix".to_vec())),
                20 => assert_eq!(result, -libc::EINVAL),
                30 => assert_eq!(result, -libc::EBADF),
                _ => assert_eq!(bytes, message(index)),
            }
        }
        let mut parts: Vec<_> = streams.iter().map(|stream| (*stream, 1, 4)).collect();
        (parts[9].1, parts[10].2) = (5, 0);
        let mut expected = [3; 40];
        for refused in [9, 10, 20] {
            expected[refused] = -libc::EINVAL;
        }
        expected[30] = -libc::EBADF;
        assert_eq!(write_all(&parts, b"abcd"), expected);
        close(&[unix, peer_of_unix, reader, writer]);
    });
}

#[test]
fn a_stream_that_is_there_again_and_again_gives_and_takes_bytes_in_order() {
    let _alone = alone();
    both_ways(|| {
        let pairs = Pairs::new(1);
        let (stream, peer) = (pairs.streams[0], pairs.peers[0]);
        let bytes: Vec<u8> = (0..20 * ROOM).map(|at| (at / 7) as u8).collect();
        pairs.send(|_| bytes.clone());
        let got: Vec<u8> =
            read_all(&[stream; 30]).into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert!(got == bytes);
        let parts: Vec<_> = (0..200).map(|at| (stream, 10 * at, 10 * at + 10)).collect();
        assert_eq!(write_all(&parts, &bytes), [10; 200]);
        let mut got = vec![0; 2000];
        await_bytes(peer, 2000);
        assert_eq!(abi::read(peer, &mut got), 2000);
        assert!(got == bytes[..2000]);
    });
}

#[test]
fn a_short_write_loses_nothing_and_is_followed_by_would_block() {
    let _alone = alone();
    both_ways(|| {
        let pairs = Pairs::new(9);
        let block: Vec<u8> = (0..8 << 20).map(|at| (at / 5) as u8).collect();
        let end = block.len() as u32;
        let parts: Vec<_> = pairs.streams.iter().map(|stream| (*stream, 0, end)).collect();
        let mut sent = write_all(&parts, &block);
        assert!(sent.iter().all(|count| *count > 0 && *count < end as i32), "{sent:?}");
        // The peer's system may take some more.
        loop {
            let parts: Vec<_> = parts
                .iter()
                .zip(&sent)
                .map(|((stream, ..), sent)| (*stream, *sent as u32, end))
                .collect();
            let more = write_all(&parts, &block);
            if more == [-libc::EAGAIN; 9] {
                break;
            }
            for (sent, more) in sent.iter_mut().zip(more) {
                *sent += if more == -libc::EAGAIN { 0 } else { more };
            }
        }
        for (peer, sent) in pairs.peers.iter().zip(sent) {
            let mut got = vec![0; sent as usize];
            let mut at = 0;
            while at < got.len() {
                at += abi::eventually(|| abi::read(*peer, &mut got[at..])) as usize;
            }
            assert!(got == block[..at]);
        }
    });
}

#[test]
fn edges_come_as_after_single_calls() {
    let _alone = alone();
    let available = denio_poll_backends();
    both_ways(|| {
        for backend in (1..=4).filter(|backend| available & 1 << backend != 0) {
            let poll = handle(denio_poll_new(backend));
            expect_edges(poll);
            close(&[poll]);
        }
    });
}

fn expect_edges(poll: f64) {
    let pairs = Pairs::new(10);
    for (token, stream) in pairs.streams.iter().enumerate() {
        let interest = READABLE | WRITABLE;
        assert_eq!(denio_registry_register(poll, *stream, token as u32, interest, 0), 0);
    }
    let expect = |bits: u32| {
        let mut seen = [0; 10];
        abi::eventually(|| {
            let mut out = [0; CLOCK_WORDS + 20];
            let quiet = util::QUIET.as_millis() as i32;
            let count = abi::wait(poll, &mut out, quiet) as usize;
            for event in out[CLOCK_WORDS..].chunks_exact(2).take(count) {
                seen[event[0] as usize] |= event[1] & bits;
            }
            let is_done = seen == [bits; 10] && count == 0;
            if is_done { 0 } else { -libc::EAGAIN }
        });
    };
    expect(WRITABLE);
    for _ in 0..2 {
        pairs.send(|_| vec![7; 3]);
        expect(READABLE);
        assert_eq!(results(&pairs.streams), [3; 10]);
        assert_eq!(results(&pairs.streams), [-libc::EAGAIN; 10]);
        expect(0);
    }
}

#[test]
fn threads_whose_batches_share_streams_and_a_thread_that_closes_them_never_wait_for_each_other() {
    let _alone = alone();
    let threads = [false, true];
    let (running, ready) = (AtomicBool::new(true), AtomicUsize::new(0));
    let mut pairs = Pairs::new(48);
    std::thread::scope(|scope| {
        for is_reversed in threads {
            let mut streams = pairs.streams.clone();
            let (running, ready) = (&running, &ready);
            scope.spawn(move || {
                if is_reversed {
                    streams.reverse();
                }
                denio_batches_by_ring(1);
                let parts: Vec<_> = streams.iter().map(|stream| (*stream, 0, 1)).collect();
                let mut rounds = 0;
                while running.load(Ordering::Acquire) || rounds < 2 {
                    for result in results(&streams).into_iter().chain(write_all(&parts, b"x")) {
                        let expected = [-libc::EAGAIN, -libc::EBADF, 1];
                        assert!(expected.contains(&result), "{result}");
                    }
                    rounds += 1;
                    ready.fetch_add(usize::from(rounds == 1), Ordering::AcqRel);
                }
                denio_batches_by_ring(0);
            });
        }
        while ready.load(Ordering::Acquire) < threads.len() {
            std::thread::yield_now();
        }
        // Their slots and descriptors are used again at once, by streams that stay silent.
        let mut others = Vec::new();
        for stream in pairs.streams.drain(..) {
            assert_eq!(denio_source_close(stream), 0);
            others.push(abi::unix_pair().unwrap());
        }
        running.store(false, Ordering::Release);
        for pair in others {
            assert_eq!(abi::read(pair[0], &mut [0]), -libc::EAGAIN, "another's bytes");
            close(&pair);
        }
    });
}
