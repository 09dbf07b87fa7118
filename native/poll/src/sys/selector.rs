//! One selector of whichever backend, and what all of them have: a number and
//! a place for a waker.
//!
//! A call is one match away from its backend: there is no trait, and on a
//! system with a single backend the match is none.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

#[cfg(epoll)]
use super::emulate::{self, Emulated};
#[cfg(epoll)]
use super::epoll as native;
#[cfg(kqueue)]
use super::kqueue as native;
#[cfg(epoll)]
use super::{poll, select};
use crate::{Backend, Event, Interest, Mode, Token};

/// Set in the number of a selector that makes edges out of levels: a source
/// of such a one has to say when it is drained.
pub const EMULATED: u32 = 1 << 31;

/// What a poll waits with.
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
}

/// Runs the same call on whichever backend it is.
macro_rules! on {
    ($selector:expr, $inner:ident => $call:expr) => {
        match &$selector.inner {
            Inner::Native($inner) => $call,
            #[cfg(epoll)]
            Inner::Emulated($inner) => $call,
        }
    };
}

impl Selector {
    /// Opens one; `ENOTSUP` when this system has not got the backend.
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
            _ => (id, Inner::Native(native::Selector::new()?)),
        };
        Ok(Self { id, has_waker: AtomicBool::new(false), inner })
    }

    /// The number that tells selectors apart, never zero.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// What it waits with.
    pub fn backend(&self) -> Backend {
        match &self.inner {
            Inner::Native(_) => native::BACKEND,
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.backend(),
        }
    }

    /// Whether something can be registered so.
    pub fn supports(&self, interest: Interest, mode: Mode) -> bool {
        match &self.inner {
            Inner::Native(_) => native::supports(interest, mode),
            #[cfg(epoll)]
            Inner::Emulated(_) => emulate::supports(interest, mode),
        }
    }

    /// Waits for events, at most [`super::BATCH_MAX`].
    #[inline]
    pub fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        on!(self, inner => inner.wait(events, timeout_ms))
    }

    /// Waits, but leaves the events.
    pub fn park(&self, timeout_ms: i32) -> io::Result<bool> {
        on!(self, inner => inner.park(timeout_ms))
    }

    /// Parks until `is_over` says so, where [`Selector::pollable`] is nothing.
    pub fn park_unless(&self, timeout_ms: i32, is_over: &dyn Fn() -> bool) -> io::Result<()> {
        match &self.inner {
            Inner::Native(inner) => inner.park(if is_over() { 0 } else { timeout_ms }).map(drop),
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.park_unless(timeout_ms, is_over),
        }
    }

    /// Has those that park look whether that is over.
    pub fn interrupt(&self) {
        match &self.inner {
            Inner::Native(_) => {}
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.interrupt(),
        }
    }

    /// What another selector can wait for instead of this one, where there is
    /// such a thing: the system's own queue.
    pub fn pollable(&self) -> Option<BorrowedFd<'_>> {
        match &self.inner {
            Inner::Native(inner) => Some(inner.as_fd()),
            #[cfg(epoll)]
            Inner::Emulated(_) => None,
        }
    }

    /// Begins to tell of a descriptor.
    pub fn register(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        on!(self, inner => inner.register(fd, token, interest, mode))
    }

    /// Replaces what was asked for, and fires again when ready now.
    pub fn reregister(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        on!(self, inner => inner.reregister(fd, token, interest, mode))
    }

    /// Stops telling.
    pub fn deregister(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        on!(self, inner => inner.deregister(fd))
    }

    /// Looks for the next edge of a descriptor, where edges are emulated.
    #[cfg_attr(kqueue, expect(unused_variables, reason = "nothing is emulated"))]
    pub fn rearm(&self, fd: BorrowedFd<'_>, interest: Interest) {
        match &self.inner {
            Inner::Native(_) => {}
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.rearm(fd, interest),
        }
    }

    /// Looks for the next edge of an open file, by whichever descriptor it is
    /// registered, where edges are emulated.
    #[cfg_attr(kqueue, expect(unused_variables, reason = "nothing is emulated"))]
    pub fn rearm_file(&self, fd: BorrowedFd<'_>, interest: Interest) {
        match &self.inner {
            Inner::Native(_) => {}
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.rearm_file(fd, interest),
        }
    }

    /// Looks no more at what a descriptor can only tell again, where edges are
    /// emulated.
    #[cfg_attr(kqueue, expect(unused_variables, reason = "nothing is emulated"))]
    pub fn disarm(&self, fd: BorrowedFd<'_>, interest: Interest) {
        match &self.inner {
            Inner::Native(_) => {}
            #[cfg(epoll)]
            Inner::Emulated(emulated) => emulated.disarm(fd, interest),
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
    /// The system's own.
    Native(native::Waker),
    /// One of a selector that is emulated.
    #[cfg(epoll)]
    Emulated(emulate::Waker),
}

impl Waker {
    /// Adds a waker to a selector that has none.
    pub fn new(selector: &Selector, token: Token) -> io::Result<Self> {
        match &selector.inner {
            Inner::Native(inner) => native::Waker::new(inner, token).map(Self::Native),
            #[cfg(epoll)]
            Inner::Emulated(inner) => emulate::Waker::new(inner, token).map(Self::Emulated),
        }
    }

    /// Ends the current wait, or else the next one.
    pub fn wake(&self) -> io::Result<()> {
        match self {
            Self::Native(waker) => waker.wake(),
            #[cfg(epoll)]
            Self::Emulated(waker) => waker.wake(),
        }
    }
}

/// Whether sources of this selector have to say when they are drained.
#[inline]
pub const fn is_emulated(selector_id: u32) -> bool {
    selector_id & EMULATED != 0
}

#[cfg(epoll)]
fn emulated(id: u32, system: emulate::System) -> io::Result<(u32, Inner)> {
    let id = id | EMULATED;
    Ok((id, Inner::Emulated(Emulated::new(system)?)))
}

/// Returns a number no other selector of this process has.
fn next_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    loop {
        let id = NEXT.fetch_add(1, Ordering::Relaxed) & !EMULATED;
        if id != 0 {
            return id;
        }
    }
}
