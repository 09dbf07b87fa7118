//! What the threads that use one proactor share: its places, and the orders of threads that
//! do not own it.
//!
//! One lock has all of it, and is held for a few instructions for a whole batch of
//! operations: a queue without locks would be entered once for each operation.

#[cfg(test)]
#[cfg(loom)]
mod model;

use std::mem::take;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, OnceLock};

use crate::reaper::{Inbox, Untaken};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::sys::{EventFd, Flight};

/// What another thread wants of the owner.
#[derive(Debug)]
pub enum Order {
    /// To submit an operation.
    Submit(Box<Flight>),
    /// To end operations.
    Cancel(Cancel),
    /// To let an operation go on, since its reaper has taken its completions.
    Resume(Arc<Untaken>),
    /// To tell the owner that there is room, for an operation with this token.
    Drained(u32),
    /// To end the operations of a reaper that is gone.
    Abandon(Arc<Inbox>),
}

/// Operations to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// All with this token.
    Token(u32),
    /// All on the source with this handle.
    Source(u64),
}

/// Somebody who waits for room.
#[derive(Debug)]
struct Refused {
    token: u32,
    /// The fewest places that would do.
    places: u32,
    reaper: Option<Arc<Inbox>>,
}

/// The shared part of a proactor.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    /// Ends the owner's wait.
    wake: EventFd,
    /// What the parked owner reads, once it has parked.
    signal: OnceLock<EventFd>,
}

#[derive(Debug)]
struct State {
    /// Places that operations take, until their last completions are handed over.
    in_flight: u32,
    in_flight_max: u32,
    orders: Vec<Order>,
    /// Whether the owner waits, and must be woken for an order.
    is_waiting: bool,
    is_closed: bool,
    refused: Vec<Refused>,
    reapers: Vec<Arc<Inbox>>,
    counts: SharedCounts,
}

/// Counters of the shared part.
#[derive(Clone, Copy, Debug, Default)]
pub struct SharedCounts {
    /// Operations that there was no room for.
    pub refused: u64,
    /// Notices that there is room again.
    pub drains: u64,
    /// Times that another thread has woken the owner.
    pub wakes: u64,
}

impl Shared {
    /// Nothing in flight yet, with `in_flight_max` places.
    pub fn new(in_flight_max: u32) -> std::io::Result<Self> {
        let state = State {
            in_flight: 0,
            in_flight_max,
            orders: Vec::new(),
            is_waiting: false,
            is_closed: false,
            refused: Vec::new(),
            reapers: Vec::new(),
            counts: SharedCounts::default(),
        };
        Ok(Self { state: Mutex::new(state), wake: EventFd::new()?, signal: OnceLock::new() })
    }

    /// The counter that ends the owner's wait.
    pub const fn wake(&self) -> &EventFd {
        &self.wake
    }

    /// The counter that a parked owner reads.
    pub const fn signal(&self) -> &OnceLock<EventFd> {
        &self.signal
    }

    /// Ends a wait of the owner, and a park. The ring would end the park too, by the wake;
    /// but Linux (seen in 6.18) signals a ring's eventfd once, and then no more, when an
    /// eventfd is what completes operations.
    fn wake_owner(&self) {
        self.wake.signal();
        self.signal.get().into_iter().for_each(EventFd::signal);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes places for operations that need so many each, in order, and returns how many
    /// operations got theirs. The owner of the first that did not will be told of room.
    pub fn admit<'a>(
        &self,
        wanted: impl Iterator<Item = (u32, u32, Option<&'a Arc<Inbox>>)>,
    ) -> usize {
        let mut state = self.state();
        let mut admitted = 0;
        for (token, places, reaper) in wanted {
            let is_room = state.in_flight_max - state.in_flight >= places;
            if is_room && reaper.is_none_or(|reaper| reaper.admit(token)) {
                state.in_flight += places;
                admitted += 1;
                continue;
            }
            state.counts.refused += 1;
            if !is_room {
                state.refuse(token, places, reaper.cloned());
            }
            break;
        }
        admitted
    }

    /// Takes one place, for a message; nobody will be told of room.
    pub fn admit_message(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.state();
        let is_room = state.in_flight < state.in_flight_max && !state.is_closed;
        state.in_flight += u32::from(is_room);
        is_room.then(|| Place(Some(Arc::clone(self))))
    }

    /// Gives places back. Returns the tokens of the owner's operations that were refused, if
    /// there is room for them now. It does not wait until many places are free: those of
    /// operations that wait for their peers may be taken for ever.
    pub fn give_back(&self, places: u32) -> Vec<u32> {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(places);
        let room = state.in_flight_max - state.in_flight;
        let all = take(&mut state.refused).into_iter();
        let (told, left): (Vec<_>, _) = all.partition(|refused| refused.places <= room);
        state.refused = left;
        if told.is_empty() {
            return Vec::new();
        }
        state.counts.drains += told.len() as u64;
        drop(state);
        let mut tokens = Vec::new();
        for Refused { token, reaper, .. } in told {
            match reaper {
                Some(reaper) => reaper.note_drained(token),
                None => tokens.push(token),
            }
        }
        tokens
    }

    /// Gives the place of a message back that did not arrive.
    fn give_back_message(&self) {
        let orders: Vec<_> = self.give_back(1).into_iter().map(Order::Drained).collect();
        if !orders.is_empty() {
            self.order(orders);
        }
    }

    /// Gives orders to the owner, and wakes it. Returns whether the proactor is open.
    pub fn order(&self, orders: impl IntoIterator<Item = Order>) -> bool {
        let mut state = self.state();
        if state.is_closed {
            return false;
        }
        state.orders.extend(orders);
        if !take(&mut state.is_waiting) {
            return true;
        }
        state.counts.wakes += 1;
        drop(state);
        self.wake_owner();
        true
    }

    /// Takes the orders; `None` when the proactor is closed.
    pub fn take_orders(&self) -> Option<Vec<Order>> {
        let mut state = self.state();
        (!state.is_closed).then(|| take(&mut state.orders))
    }

    /// Begins a wait of the owner, which orders end; false when one is there already, or the
    /// proactor is closed.
    pub fn begin_wait(&self) -> bool {
        let mut state = self.state();
        state.is_waiting = state.orders.is_empty() && !state.is_closed;
        state.is_waiting
    }

    /// Ends a wait of the owner.
    pub fn end_wait(&self) {
        self.state().is_waiting = false;
        // A wake that came meanwhile has orders: the owner looks at them next.
    }

    /// Notes a reaper, which hears of the proactor's end.
    pub fn enter(&self, reaper: &Arc<Inbox>) -> bool {
        let mut state = self.state();
        state.reapers.retain(|known| !known.is_closed());
        state.reapers.push(Arc::clone(reaper));
        !state.is_closed
    }

    /// Closes the proactor for all threads, and ends the owner's wait.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let (orders, reapers) = (take(&mut state.orders), take(&mut state.reapers));
        state.refused.clear();
        drop(state);
        drop(orders);
        reapers.iter().for_each(|reaper| reaper.close());
        self.wake_owner();
    }

    /// Places that are taken, and the counters.
    pub fn counts(&self) -> (u32, SharedCounts) {
        let state = self.state();
        (state.in_flight, state.counts)
    }
}

impl State {
    fn refuse(&mut self, token: u32, places: u32, reaper: Option<Arc<Inbox>>) {
        let is_same = |known: &&mut Refused| match (&known.reaper, &reaper) {
            (None, None) => true,
            (Some(known), Some(new)) => Arc::ptr_eq(known, new),
            _ => false,
        };
        match self.refused.iter_mut().find(is_same) {
            Some(known) => known.places = known.places.min(places),
            None => self.refused.push(Refused { token, places, reaper }),
        }
    }
}

/// A place at the proactor that a message is for. Without its message, it is given back: also
/// by a sender that closes first.
#[derive(Debug)]
pub struct Place(Option<Arc<Shared>>);

impl Place {
    /// The message has arrived: its receiver gives the place back.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.give_back_message();
        }
    }
}

/// The proactor that a message is for.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its ring, which stays open until the message has arrived.
    pub ring: Arc<OwnedFd>,
    /// Its places.
    pub shared: Arc<Shared>,
}

impl Target {
    /// The descriptor of its ring.
    pub fn ring(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
