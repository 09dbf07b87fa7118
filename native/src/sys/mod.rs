//! The only code that talks to the operating system.
//!
//! A backend is one file that defines these names, with the same meaning in
//! each; `mod.rs` picks one, and there is no trait and no dynamic dispatch:
//!
//! - `NAME: &str`
//! - `Selector::new() -> io::Result<Selector>`, close-on-exec
//! - `Selector::id(&self) -> u32`, unique in the process, never zero
//! - `Selector::wait(&self, &mut [Event], timeout_ms: i32) -> io::Result<usize>`:
//!   negative waits without limit; an interrupted wait is `EINTR`
//! - `Selector::{register, reregister}(&self, RawFd, Token, Interest) -> io::Result<()>`:
//!   edge-triggered; reregistering replaces and fires again when ready
//! - `Selector::deregister(&self, RawFd) -> io::Result<()>`
//! - `Selector::{claim_waker(&self) -> bool, release_waker(&self)}`
//! - `Waker::new(&Selector, Token) -> io::Result<Waker>` and
//!   `Waker::wake(&self) -> io::Result<()>`
//! - `impl AsRawFd for Selector`: itself pollable
//!
//! `socket.rs` and `library.rs` hold calls that are the same on every Unix, and
//! `kqueue_plan.rs` what of kqueue is no call: it is tested on every system.

#![allow(unsafe_code)]

mod library;
mod socket;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
#[cfg(any(target_os = "linux", target_os = "android"))]
use epoll as backend;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod kqueue;
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod kqueue_plan;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use kqueue as backend;

pub use backend::{NAME, Selector, Waker};
pub use library::keep_loaded;
pub use socket::{accept, monotonic_time, recv, send, wait_readable};

use std::sync::atomic::{AtomicU32, Ordering};

/// How many events one system call may return. The array lives on the stack
/// (12 KB for epoll, 64 KB for FreeBSD's kqueue); a longer batch would only
/// delay the first connection.
pub const BATCH_MAX: usize = 1024;

/// Returns a number no other selector of this process has.
fn next_selector_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    loop {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        if id != 0 {
            return id;
        }
    }
}

/// Runs a system call again while signals interrupt it.
fn retry_interrupted(mut call: impl FnMut() -> isize) -> std::io::Result<usize> {
    loop {
        if let Ok(count) = usize::try_from(call()) {
            return Ok(count);
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
