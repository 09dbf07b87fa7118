//! The ring with the operations that it carries.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use denio_ring::{Buffers, Ring, RingOptions};
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{cqueue, opcode, squeue};

use super::flight::{Action, GROUP, MESSAGE};
use super::grave::{Grave, bury};
use super::{EventFd, Flights, Sources, Unlent};

/// `user_data` of the driver's own entries.
const WAKE: u64 = u64::MAX;
const CANCEL: u64 = u64::MAX - 1;

/// Entries of a queue of submissions: a fuller one is submitted early.
const SUBMISSIONS_MAX: u32 = 256;
/// Completions that the driver itself may cause: a wake, and a failed cancel.
const OWN_COMPLETIONS: u32 = 2;
/// How often a submission or a wait is tried again, and how long after the last time, while the
/// kernel is short of memory.
const SHORTAGE_TRIES: u32 = 1_000;
const SHORTAGE_PAUSE: Duration = Duration::from_millis(1);
/// How long closing waits for operations to end. Reads of a slow disk take longer, and
/// then the memory stays until they have ended.
const CLOSING_MAX: Duration = Duration::from_millis(100);

/// Where a completion comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The operation with that number.
    Flight(u32),
    /// A message of another proactor, with that token.
    Message(u32),
}

/// A completion that the kernel has sent.
#[derive(Debug)]
pub struct Landing {
    /// Where it comes from.
    pub origin: Origin,
    /// A number of zero or more, or `-errno`.
    pub result: i32,
    /// What was accepted or opened.
    pub opened: Option<OwnedFd>,
    /// The provided buffer that has its bytes.
    pub buffer: Option<u16>,
    /// Whether no other completion of this entry follows.
    pub is_last: bool,
    /// Whether it only says that the kernel has let go of the memory.
    pub is_notice: bool,
}

/// A ring, its operations and their memory.
#[derive(Debug)]
pub struct Driver {
    /// `None` once it is closed.
    ring: Option<Ring>,
    /// The operations.
    pub flights: Flights,
    /// The provided buffers.
    pub buffers: Option<Buffers>,
    end: Option<OwnedFd>,
    owner: ThreadId,
    is_wake_armed: bool,
    is_woken: bool,
    /// Waits in a row for which the kernel had no memory.
    shortages: u32,
    /// How many system calls have submitted or waited.
    pub enters: u64,
    /// How many entries were submitted.
    pub submitted: u64,
    /// Whether the completion queue was ever too small.
    pub has_overflowed: bool,
}

impl Driver {
    /// Opens a ring whose completion queue holds `completions`, with `buffers` provided
    /// buffers of some bytes.
    pub fn new(
        completions: u32,
        buffers: Option<(u16, u32)>,
        kernel_thread_idle_ms: Option<u32>,
    ) -> io::Result<Self> {
        let completions = completions + OWN_COMPLETIONS;
        let ring = Ring::new(&RingOptions {
            submissions: completions.min(SUBMISSIONS_MAX),
            completions,
            is_single_issuer: kernel_thread_idle_ms.is_none(),
            kernel_thread_idle_ms,
            ..RingOptions::default()
        })?;
        let end = ring.end_signal()?;
        let provide = |(count, bytes)| Buffers::new(&ring, GROUP, count, bytes);
        Ok(Self {
            buffers: buffers.map(provide).transpose()?,
            ring: Some(ring),
            flights: Flights::default(),
            end: Some(end),
            owner: thread::current().id(),
            is_wake_armed: false,
            is_woken: false,
            shortages: 0,
            enters: 0,
            submitted: 0,
            has_overflowed: false,
        })
    }

    /// Whether the ring is closed: by itself, when the kernel has refused to submit.
    pub const fn is_closed(&self) -> bool {
        self.ring.is_none()
    }

    /// The ring; `EBADF` once it is closed.
    pub fn ring(&mut self) -> io::Result<&mut Ring> {
        self.ring.as_mut().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    /// The ring's descriptor, for messages.
    pub fn try_clone_fd(&self) -> io::Result<OwnedFd> {
        let ring = self.ring.as_ref().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        ring.as_fd().try_clone_to_owned()
    }

    /// Asks the kernel to end an operation, by its number. Where the kernel has none, it sends a
    /// completion, which must be taken before the next is asked for.
    pub fn cancel(&mut self, index: u32) -> io::Result<()> {
        if self.flights.get(index).is_none_or(|flight| flight.in_kernel() == 0) {
            return Ok(());
        }
        self.push_cancel(CancelBuilder::user_data(index.into()).all())?;
        self.submit()
    }

    fn push_cancel(&mut self, builder: CancelBuilder) -> io::Result<()> {
        let entry = opcode::AsyncCancel2::new(builder).build().user_data(CANCEL);
        let entry = entry.flags(squeue::Flags::SKIP_SUCCESS);
        // SAFETY: a cancel points to nothing.
        unsafe { self.push(&entry) }
    }

    /// Submits staged operations, each by its number, up to a close, and takes them out.
    /// `refused` hears of those that cannot be submitted. Returns the number of the close,
    /// which [`Driver::close_source`] submits.
    pub fn flush(
        &mut self,
        staged: &mut VecDeque<u32>,
        sources: &mut impl Sources,
        mut refused: impl FnMut(&mut Self, u32, i32),
    ) -> io::Result<Option<u32>> {
        let mut closing = None;
        while let Some(index) = staged.front().copied() {
            let action = self.flights.get(index).map(|flight| flight.action);
            if action == Some(Action::Close) {
                closing = staged.pop_front();
                break;
            }
            if self.ring()?.room() == 0 {
                self.submit_lent(sources)?;
            }
            match self.lend(index, sources) {
                Ok((fd, other)) => {
                    if let Some(entry) = self.flights.depart(index, fd, other) {
                        // SAFETY: the entry's memory is in the flights, which keep it until its
                        // last completion, also beyond the ring. Its descriptors are lent until
                        // the kernel has taken the entry, or are the flight's own.
                        unsafe { self.push(&entry) }?;
                    }
                }
                Err(Unlent::Busy) => {
                    self.submit_lent(sources)?;
                    continue;
                }
                Err(Unlent::Bad(errno)) => refused(self, index, errno),
            }
            staged.pop_front();
        }
        self.submit_lent(sources)?;
        Ok(closing)
    }

    /// Takes the source of a close out of its table, and has the kernel close it. Returns the
    /// `errno` of a close that is over, 0 for success.
    pub fn close_source(
        &mut self,
        index: u32,
        sources: &mut impl Sources,
    ) -> io::Result<Option<i32>> {
        let Some(flight) = self.flights.get_mut(index) else { return Ok(None) };
        flight.staged = 0;
        let file = match sources.remove(flight.source) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(Some(0)),
            Err(errno) => return Ok(Some(errno)),
        };
        if let Some(entry) = self.flights.depart(index, file.into_raw_fd(), -1) {
            // SAFETY: the descriptor belongs to the entry, which points to nothing.
            unsafe { self.push(&entry) }?;
        }
        Ok(None)
    }

    fn lend(&mut self, index: u32, sources: &mut impl Sources) -> Result<(RawFd, RawFd), Unlent> {
        let Some(flight) = self.flights.get_mut(index) else { return Err(Unlent::Bad(0)) };
        flight.staged = flight.staged.saturating_sub(1);
        if flight.source == 0 {
            return Ok((-1, -1));
        }
        let lent = (|| {
            let (fd, kind) = sources.lend(flight.source)?;
            flight.kind = kind;
            let other = match flight.action {
                Action::Splice { to, .. } => Some(sources.lend(to)?.0),
                _ => None,
            };
            if !flight.action.is_late() {
                return Ok((fd, other.unwrap_or(-1)));
            }
            // SAFETY: both are lent.
            unsafe { flight.hold(fd, other) }
                .map_err(|error| Unlent::Bad(error.raw_os_error().unwrap_or(libc::EBADF)))
        })();
        if lent == Err(Unlent::Busy) {
            flight.staged += 1;
        }
        lent
    }

    /// # Safety
    ///
    /// As of [`Ring::push`].
    unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        self.submitted += 1;
        if self.ring()?.room() == 0 {
            self.submit()?;
        }
        // SAFETY: the caller's promise.
        unsafe { self.ring()?.push(entry) };
        Ok(())
    }

    fn submit_lent(&mut self, sources: &mut impl Sources) -> io::Result<()> {
        let submitted = self.submit();
        if submitted.is_err() {
            // Entries may be left whose descriptors are about to be given back.
            self.close();
        }
        sources.give_back();
        submitted
    }

    /// Submits what was pushed. While the kernel is short of memory, tries again.
    fn submit(&mut self) -> io::Result<()> {
        let mut tries = 0;
        while self.ring()?.unsubmitted() > 0 {
            self.enters += 1;
            let ring = self.ring()?;
            match ring.enter(0, None) {
                Ok(_) if ring.has_kernel_thread() => thread::yield_now(),
                Ok(0) if tries >= SHORTAGE_TRIES => {
                    return Err(io::Error::from_raw_os_error(libc::EAGAIN));
                }
                Ok(0) => tries += 1,
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) if !is_shortage(&error) || tries >= SHORTAGE_TRIES => {
                    return Err(error);
                }
                Err(_) => {
                    tries += 1;
                    thread::sleep(SHORTAGE_PAUSE);
                }
            }
            self.has_overflowed |= self.ring()?.has_overflowed();
        }
        Ok(())
    }

    /// Waits until a completion is there, `timeout` is over or a signal comes.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.enters += 1;
        let entered = self.ring()?.enter(1, timeout);
        self.has_overflowed |= self.ring()?.has_overflowed();
        match entered {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => Ok(()),
            Err(error) if is_shortage(&error) && self.shortages < SHORTAGE_TRIES => {
                self.shortages += 1;
                thread::sleep(SHORTAGE_PAUSE);
                Ok(())
            }
            entered => {
                self.shortages = 0;
                entered.map(drop)
            }
        }
    }

    /// Brings completions that the kernel has not handed out yet, and returns whether there is
    /// one to take.
    pub fn harvest(&mut self) -> io::Result<bool> {
        let ring = self.ring()?;
        let (is_held, gathered) = (ring.has_deferred(), ring.gather());
        self.enters += u64::from(is_held);
        self.has_overflowed |= self.ring()?.has_overflowed();
        match gathered {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) || is_shortage(&error) => {
                Ok(false)
            }
            gathered => gathered,
        }
    }

    /// Makes the kernel complete an entry of ours when `wake` is signalled.
    pub fn arm_wake(&mut self, wake: &EventFd) -> io::Result<()> {
        if self.is_wake_armed {
            return Ok(());
        }
        self.is_wake_armed = true;
        let fd = Fd(std::os::fd::AsRawFd::as_raw_fd(&wake.as_fd()));
        let entry = opcode::PollAdd::new(fd, libc::POLLIN as u32).build().user_data(WAKE);
        // SAFETY: it points to nothing, and the caller keeps the descriptor open for longer
        // than this call, which submits the entry.
        unsafe { self.push(&entry) }?;
        self.submit()
    }

    /// Takes the oldest completion that is there.
    pub fn next(&mut self) -> Option<Landing> {
        loop {
            let entry = self.ring.as_mut()?.pop()?;
            match entry.user_data() {
                WAKE => {
                    self.is_woken = true;
                    self.is_wake_armed = false;
                }
                CANCEL => {}
                // SAFETY: the ring has sent it.
                _ => return Some(unsafe { self.landing(&entry) }),
            }
        }
    }

    /// Returns whether the wake was among the completions that were taken since the last call.
    pub fn take_woken(&mut self) -> bool {
        std::mem::take(&mut self.is_woken)
    }

    /// # Safety
    ///
    /// The ring has sent the completion.
    unsafe fn landing(&mut self, entry: &cqueue::Entry) -> Landing {
        let (result, flags, number) = (entry.result(), entry.flags(), entry.user_data());
        let is_last = !cqueue::more(flags);
        let mut landing = Landing {
            origin: Origin::Message(number as u32),
            result,
            opened: None,
            buffer: cqueue::buffer_select(flags),
            is_last,
            is_notice: cqueue::notif(flags),
        };
        if number & MESSAGE != 0 {
            return landing;
        }
        landing.origin = Origin::Flight(number as u32);
        if let (Some(id), Some(buffers)) = (landing.buffer, &mut self.buffers) {
            buffers.take(id);
        }
        let action = self.flights.get(number as u32).map(|flight| flight.action);
        if result >= 0 && matches!(action, Some(Action::Accept { .. } | Action::Open { .. })) {
            // SAFETY: the kernel has opened it for this completion.
            landing.opened = Some(unsafe { OwnedFd::from_raw_fd(result) });
            landing.result = 0;
        }
        // SAFETY: the caller's promise.
        unsafe { self.flights.arrive(number as u32, result, is_last) };
        landing
    }

    /// Closes the ring. Operations end; their memory stays until the kernel is done.
    pub fn close(&mut self) {
        let Some(ring) = &self.ring else { return };
        // A ring of one issuer ends operations for no other thread.
        if !ring.defers() || thread::current().id() == self.owner {
            self.end_all();
        }
        // Completions that are there may have descriptors.
        while self.next().is_some() {}
        self.ring = None;
    }

    /// Cancels all operations and waits for their completions, for a short time. What they
    /// bring is dropped.
    fn end_all(&mut self) {
        if self.flights.in_kernel() == 0 {
            return;
        }
        let end = Instant::now() + CLOSING_MAX;
        let asked = self.push_cancel(CancelBuilder::any());
        if asked.and_then(|()| self.submit()).is_err() {
            return;
        }
        while self.next().is_some() {}
        while self.flights.in_kernel() > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.wait(Some(left)).is_err() {
                return;
            }
            while self.next().is_some() {}
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.close();
        self.flights.close_descriptors();
        if self.flights.in_kernel() == 0 {
            // No operation is left that could write.
            return;
        }
        if let Some(end) = self.end.take() {
            let flights = std::mem::take(&mut self.flights);
            bury(Grave { end, flights, buffers: self.buffers.take() });
        }
    }
}

/// Whether the kernel may have memory later. `EBUSY` is a full completion queue.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM | libc::ENOBUFS))
}

/// Borrows the ring's descriptor.
impl Driver {
    /// Registers the counter that completions signal.
    pub fn register_eventfd(&mut self, eventfd: BorrowedFd<'_>) -> io::Result<()> {
        self.ring()?.register_eventfd(eventfd)
    }

    /// Whether completions signal the counter.
    pub fn set_signals(&mut self, signals: bool) -> io::Result<()> {
        self.ring()?.set_signals(signals);
        Ok(())
    }
}
