//! What kqueue is asked, and what its answers mean: pure functions, so that
//! their tests run where there is no kqueue. No system call may come in here.
//!
//! The facts they rest on are those of `kqueue(2)` and FreeBSD 13's kernel:
//!
//! - reading and writing are two filters of a descriptor, and two events;
//! - adding again what is there takes the new token and, as long as the source
//!   is ready, fires again: that is all that reregistering asks for;
//! - it does not take `EV_CLEAR` away. Every change here sets it; a registration
//!   without it would have to be deleted before it is added;
//! - a user event that is added with `NOTE_TRIGGER` does not fire, and one that
//!   is triggered with `EV_CLEAR` is cleared instead: adding is one change, and
//!   triggering, with neither flag, another;
//! - `EV_RECEIPT` answers each change, in order and before any event.

use std::io;

use crate::{Event, Interest, Token};

/// `EV_ADD`, the same number on every system with a kqueue, as are the others.
pub const EV_ADD: u16 = 0x1;
/// `EV_DELETE`.
pub const EV_DELETE: u16 = 0x2;
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

/// Which of its events a source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// `EVFILT_READ`.
    Read,
    /// `EVFILT_WRITE`.
    Write,
    /// `EVFILT_USER`, the waker's.
    User,
}

/// The filters of a socket that are there, that may be, or that should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    read: bool,
    write: bool,
}

impl Filters {
    /// Not registered.
    pub const NONE: Self = Self { read: false, write: false };
    /// Registered, and nobody remembers for what.
    pub const ANY: Self = Self { read: true, write: true };

    /// The filters that an interest asks for; `ENOTSUP` for urgent data, which
    /// kqueue has no portable filter for.
    pub fn of(interest: Interest) -> io::Result<Self> {
        if interest.is_priority() {
            return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
        }
        Ok(Self { read: interest.is_readable(), write: interest.is_writable() })
    }
}

/// One entry of a change list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is changed.
    pub filter: Filter,
    /// `EV_` flags.
    pub flags: u16,
    /// `NOTE_` flags.
    pub fflags: u32,
}

impl Change {
    /// Adds a filter, edge-triggered, or gives it another token.
    pub const fn add(filter: Filter) -> Self {
        Self { filter, flags: EV_ADD | EV_CLEAR | EV_RECEIPT, fflags: 0 }
    }

    /// Deletes a filter with its pending event.
    pub const fn delete(filter: Filter) -> Self {
        Self { filter, flags: EV_DELETE | EV_RECEIPT, fflags: 0 }
    }

    /// Fires a user event. It also takes the token that comes with this, so
    /// that has to be the token it was added with.
    pub const fn trigger() -> Self {
        Self { filter: Filter::User, flags: EV_RECEIPT, fflags: NOTE_TRIGGER }
    }

    const fn is_delete(self) -> bool {
        self.flags & EV_DELETE != 0
    }
}

/// The changes that lead from what may be registered to what should be.
pub fn plan(old: Filters, new: Filters) -> impl Iterator<Item = Change> {
    [(Filter::Read, old.read, new.read), (Filter::Write, old.write, new.write)]
        .into_iter()
        .filter_map(|(filter, old, new)| match (old, new) {
            (_, true) => Some(Change::add(filter)),
            (true, false) => Some(Change::delete(filter)),
            (false, false) => None,
        })
}

/// What came of a change list, from the errno (0 for none) of each change.
///
/// That a filter to delete was not there is what was wanted, unless none was:
/// then the source was not registered, and `ENOENT` says so, as with epoll.
pub fn outcome(results: impl Iterator<Item = (Change, i32)>) -> io::Result<()> {
    let mut missing = false;
    let mut effective = false;
    for (change, errno) in results {
        match errno {
            0 => effective = true,
            libc::ENOENT if change.is_delete() => missing = true,
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
    }
    if missing && !effective { Err(io::Error::from_raw_os_error(libc::ENOENT)) } else { Ok(()) }
}

/// One event as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The descriptor, or the waker's number.
    pub ident: usize,
    /// What fired.
    pub filter: Filter,
    /// `EV_` flags.
    pub flags: u16,
    /// With `EV_EOF`, the socket's error or 0.
    pub fflags: u32,
    /// The token it was added with.
    pub token: Token,
}

impl Ready {
    const fn readiness(self) -> u32 {
        let ended = self.flags & EV_EOF != 0;
        let failed = self.flags & EV_ERROR != 0 || ended && self.fflags != 0;
        let (ready, closed) = match self.filter {
            Filter::Read => (Event::READABLE, Event::READ_CLOSED),
            Filter::Write => (Event::WRITABLE, Event::WRITE_CLOSED),
            // A user event's fflags are the caller's own and no error.
            Filter::User => return Event::READABLE,
        };
        ready | if ended { closed } else { 0 } | if failed { Event::ERROR } else { 0 }
    }
}

/// Writes what is ready and returns how many events that makes: neighbours of
/// one source become one event, as epoll would tell it.
pub fn fold(ready: impl Iterator<Item = Ready>, events: &mut [Event]) -> usize {
    let mut places = events.iter_mut();
    let mut count = 0;
    let mut last: Option<(Ready, &mut Event)> = None;
    for ready in ready {
        match &mut last {
            Some((before, event)) if same_source(before, &ready) => {
                **event = Event::new(ready.token, event.readiness() | ready.readiness());
            }
            _ => {
                let Some(place) = places.next() else { break };
                *place = Event::new(ready.token, ready.readiness());
                last = Some((ready, place));
                count += 1;
            }
        }
    }
    count
}

fn same_source(one: &Ready, other: &Ready) -> bool {
    let sockets = one.filter != Filter::User && other.filter != Filter::User;
    sockets && one.ident == other.ident && one.token == other.token
}

/// Seconds and nanoseconds to wait; `None` waits without limit.
pub fn timeout(timeout_ms: i32) -> Option<(i32, i32)> {
    (timeout_ms >= 0).then_some((timeout_ms / 1000, timeout_ms % 1000 * 1_000_000))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const READ: Filters = Filters { read: true, write: false };
    const WRITE: Filters = Filters { read: false, write: true };

    fn errno(result: io::Result<()>) -> Option<i32> {
        result.err().and_then(|error| error.raw_os_error())
    }

    fn ready(ident: usize, filter: Filter, token: u32) -> Ready {
        Ready { ident, filter, flags: EV_CLEAR, fflags: 0, token: Token(token) }
    }

    fn folded(ready: &[Ready]) -> Vec<(u32, u32)> {
        let mut events = [Event::default(); 8];
        let count = fold(ready.iter().copied(), &mut events);
        events[..count].iter().map(|event| (event.token().0, event.readiness())).collect()
    }

    #[test]
    fn filters_follow_the_interest_and_refuse_urgent_data() {
        assert_eq!(Filters::of(Interest::READABLE).unwrap(), READ);
        assert_eq!(Filters::of(Interest::WRITABLE).unwrap(), WRITE);
        assert_eq!(Filters::of(Interest::READABLE | Interest::WRITABLE).unwrap(), Filters::ANY);
        for interest in [Interest::PRIORITY, Interest::PRIORITY | Interest::READABLE] {
            assert_eq!(errno(Filters::of(interest).map(drop)), Some(libc::ENOTSUP));
        }
    }

    #[test]
    fn plan_adds_what_is_wanted_and_deletes_what_may_be_there() {
        let planned = |old, new| plan(old, new).collect::<Vec<_>>();
        let (add, delete) = (Change::add, Change::delete);
        assert_eq!(planned(Filters::NONE, READ), [add(Filter::Read)]);
        assert_eq!(planned(Filters::NONE, Filters::ANY), [add(Filter::Read), add(Filter::Write)]);
        assert_eq!(planned(Filters::ANY, READ), [add(Filter::Read), delete(Filter::Write)]);
        assert_eq!(planned(Filters::ANY, WRITE), [delete(Filter::Read), add(Filter::Write)]);
        assert_eq!(planned(Filters::ANY, Filters::ANY), [add(Filter::Read), add(Filter::Write)]);
        assert_eq!(
            planned(Filters::ANY, Filters::NONE),
            [delete(Filter::Read), delete(Filter::Write)]
        );
        assert_eq!(planned(Filters::NONE, Filters::NONE), []);
    }

    #[test]
    fn changes_are_edge_triggered_and_answered() {
        assert_eq!(Change::add(Filter::Read).flags, EV_ADD | EV_CLEAR | EV_RECEIPT);
        assert_eq!(Change::delete(Filter::Read).flags, EV_DELETE | EV_RECEIPT);
        assert_eq!(Change::trigger().flags & (EV_ADD | EV_CLEAR), 0);
    }

    #[test]
    fn outcome_forgives_a_missing_filter_but_not_all_of_them() {
        let (add, delete) = (Change::add(Filter::Read), Change::delete(Filter::Write));
        let of = |results: &[(Change, i32)]| errno(outcome(results.iter().copied()));
        assert_eq!(of(&[(add, 0), (delete, libc::ENOENT)]), None);
        assert_eq!(of(&[(delete, 0), (delete, libc::ENOENT)]), None);
        assert_eq!(of(&[(delete, libc::ENOENT), (delete, 0)]), None);
        assert_eq!(of(&[(delete, libc::ENOENT), (delete, libc::ENOENT)]), Some(libc::ENOENT));
        assert_eq!(of(&[(add, libc::ENOENT)]), Some(libc::ENOENT));
        assert_eq!(of(&[(add, 0), (delete, libc::EBADF)]), Some(libc::EBADF));
        assert_eq!(of(&[(add, libc::ENOMEM), (delete, 0)]), Some(libc::ENOMEM));
        // An interrupted call has made its changes, but answers none.
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn fold_makes_one_event_of_the_two_of_a_source() {
        let both = Event::READABLE | Event::WRITABLE;
        let (read, write) = (ready(5, Filter::Read, 1), ready(5, Filter::Write, 1));
        assert_eq!(folded(&[]), []);
        assert_eq!(folded(&[read, write]), [(1, both)]);
        assert_eq!(folded(&[write, read]), [(1, both)]);
        let other = ready(6, Filter::Write, 2);
        let apart = [(1, Event::READABLE), (2, Event::WRITABLE), (1, Event::WRITABLE)];
        assert_eq!(folded(&[read, other, write]), apart);
    }

    #[test]
    fn fold_keeps_sources_apart_that_share_a_token_or_are_wakers() {
        let shared = [ready(5, Filter::Read, 1), ready(6, Filter::Write, 1)];
        assert_eq!(folded(&shared), [(1, Event::READABLE), (1, Event::WRITABLE)]);
        let waker = [ready(0, Filter::User, 1), ready(0, Filter::Read, 1)];
        assert_eq!(folded(&waker), [(1, Event::READABLE), (1, Event::READABLE)]);
    }

    #[test]
    fn fold_stops_when_there_is_no_room() {
        let all = [1, 2, 3].map(|token| ready(token as usize, Filter::Read, token));
        let mut events = [Event::default(); 2];
        assert_eq!(fold(all.into_iter(), &mut events), 2);
        assert_eq!(events[1].token(), Token(2));
        assert_eq!(fold(all.into_iter(), &mut []), 0);
    }

    #[test]
    fn ends_and_errors_are_told_for_their_direction() {
        let ended = |filter, fflags| {
            let event = Ready { flags: EV_CLEAR | EV_EOF, fflags, ..ready(5, filter, 1) };
            folded(&[event])[0].1
        };
        let (read, write) = (Event::READABLE, Event::WRITABLE);
        assert_eq!(ended(Filter::Read, 0), read | Event::READ_CLOSED);
        assert_eq!(ended(Filter::Write, 0), write | Event::WRITE_CLOSED);
        assert_eq!(ended(Filter::Read, 54), read | Event::READ_CLOSED | Event::ERROR);
        assert_eq!(ended(Filter::Write, 54), write | Event::WRITE_CLOSED | Event::ERROR);
        assert_eq!(ended(Filter::User, 54), Event::READABLE);
        // fflags without an end are no error.
        let low_water = Ready { fflags: 1, ..ready(5, Filter::Read, 1) };
        assert_eq!(folded(&[low_water])[0].1, Event::READABLE);
        let failed = Ready { flags: EV_ERROR, ..ready(5, Filter::Read, 1) };
        assert_eq!(folded(&[failed])[0].1, Event::READABLE | Event::ERROR);
    }

    #[test]
    fn refused_connect_is_told_as_epoll_tells_it() {
        let refused = |filter| Ready { flags: EV_EOF, fflags: 61, ..ready(5, filter, 1) };
        let bits = folded(&[refused(Filter::Read), refused(Filter::Write)]);
        let closed = Event::READ_CLOSED | Event::WRITE_CLOSED | Event::ERROR;
        assert_eq!(bits, [(1, Event::READABLE | Event::WRITABLE | closed)]);
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

    /// A kqueue of one source and one waker that does what the facts say.
    #[derive(Default)]
    struct Kernel {
        notes: BTreeMap<Filter, Note>,
        readable: bool,
        writable: bool,
    }

    struct Note {
        token: Token,
        active: bool,
        triggered: bool,
    }

    impl Kernel {
        fn submit(&mut self, token: u32, changes: impl Iterator<Item = Change>) -> io::Result<()> {
            let results: Vec<_> =
                changes.map(|change| (change, self.change(Token(token), change))).collect();
            outcome(results.into_iter())
        }

        fn change(&mut self, token: Token, change: Change) -> i32 {
            let Change { filter, flags, fflags } = change;
            if flags & EV_DELETE != 0 {
                return if self.notes.remove(&filter).is_some() { 0 } else { libc::ENOENT };
            }
            let is_new = !self.notes.contains_key(&filter);
            if is_new && flags & EV_ADD == 0 {
                return libc::ENOENT;
            }
            let source_ready = self.is_ready(filter);
            let blank = Note { token, active: false, triggered: false };
            let note = self.notes.entry(filter).or_insert(blank);
            note.token = token;
            note.triggered |= fflags & NOTE_TRIGGER != 0 && !is_new;
            note.triggered &= flags & EV_CLEAR == 0;
            note.active |= source_ready || note.triggered;
            0
        }

        fn is_ready(&self, filter: Filter) -> bool {
            match filter {
                Filter::Read => self.readable,
                Filter::Write => self.writable,
                Filter::User => false,
            }
        }

        /// Data comes, which is an edge.
        fn arrive(&mut self) {
            self.readable = true;
            if let Some(note) = self.notes.get_mut(&Filter::Read) {
                note.active = true;
            }
        }

        fn wait(&mut self) -> Vec<(u32, u32)> {
            let mut all = Vec::new();
            for (filter, note) in &mut self.notes {
                if std::mem::take(&mut note.active) {
                    note.triggered = false;
                    all.push(ready(5, *filter, note.token.0));
                }
            }
            folded(&all)
        }
    }

    #[test]
    fn scripted_registration_replaces_fires_again_and_ends() {
        let mut kernel = Kernel { writable: true, ..Kernel::default() };
        kernel.submit(1, plan(Filters::NONE, Filters::ANY)).unwrap();
        assert_eq!(kernel.wait(), [(1, Event::WRITABLE)]);
        assert_eq!(kernel.wait(), []);
        kernel.arrive();
        assert_eq!(kernel.wait(), [(1, Event::READABLE)]);
        // Still unread: it fires again, with the new token, and nothing else does.
        kernel.submit(2, plan(Filters::ANY, READ)).unwrap();
        assert_eq!(kernel.wait(), [(2, Event::READABLE)]);
        // A pending event goes with its filter.
        kernel.arrive();
        kernel.submit(3, plan(Filters::ANY, WRITE)).unwrap();
        assert_eq!(kernel.wait(), [(3, Event::WRITABLE)]);
        kernel.submit(0, plan(Filters::ANY, Filters::NONE)).unwrap();
        kernel.arrive();
        assert_eq!(kernel.wait(), []);
        let again = kernel.submit(0, plan(Filters::ANY, Filters::NONE));
        assert_eq!(errno(again), Some(libc::ENOENT));
    }

    #[test]
    fn scripted_waker_fires_once_for_all_triggers() {
        let mut kernel = Kernel::default();
        let once = |change| std::iter::once(change);
        assert_eq!(errno(kernel.submit(9, once(Change::trigger()))), Some(libc::ENOENT));
        kernel.submit(9, once(Change::add(Filter::User))).unwrap();
        assert_eq!(kernel.wait(), []);
        for _ in 0..3 {
            kernel.submit(9, once(Change::trigger())).unwrap();
        }
        assert_eq!(kernel.wait(), [(9, Event::READABLE)]);
        assert_eq!(kernel.wait(), []);
        kernel.submit(9, once(Change::trigger())).unwrap();
        kernel.submit(9, once(Change::delete(Filter::User))).unwrap();
        assert_eq!(kernel.wait(), []);
    }
}
