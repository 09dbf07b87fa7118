//! The wire of WebSocket: handshakes and frames.

use super::answer::answer_count;
use super::memory::{bytes_mut, items_mut, overlap, range_of};
use denio_websocket::accept::{self, ACCEPT_LENGTH, KEY_LENGTH};
use denio_websocket::frames::{self, Row, STATE_WORDS, State};

/// Parses the frames in the `length` bytes from `offset` on, and unmasks them in place.
/// Returns the number of rows that were written to `table`, or `-errno`: see
/// [`frames::parse`]. Any words are a state.
///
/// # Safety
///
/// `buffer` is null or writable for `offset + length` bytes; `state` is null, or four-byte
/// aligned and writable for [`STATE_WORDS`], and so is `table` for `rows` of four words, until
/// this returns. If two of them overlap, nothing is parsed: `EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_websocket_parse(
    buffer: *mut u8,
    offset: u32,
    length: u32,
    state: *mut u32,
    table: *mut u32,
    rows: u32,
) -> i32 {
    let table = table.cast::<Row>();
    // Positions are words: beyond them no buffer can be described.
    let Some(end) = offset.checked_add(length) else { return -libc::EINVAL };
    let ranges = [
        range_of(buffer, end.into()),
        range_of(state, STATE_WORDS as u64),
        range_of(table, rows.into()),
    ];
    if overlap(&ranges) {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise, and no two overlap.
    let buffer = unsafe { bytes_mut(buffer, 0, end) };
    // SAFETY: the caller's promise, and no two overlap.
    let state = unsafe { items_mut(state, STATE_WORDS) };
    // SAFETY: the caller's promise, and no two overlap.
    let table = unsafe { items_mut(table, rows as usize) };
    let state = state.and_then(|state| <&mut State>::try_from(state).ok());
    let (Some(buffer), Some(state), Some(table)) = (buffer, state, table) else {
        return -libc::EFAULT;
    };
    answer_count(Ok(frames::parse(buffer, offset as usize, state, table)))
}

/// Replaces the characters of a `Sec-WebSocket-Key`, 24 from the start of `text` on, by the
/// 28 of its `Sec-WebSocket-Accept`. Returns zero, or `-errno`. Any bytes are a key.
///
/// # Safety
///
/// `text` is null or writable for [`ACCEPT_LENGTH`] bytes until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_websocket_accept(text: *mut u8) -> i32 {
    // SAFETY: the caller's promise.
    let text = unsafe { bytes_mut(text, 0, ACCEPT_LENGTH as u32) };
    let Some(text) = text.and_then(|text| <&mut [u8; ACCEPT_LENGTH]>::try_from(text).ok()) else {
        return -libc::EFAULT;
    };
    let Some(key) = text.first_chunk::<KEY_LENGTH>() else { return -libc::EINVAL };
    *text = accept::accept(key);
    0
}
