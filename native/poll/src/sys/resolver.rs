//! The system's resolver: `getaddrinfo(3)`.
//!
//! The standard library asks it too, but drops the number of the error: an unknown
//! name and a server that does not answer would be the same.

use std::ffi::{CStr, CString};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

/// The error number of `EAI_AGAIN`: no server has answered. The system has no errno
/// for that, so the number is above those of the system.
pub const EAI_AGAIN: i32 = 1001;
/// The error number of `EAI_FAIL`: a server has answered that it cannot.
pub const EAI_FAIL: i32 = 1002;

/// Returns the addresses of a name, with port 0. Blocks while the resolver works;
/// with `is_address` the name must be an address itself, and nothing is asked.
pub fn resolve(name: &str, is_address: bool) -> io::Result<Vec<SocketAddr>> {
    let unknown = || io::Error::from_raw_os_error(libc::ENOENT);
    let name = CString::new(name).map_err(|_| unknown())?;
    let found = ask(&name, if is_address { libc::AI_NUMERICHOST } else { 0 })?;
    let mut addresses = Vec::new();
    let mut next = found.0;
    while !next.is_null() {
        // SAFETY: not null, and in the list until it is freed.
        let entry = unsafe { &*next };
        // SAFETY: the resolver made the entry, so its fields agree.
        addresses.extend(unsafe { address_of(entry) });
        next = entry.ai_next;
    }
    Ok(addresses)
}

/// The list that the resolver returned, freed when it is dropped.
struct Found(*mut libc::addrinfo);

impl Drop for Found {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the list is the resolver's, and no reference to it is left.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

fn ask(name: &CStr, flags: i32) -> io::Result<Found> {
    // One entry an address, not one for each type of socket.
    // SAFETY: the fields are integers and pointers, and zero is a value of each.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = flags;
    let mut found = Found(ptr::null_mut());
    // SAFETY: the name ends with a zero, and all outlives the call.
    let code =
        unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &mut found.0) };
    if code == 0 { Ok(found) } else { Err(error_of(code, io::Error::last_os_error())) }
}

/// # Safety
///
/// The entry's address has the length and the family that the entry names.
unsafe fn address_of(entry: &libc::addrinfo) -> Option<SocketAddr> {
    match entry.ai_family {
        libc::AF_INET => {
            // SAFETY: the family's struct; it need not be aligned.
            let found = unsafe { entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from_bits(u32::from_be(found.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, 0).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family's struct; it need not be aligned.
            let found = unsafe { entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(found.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, 0, 0, found.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// The error of a code of `getaddrinfo(3)`; with `EAI_SYSTEM` it is the system's.
fn error_of(code: i32, system: io::Error) -> io::Error {
    io::Error::from_raw_os_error(match code {
        libc::EAI_SYSTEM => return system,
        libc::EAI_AGAIN => EAI_AGAIN,
        libc::EAI_FAIL => EAI_FAIL,
        libc::EAI_MEMORY => libc::ENOMEM,
        // No such name, or one that has no address.
        _ => libc::ENOENT,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_own_name_with_its_scope() {
        for text in ["127.0.0.1", "::1", "fe80::1%1"] {
            let found = resolve(text, true).unwrap();
            let expected = text.replace("%1", "").parse::<std::net::IpAddr>().unwrap();
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].ip(), expected);
        }
        let SocketAddr::V6(scoped) = resolve("fe80::1%1", true).unwrap()[0] else { unreachable!() };
        assert_eq!(scoped.scope_id(), 1);
        for name in ["localhost", "999.1.1.1", "1.2.3.4.5", ""] {
            let error = resolve(name, true).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{name}");
        }
    }

    #[test]
    fn a_silent_server_is_another_error_than_an_unknown_name() {
        let errno = |code| {
            let system = io::Error::from_raw_os_error(libc::EMFILE);
            error_of(code, system).raw_os_error().unwrap()
        };
        assert_eq!(errno(libc::EAI_NONAME), libc::ENOENT);
        assert_eq!(errno(libc::EAI_AGAIN), EAI_AGAIN);
        assert_eq!(errno(libc::EAI_FAIL), EAI_FAIL);
        assert_eq!(errno(libc::EAI_MEMORY), libc::ENOMEM);
        assert_eq!(errno(libc::EAI_SYSTEM), libc::EMFILE);
        assert_eq!(resolve("a\0b", false).unwrap_err().raw_os_error(), Some(libc::ENOENT));
    }
}
