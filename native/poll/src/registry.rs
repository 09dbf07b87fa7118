//! The registering side of readiness.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::{self, Selector};
use crate::{Interest, Mode, Token, selectors};

/// Registers sources with the selector of one [`crate::Poll`].
///
/// A clone from [`Registry::try_clone`] has the same selector, and other threads may use
/// it, also while the `Poll` waits.
#[derive(Debug)]
pub struct Registry {
    selector: Arc<Selector>,
}

/// Something with a descriptor that remembers where it is registered.
pub trait Source {
    /// The descriptor and its registration.
    fn registration(&self) -> &Registration;
}

/// A descriptor, owned, and the selector that it is registered with.
///
/// It remembers the selector because the system would allow a second one: two loops would
/// both get the events, and race for the bytes.
#[derive(Debug)]
pub struct Registration {
    fd: OwnedFd,
    /// The selector's number, and the bits of [`OWN`]. One word: there are as many of
    /// these as connections.
    state: AtomicU32,
}

const NOT_REGISTERED: u32 = 0;

/// Set in the state of a descriptor when its open file has others.
const SHARED: u32 = 1 << 29;

/// Set in the state of a stream that is read ahead: its selector may have bytes of it.
pub(crate) const AHEAD: u32 = 1 << 28;

/// Set in the state of a stream that was read ahead, and that is registered nowhere now: bytes
/// of it are in `ahead.rs`.
pub(crate) const LEFT: u32 = 1 << 27;

/// The bits that are no part of a selector's number.
const OWN: u32 = SHARED | AHEAD | LEFT;
const _: () = assert!(OWN & (sys::EMULATED | sys::HOLDS_FILES) == 0 && OWN & sys::FLAGS == OWN);

/// A source in either state must notify its selector of what the program does.
const NOTIFIES: u32 = SHARED | sys::EMULATED;

/// A source in one of these states must leave its selector before it is closed.
const LEAVES: u32 = NOTIFIES | sys::HOLDS_FILES | LEFT;

impl Drop for Registration {
    fn drop(&mut self) {
        let state = *self.state.get_mut();
        if state & LEAVES != 0 {
            self.leave(state);
        }
    }
}

/// Whether a selector is gone, and with it everything that was registered there.
#[cold]
fn is_gone(number: u32) -> bool {
    selectors::find(number).is_none()
}

pub(crate) const fn number(state: u32) -> u32 {
    state & !OWN
}

impl Registration {
    /// Owns `fd`, which is registered nowhere yet.
    #[must_use]
    pub const fn new(fd: OwnedFd) -> Self {
        Self { fd, state: AtomicU32::new(NOT_REGISTERED) }
    }

    /// Owns `fd`; its open file may have other descriptors.
    pub(crate) const fn shared(fd: OwnedFd) -> Self {
        Self { fd, state: AtomicU32::new(SHARED) }
    }

    /// Another descriptor of the same open file, registered nowhere.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let clone = Self::shared(self.fd.try_clone()?);
        self.state.fetch_or(SHARED, Ordering::AcqRel);
        Ok(clone)
    }

    #[cfg(target_os = "linux")]
    pub(crate) const fn state(&self) -> &AtomicU32 {
        &self.state
    }

    /// Forgets where it was registered.
    pub(crate) fn forget_selector(&self) {
        self.state.fetch_and(SHARED | LEFT, Ordering::Release);
    }

    /// Notifies the selector that the program has read or accepted, or found nothing left:
    /// the next readiness is new. epoll and kqueue see for themselves what is new, and report
    /// less of the bytes that a read has left.
    #[inline]
    pub(crate) fn taken(&self) {
        self.rearm(Interest::READABLE);
    }

    /// Notifies the selector that a write has taken all the room.
    #[inline]
    pub(crate) fn filled(&self) {
        self.rearm(Interest::WRITABLE);
    }

    /// Notifies the selector that reading has come to the end: no event can follow.
    #[inline]
    pub(crate) fn ended(&self) {
        let state = self.state.load(Ordering::Relaxed);
        if sys::is_emulated(state) {
            self.disarm(state, Interest::READABLE);
        }
    }

    #[inline]
    fn rearm(&self, interest: Interest) {
        let state = self.state.load(Ordering::Relaxed);
        if state & NOTIFIES != 0 {
            self.rearm_emulated(state, interest);
        }
    }

    #[cold]
    fn rearm_emulated(&self, state: u32, interest: Interest) {
        if state & SHARED != 0 {
            return selectors::rearm_file(self.as_fd(), interest);
        }
        if let Some(selector) = selectors::find(number(state)) {
            selector.rearm(self.as_fd(), interest);
        }
    }

    #[cold]
    fn disarm(&self, state: u32, interest: Interest) {
        if let Some(selector) = selectors::find(number(state)) {
            selector.disarm(self.as_fd(), interest);
        }
    }

    /// Called while the descriptor is open: a selector that knows it by its number must forget
    /// it before another file can get the number.
    #[cold]
    fn leave(&self, state: u32) {
        #[cfg(target_os = "linux")]
        if state & LEFT != 0 {
            crate::ahead::take_leftovers(self.as_fd());
        }
        if let Some(selector) = selectors::find(number(state)) {
            // A selector that does not know the source has nothing to forget.
            let _ = selector.deregister(self.as_fd());
        }
    }
}

impl AsFd for Registration {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Registry {
    pub(crate) fn new(selector: Arc<Selector>) -> Self {
        selectors::remember(number(selector.id()), &selector);
        Self { selector }
    }

    pub(crate) const fn selector(&self) -> &Arc<Selector> {
        &self.selector
    }

    /// Returns another registry for the same selector.
    ///
    /// # Errors
    ///
    /// None today; the signature is mio's, and leaves room for a backend that
    /// duplicates a descriptor.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { selector: Arc::clone(&self.selector) })
    }

    /// Asks for an event, edge-triggered, when `source` becomes ready.
    ///
    /// # Errors
    ///
    /// `EEXIST` when it is registered already, here or elsewhere, and others
    /// of [`Registry::register_with`].
    pub fn register(
        &self,
        source: &impl Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.register_with(source, token, interest, Mode::EDGE)
    }

    /// Asks for events in the way of `mode` when `source` is ready.
    ///
    /// # Errors
    ///
    /// `EEXIST` when it is registered already, here or with another selector
    /// that is still there; `ENOTSUP`
    /// when the backend has not got the interest or the mode; `ERANGE` when
    /// the backend is select and the descriptor is beyond `FD_SETSIZE`; `EBUSY` when bytes of
    /// the stream were read ahead elsewhere, and wait to be read.
    pub fn register_with(
        &self,
        source: &impl Source,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.expect_supported(interest, mode)?;
        let registration = source.registration();
        registration
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                let is_free = number(state) == NOT_REGISTERED || is_gone(number(state));
                is_free.then(|| state & (SHARED | LEFT) | number(self.selector.id()))
            })
            .map_err(|_| io::Error::from_raw_os_error(libc::EEXIST))?;
        self.add(registration, token, interest, mode).inspect_err(|_| {
            registration.forget_selector();
        })
    }

    fn add(
        &self,
        registration: &Registration,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if self.add_ahead(registration, token, interest, mode)? {
            return Ok(());
        }
        self.selector.register(registration.as_fd(), token, interest, mode)
    }

    /// Replaces token and interest, edge-triggered, and fires again when ready
    /// now.
    ///
    /// # Errors
    ///
    /// As [`Registry::reregister_with`].
    pub fn reregister(
        &self,
        source: &impl Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.reregister_with(source, token, interest, Mode::EDGE)
    }

    /// Replaces token, interest and mode, and fires again when ready now.
    ///
    /// # Errors
    ///
    /// `ENOENT` when it is not registered here; `ENOTSUP` as
    /// [`Registry::register_with`]; `EINVAL` when the mode is or was
    /// exclusive: Linux cannot replace one (`epoll_ctl(2)`).
    pub fn reregister_with(
        &self,
        source: &impl Source,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.expect_supported(interest, mode)?;
        let registration = source.registration();
        self.expect_registered(registration)?;
        if mode.is_exclusive() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        self.selector.reregister(registration.as_fd(), token, interest, mode)
    }

    /// Stops events of the source; the source itself goes on working.
    ///
    /// # Errors
    ///
    /// `ENOENT` when it is not registered here; `EBUSY` when it is read ahead, on another thread
    /// than the one that waits.
    pub fn deregister(&self, source: &impl Source) -> io::Result<()> {
        let registration = source.registration();
        self.expect_registered(registration)?;
        #[cfg(target_os = "linux")]
        if registration.is_ahead_now() {
            return self.remove_ahead(registration);
        }
        self.selector.deregister(registration.as_fd())?;
        registration.forget_selector();
        Ok(())
    }

    fn expect_registered(&self, registration: &Registration) -> io::Result<()> {
        let state = registration.state.load(Ordering::Acquire);
        if number(state) == number(self.selector.id()) {
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(libc::ENOENT))
    }

    fn expect_supported(&self, interest: Interest, mode: Mode) -> io::Result<()> {
        if self.selector.supports(interest, mode) {
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(libc::ENOTSUP))
    }
}
