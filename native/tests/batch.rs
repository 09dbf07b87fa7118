//! Several streams in one call: in order, each as a call of its own would have it.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "calls of unsafe functions, and set-up"
)]

mod util;

use denio::ffi::{
    CLOCK_WORDS, StreamRead, StreamWrite, denio_poll_backends, denio_poll_new,
    denio_registry_register, denio_source_close, denio_stream_shutdown, denio_streams_read,
    denio_streams_write,
};
use util::abi::{self, handle};
use util::{alone, with_deadly_sigpipe};

const READABLE: u32 = 1;
const WRITABLE: u32 = 2;

/// A handle that was never given out.
const NEVER_GIVEN: f64 = i32::MAX as f64;

/// Reads streams behind the first `offset` bytes, and returns how many were read, and what each
/// gave that was.
fn read(streams: &[f64], buffer: &mut [u8], offset: usize, room_min: u32) -> Vec<i32> {
    let mut reads: Vec<_> =
        streams.iter().map(|stream| StreamRead { stream: *stream, result: -1, room: 0 }).collect();
    let done = abi::read_streams(buffer, offset, room_min, &mut reads);
    let (read, rest) = reads.split_at(usize::try_from(done).unwrap());
    assert!(rest.iter().all(|read| read.result == -1), "written though not read");
    read.iter().map(|read| read.result).collect()
}

/// Writes parts of `bytes`, each to a stream, and returns what each gave.
fn write(parts: &[(f64, u32, u32)], bytes: &[u8]) -> Vec<i32> {
    let mut writes: Vec<_> =
        parts.iter().map(|(stream, start, end)| part(*stream, *start, *end)).collect();
    assert_eq!(abi::write_streams(bytes, &mut writes), 0);
    writes.iter().map(|write| write.result).collect()
}

fn part(stream: f64, start: u32, end: u32) -> StreamWrite {
    StreamWrite { stream, start, end, result: -1, rest: 0 }
}

fn close(handles: &[f64]) {
    for handle in handles {
        assert_eq!(denio_source_close(*handle), 0);
    }
}

#[test]
fn streams_are_read_in_order_one_behind_the_other() {
    let _alone = alone();
    let [a, peer_of_a] = abi::tcp_pair();
    let [b, peer_of_b] = abi::unix_pair().unwrap();
    let [c, peer_of_c] = abi::unix_pair().unwrap();
    assert_eq!(abi::write(peer_of_a, b"one"), 3);
    assert_eq!(abi::write(peer_of_c, b"three"), 5);
    // A peek returns it when it has arrived.
    assert_eq!(abi::eventually(|| abi::peek(a, &mut [0; 3])), 3);
    let mut buffer = *b"..............";
    let expected = [5, -libc::EAGAIN, 3, -libc::EAGAIN];
    assert_eq!(read(&[c, b, a, c], &mut buffer, 2, 1), expected);
    assert_eq!(&buffer, b"..threeone....");
    assert_eq!(abi::write(peer_of_b, b"x"), 1);
    assert_eq!(read(&[a, b], &mut buffer, 13, 1), [-libc::EAGAIN, 1]);
    assert_eq!(&buffer, b"..threeone...x");
    close(&[a, b, c, peer_of_a, peer_of_b, peer_of_c]);
}

#[test]
fn reading_stops_before_a_stream_that_would_have_less_room() {
    let _alone = alone();
    let pairs: Vec<_> = (0..3).map(|_| abi::unix_pair().unwrap()).collect();
    let streams: Vec<f64> = pairs.iter().map(|[stream, _]| *stream).collect();
    let fill = || {
        for [_, peer] in &pairs {
            assert_eq!(abi::write(*peer, b"four"), 4);
        }
    };
    fill();
    let mut buffer = [0; 10];
    assert_eq!(read(&streams, &mut buffer, 0, 6), [4, 4]);
    assert_eq!(&buffer, b"fourfour\0\0");
    assert_eq!(read(&streams[2..], &mut buffer, 0, 10), [4]);
    assert_eq!(read(&streams, &mut buffer, 0, 11), []);
    // With room for none, reading would look like the end of the stream.
    fill();
    assert_eq!(read(&streams, &mut buffer, 2, 0), [4, 4]);
    assert_eq!(read(&streams, &mut buffer, 10, 0), []);
    // One byte of room is enough when the caller asks for no more.
    fill();
    assert_eq!(read(&streams, &mut buffer, 0, 1), [4, 4, 2]);
    assert_eq!(read(&streams[..2], &mut buffer, 0, 1), [-libc::EAGAIN; 2]);
    for [stream, peer] in pairs {
        close(&[stream, peer]);
    }
}

#[test]
fn the_end_and_errors_of_one_do_not_stop_the_others() {
    let _alone = alone();
    let [ended, peer_of_ended] = abi::unix_pair().unwrap();
    let [stale, peer_of_stale] = abi::unix_pair().unwrap();
    let [last, peer_of_last] = abi::unix_pair().unwrap();
    let [reader, writer] = abi::pipe().unwrap();
    assert_eq!(denio_stream_shutdown(peer_of_ended, 1), 0);
    assert_eq!(abi::write(writer, b"pipe"), 4);
    assert_eq!(abi::write(peer_of_last, b"last"), 4);
    close(&[stale, peer_of_stale]);
    let streams = [ended, stale, reader, NEVER_GIVEN, writer, 0.0, last];
    let mut buffer = *b".....";
    let expected = [0, -libc::EBADF, -libc::EINVAL, -libc::EBADF, -libc::EINVAL, -libc::EBADF, 4];
    assert_eq!(read(&streams, &mut buffer, 0, 1), expected);
    assert_eq!(&buffer, b"last.", "what a pipe has is left");
    close(&[ended, peer_of_ended, last, peer_of_last, reader, writer]);
}

#[test]
fn each_stream_is_sent_its_part() {
    let _alone = alone();
    let [a, peer_of_a] = abi::tcp_pair();
    let [b, peer_of_b] = abi::unix_pair().unwrap();
    let parts = [(a, 0, 3), (b, 3, 8), (a, 8, 8), (b, 9, 10)];
    assert_eq!(write(&parts, b"onethree-!"), [3, 5, 0, 1]);
    let mut buffer = [0; 8];
    assert_eq!(abi::eventually(|| abi::read(peer_of_a, &mut buffer)), 3);
    assert_eq!(&buffer[..3], b"one");
    assert_eq!(abi::read(peer_of_b, &mut buffer), 6);
    assert_eq!(&buffer[..6], b"three!");
    close(&[a, b, peer_of_a, peer_of_b]);
}

#[test]
fn a_write_that_fails_or_is_outside_of_the_buffer_does_not_stop_the_others() {
    let _alone = alone();
    let [gone, peer_of_gone] = abi::unix_pair().unwrap();
    let [stale, peer_of_stale] = abi::unix_pair().unwrap();
    let [last, peer_of_last] = abi::unix_pair().unwrap();
    let [reader, writer] = abi::pipe().unwrap();
    close(&[peer_of_gone, stale, peer_of_stale]);
    let parts = [
        (gone, 0, 4),
        (stale, 0, 4),
        (writer, 0, 4),
        (reader, 0, 4),
        (NEVER_GIVEN, 0, 4),
        (last, 0, 5),
        (last, 3, 2),
        (last, u32::MAX, u32::MAX),
        (last, 5, 5),
        (last, 1, 4),
    ];
    let refused = -libc::EINVAL;
    let expected = [
        -libc::EPIPE,
        -libc::EBADF,
        refused,
        refused,
        -libc::EBADF,
        refused,
        refused,
        refused,
        refused,
        3,
    ];
    // The peer that is gone must not end the process by a signal.
    assert_eq!(with_deadly_sigpipe(|| write(&parts, b"last")), expected);
    let mut buffer = [0; 8];
    assert_eq!(abi::read(peer_of_last, &mut buffer), 3);
    assert_eq!(&buffer[..3], b"ast");
    close(&[gone, last, peer_of_last, reader, writer]);
}

#[test]
fn a_write_takes_as_much_as_fits_and_would_block_without_room() {
    let _alone = alone();
    let [full, peer_of_full] = abi::unix_pair().unwrap();
    let [free, peer_of_free] = abi::unix_pair().unwrap();
    let block = vec![b'x'; 1 << 20];
    let end = u32::try_from(block.len()).unwrap();
    let counts = write(&[(full, 0, end), (full, 0, end), (free, 0, 1)], &block);
    assert!(counts[0] > 0 && counts[0] < end as i32, "{counts:?}");
    assert_eq!(counts[1..], [-libc::EAGAIN, 1]);
    close(&[full, peer_of_full, free, peer_of_free]);
}

#[test]
fn null_and_crooked_buffers_are_refused() {
    let _alone = alone();
    let [one, other] = abi::unix_pair().unwrap();
    let mut buffer = *b"abc";
    let bytes = buffer.as_mut_ptr();
    let mut reads = [StreamRead { stream: other, result: 7, room: 7 }; 2];
    let mut writes = [part(one, 0, 3); 2];
    for streams in [std::ptr::null_mut(), reads.as_mut_ptr().wrapping_byte_add(1)] {
        // SAFETY: what is null or crooked is refused before it is used.
        assert_eq!(unsafe { denio_streams_read(bytes, 0, 3, 1, streams, 1) }, -libc::EFAULT);
    }
    for streams in [std::ptr::null_mut(), writes.as_mut_ptr().wrapping_byte_add(2)] {
        // SAFETY: what is null or crooked is refused before it is used.
        assert_eq!(unsafe { denio_streams_write(bytes, 3, streams, 1) }, -libc::EFAULT);
    }
    let null = std::ptr::null_mut::<u8>();
    let streams = reads.as_mut_ptr();
    // SAFETY: null is refused before it is used.
    assert_eq!(unsafe { denio_streams_read(null, 0, 3, 1, streams, 1) }, -libc::EFAULT);
    // SAFETY: there is room for no byte.
    assert_eq!(unsafe { denio_streams_read(null, 0, 0, 0, streams, 2) }, 0);
    // SAFETY: there is no stream.
    assert_eq!(unsafe { denio_streams_read(bytes, 0, 3, 1, streams, 0) }, 0);
    let streams = writes.as_mut_ptr();
    // SAFETY: null is refused before it is used.
    assert_eq!(unsafe { denio_streams_write(null, 3, streams, 2) }, -libc::EFAULT);
    // SAFETY: there is no stream.
    assert_eq!(unsafe { denio_streams_write(bytes, 3, streams, 0) }, 0);
    assert_eq!(reads, [StreamRead { stream: other, result: 7, room: 7 }; 2]);
    assert_eq!(writes, [part(one, 0, 3); 2]);
    assert_eq!(abi::read(other, &mut [0]), -libc::EAGAIN, "nothing was written");
    close(&[one, other]);
}

#[test]
fn bytes_that_lie_in_the_batch_itself_are_refused() {
    let _alone = alone();
    let [one, other] = abi::unix_pair().unwrap();
    assert_eq!(abi::write(one, b"abc"), 3);
    let mut reads = [StreamRead { stream: other, result: 7, room: 7 }; 2];
    let (bytes, streams) = (reads.as_mut_ptr().cast::<u8>(), reads.as_mut_ptr());
    // SAFETY: what overlaps is refused before it is used.
    assert_eq!(unsafe { denio_streams_read(bytes, 31, 1, 1, streams, 2) }, -libc::EINVAL);
    let mut writes = [part(one, 0, 1); 2];
    let (bytes, streams) = (writes.as_ptr().cast::<u8>(), writes.as_mut_ptr());
    // SAFETY: what overlaps is refused before it is used.
    assert_eq!(unsafe { denio_streams_write(bytes, 1, streams, 2) }, -libc::EINVAL);
    assert_eq!(abi::read(other, &mut [0; 8]), 3, "nothing was read, and nothing written");
    close(&[one, other]);
}

#[test]
fn edges_come_as_after_single_calls() {
    let _alone = alone();
    let available = denio_poll_backends();
    for backend in (1..=4).filter(|backend| available & 1 << backend != 0) {
        let poll = handle(denio_poll_new(backend));
        expect_edges(poll);
        close(&[poll]);
    }
}

fn expect_edges(poll: f64) {
    let [one, other] = abi::unix_pair().unwrap();
    assert_eq!(denio_registry_register(poll, one, 1, READABLE | WRITABLE, 0), 0);
    let mut out = [0; CLOCK_WORDS + 2];
    let mut next_bits = || {
        let quiet = util::QUIET.as_millis() as i32;
        if abi::wait(poll, &mut out, quiet) == 0 { 0 } else { out[CLOCK_WORDS + 1] }
    };
    assert_eq!(next_bits(), WRITABLE);
    let mut buffer = [0; 8];
    for _ in 0..2 {
        assert_eq!(abi::write(other, b"x"), 1);
        assert_eq!(next_bits() & READABLE, READABLE);
        assert_eq!(read(&[one, one], &mut buffer, 0, 1), [1, -libc::EAGAIN]);
        assert_eq!(next_bits(), 0);
    }
    let block = vec![b'x'; 1 << 20];
    let mut left = write(&[(one, 0, 1 << 20), (one, 0, 1)], &block)[0];
    assert_eq!(next_bits(), 0);
    while left > 0 {
        left -= abi::eventually(|| abi::read(other, &mut [0; 65_536]));
    }
    assert_eq!(next_bits(), WRITABLE);
    close(&[one, other]);
}
