//! Parsing heads.

use super::answer::answer_count;
use super::memory::{bytes, items_mut, overlap, range_of};
use denio_http1 as http1;

/// Parses the HTTP/1 head that starts at `offset`. `scanned` bytes of it were partial
/// before. Unless `lenient` is 0, it accepts heads that `Deno.serve` accepts against the
/// RFC: see [`http1::parse`]. Returns the head's length, 0 while it is partial, or the
/// negative status that refuses it: statuses begin at 400, errnos end below.
///
/// # Safety
///
/// `buffer` is null or readable for `offset + length` bytes, `table` null, or
/// four-byte aligned and writable for [`http1::TABLE_WORDS`], until this returns.
/// If they overlap, nothing is parsed: `EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_http1_parse(
    buffer: *const u8,
    offset: u32,
    length: u32,
    scanned: u32,
    lenient: u32,
    table: *mut u32,
) -> i32 {
    let end = offset.saturating_add(length);
    if overlap(&[range_of(buffer, end.into()), range_of(table, http1::TABLE_WORDS as u64)]) {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise, and the two do not overlap.
    let buffer = unsafe { bytes(buffer, 0, end) };
    // SAFETY: the caller's promise, and the two do not overlap.
    let table = unsafe { items_mut(table, http1::TABLE_WORDS) };
    let table = table.and_then(|table| <&mut [u32; http1::TABLE_WORDS]>::try_from(table).ok());
    let (Some(buffer), Some(table)) = (buffer, table) else { return -libc::EFAULT };
    match http1::parse(buffer, offset as usize, scanned as usize, lenient != 0, table) {
        Ok(head) => answer_count(Ok(head.unwrap_or_default())),
        Err(http1::Refused(status)) => -i32::from(status),
    }
}
