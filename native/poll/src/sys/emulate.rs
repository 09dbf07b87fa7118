//! Edges and one shots, made from system calls that only know levels.
//!
//! A wait on levels would report the same readiness each time. So readiness that was
//! reported is *disarmed*: the next wait does not ask for it. Operations after which
//! readiness is new *arm* it again: a read, an accept, a write that found too little
//! room, and a new registration. A source that the program does not touch is not
//! reported again, which is an edge. A source that is read in part is reported again,
//! where epoll would wait for new data: a missing event would hang a program, an
//! extra event is only spurious.
//!
//! A registered descriptor that other code closes is reported once, as an error,
//! and is taken out.
//!
//! Invariant: no system call can leave out ends and errors, so a wait asks only
//! for a source that has something armed. A dead source would otherwise end each
//! wait at once.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::FileType;

use super::epoll::{interest_flags, readiness};
#[cfg(not(all(test, loom)))]
use super::eventfd::EventFd;
use super::socket::left_until;
use crate::sync::{Mutex, MutexGuard};
use crate::{Backend, Event, Interest, Mode, Token};
#[cfg(all(test, loom))]
use model::EventFd;

/// A system call that takes every descriptor with each wait.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// The backend that it serves.
    pub backend: Backend,
    /// Refuses a descriptor that it cannot take.
    pub check: fn(RawFd) -> io::Result<()>,
    /// Waits as `poll(2)` does, and writes `revents`.
    pub wait: fn(&mut [libc::pollfd], timeout_ms: i32) -> io::Result<usize>,
}

/// Whether a source can be registered with this mode. Never exclusively: the
/// selectors do not know of each other, so each reports the source.
pub fn supports(_interest: Interest, mode: Mode) -> bool {
    !mode.is_exclusive()
}

/// `POLLERR` and `POLLHUP`, which come whether they are asked for or not.
const ENDS: u32 = (libc::POLLERR | libc::POLLHUP) as u32;
const READ: u32 = (libc::POLLIN | libc::POLLRDHUP) as u32;

/// One selector.
#[derive(Debug)]
pub struct Emulated {
    shared: Arc<Shared>,
}

/// What the selector and its waker work on.
#[derive(Debug)]
struct Shared {
    system: System,
    /// Ends waits that began before the latest change.
    changed: EventFd,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sources: Vec<Source>,
    /// Where a descriptor is in `sources`.
    indices: HashMap<RawFd, usize>,
    /// Raised with every change that a wait must know of.
    version: u64,
    /// Waits that are going on, and how many of them began before the latest
    /// change.
    waiting: usize,
    outdated: usize,
    /// The index at which the next search for events begins: every source gets its
    /// turn, also when `events` is short.
    first: usize,
    waker: Option<Token>,
    is_woken: bool,
    /// The entries of the last wait: the next wait fills the same memory.
    spare: Vec<libc::pollfd>,
}

#[derive(Debug)]
struct Source {
    fd: RawFd,
    file: File,
    token: Token,
    mode: Mode,
    /// The `poll(2)` events that the program asked for.
    wanted: u32,
    /// The events that the next wait asks for: some of `wanted` and of `ENDS`.
    armed: u32,
    /// Whether the end of both ways was reported.
    has_hung_up: bool,
    /// The state's version at this registration: an entry of an earlier wait belongs
    /// to an earlier registration.
    since: u64,
}

/// Identifies an open file, by whichever descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct File {
    device: u64,
    inode: u64,
    is_pipe: bool,
}

/// The entries of one system call.
struct Snapshot {
    /// The first is the selector's own.
    entries: Vec<libc::pollfd>,
    version: u64,
    is_woken: bool,
}

impl Emulated {
    /// Opens a selector that waits by `system`.
    pub fn new(system: System) -> io::Result<Self> {
        #[cfg(all(test, loom))]
        let system = System { wait: model::wait, ..system };
        let changed = EventFd::new()?;
        (system.check)(changed.as_raw_fd())?;
        Ok(Self { shared: Arc::new(Shared { system, changed, state: Mutex::default() }) })
    }

    /// The backend.
    pub fn backend(&self) -> Backend {
        self.shared.system.backend
    }

    /// Waits for events, and disarms those that it reports.
    pub fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        if events.is_empty() {
            // epoll does the same.
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        self.shared.until(timeout_ms, |state, snapshot| state.take(snapshot, events))
    }

    /// Waits until there is an event, and takes none.
    pub fn park(&self, timeout_ms: i32) -> io::Result<bool> {
        let ready = self.shared.until(timeout_ms, |state, snapshot| state.count(snapshot))?;
        Ok(ready > 0)
    }

    /// Parks until there is an event or `is_over` returns true. It is called at the
    /// beginning, and after each [`Emulated::interrupt`].
    pub fn park_unless(&self, timeout_ms: i32, is_over: &dyn Fn() -> bool) -> io::Result<()> {
        let found =
            |state: &mut State, snapshot: &Snapshot| state.count(snapshot) + usize::from(is_over());
        self.shared.until_either(timeout_ms, found, is_over).map(drop)
    }

    /// Makes calls that park ask `is_over` again.
    pub fn interrupt(&self) {
        self.shared.restart_waits(&mut self.shared.lock());
    }

    /// Adds a descriptor: `EEXIST` when it is there.
    pub fn register(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let file = File::of(fd)?;
        let fd = fd.as_raw_fd();
        (self.shared.system.check)(fd)?;
        let mut state = self.shared.lock();
        if state.indices.contains_key(&fd) {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        let index = state.sources.len();
        state.indices.insert(fd, index);
        let (wanted, armed, has_hung_up) = (0, 0, false);
        let source = Source { fd, file, token, mode, wanted, armed, has_hung_up, since: 0 };
        state.sources.push(source);
        self.shared.ask(&mut state, fd, token, interest, mode)
    }

    /// Replaces what was asked for: `ENOENT` when it is not there.
    pub fn reregister(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.shared.ask(&mut self.shared.lock(), fd.as_raw_fd(), token, interest, mode)
    }

    /// Takes a descriptor out: `ENOENT` when it is not there.
    pub fn deregister(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let is_removed = self.shared.lock().remove(fd.as_raw_fd());
        if is_removed { Ok(()) } else { Err(not_registered()) }
    }

    /// Looks for the next edge of what was asked for.
    pub fn rearm(&self, fd: BorrowedFd<'_>, interest: Interest) {
        let mut state = self.shared.lock();
        if state.find(fd.as_raw_fd()).is_some_and(|source| source.rearm(interest)) {
            self.shared.restart_waits(&mut state);
        }
    }

    /// Looks for the next edge of an open file, under every descriptor by which it
    /// is registered.
    pub fn rearm_file(&self, fd: BorrowedFd<'_>, interest: Interest) {
        let Ok(file) = File::of(fd) else { return };
        let mut state = self.shared.lock();
        let mut is_rearmed = false;
        // Two descriptors of one file may be registered: both are rearmed.
        for source in state.sources.iter_mut().filter(|source| source.file == file) {
            is_rearmed |= source.rearm(interest);
        }
        if is_rearmed {
            self.shared.restart_waits(&mut state);
        }
    }

    /// Stops looking for readiness that was reported already.
    pub fn disarm(&self, fd: BorrowedFd<'_>, interest: Interest) {
        let mut state = self.shared.lock();
        if let Some(source) = state.find(fd.as_raw_fd()).filter(|source| source.mode.is_edge()) {
            // The end of both ways was reported: nothing else can happen.
            let rest = if source.has_hung_up { 0 } else { !interest_flags(interest) };
            source.armed &= rest;
        }
    }
}

impl Shared {
    fn ask(
        &self,
        state: &mut State,
        fd: RawFd,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let since = state.version + 1;
        let source = state.find(fd).ok_or_else(not_registered)?;
        let wanted = interest_flags(interest);
        let armed = wanted | ENDS;
        let has_hung_up = false;
        *source = Source { token, mode, wanted, armed, has_hung_up, since, ..*source };
        self.restart_waits(state);
        Ok(())
    }

    /// Restarts the waits that are going on, with what has changed.
    fn restart_waits(&self, state: &mut State) {
        state.version += 1;
        if state.waiting > state.outdated {
            state.outdated = state.waiting;
            // A write fails only when the counter is full: then it ends waits already.
            let _ = self.changed.signal();
        }
    }

    /// Waits until `found` finds something, or the time is over.
    fn until(
        &self,
        timeout_ms: i32,
        found: impl FnMut(&mut State, &Snapshot) -> usize,
    ) -> io::Result<usize> {
        self.until_either(timeout_ms, found, &|| false)
    }

    /// The same, but returns when `is_over` returns true. It is called after `begin`,
    /// from where on an interrupt ends the wait: an earlier call could miss one.
    fn until_either(
        &self,
        timeout_ms: i32,
        mut found: impl FnMut(&mut State, &Snapshot) -> usize,
        is_over: &dyn Fn() -> bool,
    ) -> io::Result<usize> {
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut left_ms = timeout_ms;
        loop {
            let mut snapshot = self.begin();
            let waited = (self.system.wait)(
                &mut snapshot.entries,
                if snapshot.is_woken || is_over() { 0 } else { left_ms },
            );
            let mut state = self.lock();
            self.end(&mut state, &snapshot);
            let count = waited.map(|_| found(&mut state, &snapshot));
            state.spare = snapshot.entries;
            drop(state);
            left_ms = deadline.map_or(left_ms, left_until);
            let count = count?;
            if count > 0 || left_ms == 0 {
                return Ok(count);
            }
        }
    }

    fn begin(&self) -> Snapshot {
        let mut state = self.lock();
        state.waiting += 1;
        let mut entries = std::mem::take(&mut state.spare);
        entries.clear();
        entries.push(entry(self.changed.as_raw_fd(), libc::POLLIN as u32));
        let armed = state.sources.iter().filter(|source| source.armed != 0);
        entries.extend(armed.map(|source| entry(source.fd, source.events())));
        Snapshot { entries, version: state.version, is_woken: state.is_woken }
    }

    fn end(&self, state: &mut State, snapshot: &Snapshot) {
        state.waiting -= 1;
        if snapshot.version == state.version || state.outdated == 0 {
            return;
        }
        state.outdated -= 1;
        if state.outdated == 0 {
            // Not earlier: the signal has to end the other waits as well.
            let _ = self.changed.reset();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&mut self, fd: RawFd) -> Option<&mut Source> {
        let index = *self.indices.get(&fd)?;
        self.sources.get_mut(index)
    }

    /// Takes a source out; returns whether it was there.
    fn remove(&mut self, fd: RawFd) -> bool {
        let Some(index) = self.indices.remove(&fd) else { return false };
        self.sources.swap_remove(index);
        if let Some(fd) = self.sources.get(index).map(|moved| moved.fd) {
            self.indices.insert(fd, index);
        }
        true
    }

    /// Writes what is ready, and disarms it. A source whose descriptor was closed by
    /// other code is reported once, as failed, and taken out: it would end each wait
    /// at once, and another source may get the number.
    fn take(&mut self, snapshot: &Snapshot, events: &mut [Event]) -> usize {
        let mut room = events.iter_mut();
        let mut count = 0;
        if let (Some(token), true) = (self.waker, self.is_woken) {
            self.is_woken = false;
            if let Some(event) = room.next() {
                *event = Event::new(token, Event::READABLE);
                count += 1;
            }
        }
        let ready = snapshot.sources();
        let first = self.first % ready.len().max(1);
        let (before, from) = ready.split_at_checked(first).unwrap_or((&[], ready));
        for (index, entry) in from.iter().chain(before).enumerate() {
            let Some(source) = self.ready(snapshot, entry) else { continue };
            let Some(event) = room.next() else {
                self.first = first + index;
                break;
            };
            *event = Event::new(source.token, readiness(source.reportable(entry)));
            source.disarm_reported(entry);
            if is_closed(entry) {
                self.remove(entry.fd);
            }
            count += 1;
        }
        count
    }

    /// Returns 1 when there is an event, and 0 when there is none.
    fn count(&mut self, snapshot: &Snapshot) -> usize {
        if self.is_woken {
            return 1;
        }
        let ready = |entry: &&libc::pollfd| self.ready(snapshot, entry).is_some();
        snapshot.sources().iter().filter(ready).take(1).count()
    }

    /// The source of an entry that still has something to report.
    fn ready(&mut self, snapshot: &Snapshot, entry: &libc::pollfd) -> Option<&mut Source> {
        if entry.revents == 0 {
            return None;
        }
        let is_current = |source: &&mut Source| source.since <= snapshot.version;
        self.find(entry.fd).filter(is_current).filter(|source| source.reportable(entry) != 0)
    }
}

impl Source {
    /// Arms what was asked for; returns whether that changes anything.
    fn rearm(&mut self, interest: Interest) -> bool {
        // Urgent data is read past, and errors are taken, as data is read.
        let urgent = if interest.is_readable() { libc::POLLPRI as u32 } else { 0 };
        let armed = self.wanted & (interest_flags(interest) | urgent) | ENDS;
        if !self.mode.is_edge() || self.armed & armed == armed {
            return false;
        }
        self.armed |= armed;
        true
    }

    /// The events that the next wait asks for. The system reports ends without being
    /// asked, but select looks only at descriptors that are in a set. So a pipe's
    /// writer that waits for its end alone asks for an event that it can never have.
    fn events(&self) -> u32 {
        match self.armed & !ENDS {
            0 if self.file.is_pipe && self.wanted & READ == 0 => libc::POLLRDHUP as u32,
            armed => armed,
        }
    }

    /// The events of an entry that are still armed.
    fn reportable(&self, entry: &libc::pollfd) -> u32 {
        if is_closed(entry) {
            return libc::POLLERR as u32;
        }
        entry.revents as u16 as u32 & self.armed
    }

    fn disarm_reported(&mut self, entry: &libc::pollfd) {
        let reported = self.reportable(entry);
        if self.mode.is_level() {
            return;
        }
        self.has_hung_up |= reported & libc::POLLHUP as u32 != 0;
        if self.mode.is_one_shot() || reported & ENDS != 0 {
            self.armed = 0;
            return;
        }
        // An end is read like data, and reported with it.
        self.armed &= !(reported | if reported & READ != 0 { READ } else { 0 });
    }
}

impl File {
    fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let status = rustix::fs::fstat(fd)?;
        let is_pipe = FileType::from_raw_mode(status.st_mode) == FileType::Fifo;
        Ok(Self { device: status.st_dev, inode: status.st_ino, is_pipe })
    }
}

impl Snapshot {
    /// The entries of sources: the first is the selector's own.
    fn sources(&self) -> &[libc::pollfd] {
        self.entries.get(1..).unwrap_or_default()
    }
}

fn entry(fd: RawFd, events: u32) -> libc::pollfd {
    libc::pollfd { fd, events: events as i16, revents: 0 }
}

/// Whether the descriptor of the entry was not open.
fn is_closed(entry: &libc::pollfd) -> bool {
    entry.revents & libc::POLLNVAL != 0
}

fn not_registered() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

/// A mark that the next wait finds.
#[derive(Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

impl Waker {
    /// Gives the selector's waker its token.
    pub fn new(selector: &Emulated, token: Token) -> io::Result<Self> {
        let shared = Arc::clone(&selector.shared);
        shared.lock().waker = Some(token);
        Ok(Self { shared })
    }

    /// Marks the selector, once until a wait reports it.
    pub fn wake(&self) -> io::Result<()> {
        let mut state = self.shared.lock();
        if !std::mem::replace(&mut state.is_woken, true) {
            self.shared.restart_waits(&mut state);
        }
        Ok(())
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        (state.waker, state.is_woken) = (None, false);
    }
}

#[cfg(test)]
#[cfg(loom)]
pub mod model;

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;

    use super::*;
    use crate::sys::{poll, select};

    const SYSTEMS: [System; 2] = [poll::SYSTEM, select::SYSTEM];

    fn selector(system: System) -> Emulated {
        Emulated::new(system).unwrap()
    }

    fn tokens(selector: &Emulated, timeout_ms: i32) -> Vec<u32> {
        let mut events = [Event::default(); 8];
        let count = selector.wait(&mut events, timeout_ms).unwrap();
        events[..count].iter().map(|event| event.token().0).collect()
    }

    /// A source that stays readable: its peer has gone.
    fn ended() -> UnixStream {
        UnixStream::pair().unwrap().0
    }

    #[test]
    fn changes_during_a_wait_reach_every_wait() {
        for system in SYSTEMS {
            let selector = selector(system);
            let sources: Vec<UnixStream> = (0..4).map(|_| ended()).collect();
            std::thread::scope(|scope| {
                let (sender, receiver) = mpsc::channel();
                for _ in 0..sources.len() {
                    let (selector, sender) = (&selector, sender.clone());
                    scope.spawn(move || {
                        let mut events = [Event::default()];
                        let count = selector.wait(&mut events, 10_000).unwrap();
                        sender.send((count, events[0].token().0)).unwrap();
                    });
                }
                while selector.shared.lock().waiting < sources.len() {
                    std::thread::yield_now();
                }
                let mut events_of_waits = Vec::new();
                for (number, source) in sources.iter().enumerate() {
                    let (fd, token) = (source.as_fd(), Token(number as u32));
                    selector.register(fd, token, Interest::READABLE, Mode::EDGE).unwrap();
                    events_of_waits.push(receiver.recv().unwrap());
                }
                assert_eq!(events_of_waits, [(1, 0), (1, 1), (1, 2), (1, 3)]);
            });
            let state = selector.shared.lock();
            assert_eq!((state.waiting, state.outdated), (0, 0));
        }
    }

    #[test]
    fn a_signal_that_every_wait_has_seen_is_reset() {
        for system in SYSTEMS {
            let selector = selector(system);
            let source = ended();
            std::thread::scope(|scope| {
                let waits = scope.spawn(|| tokens(&selector, 10_000));
                while selector.shared.lock().waiting == 0 {
                    std::thread::yield_now();
                }
                let fd = source.as_fd();
                selector.register(fd, Token(3), Interest::READABLE, Mode::EDGE).unwrap();
                assert_eq!(waits.join().unwrap(), [3]);
            });
            let mut entries = [entry(selector.shared.changed.as_raw_fd(), libc::POLLIN as u32)];
            assert_eq!((system.wait)(&mut entries, 0).unwrap(), 0);
        }
    }

    #[test]
    fn an_entry_of_an_earlier_registration_is_not_reported() {
        for system in SYSTEMS {
            let selector = selector(system);
            let source = ended();
            let fd = source.as_fd();
            selector.register(fd, Token(1), Interest::READABLE, Mode::EDGE).unwrap();
            let mut snapshot = selector.shared.begin();
            (system.wait)(&mut snapshot.entries, 0).unwrap();
            selector.reregister(fd, Token(2), Interest::WRITABLE, Mode::EDGE).unwrap();
            let mut state = selector.shared.lock();
            selector.shared.end(&mut state, &snapshot);
            assert_eq!(state.take(&snapshot, &mut [Event::default()]), 0);
            drop(state);
            assert_eq!(tokens(&selector, 0), [2]);
        }
    }

    #[test]
    fn a_source_that_has_ended_does_not_end_each_wait() {
        for system in SYSTEMS {
            let selector = selector(system);
            let source = ended();
            let fd = source.as_fd();
            let both = Interest::READABLE | Interest::WRITABLE;
            selector.register(fd, Token(1), both, Mode::EDGE).unwrap();
            assert_eq!(tokens(&selector, 0), [1]);
            let mut rounds = 0;
            let quiet = selector.shared.until(20, |_, _| {
                rounds += 1;
                0
            });
            assert_eq!((quiet.unwrap(), rounds), (0, 1));
        }
    }

    /// A readable source with a descriptor so high that nothing else here gets it after a close.
    fn far_away() -> OwnedFd {
        rustix::io::fcntl_dupfd_cloexec(ended(), 900).unwrap()
    }

    #[test]
    fn a_descriptor_that_other_code_closed_is_reported_once_as_failed() {
        for (system, mode) in SYSTEMS.into_iter().zip([Mode::EDGE, Mode::LEVEL]) {
            let selector = selector(system);
            let (quiet, _peer) = UnixStream::pair().unwrap();
            let fd = quiet.as_fd();
            selector.register(fd, Token(1), Interest::READABLE, Mode::EDGE).unwrap();
            let source = far_away();
            selector.register(source.as_fd(), Token(7), Interest::READABLE, mode).unwrap();
            drop(source);
            assert!(selector.park(-1).unwrap());
            let mut events = [Event::default(); 8];
            assert_eq!(selector.wait(&mut events, -1).unwrap(), 1);
            let failed = Event::ERROR | Event::WRITE_CLOSED;
            assert_eq!((events[0].token(), events[0].readiness()), (Token(7), failed));
            // Each wait is one system call, which ends by its timeout.
            let mut rounds = 0;
            let wait = selector.shared.until(20, |_, _| {
                rounds += 1;
                0
            });
            assert_eq!((wait.unwrap(), rounds), (0, 1));
            assert_eq!(tokens(&selector, 0), []);
        }
    }

    #[test]
    fn descriptors_that_other_code_closed_are_reported_when_there_is_room() {
        for system in SYSTEMS {
            let selector = selector(system);
            let sources: Vec<OwnedFd> = (0..3).map(|_| far_away()).collect();
            for (number, source) in sources.iter().enumerate() {
                let (fd, token) = (source.as_fd(), Token(number as u32));
                selector.register(fd, token, Interest::READABLE, Mode::EDGE).unwrap();
            }
            drop(sources);
            let mut reported: Vec<Token> = (0..3)
                .map(|_| {
                    let mut event = [Event::default()];
                    assert_eq!(selector.wait(&mut event, -1).unwrap(), 1);
                    event[0].token()
                })
                .collect();
            reported.sort_unstable();
            assert_eq!(reported, [Token(0), Token(1), Token(2)]);
            assert_eq!(tokens(&selector, 0), []);
        }
    }

    #[test]
    fn the_last_source_takes_the_place_of_one_that_left() {
        let selector = selector(poll::SYSTEM);
        let sources: Vec<UnixStream> = (0..3).map(|_| ended()).collect();
        for (number, source) in sources.iter().enumerate() {
            let token = Token(number as u32);
            let fd = source.as_fd();
            selector.register(fd, token, Interest::READABLE, Mode::LEVEL).unwrap();
        }
        selector.deregister(sources[0].as_fd()).unwrap();
        assert_eq!(tokens(&selector, 0), [2, 1]);
        let gone = selector.deregister(sources[0].as_fd());
        assert_eq!(gone.unwrap_err().raw_os_error(), Some(libc::ENOENT));
        selector.deregister(sources[2].as_fd()).unwrap();
        selector.reregister(sources[1].as_fd(), Token(9), Interest::READABLE, Mode::EDGE).unwrap();
        assert_eq!(tokens(&selector, 0), [9]);
    }
}
