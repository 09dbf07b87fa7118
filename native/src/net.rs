//! TCP sources: what can be registered, accepted, read and written.

use std::io;
use std::net::{Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::sys;
use crate::{Registration, Source};

/// How a listener is opened.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Connections that may wait to be accepted; the system clamps it
    /// (`net.core.somaxconn`).
    pub backlog: i32,
    /// Several listeners on one address, between which the system spreads
    /// connections (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// No IPv4 through an IPv6 address (`IPV6_V6ONLY`).
    pub only_v6: bool,
    /// `TCP_NODELAY` on what is accepted. Set once on the listener, which
    /// hands it down, and not once a connection.
    pub nodelay: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        // 511 is nginx's backlog, and what Deno and Node ask for.
        Self { backlog: 511, reuse_port: false, only_v6: false, nodelay: true }
    }
}

/// A listening TCP socket.
#[derive(Debug)]
pub struct TcpListener {
    registration: Registration,
}

impl TcpListener {
    /// Binds with `SO_REUSEADDR` and listens.
    ///
    /// # Errors
    ///
    /// What the system says: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, …
    pub fn bind(address: SocketAddr, options: &ListenOptions) -> io::Result<Self> {
        let socket = open_tcp(address)?;
        socket.set_reuse_address(true)?;
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if options.only_v6 && address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_tcp_nodelay(options.nodelay)?;
        socket.bind(&address.into())?;
        socket.listen(options.backlog)?;
        Ok(Self { registration: Registration::new(socket.into()) })
    }

    /// Takes one waiting connection, non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when none waits; `EMFILE` or `ENFILE` when out of descriptors;
    /// `ECONNABORTED` when the one that waited has gone.
    pub fn accept(&self) -> io::Result<TcpStream> {
        let (fd, address) = sys::accept(self.registration.as_fd().as_raw_fd())?;
        let peer = address.as_socket().map(Peer::from);
        Ok(TcpStream { registration: Registration::new(fd), peer })
    }

    /// The bound address, with the port that the system chose for port 0.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        local_address(self.registration.as_fd())
    }

    /// Returns and clears the socket's error.
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(&self.registration).take_error()
    }
}

impl Source for TcpListener {
    fn registration(&self) -> &Registration {
        &self.registration
    }
}

/// A connected, or connecting, TCP socket.
#[derive(Debug)]
pub struct TcpStream {
    registration: Registration,
    peer: Option<Peer>,
}

/// The peer that `accept` named. Kept because `getpeername(2)` knows nothing
/// of it after a reset; boxed for IPv6 so that an idle IPv4 connection is small.
#[derive(Debug)]
enum Peer {
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(address),
            SocketAddr::V6(address) => Self::V6(Box::new(address)),
        }
    }
}

impl TcpStream {
    /// Begins to connect. A writable event tells that it is done, and
    /// [`TcpStream::take_error`] whether it worked.
    ///
    /// # Errors
    ///
    /// What the system says at once, as `ENETUNREACH`.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = open_tcp(address)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(Self { registration: Registration::new(socket.into()), peer: None }),
        }
    }

    /// Reads what has come; 0 is the end of the stream, or an empty buffer.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when nothing has come; `ECONNRESET` and others of `recv(2)`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            // With nothing to read, Linux says `EAGAIN` to this and FreeBSD 0.
            return Ok(0);
        }
        sys::recv(self.registration.as_fd(), buffer)
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when there is no room; `EPIPE`, without a signal, when the
    /// peer is gone; others of `send(2)`.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        sys::send(self.registration.as_fd(), bytes)
    }

    /// Shuts down the reading half, the writing half, or both.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` when there is no connection any more.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        SockRef::from(&self.registration).shutdown(how)
    }

    /// Sends small writes at once (true), or waits for more of them.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        SockRef::from(&self.registration).set_tcp_nodelay(nodelay)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn nodelay(&self) -> io::Result<bool> {
        SockRef::from(&self.registration).tcp_nodelay()
    }

    /// Makes closing answer with a reset (`SO_LINGER` of 0) instead of a FIN.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_reset_on_close(&self, reset: bool) -> io::Result<()> {
        let linger = reset.then_some(std::time::Duration::ZERO);
        SockRef::from(&self.registration).set_linger(linger)
    }

    /// Our end's address.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        local_address(self.registration.as_fd())
    }

    /// The other end's address; for an accepted stream also after a reset.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` before a connect is done.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        match &self.peer {
            Some(Peer::V4(address)) => Ok((*address).into()),
            Some(Peer::V6(address)) => Ok((**address).into()),
            None => inet(SockRef::from(&self.registration).peer_addr()?),
        }
    }

    /// Returns and clears the socket's error.
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(&self.registration).take_error()
    }
}

impl Source for TcpStream {
    fn registration(&self) -> &Registration {
        &self.registration
    }
}

/// A TCP socket for the family of `address`: non-blocking, close-on-exec.
fn open_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn local_address(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    inet(SockRef::from(&fd).local_addr()?)
}

fn inet(address: socket2::SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
}

impl From<TcpStream> for OwnedFd {
    fn from(stream: TcpStream) -> Self {
        stream.registration.into()
    }
}
