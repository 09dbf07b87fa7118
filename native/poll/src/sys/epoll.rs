//! Readiness from epoll (Linux, Android): `epoll(7)`, `eventfd(2)`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::BATCH_MAX;
use super::eventfd::EventFd;
use super::socket::{timespec, wait_readable};
use crate::{Backend, Event, Interest, Mode, Token};

/// The backend of this file.
pub const BACKEND: Backend = Backend::Epoll;

/// Whether epoll can do it. `EPOLLEXCLUSIVE` goes with reading and writing alone
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
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// `epoll_wait(2)`, at most [`BATCH_MAX`] events.
    #[inline]
    pub fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        let mut room = [const { MaybeUninit::<epoll::Event>::uninit() }; BATCH_MAX];
        let room = room.get_mut(..events.len().min(BATCH_MAX)).unwrap_or_default();
        let (ready, _) = epoll::wait(&self.epoll, room, timespec(timeout_ms).as_ref())?;
        for (event, ready) in events.iter_mut().zip(&*ready) {
            // Copied, because the system's struct is packed.
            let (data, flags) = (ready.data, ready.flags);
            *event = Event::new(Token(data.u64() as u32), readiness(flags.bits()));
        }
        Ok(ready.len())
    }

    /// `poll(2)` on the instance, which is itself pollable.
    pub fn park(&self, timeout_ms: i32) -> io::Result<bool> {
        wait_readable(self.epoll.as_fd(), timeout_ms)
    }

    /// `EPOLL_CTL_ADD`.
    pub fn register(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, data(token), event_flags(interest, mode))?)
    }

    /// `EPOLL_CTL_MOD`, which also fires again when the source is ready now.
    pub fn reregister(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, data(token), event_flags(interest, mode))?)
    }

    /// `EPOLL_CTL_DEL`.
    pub fn deregister(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }
}

fn data(token: Token) -> EventData {
    EventData::new_u64(token.0.into())
}

fn event_flags(interest: Interest, mode: Mode) -> EventFlags {
    EventFlags::from_bits_retain(flags(interest, mode))
}

impl AsFd for Selector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The flags of a registration.
fn flags(interest: Interest, mode: Mode) -> u32 {
    let mut flags = interest_flags(interest);
    if mode.is_edge() {
        flags |= libc::EPOLLET as u32;
    }
    if mode.is_one_shot() {
        flags |= libc::EPOLLONESHOT as u32;
    }
    if mode.is_exclusive() {
        // Linux refuses `EPOLLRDHUP` beside `EPOLLEXCLUSIVE`. A shared source is a
        // listener, and no peer can end a listener.
        flags &= !(libc::EPOLLRDHUP as u32);
        flags |= libc::EPOLLEXCLUSIVE as u32;
    }
    flags
}

/// The flags of an interest. `EPOLLRDHUP` goes with reading, so that the event of a
/// stream's last bytes reports its end as well.
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
#[inline]
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
        selector.register(eventfd.as_fd(), token, Interest::READABLE, Mode::EDGE)?;
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
    fn interest_has_the_flags_of_mio() {
        let bits = |flags: i32| (flags | libc::EPOLLET) as u32;
        let edge = |interest| flags(interest, Mode::EDGE);
        assert_eq!(edge(Interest::READABLE), bits(libc::EPOLLIN | libc::EPOLLRDHUP));
        assert_eq!(edge(Interest::WRITABLE), bits(libc::EPOLLOUT));
        assert_eq!(edge(Interest::PRIORITY), bits(libc::EPOLLPRI));
    }

    #[test]
    fn mode_adds_its_flag_and_drops_flags_that_linux_refuses() {
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
