//! Readiness from kqueue (macOS, iOS, the BSDs): `kqueue(2)`.
//!
//! Only the calls are here. `kqueue_plan` decides what to ask and reads the answers;
//! its tests run everywhere.

// Each system has its own types for the fields: a cast that one system needs is
// unnecessary on another.
#![allow(clippy::unnecessary_cast)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use rustix::io::FdFlags;

use super::BATCH_MAX;
pub use super::kqueue_plan::supports;
use super::kqueue_plan::{self as plan, CHANGES_MAX, Filter, Kernel, Kevent, Queue};
use super::socket::wait_readable;
use crate::Backend;

/// The backend of this file.
pub const BACKEND: Backend = Backend::Kqueue;

// Apple packs the struct to four bytes, and FreeBSD has four more words in it
// since 12: with the wrong struct the kernel would write past our array.
#[cfg(apple)]
const _: () = assert!(size_of::<libc::kevent>() == 32 && align_of::<libc::kevent>() == 4);
#[cfg(all(target_os = "freebsd", target_pointer_width = "64"))]
const _: () = assert!(size_of::<libc::kevent>() == 64 && align_of::<libc::kevent>() == 8);

// Token and shot share a pointer's bits.
const _: () = assert!(size_of::<*mut libc::c_void>() == size_of::<u64>());

const _: () = assert!(plan::EV_ADD as u32 == libc::EV_ADD as u32);
const _: () = assert!(plan::EV_DELETE as u32 == libc::EV_DELETE as u32);
const _: () = assert!(plan::EV_ONESHOT as u32 == libc::EV_ONESHOT as u32);
const _: () = assert!(plan::EV_CLEAR as u32 == libc::EV_CLEAR as u32);
const _: () = assert!(plan::EV_RECEIPT as u32 == libc::EV_RECEIPT as u32);
const _: () = assert!(plan::EV_ERROR as u32 == libc::EV_ERROR as u32);
const _: () = assert!(plan::EV_EOF as u32 == libc::EV_EOF as u32);
const _: () = assert!(plan::NOTE_TRIGGER == libc::NOTE_TRIGGER as u32);

/// One kqueue.
pub type Selector = Queue<Kqueue>;
/// A user event of a kqueue.
pub type Waker = plan::Waker<Kqueue>;

/// The descriptor of a kqueue.
#[derive(Debug)]
pub struct Kqueue(OwnedFd);

impl Selector {
    /// Opens a kqueue, close-on-exec.
    pub fn new() -> io::Result<Self> {
        let kqueue = rustix::event::kqueue::kqueue()?;
        rustix::io::fcntl_setfd(&kqueue, FdFlags::CLOEXEC)?;
        Ok(Self::with(Kqueue(kqueue)))
    }

    /// `poll(2)` on the kqueue, which is itself pollable.
    pub fn park(&self, timeout_ms: i32) -> io::Result<bool> {
        wait_readable(self.kernel.0.as_fd(), timeout_ms)
    }
}

impl AsFd for Selector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kernel.0.as_fd()
    }
}

impl Kernel for Kqueue {
    fn kevent(
        &self,
        changes: &[Kevent],
        room: usize,
        timeout: Option<(i32, i32)>,
        on_event: impl FnMut(Kevent),
    ) -> io::Result<()> {
        let mut entries = [blank(); CHANGES_MAX];
        let filled = entries.iter_mut().zip(changes);
        let change_count = filled.map(|(entry, change)| *entry = encode(change)).count();
        let mut ready = [const { MaybeUninit::<libc::kevent>::uninit() }; BATCH_MAX];
        let timeout = timeout.map(|(seconds, nanoseconds)| libc::timespec {
            tv_sec: seconds.into(),
            tv_nsec: nanoseconds.into(),
        });
        // SAFETY: `entries` is readable for `change_count` entries, `ready`
        // writable for `BATCH_MAX`, which `room` is cut to, and `timeout` is
        // null or readable, all until the call returns.
        let count = unsafe {
            libc::kevent(
                self.0.as_raw_fd(),
                entries.as_ptr(),
                change_count as _,
                ready.as_mut_ptr().cast(),
                room.min(BATCH_MAX) as _,
                timeout.as_ref().map_or(ptr::null(), ptr::from_ref),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        let ready = ready.iter().take(count).filter_map(|ready| {
            // SAFETY: kevent has written the first `count` entries.
            decode(unsafe { ready.assume_init_ref() })
        });
        ready.for_each(on_event);
        Ok(())
    }

    fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

/// An entry of zeroes: FreeBSD's has fields that the others lack.
fn blank() -> libc::kevent {
    // SAFETY: the fields are integers and a pointer, and zero is a value of each.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn encode(change: &Kevent) -> libc::kevent {
    let mut entry = blank();
    entry.ident = change.ident as _;
    entry.filter = match change.filter {
        Filter::Read => libc::EVFILT_READ,
        Filter::Write => libc::EVFILT_WRITE,
        Filter::User => libc::EVFILT_USER,
    };
    entry.flags = change.flags as _;
    entry.fflags = change.fflags;
    entry.udata = ptr::without_provenance_mut(change.udata as usize);
    entry
}

fn decode(ready: &libc::kevent) -> Option<Kevent> {
    let filter = match ready.filter {
        libc::EVFILT_READ => Filter::Read,
        libc::EVFILT_WRITE => Filter::Write,
        libc::EVFILT_USER => Filter::User,
        // No other filter is registered.
        _ => return None,
    };
    Some(Kevent {
        ident: ready.ident as usize,
        filter,
        flags: ready.flags as u16,
        fflags: ready.fflags,
        data: ready.data as i64,
        udata: ready.udata.addr() as u64,
    })
}
