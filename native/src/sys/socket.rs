//! Calls on descriptors that every Unix has in the same form.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendFlags};
use socket2::SockAddr;

use super::retry_interrupted;

/// No `SIGPIPE` from a write to a dead peer: `EPIPE` says it.
#[cfg(not(any(target_os = "macos", target_os = "ios")))]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
/// Apple has no such flag; socket2 sets `SO_NOSIGPIPE` on what it opens, and
/// `accept` inherits it from the listener.
#[cfg(any(target_os = "macos", target_os = "ios"))]
const SEND_FLAGS: SendFlags = SendFlags::empty();

/// `recv(2)`.
///
/// By `rustix`, which makes the system call itself: glibc's `recv` and `send`
/// are cancellation points, two atomic operations a call that nobody needs.
pub fn recv(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let received = retry_on_intr(|| rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()));
    Ok(received?.0)
}

/// `send(2)` without `SIGPIPE`.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::net::send(socket, bytes, SEND_FLAGS))?)
}

/// Accepts one connection, non-blocking and close-on-exec, with its peer.
pub fn accept(listener: RawFd) -> io::Result<(OwnedFd, SockAddr)> {
    let mut fd = -1;
    let mut accepted = |address: *mut libc::sockaddr, length: *mut libc::socklen_t| {
        let accepted = retry_interrupted(|| accept_nonblocking(listener, address, length))?;
        fd = accepted as RawFd;
        Ok(())
    };
    // SAFETY: accept(2) fills in an address and its length, or fails.
    let ((), address) =
        unsafe { SockAddr::try_init(|storage, length| accepted(storage.cast(), length)) }?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok((unsafe { OwnedFd::from_raw_fd(fd) }, address))
}

/// `accept4(2)`: flags without a second call.
#[cfg(not(any(target_os = "macos", target_os = "ios")))]
fn accept_nonblocking(
    listener: RawFd,
    address: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
) -> isize {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the caller hands over an address buffer and its length.
    unsafe { libc::accept4(listener, address, length, flags) as isize }
}

/// Apple has no `accept4`: the flags take two more calls.
#[cfg(any(target_os = "macos", target_os = "ios"))]
fn accept_nonblocking(
    listener: RawFd,
    address: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
) -> isize {
    // SAFETY: the caller hands over an address buffer and its length.
    let fd = unsafe { libc::accept(listener, address, length) };
    if fd < 0 {
        return -1;
    }
    // SAFETY: takes no pointer.
    let cloexec = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: takes no pointer.
    let nonblock = unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
    if cloexec < 0 || nonblock < 0 {
        // SAFETY: `fd` is ours and not used again.
        unsafe { libc::close(fd) };
        return -1;
    }
    fd as isize
}

/// `poll(2)` on one descriptor; tells whether it can be read.
pub fn wait_readable(source: &impl AsRawFd, timeout_ms: i32) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: source.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which outlives the call.
    let ready = unsafe { libc::poll(&mut entry, 1, timeout_ms.max(-1)) };
    if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(ready > 0) }
}

/// Time since some fixed point, never going back: `clock_gettime(2)`.
pub fn monotonic_time() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: `time` is writable, and the clock exists on every Unix.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr()) };
    // SAFETY: zeroes are a valid timespec, should the call ever fail.
    let time = unsafe { time.assume_init() };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
