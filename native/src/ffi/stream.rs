//! Streams: TCP, Unix, and the ends of pipes.

use std::io;
use std::net::Shutdown;

use super::address::{Address, read_address, read_path, write_address};
use super::answer::{
    answer, answer_count, answer_handle, answer_pair, answer_unit, invalid, not_a_socket,
};
use super::handle::{decode, with};
use super::memory::{bytes, bytes_mut, items_mut};
use crate::source_table::{self, Object};
use denio_poll::{TcpStream, UnixStream, pipe};

/// Begins to connect and returns the stream's handle.
///
/// # Safety
///
/// `address` is null or readable for [`super::ADDRESS_BYTES`] until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_connect(address: *const u8) -> f64 {
    // SAFETY: the caller's promise.
    let address = unsafe { read_address(address) };
    answer_handle(|| Ok(Object::TcpStream(TcpStream::connect(address?)?)))
}

/// Connects a Unix stream to a path, or to an abstract name (which begins with
/// a NUL byte), and returns its handle. `EAGAIN`: the backlog is full.
///
/// # Safety
///
/// `path` is null or readable for `length` bytes until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_unix_stream_connect(path: *const u8, length: u32) -> f64 {
    // SAFETY: the caller's promise.
    let address = unsafe { read_path(path, length) };
    answer_handle(|| Ok(Object::UnixStream(UnixStream::connect(&address?)?)))
}

/// Writes the handles of two Unix streams, connected to each other.
///
/// # Safety
///
/// `out` is null, or aligned and writable for two handles until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_unix_stream_pair(out: *mut f64) -> i32 {
    // SAFETY: the caller's promise.
    let Some(out) = (unsafe { items_mut(out, 2) }) else { return -libc::EFAULT };
    let pair = UnixStream::pair();
    answer_pair(pair.map(|(one, other)| [one, other].map(Object::UnixStream)), out)
}

/// Opens a pipe, and writes the handles of its reading and its writing end.
///
/// # Safety
///
/// As [`denio_unix_stream_pair`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_pipe_new(out: *mut f64) -> i32 {
    // SAFETY: the caller's promise.
    let Some(out) = (unsafe { items_mut(out, 2) }) else { return -libc::EFAULT };
    let ends =
        pipe().map(|(reader, writer)| [Object::PipeReader(reader), Object::PipeWriter(writer)]);
    answer_pair(ends, out)
}

/// Returns a number of at least 1 for the network of a TCP stream's peer, or 0 for a Unix
/// stream, whose peer is on this machine.
#[unsafe(no_mangle)]
pub extern "C" fn denio_stream_peer_key(stream: f64) -> i32 {
    answer(with(stream, |object| match object {
        Object::TcpStream(stream) => stream.peer_key().map(|key| key as i32),
        Object::UnixStream(_) => Ok(0),
        _ => Err(invalid()),
    }))
}

/// Writes the address of a stream's peer, [`super::ADDRESS_BYTES`] long.
///
/// # Safety
///
/// As [`super::denio_source_local_address`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_peer_address(stream: f64, address: *mut u8) -> i32 {
    let found = with(stream, |object| match object {
        Object::TcpStream(stream) => stream.peer_address().map(Address::from),
        Object::UnixStream(stream) => stream.peer_address().map(Address::from),
        _ => Err(invalid()),
    });
    // SAFETY: the caller's promise.
    unsafe { write_address(found, address) }
}

/// Lets a stream send four bytes, the highest of `words` first, when it ends with the thread
/// that opened it; 0 takes them back. All streams of the process have the same last words.
#[unsafe(no_mangle)]
pub extern "C" fn denio_stream_set_last_words(stream: f64, words: u32) -> i32 {
    answer_unit(source_table::set_last_words(decode(stream), words))
}

/// Reads into `length` bytes from `offset`; 0 is the end of the stream, or the result of a
/// length of 0.
///
/// # Safety
///
/// `buffer` is null or writable for `offset + length` bytes until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_read(
    stream: f64,
    buffer: *mut u8,
    offset: u32,
    length: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes_mut(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    answer_count(with(stream, |object| match object {
        Object::TcpStream(stream) => stream.read(buffer),
        Object::UnixStream(stream) => stream.read(buffer),
        Object::PipeReader(pipe) => pipe.read(buffer),
        _ => Err(invalid()),
    }))
}

/// Writes `length` bytes from `offset` and returns how many the system has taken.
///
/// # Safety
///
/// `buffer` is null or readable for `offset + length` bytes until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_write(
    stream: f64,
    buffer: *const u8,
    offset: u32,
    length: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    answer_count(with(stream, |object| match object {
        Object::TcpStream(stream) => stream.write(buffer),
        Object::UnixStream(stream) => stream.write(buffer),
        Object::PipeWriter(pipe) => pipe.write(buffer),
        _ => Err(invalid()),
    }))
}

/// Reads as [`denio_stream_read`] does, and leaves the bytes. A pipe cannot do this:
/// `ENOTSOCK`.
///
/// # Safety
///
/// As [`denio_stream_read`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_peek(
    stream: f64,
    buffer: *mut u8,
    offset: u32,
    length: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes_mut(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    answer_count(with(stream, |object| match object {
        Object::TcpStream(stream) => stream.peek(buffer),
        Object::UnixStream(stream) => stream.peek(buffer),
        _ => Err(no_stream_socket(object)),
    }))
}

/// Returns how many written bytes the peer's system has not acknowledged. `ENOTSOCK` for a
/// pipe, `ENOTSUP` on systems that do not count them.
#[unsafe(no_mangle)]
pub extern "C" fn denio_stream_unacked(stream: f64) -> i32 {
    answer_count(with(stream, |object| match object {
        Object::TcpStream(stream) => stream.unacked(),
        Object::UnixStream(stream) => stream.unacked(),
        _ => Err(no_stream_socket(object)),
    }))
}

/// Returns how many bytes can be read now. `ENOTSOCK` for a pipe.
#[unsafe(no_mangle)]
pub extern "C" fn denio_stream_unread(stream: f64) -> i32 {
    answer_count(with(stream, |object| match object {
        Object::TcpStream(stream) => stream.unread(),
        Object::UnixStream(stream) => stream.unread(),
        _ => Err(no_stream_socket(object)),
    }))
}

/// Shuts down reading (0), writing (1) or both (2). `ENOTSOCK` for a pipe, which the caller
/// closes instead.
#[unsafe(no_mangle)]
pub extern "C" fn denio_stream_shutdown(stream: f64, how: u32) -> i32 {
    let how = match how {
        0 => Shutdown::Read,
        1 => Shutdown::Write,
        2 => Shutdown::Both,
        _ => return -libc::EINVAL,
    };
    answer_unit(with(stream, |object| match object {
        Object::TcpStream(stream) => stream.shutdown(how),
        Object::UnixStream(stream) => stream.shutdown(how),
        _ => Err(no_stream_socket(object)),
    }))
}

fn no_stream_socket(object: &Object) -> io::Error {
    match object {
        Object::PipeReader(_) | Object::PipeWriter(_) => not_a_socket(),
        _ => invalid(),
    }
}
