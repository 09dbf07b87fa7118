//! Addresses as they cross the ABI.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::BorrowedFd;

use super::answer::answer_unit;
use super::memory::{bytes, bytes_mut};
use denio_poll::{SourceKind, UnixAddress};
use denio_poll::{local_inet, local_unix};

/// Bytes of an address.
///
/// IP: family (4 or 6), a zero, port and scope in network order, then the 4 or 16 bytes of
/// the IP address. Unix: family (1), the length of the name, six zeroes, then the name: a
/// path, or an abstract name, which begins with a NUL byte; length 0 without a name. All
/// zeroes: no address.
pub const ADDRESS_BYTES: usize = 116;

const HEAD_BYTES: usize = 8;
const _: () = assert!(ADDRESS_BYTES == HEAD_BYTES + UnixAddress::BYTES_MAX);
const FAMILY_UNIX: u8 = 1;
const FAMILY_V4: u8 = 4;
const FAMILY_V6: u8 = 6;

/// An address of any family.
pub(super) enum Address {
    /// A pipe has none.
    None,
    Inet(SocketAddr),
    Unix(UnixAddress),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl From<UnixAddress> for Address {
    fn from(address: UnixAddress) -> Self {
        Self::Unix(address)
    }
}

impl Address {
    /// The own address of a source of that kind.
    pub(super) fn of(fd: BorrowedFd<'_>, kind: SourceKind) -> io::Result<Self> {
        if kind.is_ip() {
            local_inet(fd).map(Self::Inet)
        } else if kind.is_socket() {
            local_unix(fd).map(Self::Unix)
        } else {
            Ok(Self::None)
        }
    }
}

/// # Safety
///
/// `address` is null or readable for [`ADDRESS_BYTES`].
pub(super) unsafe fn read_address(address: *const u8) -> io::Result<SocketAddr> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(address, 0, ADDRESS_BYTES as u32) };
    let bytes = bytes.ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?;
    decode_address(bytes).ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
}

/// # Safety
///
/// `path` is null or readable for `length` bytes.
pub(super) unsafe fn read_path(path: *const u8, length: u32) -> io::Result<UnixAddress> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(path, 0, length) };
    UnixAddress::new(bytes.ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?)
}

/// # Safety
///
/// `address` is null or writable for [`ADDRESS_BYTES`].
pub(super) unsafe fn write_address(found: io::Result<impl Into<Address>>, address: *mut u8) -> i32 {
    // SAFETY: the caller's promise.
    let Some(place) = (unsafe { address_mut(address) }) else { return -libc::EFAULT };
    answer_unit(found.map(|found| place.copy_from_slice(&encode_address(found))))
}

/// # Safety
///
/// `address` is null or writable for [`ADDRESS_BYTES`].
pub(super) unsafe fn address_mut<'a>(address: *mut u8) -> Option<&'a mut [u8]> {
    // SAFETY: the caller's promise.
    unsafe { bytes_mut(address, 0, ADDRESS_BYTES as u32) }
}

pub(super) fn decode_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = bytes.split_first()?;
    let port = u16::from_be_bytes(*rest.get(1..)?.first_chunk()?);
    let scope = u32::from_be_bytes(*rest.get(3..)?.first_chunk()?);
    let ip = rest.get(HEAD_BYTES - 1..)?;
    match *family {
        FAMILY_V4 => Some((IpAddr::from(Ipv4Addr::from(*ip.first_chunk::<4>()?)), port).into()),
        FAMILY_V6 => {
            let ip = Ipv6Addr::from(*ip.first_chunk::<16>()?);
            Some(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => None,
    }
}

pub(super) fn encode_address(address: impl Into<Address>) -> [u8; ADDRESS_BYTES] {
    match address.into() {
        Address::None => [0; ADDRESS_BYTES],
        Address::Inet(address) => encode_inet(address),
        Address::Unix(address) => {
            let name = address.as_bytes();
            laid_out([FAMILY_UNIX, name.len() as u8, 0, 0, 0, 0, 0, 0], name)
        }
    }
}

fn encode_inet(address: SocketAddr) -> [u8; ADDRESS_BYTES] {
    let (family, scope) = match address {
        SocketAddr::V4(_) => (FAMILY_V4, 0),
        SocketAddr::V6(address) => (FAMILY_V6, address.scope_id()),
    };
    let [high, low] = address.port().to_be_bytes();
    let [a, b, c, d] = u32::to_be_bytes(scope);
    let head = [family, 0, high, low, a, b, c, d];
    match address.ip() {
        IpAddr::V4(v4) => laid_out(head, &v4.octets()),
        IpAddr::V6(v6) => laid_out(head, &v6.octets()),
    }
}

fn laid_out(head: [u8; HEAD_BYTES], body: &[u8]) -> [u8; ADDRESS_BYTES] {
    let mut bytes = [0; ADDRESS_BYTES];
    bytes.iter_mut().zip(head.iter().chain(body)).for_each(|(place, part)| *place = *part);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in ["127.0.0.1:80", "0.0.0.0:65535", "[::1]:8000", "[fe80::1%3]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(decode_address(&encode_address(address)), Some(address), "{text}");
        }
        assert_eq!(decode_address(&[9; ADDRESS_BYTES]), None);
        assert_eq!(decode_address(&[4, 0, 1]), None);
    }
    #[test]
    fn unix_addresses_say_how_long_they_are() {
        let bytes = encode_address(UnixAddress::new(b"/tmp/a").unwrap());
        assert_eq!(bytes[..2], [1, 6]);
        assert_eq!(bytes[8..15], *b"/tmp/a\0");
        assert_eq!(encode_address(UnixAddress::UNNAMED)[..9], [1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(decode_address(&bytes), None, "no address of the internet");
    }
}
