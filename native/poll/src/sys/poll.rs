//! `poll(2)`: every wait passes every descriptor to the system, which looks at
//! each.

use std::io;
use std::os::fd::RawFd;

use super::emulate::System;
use crate::Backend;

/// The levels that `emulate.rs` turns into edges.
pub const SYSTEM: System = System { backend: Backend::Poll, check, wait };

/// Takes any descriptor.
fn check(_fd: RawFd) -> io::Result<()> {
    Ok(())
}

/// Waits until an entry is ready, and writes the readiness of each.
pub fn wait(entries: &mut [libc::pollfd], timeout_ms: i32) -> io::Result<usize> {
    let (pointer, count) = (entries.as_mut_ptr(), entries.len());
    // SAFETY: `pointer` is good for `count` entries, which outlive the call; a
    // wrong descriptor is an answer, not undefined behaviour.
    let ready = unsafe { libc::poll(pointer, count as libc::nfds_t, timeout_ms.max(-1)) };
    usize::try_from(ready).map_err(|_| io::Error::last_os_error())
}
