//! Descriptors that this crate did not open: inherited ones, and those of
//! socket activation.
//!
//! A descriptor is checked before it becomes a source of a kind: a stream that
//! the program reads as a listener would fail far from here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, OFlags};
use rustix::io::{Errno, FdFlags};
use socket2::{Domain, Protocol, SockRef, Type};

use crate::{
    PipeReader, PipeWriter, Registration, TcpListener, TcpStream, UdpSocket, UnixListener,
    UnixStream,
};

/// The kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SourceKind {
    /// [`TcpListener`]
    TcpListener = 1,
    /// [`TcpStream`]
    TcpStream = 2,
    /// [`UnixListener`]
    UnixListener = 3,
    /// [`UnixStream`]
    UnixStream = 4,
    /// [`UdpSocket`]
    UdpSocket = 5,
    /// [`PipeReader`]
    PipeReader = 6,
    /// [`PipeWriter`]
    PipeWriter = 7,
}

impl SourceKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::TcpListener,
        Self::TcpStream,
        Self::UnixListener,
        Self::UnixStream,
        Self::UdpSocket,
        Self::PipeReader,
        Self::PipeWriter,
    ];

    /// Returns the kind of an open descriptor.
    ///
    /// # Errors
    ///
    /// `ENOTSOCK` when it is neither a socket nor a pipe; `EPROTOTYPE` when it
    /// is a socket of another sort, a stream socket that neither listens nor is
    /// connected, or a pipe that is open both ways.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let mode = rustix::fs::fstat(fd)?.st_mode;
        match FileType::from_raw_mode(mode) {
            FileType::Socket => of_socket(fd),
            FileType::Fifo => of_pipe(fd),
            _ => Err(Errno::NOTSOCK.into()),
        }
    }

    /// Whether it is a socket, which a pipe is not.
    pub const fn is_socket(self) -> bool {
        !matches!(self, Self::PipeReader | Self::PipeWriter)
    }

    pub(super) const fn is_tcp(self) -> bool {
        matches!(self, Self::TcpListener | Self::TcpStream)
    }

    /// Whether it has an IP address.
    pub const fn is_ip(self) -> bool {
        self.is_tcp() || matches!(self, Self::UdpSocket)
    }
}

fn of_socket(fd: BorrowedFd<'_>) -> io::Result<SourceKind> {
    let socket = SockRef::from(&fd);
    let domain = socket.local_addr()?.domain();
    let is_ip = domain == Domain::IPV4 || domain == Domain::IPV6;
    match socket.r#type()? {
        Type::STREAM if is_ip && speaks(&socket, Protocol::TCP) => {
            of_stream(&socket, SourceKind::TcpListener, SourceKind::TcpStream)
        }
        Type::STREAM if domain == Domain::UNIX => {
            of_stream(&socket, SourceKind::UnixListener, SourceKind::UnixStream)
        }
        Type::DGRAM if is_ip && speaks(&socket, Protocol::UDP) => Ok(SourceKind::UdpSocket),
        _ => Err(Errno::PROTOTYPE.into()),
    }
}

fn of_stream(
    socket: &SockRef<'_>,
    listener: SourceKind,
    connected: SourceKind,
) -> io::Result<SourceKind> {
    if listens(socket) {
        return Ok(listener);
    }
    socket.peer_addr().map(|_| connected).map_err(|_| Errno::PROTOTYPE.into())
}

/// Whether a socket listens.
#[cfg(not(apple))]
fn listens(socket: &SockRef<'_>) -> bool {
    rustix::net::sockopt::socket_acceptconn(socket.as_fd()).unwrap_or_default()
}

/// Apple does not say: a socket that is bound and has no peer counts as a listener.
#[cfg(apple)]
fn listens(socket: &SockRef<'_>) -> bool {
    let is_bound = socket.local_addr().is_ok_and(|address| match address.as_socket() {
        Some(address) => address.port() != 0,
        None => !address.is_unnamed(),
    });
    is_bound && socket.peer_addr().is_err()
}

/// Whether the socket has that protocol: other protocols share its type.
#[cfg(any(linux, target_os = "freebsd"))]
fn speaks(socket: &SockRef<'_>, protocol: Protocol) -> bool {
    socket.protocol().is_ok_and(|known| known == Some(protocol))
}

/// Other systems do not say.
#[cfg(not(any(linux, target_os = "freebsd")))]
fn speaks(_socket: &SockRef<'_>, _protocol: Protocol) -> bool {
    true
}

fn of_pipe(fd: BorrowedFd<'_>) -> io::Result<SourceKind> {
    match rustix::fs::fcntl_getfl(fd)? & OFlags::RWMODE {
        OFlags::RDONLY => Ok(SourceKind::PipeReader),
        OFlags::WRONLY => Ok(SourceKind::PipeWriter),
        // FreeBSD's pipes, too: both ends look the same.
        _ => Err(Errno::PROTOTYPE.into()),
    }
}

/// Makes a descriptor of `kind` non-blocking and close-on-exec, as this crate opens
/// its own. `EPROTOTYPE` when it is of another kind.
pub fn prepare(fd: BorrowedFd<'_>, kind: SourceKind) -> io::Result<()> {
    if SourceKind::of(fd)? != kind {
        return Err(Errno::PROTOTYPE.into());
    }
    rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(fd, true)?;
    #[cfg(apple)]
    if kind.is_socket() {
        SockRef::from(&fd).set_nosigpipe(true)?;
    }
    Ok(())
}

/// Adopts an open descriptor: it becomes close-on-exec, and non-blocking for all
/// processes that share it. A descriptor of another kind is closed: `EPROTOTYPE`.
macro_rules! adopts {
    ($($source:ident),*) => {
        $(impl TryFrom<OwnedFd> for $source {
            type Error = io::Error;

            fn try_from(fd: OwnedFd) -> io::Result<Self> {
                prepare(fd.as_fd(), SourceKind::$source)?;
                Ok(Self::of(Registration::shared(fd)))
            }
        })*
    };
}

adopts!(TcpListener, TcpStream, UnixListener, UnixStream, UdpSocket, PipeReader, PipeWriter);
