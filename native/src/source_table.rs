//! The process-wide table of all objects that JavaScript knows by a number.
//!
//! A handle is a slot and a generation in 52 bits, which a JavaScript number holds. Closing
//! a handle ends its generation: the number is stale from then on, and a stale number is
//! `EBADF`, never the slot's next object. A slot without generations left is not used
//! again, so no number comes back.
//!
//! Every Worker of the process sees the same table, so a handle can be posted to a Worker.
//! A call holds its slot's read lock while it runs: a close on another thread waits for it,
//! and no descriptor is reused under a system call.
//!
//! Each call writes to a lock, so a slot has a cache line of its own: threads that work on
//! different handles do not wait for each other. For the same reason each thread keeps some
//! free slots for itself.
//!
//! A slot remembers the thread that opened its object, if the thread owns what it opens
//! ([`crate::owner`]): such handles end with their thread.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use crate::owner::{self, NOBODY, Owner};
use crate::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, process_state, thread_state};
use denio_poll::{
    Parker, PipeReader, PipeWriter, Poll, Registration, Registry, Socket, Source, TcpListener,
    TcpStream, UdpSocket, UnixListener, UnixStream, Waker,
};
#[cfg(target_os = "linux")]
use denio_proactor::{Held, HeldInbox};

/// A generation above a slot. 0 is no handle.
pub type Handle = u64;

/// Bits of a handle that are the slot: a million slots, Linux's `fs.nr_open`.
const SLOT_BITS: u32 = if cfg!(loom) { 5 } else { 20 };
const SLOTS_MAX: usize = 1 << SLOT_BITS;
const SLOT_MASK: Handle = (1 << SLOT_BITS) - 1;
/// No handle has generation 0, so handle 0 is none. No handle has the last generation
/// either: a slot that has reached it is used up.
const GENERATION_MAX: u32 = u32::MAX;
/// Slots are allocated in blocks, so that a small program stays small and no slot moves.
const BLOCK_SLOTS: usize = if cfg!(loom) { 4 } else { 1024 };
/// Free slots that a thread takes or gives back at a time.
const SPARE_SLOTS: usize = if cfg!(loom) { 1 } else { 64 };
/// The bit of a slot's owner that is set while its stream has last words. A field of its
/// own would take a second cache line.
const SPEAKS: Owner = 1 << 31;
/// How long a thread that ends waits for woken threads to leave its poll: 20 ms.
const UNSHARED_TRIES: usize = 20;
const UNSHARED_PAUSE: Duration = Duration::from_millis(1);

/// The object of a handle.
#[derive(Debug)]
pub enum Object {
    /// A selector with its registry. Shared, so that a thread can close the handle while
    /// another thread waits.
    Poll(Arc<Poll>),
    /// A cloned registry.
    Registry(Registry),
    /// A waker. Boxed, because it is larger than a stream, and streams are many.
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
    /// The place where a poll is parked.
    Parker(Parker),
    /// The reading end of a pipe.
    PipeReader(PipeReader),
    /// The writing end of a pipe.
    PipeWriter(PipeWriter),
    /// An open file.
    File(OwnedFd),
    /// A ring of operations. Shared, so that a thread can close the handle while another
    /// thread waits.
    #[cfg(target_os = "linux")]
    Proactor(Held),
    /// Completions for another thread than the proactor's.
    #[cfg(target_os = "linux")]
    Reaper(HeldInbox),
}

impl Object {
    /// Where a source is registered; `None` for an object that is no source.
    #[must_use]
    pub fn registration(&self) -> Option<&Registration> {
        match self {
            Self::Parker(_) | Self::File(_) => None,
            #[cfg(target_os = "linux")]
            Self::Proactor(_) | Self::Reaper(_) => None,
            Self::PipeReader(pipe) => Some(pipe.registration()),
            Self::PipeWriter(pipe) => Some(pipe.registration()),
            _ => Some(self.socket()?.registration()),
        }
    }

    /// The descriptor of a source or a file.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::File(file) => Some(file.as_fd()),
            _ => Some(self.registration()?.as_fd()),
        }
    }

    /// What sockets have in common; `None` for an object that is no socket.
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
    /// The owner, below [`SPEAKS`].
    owner: AtomicU32,
    object: Option<Object>,
}

/// A slot and the lock on it, in a cache line of 64 bytes.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(RwLock<Slot>);

const _: () = assert!(cfg!(loom) || size_of::<Line>() == 64);

/// Free slots that belong to no thread.
#[derive(Debug)]
struct Free {
    closed: Vec<u32>,
    never_used: u32,
}

type Block = Box<[Line]>;

type Blocks = [OnceLock<Block>; SLOTS_MAX / BLOCK_SLOTS];

process_state! {
    static BLOCKS: Blocks = [const { OnceLock::new() }; SLOTS_MAX / BLOCK_SLOTS];
    static FREE: Mutex<Free> = Mutex::new(Free { closed: Vec::new(), never_used: 0 });
    /// Held while a descriptor is adopted: two threads could both find it without an owner.
    static ADOPTING: Mutex<()> = Mutex::new(());
    /// What streams with last words send, the highest byte first.
    static LAST_WORDS: AtomicU32 = AtomicU32::new(0);
}

/// A thread's own free slots; the thread gives them back at its end.
struct Spare(Vec<u32>);

impl Drop for Spare {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            free().closed.append(&mut self.0);
        }
    }
}

thread_state! {
    static SPARE: RefCell<Spare> = RefCell::new(Spare(Vec::new()));
}

/// Runs `call` on the object of `handle`.
///
/// # Errors
///
/// `EBADF` when the handle is stale or was never given out, otherwise the error of `call`.
pub fn with<T>(handle: Handle, call: impl FnOnce(&Object) -> io::Result<T>) -> io::Result<T> {
    let slot = slot(index_of(handle)).ok_or_else(bad_handle)?;
    let slot = slot.read().unwrap_or_else(PoisonError::into_inner);
    match &slot.object {
        Some(object) if Handle::from(slot.generation) == handle >> SLOT_BITS => call(object),
        _ => Err(bad_handle()),
    }
}

/// An object that cannot be closed while this lives.
#[derive(Debug)]
pub struct Lent(RwLockReadGuard<'static, Slot>);

impl Lent {
    /// The object.
    #[must_use]
    pub fn object(&self) -> Option<&Object> {
        self.0.object.as_ref()
    }
}

/// Lends the object of `handle`. `may_wait` allows to wait for a thread that closes or opens
/// it: not while anything is lent, because two threads could wait for each other.
///
/// # Errors
///
/// `EBADF` when the handle is stale or was never given out; `EBUSY` when another thread closes
/// or opens it right now.
pub fn lend(handle: Handle, may_wait: bool) -> io::Result<Lent> {
    let slot = slot(index_of(handle)).ok_or_else(bad_handle)?;
    let slot = match slot.try_read() {
        Ok(slot) => slot,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) if may_wait => {
            slot.read().unwrap_or_else(PoisonError::into_inner)
        }
        Err(TryLockError::WouldBlock) => return Err(io::Error::from_raw_os_error(libc::EBUSY)),
    };
    let is_meant = Handle::from(slot.generation) == handle >> SLOT_BITS && slot.object.is_some();
    if is_meant { Ok(Lent(slot)) } else { Err(bad_handle()) }
}

/// Stores `object` and returns its handle.
///
/// # Errors
///
/// `ENFILE` when a million handles are open.
pub fn insert(object: Object) -> io::Result<Handle> {
    insert_with(|| Ok(object))
}

/// Stores the object that `make` makes of the open descriptor `fd`, unless a handle has the
/// descriptor already. Two owners would each close it, and the second would close another's.
///
/// # Errors
///
/// `EBUSY` when a source has it; `ENFILE` when a million handles are open; and the error of
/// `make`.
pub fn insert_adopted(fd: RawFd, make: impl FnOnce() -> io::Result<Object>) -> io::Result<Handle> {
    let _turn = ADOPTING.lock().unwrap_or_else(PoisonError::into_inner);
    if is_owned(fd) {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    insert_with(make)
}

/// Stores the object that `make` makes. `make` is called once there is a slot: a connection
/// that no handle could name is not accepted.
///
/// # Errors
///
/// As [`insert`], and the error of `make`.
pub fn insert_with(make: impl FnOnce() -> io::Result<Object>) -> io::Result<Handle> {
    let index = take_free().ok_or_else(|| io::Error::from_raw_os_error(libc::ENFILE))?;
    let lock = slot_or_allocate(index).ok_or_else(bad_handle)?;
    let object = make().inspect_err(|_| give_back(index))?;
    let mut slot = lock.write().unwrap_or_else(PoisonError::into_inner);
    slot.generation += 1;
    slot.owner = AtomicU32::new(owner::current());
    slot.object = Some(object);
    Ok(handle_of(index, slot.generation))
}

/// Whether a source has that descriptor: looks at every slot.
fn is_owned(fd: RawFd) -> bool {
    let never_used = free().never_used;
    (0..never_used).filter_map(slot).any(|slot| {
        let slot = slot.read().unwrap_or_else(PoisonError::into_inner);
        let descriptor = slot.object.as_ref().and_then(Object::descriptor);
        descriptor.is_some_and(|descriptor| descriptor.as_raw_fd() == fd)
    })
}

/// Ends `handle` and drops its object.
///
/// # Errors
///
/// `EBADF` when the handle is stale or was never given out.
pub fn remove(handle: Handle) -> io::Result<()> {
    take(handle).map(drop)
}

/// Ends `handle` and returns its object.
///
/// # Errors
///
/// `EBADF` when the handle is stale or was never given out.
pub fn take(handle: Handle) -> io::Result<Object> {
    let index = index_of(handle);
    let lock = slot(index).ok_or_else(bad_handle)?;
    let mut slot = lock.write().unwrap_or_else(PoisonError::into_inner);
    let generation = slot.generation;
    if Handle::from(generation) != handle >> SLOT_BITS {
        return Err(bad_handle());
    }
    let object = slot.object.take().ok_or_else(bad_handle)?;
    drop(slot);
    if generation < GENERATION_MAX - 1 {
        give_back(index);
    }
    Ok(object)
}

/// Lets a stream send four bytes, the highest of `words` first, when it ends with the thread
/// that opened it; 0 takes them back. All streams of the process have the same last words:
/// those that were given last.
///
/// # Errors
///
/// `EBADF` when the handle is stale or was never given out.
pub fn set_last_words(handle: Handle, words: u32) -> io::Result<()> {
    let lent = lend(handle, true)?;
    if words == 0 {
        lent.0.owner.fetch_and(!SPEAKS, Ordering::Relaxed);
    } else {
        LAST_WORDS.store(words, Ordering::Relaxed);
        lent.0.owner.fetch_or(SPEAKS, Ordering::Relaxed);
    }
    Ok(())
}

/// Sends a stream's last words, if it has some and its system has room for them.
fn speak_last(lent: &Lent) {
    if lent.0.owner.load(Ordering::Relaxed) & SPEAKS == 0 {
        return;
    }
    let words = LAST_WORDS.load(Ordering::Relaxed).to_be_bytes();
    // The peer may be gone.
    let _ = match lent.object() {
        Some(Object::TcpStream(stream)) => stream.write(&words),
        Some(Object::UnixStream(stream)) => stream.write(&words),
        _ => Ok(0),
    };
}

/// Makes this thread the owner of the handles that it opens from now on: they are closed
/// when the thread ends. Returns the thread's number, for [`remove_all`].
pub fn own_handles() -> Owner {
    owner::own(remove_all)
}

/// Closes the handles that `owner` has opened; also before that thread ends, when it runs
/// JavaScript that never returns. Handles that it opens afterwards close at its end.
///
/// Wakers go last, after they have ended the waits of other threads on the owner's polls:
/// such a wait would otherwise hold its poll, and its thread, until something is ready.
pub fn remove_all(owner: Owner) {
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
            // Another thread may have closed it by now.
            let _ = lend(handle, true).map(|lent| speak_last(&lent));
            let _ = remove(handle);
        }
    }
    polls.iter().for_each(await_unshared);
    for waker in wakers {
        let _ = remove(waker);
    }
}

/// Waits until no other thread is inside of `poll`, but not longer than 20 ms: the poll may
/// have no waker.
fn await_unshared(poll: &Arc<Poll>) {
    for _ in 0..UNSHARED_TRIES {
        if Arc::strong_count(poll) == 1 {
            return;
        }
        std::thread::sleep(UNSHARED_PAUSE);
    }
}

fn handles_of(owner: Owner) -> Vec<Handle> {
    if owner == NOBODY {
        return Vec::new();
    }
    let never_used = free().never_used;
    let handle = |index| {
        let slot = slot(index)?.read().unwrap_or_else(PoisonError::into_inner);
        let is_theirs = slot.owner.load(Ordering::Relaxed) & !SPEAKS == owner;
        (is_theirs && slot.object.is_some()).then_some(handle_of(index, slot.generation))
    };
    (0..never_used).filter_map(handle).collect()
}

/// The number of handles that are open in the whole process, for tests of leaks. Looks at
/// every slot.
#[must_use]
pub fn open_count() -> usize {
    let never_used = free().never_used;
    let is_open =
        |slot: &&RwLock<Slot>| slot.read().unwrap_or_else(PoisonError::into_inner).object.is_some();
    (0..never_used).filter_map(slot).filter(is_open).count()
}

fn index_of(handle: Handle) -> u32 {
    (handle & SLOT_MASK) as u32
}

fn handle_of(index: u32, generation: u32) -> Handle {
    Handle::from(generation) << SLOT_BITS | Handle::from(index)
}

fn bad_handle() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

fn free() -> MutexGuard<'static, Free> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a free slot, most often one of the thread's own.
fn take_free() -> Option<u32> {
    let taken = SPARE.try_with(|spare| {
        let Spare(spare) = &mut *spare.borrow_mut();
        if spare.is_empty() {
            free().lend(SPARE_SLOTS, spare);
        }
        spare.pop()
    });
    // At its end the thread has no slots of its own any more.
    taken.unwrap_or_else(|_| free().take())
}

fn give_back(index: u32) {
    let given = SPARE.try_with(|spare| {
        let Spare(spare) = &mut *spare.borrow_mut();
        spare.push(index);
        // A thread that closes handles of others must not gather all free slots.
        if spare.len() > 2 * SPARE_SLOTS {
            free().closed.extend(spare.drain(..SPARE_SLOTS));
        }
    });
    if given.is_err() {
        free().closed.push(index);
    }
}

impl Free {
    fn take(&mut self) -> Option<u32> {
        let closed = self.closed.pop();
        closed.or_else(|| {
            let is_left = (self.never_used as usize) < SLOTS_MAX;
            is_left.then(|| {
                self.never_used += 1;
                self.never_used - 1
            })
        })
    }

    fn lend(&mut self, count: usize, spare: &mut Vec<u32>) {
        spare.extend((0..count).map_while(|_| self.take()));
    }
}

fn slot(index: u32) -> Option<&'static RwLock<Slot>> {
    let index = index as usize;
    let line = BLOCKS.get(index / BLOCK_SLOTS)?.get()?.get(index % BLOCK_SLOTS)?;
    Some(&line.0)
}

fn slot_or_allocate(index: u32) -> Option<&'static RwLock<Slot>> {
    BLOCKS
        .get(index as usize / BLOCK_SLOTS)?
        .get_or_init(|| (0..BLOCK_SLOTS).map(|_| Line::default()).collect());
    slot(index)
}

#[cfg(test)]
#[cfg(loom)]
mod model;

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
    fn a_handle_is_good_until_it_is_removed() {
        let handle = insert(a_poll()).unwrap();
        assert!(handle < 1 << 52, "{handle}");
        with(handle, |_| Ok(())).unwrap();
        remove(handle).unwrap();
        assert_eq!(errno(with(handle, |_| Ok(()))), Some(libc::EBADF));
        assert_eq!(errno(remove(handle)), Some(libc::EBADF));
    }

    #[test]
    fn a_stale_handle_never_meets_the_next_owner_of_its_slot() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..5 * BLOCK_SLOTS {
            let handle = insert(a_poll()).unwrap();
            assert!(seen.insert(handle), "handle {handle} came back");
            remove(handle).unwrap();
        }
        for handle in seen {
            assert_eq!(errno(with(handle, |_| Ok(()))), Some(libc::EBADF));
        }
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_not_used_again() {
        // On a thread of its own, where the next slot is the one that was closed last.
        std::thread::spawn(|| {
            let handle = insert(a_poll()).unwrap();
            let index = index_of(handle);
            slot(index).unwrap().write().unwrap().generation = GENERATION_MAX - 2;
            remove(handle_of(index, GENERATION_MAX - 2)).unwrap();
            let last = insert(a_poll()).unwrap();
            assert_eq!(last, handle_of(index, GENERATION_MAX - 1));
            remove(last).unwrap();
            let next = insert(a_poll()).unwrap();
            assert_ne!(index_of(next), index);
            assert_eq!(errno(with(last, |_| Ok(()))), Some(libc::EBADF));
            remove(next).unwrap();
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_thread_that_closes_what_another_opens_gives_the_slots_back() {
        let never_used = || free().never_used as usize;
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let closer = std::thread::spawn(move || {
            receiver.into_iter().try_for_each(remove).unwrap();
        });
        let before = never_used();
        for _ in 0..8 * SPARE_SLOTS {
            sender.send(insert(a_poll()).unwrap()).unwrap();
        }
        drop(sender);
        closer.join().unwrap();
        // Other tests take slots, too, but none takes many at once.
        assert!(never_used() - before < 6 * SPARE_SLOTS, "{before} {}", never_used());
    }

    #[test]
    fn nothing_is_made_for_which_there_is_no_slot_and_a_failure_keeps_none() {
        std::thread::spawn(|| {
            let first = insert(a_poll()).unwrap();
            remove(first).unwrap();
            let failed = insert_with(|| Err(bad_handle()));
            assert_eq!(errno(failed), Some(libc::EBADF));
            let next = insert(a_poll()).unwrap();
            assert_eq!(index_of(next), index_of(first), "the slot was given back");
            remove(next).unwrap();
        })
        .join()
        .unwrap();
    }

    #[test]
    fn numbers_never_given_out_are_bad() {
        for handle in [0, 1, SLOT_MASK, u64::MAX, 1 << 52, 1 << SLOT_BITS | 999_999] {
            assert_eq!(errno(with(handle, |_| Ok(()))), Some(libc::EBADF), "{handle}");
            assert_eq!(errno(remove(handle)), Some(libc::EBADF), "{handle}");
        }
    }
}
