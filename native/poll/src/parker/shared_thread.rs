//! The thread that waits for all parked polls with a descriptor of their own.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::parked_poll::{ParkedPoll, Watch, start};
use crate::{Event, Interest, Mode, Poll, Token, Waker};

/// Polls that become ready in one wait of the thread.
const EVENTS: usize = 64;

/// The thread, and what it waits by.
pub struct SharedThread {
    poll: Poll,
    waker: Waker,
    parked: Mutex<Parked>,
}

#[derive(Default)]
struct Parked {
    polls: HashMap<Token, Arc<ParkedPoll>>,
    /// When the thread wakes up for a deadline, if ever.
    wakes_at: Option<Instant>,
}

impl SharedThread {
    /// The token of the thread's waker, which no parked poll has.
    pub const WAKER: Token = Token(0);

    /// Returns the one of the process, which the first call starts.
    pub fn get() -> io::Result<&'static Self> {
        static THREAD: OnceLock<Arc<SharedThread>> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        if let Some(thread) = THREAD.get() {
            return Ok(thread);
        }
        let _turn = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = THREAD.get() {
            return Ok(thread);
        }
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), Self::WAKER)?;
        let thread = Arc::new(Self { poll, waker, parked: Mutex::default() });
        let running = Arc::clone(&thread);
        start("denio-parking", move || running.run())?;
        Ok(THREAD.get_or_init(|| thread))
    }

    /// Registers a poll that can be parked from now on.
    pub fn enter(&self, parked: &Arc<ParkedPoll>, watch: &Watch) -> io::Result<()> {
        let token = parked.token();
        self.parked().polls.insert(token, Arc::clone(parked));
        let registry = self.poll.registry();
        registry
            .register_with(watch, token, Interest::READABLE, Mode::ONE_SHOT)
            .inspect_err(|_| self.leave(parked, watch))
    }

    /// Forgets a poll.
    pub fn leave(&self, parked: &ParkedPoll, watch: &Watch) {
        self.parked().polls.remove(&parked.token());
        // It may not have been registered.
        let _ = self.poll.registry().deregister(watch);
    }

    /// Waits for a poll, until `deadline` if there is one.
    pub fn park(
        &self,
        parked: &ParkedPoll,
        watch: &Watch,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        // Fires at once when something is ready already.
        let registry = self.poll.registry();
        registry.reregister_with(watch, parked.token(), Interest::READABLE, Mode::ONE_SHOT)?;
        let Some(deadline) = deadline else { return Ok(()) };
        // The thread wakes up when it has planned to: only sooner is worth a call.
        let mut parked = self.parked();
        if parked.wakes_at.is_some_and(|wakes_at| wakes_at <= deadline) {
            return Ok(());
        }
        parked.wakes_at = Some(deadline);
        drop(parked);
        self.waker.wake()
    }

    fn run(&self) {
        let mut events = [Event::default(); EVENTS];
        loop {
            let timeout = self.end_overdue_waits();
            // An interrupted wait has no events.
            let count = self.poll.poll(&mut events, timeout).unwrap_or(0);
            for event in events.iter().take(count) {
                let parked = self.parked().polls.get(&event.token()).map(Arc::clone);
                if let Some(parked) = parked {
                    parked.end_wait();
                }
            }
        }
    }

    /// Ends the waits that are over, and returns how long until the next may be.
    ///
    /// A time that was planned is kept, though the wait that it was for has
    /// ended: a poll that parks again before it need not wake the thread.
    fn end_overdue_waits(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut parked = self.parked();
        let mut next = parked.wakes_at.filter(|wakes_at| *wakes_at > now);
        for poll in parked.polls.values() {
            let Some(deadline) = poll.deadline() else { continue };
            if deadline <= now {
                poll.end_wait();
            } else {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
        }
        parked.wakes_at = next;
        next.map(|next| next - now)
    }

    fn parked(&self) -> MutexGuard<'_, Parked> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
