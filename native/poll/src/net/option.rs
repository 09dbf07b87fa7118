//! The options of sockets: one number each, in the unit that it names.

use std::io;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::SockRef;

use crate::SourceKind;

/// The options of a socket; most can be set as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SocketOption {
    /// 1: small writes are sent at once (`TCP_NODELAY`).
    Nodelay = 1,
    /// 1: a silent peer is probed (`SO_KEEPALIVE`).
    Keepalive = 2,
    /// Seconds of silence before the first probe.
    KeepaliveIdle = 3,
    /// Seconds between probes.
    KeepaliveInterval = 4,
    /// Lost probes after which the connection is lost.
    KeepaliveCount = 5,
    /// What closing does with data that is not sent yet: 0 sends it later, 1
    /// throws it away and resets the connection, n + 1 waits up to n seconds
    /// for it, and holds up the thread that closes meanwhile (`SO_LINGER`).
    Linger = 6,
    /// Bytes of the receive buffer. Linux doubles the value that is set, for its own
    /// use, and returns the double.
    ReceiveBuffer = 7,
    /// Bytes of the send buffer, as [`Self::ReceiveBuffer`].
    SendBuffer = 8,
    /// Hops that a packet may take, 1 to 255 (`IP_TTL`, `IPV6_UNICAST_HOPS`).
    Ttl = 9,
    /// 1: others may bind the same address. Set by binding.
    ReusePort = 10,
    /// Seconds for which a connection waits for data before it can be accepted;
    /// 0 does not (`TCP_DEFER_ACCEPT`, Linux). Rounded up to retransmissions.
    DeferAccept = 11,
    /// Milliseconds for which data may stay unacknowledged before the
    /// connection is lost; 0 is the system's own (`TCP_USER_TIMEOUT` on Linux;
    /// `TCP_RXT_CONNDROPTIME` on Apple's systems, rounded up to seconds).
    UserTimeout = 12,
    /// 1: datagrams may be sent to every machine of a network (`SO_BROADCAST`).
    Broadcast = 13,
    /// 1: this machine receives what it sends to a group, too.
    MulticastLoop = 14,
    /// Hops that a datagram to a group may take, 0 to 255.
    MulticastTtl = 15,
    /// 1: no IPv4 through this IPv6 address. Set by binding.
    OnlyV6 = 16,
}

/// The largest number that the system's `int` takes.
const INT_MAX: u32 = i32::MAX as u32;

impl SocketOption {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Nodelay,
        Self::Keepalive,
        Self::KeepaliveIdle,
        Self::KeepaliveInterval,
        Self::KeepaliveCount,
        Self::Linger,
        Self::ReceiveBuffer,
        Self::SendBuffer,
        Self::Ttl,
        Self::ReusePort,
        Self::DeferAccept,
        Self::UserTimeout,
        Self::Broadcast,
        Self::MulticastLoop,
        Self::MulticastTtl,
        Self::OnlyV6,
    ];

    /// Whether sockets of a kind have the option.
    const fn is_of(self, kind: SourceKind) -> bool {
        match self {
            Self::ReceiveBuffer | Self::SendBuffer => true,
            Self::Ttl | Self::ReusePort | Self::OnlyV6 => kind.is_ip(),
            Self::DeferAccept => matches!(kind, SourceKind::TcpListener),
            Self::Broadcast | Self::MulticastLoop | Self::MulticastTtl => {
                matches!(kind, SourceKind::UdpSocket)
            }
            _ => kind.is_tcp(),
        }
    }

    /// The values that it can be set to. The system may allow fewer.
    const fn values(self) -> RangeInclusive<u32> {
        match self {
            Self::Nodelay | Self::Keepalive | Self::Broadcast | Self::MulticastLoop => 0..=1,
            Self::KeepaliveIdle | Self::KeepaliveInterval | Self::KeepaliveCount => 1..=INT_MAX,
            Self::Ttl => 1..=255,
            Self::MulticastTtl => 0..=255,
            _ => 0..=INT_MAX,
        }
    }
}

/// Reads an option.
pub(super) fn get(source: impl AsFd, kind: SourceKind, option: SocketOption) -> io::Result<u32> {
    if !option.is_of(kind) {
        return Err(Errno::NOPROTOOPT.into());
    }
    let fd = source.as_fd();
    let socket = SockRef::from(&fd);
    match option {
        SocketOption::Nodelay => socket.tcp_nodelay().map(u32::from),
        SocketOption::Keepalive => socket.keepalive().map(u32::from),
        SocketOption::KeepaliveIdle => seconds(sockopt::tcp_keepidle(fd)?),
        SocketOption::KeepaliveInterval => seconds(sockopt::tcp_keepintvl(fd)?),
        SocketOption::KeepaliveCount => Ok(sockopt::tcp_keepcnt(fd)?),
        SocketOption::Linger => match socket.linger()? {
            Some(linger) => seconds(linger).map(|seconds| (seconds.saturating_add(1)).min(INT_MAX)),
            None => Ok(0),
        },
        SocketOption::ReceiveBuffer => number(socket.recv_buffer_size()?),
        SocketOption::SendBuffer => number(socket.send_buffer_size()?),
        SocketOption::Ttl if is_v6(fd)? => socket.unicast_hops_v6(),
        SocketOption::Ttl => socket.ttl_v4(),
        SocketOption::ReusePort => socket.reuse_port().map(u32::from),
        SocketOption::DeferAccept => defer_accept(fd),
        SocketOption::UserTimeout => user_timeout(fd),
        SocketOption::Broadcast => socket.broadcast().map(u32::from),
        SocketOption::MulticastLoop if is_v6(fd)? => socket.multicast_loop_v6().map(u32::from),
        SocketOption::MulticastLoop => socket.multicast_loop_v4().map(u32::from),
        SocketOption::MulticastTtl if is_v6(fd)? => socket.multicast_hops_v6(),
        SocketOption::MulticastTtl => socket.multicast_ttl_v4(),
        SocketOption::OnlyV6 if is_v6(fd)? => socket.only_v6().map(u32::from),
        SocketOption::OnlyV6 => Err(Errno::NOPROTOOPT.into()),
    }
}

/// Sets an option.
pub(super) fn set(
    source: impl AsFd,
    kind: SourceKind,
    option: SocketOption,
    value: u32,
) -> io::Result<()> {
    if !option.is_of(kind) {
        return Err(Errno::NOPROTOOPT.into());
    }
    if !option.values().contains(&value) {
        return Err(Errno::INVAL.into());
    }
    let fd = source.as_fd();
    let socket = SockRef::from(&fd);
    let is_on = value != 0;
    match option {
        SocketOption::Nodelay => socket.set_tcp_nodelay(is_on),
        SocketOption::Keepalive => socket.set_keepalive(is_on),
        SocketOption::KeepaliveIdle => Ok(sockopt::set_tcp_keepidle(fd, in_seconds(value))?),
        SocketOption::KeepaliveInterval => Ok(sockopt::set_tcp_keepintvl(fd, in_seconds(value))?),
        SocketOption::KeepaliveCount => Ok(sockopt::set_tcp_keepcnt(fd, value)?),
        SocketOption::Linger => socket.set_linger(value.checked_sub(1).map(in_seconds)),
        SocketOption::ReceiveBuffer => socket.set_recv_buffer_size(value as usize),
        SocketOption::SendBuffer => socket.set_send_buffer_size(value as usize),
        SocketOption::Ttl if is_v6(fd)? => socket.set_unicast_hops_v6(value),
        SocketOption::Ttl => socket.set_ttl_v4(value),
        SocketOption::DeferAccept => set_defer_accept(fd, value),
        SocketOption::UserTimeout => set_user_timeout(fd, value),
        SocketOption::Broadcast => socket.set_broadcast(is_on),
        SocketOption::MulticastLoop if is_v6(fd)? => socket.set_multicast_loop_v6(is_on),
        SocketOption::MulticastLoop => socket.set_multicast_loop_v4(is_on),
        SocketOption::MulticastTtl if is_v6(fd)? => socket.set_multicast_hops_v6(value),
        SocketOption::MulticastTtl => socket.set_multicast_ttl_v4(value),
        SocketOption::ReusePort | SocketOption::OnlyV6 => Err(Errno::INVAL.into()),
    }
}

fn is_v6(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(SockRef::from(&fd).local_addr()?.is_ipv6())
}

fn seconds(duration: Duration) -> io::Result<u32> {
    Ok(u32::try_from(duration.as_secs()).unwrap_or(INT_MAX))
}

fn in_seconds(value: u32) -> Duration {
    Duration::from_secs(value.into())
}

fn number(value: usize) -> io::Result<u32> {
    Ok(u32::try_from(value).unwrap_or(INT_MAX))
}

#[cfg(apple)]
use apple::{set_user_timeout, user_timeout};
#[cfg(linux)]
use linux::{defer_accept, set_defer_accept, set_user_timeout, user_timeout};

#[cfg(linux)]
mod linux {
    use super::{BorrowedFd, io, sockopt};
    pub(super) use crate::sys::{defer_accept, set_defer_accept};

    pub(super) fn user_timeout(fd: BorrowedFd<'_>) -> io::Result<u32> {
        Ok(sockopt::tcp_user_timeout(fd)?)
    }

    pub(super) fn set_user_timeout(fd: BorrowedFd<'_>, value: u32) -> io::Result<()> {
        Ok(sockopt::set_tcp_user_timeout(fd, value)?)
    }
}

/// Apple counts seconds.
#[cfg(apple)]
mod apple {
    use super::{BorrowedFd, INT_MAX, io};
    use crate::sys;

    const MS_PER_SECOND: u32 = 1_000;

    pub(super) fn user_timeout(fd: BorrowedFd<'_>) -> io::Result<u32> {
        Ok(sys::connection_drop_time(fd)?.saturating_mul(MS_PER_SECOND).min(INT_MAX))
    }

    pub(super) fn set_user_timeout(fd: BorrowedFd<'_>, value: u32) -> io::Result<()> {
        sys::set_connection_drop_time(fd, value.div_ceil(MS_PER_SECOND))
    }
}

#[cfg(not(linux))]
use elsewhere::{get as defer_accept, set as set_defer_accept};
#[cfg(not(any(linux, apple)))]
use elsewhere::{get as user_timeout, set as set_user_timeout};

/// The error of an option that this system has not got.
#[cfg(not(linux))]
mod elsewhere {
    use super::{BorrowedFd, Errno, io};

    pub(super) fn get(_fd: BorrowedFd<'_>) -> io::Result<u32> {
        Err(Errno::NOTSUP.into())
    }

    pub(super) fn set(_fd: BorrowedFd<'_>, _value: u32) -> io::Result<()> {
        Err(Errno::NOTSUP.into())
    }
}
