//! One ring: `io_uring_setup(2)` and `io_uring_enter(2)`.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{Builder, EnterFlags, IoUring, Probe, cqueue, squeue};

/// Calls without a completion after which a mark of the kernel's counts as stale. A call may do
/// twenty pieces of work that complete nothing, as a receive that has to wait again.
const GATHERS_MAX: usize = 4;

/// How a ring is opened.
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    /// Entries of the submission queue; the kernel rounds up to a power of two.
    pub submissions: u32,
    /// Entries of the completion queue, rounded up likewise.
    pub completions: u32,
    /// Whether only the thread that opens the ring will use it. The kernel then completes
    /// operations only inside of that thread's [`Ring::enter`], and never interrupts other
    /// system calls of the thread (`IORING_SETUP_DEFER_TASKRUN`, Linux 6.1).
    pub is_single_issuer: bool,
    /// Whether the ring begins without an owner: the thread that calls [`Ring::enable`] is the
    /// only one that will use it (`IORING_SETUP_R_DISABLED`).
    pub is_disabled: bool,
    /// After how many idle milliseconds a thread of the kernel, which submits for the
    /// program, goes to sleep; `None` has no such thread (`IORING_SETUP_SQPOLL`).
    pub kernel_thread_idle_ms: Option<u32>,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            submissions: 8,
            completions: 16,
            is_single_issuer: false,
            is_disabled: false,
            kernel_thread_idle_ms: None,
        }
    }
}

/// A submission queue and a completion queue, shared with the kernel.
///
/// Dropping it closes the ring, but operations in flight may still write to their memory:
/// their owner must have seen their completions before, or must never free that memory.
pub struct Ring {
    uring: IoUring,
    /// Whether completions appear only inside of `enter`.
    defers: bool,
    enter_flags: EnterFlags,
}

thread_local! {
    static CLOSED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// How long after a ring was closed the kernel may interrupt its thread. It mostly does within
/// milliseconds, from a queue of work.
const INTERRUPTED_WITHIN: Duration = Duration::from_secs(1);

/// Whether this thread has closed a ring within the last second.
///
/// Linux interrupts a thread a moment after it has closed a ring that it had entered, to take
/// what it still knows of the ring. A system call that waits just then fails with `EINTR`,
/// although no signal has come.
#[must_use]
pub fn has_closed_ring() -> bool {
    let is_near = |closed: &Cell<Option<Instant>>| {
        let near = closed.get().filter(|at| at.elapsed() < INTERRUPTED_WITHIN);
        closed.set(near);
        near.is_some()
    };
    CLOSED.try_with(is_near).unwrap_or(false)
}

impl Drop for Ring {
    fn drop(&mut self) {
        // At its end a thread waits for nothing.
        let _ = CLOSED.try_with(|closed| closed.set(Some(Instant::now())));
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ring").field("fd", &self.uring.as_raw_fd()).finish_non_exhaustive()
    }
}

impl Ring {
    /// Opens a ring, close-on-exec, with the best flags that the kernel knows.
    ///
    /// # Errors
    ///
    /// `EINVAL` before Linux 5.19; `ENOSYS` and `EPERM` where it is forbidden; `EMFILE`,
    /// `ENOMEM`.
    pub fn new(options: &RingOptions) -> io::Result<Self> {
        let mut builder = builder(options);
        if options.kernel_thread_idle_ms.is_some() {
            return Ok(Self::of(builder.build(options.submissions)?, false));
        }
        if options.is_single_issuer {
            let mut deferring = builder.clone();
            deferring.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
            match deferring.build(options.submissions) {
                Ok(uring) => return Ok(Self::of(uring, true)),
                // Linux before 6.1.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                Err(error) => return Err(error),
            }
        }
        // The kernel then notes completions without interrupting the thread.
        builder.setup_coop_taskrun().setup_taskrun_flag();
        Ok(Self::of(builder.build(options.submissions)?, false))
    }

    fn of(uring: IoUring, defers: bool) -> Self {
        let mut enter_flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if uring.params().is_feature_no_iowait() {
            // A server that waits for its peers does not wait for a disk.
            enter_flags |= EnterFlags::NO_IOWAIT;
        }
        Self { uring, defers, enter_flags }
    }

    /// Makes this thread the owner of a ring that was opened without one.
    ///
    /// # Errors
    ///
    /// `EBADFD` when the ring has an owner.
    pub fn enable(&self) -> io::Result<()> {
        self.uring.submitter().register_enable_rings()
    }

    /// Whether completions appear only inside of [`Ring::enter`], so that only its eventfd
    /// tells of them outside.
    #[must_use]
    pub const fn defers(&self) -> bool {
        self.defers
    }

    /// Whether a thread of the kernel submits what is pushed, some time after it was pushed.
    #[must_use]
    pub fn has_kernel_thread(&self) -> bool {
        self.uring.params().is_setup_sqpoll()
    }

    /// How many completions the queue holds. With more operations in flight it could
    /// overflow.
    #[must_use]
    pub fn completions_max(&self) -> u32 {
        self.uring.params().cq_entries()
    }

    /// Adds an entry, which the next [`Ring::enter`] submits; false when the queue is full.
    ///
    /// # Safety
    ///
    /// What the entry points to must stay as it is, and writable where the operation writes,
    /// until its last completion; its descriptor must be open when it is submitted.
    pub unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.uring.submission().push(entry) }.is_ok()
    }

    /// How many entries wait to be submitted.
    pub fn unsubmitted(&mut self) -> usize {
        self.uring.submission().len()
    }

    /// How many entries can be pushed.
    pub fn room(&mut self) -> usize {
        let queue = self.uring.submission();
        queue.capacity() - queue.len()
    }

    /// Submits what was pushed, and waits until `want` completions are there or `timeout` is
    /// over; `None` waits without limit. One system call, which may end early: look again.
    ///
    /// # Errors
    ///
    /// `EINTR` when a signal came first; `EAGAIN` and `ENOMEM` when the kernel is short of
    /// memory; `EBUSY` when the completion queue has overflowed and must be emptied first;
    /// `EEXIST` from another thread than the single issuer.
    pub fn enter(&mut self, want: usize, timeout: Option<Duration>) -> io::Result<usize> {
        let has_thread = self.has_kernel_thread();
        let queue = self.uring.submission();
        let (pushed, sleeps) = (queue.len(), has_thread && queue.need_wakeup());
        drop(queue);
        let time = timeout.map(Timespec::from);
        let mut arguments = SubmitArgs::new();
        if let Some(time) = &time {
            arguments = arguments.timespec(time);
        }
        let mut flags = self.enter_flags;
        flags.set(EnterFlags::SQ_WAKEUP, sleeps);
        let (submit, want, flags) = (pushed as u32, want as u32, flags.bits());
        let submitter = self.uring.submitter();
        // SAFETY: `arguments` and the time that it points to live until the call returns.
        let entered = unsafe { submitter.enter(submit, want, flags, Some(&arguments)) };
        match entered {
            // The time was over: that is an answer.
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => Ok(0),
            entered => entered,
        }
    }

    /// Submits what was pushed, and waits for nothing. One system call, which may take only a
    /// part: see [`Ring::unsubmitted`].
    ///
    /// # Errors
    ///
    /// As [`Ring::enter`].
    pub fn submit(&mut self) -> io::Result<usize> {
        self.uring.submit()
    }

    /// Brings completions that the kernel holds, of which it hands out twenty a call, and
    /// returns whether there is one to take. Makes no system call unless the kernel has marked
    /// that it holds some.
    ///
    /// The mark is only a hint. The kernel adds work to its list first and marks then
    /// (`io_req_local_work_add` in its `io_uring.c`), so a mark may be set just after this
    /// thread has done the work, and it then stays until there is other work. So the search
    /// ends after a few calls that bring nothing.
    ///
    /// # Errors
    ///
    /// As [`Ring::enter`].
    pub fn gather(&mut self) -> io::Result<bool> {
        for _ in 0..GATHERS_MAX {
            if self.has_completion() || !self.has_deferred() {
                break;
            }
            self.enter(0, None)?;
        }
        Ok(self.has_completion())
    }

    /// Whether the kernel has marked that it holds completions which the next [`Ring::enter`]
    /// would bring. The mark may be stale: see [`Ring::gather`].
    pub fn has_deferred(&mut self) -> bool {
        self.uring.submission().taskrun()
    }

    /// Whether completions wait inside of the kernel, because the queue was full: this must
    /// never happen.
    pub fn has_overflowed(&mut self) -> bool {
        self.uring.submission().cq_overflow()
    }

    /// Whether a completion is there that was not taken.
    pub fn has_completion(&mut self) -> bool {
        !self.uring.completion().is_empty()
    }

    /// Takes the oldest completion.
    pub fn pop(&mut self) -> Option<cqueue::Entry> {
        self.uring.completion().next()
    }

    /// Takes all completions that are there, oldest first.
    pub fn drain(&mut self, mut each: impl FnMut(cqueue::Entry)) -> usize {
        let mut count = 0;
        for entry in self.uring.completion() {
            each(entry);
            count += 1;
        }
        count
    }

    /// Makes the kernel signal `eventfd` when completions come, until
    /// [`Ring::set_signals`] says otherwise.
    ///
    /// # Errors
    ///
    /// `EBUSY` when the ring has an eventfd already.
    pub fn register_eventfd(&self, eventfd: BorrowedFd<'_>) -> io::Result<()> {
        self.uring.submitter().register_eventfd(eventfd.as_raw_fd())
    }

    /// Whether completions signal the eventfd: costs no system call. What comes before the
    /// signals are on is not signalled: look at [`Ring::gather`] afterwards.
    pub fn set_signals(&mut self, signals: bool) {
        let completions = self.uring.completion();
        if signals {
            completions.enable_eventfd();
            // The kernel sets its mark and then looks at the flag; this sets the flag and then
            // looks at the mark. One of both must see the other.
            fence(Ordering::SeqCst);
        } else {
            completions.disable_eventfd();
        }
    }

    /// Whether the kernel has the operation with that code (`IORING_REGISTER_PROBE`).
    #[must_use]
    pub fn has_operation(&self, code: u8) -> bool {
        let mut probe = Probe::new();
        self.uring.submitter().register_probe(&mut probe).is_ok() && probe.is_supported(code)
    }

    /// Returns a descriptor that hangs up when the kernel is done with the ring.
    ///
    /// Closing a ring cancels its operations, but the kernel does that later, on a thread of
    /// its own: until then they may write to their memory. The kernel frees the files that
    /// are registered with a ring last, after all of its operations (`io_ring_exit_work`
    /// waits for them, then calls `io_ring_ctx_free`). So the ring gets the only writing end
    /// of a pipe, and the reading end hangs up when no operation can write any more. This
    /// holds on every thread and with all flags of a ring; a ring of a single issuer lets no
    /// other thread cancel, or wait.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`; `EBUSY` when the ring has registered files.
    pub fn end_signal(&self) -> io::Result<OwnedFd> {
        let mut ends = [-1; 2];
        // SAFETY: the kernel writes two numbers.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has opened it, for nobody else.
        let [reader, writer] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        self.uring.submitter().register_files(&[writer.as_raw_fd()])?;
        Ok(reader)
    }

    /// The calls that need no queue, as registering memory.
    pub fn submitter(&self) -> io_uring::Submitter<'_> {
        self.uring.submitter()
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring has it open for as long as it lives.
        unsafe { BorrowedFd::borrow_raw(self.uring.as_raw_fd()) }
    }
}

fn builder(options: &RingOptions) -> Builder {
    let mut builder = IoUring::builder();
    if options.is_disabled {
        builder.setup_r_disabled();
    }
    // A child process must not find the queues in its memory.
    builder.dontfork().setup_clamp().setup_cqsize(options.completions).setup_submit_all();
    if let Some(idle_ms) = options.kernel_thread_idle_ms {
        builder.setup_sqpoll(idle_ms);
    }
    builder
}

#[cfg(test)]
mod tests {
    use io_uring::opcode;

    use super::*;

    fn nop(number: u64) -> squeue::Entry {
        opcode::Nop::new().build().user_data(number)
    }

    #[test]
    fn what_is_pushed_is_submitted_and_completes_in_order() {
        for is_single_issuer in [false, true] {
            let mut ring =
                Ring::new(&RingOptions { is_single_issuer, ..Default::default() }).unwrap();
            for number in 0..8 {
                // SAFETY: a nop points to nothing.
                assert!(unsafe { ring.push(&nop(number)) });
            }
            assert_eq!(ring.room(), 0);
            // SAFETY: as above.
            assert!(!unsafe { ring.push(&nop(8)) }, "the queue is full");
            assert_eq!(ring.enter(8, None).unwrap(), 8);
            let mut numbers = Vec::new();
            assert_eq!(ring.drain(|entry| numbers.push(entry.user_data())), 8);
            assert_eq!(numbers, (0..8).collect::<Vec<_>>());
            assert!(!ring.has_overflowed());
        }
    }

    #[test]
    fn a_wait_ends_when_its_time_is_over() {
        let mut ring = Ring::new(&RingOptions::default()).unwrap();
        assert_eq!(ring.enter(1, Some(Duration::from_millis(1))).unwrap(), 0);
        assert!(ring.pop().is_none());
    }
}
