//! The thread that waits for all parked polls that have a descriptor.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::sync::thread;
use crate::{Event, Interest, Mode, Poll, Registration, Source, Token, Waker};

/// Events that one wait of the thread takes.
const EVENTS: usize = 64;

/// The stack of a thread that only waits, with room for a batch of events.
const STACK_BYTES: usize = 128 * 1024;

/// A parked poll, as the thread knows it.
pub trait Parked: Send + Sync {
    /// The token under which the thread registers the poll.
    fn token(&self) -> Token;

    /// The time at which its wait is over, if it has one.
    fn deadline(&self) -> Option<Instant>;

    /// Ends the wait, if there is one.
    fn end_wait(&self);
}

/// A second descriptor of a parked poll, as a source of the thread's poll.
#[derive(Debug)]
pub struct Watch(Registration);

impl Watch {
    /// Owns `fd`, another descriptor of the poll's open file.
    pub fn new(fd: OwnedFd) -> Self {
        Self(Registration::shared(fd))
    }
}

impl Source for Watch {
    fn registration(&self) -> &Registration {
        &self.0
    }
}

/// The thread, and the poll by which it waits.
pub struct SharedThread {
    poll: Poll,
    waker: Waker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    polls: HashMap<Token, Arc<dyn Parked>>,
    /// When the thread wakes up for a deadline; `None` without one.
    wakes_at: Option<Instant>,
}

impl SharedThread {
    /// The token of the thread's waker, which no parked poll has.
    pub const WAKER: Token = Token(0);

    /// Returns the process's shared thread, which the first call starts.
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
        let thread = Arc::new(Self { poll, waker, state: Mutex::default() });
        let running = Arc::clone(&thread);
        start("denio-parking", move || running.run())?;
        Ok(THREAD.get_or_init(|| thread))
    }

    /// Registers a poll, which can be parked from now on.
    pub fn enter(&self, parked: Arc<dyn Parked>, watch: &Watch) -> io::Result<()> {
        let token = parked.token();
        self.state().polls.insert(token, parked);
        let registry = self.poll.registry();
        registry
            .register_with(watch, token, Interest::READABLE, Mode::ONE_SHOT)
            .inspect_err(|_| self.leave(token, watch))
    }

    /// Forgets a poll.
    pub fn leave(&self, token: Token, watch: &Watch) {
        self.state().polls.remove(&token);
        // The poll may not be registered.
        let _ = self.poll.registry().deregister(watch);
    }

    /// Waits for a poll, until `deadline` if there is one.
    pub fn park(&self, token: Token, watch: &Watch, deadline: Option<Instant>) -> io::Result<()> {
        // Fires at once when something is ready already.
        let registry = self.poll.registry();
        registry.reregister_with(watch, token, Interest::READABLE, Mode::ONE_SHOT)?;
        let Some(deadline) = deadline else { return Ok(()) };
        // A thread that wakes up no later than the deadline needs no call.
        let mut state = self.state();
        if state.wakes_at.is_some_and(|wakes_at| wakes_at <= deadline) {
            return Ok(());
        }
        state.wakes_at = Some(deadline);
        drop(state);
        self.waker.wake()
    }

    fn run(&self) {
        let mut events = [Event::default(); EVENTS];
        loop {
            let timeout = self.end_overdue_waits();
            // An interrupted wait has no events.
            let count = self.poll.poll(&mut events, timeout).unwrap_or(0);
            for event in events.iter().take(count) {
                let parked = self.state().polls.get(&event.token()).map(Arc::clone);
                if let Some(parked) = parked {
                    parked.end_wait();
                }
            }
        }
    }

    /// Ends the waits that are over, and returns the time until the next may be over.
    ///
    /// A planned time stays planned, also when its wait has ended: a poll that parks
    /// again with a later deadline need not wake the thread.
    fn end_overdue_waits(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut state = self.state();
        let mut next = state.wakes_at.filter(|wakes_at| *wakes_at > now);
        for poll in state.polls.values() {
            let Some(deadline) = poll.deadline() else { continue };
            if deadline <= now {
                poll.end_wait();
            } else {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
        }
        state.wakes_at = next;
        next.map(|next| next - now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a thread that only waits.
pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    builder.spawn(run).map(drop)
}
