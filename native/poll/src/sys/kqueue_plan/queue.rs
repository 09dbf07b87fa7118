//! A kqueue without its one system call: submits the plan, and turns the kernel's
//! reports into events.
//!
//! Two filters cannot share one shot in the kernel: `EV_ONESHOT` deletes the filter
//! that has fired, and the other filter would fire once more. So such a registration
//! has a number, which its events return, and the queue keeps a list of the numbers
//! that are unspent. The wait that gets the first event takes the number from the
//! list and deletes the other filter. An event whose number is not on the list is
//! dropped: it is the second event, or belongs to a registration that was replaced
//! while the event was on its way.
//!
//! Invariant: filters change under the lock of that list, so that a wait never
//! deletes the filter of a later registration that another thread has made meanwhile.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{CHANGES_MAX, Change, Filter, Filters, Fold, Kevent, Tag, outcome, plan, timeout};
use crate::sys::BATCH_MAX;
use crate::{Event, Interest, Mode, Token};

/// The system call.
pub trait Kernel: Sized {
    /// `kevent(2)`: makes changes, at most [`CHANGES_MAX`], then takes at most
    /// `room` events, no more than [`BATCH_MAX`], and calls back with each.
    fn kevent(
        &self,
        changes: &[Kevent],
        room: usize,
        timeout: Option<(i32, i32)>,
        on_event: impl FnMut(Kevent),
    ) -> io::Result<()>;

    /// Another descriptor of the same kqueue.
    fn try_clone(&self) -> io::Result<Self>;
}

/// A kqueue with sources.
#[derive(Debug)]
pub struct Queue<K> {
    /// The kqueue itself.
    pub kernel: K,
    shots: Mutex<Shots>,
}

/// Registrations in which two filters share one shot.
#[derive(Debug, Default)]
struct Shots {
    latest: u32,
    /// Their numbers, by descriptor. A descriptor that was closed leaves its number
    /// here until the same descriptor is registered again.
    unspent: HashMap<usize, u32>,
}

impl<K: Kernel> Queue<K> {
    /// A kqueue without sources.
    pub fn with(kernel: K) -> Self {
        Self { kernel, shots: Mutex::default() }
    }

    /// Waits for events, at most [`BATCH_MAX`]. The kernel has one or two events for
    /// each source, so this may write fewer events than the kernel has reported; none
    /// when all belong to registrations that were replaced meanwhile.
    pub fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        let room = events.len().min(BATCH_MAX);
        if room == 0 {
            // epoll refuses it, and kqueue would return at once.
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut fold = Fold::new(events);
        let mut shots = None;
        let mut spent = Vec::new();
        self.kernel.kevent(&[], room, timeout(timeout_ms), |kevent| {
            let Tag { shot, .. } = Tag::from_bits(kevent.udata);
            if shot != 0 {
                let shots = shots.get_or_insert_with(|| self.lock());
                if shots.unspent.get(&kevent.ident) != Some(&shot) {
                    return;
                }
                spent.push((kevent.ident, kevent.filter));
            }
            fold.push(kevent);
        })?;
        if let Some(shots) = shots {
            self.spend(shots, &spent);
        }
        Ok(fold.count())
    }

    /// Adds the filters of an interest.
    pub fn register(
        &self,
        fd: impl AsRawFd,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        self.change(Filters::NONE, fd, token, interest, mode).inspect_err(|_| {
            // One of two filters may have been added. The caller needs the first error, not
            // one of this call.
            let _ = self.deregister(fd);
        })
    }

    /// Deletes both filters and adds those of the interest, which fire again when the
    /// source is ready now.
    pub fn reregister(
        &self,
        fd: impl AsRawFd,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.change(Filters::BOTH, fd.as_raw_fd(), token, interest, mode)
    }

    /// Deletes both filters; `EBADF` when the descriptor is closed.
    pub fn deregister(&self, fd: impl AsRawFd) -> io::Result<()> {
        let ident = ident(fd.as_raw_fd())?;
        let mut shots = self.lock();
        shots.unspent.remove(&ident);
        let changes = plan(Filters::BOTH, Filters::NONE, Mode::EDGE);
        submit(&self.kernel, changes.map(|change| change.of(ident, Tag::default())))
    }

    fn change(
        &self,
        old: Filters,
        fd: RawFd,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let (ident, new) = (ident(fd)?, Filters::of(interest)?);
        let mut shots = self.lock();
        let has_shot = mode.is_one_shot() && new == Filters::BOTH;
        let tag = Tag { token, shot: shots.begin(ident, has_shot) };
        let changes = plan(old, new, mode).map(|change| change.of(ident, tag));
        submit(&self.kernel, changes)
    }

    /// Ends the registrations of these events. `shots` has been locked since they were
    /// found unspent.
    fn spend(&self, mut shots: MutexGuard<'_, Shots>, spent: &[(usize, Filter)]) {
        for (ident, filter) in spent {
            shots.unspent.remove(ident);
            let other = if *filter == Filter::Read { Filter::Write } else { Filter::Read };
            let delete = Change::delete(other).of(*ident, Tag::default());
            // The descriptor may be closed, and the filter gone with it.
            let _ = submit(&self.kernel, std::iter::once(delete));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shots> {
        self.shots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shots {
    /// Forgets the descriptor's earlier registration, and returns a new number: 0 for a
    /// registration that needs none.
    fn begin(&mut self, ident: usize, has_shot: bool) -> u32 {
        if !has_shot {
            self.unspent.remove(&ident);
            return 0;
        }
        self.latest = self.latest.checked_add(1).unwrap_or(1);
        self.unspent.insert(ident, self.latest);
        self.latest
    }
}

fn ident(fd: RawFd) -> io::Result<usize> {
    usize::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))
}

/// Makes changes, at most [`CHANGES_MAX`], and takes no event.
fn submit(kernel: &impl Kernel, changes: impl Iterator<Item = Kevent>) -> io::Result<()> {
    let blank = Change::trigger().of(0, Tag::default());
    let mut asked = [blank; CHANGES_MAX];
    let count = changes.zip(&mut asked).map(|(change, place)| *place = change).count();
    let asked = asked.get(..count).unwrap_or_default();
    let mut errnos = [0; CHANGES_MAX];
    let mut places = errnos.iter_mut();
    // With as many receipts as changes there is no room for events.
    let submitted = kernel.kevent(asked, count, timeout(0), |receipt| {
        if let Some(place) = places.next() {
            *place = receipt.errno();
        }
    });
    match submitted {
        // "All changes in the changelist have been applied", says kevent(2).
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error),
        Ok(()) => outcome(asked.iter().copied().zip(errnos)),
    }
}

/// The waker's number among user events: a kqueue has one waker.
const WAKER_IDENT: usize = 0;

/// A user event with a descriptor of its own of the kqueue, so that it can be triggered
/// after the queue is closed.
#[derive(Debug)]
pub struct Waker<K: Kernel> {
    kernel: K,
    tag: Tag,
}

impl<K: Kernel> Waker<K> {
    /// Adds the user event.
    pub fn new(queue: &Queue<K>, token: Token) -> io::Result<Self> {
        let waker = Self { kernel: queue.kernel.try_clone()?, tag: Tag { token, shot: 0 } };
        waker.submit(Change::add(Filter::User, Mode::EDGE))?;
        Ok(waker)
    }

    /// Triggers the event: until a wait takes it, further triggers change nothing.
    pub fn wake(&self) -> io::Result<()> {
        self.submit(Change::trigger())
    }

    fn submit(&self, change: Change) -> io::Result<()> {
        submit(&self.kernel, std::iter::once(change.of(WAKER_IDENT, self.tag)))
    }
}

impl<K: Kernel> Drop for Waker<K> {
    fn drop(&mut self) {
        // Gone already, or about to go with the kqueue: nothing is left to do.
        let _ = self.submit(Change::delete(Filter::User));
    }
}
