//! Waiting for polls without a thread for each, beside an event loop that must
//! not be held, as JavaScript's. A call that blocks on a thread of that loop's
//! own pool would need one of few threads; this needs none.
//!
//! Either the kernel signals an eventfd that the event loop reads (`sys/aio.rs`),
//! or one thread of this library waits for all polls that are parked, and writes
//! a byte to a socket that the event loop reads.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::{Event, Interest, Mode, Poll, Registration, Source, Token, Waker, sys};

/// The token of the thread's waker, which no parker has.
const WAKER: Token = Token(0);
/// Polls that one wait of the thread tells of.
const EVENTS: usize = 64;
/// The stack of a thread that only waits, with room for a batch of events.
const STACK_BYTES: usize = 128 * 1024;

/// Where one poll is parked.
#[derive(Debug)]
pub struct Parker(Way);

/// How the event loop learns that a wait is over.
#[derive(Debug)]
enum Way {
    /// The kernel signals an eventfd.
    #[cfg(target_os = "linux")]
    Kernel(Box<Mutex<sys::KernelPark>>),
    /// A thread writes to a socket.
    Thread(Arc<Place>),
}

/// What a parker and the thread that waits for it share.
#[derive(Debug)]
struct Place {
    number: u32,
    poll: Arc<Poll>,
    /// The poll's own descriptor, where it has one that can be waited for.
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

#[derive(Debug)]
struct Watch(Registration);

impl Source for Watch {
    fn registration(&self) -> &Registration {
        &self.0
    }
}

impl Parker {
    /// Opens a place for `poll`, and returns the end of the socket that a byte
    /// comes by when a wait is over. Both ends never block.
    ///
    /// # Errors
    ///
    /// What `socketpair(2)` says, as `EMFILE`, and what starting a thread does.
    pub fn new(poll: Arc<Poll>) -> io::Result<(Self, OwnedFd)> {
        // Close-on-exec, and without `SIGPIPE` where that is a socket's option.
        let (signal, told) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        signal.set_nonblocking(true)?;
        told.set_nonblocking(true)?;
        let watch = poll.registry().selector().pollable();
        let watch = watch.map(|fd| fd.try_clone_to_owned()).transpose()?;
        let place = Arc::new(Place {
            number: next_number(),
            watch: watch.map(|fd| Watch(Registration::shared(fd))),
            poll,
            signal: signal.into(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        if place.watch.is_some() {
            Attendant::get()?.enter(&place)?;
        }
        Ok((Self(Way::Thread(place)), told.into()))
    }

    /// The same without a thread: the kernel signals an eventfd, whose descriptor
    /// is returned. The thread that reads it also wakes up sooner.
    ///
    /// # Errors
    ///
    /// `ENOSYS` and others where the system or the poll's backend cannot do it.
    #[cfg(target_os = "linux")]
    pub fn by_kernel(poll: &Poll) -> io::Result<(Self, OwnedFd)> {
        let Some(fd) = poll.registry().selector().pollable() else {
            return Err(io::Error::from_raw_os_error(libc::ENOSYS));
        };
        let park = sys::KernelPark::new(fd.try_clone_to_owned()?)?;
        let signal = park.signal()?;
        Ok((Self(Way::Kernel(Box::new(Mutex::new(park)))), signal))
    }

    /// Fails: only Linux has it.
    ///
    /// # Errors
    ///
    /// `ENOSYS`, always.
    #[cfg(not(target_os = "linux"))]
    pub fn by_kernel(_poll: &Poll) -> io::Result<(Self, OwnedFd)> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    /// Has a byte come when something is ready or `timeout` is over; `None`
    /// waits without limit. Takes no event. A second call replaces the first.
    ///
    /// # Errors
    ///
    /// What the system says; then no byte comes.
    pub fn park(&self, timeout: Option<Duration>) -> io::Result<()> {
        let place = match &self.0 {
            #[cfg(target_os = "linux")]
            Way::Kernel(park) => return lock(park).park(timeout),
            Way::Thread(place) => place,
        };
        let wait = Wait::of(timeout);
        if place.watch.is_some() {
            return Attendant::get()?.park(place, wait);
        }
        place.park_alone(wait)
    }

    /// Has a byte come now.
    pub fn tell(&self) {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Way::Kernel(park) => lock(park).wake(),
            Way::Thread(place) => place.tell(),
        }
    }
}

#[cfg(target_os = "linux")]
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Parker {
    fn drop(&mut self) {
        let place = match &self.0 {
            #[cfg(target_os = "linux")]
            Way::Kernel(_) => return,
            Way::Thread(place) => place,
        };
        if place.watch.is_some() {
            // Without it, nobody has entered.
            let _ = Attendant::get().map(|attendant| attendant.leave(place));
        }
        place.state().is_closed = true;
        place.changed.notify_all();
        place.poll.registry().selector().interrupt();
    }
}

impl Place {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a byte. One that finds no room is not needed: others wait.
    fn tell(&self) {
        let _ = sys::send(self.signal.as_fd(), &[1]);
    }

    /// Ends the wait, if there is one.
    fn end_wait(&self) {
        let wait = std::mem::take(&mut self.state().wait);
        if !matches!(wait, Wait::Not) {
            self.tell();
        }
    }

    /// Parks where the poll has no descriptor to wait for: on a thread of its
    /// own, which is started once.
    fn park_alone(self: &Arc<Self>, wait: Wait) -> io::Result<()> {
        let mut state = self.state();
        if !state.has_thread {
            let place = Arc::clone(self);
            start("denio-park", move || place.wait_alone())?;
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
            // What fails is for the poll itself to tell.
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
}

/// The thread that waits for all polls with a descriptor, and what it waits by.
struct Attendant {
    poll: Poll,
    waker: Waker,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    all: HashMap<u32, Arc<Place>>,
    /// When the thread looks at deadlines again, if ever.
    looks_at: Option<Instant>,
}

impl Attendant {
    /// Returns the one of the process, which the first call starts.
    fn get() -> io::Result<&'static Self> {
        static ATTENDANT: OnceLock<&Attendant> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        if let Some(attendant) = ATTENDANT.get() {
            return Ok(attendant);
        }
        let _turn = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attendant) = ATTENDANT.get() {
            return Ok(attendant);
        }
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        // For as long as its thread, which never ends.
        let attendant: &Self = Box::leak(Box::new(Self { poll, waker, places: Mutex::default() }));
        start("denio-parking", || attendant.run())?;
        Ok(ATTENDANT.get_or_init(|| attendant))
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, place: &Arc<Place>) -> io::Result<()> {
        self.places().all.insert(place.number, Arc::clone(place));
        let Some(watch) = &place.watch else { return Ok(()) };
        let registry = self.poll.registry();
        registry
            .register_with(watch, Token(place.number), Interest::READABLE, Mode::ONE_SHOT)
            .inspect_err(|_| self.leave(place))
    }

    fn leave(&self, place: &Arc<Place>) {
        self.places().all.remove(&place.number);
        if let Some(watch) = &place.watch {
            // It may not have been registered.
            let _ = self.poll.registry().deregister(watch);
        }
    }

    fn park(&self, place: &Arc<Place>, wait: Wait) -> io::Result<()> {
        let Some(watch) = &place.watch else { return Ok(()) };
        place.state().wait = wait;
        // Fires at once when something is ready already.
        self.poll.registry().reregister_with(
            watch,
            Token(place.number),
            Interest::READABLE,
            Mode::ONE_SHOT,
        )?;
        let Some(deadline) = wait.deadline() else { return Ok(()) };
        // The thread looks when it has planned to: only sooner is worth a call.
        let mut places = self.places();
        if places.looks_at.is_some_and(|looks_at| looks_at <= deadline) {
            return Ok(());
        }
        places.looks_at = Some(deadline);
        drop(places);
        self.waker.wake()
    }

    fn run(&self) {
        let mut events = [Event::default(); EVENTS];
        loop {
            let timeout = self.next_look();
            // An interrupted wait has told of nothing.
            let count = self.poll.poll(&mut events, timeout).unwrap_or(0);
            for event in events.iter().take(count) {
                let place = self.places().all.get(&event.token().0).map(Arc::clone);
                if let Some(place) = place {
                    place.end_wait();
                }
            }
        }
    }

    /// Ends the waits that are over, and returns how long until the next may be.
    ///
    /// A time that was planned is kept, though the wait that it was for has
    /// ended: whoever parks again before it need not wake the thread.
    fn next_look(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut places = self.places();
        let mut next = places.looks_at.filter(|looks_at| *looks_at > now);
        for place in places.all.values() {
            let Some(deadline) = place.state().wait.deadline() else { continue };
            if deadline <= now {
                place.end_wait();
            } else {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
        }
        places.looks_at = next;
        next.map(|next| next - now)
    }
}

/// Returns a number that no other place has, and not the waker's.
fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(WAKER.0 + 1);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        if number != WAKER.0 {
            return number;
        }
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    builder.spawn(run).map(drop)
}
