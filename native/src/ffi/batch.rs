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
use super::run;
use crate::source_table::Object;

/// A stream that is read in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct StreamRead {
    /// Its handle.
    pub stream: f64,
    /// The result of reading it, as of [`super::denio_stream_read`].
    pub result: i32,
    /// How many bytes there was room for. After a result that is less, the stream had no
    /// more bytes.
    pub room: u32,
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
/// from `offset` on. Writes each result as of [`super::denio_stream_read`], and the room
/// that the stream had, which may be less than is left. Stops before a
/// stream that would have less than `room_min` bytes left, or none.
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
    // Without room, reading would look like the end of the stream.
    let room_min = room_min.max(1) as usize;
    let mut done = 0;
    while let Some(next) = reads.get_mut(done..).filter(|next| !next.is_empty()) {
        if room.len() < room_min {
            break;
        }
        let (count, bytes) = match read_received(next, room) {
            (0, _) => match run::read(next, room, room_min) {
                (0, _) => read_first(next, room),
                run => run,
            },
            received => received,
        };
        room = room.get_mut(bytes..).unwrap_or_default();
        done += count;
    }
    i32::try_from(done).unwrap_or(i32::MAX)
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
    let mut done = 0;
    while let Some(next) = writes.get_mut(done..).filter(|next| !next.is_empty()) {
        done += match run::write(next, buffer) {
            0 => write_first(next, buffer),
            count => count,
        };
    }
    0
}

/// Lets this thread's batches go through a ring (1), where the system has one, or makes a
/// system call for each stream (0).
///
/// Returns 1 when they go through a ring now, and otherwise 0.
#[unsafe(no_mangle)]
pub extern "C" fn denio_batches_by_ring(uses: u32) -> i32 {
    i32::from(run::use_ring(uses != 0))
}

impl StreamWrite {
    pub(super) fn bytes<'a>(&self, buffer: &'a [u8]) -> Option<&'a [u8]> {
        buffer.get(self.start as usize..self.end as usize)
    }
}

/// Reads the first stream if its poll reads it ahead: a ring of this thread would get later
/// bytes.
fn read_received(reads: &mut [StreamRead], room: &mut [u8]) -> (usize, usize) {
    let Some(read) = reads.first_mut() else { return (0, 0) };
    let received = with(read.stream, |object| match object {
        Object::TcpStream(stream) => Ok(stream.read_received(room)),
        _ => Ok(None),
    });
    let Ok(Some(received)) = received else { return (0, 0) };
    read.room = u32::try_from(room.len()).unwrap_or(u32::MAX);
    read.result = answer_count(received);
    (1, read.result.max(0) as usize)
}

fn read_first(reads: &mut [StreamRead], room: &mut [u8]) -> (usize, usize) {
    let Some(read) = reads.first_mut() else { return (0, 0) };
    read.room = u32::try_from(room.len()).unwrap_or(u32::MAX);
    read.result = answer_count(read_stream(read.stream, room));
    (1, read.result.max(0) as usize)
}

fn write_first(writes: &mut [StreamWrite], buffer: &[u8]) -> usize {
    let Some(write) = writes.first_mut() else { return 0 };
    let bytes = write.bytes(buffer).ok_or_else(invalid);
    write.result = answer_count(bytes.and_then(|bytes| write_stream(write.stream, bytes)));
    1
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
