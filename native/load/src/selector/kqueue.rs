//! The wait on macOS and FreeBSD.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use rustix::event::kqueue::{self, Event, EventFilter, EventFlags};
use rustix::io::Errno;

use crate::sockets::Ready;

/// One kqueue, and what its last wait found.
pub struct Selector {
    kqueue: OwnedFd,
    events: Vec<Event>,
}

impl Selector {
    pub fn new() -> Result<Self, Errno> {
        Ok(Self { kqueue: kqueue::kqueue()?, events: Vec::with_capacity(1024) })
    }

    /// Watches a connection, by edge.
    pub fn add(&self, source: &impl AsFd, token: u64) -> Result<(), Errno> {
        let fd = source.as_fd().as_raw_fd();
        let both = [EventFilter::Read(fd), EventFilter::Write(fd)];
        let changes = both.map(|filter| change(filter, EventFlags::CLEAR, token));
        self.change(&changes)
    }

    /// Watches something to read, by level.
    pub fn add_input(&self, source: &impl AsFd, token: u64) -> Result<(), Errno> {
        let filter = EventFilter::Read(source.as_fd().as_raw_fd());
        self.change(&[change(filter, EventFlags::empty(), token)])
    }

    #[allow(unsafe_code, reason = "the wrapper of kevent(2) is unsafe")]
    fn change(&self, changes: &[Event]) -> Result<(), Errno> {
        let mut none: [Event; 0] = [];
        // SAFETY: no change names a signal or a process, and the descriptors are open.
        unsafe { kqueue::kevent(&self.kqueue, changes, &mut none[..], None) }?;
        Ok(())
    }

    /// Waits for so long at the most, and returns how many events there are.
    #[allow(unsafe_code, reason = "the wrapper of kevent(2) is unsafe")]
    pub fn wait(&mut self, timeout: Duration) -> Result<usize, Errno> {
        self.events.clear();
        let room = rustix::buffer::spare_capacity(&mut self.events);
        // SAFETY: nothing is changed.
        unsafe { kqueue::kevent(&self.kqueue, &[], room, Some(timeout)) }
    }

    pub fn ready(&self, place: usize) -> Ready {
        let event = &self.events[place];
        let ends = event.flags().contains(EventFlags::EOF);
        let is_read = matches!(event.filter(), EventFilter::Read(_));
        Ready { token: event.udata().addr() as u64, to_read: ends || is_read, ends }
    }
}

fn change(filter: EventFilter, flags: EventFlags, token: u64) -> Event {
    Event::new(filter, EventFlags::ADD | flags, ptr::without_provenance_mut(token as usize))
}
