//! The proactor: operations in, completions out.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, TryLockError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::core::{Batching, Core};
use crate::making::{Input, Lookup};
use crate::output::Output;
use crate::reaper::Inbox;
use crate::shared::{Cancel, Order, Shared, Target};
use crate::sys::{Driver, EventFd, Flight, Sources};
use crate::{Code, Request};

/// How a proactor is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Operations that may be in flight.
    pub operations: u32,
    /// Provided buffers, a power of two; 0 for none.
    pub buffers: u16,
    /// Bytes of each.
    pub buffer_bytes: u32,
    /// When operations are submitted.
    pub batching: Batching,
    /// After how many idle milliseconds a thread of the kernel, which submits for the
    /// program, goes to sleep; `None` has no such thread.
    pub kernel_thread_idle_ms: Option<u32>,
}

/// The most operations that may be in flight, and the most buffers: the kernel's queue of
/// completions has 65,536 places at most, and some are the proactor's own.
pub const OPERATIONS_MAX: u32 = 32_000;

/// Counters of a proactor since it was opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// System calls that have submitted operations or waited for completions.
    pub enters: u64,
    /// Entries that were submitted.
    pub submitted: u64,
    /// Calls that have waited.
    pub waits: u64,
    /// Completions that the owner was handed.
    pub completions: u64,
    /// Places of operations in flight.
    pub in_flight: u64,
    /// Times that an operation was refused for want of a place.
    pub refused: u64,
    /// Notices that there is room again.
    pub drains: u64,
    /// Times that another thread has woken the owner.
    pub wakes: u64,
    /// Places of the completion queue.
    pub completions_max: u64,
    /// 1 when the completion queue was ever too small: this must not happen.
    pub overflows: u64,
}

/// A ring of io_uring, with all that its operations need.
#[derive(Debug)]
pub struct Proactor {
    shared: Arc<Shared>,
    core: std::sync::Mutex<Core>,
    owner: ThreadId,
    operations: u32,
    has_buffers: bool,
    supported: u32,
    /// The ring's descriptor for messages of others, also while the owner waits.
    ring: Arc<OwnedFd>,
    waits: std::sync::atomic::AtomicU64,
}

impl Proactor {
    /// Opens a proactor, which this thread owns.
    ///
    /// # Errors
    ///
    /// `EINVAL` for options out of range; the errors of [`denio_ring::Ring::new`].
    pub fn open(options: &Options) -> io::Result<Self> {
        let Options { operations, buffers, buffer_bytes, .. } = *options;
        if operations == 0 || operations > OPERATIONS_MAX || u32::from(buffers) > OPERATIONS_MAX {
            return Err(invalid());
        }
        // Collects what closed proactors have left.
        crate::sys::buried();
        let provided = (buffers > 0).then_some((buffers, buffer_bytes));
        // An operation that receives into buffers has a completion for each buffer, and the
        // last one.
        let completions = operations + u32::from(buffers);
        let mut driver = Driver::new(completions, provided, options.kernel_thread_idle_ms)?;
        let shared = Arc::new(Shared::new(operations)?);
        let supported = supported(&mut driver)?;
        let ring = Arc::new(driver.try_clone_fd()?);
        let core = Core::new(driver, Arc::clone(&shared), options.batching);
        Ok(Self {
            shared,
            core: std::sync::Mutex::new(core),
            owner: thread::current().id(),
            operations,
            has_buffers: buffers > 0,
            supported,
            ring,
            waits: std::sync::atomic::AtomicU64::new(0),
        })
    }

    /// Whether the kernel has an operation.
    #[must_use]
    pub const fn supports(&self, code: Code) -> bool {
        self.supported & 1 << code as u32 != 0
    }

    /// Locks the owner's part. `EPERM` on other threads, which a ring of one issuer does not
    /// serve.
    fn core(&self) -> io::Result<std::sync::MutexGuard<'_, Core>> {
        if thread::current().id() != self.owner {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        match self.core.try_lock() {
            Ok(core) => Ok(core),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            // Only by a call inside of another one.
            Err(TryLockError::WouldBlock) => Err(io::Error::from_raw_os_error(libc::EBUSY)),
        }
    }

    /// Takes operations, in order, and returns how many there was room for. Any thread may
    /// call it. Copies their bytes.
    ///
    /// # Errors
    ///
    /// Those of the first operation, when it cannot be made: `EINVAL`; `ENOTSUP` when the
    /// kernel has not got it; `ENOMEM`; `EBADF` when the proactor is closed. After another
    /// than the first, the operations before it are taken.
    pub fn submit(
        &self,
        requests: &[Request],
        input: &Input<'_>,
        lookup: &dyn Lookup,
        sources: &mut impl Sources,
    ) -> io::Result<usize> {
        let mut flights = Vec::with_capacity(requests.len());
        let made = self.make(requests, input, lookup, &mut flights);
        let count = flights.len();
        if count == 0 {
            return made.map(|()| 0);
        }
        if thread::current().id() != self.owner {
            let orders = flights.into_iter().map(|flight| Order::Submit(Box::new(flight)));
            let is_open = self.shared.order(orders);
            return if is_open { Ok(count) } else { Err(bad_handle()) };
        }
        let mut core = self.core()?;
        flights.into_iter().for_each(|flight| core.stage(flight));
        if core.must_flush() {
            let flushed = core.flush(sources);
            self.checked(&core, flushed)?;
        }
        Ok(count)
    }

    /// Makes the operations that there are places for, up to the first that cannot be made.
    fn make(
        &self,
        requests: &[Request],
        input: &Input<'_>,
        lookup: &dyn Lookup,
        flights: &mut Vec<Flight>,
    ) -> io::Result<()> {
        let mut reapers = Vec::new();
        let known = requests.iter().map(|request| self.reaper_of(request, lookup));
        let mut error = None;
        let known = known.map_while(|reaper| reaper.map_err(|found| error = Some(found)).ok());
        reapers.extend(known);
        let wanted = requests.iter().zip(&reapers).map(|(request, reaper)| {
            (request.token, request.places(self.operations), reaper.as_ref())
        });
        let admitted = self.shared.admit(wanted);
        for (request, reaper) in requests.iter().zip(&reapers).take(admitted) {
            match request.flight(input, lookup) {
                Ok(mut flight) => {
                    flight.places = request.places(self.operations);
                    flight.reaper.clone_from(reaper);
                    flights.push(flight);
                }
                Err(found) => {
                    error = Some(found);
                    break;
                }
            }
        }
        if flights.len() == admitted && admitted < reapers.len() {
            // The next has no place: whatever is wrong lies further behind.
            error = None;
        }
        let unmade = requests.iter().zip(&reapers).take(admitted).skip(flights.len());
        self.give_back(unmade);
        error.map_or(Ok(()), Err)
    }

    /// Checks what can be known before an operation has its places.
    fn reaper_of(&self, request: &Request, lookup: &dyn Lookup) -> io::Result<Option<Arc<Inbox>>> {
        let code = request.operation()?;
        if !self.supports(code) {
            return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
        }
        if code == Code::ReceiveMulti && !self.has_buffers {
            return Err(invalid());
        }
        if request.reaper == 0.0 {
            return Ok(None);
        }
        let reaper = lookup.reaper(request.reaper)?;
        if reaper.belongs_to(&self.shared) { Ok(Some(reaper)) } else { Err(invalid()) }
    }

    /// Gives the places of operations back that were not made.
    fn give_back<'r>(&self, unmade: impl Iterator<Item = (&'r Request, &'r Option<Arc<Inbox>>)>) {
        let mut places = 0;
        for (request, reaper) in unmade {
            places += request.places(self.operations);
            if let Some(reaper) = reaper {
                reaper.give_back();
            }
        }
        if places > 0 {
            let refused = self.shared.give_back(places);
            self.shared.order(refused.into_iter().map(Order::Drained));
        }
    }

    /// Asks operations to end. Their completions still come: with `ECANCELED`, or with what
    /// they had done before. Returns how many were asked; another thread than the owner gets
    /// 0, and the owner asks when it waits.
    ///
    /// # Errors
    ///
    /// `EBADF` when the proactor is closed.
    pub fn cancel(&self, which: Cancel) -> io::Result<usize> {
        if thread::current().id() == self.owner {
            return Ok(self.core()?.cancel(which));
        }
        if self.shared.order([Order::Cancel(which)]) { Ok(0) } else { Err(bad_handle()) }
    }

    /// Submits all that is staged, without waiting.
    ///
    /// # Errors
    ///
    /// `EPERM` on another thread than the owner's; `EAGAIN` when the kernel was short of
    /// memory for a second: then the proactor is closed.
    pub fn flush(&self, sources: &mut impl Sources) -> io::Result<()> {
        let mut core = self.core()?;
        if !core.obey() {
            return Err(bad_handle());
        }
        let flushed = core.flush(sources);
        self.checked(&core, flushed)
    }

    /// Ends the proactor for all threads when the kernel has refused to submit: nothing that
    /// they wait for would come.
    fn checked<T>(&self, core: &Core, result: io::Result<T>) -> io::Result<T> {
        if core.driver.is_closed() {
            self.shared.close();
        }
        result
    }

    /// Submits all that is staged, waits until a completion is there or `timeout` is over,
    /// and writes the completions that are there, oldest first.
    ///
    /// # Errors
    ///
    /// As [`Proactor::flush`]; `EBADF` when the proactor is closed, also while this waits;
    /// `EMSGSIZE` when the bytes of the next completion are longer than the output's.
    pub fn wait(
        &self,
        sources: &mut impl Sources,
        output: &mut Output<'_>,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        let mut core = self.core()?;
        self.waits.fetch_add(1, Relaxed);
        if self.shared.signal().get().is_some() {
            core.driver.set_signals(false)?;
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if !core.obey() {
                return Err(bad_handle());
            }
            let flushed = core.flush(sources);
            self.checked(&core, flushed)?;
            core.harvest(output.room())?;
            if core.ready() > 0 || timeout.is_some_and(|timeout| timeout.is_zero()) {
                return core.hand_over(output);
            }
            if core.has_unsubmitted() {
                continue;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(0);
            }
            core.wait(left)?;
        }
    }

    /// Returns a descriptor that becomes readable when a completion comes to the parked
    /// owner: of an eventfd. The caller reads it and closes it.
    ///
    /// # Errors
    ///
    /// As [`Proactor::flush`]; `EMFILE`.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        let mut core = self.core()?;
        if self.shared.signal().get().is_none() {
            let signal = EventFd::new()?;
            core.driver.register_eventfd(signal.as_fd())?;
            core.driver.set_signals(false)?;
            let _ = self.shared.signal().set(signal);
        }
        self.shared.signal().get().ok_or_else(bad_handle)?.try_clone()
    }

    /// Submits all that is staged, and makes completions signal the descriptor. Returns true
    /// when there is one already: then the caller must not sleep.
    ///
    /// # Errors
    ///
    /// As [`Proactor::flush`]; `EINVAL` before [`Proactor::descriptor`].
    pub fn park(&self, sources: &mut impl Sources) -> io::Result<bool> {
        let signal = self.shared.signal().get().ok_or_else(invalid)?;
        let mut core = self.core()?;
        if !core.obey() {
            return Err(bad_handle());
        }
        let flushed = core.flush(sources);
        self.checked(&core, flushed)?;
        if core.ready() == 0 {
            signal.reset();
            core.driver.set_signals(true)?;
            // Once more: what came before the signals were on has signalled nothing.
            if core.begin_wait()? {
                core.harvest(1)?;
                core.land();
                if core.ready() == 0 && !core.has_unsubmitted() {
                    return Ok(false);
                }
            }
        }
        core.driver.set_signals(false)?;
        Ok(true)
    }

    /// Makes the descriptor readable now. Any thread may call it.
    ///
    /// # Errors
    ///
    /// `EINVAL` before [`Proactor::descriptor`].
    pub fn unpark(&self) -> io::Result<()> {
        self.shared.signal().get().ok_or_else(invalid)?.signal();
        Ok(())
    }

    /// Opens the inbox of a reaper: a thread that gets completions of this proactor. Any
    /// thread may call it.
    ///
    /// # Errors
    ///
    /// `EINVAL` without places; `EMFILE`; `EBADF` when the proactor is closed.
    pub fn reaper(&self, operations: u32) -> io::Result<Arc<Inbox>> {
        if operations == 0 || operations > OPERATIONS_MAX {
            return Err(invalid());
        }
        Inbox::open(&self.shared, operations)
    }

    /// Where messages for this proactor go. Any thread may call it.
    ///
    /// Its ring stays open as long as one of them.
    #[must_use]
    pub fn target(&self) -> Target {
        Target { ring: Arc::clone(&self.ring), shared: Arc::clone(&self.shared) }
    }

    /// Closes the proactor for all threads. A wait of its owner ends.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Counters. Those of the owner are zero on other threads.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (in_flight, counts) = self.shared.counts();
        let mut stats = Stats {
            waits: self.waits.load(Relaxed),
            in_flight: in_flight.into(),
            refused: counts.refused,
            drains: counts.drains,
            wakes: counts.wakes,
            ..Stats::default()
        };
        if let Ok(mut core) = self.core() {
            stats.enters = core.driver.enters;
            stats.submitted = core.driver.submitted;
            stats.completions = core.completions;
            stats.overflows = core.driver.has_overflowed.into();
            let max = core.driver.ring().map_or(0, |ring| ring.completions_max());
            stats.completions_max = max.into();
        }
        stats
    }
}

/// A proactor that the table of handles owns: without it, the proactor is closed.
#[derive(Debug)]
pub struct Held(pub Arc<Proactor>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The operations that the kernel has, as bits by their numbers.
fn supported(driver: &mut Driver) -> io::Result<u32> {
    let ring = driver.ring()?;
    let has = |code: Code| ring.has_operation(crate::sys::kernel_code(code));
    let known = Code::ALL.into_iter().filter(|code| has(*code));
    Ok(known.fold(0, |bits, code| bits | 1 << code as u32))
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

fn bad_handle() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}
