//! What the standard library has no word for: epoll, a timer that ticks, the limit of descriptors.
//!
//! All of this program's unsafe code is here, and nothing else is.

#![allow(unsafe_code, reason = "system calls that no dependency wraps")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// As many as a turn works through before it looks at the clock again.
const EVENTS_MAX: usize = 1024;

/// What a connection is watched for, once and for all: edge-triggered, the room to write costs no
/// wake of its own unless a write was cut short.
pub const EVERYTHING: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
/// What a timer or standard input is watched for, until it has been read.
pub const INPUT: i32 = libc::EPOLLIN;

/// What one descriptor is ready for.
#[derive(Clone, Copy)]
pub struct Event {
    /// What it was added under.
    pub token: u64,
    flags: u32,
}

impl Event {
    /// Whether there is something to read, be it the end or an error.
    pub const fn is_readable(self) -> bool {
        self.flags & libc::EPOLLIN as u32 != 0 || self.ends()
    }

    /// Whether the peer has ended its half, or the connection is broken. The end may have no edge
    /// of its own any more, so that reading goes on until it is seen.
    pub const fn ends(self) -> bool {
        let ends = libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;
        self.flags & ends as u32 != 0
    }
}

/// An epoll, and the events of its last wait.
pub struct Epoll {
    descriptor: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let descriptor = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
        Ok(Self { descriptor, events })
    }

    /// Watches a descriptor until it is closed.
    pub fn add(&self, descriptor: impl AsFd, token: u64, flags: i32) -> io::Result<()> {
        let (epoll, add) = (self.descriptor.as_raw_fd(), libc::EPOLL_CTL_ADD);
        let mut event = libc::epoll_event { events: flags as u32, u64: token };
        let descriptor = descriptor.as_fd().as_raw_fd();
        // SAFETY: `event` outlives the call, which keeps no pointer.
        checked(unsafe { libc::epoll_ctl(epoll, add, descriptor, &raw mut event) }).map(drop)
    }

    /// Waits, without limit when `timeout_ms` is negative, and returns how many events there are.
    /// None when a signal came.
    pub fn wait(&mut self, timeout_ms: i32) -> io::Result<usize> {
        let (epoll, room) = (self.descriptor.as_raw_fd(), EVENTS_MAX as i32);
        let events = self.events.as_mut_ptr();
        // SAFETY: `events` is writable for `room` events while this runs.
        match checked(unsafe { libc::epoll_wait(epoll, events, room, timeout_ms) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            count => count.map(|count| count as usize),
        }
    }

    /// One of the events of the last wait.
    pub fn event(&self, place: usize) -> Event {
        let libc::epoll_event { events: flags, u64: token } = self.events[place];
        Event { token, flags }
    }
}

/// A timer that ticks for ever. The system counts the ticks: none is lost while nobody looks, and
/// none is late by the slack of a millisecond that a wait's own timeout has.
pub struct Ticks(OwnedFd);

impl Ticks {
    /// Ticks at once, and then every `period`.
    pub fn every(period: Duration) -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: takes no pointer.
        let timer = owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        // Nothing at all would stop it.
        let at_once = Duration::from_nanos(1);
        let times = libc::itimerspec {
            it_interval: timespec(period.max(at_once)),
            it_value: timespec(at_once),
        };
        let old = std::ptr::null_mut();
        // SAFETY: `times` is readable while this runs, and null asks for no old times.
        checked(unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const times, old) })?;
        Ok(Self(timer))
    }

    /// How many ticks there were since the last time.
    pub fn count(&self) -> u64 {
        let mut count = 0_u64;
        let (start, length) = ((&raw mut count).cast(), size_of_val(&count));
        // SAFETY: `count` is writable for `length` bytes while this runs. When there was no tick
        // it stays what it is.
        unsafe { libc::read(self.0.as_raw_fd(), start, length) };
        count
    }
}

impl AsFd for Ticks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: duration.as_secs() as libc::time_t,
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// Lets a socket that is bound to an address choose its port when it connects: a bound port is
/// nobody else's, one that is chosen then only has to differ for the same peer.
pub fn choose_port_late(socket: impl AsFd) -> io::Result<()> {
    let (on, option) = (1_i32, libc::IP_BIND_ADDRESS_NO_PORT);
    let (start, length) = ((&raw const on).cast(), size_of_val(&on) as libc::socklen_t);
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: `on` is readable for `length` bytes while this runs.
    checked(unsafe { libc::setsockopt(descriptor, libc::IPPROTO_IP, option, start, length) })
        .map(drop)
}

/// Raises the limit of open descriptors as far as it goes.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable while this runs.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is readable while this runs.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).map(drop)
}

fn owned(descriptor: RawFd) -> io::Result<OwnedFd> {
    checked(descriptor)?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
