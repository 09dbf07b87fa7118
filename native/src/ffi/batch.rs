//! Reading and writing several streams in one call.
//!
//! A turn of a server reads a little from many streams and writes a little to many. One
//! call for all of them costs one crossing from JavaScript instead of one for each stream.
//! JavaScript then runs in one piece between reads and writes, and stays in the
//! processor's caches.

use std::io;

use super::answer::{answer_count, invalid};
use super::handle::with;
use super::memory::{bytes, bytes_mut, items_mut, overlap, range_of};
use crate::source_table::Object;

/// A stream that is read in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct StreamRead {
    /// Its handle.
    pub stream: f64,
    /// The result of reading it, as of [`super::denio_stream_read`].
    pub result: i32,
    /// Not used.
    pub rest: u32,
}

/// A stream that is written to in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct StreamWrite {
    /// Its handle.
    pub stream: f64,
    /// Where its bytes begin.
    pub start: u32,
    /// Where they end.
    pub end: u32,
    /// The result of writing to it, as of [`super::denio_stream_write`].
    pub result: i32,
    /// Not used.
    pub rest: u32,
}

// JavaScript writes both through arrays of numbers: `src/net/batches.ts`.
const _: () = assert!(size_of::<StreamRead>() == 16 && size_of::<StreamWrite>() == 24);

/// Reads each of `count` streams once, in order, and lays their bytes one behind the other
/// from `offset` on. Writes each result as of [`super::denio_stream_read`]. Stops before a
/// stream that would have less than `room_min` bytes of room, or none.
///
/// Returns how many were read.
///
/// # Safety
///
/// `buffer` is null or writable for `offset + length` bytes, `reads` null, or
/// aligned and writable for `count` streams, until this returns. If they overlap,
/// nothing is read: `EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_streams_read(
    buffer: *mut u8,
    offset: u32,
    length: u32,
    room_min: u32,
    reads: *mut StreamRead,
    count: u32,
) -> i32 {
    let range = range_of(buffer, u64::from(offset) + u64::from(length));
    if overlap(&[range, range_of(reads, count.into())]) {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise, and the two do not overlap.
    let buffer = unsafe { bytes_mut(buffer, offset, length) };
    // SAFETY: the caller's promise, and the two do not overlap.
    let reads = unsafe { items_mut(reads, count as usize) };
    let (Some(mut room), Some(reads)) = (buffer, reads) else { return -libc::EFAULT };
    let mut done = 0;
    for read in reads {
        // Without room, reading would look like the end of the stream.
        if room.len() < room_min.max(1) as usize {
            break;
        }
        read.result = answer_count(read_stream(read.stream, room));
        room = room.get_mut(read.result.max(0) as usize..).unwrap_or_default();
        done += 1;
    }
    done
}

/// Writes a range of `buffer` to each of `count` streams, in order. Writes each result as
/// of [`super::denio_stream_write`].
///
/// # Safety
///
/// `buffer` is null or readable for `length` bytes, `writes` null, or aligned
/// and writable for `count` streams, until this returns. If they overlap, nothing is
/// written: `EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_streams_write(
    buffer: *const u8,
    length: u32,
    writes: *mut StreamWrite,
    count: u32,
) -> i32 {
    if overlap(&[range_of(buffer, length.into()), range_of(writes, count.into())]) {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise, and the two do not overlap.
    let buffer = unsafe { bytes(buffer, 0, length) };
    // SAFETY: the caller's promise, and the two do not overlap.
    let writes = unsafe { items_mut(writes, count as usize) };
    let (Some(buffer), Some(writes)) = (buffer, writes) else { return -libc::EFAULT };
    for write in writes {
        let bytes = buffer.get(write.start as usize..write.end as usize);
        let count = bytes.ok_or_else(invalid).and_then(|bytes| write_stream(write.stream, bytes));
        write.result = answer_count(count);
    }
    0
}

fn read_stream(stream: f64, room: &mut [u8]) -> io::Result<usize> {
    with(stream, |object| match object {
        Object::TcpStream(stream) => stream.read(room),
        Object::UnixStream(stream) => stream.read(room),
        _ => Err(invalid()),
    })
}

fn write_stream(stream: f64, bytes: &[u8]) -> io::Result<usize> {
    with(stream, |object| match object {
        Object::TcpStream(stream) => stream.write(bytes),
        Object::UnixStream(stream) => stream.write(bytes),
        _ => Err(invalid()),
    })
}
