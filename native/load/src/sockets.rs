//! Connections to one address, and the wait for all of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::selector::Selector;

/// The addresses of this machine that connections come from, when there are very many. Each address
/// has its own ports, and a port that ended a connection cannot be used for a minute.
const SOURCES: u64 = 200;

/// The readiness of one connection.
#[derive(Clone, Copy)]
pub struct Ready {
    pub token: u64,
    /// Whether it can be read, also to its end or an error.
    pub to_read: bool,
    /// Whether it has ended or failed: that may have no further edge.
    pub ends: bool,
}

/// Opens connections to one address, and waits for them.
pub struct Sockets {
    selector: Selector,
    peer: SockAddr,
    /// Whether successive connections come from different addresses.
    varies: bool,
    count: u64,
}

impl Sockets {
    /// Raises the limit of descriptors as well, as far as the system allows.
    pub fn new(port: u16, varies: bool) -> io::Result<Self> {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
            // macOS allows no limit that is no number, though it prints one: `setrlimit(2)`.
            Err(error) if error != Errno::INVAL => return Err(error.into()),
            _ => {}
        }
        Ok(Self {
            selector: Selector::new()?,
            peer: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into(),
            // Elsewhere this machine has one such address.
            varies: varies && cfg!(target_os = "linux"),
            count: 0,
        })
    }

    /// Begins to connect; a later event shows whether the peer accepted.
    pub fn connect(&mut self, token: u64) -> io::Result<TcpStream> {
        let socket = nonblocking_socket()?;
        // The end of a write must not wait for an acknowledgement.
        socket.set_tcp_nodelay(true)?;
        if self.varies {
            self.count += 1;
            let last = (self.count % SOURCES + 1) as u8;
            choose_port_late(&socket)?;
            socket.bind(&SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0).into())?;
        }
        match socket.connect(&self.peer) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => self.selector.add(&socket, token)?,
        }
        Ok(socket.into())
    }

    /// Watches standard input, unless it is a file, which ends at once.
    pub fn watch_input(&self, token: u64) -> io::Result<bool> {
        match self.selector.add_input(&io::stdin(), token) {
            Err(Errno::PERM) => Ok(false),
            added => Ok(added.map(|()| true)?),
        }
    }

    /// Waits for `timeout_ms` at the most, and returns how many connections are ready.
    pub fn wait(&mut self, timeout_ms: i64) -> io::Result<usize> {
        let timeout = Duration::from_millis(timeout_ms.max(0) as u64);
        match self.selector.wait(timeout) {
            Err(Errno::INTR) => Ok(0),
            count => Ok(count?),
        }
    }

    /// Returns what the last wait found.
    pub fn ready(&self, place: usize) -> Ready {
        self.selector.ready(place)
    }
}

/// Returns a TCP socket that does not block, and that no other program inherits.
#[cfg(target_os = "linux")]
fn nonblocking_socket() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM.nonblocking().cloexec(), None)
}

/// The same where a socket cannot be opened so.
#[cfg(not(target_os = "linux"))]
fn nonblocking_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Lets a socket that is bound to an address choose its port when it connects: then two sockets
/// may share a port when their peers differ.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "a socket option that no dependency wraps")]
fn choose_port_late(socket: &Socket) -> io::Result<()> {
    let (on, option) = (1_i32, libc::IP_BIND_ADDRESS_NO_PORT);
    let (start, length) = ((&raw const on).cast(), size_of_val(&on) as libc::socklen_t);
    // SAFETY: `on` is readable for `length` bytes while this runs.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, option, start, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Not asked for elsewhere: see [`Sockets::new`].
#[cfg(not(target_os = "linux"))]
fn choose_port_late(_socket: &Socket) -> io::Result<()> {
    Ok(())
}
