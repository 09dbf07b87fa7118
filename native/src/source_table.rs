//! The process-wide table of everything JavaScript holds by a number.
//!
//! A handle is a slot and a generation in 31 bits, so that it fits a result
//! that is negative on error. Closing a handle ends its generation: the number
//! is stale from then on, and a stale number is `EBADF`, never whatever has
//! the slot now. Slots are handed out again first in, first out and only once
//! `REST_MIN` others rest, so a number comes back after two million closes
//! at the earliest.
//!
//! Every Worker of the process sees the same table, so a handle can be posted
//! to one. A call holds its slot's read lock while it runs: a close on another
//! thread waits for it, and no descriptor is reused under a system call.
//!
//! A slot remembers which thread opened its object, if that thread owns what it
//! opens ([`crate::owner`]): such handles end with their thread.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use crate::owner::{self, NOBODY, Owner};
use crate::{
    Parker, PipeReader, PipeWriter, Poll, Registration, Registry, Socket, Source, TcpListener,
    TcpStream, UdpSocket, UnixListener, UnixStream, Waker,
};

/// Bits of a handle that name the slot: a million, Linux's `fs.nr_open`.
const SLOT_BITS: u32 = 20;
const SLOTS_MAX: usize = 1 << SLOT_BITS;
/// The rest of 31 bits. Generation 0 is never given out, so handle 0 is none.
const GENERATION_MAX: u32 = (1 << (31 - SLOT_BITS)) - 1;
/// Slots are allocated in blocks, so that a small program stays small and no
/// slot ever moves.
const BLOCK_SLOTS: usize = 1024;
/// How many closed slots rest before the first of them is used again.
const REST_MIN: usize = 1024;
/// How long a thread that ends waits for a woken one to leave its poll: 20 ms.
const UNSHARED_TRIES: usize = 20;
const UNSHARED_PAUSE: Duration = Duration::from_millis(1);

/// What a handle can stand for.
#[derive(Debug)]
pub enum Object {
    /// A selector with its registry. Shared, so that closing the handle does
    /// not pull it from under a wait on another thread.
    Poll(Arc<Poll>),
    /// A cloned registry.
    Registry(Registry),
    /// A waker. Boxed, since it is larger than a stream, of which there are more.
    Waker(Box<Waker>),
    /// A listening TCP socket.
    TcpListener(TcpListener),
    /// A connected TCP socket.
    TcpStream(TcpStream),
    /// A listening Unix socket.
    UnixListener(UnixListener),
    /// A connected Unix socket.
    UnixStream(UnixStream),
    /// A UDP socket.
    UdpSocket(UdpSocket),
    /// Where a poll is parked.
    Parker(Parker),
    /// The reading end of a pipe.
    PipeReader(PipeReader),
    /// The writing end of a pipe.
    PipeWriter(PipeWriter),
}

impl Object {
    /// Where a source is registered; none of what is no source.
    #[must_use]
    pub fn registration(&self) -> Option<&Registration> {
        match self {
            Self::Parker(_) => None,
            Self::PipeReader(pipe) => Some(pipe.registration()),
            Self::PipeWriter(pipe) => Some(pipe.registration()),
            _ => Some(self.socket()?.registration()),
        }
    }

    /// What sockets have in common; none of what is no socket.
    #[must_use]
    pub fn socket(&self) -> Option<&dyn Socket> {
        Some(match self {
            Self::TcpListener(listener) => listener,
            Self::TcpStream(stream) => stream,
            Self::UnixListener(listener) => listener,
            Self::UnixStream(stream) => stream,
            Self::UdpSocket(udp) => udp,
            _ => return None,
        })
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    owner: Owner,
    object: Option<Object>,
}

#[derive(Debug)]
struct Free {
    resting: VecDeque<u32>,
    never_used: u32,
}

type Block = Box<[RwLock<Slot>]>;

static BLOCKS: [OnceLock<Block>; SLOTS_MAX / BLOCK_SLOTS] =
    [const { OnceLock::new() }; SLOTS_MAX / BLOCK_SLOTS];
static FREE: Mutex<Free> = Mutex::new(Free { resting: VecDeque::new(), never_used: 0 });

/// Runs `call` on what `handle` stands for.
///
/// # Errors
///
/// `EBADF` when the handle is stale or was never given out, else what `call`
/// returns.
pub fn with<T>(handle: u32, call: impl FnOnce(&Object) -> io::Result<T>) -> io::Result<T> {
    let slot = slot(handle & SLOT_MASK).ok_or_else(bad_handle)?;
    let slot = slot.read().unwrap_or_else(PoisonError::into_inner);
    match &slot.object {
        Some(object) if slot.generation == handle >> SLOT_BITS => call(object),
        _ => Err(bad_handle()),
    }
}

/// Stores `object` and returns its handle, at most `i32::MAX`.
///
/// # Errors
///
/// `ENFILE` when a million handles are open.
pub fn insert(object: Object) -> io::Result<u32> {
    insert_with(|| Ok(object))
}

/// Stores what `make` makes of the open descriptor `fd`, when no handle has it
/// already. Two owners would each close it, and the second another's.
///
/// # Errors
///
/// `EBUSY` when a source has it; `ENFILE` when a million handles are open; and
/// what `make` returns.
pub fn insert_adopted(fd: RawFd, make: impl FnOnce() -> io::Result<Object>) -> io::Result<u32> {
    /// One at a time, or two could find it free.
    static ADOPTING: Mutex<()> = Mutex::new(());
    let _turn = ADOPTING.lock().unwrap_or_else(PoisonError::into_inner);
    if is_owned(fd) {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    insert_with(make)
}

fn insert_with(make: impl FnOnce() -> io::Result<Object>) -> io::Result<u32> {
    let index = take_free().ok_or_else(|| io::Error::from_raw_os_error(libc::ENFILE))?;
    let lock = slot_or_allocate(index).ok_or_else(bad_handle)?;
    let object = make().inspect_err(|_| free().resting.push_back(index))?;
    let mut slot = lock.write().unwrap_or_else(PoisonError::into_inner);
    slot.generation = if slot.generation == GENERATION_MAX { 1 } else { slot.generation + 1 };
    slot.owner = owner::current();
    slot.object = Some(object);
    Ok(slot.generation << SLOT_BITS | index)
}

/// Whether some source has that descriptor: looks at every slot.
fn is_owned(fd: RawFd) -> bool {
    let never_used = free().never_used;
    (0..never_used).filter_map(slot).any(|slot| {
        let slot = slot.read().unwrap_or_else(PoisonError::into_inner);
        let registration = slot.object.as_ref().and_then(Object::registration);
        registration.is_some_and(|registration| registration.as_fd().as_raw_fd() == fd)
    })
}

/// Ends `handle` and drops what it stands for.
///
/// # Errors
///
/// `EBADF` when the handle is stale or was never given out.
pub fn remove(handle: u32) -> io::Result<()> {
    let index = handle & SLOT_MASK;
    let lock = slot(index).ok_or_else(bad_handle)?;
    let mut slot = lock.write().unwrap_or_else(PoisonError::into_inner);
    if slot.generation != handle >> SLOT_BITS {
        return Err(bad_handle());
    }
    let object = slot.object.take().ok_or_else(bad_handle)?;
    drop(slot);
    drop(object);
    free().resting.push_back(index);
    Ok(())
}

/// Ends every handle that `owner` has opened and nobody has closed.
///
/// Wakers go last, when they have ended the waits of other threads on the
/// owner's polls: such a wait would otherwise hold its poll, and a thread, for
/// as long as nothing happens there.
pub(crate) fn remove_all(owner: Owner) {
    let mut wakers = Vec::new();
    let mut polls = Vec::new();
    for handle in handles_of(owner) {
        let is_waker = with(handle, |object| {
            match object {
                Object::Waker(waker) => waker.wake()?,
                Object::Poll(poll) => polls.push(Arc::clone(poll)),
                _ => return Ok(false),
            }
            Ok(matches!(object, Object::Waker(_)))
        });
        if is_waker.unwrap_or(false) {
            wakers.push(handle);
        } else {
            // Who else has the number may have closed it by now.
            let _ = remove(handle);
        }
    }
    polls.iter().for_each(await_unshared);
    for waker in wakers {
        let _ = remove(waker);
    }
}

/// Waits until no other thread is inside of `poll`, but not for ever: it may be
/// one that has no waker.
fn await_unshared(poll: &Arc<Poll>) {
    for _ in 0..UNSHARED_TRIES {
        if Arc::strong_count(poll) == 1 {
            return;
        }
        std::thread::sleep(UNSHARED_PAUSE);
    }
}

fn handles_of(owner: Owner) -> Vec<u32> {
    if owner == NOBODY {
        return Vec::new();
    }
    let never_used = free().never_used;
    let handle = |index| {
        let slot = slot(index)?.read().unwrap_or_else(PoisonError::into_inner);
        let is_theirs = slot.owner == owner && slot.object.is_some();
        is_theirs.then_some(slot.generation << SLOT_BITS | index)
    };
    (0..never_used).filter_map(handle).collect()
}

/// How many handles are open in the whole process: what a leak test counts.
#[must_use]
pub fn open_count() -> usize {
    let free = free();
    free.never_used as usize - free.resting.len()
}

const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

fn bad_handle() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

fn free() -> std::sync::MutexGuard<'static, Free> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_free() -> Option<u32> {
    let mut free = free();
    let fresh = (free.never_used as usize) < SLOTS_MAX;
    if fresh && free.resting.len() < REST_MIN {
        free.never_used += 1;
        return Some(free.never_used - 1);
    }
    free.resting.pop_front()
}

fn slot(index: u32) -> Option<&'static RwLock<Slot>> {
    let index = index as usize;
    BLOCKS.get(index / BLOCK_SLOTS)?.get()?.get(index % BLOCK_SLOTS)
}

fn slot_or_allocate(index: u32) -> Option<&'static RwLock<Slot>> {
    BLOCKS
        .get(index as usize / BLOCK_SLOTS)?
        .get_or_init(|| (0..BLOCK_SLOTS).map(|_| RwLock::default()).collect());
    slot(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_poll() -> Object {
        Object::Poll(Arc::new(Poll::new().unwrap()))
    }

    fn errno<T>(result: io::Result<T>) -> Option<i32> {
        result.err().and_then(|error| error.raw_os_error())
    }

    #[test]
    fn a_slot_is_small() {
        assert!(size_of::<RwLock<Slot>>() <= 48, "{}", size_of::<RwLock<Slot>>());
    }

    #[test]
    fn a_handle_is_good_until_it_is_removed() {
        let handle = insert(a_poll()).unwrap();
        assert!(i32::try_from(handle).is_ok());
        with(handle, |_| Ok(())).unwrap();
        remove(handle).unwrap();
        assert_eq!(errno(with(handle, |_| Ok(()))), Some(libc::EBADF));
        assert_eq!(errno(remove(handle)), Some(libc::EBADF));
    }

    #[test]
    fn a_stale_handle_never_meets_the_next_owner_of_its_slot() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..5 * REST_MIN {
            let handle = insert(a_poll()).unwrap();
            assert!(seen.insert(handle), "handle {handle} came back");
            remove(handle).unwrap();
        }
        for handle in seen {
            assert_eq!(errno(with(handle, |_| Ok(()))), Some(libc::EBADF));
        }
    }

    #[test]
    fn numbers_never_given_out_are_bad() {
        for handle in [0, 1, SLOT_MASK, i32::MAX as u32, u32::MAX, 1 << SLOT_BITS | 999_999] {
            assert_eq!(errno(with(handle, |_| Ok(()))), Some(libc::EBADF), "{handle}");
            assert_eq!(errno(remove(handle)), Some(libc::EBADF), "{handle}");
        }
    }
}
