//! Sources: sockets and pipes, which a registry registers and a program reads from,
//! writes to and accepts by.
//!
//! Each type has a file. `operation.rs` notifies a source's registration of the
//! result of each operation, `stream.rs` has the methods of TCP and Unix streams,
//! `option.rs` the options of all sockets, and `adopt.rs` takes descriptors that this
//! crate did not open.

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
