//! The questions to kqueue, and the meaning of its answers: pure functions, whose
//! tests run on systems without a kqueue. This file must make no system call.
//!
//! The functions rest on facts of `kqueue(2)` and FreeBSD 13's kernel:
//!
//! - reading and writing are two filters of a descriptor, and two events;
//! - adding a filter again replaces its token, but not its mode: `EV_CLEAR` sticks.
//!   So a filter is deleted before it is replaced, in the same call;
//! - a filter that is added fires when the source is ready already;
//! - `EV_ONESHOT` deletes the filter that has fired, and leaves the other;
//! - adding a user event with `NOTE_TRIGGER` does not fire it, and triggering it with
//!   `EV_CLEAR` clears it instead: adding is one change, and triggering, with neither
//!   flag, another;
//! - `EV_RECEIPT` answers each change, in order and before any event.
//!
//! `queue.rs` makes the calls; tests give it a kernel that they have scripted.

mod queue;

#[cfg(test)]
mod facts;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod script;

use std::collections::HashMap;
use std::io;

pub use self::queue::{Kernel, Queue, Waker};
use crate::{Event, Interest, Mode, Token};

/// `EV_ADD`, the same number on every system with a kqueue, as are the others.
pub const EV_ADD: u16 = 0x1;
/// `EV_DELETE`.
pub const EV_DELETE: u16 = 0x2;
/// `EV_ONESHOT`: deleted with its first event.
pub const EV_ONESHOT: u16 = 0x10;
/// `EV_CLEAR`: edge-triggered.
pub const EV_CLEAR: u16 = 0x20;
/// `EV_RECEIPT`.
pub const EV_RECEIPT: u16 = 0x40;
/// `EV_ERROR`.
pub const EV_ERROR: u16 = 0x4000;
/// `EV_EOF`.
pub const EV_EOF: u16 = 0x8000;
/// `NOTE_TRIGGER`.
pub const NOTE_TRIGGER: u32 = 0x0100_0000;

/// Whether kqueue can do it.
pub const fn supports(interest: Interest, mode: Mode) -> bool {
    !interest.is_priority() && !mode.is_exclusive()
}

/// The kinds of events that a source can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// `EVFILT_READ`.
    Read,
    /// `EVFILT_WRITE`.
    Write,
    /// `EVFILT_USER`, the waker's.
    User,
}

/// One `struct kevent`, in the words that every system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kevent {
    /// The descriptor, or the waker's number.
    pub ident: usize,
    /// The kind of event.
    pub filter: Filter,
    /// `EV_` flags.
    pub flags: u16,
    /// `NOTE_` flags of a user event. With `EV_EOF`, the socket's error or 0.
    pub fflags: u32,
    /// With `EV_ERROR`, the errno or 0.
    pub data: i64,
    /// The [`Tag`] with which the filter was added.
    pub udata: u64,
}

impl Kevent {
    /// What a receipt says about its change: an errno, or 0.
    pub const fn errno(&self) -> i32 {
        if self.flags & EV_ERROR == 0 { 0 } else { self.data as i32 }
    }
}

/// The numbers that kqueue returns with each event of a registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// The caller's own.
    pub token: Token,
    /// The number of a registration in which two filters share one shot; 0 for any
    /// other registration.
    pub shot: u32,
}

impl Tag {
    /// Packs it into `udata`.
    pub const fn to_bits(self) -> u64 {
        (self.shot as u64) << 32 | self.token.0 as u64
    }

    /// Unpacks `udata`.
    pub const fn from_bits(bits: u64) -> Self {
        Self { token: Token(bits as u32), shot: (bits >> 32) as u32 }
    }
}

/// A set of a socket's filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    read: bool,
    write: bool,
}

impl Filters {
    /// Not registered.
    pub const NONE: Self = Self { read: false, write: false };
    /// Both filters; also for a registration whose filters are not known.
    pub const BOTH: Self = Self { read: true, write: true };

    /// The filters that an interest needs; `ENOTSUP` for urgent data, for which
    /// kqueue has no portable filter.
    pub fn of(interest: Interest) -> io::Result<Self> {
        if interest.is_priority() {
            return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
        }
        Ok(Self { read: interest.is_readable(), write: interest.is_writable() })
    }
}

/// One entry of a change list, without its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The filter to change.
    pub filter: Filter,
    /// `EV_` flags.
    pub flags: u16,
    /// `NOTE_` flags.
    pub fflags: u32,
}

impl Change {
    /// Adds a filter that is not there.
    pub const fn add(filter: Filter, mode: Mode) -> Self {
        let mode = if mode.is_level() {
            0
        } else if mode.is_one_shot() {
            EV_ONESHOT
        } else {
            EV_CLEAR
        };
        Self { filter, flags: EV_ADD | EV_RECEIPT | mode, fflags: 0 }
    }

    /// Deletes a filter with its pending event.
    pub const fn delete(filter: Filter) -> Self {
        Self { filter, flags: EV_DELETE | EV_RECEIPT, fflags: 0 }
    }

    /// Fires a user event. The change replaces the event's tag as well, so its tag
    /// must be the one of the registration.
    pub const fn trigger() -> Self {
        Self { filter: Filter::User, flags: EV_RECEIPT, fflags: NOTE_TRIGGER }
    }

    /// The entry that makes the change.
    pub const fn of(self, ident: usize, tag: Tag) -> Kevent {
        let Self { filter, flags, fflags } = self;
        Kevent { ident, filter, flags, fflags, data: 0, udata: tag.to_bits() }
    }
}

/// The longest change list: both filters of a socket, deleted and added.
pub const CHANGES_MAX: usize = 4;

/// The changes that lead from the filters that may be there, in any mode, to the
/// filters that should be there: at most [`CHANGES_MAX`].
pub fn plan(old: Filters, new: Filters, mode: Mode) -> impl Iterator<Item = Change> {
    [(Filter::Read, old.read, new.read), (Filter::Write, old.write, new.write)]
        .into_iter()
        .flat_map(move |(filter, old, new)| {
            let delete = old.then_some(Change::delete(filter));
            let add = new.then_some(Change::add(filter, mode));
            delete.into_iter().chain(add)
        })
}

/// The result of a change list, from the errno (0 for none) of each change.
///
/// Deleting a filter that is not there succeeds: the registry knows which sources
/// are registered. So does adding to a pipe whose other end has gone (`EPIPE`), as
/// in mio: epoll takes such a pipe and reports its end. macOS adds the filter all
/// the same; where the kernel does not, the next write fails.
pub fn outcome(results: impl Iterator<Item = (Kevent, i32)>) -> io::Result<()> {
    let forgiven = |change: Kevent, errno| match errno {
        0 => true,
        libc::ENOENT => change.flags & EV_DELETE != 0,
        libc::EPIPE => change.flags & EV_ADD != 0,
        _ => false,
    };
    for (change, errno) in results {
        if !forgiven(change, errno) {
            return Err(io::Error::from_raw_os_error(errno));
        }
    }
    Ok(())
}

/// Returns an event's readiness bits.
pub const fn readiness(kevent: &Kevent) -> u32 {
    let ended = kevent.flags & EV_EOF != 0;
    let failed = kevent.flags & EV_ERROR != 0 || ended && kevent.fflags != 0;
    let (ready, closed) = match kevent.filter {
        Filter::Read => (Event::READABLE, Event::READ_CLOSED),
        Filter::Write => (Event::WRITABLE, Event::WRITE_CLOSED),
        // A user event's fflags are the caller's own and no error.
        Filter::User => return Event::READABLE,
    };
    ready | if ended { closed } else { 0 } | if failed { Event::ERROR } else { 0 }
}

/// Turns the kernel's events into ours, in the caller's array: consecutive events of
/// one source become one, as epoll would report it. Two events that share a shot
/// become one wherever they stand.
#[derive(Debug)]
pub struct Fold<'a> {
    events: &'a mut [Event],
    count: usize,
    last: Option<Kevent>,
    /// The index in `events` of each shot.
    shots: HashMap<u32, usize>,
}

impl<'a> Fold<'a> {
    /// Has no events yet.
    pub fn new(events: &'a mut [Event]) -> Self {
        Self { events, count: 0, last: None, shots: HashMap::new() }
    }

    /// Adds the kernel's next event. An event without room is lost, so a kernel must
    /// not report more events than the array holds.
    pub fn push(&mut self, kevent: Kevent) {
        let Tag { token, shot } = Tag::from_bits(kevent.udata);
        let place = self.place_of(&kevent, shot);
        let Some(event) = self.events.get_mut(place) else { return };
        let before = if place < self.count { event.readiness() } else { 0 };
        *event = Event::new(token, before | readiness(&kevent));
        self.count = self.count.max(place + 1);
        self.last = Some(kevent);
        if shot != 0 {
            self.shots.insert(shot, place);
        }
    }

    /// Returns the number of events in the array.
    pub const fn count(&self) -> usize {
        self.count
    }

    fn place_of(&self, kevent: &Kevent, shot: u32) -> usize {
        if let Some(place) = self.shots.get(&shot) {
            return *place;
        }
        match self.last {
            Some(last) if is_same_source(&last, kevent) => self.count - 1,
            _ => self.count,
        }
    }
}

fn is_same_source(one: &Kevent, other: &Kevent) -> bool {
    let is_socket = |kevent: &Kevent| kevent.filter != Filter::User;
    let are_sockets = is_socket(one) && is_socket(other);
    are_sockets && one.ident == other.ident && one.udata == other.udata
}

/// Seconds and nanoseconds to wait; `None` waits without limit.
pub fn timeout(timeout_ms: i32) -> Option<(i32, i32)> {
    (timeout_ms >= 0).then_some((timeout_ms / 1000, timeout_ms % 1000 * 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Filters = Filters { read: true, write: false };
    const WRITE: Filters = Filters { read: false, write: true };

    fn errno(result: io::Result<()>) -> Option<i32> {
        result.err().and_then(|error| error.raw_os_error())
    }

    fn kevent(ident: usize, filter: Filter, token: u32) -> Kevent {
        let tag = Tag { token: Token(token), shot: 0 };
        Kevent { flags: EV_CLEAR, ..Change::delete(filter).of(ident, tag) }
    }

    fn folded(all: &[Kevent]) -> Vec<(u32, u32)> {
        let mut events = [Event::default(); 8];
        let mut fold = Fold::new(&mut events);
        all.iter().for_each(|kevent| fold.push(*kevent));
        let count = fold.count();
        events[..count].iter().map(|event| (event.token().0, event.readiness())).collect()
    }

    #[test]
    fn filters_follow_the_interest_and_refuse_urgent_data() {
        assert_eq!(Filters::of(Interest::READABLE).unwrap(), READ);
        assert_eq!(Filters::of(Interest::WRITABLE).unwrap(), WRITE);
        assert_eq!(Filters::of(Interest::READABLE | Interest::WRITABLE).unwrap(), Filters::BOTH);
        for interest in [Interest::PRIORITY, Interest::PRIORITY | Interest::READABLE] {
            assert_eq!(errno(Filters::of(interest).map(drop)), Some(libc::ENOTSUP));
            assert!(!supports(interest, Mode::EDGE));
        }
        assert!(!supports(Interest::READABLE, Mode::LEVEL.exclusive()));
        assert!(supports(Interest::READABLE, Mode::ONE_SHOT));
    }

    #[test]
    fn plan_deletes_what_may_be_there_and_adds_what_is_wanted() {
        let planned = |old, new| plan(old, new, Mode::EDGE).collect::<Vec<_>>();
        let (add, delete) = (|filter| Change::add(filter, Mode::EDGE), Change::delete);
        let (read, write) = (Filter::Read, Filter::Write);
        assert_eq!(planned(Filters::NONE, READ), [add(read)]);
        assert_eq!(planned(Filters::NONE, Filters::BOTH), [add(read), add(write)]);
        assert_eq!(planned(Filters::BOTH, READ), [delete(read), add(read), delete(write)]);
        assert_eq!(planned(Filters::BOTH, WRITE), [delete(read), delete(write), add(write)]);
        let all = [delete(read), add(read), delete(write), add(write)];
        assert_eq!(planned(Filters::BOTH, Filters::BOTH), all);
        assert_eq!(all.len(), CHANGES_MAX);
        assert_eq!(planned(Filters::BOTH, Filters::NONE), [delete(read), delete(write)]);
        assert_eq!(planned(Filters::NONE, Filters::NONE), []);
    }

    #[test]
    fn changes_are_answered_and_have_the_flag_of_their_mode() {
        let add = |mode| Change::add(Filter::Read, mode).flags;
        assert_eq!(add(Mode::EDGE), EV_ADD | EV_CLEAR | EV_RECEIPT);
        assert_eq!(add(Mode::LEVEL), EV_ADD | EV_RECEIPT);
        assert_eq!(add(Mode::ONE_SHOT), EV_ADD | EV_ONESHOT | EV_RECEIPT);
        assert_eq!(Change::delete(Filter::Read).flags, EV_DELETE | EV_RECEIPT);
        assert_eq!(Change::trigger().flags & (EV_ADD | EV_CLEAR), 0);
    }

    #[test]
    fn outcome_forgives_a_filter_that_was_not_there_to_delete() {
        let add = Change::add(Filter::Read, Mode::EDGE).of(5, Tag::default());
        let delete = Change::delete(Filter::Write).of(5, Tag::default());
        let of = |results: &[(Kevent, i32)]| errno(outcome(results.iter().copied()));
        assert_eq!(of(&[(delete, libc::ENOENT), (add, 0)]), None);
        assert_eq!(of(&[(delete, libc::ENOENT), (delete, libc::ENOENT)]), None);
        assert_eq!(of(&[(add, libc::ENOENT)]), Some(libc::ENOENT));
        assert_eq!(of(&[(add, 0), (delete, libc::EBADF)]), Some(libc::EBADF));
        assert_eq!(of(&[(add, libc::ENOMEM), (delete, 0)]), Some(libc::ENOMEM));
        assert_eq!(of(&[(delete, libc::EPIPE)]), Some(libc::EPIPE));
        // An interrupted call has made its changes, but has no receipts.
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn fold_makes_one_event_of_the_two_of_a_source() {
        let both = Event::READABLE | Event::WRITABLE;
        let (read, write) = (kevent(5, Filter::Read, 1), kevent(5, Filter::Write, 1));
        assert_eq!(folded(&[]), []);
        assert_eq!(folded(&[read, write]), [(1, both)]);
        assert_eq!(folded(&[write, read]), [(1, both)]);
        let other = kevent(6, Filter::Write, 2);
        let apart = [(1, Event::READABLE), (2, Event::WRITABLE), (1, Event::WRITABLE)];
        assert_eq!(folded(&[read, other, write]), apart);
    }

    #[test]
    fn fold_makes_one_event_of_one_shot_also_when_others_come_between() {
        let of_shot = |filter, shot| Kevent {
            udata: Tag { token: Token(1), shot }.to_bits(),
            ..kevent(5, filter, 1)
        };
        let (read, write) = (of_shot(Filter::Read, 7), of_shot(Filter::Write, 7));
        let both = (1, Event::READABLE | Event::WRITABLE);
        let other = kevent(6, Filter::Write, 2);
        assert_eq!(folded(&[read, other, write]), [both, (2, Event::WRITABLE)]);
        assert_eq!(folded(&[other, read, write]), [(2, Event::WRITABLE), both]);
        let later = of_shot(Filter::Write, 8);
        assert_eq!(folded(&[read, later]), [(1, Event::READABLE), (1, Event::WRITABLE)]);
    }

    #[test]
    fn fold_keeps_sources_apart_that_share_a_token_or_are_wakers() {
        let shared = [kevent(5, Filter::Read, 1), kevent(6, Filter::Write, 1)];
        assert_eq!(folded(&shared), [(1, Event::READABLE), (1, Event::WRITABLE)]);
        let waker = [kevent(0, Filter::User, 1), kevent(0, Filter::Read, 1)];
        assert_eq!(folded(&waker), [(1, Event::READABLE), (1, Event::READABLE)]);
    }

    #[test]
    fn fold_leaves_out_events_without_room() {
        let mut events = [Event::default(); 2];
        let mut fold = Fold::new(&mut events);
        (1..=3).for_each(|token| fold.push(kevent(token as usize, Filter::Read, token)));
        assert_eq!(fold.count(), 2);
        assert_eq!(events[1].token(), Token(2));
        let mut fold = Fold::new(&mut []);
        fold.push(kevent(5, Filter::Read, 1));
        assert_eq!(fold.count(), 0);
    }

    #[test]
    fn ends_and_errors_are_reported_for_their_direction() {
        let ended = |filter, fflags| {
            readiness(&Kevent { flags: EV_CLEAR | EV_EOF, fflags, ..kevent(5, filter, 1) })
        };
        let (read, write) = (Event::READABLE, Event::WRITABLE);
        assert_eq!(ended(Filter::Read, 0), read | Event::READ_CLOSED);
        assert_eq!(ended(Filter::Write, 0), write | Event::WRITE_CLOSED);
        assert_eq!(ended(Filter::Read, 54), read | Event::READ_CLOSED | Event::ERROR);
        assert_eq!(ended(Filter::Write, 54), write | Event::WRITE_CLOSED | Event::ERROR);
        assert_eq!(ended(Filter::User, 54), Event::READABLE);
        // fflags without an end are no error.
        let low_water = Kevent { fflags: 1, ..kevent(5, Filter::Read, 1) };
        assert_eq!(readiness(&low_water), Event::READABLE);
        let failed = Kevent { flags: EV_ERROR, ..kevent(5, Filter::Read, 1) };
        assert_eq!(readiness(&failed), Event::READABLE | Event::ERROR);
    }

    #[test]
    fn timeouts_are_split_into_seconds_and_nanoseconds() {
        assert_eq!(timeout(-1), None);
        assert_eq!(timeout(i32::MIN), None);
        assert_eq!(timeout(0), Some((0, 0)));
        assert_eq!(timeout(1), Some((0, 1_000_000)));
        assert_eq!(timeout(1999), Some((1, 999_000_000)));
        assert_eq!(timeout(i32::MAX), Some((2_147_483, 647_000_000)));
    }
}
