//! The listener, and the errors of system calls.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The backlog of nginx and Deno.
const BACKLOG: i32 = 511;

/// A listener on 127.0.0.1. The connections that it accepts inherit `TCP_NODELAY`.
pub fn listen(port: u16) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointer.
    let listener = owned(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    let fd = listener.as_raw_fd();
    set(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
    set(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY)?;
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: libc::INADDR_LOOPBACK.to_be() },
        sin_zero: [0; 8],
    };
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: `address` is readable for `length` bytes while this runs.
    checked(unsafe { libc::bind(fd, (&raw const address).cast(), length) } as isize)?;
    // SAFETY: takes no pointer.
    checked(unsafe { libc::listen(fd, BACKLOG) } as isize)?;
    Ok(listener)
}

fn set(fd: i32, level: i32, option: i32) -> io::Result<()> {
    let on = 1_i32;
    let length = size_of_val(&on) as libc::socklen_t;
    // SAFETY: `on` is readable for `length` bytes while this runs.
    let done = unsafe { libc::setsockopt(fd, level, option, (&raw const on).cast(), length) };
    checked(done as isize).map(drop)
}

/// Prints the line that the benchmark waits for.
pub fn announce(listener: &OwnedFd) -> io::Result<()> {
    // The standard library can read the address.
    let listener = std::net::TcpListener::from(listener.try_clone()?);
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", listener.local_addr()?)?;
    stdout.flush()
}

pub fn owned(fd: i32) -> io::Result<OwnedFd> {
    checked(fd as isize)?;
    // SAFETY: the descriptor is new and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
