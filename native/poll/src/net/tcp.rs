//! TCP: listeners and streams.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::LazyLock;

use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use super::option::{self, SocketOption};
use super::socket::{has_begun, local_inet, peer_inet};
use super::stream::stream_methods;
use crate::sys;
use crate::{Registration, Socket, Source, SourceKind};

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
    /// How silent peers of accepted connections are probed; `None` does not probe.
    /// Handed down as `nodelay` is.
    pub keepalive: Option<Keepalive>,
    /// Milliseconds for which a peer of an accepted connection may leave bytes
    /// unacknowledged; 0 is the system's default. Handed down as `nodelay` is, and
    /// ignored where the system has not got it.
    pub user_timeout_ms: u32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            // nginx's backlog, which Deno and Node use as well.
            backlog: 511,
            reuse_port: false,
            only_v6: false,
            nodelay: true,
            keepalive: Some(Keepalive::default()),
            user_timeout_ms: 0,
        }
    }
}

/// When and how a silent peer is asked whether it is still there: `tcp(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Seconds of silence before the first probe.
    pub idle: u32,
    /// Seconds between probes.
    pub interval: u32,
    /// Lost probes after which the connection is lost.
    pub count: u32,
}

impl Default for Keepalive {
    fn default() -> Self {
        // Go's default: `net.KeepAliveConfig`.
        Self { idle: 15, interval: 15, count: 9 }
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
    /// The error of the system: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, …
    pub fn bind(address: SocketAddr, options: &ListenOptions) -> io::Result<Self> {
        let socket = open(address)?;
        socket.set_reuse_address(true)?;
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if options.only_v6 && address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_tcp_nodelay(options.nodelay)?;
        set_keepalive(&socket, options.keepalive)?;
        set_user_timeout(&socket, options.user_timeout_ms)?;
        socket.bind(&address.into())?;
        socket.listen(options.backlog)?;
        Ok(Self::of(Registration::new(socket.into())))
    }

    /// Accepts one waiting connection, non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when none waits; `EMFILE` or `ENFILE` when out of descriptors;
    /// `ECONNABORTED` when the connection ended while it waited.
    #[inline]
    pub fn accept(&self) -> io::Result<TcpStream> {
        let (fd, address) = self.registration.take(sys::accept)?;
        let peer = address.and_then(|address| SocketAddr::try_from(address).ok());
        Ok(TcpStream { registration: Registration::new(fd), peer })
    }

    /// The bound address, with the port that the system chose for port 0.
    ///
    /// # Errors
    ///
    /// The error of `getsockname(2)`.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        local_inet(self.registration.as_fd())
    }

    pub(crate) const fn of(registration: Registration) -> Self {
        Self { registration }
    }
}

impl Source for TcpListener {
    fn registration(&self) -> &Registration {
        &self.registration
    }
}

impl Socket for TcpListener {
    fn kind(&self) -> SourceKind {
        SourceKind::TcpListener
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::of(self.registration.try_clone()?))
    }
}

/// A connected, or connecting, TCP socket.
#[derive(Debug)]
pub struct TcpStream {
    registration: Registration,
    /// The peer that `accept` named, because `getpeername(2)` does not know it after
    /// a reset.
    peer: Option<SocketAddr>,
}

stream_methods!(TcpStream, recv);

impl TcpStream {
    /// Whether bytes of the stream may have been received before the program reads them, so
    /// that only [`TcpStream::read`] and its like return the next ones.
    #[must_use]
    #[inline]
    pub fn is_read_ahead(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.registration.is_ahead();
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// Reads as [`TcpStream::read`] a stream that is read ahead; `None` for others.
    #[inline]
    pub fn read_received(&self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        self.is_read_ahead().then(|| self.read(buffer))
    }

    /// Owns a socket that the kernel has opened as one of these, non-blocking and
    /// close-on-exec: by an accept or a connect that this crate did not make.
    #[must_use]
    pub const fn opened(fd: OwnedFd) -> Self {
        Self::of(Registration::new(fd))
    }

    /// Begins to connect. A writable event says that the connect is over, and
    /// [`Socket::take_error`] whether it failed.
    ///
    /// # Errors
    ///
    /// The error of the system at once, as `ENETUNREACH`.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = open(address)?;
        has_begun(socket.connect(&address.into()))?;
        Ok(Self::of(Registration::new(socket.into())))
    }

    /// Notes the result of a read into `length` bytes that was not made by [`Self::read`], but
    /// by another call on the descriptor, with the same effect. Returns it.
    ///
    /// # Errors
    ///
    /// The result's.
    #[inline]
    pub fn note_read(&self, length: usize, read: io::Result<usize>) -> io::Result<usize> {
        self.registration.read_stream(length, |_| read)
    }

    /// Notes the result of a write of `length` bytes, as [`Self::note_read`] that of a read.
    ///
    /// # Errors
    ///
    /// The result's.
    #[inline]
    pub fn note_write(&self, length: usize, written: io::Result<usize>) -> io::Result<usize> {
        self.registration.write_stream(length, |_| written)
    }

    /// The address of our end.
    ///
    /// # Errors
    ///
    /// The error of `getsockname(2)`.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        local_inet(self.registration.as_fd())
    }

    /// The address of the peer's end; for an accepted stream also after a reset.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` before a connect is done.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.peer.map_or_else(|| peer_inet(self.registration.as_fd()), Ok)
    }

    /// A number from 1 to `i32::MAX` for the peer's network, without its port. Peers of
    /// one network have the same number in this process. A peer cannot choose networks
    /// with the same number, because its key is random for each process. An IPv6 site has
    /// whole /64 networks to choose addresses from (RFC 6177), so one /64 is one network.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::peer_address`].
    pub fn peer_key(&self) -> io::Result<u32> {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Ok(key_of(self.peer_address()?.ip().to_canonical(), &*KEY))
    }

    pub(crate) const fn of(registration: Registration) -> Self {
        Self { registration, peer: None }
    }
}

fn key_of(address: IpAddr, key: &impl BuildHasher) -> u32 {
    let network = match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    };
    let hash = key.hash_one((address.is_ipv4(), network)) >> 33;
    (hash as u32).max(1)
}

impl Source for TcpStream {
    fn registration(&self) -> &Registration {
        &self.registration
    }
}

impl Socket for TcpStream {
    fn kind(&self) -> SourceKind {
        SourceKind::TcpStream
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { registration: self.registration.try_clone()?, peer: self.peer })
    }
}

/// A TCP socket for the family of `address`: non-blocking, close-on-exec.
fn open(address: SocketAddr) -> io::Result<RawSocket> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Turns probes of a new listener's connections on or off.
fn set_keepalive(socket: &RawSocket, keepalive: Option<Keepalive>) -> io::Result<()> {
    let Some(Keepalive { idle, interval, count }) = keepalive else { return Ok(()) };
    let numbers = [
        (SocketOption::KeepaliveIdle, idle),
        (SocketOption::KeepaliveInterval, interval),
        (SocketOption::KeepaliveCount, count),
        (SocketOption::Keepalive, 1),
    ];
    numbers
        .into_iter()
        .try_for_each(|(option, value)| option::set(socket, SourceKind::TcpListener, option, value))
}

/// Limits how long bytes of a new listener's connections stay unacknowledged.
fn set_user_timeout(socket: &RawSocket, ms: u32) -> io::Result<()> {
    if ms == 0 {
        return Ok(());
    }
    match option::set(socket, SourceKind::TcpListener, SocketOption::UserTimeout, ms) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSUP) => Ok(()),
        set => set,
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;
    use std::net::IpAddr;

    use super::key_of;

    fn key(address: &str, key: &RandomState) -> u32 {
        key_of(address.parse::<IpAddr>().unwrap_or_else(|_| unreachable!("{address}")), key)
    }

    #[test]
    fn keys_differ_between_networks() {
        let one = &RandomState::new();
        assert_eq!(key("192.0.2.1", one), key("192.0.2.1", one));
        assert_ne!(key("192.0.2.1", one), key("192.0.2.2", one));
        assert_ne!(key("2001:db8::1", one), key("2001:db8:0:1::1", one));
        assert_eq!(key("2001:db8::1", one), key("2001:db8::2", one), "they are in one /64");
        assert!((1..1 << 31).contains(&key("0.0.0.0", one)), "0 is for none");
    }

    #[test]
    fn another_process_has_other_keys() {
        let (one, other) = (&RandomState::new(), &RandomState::new());
        let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
        let keys = |state| addresses.map(|address| key(address, state));
        assert_ne!(keys(one), keys(other));
    }
}
