//! One place in a run, and the connection that it has at the moment.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::flight::Flight;
use crate::sys;

/// How many addresses of this machine connections come from, when there are very many or each
/// request has its own: each address has its own ports, of which one that ended a connection rests
/// for a minute.
const SOURCES: u64 = 200;

/// A place, and what is under way there.
pub struct Connection<R> {
    /// `None` while there is no connection.
    pub stream: Option<TcpStream>,
    /// Whether it is not known yet that the connection was accepted.
    pub is_connecting: bool,
    /// What the protocol keeps of it.
    pub reader: R,
    pub flight: Flight,
    /// When what is timed began: before the batch was written, or the connection opened where each
    /// request has its own, or when the last event came.
    pub begun_ns: u64,
    /// When bytes last came, or were first due.
    pub touched_ns: u64,
    /// Whether a request is due, that waits for the answers before it.
    pub is_due: bool,
}

impl<R: Default> Connection<R> {
    pub fn new() -> Self {
        Self {
            stream: None,
            is_connecting: false,
            reader: R::default(),
            flight: Flight::default(),
            begun_ns: 0,
            touched_ns: 0,
            is_due: false,
        }
    }

    /// Whether something must come.
    pub const fn is_waiting(&self) -> bool {
        self.is_connecting || self.flight.is_on()
    }

    /// Closes the connection, and forgets all of it.
    pub fn close(&mut self) {
        *self = Self { is_due: self.is_due, ..Self::new() };
    }
}

/// Opens connections to one address.
pub struct Dialler {
    peer: SockAddr,
    /// Whether each comes from the next of several addresses.
    varies: bool,
    count: u64,
}

impl Dialler {
    pub fn new(peer: SocketAddrV4, varies: bool) -> Self {
        Self { peer: peer.into(), varies, count: 0 }
    }

    /// Begins to connect: whether it was accepted shows later. What is written meanwhile finds no
    /// room, or a connection on this machine that is there already.
    pub fn dial(&mut self) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking().cloexec(), None)?;
        // What a write leaves is not to wait for an acknowledgement.
        socket.set_tcp_nodelay(true)?;
        if self.varies {
            sys::choose_port_late(&socket)?;
            socket.bind(&self.next_source().into())?;
        }
        match socket.connect(&self.peer) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(socket.into()),
        }
    }

    /// 127.0.0.1 and those after it: all of 127.0.0.0/8 is this machine.
    fn next_source(&mut self) -> SocketAddrV4 {
        self.count += 1;
        let last = self.count % SOURCES + 1;
        SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last as u8), 0)
    }
}
