//! Calls on descriptors that every Unix has in the same form.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
#[cfg(any(linux, apple, target_os = "freebsd"))]
use std::os::fd::AsRawFd;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;
#[cfg(epoll)]
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny,
};
use rustix::time::{ClockId, clock_gettime};

/// A write to a dead peer fails with `EPIPE`, and sends no `SIGPIPE`.
#[cfg(not(apple))]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
/// Apple has no such flag; socket2 sets `SO_NOSIGPIPE` on what it opens, and
/// `accept` inherits it from the listener.
#[cfg(apple)]
const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT;
/// Another owner of the open file may make it block again (`O_NONBLOCK` belongs to the
/// file), and a call that blocks would stop the thread.
const RECV_FLAGS: RecvFlags = RecvFlags::DONTWAIT;

/// `recv(2)`.
///
/// By `rustix`, which makes the system call itself: glibc's `recv` and `send` are
/// cancellation points, with two atomic operations a call that denio does not need.
#[inline]
pub fn recv(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let received = retry_on_intr(|| rustix::net::recv(socket, &mut *buffer, RECV_FLAGS));
    Ok(received?.0)
}

/// Reads a Unix stream, and drops descriptors that the peer sends along.
///
/// Linux ends a read behind a message with descriptors, although more bytes wait:
/// `unix(7)`. No poll reports those bytes, so this reads them as well. `MSG_CTRUNC`
/// says at no cost that there were descriptors; `recv(2)` could not say it.
#[inline]
pub fn recv_unix(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (mut count, mut is_cut) = recv_message(socket, buffer)?;
    // Asks first: a read of an end or an error would take it from the next read.
    while is_cut && count < buffer.len() && unread(socket)? > 0 {
        let rest = buffer.get_mut(count..).unwrap_or_default();
        // Another thread may have read the bytes meanwhile.
        let Ok((more, is_cut_again)) = recv_message(socket, rest) else { break };
        count += more;
        is_cut = is_cut_again;
    }
    Ok(count)
}

/// `recvmsg(2)`; returns also whether the peer sent descriptors, which are dropped.
fn recv_message(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
    let parts = &mut [IoSliceMut::new(buffer)];
    let nothing = &mut RecvAncillaryBuffer::default();
    let received = retry_on_intr(|| rustix::net::recvmsg(socket, parts, nothing, RECV_FLAGS))?;
    Ok((received.bytes, received.flags.contains(ReturnFlags::CTRUNC)))
}

/// `recv(2)` that leaves what it has read.
pub fn peek(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = RECV_FLAGS | RecvFlags::PEEK;
    let received = retry_on_intr(|| rustix::net::recv(socket, &mut *buffer, flags));
    Ok(received?.0)
}

/// Receives a datagram: the bytes that fit, whether the rest was cut off, and the
/// sender.
#[inline]
pub fn recv_datagram(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    peek: bool,
) -> io::Result<(usize, bool, SocketAddr)> {
    let flags = if peek { RECV_FLAGS | RecvFlags::PEEK } else { RECV_FLAGS };
    let parts = &mut [IoSliceMut::new(buffer)];
    let nothing = &mut RecvAncillaryBuffer::default();
    let received = retry_on_intr(|| rustix::net::recvmsg(socket, parts, nothing, flags))?;
    let from = received.address.ok_or(Errno::AFNOSUPPORT)?;
    Ok((received.bytes, received.flags.contains(ReturnFlags::TRUNC), from.try_into()?))
}

/// `recvmsg(2)` into several buffers; drops descriptors that the peer sends along.
#[inline]
pub fn recv_vectored(socket: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let nothing = &mut RecvAncillaryBuffer::default();
    let received = retry_on_intr(|| rustix::net::recvmsg(socket, buffers, nothing, RECV_FLAGS))?;
    Ok(received.bytes)
}

/// `send(2)` without `SIGPIPE`.
#[inline]
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::net::send(socket, bytes, SEND_FLAGS))?)
}

/// `sendto(2)`.
#[inline]
pub fn send_to(socket: BorrowedFd<'_>, bytes: &[u8], address: SocketAddr) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::net::sendto(socket, bytes, SEND_FLAGS, &address))?)
}

/// `sendmsg(2)` of several buffers, without `SIGPIPE`.
#[inline]
pub fn send_vectored(socket: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    let nothing = &mut SendAncillaryBuffer::default();
    Ok(retry_on_intr(|| rustix::net::sendmsg(socket, buffers, nothing, SEND_FLAGS))?)
}

/// Accepts one connection, non-blocking and close-on-exec, with its peer:
/// `accept4(2)`.
#[cfg(not(apple))]
#[inline]
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    use rustix::net::SocketFlags;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(retry_on_intr(|| rustix::net::acceptfrom_with(listener, flags))?)
}

/// Apple has no `accept4`: the flags take two more calls.
#[cfg(apple)]
#[inline]
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    let (fd, peer) = retry_on_intr(|| rustix::net::acceptfrom(listener))?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok((fd, peer))
}

/// Bytes that the program can read now: `FIONREAD`.
pub fn unread(socket: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(usize::try_from(rustix::io::ioctl_fionread(socket)?).unwrap_or(usize::MAX))
}

/// The request of `ioctl(2)` for the bytes that are not acknowledged: `SIOCOUTQ`, which
/// has `TIOCOUTQ`'s number.
#[cfg(linux)]
const UNACKED: libc::Ioctl = libc::TIOCOUTQ;
/// The same on FreeBSD.
#[cfg(target_os = "freebsd")]
const UNACKED: libc::c_ulong = libc::FIONWRITE;

/// Bytes that were written and that the peer's side has not acknowledged.
#[cfg(any(linux, target_os = "freebsd"))]
pub fn unacked(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the request writes one int.
    if unsafe { libc::ioctl(socket.as_raw_fd(), UNACKED, &raw mut count) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The same on Apple's systems, where it is an option: `SO_NWRITE`.
#[cfg(apple)]
pub fn unacked(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let count = int_option(socket, libc::SOL_SOCKET, libc::SO_NWRITE)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Other systems do not count them.
#[cfg(not(any(linux, apple, target_os = "freebsd")))]
pub fn unacked(_socket: BorrowedFd<'_>) -> io::Result<usize> {
    Err(Errno::NOTSUP.into())
}

/// `TCP_DEFER_ACCEPT`, in seconds.
#[cfg(linux)]
pub fn defer_accept(listener: BorrowedFd<'_>) -> io::Result<u32> {
    Ok(int_option(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT)? as u32)
}

/// Sets `TCP_DEFER_ACCEPT`, which the system rounds to its retransmissions.
#[cfg(linux)]
pub fn set_defer_accept(listener: BorrowedFd<'_>, seconds: u32) -> io::Result<()> {
    set_int_option(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds as libc::c_int)
}

/// `TCP_RXT_CONNDROPTIME` of `netinet/tcp.h`, which `libc` has not got.
#[cfg(apple)]
const TCP_RXT_CONNDROPTIME: libc::c_int = 0x80;

/// Seconds of retransmissions after which a connection is dropped.
#[cfg(apple)]
pub fn connection_drop_time(socket: BorrowedFd<'_>) -> io::Result<u32> {
    Ok(int_option(socket, libc::IPPROTO_TCP, TCP_RXT_CONNDROPTIME)? as u32)
}

/// Sets the seconds; 0 is the system's default.
#[cfg(apple)]
pub fn set_connection_drop_time(socket: BorrowedFd<'_>, seconds: u32) -> io::Result<()> {
    set_int_option(socket, libc::IPPROTO_TCP, TCP_RXT_CONNDROPTIME, seconds as libc::c_int)
}

/// Reads an option that is one int: `getsockopt(2)`.
#[cfg(any(linux, apple))]
fn int_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    let place = (&raw mut value).cast();
    // SAFETY: the value is an int, and the length is an int's.
    if unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, place, &mut length) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value)
}

/// Sets an option that is one int: `setsockopt(2)`.
#[cfg(any(linux, apple))]
fn set_int_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    let place = (&raw const value).cast();
    // SAFETY: the value is an int, and the length is an int's.
    if unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, place, length) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `poll(2)` on one descriptor; returns whether it can be read.
pub fn wait_readable(source: BorrowedFd<'_>, timeout_ms: i32) -> io::Result<bool> {
    let mut entry = [PollFd::from_borrowed_fd(source, PollFlags::IN)];
    Ok(rustix::event::poll(&mut entry, timespec(timeout_ms).as_ref())? > 0)
}

/// Converts milliseconds; a negative number, which waits without limit, is `None`.
pub fn timespec(timeout_ms: i32) -> Option<Timespec> {
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis)?;
    timeout.try_into().ok()
}

/// Milliseconds until then, rounded up: a rest below one must not become a busy loop.
#[cfg(epoll)]
pub fn left_until(deadline: Instant) -> i32 {
    let left = deadline.saturating_duration_since(Instant::now());
    i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

/// Time since some fixed point, never going back: `clock_gettime(2)`.
#[inline]
pub fn monotonic_time() -> Duration {
    clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default()
}
