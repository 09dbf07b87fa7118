//! Whether the kernel lets this process use io_uring, and why not.

use std::fs;
use std::io;
use std::sync::OnceLock;
use std::thread;

use crate::sys::{Ring, RingOptions};

/// `kernel.io_uring_disabled`, since Linux 6.6: 1 forbids io_uring to processes outside of
/// a group, 2 to all.
const DISABLED: &str = "/proc/sys/kernel/io_uring_disabled";

/// Why a program cannot use io_uring here. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The system is not Linux.
    System = 1,
    /// The kernel is older than 5.19, or was built without io_uring.
    Kernel = 2,
    /// The setting `kernel.io_uring_disabled` forbids it.
    Setting = 3,
    /// A filter of system calls forbids it, as containers have by default.
    Filter = 4,
    /// The process has no descriptor, or no memory that it may lock, for a ring.
    Resources = 5,
}

/// Tries a small ring, and returns why there is none. The answer is kept, unless the process
/// was short of descriptors or memory.
#[must_use]
pub fn refusal() -> Option<Refusal> {
    static KNOWN: OnceLock<Option<Refusal>> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return *known;
    }
    // On a thread of its own, which the kernel can interrupt when the ring is closed again.
    let probe = thread::Builder::new().spawn(try_ring);
    let tried = probe.and_then(|probe| probe.join().unwrap_or(Ok(())));
    let found = tried.err().map(|error| reason_of(&error));
    if found != Some(Refusal::Resources) {
        let _ = KNOWN.set(found);
    }
    found
}

fn try_ring() -> io::Result<()> {
    let mut ring = Ring::new(&RingOptions::default())?;
    // A filter of system calls may allow to open a ring, and forbid to use it.
    match ring.enter(0, None).map_err(|error| (error.raw_os_error(), error)) {
        Err((Some(libc::EPERM | libc::EACCES | libc::ENOSYS), error)) => Err(error),
        // A signal, or a shortage, which passes.
        _ => Ok(()),
    }
}

fn reason_of(error: &io::Error) -> Refusal {
    reason(error.raw_os_error(), fs::read_to_string(DISABLED).ok().as_deref())
}

/// `disabled`: the setting's text, where the kernel has the setting.
fn reason(errno: Option<i32>, disabled: Option<&str>) -> Refusal {
    let is_disabled = disabled.is_some_and(|text| text.trim() != "0");
    match errno {
        // `EAGAIN`: no thread to try it on.
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN) => Refusal::Resources,
        // Linux 6.6 refuses so, and filters of system calls do, too.
        Some(libc::EPERM | libc::EACCES) if is_disabled => Refusal::Setting,
        Some(libc::EPERM | libc::EACCES) => Refusal::Filter,
        // Docker's filter answers ENOSYS for system calls that it does not know.
        Some(libc::ENOSYS) if disabled.is_some() => Refusal::Filter,
        _ => Refusal::Kernel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errno_and_the_setting_tell_the_reason() {
        let cases = [
            (libc::EPERM, Some("2\n"), Refusal::Setting),
            (libc::EPERM, Some("1\n"), Refusal::Setting),
            (libc::EPERM, Some("0\n"), Refusal::Filter),
            (libc::EPERM, None, Refusal::Filter),
            (libc::ENOSYS, Some("0\n"), Refusal::Filter),
            (libc::ENOSYS, None, Refusal::Kernel),
            (libc::EINVAL, None, Refusal::Kernel),
            (libc::EMFILE, Some("0\n"), Refusal::Resources),
        ];
        for (errno, disabled, expected) in cases {
            assert_eq!(reason(Some(errno), disabled), expected, "{errno} {disabled:?}");
        }
    }
}
