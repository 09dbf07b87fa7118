//! A scripted kqueue: sockets in the state that a test gives them, with filters that
//! do what `sys/kern/kern_event.c` of FreeBSD 13 does.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

use super::{
    CHANGES_MAX, EV_ADD, EV_CLEAR, EV_DELETE, EV_EOF, EV_ERROR, EV_ONESHOT, EV_RECEIPT, Filter,
    Kernel, Kevent, NOTE_TRIGGER, Queue,
};
use crate::Event;

/// The kernel; a clone is the same kernel.
#[derive(Clone, Default)]
pub struct Script(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    sockets: BTreeMap<usize, Socket>,
    notes: BTreeMap<Place, Note>,
    /// The filters that have fired, in this order.
    queued: VecDeque<Place>,
    no_memory_for: Option<Filter>,
    meanwhile: Option<Box<dyn FnOnce()>>,
}

type Place = (usize, Filter);

#[derive(Default)]
struct Socket {
    /// How many bytes, or connections, wait.
    pending: usize,
    has_room: bool,
    is_ended: bool,
    error: i32,
    is_gone_pipe: bool,
}

struct Note {
    flags: u16,
    udata: u64,
    is_triggered: bool,
}

/// An event as tests write it: token and readiness.
pub type Report = (u32, u32);

impl Script {
    /// Opens a descriptor from which nothing can be read or written.
    pub fn open(&self, fd: RawFd) {
        self.0.borrow_mut().sockets.insert(fd as usize, Socket::default());
    }

    /// Closes a descriptor: its filters go with it.
    pub fn close(&self, fd: RawFd) {
        let mut state = self.0.borrow_mut();
        state.sockets.remove(&(fd as usize));
        state.drop_notes(|(ident, filter)| ident == fd as usize && filter != Filter::User);
    }

    /// Bytes or a connection arrive, which is an edge.
    pub fn arrive(&self, fd: RawFd) {
        self.change(fd, |socket| socket.pending += 1);
        self.0.borrow_mut().activate((fd as usize, Filter::Read));
    }

    /// Reads all, or accepts all.
    pub fn drain(&self, fd: RawFd) {
        self.change(fd, |socket| socket.pending = 0);
    }

    /// Accepts one connection: the filter fires again for the others.
    pub fn accept(&self, fd: RawFd) {
        self.change(fd, |socket| socket.pending -= 1);
        self.0.borrow_mut().activate((fd as usize, Filter::Read));
    }

    /// There is room to write now, which is an edge.
    pub fn make_room(&self, fd: RawFd) {
        self.change(fd, |socket| socket.has_room = true);
        self.0.borrow_mut().activate((fd as usize, Filter::Write));
    }

    /// Writes until there is no room.
    pub fn fill(&self, fd: RawFd) {
        self.change(fd, |socket| socket.has_room = false);
    }

    /// The peer refuses a connect.
    pub fn refuse(&self, fd: RawFd) {
        self.change(fd, |socket| {
            (socket.is_ended, socket.error) = (true, libc::ECONNREFUSED);
        });
        for filter in [Filter::Read, Filter::Write] {
            self.0.borrow_mut().activate((fd as usize, filter));
        }
    }

    /// Makes the descriptor the writing end of a pipe without a reader.
    pub fn lose_reader(&self, fd: RawFd) {
        self.change(fd, |socket| (socket.is_ended, socket.is_gone_pipe) = (true, true));
    }

    /// `SO_ERROR`, which a program can take once.
    pub fn take_error(&self, fd: RawFd) -> i32 {
        let mut error = 0;
        self.change(fd, |socket| error = std::mem::take(&mut socket.error));
        error
    }

    /// The kernel has no memory left when this filter is added next.
    pub fn no_memory_for(&self, filter: Filter) {
        self.0.borrow_mut().no_memory_for = Some(filter);
    }

    /// Calls `call` in the place of another thread, when the next wait has taken its events
    /// and has not returned yet.
    pub fn meanwhile(&self, call: impl FnOnce() + 'static) {
        self.0.borrow_mut().meanwhile = Some(Box::new(call));
    }

    /// The filters of all sources, each with its flags and `udata`.
    pub fn notes(&self) -> Vec<(usize, Filter, u16, u64)> {
        let state = self.0.borrow();
        let notes = state.notes.iter();
        notes.map(|(&(ident, filter), note)| (ident, filter, note.flags, note.udata)).collect()
    }

    /// Makes one change, as it is, and returns its errno.
    pub fn submit(&self, change: Kevent) -> i32 {
        self.0.borrow_mut().register(change)
    }

    /// Takes events as the kernel reports them.
    pub fn raw_wait(&self) -> Vec<Kevent> {
        self.0.borrow_mut().scan(usize::MAX)
    }

    fn change(&self, fd: RawFd, change: impl FnOnce(&mut Socket)) {
        let mut state = self.0.borrow_mut();
        change(state.sockets.get_mut(&(fd as usize)).expect("an open descriptor"));
    }
}

impl Kernel for Script {
    fn kevent(
        &self,
        changes: &[Kevent],
        room: usize,
        _timeout: Option<(i32, i32)>,
        mut on_event: impl FnMut(Kevent),
    ) -> io::Result<()> {
        assert!(changes.len() <= CHANGES_MAX);
        let mut answers = Vec::new();
        for change in changes {
            let errno = self.submit(*change);
            if errno != 0 || change.flags & EV_RECEIPT != 0 {
                assert!(answers.len() < room, "without room kevent(2) returns the errno");
                answers.push(Kevent { flags: EV_ERROR, data: errno.into(), ..*change });
            }
        }
        if changes.is_empty() {
            answers = self.0.borrow_mut().scan(room);
            let meanwhile = self.0.borrow_mut().meanwhile.take();
            if let Some(call) = meanwhile {
                call();
            }
        }
        answers.into_iter().for_each(&mut on_event);
        Ok(())
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl State {
    /// `kqueue_register()`.
    fn register(&mut self, change: Kevent) -> i32 {
        let place = (change.ident, change.filter);
        if change.filter != Filter::User && !self.sockets.contains_key(&change.ident) {
            return libc::EBADF;
        }
        let is_there = self.notes.contains_key(&place);
        if !is_there && change.flags & EV_ADD == 0 {
            return libc::ENOENT;
        }
        if !is_there && self.no_memory_for.take_if(|filter| *filter == change.filter).is_some() {
            return libc::ENOMEM;
        }
        let is_gone = self.sockets.get(&change.ident).is_some_and(|socket| socket.is_gone_pipe);
        let is_refused = is_gone && !is_there && change.filter == Filter::Write;
        if change.flags & EV_DELETE != 0 {
            self.drop_notes(|other| other == place);
            return 0;
        }
        let flags = change.flags & (EV_CLEAR | EV_ONESHOT);
        let blank = Note { flags, udata: 0, is_triggered: false };
        let note = self.notes.entry(place).or_insert(blank);
        note.udata = change.udata;
        if is_there && change.filter == Filter::User {
            note.is_triggered |= change.fflags & NOTE_TRIGGER != 0;
            note.is_triggered &= change.flags & EV_CLEAR == 0;
        }
        self.activate(place);
        if is_refused { libc::EPIPE } else { 0 }
    }

    /// `KNOTE_ACTIVATE()`, if the filter is there and ready.
    fn activate(&mut self, place: Place) {
        let is_there = self.notes.contains_key(&place);
        if is_there && !self.queued.contains(&place) && self.ready_event(place).is_some() {
            self.queued.push_back(place);
        }
    }

    /// `kqueue_scan()`.
    fn scan(&mut self, room: usize) -> Vec<Kevent> {
        let mut events = Vec::new();
        for place in std::mem::take(&mut self.queued) {
            if events.len() == room {
                self.queued.push_back(place);
                continue;
            }
            let flags = self.notes[&place].flags;
            if flags & EV_ONESHOT != 0 {
                // The kernel does not look at a one-shot filter again.
                events.push(self.event(place));
                self.notes.remove(&place);
                continue;
            }
            let Some(event) = self.ready_event(place) else { continue };
            events.push(event);
            self.notes.get_mut(&place).expect("a queued filter").is_triggered &=
                flags & EV_CLEAR == 0;
            if flags & EV_CLEAR == 0 {
                self.queued.push_back(place);
            }
        }
        events
    }

    /// The event of a filter, if it is ready.
    fn ready_event(&self, place: Place) -> Option<Kevent> {
        let (ident, filter) = place;
        let socket = self.sockets.get(&ident);
        let is_ready = match filter {
            Filter::User => self.notes[&place].is_triggered,
            Filter::Read => socket.is_some_and(|socket| socket.pending > 0 || socket.is_ended),
            Filter::Write => socket.is_some_and(|socket| socket.has_room || socket.is_ended),
        };
        is_ready.then(|| self.event(place))
    }

    fn event(&self, place: Place) -> Kevent {
        let (ident, filter) = place;
        let Note { flags, udata, .. } = self.notes[&place];
        let ended = self.sockets.get(&ident).filter(|socket| socket.is_ended);
        let eof = if ended.is_some() { EV_EOF } else { 0 };
        let fflags = ended.map_or(0, |socket| socket.error as u32);
        Kevent { ident, filter, flags: flags | eof, fflags, data: 0, udata }
    }

    fn drop_notes(&mut self, is_meant: impl Fn(Place) -> bool) {
        self.notes.retain(|place, _| !is_meant(*place));
        self.queued.retain(|place| !is_meant(*place));
    }
}

/// Waits with room for so many events.
pub fn wait(queue: &Queue<Script>, room: usize) -> Vec<Report> {
    let mut events = vec![Event::default(); room];
    let count = queue.wait(&mut events, 0).expect("a wait");
    events[..count].iter().map(|event| (event.token().0, event.readiness())).collect()
}
