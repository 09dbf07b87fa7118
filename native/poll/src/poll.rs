//! The waiting side of readiness.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::sys::Selector;
use crate::{Backend, Event, Interest, Mode, Registry};

/// Waits for readiness of the sources in its [`Registry`].
///
/// Waiting takes `&self`: it may happen on one thread while others register
/// through a cloned [`Registry`]. Two threads waiting on one `Poll` share its
/// events between them.
#[derive(Debug)]
pub struct Poll {
    registry: Registry,
    /// Calls that have begun to park, counted with overflow.
    parks: Mutex<i32>,
    parking: Condvar,
}

impl Poll {
    /// Opens the system's best selector (close-on-exec).
    ///
    /// # Errors
    ///
    /// The error of the system, as `EMFILE` when out of descriptors.
    pub fn new() -> io::Result<Self> {
        let [best, ..] = Backend::available() else {
            return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
        };
        Self::with_backend(*best)
    }

    /// Opens a selector of the given backend.
    ///
    /// # Errors
    ///
    /// `ENOTSUP` when this system has not got it; others as [`Poll::new`].
    pub fn with_backend(backend: Backend) -> io::Result<Self> {
        let registry = Registry::new(Arc::new(Selector::new(backend)?));
        Ok(Self { registry, parks: Mutex::default(), parking: Condvar::new() })
    }

    /// The backend in use.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.registry.selector().backend()
    }

    /// Whether a source can be registered for this interest in this mode.
    #[must_use]
    pub fn supports(&self, interest: Interest, mode: Mode) -> bool {
        self.registry.selector().supports(interest, mode)
    }

    /// Bytes of memory that take what was read ahead of the program: see
    /// [`Mode::AHEAD`].
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        #[cfg(target_os = "linux")]
        if let Some(ring) = self.registry.selector().ring() {
            return ring.held_bytes();
        }
        0
    }

    /// Where sources are registered.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Waits until something is ready or `timeout` is over, and returns how
    /// many events were written. `None` waits without limit.
    ///
    /// A timeout is rounded up to a millisecond (1 µs must not become a busy
    /// loop); one of more than `i32::MAX` ms waits that long.
    ///
    /// # Errors
    ///
    /// `EINTR` when a signal came first: the caller may wait again. `EINVAL` when
    /// `events` is empty.
    #[inline]
    pub fn poll(&self, events: &mut [Event], timeout: Option<Duration>) -> io::Result<usize> {
        self.registry.selector().wait(events, timeout_ms(timeout))
    }

    /// Counts a call that begins to park, for [`Poll::await_park`].
    pub fn begin_park(&self) {
        let mut parks = self.parks.lock().unwrap_or_else(PoisonError::into_inner);
        *parks = parks.wrapping_add(1) & i32::MAX;
        self.parking.notify_all();
    }

    /// Waits until the number of calls that have begun to park differs from `begun`,
    /// or `timeout` is over, and returns the number.
    pub fn await_park(&self, begun: i32, timeout: Duration) -> i32 {
        let parks = self.parks.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.parking.wait_timeout_while(parks, timeout, |parks| *parks == begun);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits like [`Poll::poll`] but takes no event: a later `poll` returns them.
    /// Returns whether something is ready.
    ///
    /// # Errors
    ///
    /// As [`Poll::poll`].
    pub fn park(&self, timeout: Option<Duration>) -> io::Result<bool> {
        self.registry.selector().park(timeout_ms(timeout))
    }

    /// Parks until something is ready, `timeout` is over, or `is_over` returns true
    /// when it is called.
    pub(crate) fn park_unless(
        &self,
        timeout: Option<Duration>,
        is_over: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        self.registry.selector().park_unless(timeout_ms(timeout), is_over)
    }
}

/// Milliseconds for the system: rounded up, clamped, and -1 for no limit.
fn timeout_ms(timeout: Option<Duration>) -> i32 {
    let Some(timeout) = timeout else { return -1 };
    let rounded = timeout.as_nanos().div_ceil(1_000_000);
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_rounded_up_and_clamped() {
        assert_eq!(timeout_ms(None), -1);
        assert_eq!(timeout_ms(Some(Duration::ZERO)), 0);
        assert_eq!(timeout_ms(Some(Duration::from_nanos(1))), 1);
        assert_eq!(timeout_ms(Some(Duration::from_micros(1001))), 2);
        assert_eq!(timeout_ms(Some(Duration::from_secs(u64::MAX))), i32::MAX);
    }
}
