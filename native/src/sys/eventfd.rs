//! A counter that can be waited for: `eventfd(2)` (Linux, Android).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::retry_interrupted;

/// A counter, non-blocking and close-on-exec.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// Opens one that is zero.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
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
        let (fd, pointer) = (self.fd.as_raw_fd(), count.as_mut_ptr().cast());
        // SAFETY: `pointer` is writable for eight bytes while this runs.
        match retry_interrupted(|| unsafe { libc::read(fd, pointer, count.len()) }) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    fn add(&self, count: u64) -> io::Result<()> {
        let bytes = count.to_ne_bytes();
        let (fd, pointer) = (self.fd.as_raw_fd(), bytes.as_ptr().cast());
        // SAFETY: `pointer` is readable for eight bytes while this runs.
        retry_interrupted(|| unsafe { libc::write(fd, pointer, bytes.len()) }).map(drop)
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
