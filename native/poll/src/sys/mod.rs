//! The only code that talks to the operating system.
//!
//! A backend is one file that defines these names, with the same meaning in
//! each; `selector.rs` picks one when a poll is opened:
//!
//! - `Selector::new() -> io::Result<Selector>`, close-on-exec
//! - `Selector::wait(&self, &mut [Event], timeout_ms: i32) -> io::Result<usize>`:
//!   negative waits without limit; an interrupted wait is `EINTR`
//! - `Selector::park(&self, timeout_ms: i32) -> io::Result<bool>`: as `wait`,
//!   but takes no event
//! - `Selector::{register, reregister}(&self, BorrowedFd, Token, Interest, Mode) -> io::Result<()>`:
//!   reregistering replaces and fires again when ready
//! - `Selector::deregister(&self, BorrowedFd) -> io::Result<()>`
//! - `impl AsFd for Selector`, whose descriptor can be read when something is
//!   ready; not where it is emulated
//! - `supports(Interest, Mode) -> bool`
//! - `Waker::new(&Selector, Token) -> io::Result<Waker>` and
//!   `Waker::wake(&self) -> io::Result<()>`
//!
//! `epoll.rs` and `kqueue.rs` are backends of their own. `poll.rs` and
//! `select.rs` only know levels: each is one system call, and `emulate.rs` turns
//! its levels into edges. `uring.rs` has a ring and an epoll, and `uring_plan.rs` is its part
//! without system calls. `socket.rs`, `pipe.rs` and `library.rs` hold calls that are
//! the same on every Unix. `kqueue_plan.rs` is the part of kqueue without system
//! calls: its tests run on every system.

#![allow(unsafe_code)]

#[cfg(not(any(epoll, kqueue)))]
compile_error!(
    "denio has no backend for this system: it knows epoll, poll and select of Linux and Android, \
     and kqueue of macOS, iOS and the BSDs"
);

mod library;
pub mod pipe;
mod resolver;
mod selector;
mod socket;

#[cfg(target_os = "linux")]
mod aio;
#[cfg(epoll)]
mod emulate;
#[cfg(epoll)]
mod epoll;
#[cfg(epoll)]
mod eventfd;
#[cfg(epoll)]
mod poll;
#[cfg(epoll)]
mod select;
#[cfg(target_os = "linux")]
mod uring;
#[cfg(target_os = "linux")]
mod uring_plan;

#[cfg(kqueue)]
mod kqueue;
#[cfg(any(test, kqueue))]
mod kqueue_plan;

#[cfg(target_os = "linux")]
pub use aio::KernelPark;
pub use library::keep_loaded;
pub use resolver::resolve;
pub use selector::{EMULATED, FLAGS, HOLDS_FILES, Selector, Waker, is_emulated};
pub use socket::{
    accept, monotonic_time, peek, recv, recv_datagram, recv_unix, recv_vectored, send, send_to,
    send_vectored, unacked, unread,
};
#[cfg(apple)]
pub use socket::{connection_drop_time, set_connection_drop_time};
#[cfg(linux)]
pub use socket::{defer_accept, set_defer_accept};
#[cfg(target_os = "linux")]
pub use uring::refusal as ring_refusal;
#[cfg(target_os = "linux")]
pub use uring_plan::Left;

/// How many events one system call may return. The array lives on the stack
/// (12 KB for epoll, 64 KB for FreeBSD's kqueue); a longer batch would only
/// delay the first connection.
pub const BATCH_MAX: usize = 1024;
