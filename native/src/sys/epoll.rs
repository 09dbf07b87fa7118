//! Readiness from epoll (Linux, Android): `epoll(7)`, `eventfd(2)`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::BATCH_MAX;
use super::eventfd::EventFd;
use super::socket::wait_readable;
use crate::{Backend, Event, Interest, Mode, Token};

/// Which backend this is.
pub const BACKEND: Backend = Backend::Epoll;

/// Whether epoll has it. `EPOLLEXCLUSIVE` goes with reading and writing alone
/// (`epoll_ctl(2)`).
pub fn supports(interest: Interest, mode: Mode) -> bool {
    !mode.is_exclusive() || !mode.is_one_shot() && !interest.is_priority()
}

/// One epoll instance.
#[derive(Debug)]
pub struct Selector {
    epoll: OwnedFd,
}

impl Selector {
    /// Opens an epoll instance, close-on-exec.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Self { epoll: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// `epoll_wait(2)`, at most [`BATCH_MAX`] events.
    pub fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        let mut ready = [const { MaybeUninit::<libc::epoll_event>::uninit() }; BATCH_MAX];
        let capacity = events.len().min(BATCH_MAX) as i32;
        // SAFETY: `ready` is writable for `BATCH_MAX` events, and `capacity` is no more.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                ready.as_mut_ptr().cast(),
                capacity,
                timeout_ms.max(-1),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (event, ready) in events.iter_mut().zip(&ready).take(count) {
            // SAFETY: epoll_wait has written the first `count` entries.
            let ready = unsafe { ready.assume_init_ref() };
            *event = Event::new(Token(ready.u64 as u32), readiness(ready.events));
        }
        Ok(count)
    }

    /// `poll(2)` on the instance, which is itself pollable.
    pub fn park(&self, timeout_ms: i32) -> io::Result<bool> {
        wait_readable(&self.epoll, timeout_ms)
    }

    /// `EPOLL_CTL_ADD`.
    pub fn register(
        &self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, Some((token, flags(interest, mode))))
    }

    /// `EPOLL_CTL_MOD`, which also fires again when the source is ready now.
    pub fn reregister(
        &self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, Some((token, flags(interest, mode))))
    }

    /// `EPOLL_CTL_DEL`.
    pub fn deregister(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, None)
    }

    fn control(&self, operation: i32, fd: RawFd, wanted: Option<(Token, u32)>) -> io::Result<()> {
        let (token, events) = wanted.unwrap_or_default();
        let mut event = libc::epoll_event { events, u64: u64::from(token.0) };
        // SAFETY: `event` outlives the call, which keeps no pointer; a wrong
        // descriptor is an error, not undefined behaviour.
        let done = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &mut event) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl AsFd for Selector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// What epoll is asked for.
fn flags(interest: Interest, mode: Mode) -> u32 {
    let mut flags = interest_flags(interest);
    if mode.is_edge() {
        flags |= libc::EPOLLET as u32;
    }
    if mode.is_one_shot() {
        flags |= libc::EPOLLONESHOT as u32;
    }
    if mode.is_exclusive() {
        // Linux refuses the one with the other. What is shared is a listener,
        // and no peer can end that.
        flags &= !(libc::EPOLLRDHUP as u32);
        flags |= libc::EPOLLEXCLUSIVE as u32;
    }
    flags
}

/// What is waited for. `EPOLLRDHUP` goes with reading, so that the end of a
/// stream is told in the event that brings its last bytes.
pub fn interest_flags(interest: Interest) -> u32 {
    let mut flags = 0;
    if interest.is_readable() {
        flags |= libc::EPOLLIN | libc::EPOLLRDHUP;
    }
    if interest.is_writable() {
        flags |= libc::EPOLLOUT;
    }
    if interest.is_priority() {
        flags |= libc::EPOLLPRI;
    }
    flags as u32
}

/// What epoll's bits mean, as mio reads them.
pub fn readiness(flags: u32) -> u32 {
    let has = |wanted: i32| flags & wanted as u32 != 0;
    let mut bits = 0;
    if has(libc::EPOLLIN | libc::EPOLLPRI) {
        bits |= Event::READABLE;
    }
    if has(libc::EPOLLOUT) {
        bits |= Event::WRITABLE;
    }
    if has(libc::EPOLLPRI) {
        bits |= Event::PRIORITY;
    }
    if has(libc::EPOLLERR) {
        bits |= Event::ERROR;
    }
    if has(libc::EPOLLHUP) || has(libc::EPOLLIN) && has(libc::EPOLLRDHUP) {
        bits |= Event::READ_CLOSED;
    }
    let error_ends_writing = has(libc::EPOLLOUT) && has(libc::EPOLLERR);
    if has(libc::EPOLLHUP) || error_ends_writing || flags == libc::EPOLLERR as u32 {
        bits |= Event::WRITE_CLOSED;
    }
    bits
}

/// An eventfd, edge-triggered, so that it need not be read after each wake.
#[derive(Debug)]
pub struct Waker {
    eventfd: EventFd,
}

impl Waker {
    /// Opens an eventfd and registers it.
    pub fn new(selector: &Selector, token: Token) -> io::Result<Self> {
        let eventfd = EventFd::new()?;
        selector.register(eventfd.as_raw_fd(), token, Interest::READABLE, Mode::EDGE)?;
        Ok(Self { eventfd })
    }

    /// Adds one to the counter.
    pub fn wake(&self) -> io::Result<()> {
        self.eventfd.signal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interest_asks_for_what_mio_asks_for() {
        let bits = |flags: i32| (flags | libc::EPOLLET) as u32;
        let edge = |interest| flags(interest, Mode::EDGE);
        assert_eq!(edge(Interest::READABLE), bits(libc::EPOLLIN | libc::EPOLLRDHUP));
        assert_eq!(edge(Interest::WRITABLE), bits(libc::EPOLLOUT));
        assert_eq!(edge(Interest::PRIORITY), bits(libc::EPOLLPRI));
    }

    #[test]
    fn mode_adds_its_flag_and_takes_what_linux_would_refuse() {
        let write = |mode| flags(Interest::WRITABLE, mode) as i32;
        assert_eq!(write(Mode::LEVEL), libc::EPOLLOUT);
        assert_eq!(write(Mode::ONE_SHOT), libc::EPOLLOUT | libc::EPOLLONESHOT);
        let shared = flags(Interest::READABLE, Mode::LEVEL.exclusive()) as i32;
        assert_eq!(shared, libc::EPOLLIN | libc::EPOLLEXCLUSIVE);
        assert!(!supports(Interest::PRIORITY, Mode::EDGE.exclusive()));
        assert!(!supports(Interest::READABLE, Mode::ONE_SHOT.exclusive()));
        assert!(supports(Interest::PRIORITY, Mode::ONE_SHOT));
    }

    #[test]
    fn readiness_follows_mio() {
        let read = |flags: i32| readiness(flags as u32);
        assert_eq!(read(libc::EPOLLIN), Event::READABLE);
        assert_eq!(read(libc::EPOLLPRI), Event::READABLE | Event::PRIORITY);
        assert_eq!(read(libc::EPOLLOUT), Event::WRITABLE);
        assert_eq!(read(libc::EPOLLIN | libc::EPOLLRDHUP), Event::READABLE | Event::READ_CLOSED);
        assert_eq!(read(libc::EPOLLRDHUP), 0);
        assert_eq!(read(libc::EPOLLERR), Event::ERROR | Event::WRITE_CLOSED);
        assert_eq!(read(libc::EPOLLHUP), Event::READ_CLOSED | Event::WRITE_CLOSED);
        assert_eq!(
            read(libc::EPOLLOUT | libc::EPOLLERR),
            Event::WRITABLE | Event::ERROR | Event::WRITE_CLOSED
        );
        assert_eq!(read(libc::EPOLLIN | libc::EPOLLERR), Event::READABLE | Event::ERROR);
    }
}
