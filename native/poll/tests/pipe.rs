//! Pipes: one way, ends of both sorts, and no signal from a write without a reader.

#![allow(unsafe_code, clippy::unwrap_used, reason = "signals, and set-up")]

mod util;

use std::io::IoSlice;

use denio_poll::{Event, PipeReader, PipeWriter, Poll, Token, pipe};
use util::{
    READABLE, WRITABLE, alone, drain, errno, expect_event, expect_silence, fill, read_exact,
    write_all,
};

const READER: Token = Token(1);
const WRITER: Token = Token(2);

/// A pipe with a registered reader.
fn registered_reader(poll: &Poll) -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    poll.registry().register(&reader, READER, READABLE).unwrap();
    (reader, writer)
}

/// A pipe with a registered writer, after its first writable event.
fn registered_writer(poll: &Poll) -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    poll.registry().register(&writer, WRITER, WRITABLE).unwrap();
    expect_event(poll, WRITER, Event::WRITABLE);
    (reader, writer)
}

#[test]
fn bytes_go_one_way_and_nothing_blocks() {
    let _alone = alone();
    let before = util::descriptors();
    let (reader, writer) = pipe().unwrap();
    assert!(util::new_ones_are_close_on_exec(&before));
    assert_eq!(errno(reader.read(&mut [0; 8])), libc::EAGAIN);
    write_all(&writer, b"one way");
    assert_eq!(read_exact(&reader, 7), b"one way");
    assert_eq!(reader.read(&mut []).unwrap(), 0);
    assert_eq!(writer.write(&[]).unwrap(), 0);
    fill(&writer);
    assert_eq!(errno(writer.write(b"x")), libc::EAGAIN);
}

#[test]
fn data_is_reported_once_for_each_arrival() {
    let _alone = alone();
    let poll = util::poll();
    let (reader, writer) = registered_reader(&poll);
    expect_silence(&poll);
    for _ in 0..2 {
        write_all(&writer, b"some");
        assert_eq!(expect_event(&poll, READER, Event::READABLE), Event::READABLE);
        expect_silence(&poll);
        assert_eq!(drain(&reader), (b"some".to_vec(), false));
        expect_silence(&poll);
    }
}

#[test]
fn room_is_reported_after_there_was_none() {
    let _alone = alone();
    let poll = util::poll();
    let (reader, writer) = registered_writer(&poll);
    let written = fill(&writer);
    expect_silence(&poll);
    assert_eq!(read_exact(&reader, written).len(), written);
    expect_event(&poll, WRITER, Event::WRITABLE);
}

#[test]
fn megabytes_go_through_on_edges() {
    let _alone = alone();
    let (reader, writer) = pipe().unwrap();
    util::expect_megabytes_on_edges(&writer, &reader);
}

#[test]
fn dropped_writer_ends_reading_after_its_bytes() {
    let _alone = alone();
    let poll = util::poll();
    let (reader, writer) = registered_reader(&poll);
    write_all(&writer, b"last words");
    drop(writer);
    expect_event(&poll, READER, Event::READABLE | Event::READ_CLOSED);
    assert_eq!(drain(&reader), (b"last words".to_vec(), true));
    if util::sees_edges(&poll) {
        // Other backends may report the end once more.
        expect_silence(&poll);
    }
}

#[test]
fn dropped_writer_ends_reading_where_there_was_nothing() {
    let _alone = alone();
    let poll = util::poll();
    let (reader, writer) = registered_reader(&poll);
    drop(writer);
    expect_event(&poll, READER, Event::READ_CLOSED);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    expect_silence(&poll);
}

#[test]
fn dropped_reader_ends_waiting_for_room() {
    let _alone = alone();
    let poll = util::poll();
    let (reader, writer) = registered_writer(&poll);
    fill(&writer);
    drop(reader);
    expect_event(&poll, WRITER, Event::WRITE_CLOSED);
    assert_eq!(errno(writer.write(b"x")), libc::EPIPE);
}

#[test]
fn dropped_reader_ends_writing_that_nothing_was_in_the_way_of() {
    let _alone = alone();
    let poll = util::poll();
    let (reader, writer) = registered_writer(&poll);
    drop(reader);
    expect_event(&poll, WRITER, Event::WRITE_CLOSED);
    assert_eq!(errno(writer.write(b"x")), libc::EPIPE);
    expect_silence(&poll);
}

// Signals.

#[test]
fn write_without_a_reader_is_an_error_and_no_signal() {
    let _alone = alone();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    util::with_deadly_sigpipe(|| {
        for _ in 0..3 {
            assert_eq!(errno(writer.write(b"anyone?")), libc::EPIPE);
            assert_eq!(errno(writer.write_vectored(&[IoSlice::new(b"anyone?")])), libc::EPIPE);
        }
        assert!(!is_blocked(), "the mask is as it was");
    });
}

#[test]
fn thread_that_blocks_the_signal_keeps_it_blocked_and_its_own_pending() {
    let _alone = alone();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    util::with_deadly_sigpipe(|| {
        mask(libc::SIG_BLOCK);
        assert_eq!(errno(writer.write(b"x")), libc::EPIPE);
        assert!(is_blocked() && !is_pending(), "ours is taken");
        // SAFETY: sends this thread a signal that it blocks.
        unsafe { libc::raise(libc::SIGPIPE) };
        assert_eq!(errno(writer.write(b"x")), libc::EPIPE);
        assert!(is_blocked() && is_pending(), "one from before is not ours");
        let mut taken = 0;
        // SAFETY: both are there, and one is pending.
        unsafe { libc::sigwait(&sigpipe(), &mut taken) };
        mask(libc::SIG_UNBLOCK);
    });
}

fn sigpipe() -> libc::sigset_t {
    // SAFETY: zeroes are a set.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a set.
    unsafe { libc::sigemptyset(&mut set) };
    // SAFETY: `set` is a set.
    unsafe { libc::sigaddset(&mut set, libc::SIGPIPE) };
    set
}

fn mask(how: libc::c_int) {
    // SAFETY: the set is one.
    assert_eq!(unsafe { libc::pthread_sigmask(how, &sigpipe(), std::ptr::null_mut()) }, 0);
}

fn is_blocked() -> bool {
    let mut set = sigpipe();
    // SAFETY: `set` is writable, and with no set to change nothing changes.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut set) };
    // SAFETY: `set` is a set.
    unsafe { libc::sigismember(&set, libc::SIGPIPE) == 1 }
}

fn is_pending() -> bool {
    let mut set = sigpipe();
    // SAFETY: `set` is writable.
    unsafe { libc::sigpending(&mut set) };
    // SAFETY: `set` is a set.
    unsafe { libc::sigismember(&set, libc::SIGPIPE) == 1 }
}
