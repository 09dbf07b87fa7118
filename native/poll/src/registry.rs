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
    /// The selector's number, and [`SHARED`]. One word: there are as many of
    /// these as connections.
    state: AtomicU32,
}

const NOT_REGISTERED: u32 = 0;

/// Set in the state of a descriptor when its open file has others. The remaining bits are
/// the selector's number: no process opens a billion selectors.
const SHARED: u32 = 1 << 30;

/// A source in either state must notify its selector.
const NOTIFIES: u32 = SHARED | sys::EMULATED;

impl Drop for Registration {
    fn drop(&mut self) {
        let state = *self.state.get_mut();
        if state & NOTIFIES != 0 {
            self.leave(state);
        }
    }
}

/// Whether a selector is gone, and with it everything that was registered there.
#[cold]
fn is_gone(number: u32) -> bool {
    selectors::find(number).is_none()
}

const fn number(state: u32) -> u32 {
    state & !SHARED
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
    /// the backend is select and the descriptor is beyond `FD_SETSIZE`.
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
                is_free.then(|| state & SHARED | number(self.selector.id()))
            })
            .map_err(|_| io::Error::from_raw_os_error(libc::EEXIST))?;
        let fd = registration.as_fd();
        self.selector.register(fd, token, interest, mode).inspect_err(|_| {
            registration.state.fetch_and(SHARED, Ordering::Release);
        })
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
    /// `ENOENT` when it is not registered here.
    pub fn deregister(&self, source: &impl Source) -> io::Result<()> {
        let registration = source.registration();
        self.expect_registered(registration)?;
        self.selector.deregister(registration.as_fd())?;
        registration.state.fetch_and(SHARED, Ordering::Release);
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
