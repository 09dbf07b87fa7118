//! UDP: datagrams, to and from anyone or one peer, and groups of receivers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};

use super::socket::{local_inet, peer_inet};
use crate::sys;
use crate::{Registration, Socket, Source, SourceKind};

/// How a datagram socket is bound.
#[derive(Clone, Debug, Default)]
pub struct BindOptions {
    /// Several sockets on one address, between which the system spreads
    /// datagrams (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// Several sockets on one address; each receives what is sent to a group
    /// (`SO_REUSEADDR`).
    pub reuse_address: bool,
    /// No IPv4 through an IPv6 address (`IPV6_V6ONLY`).
    pub only_v6: bool,
}

/// A group of receivers, and the interface that receives its datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// An IPv4 group, and the address of the interface: unspecified leaves the
    /// choice to the system.
    V4 {
        /// The group.
        group: Ipv4Addr,
        /// The interface's address.
        interface: Ipv4Addr,
    },
    /// An IPv6 group, and the interface's index: 0 leaves the choice to the
    /// system.
    V6 {
        /// The group.
        group: Ipv6Addr,
        /// The interface's index.
        interface: u32,
    },
}

/// A received datagram, beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// How many bytes of it are in the buffer.
    pub count: usize,
    /// Whether it was longer than the buffer: the rest is lost.
    pub is_cut: bool,
    /// The sender.
    pub from: SocketAddr,
}

impl From<(usize, bool, SocketAddr)> for Datagram {
    fn from((count, is_cut, from): (usize, bool, SocketAddr)) -> Self {
        Self { count, is_cut, from }
    }
}

/// A UDP socket.
#[derive(Debug)]
pub struct UdpSocket {
    registration: Registration,
}

impl UdpSocket {
    /// Opens a socket and binds it.
    ///
    /// # Errors
    ///
    /// The error of the system: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, …
    pub fn bind(address: SocketAddr, options: &BindOptions) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = RawSocket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if options.reuse_address {
            socket.set_reuse_address(true)?;
        }
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if options.only_v6 && address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        Ok(Self::of(Registration::new(socket.into())))
    }

    /// Sets the one peer of [`Self::send`]; only its datagrams are received.
    ///
    /// # Errors
    ///
    /// The error of `connect(2)`, as `ENETUNREACH`.
    pub fn connect(&self, address: SocketAddr) -> io::Result<()> {
        SockRef::from(&self.registration).connect(&address.into())
    }

    /// Sends a datagram to the connected peer: whole, or not at all.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when there is no room; `EMSGSIZE` when it is too long;
    /// `EDESTADDRREQ` without a peer; `ECONNREFUSED` when the peer refused an earlier one.
    #[inline]
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.registration.send_datagram(|fd| sys::send(fd, bytes))
    }

    /// Sends a datagram to `address`: whole, or not at all.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    #[inline]
    pub fn send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<usize> {
        self.registration.send_datagram(|fd| sys::send_to(fd, bytes, address))
    }

    /// Receives one datagram, which may have no bytes.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when there is none; the error of a datagram that was sent before, as
    /// `ECONNREFUSED`. Datagrams may wait behind such an error: it is not the end.
    #[inline]
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        self.registration.receive(|fd| sys::recv_datagram(fd, buffer, false)).map(Datagram::from)
    }

    /// Receives the next datagram and leaves it in the socket.
    ///
    /// # Errors
    ///
    /// As [`Self::receive`].
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        let peeked = self.registration.peek_datagram(|fd| sys::recv_datagram(fd, buffer, true));
        peeked.map(Datagram::from)
    }

    /// Receives what is sent to a group.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it is no group's address, or of another family;
    /// `EADDRINUSE` when the socket is in the group; `ENODEV` without the interface.
    pub fn join(&self, membership: &Membership) -> io::Result<()> {
        let socket = SockRef::from(&self.registration);
        match membership {
            Membership::V4 { group, interface } => socket.join_multicast_v4(group, interface),
            Membership::V6 { group, interface } => socket.join_multicast_v6(group, *interface),
        }
    }

    /// Leaves a group.
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` when the socket is not in the group.
    pub fn leave(&self, membership: &Membership) -> io::Result<()> {
        let socket = SockRef::from(&self.registration);
        match membership {
            Membership::V4 { group, interface } => socket.leave_multicast_v4(group, interface),
            Membership::V6 { group, interface } => socket.leave_multicast_v6(group, *interface),
        }
    }

    /// The bound address, with the port that the system chose for port 0.
    ///
    /// # Errors
    ///
    /// The error of `getsockname(2)`.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        local_inet(self.registration.as_fd())
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` when it is not.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        peer_inet(self.registration.as_fd())
    }

    pub(crate) const fn of(registration: Registration) -> Self {
        Self { registration }
    }
}

impl Source for UdpSocket {
    fn registration(&self) -> &Registration {
        &self.registration
    }
}

impl Socket for UdpSocket {
    fn kind(&self) -> SourceKind {
        SourceKind::UdpSocket
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::of(self.registration.try_clone()?))
    }
}
