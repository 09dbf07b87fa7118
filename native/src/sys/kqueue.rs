//! Readiness from kqueue (macOS, iOS, the BSDs): `kqueue(2)`.
//!
//! Only the calls are here; what is asked and what the answers mean is in
//! `kqueue_plan`, whose tests run everywhere.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::kqueue_plan::{self as plan, Change, Filter, Filters, Ready};
use super::{BATCH_MAX, next_selector_id};
use crate::{Event, Interest, Token};

/// The backend's name.
pub const NAME: &str = "kqueue";

/// The waker's number among user events: there is one waker a selector.
const WAKER_IDENT: usize = 0;
/// The longest change list: both filters of a socket.
const CHANGES_MAX: usize = 2;

// Apple packs the struct to four bytes, and FreeBSD has four more words in it
// since 12: with the wrong one the kernel would write past our array.
#[cfg(any(target_os = "macos", target_os = "ios"))]
const _: () = assert!(size_of::<libc::kevent>() == 32 && align_of::<libc::kevent>() == 4);
#[cfg(all(target_os = "freebsd", target_pointer_width = "64"))]
const _: () = assert!(size_of::<libc::kevent>() == 64 && align_of::<libc::kevent>() == 8);

const _: () = assert!(plan::EV_ADD as u32 == libc::EV_ADD as u32);
const _: () = assert!(plan::EV_DELETE as u32 == libc::EV_DELETE as u32);
const _: () = assert!(plan::EV_CLEAR as u32 == libc::EV_CLEAR as u32);
const _: () = assert!(plan::EV_RECEIPT as u32 == libc::EV_RECEIPT as u32);
const _: () = assert!(plan::EV_ERROR as u32 == libc::EV_ERROR as u32);
const _: () = assert!(plan::EV_EOF as u32 == libc::EV_EOF as u32);
const _: () = assert!(plan::NOTE_TRIGGER == libc::NOTE_TRIGGER as u32);

/// One kqueue.
#[derive(Debug)]
pub struct Selector {
    kqueue: OwnedFd,
    id: u32,
    has_waker: AtomicBool,
}

impl Selector {
    /// Opens a kqueue, close-on-exec.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::kqueue() };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let kqueue = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: takes no pointer.
        if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { kqueue, id: next_selector_id(), has_waker: AtomicBool::new(false) })
    }

    /// The number that tells selectors apart.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// `kevent(2)`, at most [`BATCH_MAX`] events. They are one or two a
    /// source, so that fewer are written than the kernel told.
    pub fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        let capacity = events.len().min(BATCH_MAX);
        if capacity == 0 {
            // epoll refuses it, and kqueue would return at once.
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut ready = [const { MaybeUninit::<libc::kevent>::uninit() }; BATCH_MAX];
        let timeout = plan::timeout(timeout_ms).map(|(seconds, nanoseconds)| libc::timespec {
            tv_sec: seconds.into(),
            tv_nsec: nanoseconds.into(),
        });
        // SAFETY: `ready` is writable for `BATCH_MAX` events, and `capacity` is
        // no more; `timeout` is null or outlives the call.
        let count = unsafe {
            libc::kevent(
                self.kqueue.as_raw_fd(),
                ptr::null(),
                0,
                ready.as_mut_ptr().cast(),
                capacity as _,
                timeout.as_ref().map_or(ptr::null(), ptr::from_ref),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        let ready = ready.iter().take(count).filter_map(|ready| {
            // SAFETY: kevent has written the first `count` entries.
            decode(unsafe { ready.assume_init_ref() })
        });
        Ok(plan::fold(ready, events))
    }

    /// `EV_ADD` for what is asked for.
    pub fn register(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        let wanted = Filters::of(interest)?;
        self.change(fd, token, Filters::NONE, wanted).inspect_err(|_| {
            // One of two filters may have been added. The error that matters
            // is the one that is returned.
            let _ = self.deregister(fd);
        })
    }

    /// `EV_ADD`, which fires again when the source is ready now, and
    /// `EV_DELETE` for the rest.
    pub fn reregister(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.change(fd, token, Filters::ANY, Filters::of(interest)?)
    }

    /// `EV_DELETE`.
    pub fn deregister(&self, fd: RawFd) -> io::Result<()> {
        self.change(fd, Token::default(), Filters::ANY, Filters::NONE)
    }

    /// Takes the one place for a waker; false when it is taken.
    pub fn claim_waker(&self) -> bool {
        !self.has_waker.swap(true, Ordering::AcqRel)
    }

    /// Gives the waker's place back.
    pub fn release_waker(&self) {
        self.has_waker.store(false, Ordering::Release);
    }

    fn change(&self, fd: RawFd, token: Token, old: Filters, new: Filters) -> io::Result<()> {
        let fd = usize::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        submit(self.kqueue.as_fd(), fd, token, plan::plan(old, new))
    }
}

impl AsRawFd for Selector {
    fn as_raw_fd(&self) -> RawFd {
        self.kqueue.as_raw_fd()
    }
}

/// Makes changes, at most [`CHANGES_MAX`], and takes no event.
fn submit(
    kqueue: BorrowedFd<'_>,
    ident: usize,
    token: Token,
    changes: impl Iterator<Item = Change>,
) -> io::Result<()> {
    let mut asked = [Change::trigger(); CHANGES_MAX];
    let mut entries = [blank(); CHANGES_MAX];
    let mut count = 0;
    for ((change, asked), entry) in changes.zip(&mut asked).zip(&mut entries) {
        (*asked, *entry) = (change, encode(ident, token, change));
        count += 1;
    }
    let mut receipts = [blank(); CHANGES_MAX];
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `entries` is readable and `receipts` writable for `count` entries,
    // and `at_once` readable, until the call returns.
    let answered = unsafe {
        libc::kevent(
            kqueue.as_raw_fd(),
            entries.as_ptr(),
            count as _,
            receipts.as_mut_ptr(),
            count as _,
            &at_once,
        )
    };
    let answered = match usize::try_from(answered) {
        Ok(answered) => answered,
        // "All changes in the changelist have been applied", says kevent(2).
        Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => 0,
        Err(_) => return Err(io::Error::last_os_error()),
    };
    let errnos = receipts.iter().take(answered).map(errno);
    plan::outcome(asked.into_iter().zip(errnos))
}

/// What a receipt says of its change.
fn errno(receipt: &libc::kevent) -> i32 {
    if receipt.flags as u16 & plan::EV_ERROR == 0 { 0 } else { receipt.data as i32 }
}

/// An entry of zeroes: FreeBSD's has fields that the others lack.
fn blank() -> libc::kevent {
    // SAFETY: integers and a pointer, all of which may be zero.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn encode(ident: usize, token: Token, change: Change) -> libc::kevent {
    let mut entry = blank();
    entry.ident = ident;
    entry.filter = match change.filter {
        Filter::Read => libc::EVFILT_READ,
        Filter::Write => libc::EVFILT_WRITE,
        Filter::User => libc::EVFILT_USER,
    };
    entry.flags = change.flags as _;
    entry.fflags = change.fflags;
    entry.udata = ptr::without_provenance_mut(token.0 as usize);
    entry
}

fn decode(ready: &libc::kevent) -> Option<Ready> {
    let filter = match ready.filter {
        libc::EVFILT_READ => Filter::Read,
        libc::EVFILT_WRITE => Filter::Write,
        libc::EVFILT_USER => Filter::User,
        // Nobody asks for another.
        _ => return None,
    };
    Some(Ready {
        ident: ready.ident,
        filter,
        flags: ready.flags as u16,
        fflags: ready.fflags,
        token: Token(ready.udata.addr() as u32),
    })
}

/// A user event. It has the kqueue under a descriptor of its own, so that it
/// can be triggered when the selector is gone.
#[derive(Debug)]
pub struct Waker {
    kqueue: OwnedFd,
    token: Token,
}

impl Waker {
    /// Adds the user event.
    pub fn new(selector: &Selector, token: Token) -> io::Result<Self> {
        let waker = Self { kqueue: selector.kqueue.try_clone()?, token };
        waker.submit(Change::add(Filter::User))?;
        Ok(waker)
    }

    /// Triggers it: until it is taken, further triggers change nothing.
    pub fn wake(&self) -> io::Result<()> {
        self.submit(Change::trigger())
    }

    fn submit(&self, change: Change) -> io::Result<()> {
        submit(self.kqueue.as_fd(), WAKER_IDENT, self.token, std::iter::once(change))
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        // Gone already, or about to go with the kqueue: nothing is left to do.
        let _ = self.submit(Change::delete(Filter::User));
    }
}
