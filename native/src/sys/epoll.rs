//! Readiness from epoll (Linux, Android): `epoll(7)`, `eventfd(2)`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{BATCH_MAX, next_selector_id, retry_interrupted};
use crate::{Event, Interest, Token};

/// The backend's name.
pub const NAME: &str = "epoll";

/// One epoll instance.
#[derive(Debug)]
pub struct Selector {
    epoll: OwnedFd,
    id: u32,
    has_waker: AtomicBool,
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
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { epoll, id: next_selector_id(), has_waker: AtomicBool::new(false) })
    }

    /// The number that tells selectors apart.
    pub const fn id(&self) -> u32 {
        self.id
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

    /// `EPOLL_CTL_ADD`.
    pub fn register(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, Some((token, interest_flags(interest))))
    }

    /// `EPOLL_CTL_MOD`, which also fires again when the source is ready now.
    pub fn reregister(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, Some((token, interest_flags(interest))))
    }

    /// `EPOLL_CTL_DEL`.
    pub fn deregister(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, None)
    }

    /// Takes the one place for a waker; false when it is taken.
    pub fn claim_waker(&self) -> bool {
        !self.has_waker.swap(true, Ordering::AcqRel)
    }

    /// Gives the waker's place back.
    pub fn release_waker(&self) {
        self.has_waker.store(false, Ordering::Release);
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

impl AsRawFd for Selector {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

/// What epoll is asked for. `EPOLLRDHUP` goes with reading, so that the end of
/// a stream is told in the event that brings its last bytes.
fn interest_flags(interest: Interest) -> u32 {
    let mut flags = libc::EPOLLET;
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

/// What epoll's bits mean: items 37 and 38 of mio's observed behaviour.
fn readiness(flags: u32) -> u32 {
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
    eventfd: OwnedFd,
}

impl Waker {
    /// Opens an eventfd and registers it.
    pub fn new(selector: &Selector, token: Token) -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let eventfd = unsafe { OwnedFd::from_raw_fd(fd) };
        selector.register(fd, token, Interest::READABLE)?;
        Ok(Self { eventfd })
    }

    /// Adds one to the counter; a counter at its limit is emptied first.
    pub fn wake(&self) -> io::Result<()> {
        loop {
            match write(&self.eventfd, &1_u64.to_ne_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.reset()?,
                done => return done.map(drop),
            }
        }
    }

    fn reset(&self) -> io::Result<()> {
        match read(&self.eventfd, &mut [0; 8]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}

/// `read(2)`.
fn read(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (fd, length) = (fd.as_raw_fd(), buffer.len());
    let pointer = buffer.as_mut_ptr().cast();
    // SAFETY: `pointer` is writable for `length` bytes while this runs.
    retry_interrupted(|| unsafe { libc::read(fd, pointer, length) })
}

/// `write(2)`.
fn write(fd: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    let (fd, length) = (fd.as_raw_fd(), bytes.len());
    let pointer = bytes.as_ptr().cast();
    // SAFETY: `pointer` is readable for `length` bytes while this runs.
    retry_interrupted(|| unsafe { libc::write(fd, pointer, length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interest_asks_for_what_mio_asks_for() {
        let bits = |flags: i32| (flags | libc::EPOLLET) as u32;
        assert_eq!(interest_flags(Interest::READABLE), bits(libc::EPOLLIN | libc::EPOLLRDHUP));
        assert_eq!(interest_flags(Interest::WRITABLE), bits(libc::EPOLLOUT));
        assert_eq!(interest_flags(Interest::PRIORITY), bits(libc::EPOLLPRI));
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

    #[test]
    fn a_full_waker_counter_is_emptied_and_written_again() {
        let selector = Selector::new().unwrap();
        let waker = Waker::new(&selector, Token(1)).unwrap();
        let nearly_full = (u64::MAX - 1).to_ne_bytes();
        write(&waker.eventfd, &nearly_full).unwrap();
        waker.wake().unwrap();
        let mut events = [Event::default(); 2];
        assert_eq!(selector.wait(&mut events, 0).unwrap(), 1);
        assert_eq!(events[0], Event::new(Token(1), Event::READABLE));
    }
}
