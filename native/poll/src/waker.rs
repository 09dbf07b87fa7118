//! Ends a wait from another thread.

use std::io;
use std::sync::Arc;

use crate::sys::{self, Selector};
use crate::{Registry, Token};

/// Ends a wait of its registry's [`crate::Poll`], from any thread.
///
/// Several wakes before a wait are one event. A selector has one waker at a time:
/// a second waker would do the same as the first.
#[derive(Debug)]
pub struct Waker {
    // Dropped in this order: the place is free only when the waker has gone,
    // or what it leaves behind could be the next one's.
    waker: sys::Waker,
    _place: Place,
}

/// A selector's one place for a waker.
#[derive(Debug)]
struct Place {
    selector: Arc<Selector>,
}

impl Place {
    fn claim(selector: &Arc<Selector>) -> io::Result<Self> {
        if selector.claim_waker() {
            return Ok(Self { selector: Arc::clone(selector) });
        }
        Err(io::Error::from_raw_os_error(libc::EEXIST))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.selector.release_waker();
    }
}

impl Waker {
    /// Registers a waker that shows up as a readable event under `token`.
    ///
    /// # Errors
    ///
    /// `EEXIST` while another waker of the same selector lives.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let place = Place::claim(registry.selector())?;
        Ok(Self { waker: sys::Waker::new(&place.selector, token)?, _place: place })
    }

    /// Ends the current wait; without one, the next wait.
    ///
    /// # Errors
    ///
    /// The error of the system; a full counter is emptied and tried again.
    pub fn wake(&self) -> io::Result<()> {
        self.waker.wake()
    }
}
