//! Unix sockets: listeners and streams by path, by abstract name, or as a pair.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use socket2::{Domain, SockAddr, SockRef, Socket as RawSocket, Type};

use super::socket::has_begun;
use super::stream::stream_methods;
use crate::sys;
use crate::{Registration, Socket, Source, SourceKind};

/// Bytes of the longest address: Linux's `sun_path`. Others have 104.
const ADDRESS_MAX: usize = 108;

/// The address of a Unix socket: a path, on Linux also an abstract name (which
/// begins with a NUL byte and is in no file system), or none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnixAddress {
    length: u8,
    bytes: [u8; ADDRESS_MAX],
}

impl UnixAddress {
    /// Bytes of the longest address.
    pub const BYTES_MAX: usize = ADDRESS_MAX;

    /// The address of a socket that was not bound.
    pub const UNNAMED: Self = Self { length: 0, bytes: [0; ADDRESS_MAX] };

    /// A path, or an abstract name with the NUL byte before it.
    ///
    /// # Errors
    ///
    /// `EINVAL` for none, and for a path with a NUL byte in it; `ENAMETOOLONG`
    /// beyond [`Self::BYTES_MAX`]; `ENOTSUP` for an abstract name elsewhere
    /// than on Linux.
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        let address = Self::from_bytes(bytes).ok_or(Errno::NAMETOOLONG)?;
        address.to_system()?;
        Ok(address)
    }

    /// The path of a socket's file.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn from_path(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(path.as_ref().as_os_str().as_bytes())
    }

    /// The path or the abstract name as [`Self::new`] takes it; `None` for an unnamed
    /// address.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Whether it is the address of a socket that was not bound.
    #[must_use]
    pub const fn is_unnamed(&self) -> bool {
        self.length == 0
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut address = Self::UNNAMED;
        address.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        address.length = bytes.len() as u8;
        Some(address)
    }

    /// Converts the system's address. An address without a name has no bytes at all,
    /// or on some systems zeroes.
    fn from_system(address: &SockAddr) -> io::Result<Self> {
        if !address.is_unix() {
            return Err(Errno::AFNOSUPPORT.into());
        }
        if address.is_unnamed() {
            return Ok(Self::UNNAMED);
        }
        let found = match (address.as_pathname(), address.as_abstract_namespace()) {
            (Some(path), _) => {
                let path = path.as_os_str().as_bytes().split(|byte| *byte == 0).next();
                Self::from_bytes(path.unwrap_or_default())
            }
            (_, Some(name)) => Self::from_bytes(&[&[0], name].concat()),
            _ => None,
        };
        found.ok_or_else(|| Errno::NAMETOOLONG.into())
    }

    fn to_system(self) -> io::Result<SocketAddrUnix> {
        match self.as_bytes() {
            [] => Err(Errno::INVAL.into()),
            #[cfg(linux)]
            [0, name @ ..] => Ok(SocketAddrUnix::new_abstract_name(name)?),
            #[cfg(not(linux))]
            [0, ..] => Err(Errno::NOTSUP.into()),
            path => Ok(SocketAddrUnix::new(path)?),
        }
    }
}

impl fmt::Debug for UnixAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UnixAddress(\"{}\")", self.as_bytes().escape_ascii())
    }
}

/// A listening Unix socket.
#[derive(Debug)]
pub struct UnixListener {
    registration: Registration,
}

impl UnixListener {
    /// Binds and listens. A path must not exist yet. Its file stays when the listener
    /// is gone: the caller removes it.
    ///
    /// # Errors
    ///
    /// The error of the system: `EADDRINUSE`, `ENOENT`, `EACCES`, …
    pub fn bind(address: &UnixAddress, backlog: i32) -> io::Result<Self> {
        let socket = open()?;
        rustix::net::bind(&socket, &address.to_system()?)?;
        socket.listen(backlog)?;
        Ok(Self::of(Registration::new(socket.into())))
    }

    /// Accepts one waiting connection, non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when none waits; `EMFILE` or `ENFILE` when out of descriptors.
    #[inline]
    pub fn accept(&self) -> io::Result<UnixStream> {
        let (fd, _) = self.registration.take(sys::accept)?;
        Ok(UnixStream::of(Registration::new(fd)))
    }

    /// The bound address.
    ///
    /// # Errors
    ///
    /// The error of `getsockname(2)`.
    pub fn local_address(&self) -> io::Result<UnixAddress> {
        local_unix(self.registration.as_fd())
    }

    pub(crate) const fn of(registration: Registration) -> Self {
        Self { registration }
    }
}

impl Source for UnixListener {
    fn registration(&self) -> &Registration {
        &self.registration
    }
}

impl Socket for UnixListener {
    fn kind(&self) -> SourceKind {
        SourceKind::UnixListener
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::of(self.registration.try_clone()?))
    }
}

/// A connected Unix socket.
#[derive(Debug)]
pub struct UnixStream {
    registration: Registration,
}

stream_methods!(UnixStream, recv_unix);

impl UnixStream {
    /// Owns a socket that the kernel has opened as one of these, non-blocking and
    /// close-on-exec: by an accept or a connect that this crate did not make.
    #[must_use]
    pub const fn opened(fd: OwnedFd) -> Self {
        Self::of(Registration::new(fd))
    }

    /// Connects. Unlike TCP this is done at once, or fails.
    ///
    /// # Errors
    ///
    /// `ENOENT` and `ECONNREFUSED` when no program listens; `EAGAIN` on Linux when the
    /// listener's backlog is full. No event reports that there is room again.
    pub fn connect(address: &UnixAddress) -> io::Result<Self> {
        let socket = open()?;
        let address = address.to_system()?;
        has_begun(rustix::net::connect(&socket, &address).map_err(io::Error::from))?;
        Ok(Self::of(Registration::new(socket.into())))
    }

    /// Two streams without names, connected to each other.
    ///
    /// # Errors
    ///
    /// `EMFILE` when out of descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = RawSocket::pair(Domain::UNIX, Type::STREAM, None)?;
        one.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        let [one, other] = [one, other].map(|end| Self::of(Registration::new(end.into())));
        Ok((one, other))
    }

    /// The address of our end: unnamed, unless a listener accepted the stream.
    ///
    /// # Errors
    ///
    /// The error of `getsockname(2)`.
    pub fn local_address(&self) -> io::Result<UnixAddress> {
        local_unix(self.registration.as_fd())
    }

    /// The address of the peer's end: the listener's; most often none.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` when there is no connection any more.
    pub fn peer_address(&self) -> io::Result<UnixAddress> {
        UnixAddress::from_system(&SockRef::from(&self.registration).peer_addr()?)
    }

    pub(crate) const fn of(registration: Registration) -> Self {
        Self { registration }
    }
}

impl Source for UnixStream {
    fn registration(&self) -> &Registration {
        &self.registration
    }
}

impl Socket for UnixStream {
    fn kind(&self) -> SourceKind {
        SourceKind::UnixStream
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::of(self.registration.try_clone()?))
    }
}

/// A Unix socket's own address.
pub fn local_unix(fd: BorrowedFd<'_>) -> io::Result<UnixAddress> {
    UnixAddress::from_system(&SockRef::from(&fd).local_addr()?)
}

/// A Unix stream socket: non-blocking, close-on-exec.
fn open() -> io::Result<RawSocket> {
    let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
