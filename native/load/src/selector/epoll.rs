//! The wait on Linux.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::sockets::Ready;

/// The events of a connection, registered once: edge-triggered, room to write costs no wake of its
/// own unless a write was cut short.
const EVERYTHING: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);
/// The end of the peer's half, or a broken connection.
const ENDS: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

/// One epoll, and what its last wait found.
pub struct Selector {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Selector {
    pub fn new() -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(1024) })
    }

    /// Watches a connection, by edge.
    pub fn add(&self, source: &impl AsFd, token: u64) -> Result<(), Errno> {
        epoll::add(&self.epoll, source, EventData::new_u64(token), EVERYTHING)
    }

    /// Watches something to read, by level: `PERM` for a file.
    pub fn add_input(&self, source: &impl AsFd, token: u64) -> Result<(), Errno> {
        epoll::add(&self.epoll, source, EventData::new_u64(token), EventFlags::IN)
    }

    /// Waits for so long at the most, and returns how many events there are.
    pub fn wait(&mut self, timeout: Duration) -> Result<usize, Errno> {
        let timeout =
            Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        self.events.clear();
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout))
    }

    pub fn ready(&self, place: usize) -> Ready {
        let epoll::Event { flags, data } = self.events[place];
        let ends = flags.intersects(ENDS);
        Ready { token: data.u64(), to_read: ends || flags.contains(EventFlags::IN), ends }
    }
}
