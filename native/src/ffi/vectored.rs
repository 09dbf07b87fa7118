//! Reading and writing several buffers in one call.
//!
//! Each buffer is a parameter, because an array of buffers would be one of pointers. Eight
//! hold a head, a body and the chunks around it; an unused buffer is null and zero long.
//! not used are null, and zero long.

use std::io::{IoSlice, IoSliceMut};

use super::answer::{answer_count, invalid};
use super::handle::with;
use super::memory::{bytes, bytes_mut, overlap, range_of};
use crate::source_table::Object;

/// Reads into one buffer after the other and returns the number of bytes; 0 is the end of
/// the stream, or the result of no room. Buffers that overlap are refused (`EINVAL`).
///
/// # Safety
///
/// Each buffer is null or writable for its length until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_read_vectored(
    stream: f64,
    first: *mut u8,
    first_length: u32,
    second: *mut u8,
    second_length: u32,
    third: *mut u8,
    third_length: u32,
    fourth: *mut u8,
    fourth_length: u32,
    fifth: *mut u8,
    fifth_length: u32,
    sixth: *mut u8,
    sixth_length: u32,
    seventh: *mut u8,
    seventh_length: u32,
    eighth: *mut u8,
    eighth_length: u32,
) -> i32 {
    let parts = [
        (first, first_length),
        (second, second_length),
        (third, third_length),
        (fourth, fourth_length),
        (fifth, fifth_length),
        (sixth, sixth_length),
        (seventh, seventh_length),
        (eighth, eighth_length),
    ];
    if overlap(&parts.map(|(start, length)| range_of(start, length.into()))) {
        return -libc::EINVAL;
    }
    let mut buffers = [const { None }; 8];
    for (place, (start, length)) in buffers.iter_mut().zip(parts) {
        // SAFETY: the caller's promise, and no two of them overlap.
        *place = unsafe { bytes_mut(start, 0, length) }.map(IoSliceMut::new);
    }
    let [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f), Some(g), Some(h)] = buffers else {
        return -libc::EFAULT;
    };
    let buffers = &mut [a, b, c, d, e, f, g, h];
    answer_count(with(stream, |object| match object {
        Object::TcpStream(stream) => stream.read_vectored(buffers),
        Object::UnixStream(stream) => stream.read_vectored(buffers),
        Object::PipeReader(pipe) => pipe.read_vectored(buffers),
        _ => Err(invalid()),
    }))
}

/// Writes one buffer after the other and returns how many bytes the system has taken.
///
/// # Safety
///
/// Each buffer is null or readable for its length until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_write_vectored(
    stream: f64,
    first: *const u8,
    first_length: u32,
    second: *const u8,
    second_length: u32,
    third: *const u8,
    third_length: u32,
    fourth: *const u8,
    fourth_length: u32,
    fifth: *const u8,
    fifth_length: u32,
    sixth: *const u8,
    sixth_length: u32,
    seventh: *const u8,
    seventh_length: u32,
    eighth: *const u8,
    eighth_length: u32,
) -> i32 {
    let parts = [
        (first, first_length),
        (second, second_length),
        (third, third_length),
        (fourth, fourth_length),
        (fifth, fifth_length),
        (sixth, sixth_length),
        (seventh, seventh_length),
        (eighth, eighth_length),
    ];
    let mut buffers = [const { None }; 8];
    for (place, (start, length)) in buffers.iter_mut().zip(parts) {
        // SAFETY: the caller's promise.
        *place = unsafe { bytes(start, 0, length) }.map(IoSlice::new);
    }
    let [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f), Some(g), Some(h)] = buffers else {
        return -libc::EFAULT;
    };
    let buffers = &[a, b, c, d, e, f, g, h];
    answer_count(with(stream, |object| match object {
        Object::TcpStream(stream) => stream.write_vectored(buffers),
        Object::UnixStream(stream) => stream.write_vectored(buffers),
        Object::PipeWriter(pipe) => pipe.write_vectored(buffers),
        _ => Err(invalid()),
    }))
}
