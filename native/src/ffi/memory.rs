//! Buffers that the caller lends for one call.

use std::ops::Range;

/// # Safety
///
/// `pointer` is null or readable for `offset + length` bytes during `'a`.
pub(super) unsafe fn bytes<'a>(pointer: *const u8, offset: u32, length: u32) -> Option<&'a [u8]> {
    if length == 0 {
        return Some(&[]);
    }
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise: still inside the buffer.
    let start = unsafe { pointer.add(offset as usize) };
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(start, length as usize) })
}

/// # Safety
///
/// `pointer` is null or writable for `offset + length` bytes during `'a`.
pub(super) unsafe fn bytes_mut<'a>(
    pointer: *mut u8,
    offset: u32,
    length: u32,
) -> Option<&'a mut [u8]> {
    if length == 0 {
        return Some(&mut []);
    }
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise: still inside the buffer.
    let start = unsafe { pointer.add(offset as usize) };
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts_mut(start, length as usize) })
}

/// # Safety
///
/// `pointer` is null, or readable for `count` items during `'a`, and any bits are an item.
pub(super) unsafe fn items<'a, T>(pointer: *const T, count: usize) -> Option<&'a [T]> {
    if pointer.is_null() || !pointer.is_aligned() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// # Safety
///
/// `pointer` is null, or writable for `count` items during `'a`, and any bits are an item.
pub(super) unsafe fn items_mut<'a, T>(pointer: *mut T, count: usize) -> Option<&'a mut [T]> {
    if pointer.is_null() || !pointer.is_aligned() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts_mut(pointer, count) })
}

/// The addresses of `count` items from `start` on; empty for a null pointer.
pub(super) fn range_of<T>(start: *const T, count: u64) -> Range<usize> {
    let count = if start.is_null() { 0 } else { usize::try_from(count).unwrap_or(usize::MAX) };
    start.addr()..start.addr().saturating_add(count.saturating_mul(size_of::<T>()))
}

/// Whether two of several buffers have a byte in common. Rust assumes that a slice which can
/// be written to shares no byte with another.
pub(super) fn overlap(ranges: &[Range<usize>]) -> bool {
    ranges.iter().enumerate().any(|(index, range)| {
        let mut before = ranges.iter().take(index);
        before.any(|other| range.start.max(other.start) < range.end.min(other.end))
    })
}

#[cfg(test)]
mod tests {
    use super::{overlap, range_of};

    #[test]
    fn buffers_overlap_when_they_share_a_byte() {
        let part =
            |start: usize, length: u64| range_of(std::ptr::without_provenance::<u8>(start), length);
        assert!(!overlap(&[part(0, 0), part(0, 9), part(8, 4), part(12, 4), part(4, 4)]));
        assert!(!overlap(&[part(8, 4), part(10, 0)]));
        assert!(overlap(&[part(8, 4), part(0, 0), part(11, 1)]));
        assert!(overlap(&[part(8, 4), part(8, 4)]));
        assert!(overlap(&[part(usize::MAX - 4, u64::MAX), part(usize::MAX - 2, 1)]));
        let words = range_of(std::ptr::without_provenance::<u32>(8), 2);
        assert!(overlap(&[words.clone(), part(15, 1)]) && !overlap(&[words, part(16, 1)]));
    }
}
