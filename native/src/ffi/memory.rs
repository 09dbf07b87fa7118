//! Buffers that the caller lends for one call.

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
/// `pointer` is null or writable for `count` words during `'a`.
pub(super) unsafe fn words_mut<'a>(pointer: *mut u32, count: usize) -> Option<&'a mut [u32]> {
    if pointer.is_null() || !pointer.is_aligned() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts_mut(pointer, count) })
}

/// Whether any two of several buffers, each a start and a length, have a byte
/// in common.
pub(super) fn overlap(parts: &[(*mut u8, u32)]) -> bool {
    let range = |(start, length): &(*mut u8, u32)| {
        let start = start.addr();
        start..start.saturating_add(*length as usize)
    };
    parts.iter().enumerate().any(|(index, part)| {
        let part = range(part);
        let others = parts.iter().take(index).map(range);
        others.into_iter().any(|other| part.start.max(other.start) < part.end.min(other.end))
    })
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn buffers_overlap_when_they_share_a_byte() {
        let part = |start: usize, length| (std::ptr::without_provenance_mut(start), length);
        assert!(!overlap(&[part(0, 0), part(0, 0), part(8, 4), part(12, 4), part(4, 4)]));
        assert!(!overlap(&[part(8, 4), part(10, 0)]));
        assert!(overlap(&[part(8, 4), part(0, 0), part(11, 1)]));
        assert!(overlap(&[part(8, 4), part(8, 4)]));
        assert!(overlap(&[part(usize::MAX - 4, u32::MAX), part(usize::MAX - 2, 1)]));
    }
}
