//! Pipes: the system's own calls, and no `SIGPIPE` from any of them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::retry_on_intr;

/// `pipe2(2)`, non-blocking and close-on-exec: the reading and the writing end.
#[cfg(not(apple))]
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::pipe::PipeFlags;
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?)
}

/// Apple has no `pipe2`: the flags take four more calls.
#[cfg(apple)]
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    for end in [&reader, &writer] {
        rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(end, true)?;
    }
    Ok((reader, writer))
}

/// `read(2)`.
pub fn read(reader: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::read(reader, &mut *buffer))?)
}

/// `readv(2)`.
pub fn read_vectored(reader: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::readv(reader, &mut *buffers))?)
}

/// `write(2)` without `SIGPIPE`.
pub fn write(writer: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    without_sigpipe(|| Ok(retry_on_intr(|| rustix::io::write(writer, bytes))?))
}

/// `writev(2)` without `SIGPIPE`.
pub fn write_vectored(writer: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    without_sigpipe(|| Ok(retry_on_intr(|| rustix::io::writev(writer, buffers))?))
}

/// Writes with `SIGPIPE` blocked in this thread, and takes the signal of this write.
///
/// Sockets have a flag for this, pipes have none, and a library cannot rely on the
/// program's treatment of signals: the default ends the process. The kernel sends the
/// signal of a write to the thread that wrote, so no other thread can get it. This
/// costs two system calls, and no state that others could see.
fn without_sigpipe(write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    let sigpipe = only_sigpipe();
    let before = change_mask(libc::SIG_BLOCK, &sigpipe)?;
    // SAFETY: `before` is a set that the system has filled.
    let was_blocked = unsafe { libc::sigismember(&before, libc::SIGPIPE) } == 1;
    // A signal from before, in a thread that always blocks it, is not ours to take.
    let was_pending = was_blocked && is_pending();
    let written = write();
    let is_broken = matches!(&written, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
    if is_broken && !was_pending && is_pending() {
        let mut taken = 0;
        // SAFETY: both are there; one is pending, so this does not wait.
        unsafe { libc::sigwait(&sigpipe, &mut taken) };
    }
    if !was_blocked {
        change_mask(libc::SIG_UNBLOCK, &sigpipe)?;
    }
    written
}

fn only_sigpipe() -> libc::sigset_t {
    let mut set = empty_set();
    // SAFETY: `set` is a set, and the signal a valid one.
    unsafe { libc::sigaddset(&mut set, libc::SIGPIPE) };
    set
}

/// Whether a `SIGPIPE` is pending. An ignored signal never is.
fn is_pending() -> bool {
    let mut pending = empty_set();
    // SAFETY: `pending` is a set.
    unsafe { libc::sigpending(&mut pending) };
    // SAFETY: as before.
    unsafe { libc::sigismember(&pending, libc::SIGPIPE) == 1 }
}

/// Changes this thread's mask, and returns the one before.
fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = empty_set();
    // SAFETY: both are sets.
    match unsafe { libc::pthread_sigmask(how, set, &mut before) } {
        0 => Ok(before),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

fn empty_set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: `set` is writable.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: it is filled, and zeroes would be a set too.
    unsafe { set.assume_init() }
}
