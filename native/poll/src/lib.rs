//! mio's nouns over epoll, io_uring, kqueue, poll and select, and the sockets and pipes
//! that are their sources.
//!
//! Layers, top to bottom: `poll`, `registry`, `waker`, `parker`, then `net`, then
//! `sys`, the only one with `unsafe`.
//!
//! ```
//! use denio_poll::{Event, Interest, Poll, TcpListener, TcpStream, Token};
//!
//! # fn main() -> std::io::Result<()> {
//! let poll = Poll::new()?;
//! let loopback = "127.0.0.1:0".parse().map_err(std::io::Error::other)?;
//! let listener = TcpListener::bind(loopback, &Default::default())?;
//! poll.registry().register(&listener, Token(7), Interest::READABLE)?;
//!
//! let _client = TcpStream::connect(listener.local_address()?)?;
//! let mut events = [Event::default(); 8];
//! let ready = poll.poll(&mut events, None)?;
//! assert_eq!(ready, 1);
//! assert_eq!(events[0].token(), Token(7));
//! # Ok(())
//! # }
//! ```

#[cfg(target_os = "linux")]
mod ahead;
mod backend;
mod event;
mod interest;
mod mode;
mod net;
mod parker;
mod poll;
mod registry;
mod selectors;
mod sync;
mod sys;
mod token;
mod waker;

pub use backend::Backend;
pub use event::Event;
pub use interest::Interest;
pub use mode::Mode;
pub use net::{
    BindOptions, Datagram, Keepalive, ListenOptions, Membership, PipeReader, PipeWriter, Socket,
    SocketOption, SourceKind, TcpListener, TcpStream, UdpSocket, UnixAddress, UnixListener,
    UnixStream, local_inet, local_unix, pipe, prepare,
};
pub use parker::Parker;
pub use poll::Poll;
pub use registry::{Registration, Registry, Source};
pub use sys::{BATCH_MAX, keep_loaded, monotonic_time, resolve};
pub use token::Token;
pub use waker::Waker;
