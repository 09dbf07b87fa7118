//! The methods of every socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use socket2::SockRef;

use super::option;
use crate::{SocketOption, Source, SourceKind};

/// A listener, a stream or a datagram socket, of any family.
pub trait Socket: Source {
    /// The kind of the socket.
    fn kind(&self) -> SourceKind;

    /// Returns another descriptor of the same open socket (`dup(2)`), registered
    /// nowhere: it can be registered beside this one, and outlives it.
    ///
    /// # Errors
    ///
    /// `EMFILE` when out of descriptors.
    fn try_clone(&self) -> io::Result<Self>
    where
        Self: Sized;

    /// Returns and clears the socket's error.
    ///
    /// # Errors
    ///
    /// The error of `getsockopt(2)`.
    fn take_error(&self) -> io::Result<Option<io::Error>> {
        #[cfg(target_os = "linux")]
        if let Some(error) = self.registration().take_error_ahead() {
            return Ok(Some(error));
        }
        let error = SockRef::from(self.registration()).take_error();
        self.registration().taken();
        error
    }

    /// Returns the value of an option, in its own unit.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` when sockets of this kind have not got it; `ENOTSUP`
    /// when this system has not.
    fn option(&self, option: SocketOption) -> io::Result<u32> {
        option::get(self.registration(), self.kind(), option)
    }

    /// Sets an option.
    ///
    /// # Errors
    ///
    /// As [`Socket::option`]; `EINVAL` when the value is out of range, or the
    /// option can only be read.
    fn set_option(&self, option: SocketOption, value: u32) -> io::Result<()> {
        option::set(self.registration(), self.kind(), option, value)
    }
}

/// An IP socket's own address.
pub fn local_inet(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    inet(&SockRef::from(&fd).local_addr()?)
}

/// The address that an IP socket is connected to.
pub(super) fn peer_inet(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    inet(&SockRef::from(&fd).peer_addr()?)
}

fn inet(address: &socket2::SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
}

/// Takes the errors for success by which a non-blocking socket says that it connects.
pub(super) fn has_begun(connected: io::Result<()>) -> io::Result<()> {
    match connected {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        done => done,
    }
}
