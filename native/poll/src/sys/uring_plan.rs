//! What a selector on io_uring asks the kernel for, and what the completions mean: without
//! system calls, so that tests can play the kernel.
//!
//! A source has at most two operations in flight. A *poll* reports readiness. A *receive*
//! takes what comes to a TCP stream that is read ahead, and lays it into the stream's inbox:
//! then a read of the program needs no system call. An operation has a name that no other has
//! had, so a completion of an operation that was given up is recognised and dropped.
//!
//! What a receive must not do:
//!
//! - fill the memory: a source with [`UNREAD_MAX`] unread bytes has its receive cancelled,
//!   until the program has read them all;
//! - keep buffers: what was not read by the next wait moves to memory of its own;
//! - cost more than reading: after [`BULK_BUFFERS`] full buffers in a row a source is read
//!   *directly*, as under epoll, until its reads are small again.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;

use super::epoll::{interest_flags, readiness};
use crate::{Event, Interest, Token};

mod inbox;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod script;

pub use inbox::Bytes;
use inbox::{Filled, Inbox};

/// Unread bytes with which a source receives no more: what a connection of the reactor may
/// hold unread, too. A full buffer more may come before the kernel has stopped.
pub const UNREAD_MAX: usize = 64 * 1024;
/// Full buffers in a row after which a source is read directly.
const BULK_BUFFERS: u8 = 8;
/// Short reads in a row, each of less than a buffer, after which a source that was read
/// directly is read ahead again.
const SMALL_READS: u8 = 4;

const IN: u32 = libc::EPOLLIN as u32;
const OUT: u32 = libc::EPOLLOUT as u32;
const RDHUP: u32 = libc::EPOLLRDHUP as u32;
const PRI: u32 = libc::EPOLLPRI as u32;

/// An operation for the kernel. `name` comes back with each of its completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Receive into buffers of the kernel's choice, again and again.
    Receive {
        /// The descriptor.
        fd: RawFd,
        /// The operation's name.
        name: u64,
    },
    /// Report each change to one of `events`.
    Poll {
        /// The descriptor.
        fd: RawFd,
        /// Bits of `epoll_ctl(2)`.
        events: u32,
        /// The operation's name.
        name: u64,
    },
    /// Cancel the operation of that name.
    Cancel {
        /// The operation's name.
        name: u64,
    },
}

/// What the kernel has said about an operation.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// The operation's name.
    pub name: u64,
    /// A count, bits of events, or `-errno`.
    pub result: i32,
    /// Whether the operation is over.
    pub is_last: bool,
    /// The buffer that the kernel has filled.
    pub buffer: Option<u16>,
}

/// What a read finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes.
    Taken(usize),
    /// Nothing yet: an event follows.
    Nothing,
    /// The end of the stream.
    Ended,
    /// An error, as an errno.
    Failed(i32),
    /// No operation is in flight: the caller reads by a system call.
    Directly,
}

/// How a stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Ended,
    /// By an error that the program has not met yet.
    Failed(i32),
}

/// The state of a source's receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receive {
    Idle,
    Flying(u32),
    /// It was cancelled, and its last completion has not come.
    Ending(u32),
}

/// A poll in flight; none when the number is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Poll {
    number: u32,
    events: u32,
}

#[derive(Debug)]
struct Source {
    fd: RawFd,
    token: Token,
    /// Bits of `epoll_ctl(2)` that the program asked for.
    wanted: u32,
    receive: Receive,
    poll: Poll,
    /// Readiness that was not reported yet.
    readiness: u32,
    end: End,
    inbox: Inbox,
    reads_ahead: bool,
    /// Whether it is read by system calls, although it asked to be read ahead.
    is_direct: bool,
    /// Whether it has too many unread bytes to receive more.
    is_paused: bool,
    /// Whether the poll must be replaced, so that it reports what is ready now.
    repeats_poll: bool,
    /// Whether it is in `changed`.
    is_changed: bool,
    /// Whether it is leaving: nothing is armed any more.
    is_leaving: bool,
    full_buffers: u8,
    small_reads: u8,
}

/// What a source leaves behind: bytes, and how the stream has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Received and not read.
    pub bytes: Vec<u8>,
    /// `Some(0)` for the end, `Some(errno)` for an error that was not met yet.
    pub end: Option<i32>,
}

/// All sources of a selector.
#[derive(Debug)]
pub struct Plan {
    /// `None` is a free place.
    sources: Vec<Option<Source>>,
    free: Vec<u32>,
    /// By descriptor, the place in `sources` and one; 0 for none.
    places: Vec<u32>,
    /// Sources whose operations may have to change.
    changed: VecDeque<u32>,
    /// Operations of sources that have gone.
    cancels: VecDeque<u64>,
    /// Sources with readiness, the longest ready first.
    ready: VecDeque<u32>,
    /// Sources that were given buffers since the last [`Plan::settle`].
    holding: Vec<u32>,
    /// Sources for which there was no buffer since then.
    starved: Vec<u32>,
    filled: Filled,
    /// The number of the latest operation.
    number: u32,
    /// Operations in flight, and those among them that no source waits for.
    in_flight: usize,
    stale: usize,
    buffer_bytes: u32,
    unread_max: usize,
}

/// Numbers have 30 bits: the kind of operation has the other two.
const NUMBER_MAX: u32 = (1 << 30) - 1;
const RECEIVE: u64 = 0;
const POLL: u64 = 1;

/// The name of an operation of the caller's own: see [`Plan::complete`].
pub const fn own_name(number: u32) -> u64 {
    2 << 62 | number as u64
}

const fn name_of(kind: u64, number: u32, place: u32) -> u64 {
    kind << 62 | (number as u64) << 32 | place as u64
}

impl Plan {
    /// Plans for buffers of that size, and for so many unread bytes of a source.
    pub const fn new(buffer_bytes: u32, unread_max: usize) -> Self {
        Self {
            sources: Vec::new(),
            free: Vec::new(),
            places: Vec::new(),
            changed: VecDeque::new(),
            cancels: VecDeque::new(),
            ready: VecDeque::new(),
            holding: Vec::new(),
            starved: Vec::new(),
            filled: Filled::new(),
            number: 0,
            in_flight: 0,
            stale: 0,
            buffer_bytes,
            unread_max,
        }
    }

    /// Adds a source, edge-triggered; `EEXIST` when the descriptor is there.
    pub fn add(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        reads_ahead: bool,
    ) -> io::Result<()> {
        let index = usize::try_from(fd).map_err(|_| errno(libc::EBADF))?;
        if self.places.len() <= index {
            self.places.resize(index + 1, 0);
        }
        let entry = self.places.get_mut(index).filter(|place| **place == 0);
        let entry = entry.ok_or_else(|| errno(libc::EEXIST))?;
        let place = self.free.pop().unwrap_or_else(|| {
            self.sources.push(None);
            self.sources.len() as u32 - 1
        });
        *entry = place + 1;
        let source = Source::new(fd, token, interest_flags(interest), reads_ahead);
        if let Some(entry) = self.sources.get_mut(place as usize) {
            *entry = Some(source);
        }
        self.note_change(place);
        Ok(())
    }

    /// Gives a new source what was received for it earlier.
    pub fn put_back(&mut self, fd: RawFd, left: &Left) {
        let Some(place) = self.place_of(fd) else { return };
        let filled = &mut self.filled;
        let Some(Some(source)) = self.sources.get_mut(place as usize) else { return };
        source.end = match left.end {
            None => End::Open,
            Some(0) => End::Ended,
            Some(error) => End::Failed(error),
        };
        source.inbox.put_back(filled, left.bytes.clone());
        source.is_paused = source.inbox.len() >= self.unread_max;
        let bits = source.bits_now();
        self.note_ready(place, bits);
    }

    /// Replaces token and interest, and reports again what is ready now. False when the
    /// descriptor is not here.
    pub fn change(&mut self, fd: RawFd, token: Token, interest: Interest) -> bool {
        let Some((place, source)) = self.source_of(fd) else { return false };
        source.token = token;
        source.wanted = interest_flags(interest);
        source.repeats_poll = true;
        source.readiness = 0;
        let bits = source.bits_now();
        self.note_ready(place, bits);
        self.note_change(place);
        true
    }

    /// Whether the descriptor is here.
    pub fn has(&self, fd: RawFd) -> bool {
        self.place_of(fd).is_some()
    }

    /// Whether the descriptor is here, and is read ahead.
    pub fn reads_ahead(&self, fd: RawFd) -> bool {
        let source = self.place_of(fd).and_then(|place| self.find(place));
        source.is_some_and(|source| source.reads_ahead)
    }

    /// Arms nothing for the source any more, and cancels what is in flight.
    pub fn begin_leaving(&mut self, fd: RawFd) {
        let Some((place, source)) = self.source_of(fd) else { return };
        source.is_leaving = true;
        self.note_change(place);
    }

    /// Whether no receive of the source is in flight.
    pub fn has_stopped(&self, fd: RawFd) -> bool {
        let source = self.place_of(fd).and_then(|place| self.find(place));
        source.is_none_or(|source| source.receive == Receive::Idle)
    }

    /// Takes a source out, and returns what was received and not read.
    pub fn remove(&mut self, fd: RawFd, memory: &impl Bytes) -> Option<Left> {
        let place = self.place_of(fd)?;
        let mut source = self.sources.get_mut(place as usize)?.take()?;
        if let Some(entry) = usize::try_from(fd).ok().and_then(|fd| self.places.get_mut(fd)) {
            *entry = 0;
        }
        self.free.push(place);
        if source.poll.number != 0 {
            self.give_up(name_of(POLL, source.poll.number, place));
        }
        match source.receive {
            Receive::Idle => {}
            Receive::Flying(number) => self.give_up(name_of(RECEIVE, number, place)),
            Receive::Ending(_) => self.stale += 1,
        }
        let mut bytes = vec![0; source.inbox.len()];
        source.inbox.take(&mut self.filled, memory, &mut bytes);
        source.inbox.clear(&mut self.filled);
        let end = match source.end {
            End::Open => None,
            End::Ended => Some(0),
            End::Failed(error) => Some(error),
        };
        Some(Left { bytes, end })
    }

    fn give_up(&mut self, name: u64) {
        self.cancels.push_back(name);
        self.stale += 1;
    }

    /// Whether there may be a step.
    pub fn has_steps(&self) -> bool {
        !self.cancels.is_empty() || !self.changed.is_empty() || !self.starved.is_empty()
    }

    /// Operations that are in flight and belong to no source any more.
    pub const fn stale(&self) -> usize {
        self.stale
    }

    /// Operations in flight.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Descriptors for which something is to be armed, and for which events.
    pub fn unarmed(&self) -> impl Iterator<Item = (RawFd, u32)> {
        let sources = self.changed.iter().filter_map(|place| self.find(*place));
        sources.map(|source| (source.fd, source.wanted))
    }

    /// The next operation to submit. The caller has room for it: it will not come again.
    pub fn next_step(&mut self) -> Option<Step> {
        if let Some(name) = self.cancels.pop_front() {
            return Some(Step::Cancel { name });
        }
        while let Some(place) = self.changed.front().copied() {
            let number = self.number % NUMBER_MAX + 1;
            let source = self.sources.get_mut(place as usize).and_then(Option::as_mut);
            let step = source.and_then(|source| source.next_step(place, number));
            match step {
                Some(Step::Cancel { name }) if name >> 62 == POLL => self.stale += 1,
                Some(Step::Cancel { .. }) => {}
                Some(_) => {
                    self.number = number;
                    self.in_flight += 1;
                }
                None => {
                    self.changed.pop_front();
                    if let Some(Some(source)) = self.sources.get_mut(place as usize) {
                        source.is_changed = false;
                    }
                    continue;
                }
            }
            return step;
        }
        None
    }

    /// Acts on a completion of one of the steps. Returns false for a name of
    /// [`own_name`], which is the caller's.
    pub fn complete(&mut self, completion: Completion) -> bool {
        let Completion { name, is_last, buffer, .. } = completion;
        let (kind, number) = (name >> 62, (name >> 32) as u32 & NUMBER_MAX);
        if kind > POLL {
            return false;
        }
        let place = name as u32;
        if is_last {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        let source = self.find(place);
        let is_known = source.is_some_and(|source| source.has(kind, number));
        if !is_known {
            self.stale = self.stale.saturating_sub(usize::from(is_last));
            self.filled.returned.extend(buffer);
        } else if kind == RECEIVE {
            self.received(place, completion);
        } else {
            self.polled(place, completion);
        }
        true
    }

    fn received(&mut self, place: u32, completion: Completion) {
        let Completion { result, is_last, mut buffer, .. } = completion;
        let (filled, buffer_bytes) = (&mut self.filled, self.buffer_bytes);
        let unread_max = self.unread_max;
        let Some(Some(source)) = self.sources.get_mut(place as usize) else { return };
        if is_last {
            source.receive = Receive::Idle;
        }
        let mut bits = 0;
        match (u32::try_from(result), buffer) {
            (Ok(0), _) => {
                source.end = End::Ended;
                bits = Event::READABLE | Event::READ_CLOSED;
            }
            (Ok(count), Some(id)) => {
                if !source.inbox.has_buffers() {
                    self.holding.push(place);
                }
                source.inbox.push(filled, id, count);
                buffer = None;
                source.count_buffer(count == buffer_bytes);
                source.is_paused |= source.inbox.len() >= unread_max;
                bits = Event::READABLE;
            }
            // It is armed again, when it is still wanted.
            (Ok(_), None) => {}
            (Err(_), _) if is_passing(-result) => {}
            (Err(_), _) => {
                source.end = End::Failed(-result);
                bits = BROKEN;
            }
        }
        self.filled.returned.extend(buffer);
        let changes = is_last || source.receive_must_end();
        self.note_ready(place, bits);
        if result == -libc::ENOBUFS {
            self.starved.push(place);
        } else if changes {
            self.note_change(place);
        }
    }

    fn polled(&mut self, place: u32, completion: Completion) {
        let Completion { result, is_last, .. } = completion;
        let Some(Some(source)) = self.sources.get_mut(place as usize) else { return };
        if is_last {
            source.poll = Poll::default();
        }
        let bits = match u32::try_from(result) {
            Ok(events) => source.bits_of(events),
            Err(_) if is_passing(-result) => 0,
            // The kernel cannot poll it.
            Err(_) => {
                source.wanted = 0;
                Event::ERROR | Event::WRITE_CLOSED
            }
        };
        self.note_ready(place, bits);
        if is_last {
            self.note_change(place);
        }
    }

    /// Whether there is an event.
    pub fn has_events(&self) -> bool {
        let has_bits = |place: &u32| self.find(*place).is_some_and(|one| one.readiness != 0);
        self.ready.iter().any(has_bits)
    }

    /// Writes events, as many as fit, and returns how many.
    pub fn take(&mut self, events: &mut [Event]) -> usize {
        let mut count = 0;
        while let Some(event) = events.get_mut(count) {
            let Some(place) = self.ready.pop_front() else { break };
            let Some(Some(source)) = self.sources.get_mut(place as usize) else { continue };
            if source.readiness == 0 {
                continue;
            }
            *event = Event::new(source.token, source.readiness);
            source.readiness = 0;
            count += 1;
        }
        count
    }

    /// Takes unread bytes out of buffers: the program has had its time to read them. Then
    /// there are buffers for those that had none.
    pub fn settle(&mut self, memory: &impl Bytes) {
        while let Some(place) = self.starved.pop() {
            self.note_change(place);
        }
        for place in self.holding.drain(..) {
            if let Some(Some(source)) = self.sources.get_mut(place as usize) {
                source.inbox.keep(&mut self.filled, memory);
            }
        }
    }

    /// Takes the buffers that the kernel can have again.
    pub fn returned(&mut self) -> std::vec::Drain<'_, u16> {
        self.filled.returned.drain(..)
    }

    /// Bytes of memory that unread bytes have of their own.
    pub const fn own_bytes(&self) -> usize {
        self.filled.own_bytes
    }

    /// Reads what was received.
    pub fn read(&mut self, fd: RawFd, memory: &impl Bytes, into: &mut [u8]) -> Read {
        let Some(place) = self.place_of(fd) else { return Read::Directly };
        let filled = &mut self.filled;
        let Some(Some(source)) = self.sources.get_mut(place as usize) else {
            return Read::Directly;
        };
        if source.inbox.is_empty() {
            return source.read_end();
        }
        let count = source.inbox.take(filled, memory, into);
        if source.inbox.is_empty() && (source.is_paused || source.is_direct) {
            // What follows is still in the socket, and no event has told of it.
            source.repeats_poll = source.is_direct;
            source.is_paused = false;
            self.note_change(place);
        }
        Read::Taken(count)
    }

    /// As [`Plan::read`], and leaves what it finds.
    pub fn peek(&self, fd: RawFd, memory: &impl Bytes, into: &mut [u8]) -> Read {
        let source = self.place_of(fd).and_then(|place| self.find(place));
        let Some(source) = source else { return Read::Directly };
        if source.inbox.is_empty() {
            return source.peek_end();
        }
        Read::Taken(source.inbox.peek(&self.filled, memory, into))
    }

    /// Notes a read by a system call, for a source that can be read ahead again.
    pub fn note_direct(&mut self, fd: RawFd, count: usize, room: usize) {
        let buffer_bytes = self.buffer_bytes as usize;
        let Some((place, source)) = self.source_of(fd) else { return };
        if source.is_direct && source.ends_directness(count < room && count < buffer_bytes) {
            self.note_change(place);
        }
    }

    /// Received bytes that the program has not read.
    pub fn unread(&self, fd: RawFd) -> usize {
        let source = self.place_of(fd).and_then(|place| self.find(place));
        source.map_or(0, |source| source.inbox.len())
    }

    /// Takes the error of a stream, which no read has met yet.
    pub fn take_error(&mut self, fd: RawFd) -> Option<i32> {
        let (_, source) = self.source_of(fd)?;
        let End::Failed(error) = source.end else { return None };
        source.end = End::Ended;
        Some(error)
    }

    fn note_ready(&mut self, place: u32, bits: u32) {
        let Some(Some(source)) = self.sources.get_mut(place as usize) else { return };
        if bits != 0 && source.readiness == 0 {
            self.ready.push_back(place);
        }
        source.readiness |= bits;
    }

    fn note_change(&mut self, place: u32) {
        let Some(Some(source)) = self.sources.get_mut(place as usize) else { return };
        if !std::mem::replace(&mut source.is_changed, true) {
            self.changed.push_back(place);
        }
    }

    fn place_of(&self, fd: RawFd) -> Option<u32> {
        self.places.get(usize::try_from(fd).ok()?)?.checked_sub(1)
    }

    fn find(&self, place: u32) -> Option<&Source> {
        self.sources.get(place as usize)?.as_ref()
    }

    fn source_of(&mut self, fd: RawFd) -> Option<(u32, &mut Source)> {
        let place = self.place_of(fd)?;
        Some((place, self.sources.get_mut(place as usize)?.as_mut()?))
    }
}

/// The bits of a stream that a reset has ended, as epoll has them.
const BROKEN: u32 = Event::READABLE | Event::ERROR | Event::READ_CLOSED | Event::WRITE_CLOSED;

impl Source {
    fn new(fd: RawFd, token: Token, wanted: u32, reads_ahead: bool) -> Self {
        Self {
            fd,
            token,
            wanted,
            receive: Receive::Idle,
            poll: Poll::default(),
            readiness: 0,
            end: End::Open,
            inbox: Inbox::default(),
            reads_ahead,
            is_direct: false,
            is_paused: false,
            repeats_poll: false,
            is_changed: false,
            is_leaving: false,
            full_buffers: 0,
            small_reads: 0,
        }
    }

    /// Whether an operation is this source's present one.
    fn has(&self, kind: u64, number: u32) -> bool {
        match self.receive {
            Receive::Flying(own) | Receive::Ending(own) if kind == RECEIVE => own == number,
            _ => kind == POLL && self.poll.number == number,
        }
    }

    /// The next step that brings the operations to what is wanted.
    fn next_step(&mut self, place: u32, number: u32) -> Option<Step> {
        let fd = self.fd;
        let events = self.poll_events();
        let Poll { number: polling, events: polled } = self.poll;
        if polling != 0 && (polled != events || self.repeats_poll) {
            self.poll = Poll::default();
            return Some(Step::Cancel { name: name_of(POLL, polling, place) });
        }
        self.repeats_poll = false;
        if polling == 0 && events != 0 {
            self.poll = Poll { number, events };
            return Some(Step::Poll { fd, events, name: name_of(POLL, number, place) });
        }
        match self.receive {
            Receive::Idle if self.wants_receive() => {
                self.receive = Receive::Flying(number);
                Some(Step::Receive { fd, name: name_of(RECEIVE, number, place) })
            }
            Receive::Flying(number) if !self.wants_receive() => {
                self.receive = Receive::Ending(number);
                Some(Step::Cancel { name: name_of(RECEIVE, number, place) })
            }
            _ => None,
        }
    }

    fn wants_receive(&self) -> bool {
        let is_open = self.end == End::Open && !self.is_leaving;
        is_open && self.reads_ahead && !self.is_direct && !self.is_paused && self.wanted & IN != 0
    }

    /// Whether a receive in flight is to be cancelled.
    fn receive_must_end(&self) -> bool {
        matches!(self.receive, Receive::Flying(_)) && !self.wants_receive()
    }

    /// The events for which the source is polled; 0 for no poll. Errors and the end of both
    /// ways are reported with any.
    fn poll_events(&self) -> u32 {
        if self.is_leaving {
            return 0;
        }
        if !self.reads_ahead {
            return self.wanted;
        }
        let writes = self.wanted & OUT;
        match self.end {
            End::Failed(_) => 0,
            // A reset may follow the end.
            End::Ended => writes | RDHUP,
            End::Open if self.is_direct && self.receive == Receive::Idle => self.wanted,
            // A reset is met also by a source that reads nothing.
            End::Open if self.is_paused => writes | RDHUP,
            End::Open => writes,
        }
    }

    /// The readiness that the events of a poll mean.
    fn bits_of(&self, events: u32) -> u32 {
        if !self.reads_ahead || self.is_direct {
            return readiness(events);
        }
        // The receive reports what is read, and the end of it.
        let bits = readiness(events & !(IN | RDHUP | PRI));
        let has_end = self.is_paused && self.end == End::Open && events & RDHUP != 0;
        bits | if has_end { Event::READABLE | Event::READ_CLOSED } else { 0 }
    }

    /// The readiness of what was received and not read.
    fn bits_now(&self) -> u32 {
        let bytes = if self.inbox.is_empty() { 0 } else { Event::READABLE };
        bytes
            | match self.end {
                End::Open => 0,
                End::Ended => Event::READABLE | Event::READ_CLOSED,
                End::Failed(_) => BROKEN,
            }
    }

    fn count_buffer(&mut self, is_full: bool) {
        self.full_buffers = if is_full { self.full_buffers.saturating_add(1) } else { 0 };
        if self.full_buffers >= BULK_BUFFERS {
            self.is_direct = true;
            self.small_reads = 0;
        }
    }

    /// Counts a read by a system call; returns whether the source is read ahead again.
    fn ends_directness(&mut self, is_small: bool) -> bool {
        self.small_reads = if is_small { self.small_reads.saturating_add(1) } else { 0 };
        if self.small_reads < SMALL_READS {
            return false;
        }
        self.is_direct = false;
        self.full_buffers = 0;
        true
    }

    /// What follows the last received byte; an error is taken.
    fn read_end(&mut self) -> Read {
        let found = self.peek_end();
        if matches!(found, Read::Failed(_)) {
            self.end = End::Ended;
        }
        found
    }

    fn peek_end(&self) -> Read {
        match (self.end, self.receive) {
            (End::Failed(error), _) => Read::Failed(error),
            (End::Ended, _) => Read::Ended,
            (End::Open, Receive::Idle) => Read::Directly,
            (End::Open, _) => Read::Nothing,
        }
    }
}

/// Whether an operation that ended so can be submitted again.
fn is_passing(error: i32) -> bool {
    matches!(error, libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN)
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}
