//! `select(2)`: three sets with one bit a descriptor, `FD_SETSIZE` of them. A bit
//! beyond would lie in other memory, so such a descriptor is refused when it is
//! registered.
//!
//! The sets say that something can be read, not whether it is data, an end or an
//! error. So a `poll(2)` that does not wait asks for the readiness of those
//! descriptors that select found. select reports an end with reading, and an error
//! with both; unlike poll it reports nothing of a source that is in no set.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;

use super::emulate::System;
use super::poll;
use crate::Backend;

/// The levels that `emulate.rs` turns into edges.
pub const SYSTEM: System = System { backend: Backend::Select, check, wait };

/// The events of each set: reading reports ends, and both report errors.
const READ: i16 = libc::POLLIN | libc::POLLRDHUP;
const WRITE: i16 = libc::POLLOUT;
const EXCEPT: i16 = libc::POLLPRI;

/// Refuses a descriptor that no set has a bit for: `ERANGE`.
fn check(fd: RawFd) -> io::Result<()> {
    match usize::try_from(fd) {
        Ok(fd) if fd < libc::FD_SETSIZE => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::ERANGE)),
    }
}

/// Waits until an entry is ready, and writes the readiness of each.
fn wait(entries: &mut [libc::pollfd], timeout_ms: i32) -> io::Result<usize> {
    let mut sets = [Set::new(), Set::new(), Set::new()];
    let mut end = 0;
    for entry in entries.iter_mut() {
        check(entry.fd)?;
        entry.revents = 0;
        end = end.max(entry.fd + 1);
        for (set, flags) in sets.iter_mut().zip([READ, WRITE, EXCEPT]) {
            if entry.events & flags != 0 {
                set.insert(entry.fd);
            }
        }
    }
    match select(end, &mut sets, timeout_ms) {
        Ok(0) => return Ok(0),
        // A descriptor is not open any more: poll says which.
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => return poll::wait(entries, 0),
        selected => selected?,
    };
    let mut ready = 0;
    for entry in entries.iter_mut() {
        if sets.iter().any(|set| set.contains(entry.fd)) {
            ready += poll::wait(std::slice::from_mut(entry), 0)?;
        }
    }
    Ok(ready)
}

fn select(end: i32, sets: &mut [Set; 3], timeout_ms: i32) -> io::Result<usize> {
    let mut timeout = libc::timeval {
        tv_sec: (timeout_ms / 1000).into(),
        tv_usec: (timeout_ms % 1000 * 1000).into(),
    };
    let timeout = if timeout_ms < 0 { ptr::null_mut() } else { ptr::from_mut(&mut timeout) };
    let [read, write, except] = sets;
    // SAFETY: the sets have `FD_SETSIZE` bits, no less than `end`, and every pointer
    // is valid until the call returns.
    let ready =
        unsafe { libc::select(end, &mut read.bits, &mut write.bits, &mut except.bits, timeout) };
    usize::try_from(ready).map_err(|_| io::Error::last_os_error())
}

/// A set of descriptors below `FD_SETSIZE`.
struct Set {
    bits: libc::fd_set,
}

impl Set {
    fn new() -> Self {
        let mut bits = MaybeUninit::uninit();
        // SAFETY: `bits` is writable, and all of it is written.
        unsafe { libc::FD_ZERO(bits.as_mut_ptr()) };
        // SAFETY: written just now.
        Self { bits: unsafe { bits.assume_init() } }
    }

    /// Adds a descriptor that [`check`] has accepted.
    fn insert(&mut self, fd: RawFd) {
        if check(fd).is_ok() {
            // SAFETY: below `FD_SETSIZE`: the bit is inside the set.
            unsafe { libc::FD_SET(fd, &mut self.bits) };
        }
    }

    fn contains(&self, fd: RawFd) -> bool {
        // SAFETY: below `FD_SETSIZE`: the bit is inside the set.
        check(fd).is_ok() && unsafe { libc::FD_ISSET(fd, &self.bits) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn descriptors_beyond_the_set_are_refused_and_touch_nothing() {
        let mut set = Set::new();
        for fd in [-1, libc::FD_SETSIZE as i32, i32::MAX] {
            assert_eq!(check(fd).unwrap_err().raw_os_error(), Some(libc::ERANGE), "{fd}");
            set.insert(fd);
            assert!(!set.contains(fd), "{fd}");
            let mut entry = [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }];
            assert!(wait(&mut entry, 0).is_err(), "{fd}");
        }
        let last = libc::FD_SETSIZE as i32 - 1;
        set.insert(last);
        assert!(set.contains(last) && !set.contains(0));
    }

    #[test]
    fn ready_entries_have_the_events_of_poll() {
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let entry = |events| libc::pollfd { fd: one.as_raw_fd(), events, revents: 0 };
        let mut entries = [entry(libc::POLLIN | libc::POLLRDHUP | libc::POLLOUT)];
        assert_eq!(wait(&mut entries, 0).unwrap(), 1);
        assert_eq!(entries[0].revents, libc::POLLOUT);
        let mut entries = [entry(0)];
        assert_eq!(wait(&mut entries, 0).unwrap(), 0);
        drop(other);
        let mut entries = [entry(libc::POLLIN | libc::POLLRDHUP)];
        assert_eq!(wait(&mut entries, -1).unwrap(), 1);
        assert_eq!(entries[0].revents, libc::POLLIN | libc::POLLRDHUP | libc::POLLHUP);
        // Without a question there is no report: such a wait would return at once.
        let mut entries = [entry(0)];
        assert_eq!(wait(&mut entries, 0).unwrap(), 0);
    }
}
