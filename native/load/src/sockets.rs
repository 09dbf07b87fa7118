//! Connections to one address, and the wait for all of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, Socket, Type};

/// The events of a connection, registered once: edge-triggered, room to write costs no wake of its
/// own unless a write was cut short.
const EVERYTHING: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);
/// The end of the peer's half, or a broken connection.
const ENDS: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);
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
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    peer: SockAddr,
    /// Whether successive connections come from different addresses.
    varies: bool,
    count: u64,
}

impl Sockets {
    /// Raises the limit of descriptors as well, as far as the system allows.
    pub fn new(port: u16, varies: bool) -> io::Result<Self> {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(1024),
            peer: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into(),
            varies,
            count: 0,
        })
    }

    /// Begins to connect; a later event shows whether the peer accepted.
    pub fn connect(&mut self, token: u64) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking().cloexec(), None)?;
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
            _ => epoll::add(&self.epoll, &socket, EventData::new_u64(token), EVERYTHING)?,
        }
        Ok(socket.into())
    }

    /// Watches standard input, unless it is a file, which ends at once.
    pub fn watch_input(&self, token: u64) -> io::Result<bool> {
        match epoll::add(&self.epoll, io::stdin(), EventData::new_u64(token), EventFlags::IN) {
            Err(Errno::PERM) => Ok(false),
            added => Ok(added.map(|()| true)?),
        }
    }

    /// Waits for `timeout_ms` at the most, and returns how many connections are ready.
    pub fn wait(&mut self, timeout_ms: i64) -> io::Result<usize> {
        let timeout =
            Timespec { tv_sec: timeout_ms / 1_000, tv_nsec: timeout_ms % 1_000 * 1_000_000 };
        self.events.clear();
        let room = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, room, Some(&timeout)) {
            Err(Errno::INTR) => Ok(0),
            count => Ok(count?),
        }
    }

    /// Returns what the last wait found.
    pub fn ready(&self, place: usize) -> Ready {
        let epoll::Event { flags, data } = self.events[place];
        let ends = flags.intersects(ENDS);
        Ready { token: data.u64(), to_read: ends || flags.contains(EventFlags::IN), ends }
    }
}

/// Lets a socket that is bound to an address choose its port when it connects: then two sockets
/// may share a port when their peers differ.
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
