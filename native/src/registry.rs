//! The registering side of readiness.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::Selector;
use crate::{Interest, Token};

/// Registers sources with the selector of one [`crate::Poll`].
///
/// A clone from [`Registry::try_clone`] means the same selector and may be
/// used from other threads, also while the `Poll` waits.
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
/// The selector is remembered because the system would not mind a second one:
/// two loops would then both be told, and race for the bytes.
#[derive(Debug)]
pub struct Registration {
    fd: OwnedFd,
    selector_id: AtomicU32,
}

const NOT_REGISTERED: u32 = 0;

impl Registration {
    /// Owns `fd`, which is registered nowhere yet.
    #[must_use]
    pub const fn new(fd: OwnedFd) -> Self {
        Self { fd, selector_id: AtomicU32::new(NOT_REGISTERED) }
    }
}

impl AsFd for Registration {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Registration> for OwnedFd {
    fn from(registration: Registration) -> Self {
        registration.fd
    }
}

impl Registry {
    pub(crate) const fn new(selector: Arc<Selector>) -> Self {
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

    /// Asks to be told, edge-triggered, when `source` becomes ready.
    ///
    /// # Errors
    ///
    /// `EEXIST` when it is registered already, here or elsewhere.
    pub fn register(
        &self,
        source: &impl Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let registration = source.registration();
        registration
            .selector_id
            .compare_exchange(
                NOT_REGISTERED,
                self.selector.id(),
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .map_err(|_| io::Error::from_raw_os_error(libc::EEXIST))?;
        self.selector.register(registration.fd.as_raw_fd(), token, interest).inspect_err(|_| {
            registration.selector_id.store(NOT_REGISTERED, Ordering::Release);
        })
    }

    /// Replaces token and interest, and fires again when ready now.
    ///
    /// # Errors
    ///
    /// `ENOENT` when it is not registered here.
    pub fn reregister(
        &self,
        source: &impl Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let registration = source.registration();
        self.expect_registered(registration)?;
        self.selector.reregister(registration.fd.as_raw_fd(), token, interest)
    }

    /// Stops telling; the source itself goes on working.
    ///
    /// # Errors
    ///
    /// `ENOENT` when it is not registered here.
    pub fn deregister(&self, source: &impl Source) -> io::Result<()> {
        let registration = source.registration();
        self.expect_registered(registration)?;
        self.selector.deregister(registration.fd.as_raw_fd())?;
        registration.selector_id.store(NOT_REGISTERED, Ordering::Release);
        Ok(())
    }

    fn expect_registered(&self, registration: &Registration) -> io::Result<()> {
        if registration.selector_id.load(Ordering::Acquire) == self.selector.id() {
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(libc::ENOENT))
    }
}
