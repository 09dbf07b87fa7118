//! Paths of files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::answer::answer_count;
use super::memory::{bytes, bytes_mut, overlap, range_of};

/// Writes the place where a path leads, and returns its length: see [`crate::path::resolve`].
/// `ENAMETOOLONG` when it is longer than `capacity`.
///
/// # Safety
///
/// `path` is null or readable for `length` bytes, `place` null or writable for `capacity`
/// bytes, until this returns. If they overlap, the answer is `EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_path_resolve(
    path: *const u8,
    length: u32,
    place: *mut u8,
    capacity: u32,
) -> i32 {
    if overlap(&[range_of(path, length.into()), range_of(place, capacity.into())]) {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise, and the two do not overlap.
    let path = unsafe { bytes(path, 0, length) };
    // SAFETY: the caller's promise, and the two do not overlap.
    let place = unsafe { bytes_mut(place, 0, capacity) };
    let (Some(path), Some(place)) = (path, place) else { return -libc::EFAULT };
    answer_count(crate::path::resolve(Path::new(OsStr::from_bytes(path))).and_then(|found| {
        let found = found.as_os_str().as_bytes();
        let room = place.get_mut(..found.len());
        let room = room.ok_or_else(|| std::io::Error::from_raw_os_error(libc::ENAMETOOLONG))?;
        room.copy_from_slice(found);
        Ok(found.len())
    }))
}
