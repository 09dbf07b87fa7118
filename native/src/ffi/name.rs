//! Host names.

use std::io;

use super::address::{ADDRESS_BYTES, encode_address};
use super::answer::{answer_count, invalid};
use super::memory::{bytes, bytes_mut, overlap, range_of};

/// Writes up to `capacity` addresses that the system's resolver knows for a name, and
/// returns how many. `ENOENT` when the name is unknown, and two numbers above those of the
/// system when no server has answered. Blocks while the resolver works. Unless `is_address`
/// is 0, the name must be an IP address itself, and no resolver is asked.
///
/// # Safety
///
/// `name` is null or readable for `length` bytes, `addresses` null or writable
/// for `capacity` times [`ADDRESS_BYTES`], until this returns. If they overlap, nothing is
/// asked: `EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_name_resolve(
    name: *const u8,
    length: u32,
    addresses: *mut u8,
    capacity: u32,
    is_address: u32,
) -> i32 {
    let room = u64::from(capacity) * ADDRESS_BYTES as u64;
    if overlap(&[range_of(name, length.into()), range_of(addresses, room)]) {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise, and the two do not overlap.
    let name = unsafe { bytes(name, 0, length) };
    // SAFETY: the caller's promise, and the two do not overlap.
    let room = unsafe { bytes_mut(addresses, 0, u32::try_from(room).unwrap_or(u32::MAX)) };
    let (Some(name), Some(room)) = (name, room) else { return -libc::EFAULT };
    answer_count(resolve(name, room, is_address != 0))
}

fn resolve(name: &[u8], room: &mut [u8], is_address: bool) -> io::Result<usize> {
    let name = std::str::from_utf8(name).map_err(|_| invalid())?;
    let found = denio_poll::resolve(name, is_address)?;
    let mut count = 0;
    for (address, place) in found.into_iter().zip(room.chunks_exact_mut(ADDRESS_BYTES)) {
        place.copy_from_slice(&encode_address(address));
        count += 1;
    }
    Ok(count)
}
