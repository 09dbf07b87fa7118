//! Compressing and decompressing messages of WebSocket.

use super::answer::answer_count;
use super::memory::{bytes, bytes_mut, overlap, range_of};
use denio_websocket::deflate::{self, Inflated};

/// The flag of the first call for a message.
const FIRST: u32 = 1;
/// The flag of a message that must be UTF-8.
const TEXT: u32 = 2;
/// Close codes begin here, and errnos end below: "data not consistent with the type".
const CORRUPT: i32 = -1007;

/// Decompresses the message of `length` bytes at `start` into `out`, which has room up to
/// `capacity`, and begins with what earlier calls have decompressed of it.
///
/// Returns where the message ends in `out`; `capacity` when the room is full and the message
/// may go on: then the caller calls again with more, without the flag 1. Returns `-EAGAIN` when
/// the message is long: then the caller calls again, too. Returns -1007 when the message is
/// corrupt, or is no UTF-8 and has the flag 2. See [`deflate::inflate`].
///
/// # Safety
///
/// `buffer` is null or readable for `start + length` bytes, `history` for `history_length`,
/// and `out` is null or writable for `capacity`, until this returns. If two
/// of them overlap, nothing is done: `EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_websocket_inflate(
    buffer: *const u8,
    start: u32,
    length: u32,
    history: *const u8,
    history_length: u32,
    out: *mut u8,
    capacity: u32,
    flags: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let lent = unsafe { lent(buffer, (start, length), (history, history_length), (out, capacity)) };
    let Lent { message, history, out } = match lent {
        Ok(lent) => lent,
        Err(errno) => return -errno,
    };
    let is_first = flags & FIRST != 0;
    match deflate::inflate(message, history, out, is_first) {
        Ok(Inflated::Partial) => -libc::EAGAIN,
        Ok(Inflated::Full) => answer_count(Ok(out.len())),
        Ok(Inflated::Whole(end)) => {
            let is_text = || std::str::from_utf8(out.get(..end).unwrap_or_default()).is_ok();
            if flags & TEXT == 0 || is_text() { answer_count(Ok(end)) } else { CORRUPT }
        }
        Err(deflate::Corrupt) => CORRUPT,
    }
}

/// Sets the decompressor aside in the middle of a message. Returns a number, from zero, or
/// `-errno`: see [`deflate::set_aside`].
#[unsafe(no_mangle)]
pub extern "C" fn denio_websocket_inflate_aside() -> i32 {
    deflate::set_aside().map_or(-libc::ENOENT, |number| answer_count(Ok(number)))
}

/// Goes on with the message that was set aside under `number`. Returns zero, or `-errno`: see
/// [`deflate::resume`].
#[unsafe(no_mangle)]
pub extern "C" fn denio_websocket_inflate_resume(number: u32) -> i32 {
    if deflate::resume(number as usize) { 0 } else { -libc::ENOENT }
}

/// Compresses the message of `length` bytes at `start` into `out`. Returns how many bytes
/// that took, or 0 when they do not fit into `capacity`. See [`deflate::deflate`].
///
/// # Safety
///
/// As [`denio_websocket_inflate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_websocket_deflate(
    buffer: *const u8,
    start: u32,
    length: u32,
    history: *const u8,
    history_length: u32,
    out: *mut u8,
    capacity: u32,
    window_bits: u32,
    level: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let lent = unsafe { lent(buffer, (start, length), (history, history_length), (out, capacity)) };
    let Lent { message, history, out } = match lent {
        Ok(lent) => lent,
        Err(errno) => return -errno,
    };
    let length = deflate::deflate(message, history, out, window_bits, level);
    answer_count(Ok(length.unwrap_or_default()))
}

/// The buffers of one call.
struct Lent<'a> {
    message: &'a [u8],
    history: &'a [u8],
    out: &'a mut [u8],
}

/// # Safety
///
/// As the two functions above; during `'a`.
unsafe fn lent<'a>(
    buffer: *const u8,
    (start, length): (u32, u32),
    (history, history_length): (*const u8, u32),
    (out, capacity): (*mut u8, u32),
) -> Result<Lent<'a>, i32> {
    // Positions are words: beyond them no buffer can be described.
    let end = start.checked_add(length).ok_or(libc::EINVAL)?;
    let ranges = [
        range_of(buffer, end.into()),
        range_of(history, history_length.into()),
        range_of(out, capacity.into()),
    ];
    if overlap(&ranges) {
        return Err(libc::EINVAL);
    }
    // SAFETY: the caller's promise, and no two overlap.
    let message = unsafe { bytes(buffer, start, length) };
    // SAFETY: the caller's promise, and no two overlap.
    let history = unsafe { bytes(history, 0, history_length) };
    // SAFETY: the caller's promise, and no two overlap.
    let out = unsafe { bytes_mut(out, 0, capacity) };
    let (Some(message), Some(history), Some(out)) = (message, history, out) else {
        return Err(libc::EFAULT);
    };
    Ok(Lent { message, history, out })
}
