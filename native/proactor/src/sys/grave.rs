//! Memory of proactors that are closed while the kernel may still write to it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use denio_ring::Buffers;
use rustix::event::PollFlags;

use super::Flights;
use super::eventfd::wait_for;
use std::sync::{Mutex, PoisonError};

/// What a closed ring leaves behind.
#[derive(Debug)]
pub struct Grave {
    /// Hangs up when the kernel is done with the ring: see [`denio_ring::Ring::end_signal`].
    pub end: OwnedFd,
    /// Operations without their last completion.
    #[expect(dead_code, reason = "kept until the kernel is done")]
    pub flights: Flights,
    /// Buffers that they may write to.
    #[expect(dead_code, reason = "kept until the kernel is done")]
    pub buffers: Option<Buffers>,
}

impl Grave {
    fn is_over(&self) -> bool {
        wait_for(self.end.as_fd(), PollFlags::empty(), Some(Duration::ZERO)).unwrap_or(false)
    }
}

/// At the end of the process some may be left: the system frees them together.
static GRAVES: Mutex<Vec<Grave>> = Mutex::new(Vec::new());

/// Frees the memory when the kernel is done: now, or when another proactor is opened or
/// closed.
pub fn bury(grave: Grave) {
    let mut graves = GRAVES.lock().unwrap_or_else(PoisonError::into_inner);
    graves.push(grave);
    graves.retain(|grave| !grave.is_over());
}

/// How many closed proactors the kernel is not done with.
pub fn buried() -> usize {
    let mut graves = GRAVES.lock().unwrap_or_else(PoisonError::into_inner);
    graves.retain(|grave| !grave.is_over());
    graves.len()
}
