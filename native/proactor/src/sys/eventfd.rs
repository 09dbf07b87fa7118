//! A counter that signals, `eventfd(2)`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// A counter, non-blocking and close-on-exec.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Opens a counter of zero.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Makes it readable.
    pub fn signal(&self) {
        // Fails only when the counter is full: then it is readable already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Makes it unreadable.
    pub fn reset(&self) {
        // Fails when it is unreadable already.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }

    /// Another descriptor of the same counter.
    pub fn try_clone(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Waits, in models, until it is readable, or until `timeout` is over; returns whether it is.
    #[cfg(loom)]
    pub fn wait(&self, timeout: Option<std::time::Duration>) -> io::Result<bool> {
        wait_for(self.as_fd(), PollFlags::IN, timeout)
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until `fd` has one of `events`, or until `timeout` is over.
pub fn wait_for(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    timeout: Option<std::time::Duration>,
) -> io::Result<bool> {
    let time = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(&mut [PollFd::from_borrowed_fd(fd, events)], time.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
