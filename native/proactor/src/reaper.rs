//! Completions for a thread that does not own the proactor.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::completion::Completion;
use crate::output::{Opened, Output};
use crate::shared::{Order, Shared};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, lock};
use crate::sys::{EventFd, Kind};

/// Completions of one operation that a reaper may leave in its inbox. At so many the
/// operation pauses: otherwise a reaper that takes nothing would make the proactor keep all
/// that comes.
pub const UNTAKEN_MAX: u32 = 16;

/// Counts what a reaper has not taken of an operation that goes on.
#[derive(Debug)]
pub struct Untaken {
    /// The operation's number.
    pub flight: u32,
    count: AtomicU32,
}

impl Untaken {
    /// Nothing yet, of the operation with that number.
    pub fn new(flight: u32) -> Self {
        Self { flight, count: AtomicU32::new(0) }
    }

    /// How many completions are not taken.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// Counts one, and returns whether the operation must pause.
    pub fn add(&self) -> bool {
        self.count.fetch_add(1, Ordering::SeqCst) + 1 >= UNTAKEN_MAX
    }
}

/// A completion in an inbox, with all that belongs to it.
#[derive(Debug)]
pub struct Done {
    /// The completion; its value, start and end come later.
    pub completion: Completion,
    /// What was accepted or opened.
    pub opened: Option<(OwnedFd, Kind)>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The operation that goes on when this is taken.
    pub untaken: Option<Arc<Untaken>>,
}

/// The inbox of a reaper.
#[derive(Debug)]
pub struct Inbox {
    state: Mutex<State>,
    arrived: Condvar,
    /// Signalled while the reaper is parked.
    signal: EventFd,
    shared: Weak<Shared>,
}

#[derive(Debug)]
struct State {
    done: VecDeque<Done>,
    /// Operations without their last completion taken.
    in_flight: u32,
    in_flight_max: u32,
    refused: Option<u32>,
    is_parked: bool,
    is_closed: bool,
}

impl Inbox {
    /// Opens an inbox for at most `in_flight_max` operations at a time.
    ///
    /// # Errors
    ///
    /// `EMFILE`; `EBADF` when the proactor is closed.
    pub fn open(shared: &Arc<Shared>, in_flight_max: u32) -> io::Result<Arc<Self>> {
        let state = State {
            done: VecDeque::new(),
            in_flight: 0,
            in_flight_max,
            refused: None,
            is_parked: false,
            is_closed: false,
        };
        let inbox = Arc::new(Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
            signal: EventFd::new()?,
            shared: Arc::downgrade(shared),
        });
        if shared.enter(&inbox) { Ok(inbox) } else { Err(closed()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether nobody takes from it any more.
    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Whether it is an inbox of that proactor.
    pub fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        std::ptr::eq(self.shared.as_ptr(), Arc::as_ptr(shared))
    }

    /// Takes a place for an operation; without one, the reaper will be told of room.
    pub fn admit(&self, token: u32) -> bool {
        let mut state = self.state();
        let is_room = state.in_flight < state.in_flight_max;
        if is_room {
            state.in_flight += 1;
        } else {
            state.refused.get_or_insert(token);
        }
        is_room
    }

    /// Gives the place of an operation back that was not made.
    pub fn give_back(&self) {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        let token = state.refused.take();
        drop(state);
        token.into_iter().for_each(|token| self.note_drained(token));
    }

    /// Puts a completion in; drops it when nobody will take it.
    pub fn put(&self, done: Done) {
        let mut state = self.state();
        if state.is_closed {
            return;
        }
        state.done.push_back(done);
        let is_parked = std::mem::take(&mut state.is_parked);
        drop(state);
        self.arrived.notify_one();
        if is_parked {
            self.signal.signal();
        }
    }

    /// Notes that the proactor has room again.
    pub fn note_drained(&self, token: u32) {
        self.put(drained(token));
    }

    /// Takes nothing more, and ends a wait.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let is_parked = std::mem::take(&mut state.is_parked);
        drop(state);
        self.arrived.notify_all();
        if is_parked {
            self.signal.signal();
        }
    }

    /// Waits until a completion is there or `timeout` is over, and writes what is there.
    ///
    /// # Errors
    ///
    /// `EBADF` when it is closed and empty; `EMSGSIZE` when the bytes of the next completion
    /// are longer than the buffer.
    pub fn wait(&self, output: &mut Output<'_>, timeout: Option<Duration>) -> io::Result<usize> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state();
        state.is_parked = false;
        while state.done.is_empty() {
            if state.is_closed {
                return Err(closed());
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if timeout.is_some() && left.unwrap_or_default().is_zero() {
                return Ok(0);
            }
            state = self.sleep(state, left);
        }
        let mut resumed = Vec::new();
        let written = take(&mut state, output, &mut resumed);
        drop(state);
        self.resume(resumed);
        written
    }

    #[cfg(not(loom))]
    fn sleep<'s>(
        &self,
        state: MutexGuard<'s, State>,
        left: Option<Duration>,
    ) -> MutexGuard<'s, State> {
        use std::sync::PoisonError;
        let Some(left) = left else {
            return self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
    }

    /// loom has no time.
    #[cfg(loom)]
    fn sleep<'s>(
        &self,
        state: MutexGuard<'s, State>,
        _left: Option<Duration>,
    ) -> MutexGuard<'s, State> {
        self.arrived.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Lets operations go on of which all completions are taken.
    fn resume(&self, taken: Vec<Arc<Untaken>>) {
        let goes_on = |untaken: &Arc<Untaken>| untaken.count.fetch_sub(1, Ordering::SeqCst) == 1;
        let orders: Vec<_> = taken.into_iter().filter(goes_on).map(Order::Resume).collect();
        if let Some(shared) = self.shared.upgrade().filter(|_| !orders.is_empty()) {
            shared.order(orders);
        }
    }

    /// A descriptor that becomes readable when a completion comes to a parked reaper.
    ///
    /// # Errors
    ///
    /// `EMFILE`.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.signal.try_clone()
    }

    /// Makes the descriptor readable now.
    pub fn unpark(&self) {
        self.signal.signal();
    }

    /// Signals the descriptor when a completion comes; returns true, and does not signal,
    /// when one is there already.
    pub fn park(&self) -> bool {
        let mut state = self.state();
        self.signal.reset();
        state.is_parked = state.done.is_empty() && !state.is_closed;
        !state.is_parked
    }
}

/// An inbox that the table of handles owns: without it, nobody takes from the inbox.
#[derive(Debug)]
pub struct HeldInbox(pub Arc<Inbox>);

impl Drop for HeldInbox {
    fn drop(&mut self) {
        let inbox = &self.0;
        inbox.close();
        // With what they have opened.
        drop(std::mem::take(&mut inbox.state().done));
        if let Some(shared) = inbox.shared.upgrade() {
            shared.order([Order::Abandon(Arc::clone(inbox))]);
        }
    }
}

fn take(
    state: &mut State,
    output: &mut Output<'_>,
    resumed: &mut Vec<Arc<Untaken>>,
) -> io::Result<usize> {
    while let Some(done) = state.done.front() {
        let Some(range) = output.put(&done.bytes)? else { break };
        let Some(Done { mut completion, opened, untaken, .. }) = state.done.pop_front() else {
            break;
        };
        (completion.start, completion.end) = range;
        let opened = opened.map(|(fd, kind)| Opened { fd, kind });
        let is_last = completion.flags & (Completion::MORE | Completion::DRAINED) == 0;
        output.write(completion, opened);
        state.in_flight -= u32::from(is_last && state.in_flight > 0);
        resumed.extend(untaken);
        if state.in_flight < state.in_flight_max {
            let token = state.refused.take();
            state.done.extend(token.map(drained));
        }
    }
    Ok(output.written())
}

fn drained(token: u32) -> Done {
    let completion = Completion { token, flags: Completion::DRAINED, ..Completion::default() };
    Done { completion, opened: None, bytes: Vec::new(), untaken: None }
}

fn closed() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}
