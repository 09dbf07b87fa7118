//! Sources: what can be registered, and read, written, accepted or sent by.
//!
//! One type a file; `operation.rs` is how each of them tells its registration
//! what an operation left, `stream.rs` what TCP and Unix streams have in
//! common, `option.rs` the options of all sockets, and `adopt.rs` where
//! descriptors come in that this crate did not open.

mod adopt;
mod operation;
mod option;
mod pipe;
mod socket;
mod stream;
mod tcp;
mod udp;
mod unix;

pub use adopt::SourceKind;
pub use adopt::prepare;
pub use option::SocketOption;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use socket::Socket;
pub use socket::local_inet;
pub use tcp::{Keepalive, ListenOptions, TcpListener, TcpStream};
pub use udp::{BindOptions, Datagram, Membership, UdpSocket};
pub use unix::local_unix;
pub use unix::{UnixAddress, UnixListener, UnixStream};
