//! The native half of denio: mio's nouns over epoll, kqueue, poll and select, and the flat C
//! ABI through which TypeScript holds them.
//!
//! Rust programs may use the types directly; JavaScript sees only [`ffi`], in
//! which every object is a `u32` handle from the process-wide [`source_table`].
//! Layers, top to bottom: `ffi` → `source_table` → `poll`, `net`, `http1` →
//! `sys`. Nothing below `ffi` knows that JavaScript exists, and `unsafe` lives
//! in `ffi` and `sys` alone.
//!
//! ```
//! use denio::{Event, Interest, Poll, TcpListener, TcpStream, Token};
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

mod backend;
mod event;
pub mod ffi;
pub mod http1;
mod interest;
mod mode;
mod net;
pub mod owner;
mod parker;
mod poll;
mod registry;
mod selectors;
pub mod source_table;
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
    UnixStream, pipe,
};
pub use parker::Parker;
pub use poll::Poll;
pub use registry::{Registration, Registry, Source};
pub use token::Token;
pub use waker::Waker;
