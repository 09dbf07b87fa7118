//! One selector of any backend, with what all selectors have: a number and a place
//! for a waker.
//!
//! A call reaches its backend by one `match`: there is no trait, and on a system
//! with a single backend the compiler removes the match.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

#[cfg(epoll)]
use super::emulate::{self, Emulated};
#[cfg(epoll)]
use super::epoll as native;
#[cfg(kqueue)]
use super::kqueue as native;
#[cfg(target_os = "linux")]
use super::uring;
#[cfg(epoll)]
use super::{poll, select};
use crate::{Backend, Event, Interest, Mode, Token};

/// Set in the number of a selector that turns levels into edges: its sources report
/// each operation to it.
pub const EMULATED: u32 = 1 << 31;

/// Set in the number of a selector whose operations hold the files of its sources open: a
/// source that is closed must leave it first.
pub const HOLDS_FILES: u32 = 1 << 30;

/// The bits of a selector's number that are no number. Sources keep three for themselves.
pub const FLAGS: u32 = 0x1F << 27;

/// The selector of a poll.
#[derive(Debug)]
pub struct Selector {
    id: u32,
    has_waker: AtomicBool,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Native(native::Selector),
    #[cfg(epoll)]
    Emulated(Emulated),
    #[cfg(target_os = "linux")]
    Uring(uring::Selector),
}

/// Calls the same method on any backend.
macro_rules! on {
    ($selector:expr, $inner:ident => $call:expr) => {
        match &$selector.inner {
            Inner::Native($inner) => $call,
            #[cfg(epoll)]
            Inner::Emulated($inner) => $call,
            #[cfg(target_os = "linux")]
            Inner::Uring($inner) => $call,
        }
    };
}

impl Selector {
    /// Opens a selector; `ENOTSUP` when this system has not got the backend.
    pub fn new(backend: Backend) -> io::Result<Self> {
        if !Backend::available().contains(&backend) {
            return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
        }
        let id = next_id();
        let (id, inner) = match backend {
            #[cfg(epoll)]
            Backend::Poll => emulated(id, poll::SYSTEM)?,
            #[cfg(epoll)]
            Backend::Select => emulated(id, select::SYSTEM)?,
            #[cfg(target_os = "linux")]
            Backend::IoUring => (id | HOLDS_FILES, Inner::Uring(uring::Selector::new()?)),
            _ => (id, Inner::Native(native::Selector::new()?)),
        };
        Ok(Self { id, has_waker: AtomicBool::new(false), inner })
    }

    /// The number of this selector in the process, never zero.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The backend.
    pub fn backend(&self) -> Backend {
        match &self.inner {
            Inner::Native(_) => native::BACKEND,
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.backend(),
            #[cfg(target_os = "linux")]
            Inner::Uring(_) => uring::BACKEND,
        }
    }

    /// Whether a source can be registered with this interest and mode.
    pub fn supports(&self, interest: Interest, mode: Mode) -> bool {
        match &self.inner {
            Inner::Native(_) => native::supports(interest, mode),
            #[cfg(epoll)]
            Inner::Emulated(_) => emulate::supports(interest, mode),
            #[cfg(target_os = "linux")]
            Inner::Uring(_) => uring::supports(interest, mode),
        }
    }

    /// Waits for events, at most [`super::BATCH_MAX`].
    #[inline]
    pub fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        if timeout_ms != 0 && denio_ring::has_closed_ring() {
            // The kernel may interrupt this thread although no signal comes. `ppoll(2)`, by which
            // a park waits, then goes on by itself, other calls do not.
            on!(self, inner => inner.park(timeout_ms))?;
            return on!(self, inner => inner.wait(events, 0));
        }
        on!(self, inner => inner.wait(events, timeout_ms))
    }

    /// Waits, but takes no event.
    pub fn park(&self, timeout_ms: i32) -> io::Result<bool> {
        on!(self, inner => inner.park(timeout_ms))
    }

    /// Parks until `is_over` returns true, where [`Selector::pollable`] is nothing.
    pub fn park_unless(&self, timeout_ms: i32, is_over: &dyn Fn() -> bool) -> io::Result<()> {
        match &self.inner {
            Inner::Native(inner) => inner.park(if is_over() { 0 } else { timeout_ms }).map(drop),
            #[cfg(target_os = "linux")]
            Inner::Uring(inner) => inner.park(if is_over() { 0 } else { timeout_ms }).map(drop),
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.park_unless(timeout_ms, is_over),
        }
    }

    /// Makes calls that park ask `is_over` again.
    pub fn interrupt(&self) {
        match &self.inner {
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.interrupt(),
            _ => {}
        }
    }

    /// A descriptor for which another selector can wait instead of this one, where there is
    /// one: see also [`Selector::begin_signals`].
    pub fn pollable(&self) -> Option<BorrowedFd<'_>> {
        match &self.inner {
            Inner::Native(inner) => Some(inner.as_fd()),
            #[cfg(epoll)]
            Inner::Emulated(_) => None,
            #[cfg(target_os = "linux")]
            Inner::Uring(inner) => Some(inner.as_fd()),
        }
    }

    /// Adds a descriptor.
    pub fn register(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        on!(self, inner => inner.register(fd, token, interest, mode))
    }

    /// Replaces token, interest and mode, and fires again when ready now.
    pub fn reregister(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        on!(self, inner => inner.reregister(fd, token, interest, mode))
    }

    /// Takes a descriptor out.
    pub fn deregister(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        on!(self, inner => inner.deregister(fd))
    }

    /// Looks for the next edge of a descriptor, where edges are emulated.
    #[cfg_attr(kqueue, expect(unused_variables, reason = "nothing is emulated"))]
    pub fn rearm(&self, fd: BorrowedFd<'_>, interest: Interest) {
        match &self.inner {
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.rearm(fd, interest),
            _ => {}
        }
    }

    /// Looks for the next edge of an open file, under every descriptor by which it is
    /// registered, where edges are emulated.
    #[cfg_attr(kqueue, expect(unused_variables, reason = "nothing is emulated"))]
    pub fn rearm_file(&self, fd: BorrowedFd<'_>, interest: Interest) {
        match &self.inner {
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.rearm_file(fd, interest),
            _ => {}
        }
    }

    /// Stops looking for readiness that a descriptor can only report again, where edges
    /// are emulated.
    #[cfg_attr(kqueue, expect(unused_variables, reason = "nothing is emulated"))]
    pub fn disarm(&self, fd: BorrowedFd<'_>, interest: Interest) {
        match &self.inner {
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.disarm(fd, interest),
            _ => {}
        }
    }

    /// Makes [`Selector::pollable`] report what is ready, also if that costs more than a wait
    /// needs. Returns whether the selector itself signals the end of `alarm`; other selectors
    /// leave it to the caller.
    #[cfg_attr(kqueue, expect(unused_variables, reason = "its descriptor always reports"))]
    pub fn begin_signals(&self, alarm: Option<Duration>) -> io::Result<bool> {
        match &self.inner {
            #[cfg(target_os = "linux")]
            Inner::Uring(inner) => inner.begin_signals(alarm).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Makes [`Selector::pollable`] readable, where [`Selector::begin_signals`] returns true.
    #[cfg(target_os = "linux")]
    pub fn signal(&self) {
        if let Inner::Uring(inner) = &self.inner {
            inner.signal();
        }
    }

    /// The ring of this selector.
    #[cfg(target_os = "linux")]
    #[inline]
    pub const fn ring(&self) -> Option<&uring::Selector> {
        match &self.inner {
            Inner::Uring(inner) => Some(inner),
            _ => None,
        }
    }

    /// Takes the one place for a waker; false when it is taken.
    pub fn claim_waker(&self) -> bool {
        !self.has_waker.swap(true, Ordering::AcqRel)
    }

    /// Gives the waker's place back.
    pub fn release_waker(&self) {
        self.has_waker.store(false, Ordering::Release);
    }
}

/// Ends the wait of its selector.
#[derive(Debug)]
pub enum Waker {
    /// The waker of a system's own selector.
    Native(native::Waker),
    /// The waker of an emulated selector.
    #[cfg(epoll)]
    Emulated(emulate::Waker),
    /// The waker of a selector on io_uring.
    #[cfg(target_os = "linux")]
    Uring(uring::Waker),
}

impl Waker {
    /// Adds a waker to a selector that has none.
    pub fn new(selector: &Selector, token: Token) -> io::Result<Self> {
        match &selector.inner {
            Inner::Native(inner) => native::Waker::new(inner, token).map(Self::Native),
            #[cfg(epoll)]
            Inner::Emulated(inner) => emulate::Waker::new(inner, token).map(Self::Emulated),
            #[cfg(target_os = "linux")]
            Inner::Uring(inner) => uring::Waker::new(inner, token).map(Self::Uring),
        }
    }

    /// Ends the current wait; without one, the next wait.
    pub fn wake(&self) -> io::Result<()> {
        match self {
            Self::Native(waker) => waker.wake(),
            #[cfg(epoll)]
            Self::Emulated(waker) => waker.wake(),
            #[cfg(target_os = "linux")]
            Self::Uring(waker) => waker.wake(),
        }
    }
}

/// Whether the sources of this selector report each operation to it.
#[inline]
pub const fn is_emulated(selector_id: u32) -> bool {
    selector_id & EMULATED != 0
}

#[cfg(epoll)]
fn emulated(id: u32, system: emulate::System) -> io::Result<(u32, Inner)> {
    let id = id | EMULATED;
    Ok((id, Inner::Emulated(Emulated::new(system)?)))
}

/// Returns a number that no other selector of this process has.
fn next_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    loop {
        let id = NEXT.fetch_add(1, Ordering::Relaxed) & !FLAGS;
        if id != 0 {
            return id;
        }
    }
}
