//! The bare loop: the load that this machine allows a server that does nothing.
//!
//! One thread, edge-triggered epoll, one read buffer, and a fixed answer to the end of every
//! request head. The benchmarks print ratios against it, so it must never grow: work added here
//! would hide the same work in a server beside it.
//!
//! `limit [--port N] [--echo]` prints `listening on 127.0.0.1:PORT`; `--echo` sends the received
//! bytes back.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    reason = "system calls as they are, and nothing between them and the measurement"
)]

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    linux::run(&linux::Options::parse(std::env::args().skip(1))?)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("The bare loop needs epoll, which is Linux only");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, Write};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

    const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\n\
        content-type: text/plain;charset=UTF-8\r\n\
        content-length: 13\r\n\
        date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
        \r\n\
        Hello, World!";
    const TERMINATOR: &[u8; 4] = b"\r\n\r\n";
    /// Room for sixteen pipelined requests of a browser's size, as the reactor's buffer has.
    const BUFFER_BYTES: usize = 64 * 1024;
    /// One read ends at most this many heads: so many answers lie ready in one block.
    const REPLIES_MAX: usize = BUFFER_BYTES / TERMINATOR.len() + 1;
    const EVENTS_MAX: usize = 1024;
    /// The backlog of nginx and Deno.
    const BACKLOG: i32 = 511;

    pub struct Options {
        port: u16,
        echo: bool,
    }

    impl Options {
        pub fn parse(mut words: impl Iterator<Item = String>) -> io::Result<Self> {
            let mut options = Self { port: 0, echo: false };
            while let Some(word) = words.next() {
                match word.as_str() {
                    "--echo" => options.echo = true,
                    "--port" => {
                        let port = words.next().unwrap_or_default();
                        options.port = port.parse().map_err(|_| usage(&port))?;
                    }
                    _ => return Err(usage(&word)),
                }
            }
            Ok(options)
        }
    }

    fn usage(word: &str) -> io::Error {
        io::Error::other(format!("Cannot read {word:?}: the options are --port N and --echo"))
    }

    pub fn run(options: &Options) -> io::Result<()> {
        let listener = listen(options.port)?;
        let mut stdout = io::stdout();
        writeln!(stdout, "listening on 127.0.0.1:{}", bound_port(&listener)?)?;
        stdout.flush()?;
        let mut server = Server::new(listener, options.echo)?;
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
                replies: REPLY.repeat(REPLIES_MAX),
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

    /// Counts the ends of heads in a stream of bytes, at whichever byte a read ends.
    #[derive(Default)]
    struct Heads {
        /// The part of [`TERMINATOR`] that the last bytes match.
        matched: usize,
    }

    impl Heads {
        fn count(&mut self, mut bytes: &[u8]) -> usize {
            let mut count = 0;
            while self.matched > 0 {
                let Some((byte, rest)) = bytes.split_first() else { return count };
                bytes = rest;
                self.matched = match byte {
                    byte if *byte == TERMINATOR[self.matched] => self.matched + 1,
                    b'\r' => 1,
                    _ => 0,
                };
                if self.matched == TERMINATOR.len() {
                    self.matched = 0;
                    count += 1;
                }
            }
            while let Some(place) = find(bytes, TERMINATOR) {
                bytes = &bytes[place + TERMINATOR.len()..];
                count += 1;
            }
            let ends_in = |length: &usize| bytes.ends_with(&TERMINATOR[..*length]);
            self.matched = (1..TERMINATOR.len()).rev().find(ends_in).unwrap_or(0);
            count
        }
    }

    fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
        let (start, length) = (bytes.as_ptr(), bytes.len());
        // SAFETY: both are readable for the lengths that go with them.
        let found =
            unsafe { libc::memmem(start.cast(), length, wanted.as_ptr().cast(), wanted.len()) };
        (!found.is_null()).then(|| found as usize - start as usize)
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

    /// A listener on 127.0.0.1. The connections that it accepts inherit `TCP_NODELAY`.
    fn listen(port: u16) -> io::Result<OwnedFd> {
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

    fn set(fd: RawFd, level: i32, option: i32) -> io::Result<()> {
        let on = 1_i32;
        let length = size_of_val(&on) as libc::socklen_t;
        // SAFETY: `on` is readable for `length` bytes while this runs.
        let done = unsafe { libc::setsockopt(fd, level, option, (&raw const on).cast(), length) };
        checked(done as isize).map(drop)
    }

    fn bound_port(listener: &OwnedFd) -> io::Result<u16> {
        // The standard library can read the address.
        let listener = std::net::TcpListener::from(listener.try_clone()?);
        Ok(listener.local_addr()?.port())
    }

    fn owned(fd: i32) -> io::Result<OwnedFd> {
        checked(fd as isize)?;
        // SAFETY: the descriptor is new and has no other owner.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn checked(result: isize) -> io::Result<usize> {
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }
}
