//! The loop over edge-triggered epoll, with one read buffer.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::answers::{BUFFER_BYTES, Heads, REPLY, replies};
use crate::options::Options;
use crate::sockets::{announce, checked, listen, owned};

const EVENTS_MAX: usize = 1024;

pub fn run(options: &Options) -> io::Result<()> {
    let mut server = Server::new(listen(options.port)?, options.echo)?;
    if options.probe {
        return Ok(());
    }
    announce(&server.listener)?;
    loop {
        server.turn()?;
    }
}

#[derive(Default)]
struct Connection {
    /// Bytes for which the peer has no room yet. While there are some, nothing is read.
    unsent: Vec<u8>,
    heads: Heads,
}

struct Server {
    epoll: OwnedFd,
    listener: OwnedFd,
    /// Indexed by descriptor: the system gives the lowest free number, so this stays dense.
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
    replies: Vec<u8>,
    echo: bool,
}

impl Server {
    fn new(listener: OwnedFd, echo: bool) -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let server = Self {
            epoll,
            listener,
            connections: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            replies: replies(),
            echo,
        };
        server.watch(server.listener.as_raw_fd(), libc::EPOLLIN)?;
        Ok(server)
    }

    /// Waits once and serves the connections that are ready.
    fn turn(&mut self) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
        let (epoll, room) = (self.epoll.as_raw_fd(), EVENTS_MAX as i32);
        // SAFETY: `events` is writable for `room` events while this runs.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), room, -1) };
        let count = match checked(count as isize) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            count => count?,
        };
        for event in &events[..count] {
            let (fd, ready) = (event.u64 as RawFd, event.events as i32);
            if fd == self.listener.as_raw_fd() {
                self.accept_all()?;
            } else if self.serve(fd, ready).is_err() {
                self.close(fd);
            }
        }
        Ok(())
    }

    /// Accepts until none waits, or no descriptor is free: the next connection wakes it.
    fn accept_all(&mut self) -> io::Result<()> {
        let listener = self.listener.as_raw_fd();
        let (null, flags) = (std::ptr::null_mut(), libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
        loop {
            // SAFETY: null asks for no address.
            let fd = unsafe { libc::accept4(listener, null, std::ptr::null_mut(), flags) };
            if fd < 0 {
                return Ok(());
            }
            let needed = fd as usize + 1;
            if self.connections.len() < needed {
                self.connections.resize_with(needed, || None);
            }
            self.connections[fd as usize] = Some(Connection::default());
            // Writable too, registered once: edge-triggered, it costs no wake unless a
            // send was cut short.
            self.watch(fd, libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP)?;
        }
    }

    /// Sends the rest, then reads and answers until drained. An error closes the connection.
    fn serve(&mut self, fd: RawFd, ready: i32) -> io::Result<()> {
        let Some(connection) = &mut self.connections[fd as usize] else { return Ok(()) };
        let blocked = !connection.unsent.is_empty();
        if blocked {
            let sent = send(fd, &connection.unsent)?;
            connection.unsent.drain(..sent);
        }
        // Reading stopped while bytes waited to be sent: bytes of that time have no edge.
        if !blocked && ready & !libc::EPOLLOUT == 0 {
            return Ok(());
        }
        let ends = ready & (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) != 0;
        while connection.unsent.is_empty() {
            let Some(count) = receive(fd, &mut self.buffer)? else { return Ok(()) };
            let bytes = &self.buffer[..count];
            let reply = if self.echo {
                bytes
            } else {
                &self.replies[..connection.heads.count(bytes) * REPLY.len()]
            };
            let sent = if reply.is_empty() { 0 } else { send(fd, reply)? };
            connection.unsent.extend_from_slice(&reply[sent..]);
            // A short read has drained the socket, and the end of the stream is an edge of
            // its own unless it was there before.
            if count < BUFFER_BYTES && !ends {
                return Ok(());
            }
        }
        Ok(())
    }

    fn close(&mut self, fd: RawFd) {
        self.connections[fd as usize] = None;
        // SAFETY: the descriptor came from accept and is not used again.
        unsafe { libc::close(fd) };
    }

    fn watch(&self, fd: RawFd, flags: i32) -> io::Result<()> {
        let (epoll, add) = (self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD);
        let events = (flags | libc::EPOLLET) as u32;
        let mut event = libc::epoll_event { events, u64: fd as u64 };
        // SAFETY: `event` outlives the call, which keeps no pointer.
        checked(unsafe { libc::epoll_ctl(epoll, add, fd, &mut event) } as isize).map(drop)
    }
}

/// Reads; `None` when there are no bytes. The end of the stream is an error.
fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: writable for `length` bytes while this runs.
    match checked(unsafe { libc::recv(fd, start, length, 0) }) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        count => count.map(Some),
    }
}

/// Sends as many bytes as fit, which may be none.
fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let (start, length) = (bytes.as_ptr().cast(), bytes.len());
    // SAFETY: readable for `length` bytes while this runs.
    match checked(unsafe { libc::send(fd, start, length, libc::MSG_NOSIGNAL) }) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        count => count,
    }
}
