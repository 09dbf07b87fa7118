//! Several buffers in one call: in order, no byte beyond, and on edges as one buffer.

#![allow(unsafe_code, reason = "calls of unsafe functions")]

mod util;

use std::io::{IoSlice, IoSliceMut};
use std::ptr::{null, null_mut};

use denio::ffi::{
    denio_source_close, denio_stream_shutdown, denio_stream_unacked, denio_stream_unread,
};
use denio_poll::{Event, Token, UnixStream, pipe};
use util::abi::{self, handle};
use util::{
    READABLE, WRITABLE, alone, errno, eventually, expect_event, expect_silence, read_exact,
};

const STREAM: Token = Token(1);

/// Runs a check on two ends of each sort: a writer and a reader.
macro_rules! on_each_sort {
    (|$writer:ident, $reader:ident| $check:block) => {{
        let ($writer, $reader) = util::pair();
        $check
        let ($writer, $reader) = UnixStream::pair().unwrap();
        $check
        let ($reader, $writer) = pipe().unwrap();
        $check
    }};
}

#[test]
fn buffers_are_written_and_filled_in_order_and_no_byte_beyond() {
    let _alone = alone();
    on_each_sort!(|writer, reader| {
        let parts = [&b"ab"[..], b"", b"cdef", b"g"].map(IoSlice::new);
        assert_eq!(writer.write_vectored(&parts).unwrap(), 7);
        let (mut first, mut none, mut second, mut third) = ([0; 3], [0; 0], [0; 3], *b"....");
        let mut room = [
            IoSliceMut::new(&mut first),
            IoSliceMut::new(&mut none),
            IoSliceMut::new(&mut second),
            IoSliceMut::new(&mut third),
        ];
        assert_eq!(eventually(|| reader.read_vectored(&mut room)).unwrap(), 7);
        assert_eq!((&first, &second, &third), (b"abc", b"def", b"g..."));
        assert_eq!(errno(reader.read_vectored(&mut [IoSliceMut::new(&mut first)])), libc::EAGAIN);
    });
}

#[test]
fn no_room_reads_nothing_and_nothing_is_written() {
    let _alone = alone();
    on_each_sort!(|writer, reader| {
        assert_eq!(reader.read_vectored(&mut []).unwrap(), 0);
        assert_eq!(reader.read_vectored(&mut [IoSliceMut::new(&mut [])]).unwrap(), 0);
        assert_eq!(writer.write_vectored(&[]).unwrap(), 0);
        assert_eq!(writer.write_vectored(&[IoSlice::new(b"")]).unwrap(), 0);
    });
}

#[test]
fn end_of_the_stream_is_zero() {
    let _alone = alone();
    on_each_sort!(|writer, reader| {
        let poll = util::poll();
        poll.registry().register(&reader, STREAM, READABLE).unwrap();
        drop(writer);
        expect_event(&poll, STREAM, Event::READ_CLOSED);
        let mut byte = [0];
        assert_eq!(reader.read_vectored(&mut [IoSliceMut::new(&mut byte)]).unwrap(), 0);
        expect_silence(&poll);
    });
}

#[test]
fn edges_come_as_for_one_buffer() {
    let _alone = alone();
    on_each_sort!(|writer, reader| {
        let poll = util::poll();
        poll.registry().register(&reader, STREAM, READABLE).unwrap();
        let mut buffer = [0; 8];
        for _ in 0..2 {
            assert_eq!(writer.write_vectored(&[b"so", b"me"].map(|p| IoSlice::new(p))).unwrap(), 4);
            expect_event(&poll, STREAM, Event::READABLE);
            let (one, other) = buffer.split_at_mut(3);
            let mut room = [IoSliceMut::new(one), IoSliceMut::new(other)];
            assert_eq!(reader.read_vectored(&mut room).unwrap(), 4);
            assert_eq!(errno(reader.read_vectored(&mut room)), libc::EAGAIN);
            expect_silence(&poll);
        }
    });
}

#[test]
fn room_is_reported_after_a_write_that_was_cut_short() {
    let _alone = alone();
    on_each_sort!(|writer, reader| {
        let poll = util::poll();
        poll.registry().register(&writer, STREAM, WRITABLE).unwrap();
        expect_event(&poll, STREAM, Event::WRITABLE);
        let block = [b'x'; 65_536];
        let mut written = 0;
        while let Ok(count) = writer.write_vectored(&[IoSlice::new(&block), IoSlice::new(&block)]) {
            written += count;
        }
        expect_silence(&poll);
        assert_eq!(read_exact(&reader, written).len(), written);
        expect_event(&poll, STREAM, Event::WRITABLE);
    });
}

// Through the ABI.

/// Reads into parts of a test's own buffers, or null.
fn read(stream: f64, parts: &[(*mut u8, u32)]) -> i32 {
    // SAFETY: each test passes buffers of their lengths, or null.
    unsafe { abi::read_vectored(stream, parts) }
}

/// Writes parts of a test's own buffers, or null.
fn write(stream: f64, parts: &[(*const u8, u32)]) -> i32 {
    // SAFETY: each test passes buffers of their lengths, or null.
    unsafe { abi::write_vectored(stream, parts) }
}

fn close(handles: &[f64]) {
    for handle in handles {
        assert_eq!(denio_source_close(*handle), 0);
    }
}

#[test]
fn null_buffers_without_length_are_skipped_and_with_one_refused() {
    let _alone = alone();
    let [one, other] = abi::unix_pair().unwrap();
    let none = (null(), 0);
    assert_eq!(write(one, &[none, (b"ab".as_ptr(), 2), none, (b"c".as_ptr(), 1)]), 3);
    let mut buffer = *b"......";
    let start = buffer.as_mut_ptr();
    assert_eq!(read(other, &[(start, 1), (null_mut(), 0), (start.wrapping_add(3), 2)]), 3);
    assert_eq!(&buffer, b"a..bc.");
    assert_eq!(read(other, &[(null_mut(), 1)]), -libc::EFAULT);
    assert_eq!(write(other, &[(null(), 1)]), -libc::EFAULT);
    assert_eq!(read(other, &[]), 0);
    assert_eq!(write(other, &[]), 0);
    close(&[one, other]);
}

#[test]
fn all_eight_buffers_are_used() {
    let _alone = alone();
    let [reader, writer] = abi::pipe().unwrap();
    let parts: Vec<_> = b"abcdefgh".iter().map(|byte| (std::ptr::from_ref(byte), 1)).collect();
    assert_eq!(write(writer, &parts), 8);
    let mut buffer = [0; 8];
    let room: Vec<_> = buffer.iter_mut().rev().map(|byte| (std::ptr::from_mut(byte), 1)).collect();
    assert_eq!(read(reader, &room), 8);
    assert_eq!(&buffer, b"hgfedcba");
    close(&[reader, writer]);
}

#[test]
fn buffers_that_overlap_are_refused_for_reading_only() {
    let _alone = alone();
    let [one, other] = abi::unix_pair().unwrap();
    let mut buffer = *b"abcd";
    let (start, middle) = (buffer.as_mut_ptr(), buffer.as_mut_ptr().wrapping_add(2));
    assert_eq!(write(one, &[(start, 4), (start, 2)]), 6);
    assert_eq!(read(other, &[(start, 3), (middle, 2)]), -libc::EINVAL);
    assert_eq!(read(other, &[(middle, 2), (start, 2)]), 4);
    assert_eq!(&buffer, b"cdab");
    close(&[one, other]);
}

#[test]
fn only_streams_can_be_read_and_written() {
    let _alone = alone();
    let udp = handle(abi::udp_bind(&abi::encode(util::loopback()), 0));
    let [reader, writer] = abi::pipe().unwrap();
    assert_eq!(read(udp, &[]), -libc::EINVAL);
    assert_eq!(write(udp, &[]), -libc::EINVAL);
    assert_eq!(read(writer, &[]), -libc::EINVAL);
    assert_eq!(write(reader, &[]), -libc::EINVAL);
    assert_eq!(abi::read(writer, &mut [0]), -libc::EINVAL);
    assert_eq!(abi::write(reader, b"x"), -libc::EINVAL);
    assert_eq!(abi::peek(reader, &mut [0]), -libc::ENOTSOCK);
    assert_eq!(denio_stream_shutdown(writer, 1), -libc::ENOTSOCK);
    assert_eq!(denio_stream_unacked(writer), -libc::ENOTSOCK);
    assert_eq!(denio_stream_unread(reader), -libc::ENOTSOCK);
    assert_eq!(denio_stream_unacked(udp), -libc::EINVAL);
    assert_eq!(denio_stream_unread(udp), -libc::EINVAL);
    close(&[udp, reader, writer]);
}
