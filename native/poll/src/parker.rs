//! Waits for polls beside an event loop that must not be blocked, such as
//! JavaScript's. A blocking call would hold a thread of the loop's pool, which has
//! few; a parked poll holds none of them.
//!
//! Either the kernel signals an eventfd that the event loop reads (`sys/aio.rs`,
//! `sys/uring.rs`), or a thread of this library writes a byte to a socket that the event loop
//! reads: one thread for all polls with a descriptor (`shared_thread.rs`), and
//! one for each poll that has none (`parked_poll.rs`).

mod parked_poll;
mod shared_thread;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::Poll;
#[cfg(target_os = "linux")]
use crate::sync::Mutex;
#[cfg(target_os = "linux")]
use crate::sys::KernelPark;
use parked_poll::ParkedPoll;

/// The place where one poll is parked.
#[derive(Debug)]
pub struct Parker(Way);

/// How the event loop learns that a wait is over.
#[derive(Debug)]
enum Way {
    /// The kernel signals an eventfd.
    #[cfg(target_os = "linux")]
    Kernel(Box<Mutex<KernelPark>>),
    /// The poll itself signals an eventfd.
    #[cfg(target_os = "linux")]
    Poll(Arc<Poll>),
    /// A thread writes to a socket.
    Thread(Arc<ParkedPoll>),
}

impl Parker {
    /// Opens a place for `poll`, and returns the socket's end from which the program
    /// reads a byte when a wait is over. Both ends are non-blocking.
    ///
    /// # Errors
    ///
    /// The error of `socketpair(2)`, as `EMFILE`, and the errors of starting a thread.
    pub fn new(poll: Arc<Poll>) -> io::Result<(Self, OwnedFd)> {
        let watch = poll.registry().selector().pollable();
        let watch = watch.map(|fd| fd.try_clone_to_owned()).transpose()?;
        Self::by_thread(poll, watch)
    }

    /// Opens a place for another object than a poll: a wait is over when `watch`, a
    /// descriptor of the object, is readable. Otherwise as [`Parker::new`].
    ///
    /// # Errors
    ///
    /// As [`Parker::new`].
    pub fn watching(watch: OwnedFd) -> io::Result<(Self, OwnedFd)> {
        Self::by_thread(Arc::new(Poll::new()?), Some(watch))
    }

    fn by_thread(poll: Arc<Poll>, watch: Option<OwnedFd>) -> io::Result<(Self, OwnedFd)> {
        // Close-on-exec, and without `SIGPIPE` where that is a socket's option.
        let (writer, reader) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        writer.set_nonblocking(true)?;
        reader.set_nonblocking(true)?;
        let parked = ParkedPoll::open(poll, watch, writer.into())?;
        Ok((Self(Way::Thread(parked)), reader.into()))
    }

    /// Opens a place without a thread: the kernel signals an eventfd, and this returns
    /// a descriptor of it. The reading thread also wakes up sooner.
    ///
    /// # Errors
    ///
    /// `ENOSYS` and others where the system or the poll's backend cannot do it.
    #[cfg(target_os = "linux")]
    pub fn by_kernel(poll: &Arc<Poll>) -> io::Result<(Self, OwnedFd)> {
        let selector = poll.registry().selector();
        let Some(fd) = selector.pollable() else {
            return Err(io::Error::from_raw_os_error(libc::ENOSYS));
        };
        let fd = fd.try_clone_to_owned()?;
        if selector.ring().is_some() {
            return Ok((Self(Way::Poll(Arc::clone(poll))), fd));
        }
        let park = KernelPark::new(fd)?;
        let signal = park.signal()?;
        Ok((Self(Way::Kernel(Box::new(Mutex::new(park)))), signal))
    }

    /// Fails: only Linux can do it.
    ///
    /// # Errors
    ///
    /// `ENOSYS`, always.
    #[cfg(not(target_os = "linux"))]
    pub fn by_kernel(_poll: &Arc<Poll>) -> io::Result<(Self, OwnedFd)> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    /// Makes the descriptor readable when something is ready or `timeout` is
    /// over; `None` waits without limit. Takes no event. A second call replaces
    /// the first.
    ///
    /// # Errors
    ///
    /// The error of the system; then the descriptor does not become readable.
    pub fn park(&self, timeout: Option<Duration>) -> io::Result<()> {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Way::Kernel(park) => lock(park).park(timeout),
            #[cfg(target_os = "linux")]
            Way::Poll(poll) => poll.registry().selector().begin_signals(timeout).map(drop),
            Way::Thread(parked) => parked.park(timeout),
        }
    }

    /// Makes the descriptor readable now.
    pub fn wake(&self) {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Way::Kernel(park) => lock(park).wake(),
            #[cfg(target_os = "linux")]
            Way::Poll(poll) => poll.registry().selector().signal(),
            Way::Thread(parked) => parked.wake(),
        }
    }
}

impl Drop for Parker {
    fn drop(&mut self) {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Way::Kernel(_) | Way::Poll(_) => {}
            Way::Thread(parked) => parked.close(),
        }
    }
}

#[cfg(target_os = "linux")]
fn lock<T>(mutex: &Mutex<T>) -> crate::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
