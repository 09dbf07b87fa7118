//! Readiness and received bytes from io_uring (Linux 6.1): `io_uring(7)`.
//!
//! The thread that waits first is the ring's owner: the kernel lets no other thread enter the
//! ring, and completes operations only while the owner is inside (`IORING_SETUP_DEFER_TASKRUN`).
//! So:
//!
//! - a wait on another thread is refused (`EEXIST`);
//! - the owner submits what other threads change, at its next wait, which they end; they never
//!   find an entry in the queue, since entries are pushed and submitted under one lock;
//! - while the owner waits elsewhere, the kernel signals an eventfd, `signal`, for which anybody
//!   can wait. While the loop turns, signals are off.
//!
//! Edges of the owner's sources are polls of the ring (`uring_plan.rs`). Everything that the ring
//! cannot do as epoll does is left to an epoll, for which the ring polls: levels, one-shots, and
//! sources that several polls share, whose notice must go to a poll that waits; urgent data, which
//! a poll of the ring reports with any data; and what other threads register.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use denio_ring::{Buffers, Refusal, Ring, RingOptions, cqueue, opcode, squeue, types};
use rustix::event::{PollFd, PollFlags};

use super::epoll;
use super::eventfd::EventFd;
use super::socket::{left_until, timespec};
use super::uring_plan::{Bytes, Completion, Left, Plan, Read, Step, UNREAD_MAX, own_name};
use crate::{Backend, Event, Interest, Mode, Token};

#[cfg(test)]
mod shortage;

/// The backend of this file.
pub const BACKEND: Backend = Backend::IoUring;

/// Entries of the submission queue: with more to submit there are more calls.
const SUBMISSIONS: u32 = 256;
/// Entries of the completion queue. The kernel completes twenty operations a call, and inside
/// of submitting one a submission, each with a few completions: the queue cannot overflow.
const COMPLETIONS: u32 = 4096;
/// Buffers to receive into: so many sources can have bytes in one turn.
const BUFFERS: u16 = 256;
/// The size of a buffer. Most requests fit; a longer one takes several.
const BUFFER_BYTES: u32 = 2048;
/// The name of the buffers' group.
const GROUP: u16 = 0;
/// Buffers that the kernel must still have when completions are asked for again: as many as one
/// call may fill, mostly.
const SPARE_BUFFERS: usize = 32;
/// Calls that one wait makes for completions, one after the other.
const ROUNDS_MAX: usize = 64;
/// Calls after which a source is closed although its operation is still in flight: the kernel
/// cancels in the first.
const CANCEL_ROUNDS_MAX: usize = 1_000;

/// The names of the selector's own operations.
const WAKE: u64 = own_name(0);
const EPOLL: u64 = own_name(1);
const CANCEL: u64 = own_name(2);
/// The first name of alarms, of which each has its own.
const ALARM: u64 = own_name(3);

/// Why this process cannot have a ring as this backend needs it.
pub fn refusal() -> Option<Refusal> {
    static DEFERS: OnceLock<bool> = OnceLock::new();
    denio_ring::refusal().or_else(|| {
        let defers = DEFERS.get_or_init(|| {
            // A ring without an owner: nothing is interrupted when it is closed again.
            open_ring().is_ok_and(|ring| ring.defers())
        });
        (!defers).then_some(Refusal::Kernel)
    })
}

/// Whether it can be registered: what epoll can.
pub fn supports(interest: Interest, mode: Mode) -> bool {
    epoll::supports(interest, mode)
}

/// One ring, and an epoll.
#[derive(Debug)]
pub struct Selector {
    shared: Arc<Shared>,
}

/// What the selector and its waker work on.
#[derive(Debug)]
struct Shared {
    /// Locked by the owner for a whole wait, and before `state`. Closed first.
    ring: Mutex<Ring>,
    state: Mutex<State>,
    /// The number of the owner's thread; 0 for none.
    owner: AtomicU64,
    /// Readable when the owner, waiting elsewhere, should look.
    signal: EventFd,
    /// The ring polls it: ends the owner's wait.
    wake: EventFd,
    epoll: epoll::Selector,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    /// Freed when nothing is in flight any more.
    buffers: ManuallyDrop<Buffers>,
    /// Whether the owner is inside of the kernel and waits.
    is_waiting: bool,
    /// Whether the ring's mark of deferred work was set when the owner found no such work.
    has_stale_mark: bool,
    /// Whether completions signal.
    signals: bool,
    /// Threads inside of `park`, and whether another wait elsewhere has begun meanwhile.
    parks: usize,
    wants_signals: bool,
    is_wake_armed: bool,
    is_epoll_armed: bool,
    /// Whether the epoll may have events.
    is_epoll_ready: bool,
    alarm: Option<Alarm>,
    alarms: u32,
    /// The kernel reads it when it takes the alarm, which may be later than it was pushed. It
    /// never moves: the state lies in an `Arc`.
    alarm_time: types::Timespec,
    waker: Option<Token>,
    is_woken: bool,
}

/// A timeout of the ring.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    name: u64,
    at: Instant,
}

impl Bytes for Buffers {
    fn bytes(&self, id: u16) -> &[u8] {
        self.bytes(id, BUFFER_BYTES as usize)
    }
}

fn open_ring() -> io::Result<Ring> {
    Ring::new(&RingOptions {
        submissions: SUBMISSIONS,
        completions: COMPLETIONS,
        is_single_issuer: true,
        is_disabled: true,
        kernel_thread_idle_ms: None,
    })
}

impl Selector {
    /// Opens a ring and what it needs, all close-on-exec.
    pub fn new() -> io::Result<Self> {
        let mut ring = open_ring()?;
        let buffers = Buffers::new(&ring, GROUP, BUFFERS, BUFFER_BYTES)?;
        let signal = EventFd::new()?;
        ring.register_eventfd(signal.as_fd())?;
        ring.set_signals(false);
        let state = State {
            plan: Plan::new(BUFFER_BYTES, UNREAD_MAX),
            buffers: ManuallyDrop::new(buffers),
            is_waiting: false,
            has_stale_mark: false,
            signals: false,
            parks: 0,
            wants_signals: false,
            is_wake_armed: false,
            is_epoll_armed: false,
            is_epoll_ready: false,
            alarm: None,
            alarms: 0,
            alarm_time: types::Timespec::new(),
            waker: None,
            is_woken: false,
        };
        let (wake, epoll) = (EventFd::new()?, epoll::Selector::new()?);
        let (ring, state) = (Mutex::new(ring), Mutex::new(state));
        let owner = AtomicU64::new(0);
        Ok(Self { shared: Arc::new(Shared { ring, state, owner, signal, wake, epoll }) })
    }

    /// Waits for events. The first thread that does becomes the ring's owner.
    pub fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        if events.is_empty() {
            // epoll does the same.
            return Err(errno(libc::EINVAL));
        }
        self.shared.claim()?;
        self.shared.wait(events, timeout_ms)
    }

    /// Waits for events, on any thread, and takes none.
    pub fn park(&self, timeout_ms: i32) -> io::Result<bool> {
        let mut others = Vec::new();
        if self.shared.begin_park(&mut others)? {
            self.shared.lock().parks -= 1;
            return Ok(true);
        }
        let parked = self.shared.park(&others, timeout_ms);
        self.shared.lock().parks -= 1;
        parked
    }

    /// Makes [`AsFd`] readable when something is ready, or when `alarm` is over. Costs a system
    /// call only when something is to be submitted.
    pub fn begin_signals(&self, alarm: Option<Duration>) -> io::Result<()> {
        self.shared.begin_signals(alarm)
    }

    /// Makes [`AsFd`] readable now.
    pub fn signal(&self) {
        // Fails only when the counter is full: then it is readable.
        let _ = self.shared.signal.signal();
    }

    /// Registers a stream that is read ahead, on the owner's thread; false elsewhere.
    pub fn register_ahead(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        left: &Option<Left>,
    ) -> io::Result<bool> {
        if !self.shared.may_change() {
            return Ok(false);
        }
        let mut state = self.shared.lock();
        state.plan.add(fd.as_raw_fd(), token, interest, true)?;
        if let Some(left) = left {
            state.plan.put_back(fd.as_raw_fd(), left);
        }
        self.shared.notify(&state);
        Ok(true)
    }

    /// Adds a descriptor, which is not here.
    pub fn register(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        if !self.shared.may_poll(interest, mode) {
            return self.shared.epoll.register(fd, token, interest, mode);
        }
        let mut state = self.shared.lock();
        state.plan.add(fd.as_raw_fd(), token, interest, false)?;
        self.shared.notify(&state);
        Ok(())
    }

    /// Replaces what was asked for.
    pub fn reregister(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let mut state = self.shared.lock();
        let number = fd.as_raw_fd();
        if !state.plan.has(number) {
            drop(state);
            // It stays with the epoll, also where the ring could poll it.
            return self.shared.epoll.reregister(fd, token, interest, mode);
        }
        let is_ahead = state.plan.reads_ahead(number) && mode.is_edge();
        if is_ahead || self.shared.may_poll(interest, mode) {
            state.plan.change(number, token, interest);
            self.shared.notify(&state);
            return Ok(());
        }
        if state.plan.reads_ahead(number) {
            return Err(errno(libc::EBUSY));
        }
        self.shared.epoll.register(fd, token, interest, mode)?;
        state.forget(number);
        self.shared.notify(&state);
        Ok(())
    }

    /// Takes a descriptor out. On the owner's thread nothing of it is in flight afterwards.
    pub fn deregister(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let state = self.shared.lock();
        if !state.plan.has(fd.as_raw_fd()) {
            drop(state);
            return self.shared.epoll.deregister(fd);
        }
        drop(state);
        self.shared.leave(fd.as_raw_fd()).map(drop)
    }

    /// Takes out a stream that is read ahead, and returns what was received and not read.
    /// `EBUSY` on another thread than the owner's, which alone can stop its receive.
    pub fn deregister_ahead(&self, fd: BorrowedFd<'_>) -> io::Result<Left> {
        if !self.shared.may_change() {
            return Err(errno(libc::EBUSY));
        }
        self.shared.leave(fd.as_raw_fd())
    }

    /// Reads what was received for a stream; `None` when the caller must ask the system.
    pub fn read(&self, fd: BorrowedFd<'_>, into: &mut [u8]) -> Option<io::Result<usize>> {
        self.shared.read(|state| {
            let State { plan, buffers, .. } = state;
            plan.read(fd.as_raw_fd(), &**buffers, into)
        })
    }

    /// As [`Selector::read`], and leaves the bytes.
    pub fn peek(&self, fd: BorrowedFd<'_>, into: &mut [u8]) -> Option<io::Result<usize>> {
        self.shared.read(|state| state.plan.peek(fd.as_raw_fd(), &*state.buffers, into))
    }

    /// Notes that the caller has asked the system, and how many bytes it got.
    pub fn note_read(&self, fd: BorrowedFd<'_>, count: usize, room: usize) {
        self.shared.lock().plan.note_direct(fd.as_raw_fd(), count, room);
    }

    /// Bytes that were received for a stream and not read.
    pub fn unread(&self, fd: BorrowedFd<'_>) -> usize {
        self.shared.lock().plan.unread(fd.as_raw_fd())
    }

    /// Takes a stream's error, if a receive has met it.
    pub fn take_error(&self, fd: BorrowedFd<'_>) -> Option<io::Error> {
        self.shared.lock().plan.take_error(fd.as_raw_fd()).map(errno)
    }

    /// Bytes of memory that unread bytes take.
    pub fn held_bytes(&self) -> usize {
        self.shared.lock().plan.own_bytes()
    }
}

impl AsFd for Selector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.signal.as_fd()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Makes this thread the owner, unless another thread is.
    fn claim(&self) -> io::Result<()> {
        let here = thread_number();
        match self.owner.compare_exchange(0, here, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => lock(&self.ring).enable(),
            Err(owner) if owner == here => Ok(()),
            // The kernel's error for a thread that must not enter.
            Err(_) => Err(errno(libc::EEXIST)),
        }
    }

    fn is_owner(&self) -> bool {
        self.owner.load(Ordering::Acquire) == thread_number()
    }

    /// Whether this thread may change what the ring polls. Before the first wait all may.
    fn may_change(&self) -> bool {
        let owner = self.owner.load(Ordering::Acquire);
        owner == 0 || owner == thread_number()
    }

    /// Whether the ring polls such a source, and not the epoll.
    fn may_poll(&self, interest: Interest, mode: Mode) -> bool {
        mode.is_edge() && !mode.is_exclusive() && !interest.is_priority() && self.may_change()
    }

    /// Makes the owner look at what was changed. Without a wait it looks before the next.
    fn notify(&self, state: &State) {
        // A write fails only when the counter is full: then it is readable already.
        if state.is_waiting {
            let _ = self.wake.signal();
        } else if state.signals {
            let _ = self.signal.signal();
        }
    }

    fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        let mut ring = lock(&self.ring);
        let mut state = self.lock();
        let mut left = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let mut deadline = None;
        let waited = loop {
            let found = self.look_for(&mut ring, &mut state, events);
            if !matches!(found, Ok(0)) || left == Some(Duration::ZERO) {
                break found;
            }
            if state.plan.has_steps() {
                // What has just completed makes room for the next operation.
                continue;
            }
            deadline = deadline.or_else(|| Instant::now().checked_add(left?));
            state.is_waiting = true;
            drop(state);
            let entered = ring.enter(1, left);
            state = self.lock();
            state.is_waiting = false;
            match entered {
                Err(error) if is_shortage(&error) => break Ok(0),
                Err(error) => break Err(error),
                Ok(_) => {}
            }
            left = match deadline {
                // The time was over.
                Some(_) if !ring.has_completion() => Some(Duration::ZERO),
                Some(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
                None => None,
            };
        };
        if state.parks > 0 || state.wants_signals {
            self.start_signals(&mut ring, &mut state);
        }
        state.wants_signals = false;
        waited
    }

    /// Submits what was changed, takes completions, and writes events. Never waits.
    fn look_for(
        &self,
        ring: &mut Ring,
        state: &mut State,
        events: &mut [Event],
    ) -> io::Result<usize> {
        self.stop_signals(ring, state);
        state.settle();
        self.submit(ring, state)?;
        self.harvest(ring, state)?;
        self.take(state, events)
    }

    /// Turns signals on. What came before is signalled here.
    fn start_signals(&self, ring: &mut Ring, state: &mut State) {
        ring.set_signals(true);
        state.signals = true;
        // Nothing reports a source whose operation the kernel was too short of memory to take.
        let is_behind = state.plan.has_steps() || ring.unsubmitted() > 0;
        if state.has_events() || is_behind {
            let _ = self.signal.signal();
        } else if gather(ring).unwrap_or(true) {
            // The kernel may have signalled what this call has brought.
            let _ = self.signal.reset();
            let _ = self.signal.signal();
        }
    }

    fn stop_signals(&self, ring: &mut Ring, state: &mut State) {
        if std::mem::replace(&mut state.signals, false) {
            ring.set_signals(false);
            let _ = self.signal.reset();
        }
    }

    /// Submits what was changed. No call when nothing was.
    fn submit(&self, ring: &mut Ring, state: &mut State) -> io::Result<()> {
        state.return_buffers();
        if !state.is_wake_armed {
            state.is_wake_armed = push(ring, &poll(self.wake.as_raw_fd(), IN, WAKE));
        }
        if !state.is_epoll_armed {
            let fd = self.epoll.as_fd().as_raw_fd();
            state.is_epoll_armed = push(ring, &poll(fd, IN, EPOLL));
        }
        loop {
            while ring.room() > 0 {
                let Some(step) = state.plan.next_step() else { break };
                push(ring, &entry(step));
            }
            let unsubmitted = ring.unsubmitted();
            if unsubmitted == 0 {
                return Ok(());
            }
            enter(ring)?;
            self.drain(ring, state);
            if ring.unsubmitted() == unsubmitted {
                // The kernel is short of memory: the next look tries again.
                return Ok(());
            }
        }
    }

    /// Takes the completions that are there, in as many calls as it takes, as long as there are
    /// buffers for more.
    fn harvest(&self, ring: &mut Ring, state: &mut State) -> io::Result<()> {
        self.drain(ring, state);
        for _ in 0..ROUNDS_MAX {
            if state.buffers.free() < SPARE_BUFFERS || !gather(ring)? {
                break;
            }
            self.drain(ring, state);
        }
        state.has_stale_mark = ring.has_deferred();
        Ok(())
    }

    fn drain(&self, ring: &mut Ring, state: &mut State) {
        ring.drain(|entry| state.complete(&entry));
    }

    /// Writes events: of the waker, of the sources, of the epoll.
    fn take(&self, state: &mut State, events: &mut [Event]) -> io::Result<usize> {
        let mut count = 0;
        if let (Some(token), true, Some(first)) = (state.waker, state.is_woken, events.first_mut())
        {
            state.is_woken = false;
            *first = Event::new(token, Event::READABLE);
            count = 1;
        }
        count += state.plan.take(events.get_mut(count..).unwrap_or_default());
        let rest = events.get_mut(count..).unwrap_or_default();
        if state.is_epoll_ready && !rest.is_empty() {
            let more = self.epoll.wait(rest, 0)?;
            // Only a wait without events proves that the ring's poll will report the next.
            state.is_epoll_ready = more > 0;
            count += more;
        }
        Ok(count)
    }

    /// Begins a park; returns whether something is ready. `others` gets what no poll is armed for
    /// yet, and the owner is not here to arm it.
    fn begin_park(&self, others: &mut Vec<(RawFd, u32)>) -> io::Result<bool> {
        if self.is_owner() {
            let mut ring = lock(&self.ring);
            let mut state = self.lock();
            state.parks += 1;
            return self.look(&mut ring, &mut state).inspect_err(|_| state.parks -= 1);
        }
        let mut state = self.lock();
        state.parks += 1;
        others.extend(state.plan.unarmed());
        if state.is_woken {
            return Ok(true);
        }
        if state.is_waiting {
            // At its end the owner's wait sees that there is a park.
            return Ok(false);
        }
        drop(state);
        let mut ring = lock(&self.ring);
        let mut state = self.lock();
        ring.set_signals(true);
        state.signals = true;
        // Only the owner can do what the kernel has marked.
        let has_deferred = ring.has_deferred() && !state.has_stale_mark;
        Ok(ring.has_completion() || has_deferred || state.plan.has_events())
    }

    /// Submits, takes completions and turns signals on; returns whether there is an event.
    fn look(&self, ring: &mut Ring, state: &mut State) -> io::Result<bool> {
        self.stop_signals(ring, state);
        state.settle();
        self.submit(ring, state)?;
        self.harvest(ring, state)?;
        self.start_signals(ring, state);
        Ok(state.has_events() || self.has_epoll_events(state)?)
    }

    fn has_epoll_events(&self, state: &mut State) -> io::Result<bool> {
        state.is_epoll_ready = state.is_epoll_ready && self.epoll.park(0)?;
        Ok(state.is_epoll_ready)
    }

    /// Waits until the kernel signals, or one of `others` is ready.
    fn park(&self, others: &[(RawFd, u32)], timeout_ms: i32) -> io::Result<bool> {
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut left_ms = timeout_ms;
        loop {
            let is_ready = self.wait_elsewhere(others, left_ms)?;
            if !self.is_owner() {
                return Ok(is_ready);
            }
            // A signal is only a hint.
            if is_ready && self.look(&mut lock(&self.ring), &mut self.lock())? {
                return Ok(true);
            }
            left_ms = deadline.map_or(left_ms, left_until);
            if left_ms == 0 {
                return Ok(false);
            }
        }
    }

    /// `poll(2)` on the signal, the epoll, and what no poll is armed for.
    fn wait_elsewhere(&self, others: &[(RawFd, u32)], timeout_ms: i32) -> io::Result<bool> {
        let own = [self.signal.as_fd(), self.epoll.as_fd()];
        let mut entries: Vec<_> =
            own.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        for (fd, events) in others {
            // SAFETY: the number goes to the system alone: a closed descriptor is an answer.
            let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
            let events = PollFlags::from_bits_truncate(*events as u16);
            entries.push(PollFd::from_borrowed_fd(fd, events));
        }
        Ok(rustix::event::poll(&mut entries, timespec(timeout_ms).as_ref())? > 0)
    }

    fn begin_signals(&self, alarm: Option<Duration>) -> io::Result<()> {
        // The thread whose event loop waits for the signal is the one that will wait here.
        if let Err(error) = self.claim() {
            if error.raw_os_error() != Some(libc::EEXIST) {
                return Err(error);
            }
            let mut state = self.lock();
            state.wants_signals = true;
            // The owner looks, and then waits as it was asked to.
            self.notify(&state);
            let _ = self.signal.signal();
            return Ok(());
        }
        let mut ring = lock(&self.ring);
        let mut state = self.lock();
        self.stop_signals(&mut ring, &mut state);
        state.settle();
        if let Some(alarm) = alarm {
            self.set_alarm(&mut ring, &mut state, alarm)?;
        }
        self.submit(&mut ring, &mut state)?;
        self.drain(&mut ring, &mut state);
        self.start_signals(&mut ring, &mut state);
        let is_over = alarm.is_some() && state.alarm.is_none();
        if is_over || self.has_epoll_events(&mut state)? {
            let _ = self.signal.signal();
        }
        Ok(())
    }

    /// Sets the alarm, unless it ends sooner already: a wait may end too early.
    fn set_alarm(&self, ring: &mut Ring, state: &mut State, after: Duration) -> io::Result<()> {
        let now = Instant::now();
        let Some(at) = now.checked_add(after) else { return Ok(()) };
        if state.alarm.is_some_and(|alarm| now < alarm.at && alarm.at <= at) {
            return Ok(());
        }
        self.submit(ring, state)?;
        if let Some(alarm) = state.alarm.take() {
            push(ring, &cancel(alarm.name));
        }
        state.alarms = state.alarms.wrapping_add(1);
        let name = ALARM | u64::from(state.alarms) << 29;
        state.alarm_time = types::Timespec::from(after);
        let timeout = opcode::Timeout::new(&raw const state.alarm_time);
        // Without an alarm the caller signals at once.
        let is_pushed = push(ring, &timeout.build().user_data(name));
        state.alarm = is_pushed.then_some(Alarm { name, at });
        enter(ring)?;
        self.drain(ring, state);
        Ok(())
    }

    /// Takes a source out of the plan, and returns what it leaves.
    fn leave(&self, fd: RawFd) -> io::Result<Left> {
        if !self.is_owner() {
            let mut state = self.lock();
            let left = state.forget(fd);
            self.notify(&state);
            return left.ok_or_else(|| errno(libc::ENOENT));
        }
        let mut ring = lock(&self.ring);
        let mut state = self.lock();
        state.plan.begin_leaving(fd);
        let mut rounds = 0;
        loop {
            self.submit(&mut ring, &mut state)?;
            let is_over = state.plan.has_stopped(fd) && state.plan.stale() == 0;
            // An entry that is still in the queue would find the next file of that number.
            if is_over && ring.unsubmitted() == 0 || rounds == CANCEL_ROUNDS_MAX {
                break;
            }
            rounds += 1;
            enter(&mut ring)?;
            self.drain(&mut ring, &mut state);
        }
        state.forget(fd).ok_or_else(|| errno(libc::ENOENT))
    }

    fn read(&self, mut call: impl FnMut(&mut State) -> Read) -> Option<io::Result<usize>> {
        let mut found = call(&mut self.lock());
        if found == Read::Nothing && self.is_owner() {
            // The kernel may have bytes that it would hand out at the next wait.
            let mut ring = lock(&self.ring);
            let mut state = self.lock();
            let has_more = ring.has_completion() || ring.has_deferred();
            if has_more && self.harvest(&mut ring, &mut state).is_ok() {
                found = call(&mut state);
            }
        }
        match found {
            Read::Taken(count) => Some(Ok(count)),
            Read::Nothing => Some(Err(errno(libc::EAGAIN))),
            Read::Ended => Some(Ok(0)),
            Read::Failed(error) => Some(Err(errno(error))),
            Read::Directly => None,
        }
    }
}

impl Drop for Shared {
    /// Cancels what is in flight, so that no file is held longer than its source, and no buffer
    /// is freed that the kernel may write to. Another thread than the owner's cannot do this:
    /// closing the ring cancels, but later, on a thread of the kernel's. Then the buffers are
    /// left to the process: half a megabyte for a thread that was ended while it ran.
    fn drop(&mut self) {
        let here = thread_number();
        let ring = self.ring.get_mut().unwrap_or_else(PoisonError::into_inner);
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let owner = *self.owner.get_mut();
        if owner == here {
            state.cancel_all(ring);
        }
        // SAFETY: nothing uses the field afterwards, since this object ends.
        let buffers = unsafe { ManuallyDrop::take(&mut state.buffers) };
        // Before there is an owner nothing was submitted.
        if owner != 0 && state.plan.in_flight() > 0 {
            ABANDONED.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
        }
    }
}

/// Buffers of rings that have ended with receives in flight: the kernel may write to them until
/// it has cancelled the receives, and does not say when. They are never freed.
static ABANDONED: Mutex<Vec<Buffers>> = Mutex::new(Vec::new());

impl State {
    fn cancel_all(&mut self, ring: &mut Ring) {
        if self.plan.in_flight() == 0 {
            return;
        }
        let all = opcode::AsyncCancel2::new(types::CancelBuilder::any());
        push(ring, &all.build().user_data(CANCEL));
        for _ in 0..CANCEL_ROUNDS_MAX {
            if self.plan.in_flight() == 0 || enter(ring).is_err() {
                break;
            }
            ring.drain(|entry| self.complete(&entry));
        }
    }

    fn settle(&mut self) {
        let State { plan, buffers, .. } = self;
        plan.settle(&**buffers);
    }

    fn return_buffers(&mut self) {
        for id in self.plan.returned() {
            self.buffers.give_back(id);
        }
    }

    /// Takes a source out at once: its operations are cancelled with the next submission.
    fn forget(&mut self, fd: RawFd) -> Option<Left> {
        self.plan.remove(fd, &*self.buffers)
    }

    fn has_events(&self) -> bool {
        self.is_woken || self.plan.has_events()
    }

    fn complete(&mut self, entry: &cqueue::Entry) {
        let (name, flags) = (entry.user_data(), entry.flags());
        let is_last = !cqueue::more(flags);
        let buffer = cqueue::buffer_select(flags);
        if let Some(id) = buffer {
            self.buffers.take(id);
        }
        let result = entry.result();
        if self.plan.complete(Completion { name, result, is_last, buffer }) {
            return;
        }
        match name {
            WAKE => self.is_wake_armed = !is_last,
            EPOLL => {
                self.is_epoll_armed = !is_last;
                self.is_epoll_ready = true;
            }
            _ if self.alarm.is_some_and(|alarm| alarm.name == name) => self.alarm = None,
            _ => {}
        }
    }
}

const IN: u32 = libc::EPOLLIN as u32;

/// Brings completions that the kernel holds; returns whether there is one to take.
fn gather(ring: &mut Ring) -> io::Result<bool> {
    loop {
        match ring.gather() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_shortage(&error) => return Ok(ring.has_completion()),
            gathered => return gathered,
        }
    }
}

/// Submits what was pushed, and lets the kernel complete what it can.
fn enter(ring: &mut Ring) -> io::Result<()> {
    loop {
        match ring.enter(0, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_shortage(&error) => return Ok(()),
            entered => return entered.map(drop),
        }
    }
}

/// Whether the kernel is short of memory, or completions must be taken first.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::EBUSY))
}

fn push(ring: &mut Ring, entry: &squeue::Entry) -> bool {
    // SAFETY: entries of this file point to no memory, except for an alarm's time, which is
    // part of the state: nothing is submitted after its end. Descriptors are open when they are
    // submitted: a source leaves the plan before it is closed, and the entry is pushed and
    // submitted under the plan's lock.
    unsafe { ring.push(entry) }
}

fn entry(step: Step) -> squeue::Entry {
    match step {
        Step::Receive { fd, name } => {
            opcode::RecvMulti::new(types::Fd(fd), GROUP).build().user_data(name)
        }
        Step::Poll { fd, events, name } => poll(fd, events, name),
        Step::Cancel { name } => cancel(name),
    }
}

/// A poll that reports each change: `IORING_POLL_ADD_MULTI`.
fn poll(fd: RawFd, events: u32, name: u64) -> squeue::Entry {
    opcode::PollAdd::new(types::Fd(fd), events).multi(true).build().user_data(name)
}

fn cancel(name: u64) -> squeue::Entry {
    let entry = opcode::AsyncCancel::new(name).build().user_data(CANCEL);
    // The cancelled operation has a completion of its own.
    entry.flags(squeue::Flags::SKIP_SUCCESS)
}

/// A number that no other thread of the process has had; 0 at the thread's end.
fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.try_with(|number| *number).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// A mark that the owner's next wait finds.
#[derive(Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

impl Waker {
    /// Gives the selector's waker its token.
    pub fn new(selector: &Selector, token: Token) -> io::Result<Self> {
        let shared = Arc::clone(&selector.shared);
        shared.lock().waker = Some(token);
        Ok(Self { shared })
    }

    /// Marks the selector, once until a wait reports it.
    pub fn wake(&self) -> io::Result<()> {
        let mut state = self.shared.lock();
        if !std::mem::replace(&mut state.is_woken, true) {
            self.shared.notify(&state);
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
