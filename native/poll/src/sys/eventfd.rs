//! A counter that a poll can wait for: `eventfd(2)` (Linux, Android).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::EventfdFlags;
use rustix::io::{Errno, retry_on_intr};

/// A counter, non-blocking and close-on-exec.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// Opens a counter of zero.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self { fd: rustix::event::eventfd(0, flags)? })
    }

    /// Adds one; a counter at its limit is emptied first.
    pub fn signal(&self) -> io::Result<()> {
        loop {
            match self.add(1) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.reset()?,
                done => return done,
            }
        }
    }

    /// Makes it zero.
    pub fn reset(&self) -> io::Result<()> {
        let mut count = [0_u8; 8];
        match retry_on_intr(|| rustix::io::read(&self.fd, &mut count)) {
            Err(error) if error != Errno::WOULDBLOCK => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn add(&self, count: u64) -> io::Result<()> {
        retry_on_intr(|| rustix::io::write(&self.fd, &count.to_ne_bytes()))?;
        Ok(())
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_counter_is_emptied_and_signalled_again() {
        let eventfd = EventFd::new().unwrap();
        eventfd.add(u64::MAX - 1).unwrap();
        eventfd.signal().unwrap();
        // It is one now, or this would block.
        eventfd.add(u64::MAX - 2).unwrap();
        eventfd.reset().unwrap();
        eventfd.reset().unwrap();
    }
}
