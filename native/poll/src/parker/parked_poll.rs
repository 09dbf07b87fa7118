//! A poll for which a thread waits: the state that its parker and the thread share.

#[cfg(test)]
#[cfg(loom)]
mod model;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::shared_thread::{Parked, SharedThread, Watch, start};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::{Poll, Token, sys};

/// A poll that can be parked.
#[derive(Debug)]
pub struct ParkedPoll {
    token: Token,
    poll: Arc<Poll>,
    /// A descriptor of the poll, for which the shared thread waits; some backends have none.
    watch: Option<Watch>,
    /// The thread writes a byte here when the wait is over.
    signal: OwnedFd,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wait: Wait,
    /// The number of waits that have begun, counted with overflow.
    begun: u32,
    has_thread: bool,
    is_closed: bool,
}

/// The wait of a parked poll.
#[derive(Clone, Copy, Debug, Default)]
enum Wait {
    /// It is not parked.
    #[default]
    Not,
    /// It waits until something is ready.
    Ready,
    /// It waits until something is ready, or until then.
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

impl ParkedPoll {
    /// Opens a parked poll that writes to `signal` when a wait is over. `watch` is readable
    /// when something is ready.
    pub fn open(poll: Arc<Poll>, watch: Option<OwnedFd>, signal: OwnedFd) -> io::Result<Arc<Self>> {
        let parked = Arc::new(Self {
            token: next_token(),
            watch: watch.map(Watch::new),
            poll,
            signal,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        if let Some(watch) = &parked.watch {
            SharedThread::get()?.enter(parked.clone(), watch)?;
        }
        Ok(parked)
    }

    /// Begins a wait, which replaces the wait before.
    pub fn park(self: &Arc<Self>, timeout: Option<Duration>) -> io::Result<()> {
        let wait = Wait::of(timeout);
        let Some(watch) = &self.watch else { return self.park_alone(wait) };
        self.state().wait = wait;
        self.poll.registry().selector().begin_signals(None)?;
        SharedThread::get()?.park(self.token, watch, wait.deadline())
    }

    /// Writes a byte. Without room none is needed: other bytes wait to be read.
    pub fn wake(&self) {
        let _ = sys::send(self.signal.as_fd(), &[1]);
    }

    /// Ends the wait without a byte.
    pub fn close(&self) {
        if let Some(watch) = &self.watch {
            // Without the thread, the poll is not registered there.
            let _ = SharedThread::get().map(|thread| thread.leave(self.token, watch));
        }
        self.state().is_closed = true;
        self.changed.notify_all();
        self.poll.registry().selector().interrupt();
    }

    /// Parks a poll without a descriptor, on a thread of its own that the first call
    /// starts.
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
        // By the wait before, the thread may wait for longer.
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
            // The poll's next wait returns an error of this one, too.
            let _ = self.poll.park_unless(left, &is_replaced);
            if !is_replaced() {
                self.end_wait();
            }
        }
    }

    /// Waits until the poll is parked; `None` when the parker has gone.
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

impl Parked for ParkedPoll {
    fn token(&self) -> Token {
        self.token
    }

    fn deadline(&self) -> Option<Instant> {
        self.state().wait.deadline()
    }

    fn end_wait(&self) {
        let wait = std::mem::take(&mut self.state().wait);
        if !matches!(wait, Wait::Not) {
            self.wake();
        }
    }
}

/// Returns a token that neither another parked poll has nor the waker.
fn next_token() -> Token {
    static NEXT: AtomicU32 = AtomicU32::new(SharedThread::WAKER.0 + 1);
    loop {
        let token = Token(NEXT.fetch_add(1, Ordering::Relaxed));
        if token != SharedThread::WAKER {
            return token;
        }
    }
}
