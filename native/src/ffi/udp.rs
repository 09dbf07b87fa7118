//! UDP sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use super::address::{ADDRESS_BYTES, address_mut, encode_address, read_address, write_address};
use super::answer::{answer_count, answer_handle, answer_unit, invalid};
use super::handle::with;
use super::memory::{bytes, bytes_mut, overlap, range_of};
use crate::source_table::Object;
use denio_poll::{BindOptions, Datagram, Membership, UdpSocket};

const BIND_REUSE_PORT: u32 = 1;
const BIND_ONLY_V6: u32 = 1 << 1;
const BIND_REUSE_ADDRESS: u32 = 1 << 3;

/// Set in the count of a datagram that was cut off. No datagram is so long: RFC 768 gives
/// its length 16 bits.
pub const DATAGRAM_CUT: i32 = 1_073_741_824;

/// Opens a UDP socket, binds it and returns its handle. `flags`: 1 reuse port,
/// 2 IPv6 only, 8 reuse address.
///
/// # Safety
///
/// `address` is null or readable for [`super::ADDRESS_BYTES`] until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_udp_bind(address: *const u8, flags: u32) -> f64 {
    // SAFETY: the caller's promise.
    let address = unsafe { read_address(address) };
    let options = BindOptions {
        reuse_port: flags & BIND_REUSE_PORT != 0,
        only_v6: flags & BIND_ONLY_V6 != 0,
        reuse_address: flags & BIND_REUSE_ADDRESS != 0,
    };
    answer_handle(|| Ok(Object::UdpSocket(UdpSocket::bind(address?, &options)?)))
}

/// Sets the peer of sends without an address; only its datagrams are received.
///
/// # Safety
///
/// As [`denio_udp_bind`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_udp_connect(udp: f64, address: *const u8) -> i32 {
    // SAFETY: the caller's promise.
    let address = unsafe { read_address(address) };
    answer_unit(with_udp(udp, |udp| udp.connect(address?)))
}

/// Writes the address of a UDP socket's peer, [`super::ADDRESS_BYTES`] long.
///
/// # Safety
///
/// As [`super::denio_source_local_address`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_udp_peer_address(udp: f64, address: *mut u8) -> i32 {
    let found = with_udp(udp, UdpSocket::peer_address);
    // SAFETY: the caller's promise.
    unsafe { write_address(found, address) }
}

/// Sends a datagram of `length` bytes, which may be 0, to the peer.
///
/// # Safety
///
/// `buffer` is null or readable for `offset + length` bytes until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_udp_send(
    udp: f64,
    buffer: *const u8,
    offset: u32,
    length: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    answer_count(with_udp(udp, |udp| udp.send(buffer)))
}

/// Receives one datagram and returns the number of bytes that fit, with [`DATAGRAM_CUT`]
/// set when there were more: the rest is lost.
///
/// # Safety
///
/// `buffer` is null or writable for `offset + length` bytes until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_udp_receive(
    udp: f64,
    buffer: *mut u8,
    offset: u32,
    length: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes_mut(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    answer_datagram(with_udp(udp, |udp| udp.receive(buffer)))
}

/// As [`denio_udp_receive`], but leaves the datagram.
///
/// # Safety
///
/// `buffer` is null or writable for `offset + length` bytes until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_udp_peek(
    udp: f64,
    buffer: *mut u8,
    offset: u32,
    length: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes_mut(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    answer_datagram(with_udp(udp, |udp| udp.peek(buffer)))
}

/// Sends a datagram of `length` bytes, which may be 0, to an address.
///
/// # Safety
///
/// `buffer` is null or readable for `offset + length` bytes, `address` null or
/// readable for [`super::ADDRESS_BYTES`], until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_udp_send_to(
    udp: f64,
    buffer: *const u8,
    offset: u32,
    length: u32,
    address: *const u8,
) -> i32 {
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    // SAFETY: the caller's promise.
    let address = unsafe { read_address(address) };
    answer_count(with_udp(udp, |udp| udp.send_to(buffer, address?)))
}

/// As [`denio_udp_receive`], and writes the sender's address.
///
/// # Safety
///
/// `buffer` is null or writable for `offset + length` bytes, `address` null or
/// writable for [`super::ADDRESS_BYTES`], until this returns. If they overlap, nothing is
/// received: `EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_udp_receive_from(
    udp: f64,
    buffer: *mut u8,
    offset: u32,
    length: u32,
    address: *mut u8,
) -> i32 {
    let range = range_of(buffer, u64::from(offset) + u64::from(length));
    if overlap(&[range, range_of(address, ADDRESS_BYTES as u64)]) {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes_mut(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    // SAFETY: the caller's promise.
    let Some(place) = (unsafe { address_mut(address) }) else { return -libc::EFAULT };
    answer_datagram(with_udp(udp, |udp| {
        let datagram = udp.receive(buffer)?;
        place.copy_from_slice(&encode_address(datagram.from));
        Ok(datagram)
    }))
}

/// As [`denio_udp_receive_from`], but leaves the datagram.
///
/// # Safety
///
/// `buffer` is null or writable for `offset + length` bytes, `address` null or
/// writable for [`super::ADDRESS_BYTES`], until this returns. If they overlap, nothing is
/// received: `EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_udp_peek_from(
    udp: f64,
    buffer: *mut u8,
    offset: u32,
    length: u32,
    address: *mut u8,
) -> i32 {
    let range = range_of(buffer, u64::from(offset) + u64::from(length));
    if overlap(&[range, range_of(address, ADDRESS_BYTES as u64)]) {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes_mut(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    // SAFETY: the caller's promise.
    let Some(place) = (unsafe { address_mut(address) }) else { return -libc::EFAULT };
    answer_datagram(with_udp(udp, |udp| {
        let datagram = udp.peek(buffer)?;
        place.copy_from_slice(&encode_address(datagram.from));
        Ok(datagram)
    }))
}

/// Joins a group, or leaves it when `join` is 0. Both buffers are addresses; their ports do
/// not count. The interface of an IPv4 group is the one with the address `interface`, that
/// of an IPv6 group the one with the index of the group's scope. With null, or 0, the
/// system chooses.
///
/// # Safety
///
/// Both are null or readable for [`super::ADDRESS_BYTES`] until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_udp_set_membership(
    udp: f64,
    group: *const u8,
    interface: *const u8,
    join: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let group = unsafe { read_address(group) };
    // SAFETY: the caller's promise.
    let interface = (!interface.is_null()).then(|| unsafe { read_address(interface) });
    answer_unit(with_udp(udp, |udp| {
        let membership = membership(group?, interface.transpose()?)?;
        if join == 0 { udp.leave(&membership) } else { udp.join(&membership) }
    }))
}

fn answer_datagram(received: io::Result<Datagram>) -> i32 {
    match received {
        Ok(Datagram { count, is_cut: true, .. }) => answer_count(Ok(count)) | DATAGRAM_CUT,
        received => answer_count(received.map(|datagram| datagram.count)),
    }
}

fn membership(group: SocketAddr, interface: Option<SocketAddr>) -> io::Result<Membership> {
    match (group, interface) {
        (SocketAddr::V4(group), None) => {
            Ok(Membership::V4 { group: *group.ip(), interface: Ipv4Addr::UNSPECIFIED })
        }
        (SocketAddr::V4(group), Some(SocketAddr::V4(interface))) => {
            Ok(Membership::V4 { group: *group.ip(), interface: *interface.ip() })
        }
        (SocketAddr::V6(group), None) => {
            Ok(Membership::V6 { group: *group.ip(), interface: group.scope_id() })
        }
        _ => Err(invalid()),
    }
}

fn with_udp<T>(handle: f64, call: impl FnOnce(&UdpSocket) -> io::Result<T>) -> io::Result<T> {
    with(handle, |object| match object {
        Object::UdpSocket(udp) => call(udp),
        _ => Err(invalid()),
    })
}
