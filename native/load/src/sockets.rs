//! Connections to one address, and the wait for all of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, Socket, Type};

/// The addresses of this machine that connections come from, when there are very many. Each address
/// has its own ports, and a port that ended a connection cannot be used for a minute.
const SOURCES: u64 = 200;
const EVENTS: usize = 1024;

/// The readiness of one connection.
#[derive(Clone, Copy)]
pub struct Ready {
    pub token: usize,
    /// Whether it can be read, also to its end or an error.
    pub to_read: bool,
    /// Whether it has ended or failed: that may have no further edge.
    pub ends: bool,
}

/// Opens connections to one address, and waits for them.
pub struct Sockets {
    poll: Poll,
    events: Events,
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
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            peer: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into(),
            // Elsewhere this machine has one such address.
            varies: varies && cfg!(target_os = "linux"),
            count: 0,
        })
    }

    /// Begins to connect; a later event shows whether the peer accepted.
    pub fn connect(&mut self, token: usize) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // The end of a write must not wait for an acknowledgement.
        socket.set_tcp_nodelay(true)?;
        if self.varies {
            self.count += 1;
            let last = (self.count % SOURCES + 1) as u8;
            #[cfg(target_os = "linux")]
            choose_port_late(&socket)?;
            socket.bind(&SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0).into())?;
        }
        match socket.connect(&self.peer) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        // Once, by edge: room to write costs no wake of its own unless a write was cut short.
        let (fd, both) = (socket.as_raw_fd(), Interest::READABLE | Interest::WRITABLE);
        self.poll.registry().register(&mut SourceFd(&fd), Token(token), both)?;
        Ok(socket.into())
    }

    /// Returns what ends a wait from another thread, as an event of the token.
    pub fn waker(&self, token: usize) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), Token(token))
    }

    /// Waits for `timeout` at the most, and adds to `ready` what the wait finds.
    pub fn wait(&mut self, timeout: Duration, ready: &mut Vec<Ready>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        ready.extend(self.events.iter().map(ready_of));
        Ok(())
    }
}

fn ready_of(event: &Event) -> Ready {
    let ends = event.is_read_closed() || event.is_write_closed() || event.is_error();
    Ready { token: event.token().0, to_read: ends || event.is_readable(), ends }
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
