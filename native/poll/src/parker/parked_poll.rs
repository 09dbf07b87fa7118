//! A poll for which a thread waits: what its parker and the thread share.

#[cfg(test)]
#[cfg(loom)]
mod model;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::shared_thread::SharedThread;
use crate::sync::{Condvar, Mutex, MutexGuard, thread};
use crate::{Poll, Registration, Source, Token, sys};

/// The stack of a thread that only waits, with room for a batch of events.
const STACK_BYTES: usize = 128 * 1024;

/// A poll that can be parked.
#[derive(Debug)]
pub struct ParkedPoll {
    token: Token,
    poll: Arc<Poll>,
    /// The poll's own descriptor, if it has one: the shared thread waits for it.
    watch: Option<Watch>,
    /// A byte is written here when the wait is over.
    signal: OwnedFd,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wait: Wait,
    /// Waits that have begun, counted around.
    begun: u32,
    has_thread: bool,
    is_closed: bool,
}

/// Until when a poll is parked.
#[derive(Clone, Copy, Debug, Default)]
enum Wait {
    /// It is not.
    #[default]
    Not,
    /// Until something is ready.
    Ready,
    /// The same, or until then.
    Until(Instant),
}

impl Wait {
    fn of(timeout: Option<Duration>) -> Self {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        deadline.map_or(Self::Ready, Self::Until)
    }

    const fn deadline(self) -> Option<Instant> {
        if let Self::Until(deadline) = self { Some(deadline) } else { None }
    }
}

/// A descriptor of the poll's own, as a source of the shared thread's poll.
#[derive(Debug)]
pub struct Watch(Registration);

impl Source for Watch {
    fn registration(&self) -> &Registration {
        &self.0
    }
}

impl ParkedPoll {
    /// Opens one that writes to `signal` when a wait is over.
    pub fn open(poll: Arc<Poll>, signal: OwnedFd) -> io::Result<Arc<Self>> {
        let watch = poll.registry().selector().pollable();
        let watch = watch.map(|fd| fd.try_clone_to_owned()).transpose()?;
        let parked = Arc::new(Self {
            token: next_token(),
            watch: watch.map(|fd| Watch(Registration::shared(fd))),
            poll,
            signal,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        if let Some(watch) = &parked.watch {
            SharedThread::get()?.enter(&parked, watch)?;
        }
        Ok(parked)
    }

    /// What it is registered as, and known by, where the shared thread waits.
    pub fn token(&self) -> Token {
        self.token
    }

    /// When its wait is over, if it has an end.
    pub fn deadline(&self) -> Option<Instant> {
        self.state().wait.deadline()
    }

    /// Begins a wait, which replaces one that is going on.
    pub fn park(self: &Arc<Self>, timeout: Option<Duration>) -> io::Result<()> {
        let wait = Wait::of(timeout);
        let Some(watch) = &self.watch else { return self.park_alone(wait) };
        self.state().wait = wait;
        SharedThread::get()?.park(self, watch, wait.deadline())
    }

    /// Writes a byte. One that finds no room is not needed: other bytes wait.
    pub fn wake(&self) {
        let _ = sys::send(self.signal.as_fd(), &[1]);
    }

    /// Ends the wait, if there is one.
    pub fn end_wait(&self) {
        let wait = std::mem::take(&mut self.state().wait);
        if !matches!(wait, Wait::Not) {
            self.wake();
        }
    }

    /// Ends what waits, without a byte.
    pub fn close(&self) {
        if let Some(watch) = &self.watch {
            // Without the thread, the poll has not entered.
            let _ = SharedThread::get().map(|thread| thread.leave(self, watch));
        }
        self.state().is_closed = true;
        self.changed.notify_all();
        self.poll.registry().selector().interrupt();
    }

    /// Parks a poll without a descriptor: on a thread of its own, which the first
    /// call starts.
    fn park_alone(self: &Arc<Self>, wait: Wait) -> io::Result<()> {
        let mut state = self.state();
        if !state.has_thread {
            let parked = Arc::clone(self);
            start("denio-park", move || parked.wait_alone())?;
            state.has_thread = true;
        }
        state.wait = wait;
        state.begun = state.begun.wrapping_add(1);
        drop(state);
        self.changed.notify_all();
        // The thread may wait for longer by what was asked before.
        self.poll.registry().selector().interrupt();
        Ok(())
    }

    fn wait_alone(&self) {
        while let Some((wait, begun)) = self.next_wait() {
            let left = wait.deadline().map(|deadline| deadline - Instant::now());
            let is_replaced = || {
                let state = self.state();
                state.is_closed || state.begun != begun
            };
            // An error of the wait is an error of the poll's next wait, too.
            let _ = self.poll.park_unless(left, &is_replaced);
            if !is_replaced() {
                self.end_wait();
            }
        }
    }

    /// Waits until the poll is parked; nothing when the parker has gone.
    fn next_wait(&self) -> Option<(Wait, u32)> {
        let mut state = self.state();
        while matches!(state.wait, Wait::Not) && !state.is_closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (!state.is_closed).then_some((state.wait, state.begun))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a token that no other parked poll has, and not the waker's.
fn next_token() -> Token {
    static NEXT: AtomicU32 = AtomicU32::new(SharedThread::WAKER.0 + 1);
    loop {
        let token = Token(NEXT.fetch_add(1, Ordering::Relaxed));
        if token != SharedThread::WAKER {
            return token;
        }
    }
}

/// Starts a thread that only waits.
pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    builder.spawn(run).map(drop)
}
