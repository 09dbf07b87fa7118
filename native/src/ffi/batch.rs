//! Reading and writing several streams in one call.
//!
//! A turn of a server reads a little from many streams and writes a little to
//! many. One call for all of them costs one crossing from JavaScript instead of
//! one a stream, and keeps what JavaScript does between reads and writes in one
//! piece, which stays in the processor's caches.

use std::io;

use super::answer::{answer_count, invalid};
use super::memory::{bytes, bytes_mut, words_mut};
use crate::source_table::{self, Object};

/// Words of a read: the stream, then what reading it gave.
pub const READ_WORDS: usize = 2;
/// Words of a write: the stream, where its bytes begin and end, then what
/// writing them gave.
pub const WRITE_WORDS: usize = 4;

/// Reads each of `count` streams once, in order, one's bytes behind the other's
/// from `offset` on, and writes what each gave: as [`super::denio_stream_read`].
/// Stops before one that would have less than `room_min` bytes, or none.
///
/// Returns how many were read.
///
/// # Safety
///
/// `buffer` is null or writable for `offset + length` bytes, `reads` null, or
/// four-byte aligned and writable for [`READ_WORDS`] words a stream, until this
/// returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_streams_read(
    buffer: *mut u8,
    offset: u32,
    length: u32,
    room_min: u32,
    reads: *mut u32,
    count: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let buffer = unsafe { bytes_mut(buffer, offset, length) };
    // SAFETY: the caller's promise.
    let reads = unsafe { words_mut(reads, READ_WORDS * count as usize) };
    let (Some(mut room), Some(reads)) = (buffer, reads) else { return -libc::EFAULT };
    let mut done = 0;
    for read in reads.chunks_exact_mut(READ_WORDS) {
        let [stream, result] = read else { break };
        // Without room, reading would look like the end of the stream.
        if room.len() < room_min.max(1) as usize {
            break;
        }
        let count = answer_count(read_stream(*stream, room));
        *result = count as u32;
        room = room.get_mut(count.max(0) as usize..).unwrap_or_default();
        done += 1;
    }
    done
}

/// Writes some bytes of `buffer` to each of `count` streams, in order, and writes
/// what each gave: as [`super::denio_stream_write`].
///
/// # Safety
///
/// `buffer` is null or readable for `length` bytes, `writes` null, or four-byte
/// aligned and writable for [`WRITE_WORDS`] words a stream, until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_streams_write(
    buffer: *const u8,
    length: u32,
    writes: *mut u32,
    count: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let buffer = unsafe { bytes(buffer, 0, length) };
    // SAFETY: the caller's promise.
    let writes = unsafe { words_mut(writes, WRITE_WORDS * count as usize) };
    let (Some(buffer), Some(writes)) = (buffer, writes) else { return -libc::EFAULT };
    for write in writes.chunks_exact_mut(WRITE_WORDS) {
        let [stream, start, end, result] = write else { break };
        let bytes = buffer.get(*start as usize..*end as usize);
        let count = bytes.ok_or_else(invalid).and_then(|bytes| write_stream(*stream, bytes));
        *result = answer_count(count) as u32;
    }
    0
}

fn read_stream(stream: u32, room: &mut [u8]) -> io::Result<usize> {
    source_table::with(stream, |object| match object {
        Object::TcpStream(stream) => stream.read(room),
        Object::UnixStream(stream) => stream.read(room),
        _ => Err(invalid()),
    })
}

fn write_stream(stream: u32, bytes: &[u8]) -> io::Result<usize> {
    source_table::with(stream, |object| match object {
        Object::TcpStream(stream) => stream.write(bytes),
        Object::UnixStream(stream) => stream.write(bytes),
        _ => Err(invalid()),
    })
}
