//! Runs: several streams that one system call reads or writes, through a ring.
//!
//! Each thread has a ring of its own, opened for its first batch that is large enough. Where
//! the system allows none, or after the ring has failed, the thread makes a call for each
//! stream, for good; the results are the same.
//!
//! A run holds the locks of its streams' slots, so that no descriptor is closed and used
//! again under the system call. Only TCP streams are in a run: reading a Unix stream must
//! also drop descriptors that the peer sends along.
//!
//! How many bytes a stream has is not known before it is read. So each stream is received
//! into a slot of native memory, and copied behind the bytes of the last. A thread that reads
//! batches has 66 KiB of slots.

use std::cell::RefCell;
use std::io;
use std::iter::zip;
use std::os::fd::{AsFd, BorrowedFd};

use denio_poll::{Source, TcpStream};
use denio_ring::BatchRing;

use super::answer::answer_count;
use super::batch::{StreamRead, StreamWrite};
use super::handle::decode;
use crate::source_table::{Lent, Object, lend};

/// With fewer streams, a call for each costs less.
const RUN_MIN: usize = 8;

/// Room for the requests of most browsers. A stream with more bytes is read on by a call of
/// its own.
const SLOT_BYTES: usize = 2048;

/// Bytes from one slot to the next. At a distance of a power of two, the first bytes of all
/// slots would share one set of the first-level cache.
const SLOT_STRIDE: usize = SLOT_BYTES + 64;

/// As many as fill the reactor's read buffer, 64 KiB.
const SLOTS: usize = 32;

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::Untried) };
}

enum State {
    Untried,
    Ring(Box<Runs>),
    /// The system or the program allows no ring, or it has failed.
    Plain,
}

/// A thread's ring, and the memory that its runs use.
struct Runs {
    ring: BatchRing,
    /// The streams of a run; empty between runs.
    held: Vec<Lent>,
    slots: Vec<u8>,
    results: [i32; BatchRing::OPERATIONS_MAX],
}

/// Reads streams from the beginning of `reads` on, and lays their bytes one behind the other
/// into `room`, which has at least `room_min` bytes. Stops before a stream for which less
/// could be left.
///
/// Returns how many streams were read, and how many bytes. No stream is read when the
/// first ones must be read by calls of their own.
pub fn read(reads: &mut [StreamRead], room: &mut [u8], room_min: usize) -> (usize, usize) {
    if reads.len() < RUN_MIN {
        return (0, 0);
    }
    with_runs(|runs| runs.read(reads, room, room_min))
}

/// Writes to streams from the beginning of `writes` on, each its part of `buffer`.
///
/// Returns to how many. To none when the first ones must be written to by calls of their
/// own.
pub fn write(writes: &mut [StreamWrite], buffer: &[u8]) -> usize {
    if writes.len() < RUN_MIN {
        return 0;
    }
    with_runs(|runs| runs.write(writes, buffer))
}

/// Lets this thread's batches go through a ring where the system has one, or not. Returns
/// whether they do now.
pub fn use_ring(uses: bool) -> bool {
    let set = |state: &RefCell<State>| {
        let state = &mut *state.borrow_mut();
        *state = if uses { State::Untried } else { State::Plain };
        state.runs().is_some()
    };
    STATE.try_with(set).unwrap_or(false)
}

/// Calls with this thread's ring, when it has one.
fn with_runs<T: Default>(call: impl FnOnce(&mut Runs) -> T) -> T {
    let call = |state: &RefCell<State>| {
        let state = &mut *state.borrow_mut();
        let Some(runs) = state.runs() else { return T::default() };
        let done = call(runs);
        if runs.ring.has_failed() {
            *state = State::Plain;
        }
        done
    };
    // There is no state any more at the thread's end.
    STATE.try_with(call).unwrap_or_default()
}

impl State {
    fn runs(&mut self) -> Option<&mut Runs> {
        if matches!(self, Self::Untried) {
            let opened = BatchRing::open();
            *self = opened.map_or(Self::Plain, |ring| Self::Ring(Box::new(Runs::new(ring))));
        }
        match self {
            Self::Ring(runs) => Some(runs),
            _ => None,
        }
    }
}

impl Runs {
    fn new(ring: BatchRing) -> Self {
        let results = [0; BatchRing::OPERATIONS_MAX];
        Self { ring, held: Vec::new(), slots: vec![0; SLOTS * SLOT_STRIDE], results }
    }

    fn read(
        &mut self,
        reads: &mut [StreamRead],
        room: &mut [u8],
        room_min: usize,
    ) -> (usize, usize) {
        // As many as have room also when all streams before them fill their slots.
        let before_last = room.len().saturating_sub(room_min) / SLOT_BYTES;
        let most = SLOTS.min(before_last + 1).min(room.len() / SLOT_BYTES);
        let handles = reads.iter().map(|read| read.stream);
        let by_call = |stream: &TcpStream| !stream.is_read_ahead();
        let Some(run) = Run::hold(&mut self.held, handles.take(most), by_call) else {
            return (0, 0);
        };
        let results = self.results.get_mut(..run.len()).unwrap_or_default();
        let made = self.ring.receive(zip(run.sockets(), slots(&mut self.slots)), results);
        let mut at = 0;
        let received = zip(zip(run.streams(), reads), zip(results, slots(&mut self.slots)));
        for ((stream, read), (result, slot)) in received.take(made) {
            let count = if is_of_ring(*result) {
                stream.read(slot)
            } else {
                stream.note_read(SLOT_BYTES, outcome(*result))
            };
            read.room = SLOT_BYTES as u32;
            read.result = answer_count(count);
            at += copy(slot, read.result, room.get_mut(at..).unwrap_or_default());
        }
        (made, at)
    }

    fn write(&mut self, writes: &mut [StreamWrite], buffer: &[u8]) -> usize {
        let inside = writes.iter().take_while(|write| write.bytes(buffer).is_some());
        let handles = inside.map(|write| write.stream).take(BatchRing::OPERATIONS_MAX);
        let Some(run) = Run::hold(&mut self.held, handles, |_| true) else { return 0 };
        let results = self.results.get_mut(..run.len()).unwrap_or_default();
        let parts = writes.iter().filter_map(|write| write.bytes(buffer));
        let made = self.ring.send(zip(run.sockets(), parts), results);
        let sent = zip(zip(run.streams(), writes), results);
        for ((stream, write), result) in sent.take(made) {
            let bytes = write.bytes(buffer).unwrap_or_default();
            let count = if is_of_ring(*result) {
                stream.write(bytes)
            } else {
                stream.note_write(bytes.len(), outcome(*result))
            };
            write.result = answer_count(count);
        }
        made
    }
}

/// The streams of one system call: they stay open while it lives.
struct Run<'a> {
    held: &'a mut Vec<Lent>,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.held.clear();
    }
}

impl<'a> Run<'a> {
    /// Holds streams up to the first that is not TCP, or not `fit`, or closed, or about to be
    /// closed by another thread. `None` when they are too few.
    fn hold(
        held: &'a mut Vec<Lent>,
        handles: impl Iterator<Item = f64>,
        fit: impl Fn(&TcpStream) -> bool,
    ) -> Option<Self> {
        let run = Self { held };
        let is_fit = |held: &Lent| tcp(held).is_some_and(&fit);
        run.held
            .extend(handles.map_while(|handle| lend(decode(handle), false).ok().filter(is_fit)));
        (run.len() >= RUN_MIN).then_some(run)
    }

    fn len(&self) -> usize {
        self.held.len()
    }

    fn streams(&self) -> impl Iterator<Item = &TcpStream> {
        self.held.iter().filter_map(tcp)
    }

    fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.streams().map(|stream| stream.registration().as_fd())
    }
}

fn tcp(held: &Lent) -> Option<&TcpStream> {
    match held.object() {
        Some(Object::TcpStream(stream)) => Some(stream),
        _ => None,
    }
}

fn slots(memory: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    memory.chunks_exact_mut(SLOT_STRIDE).filter_map(|slot| slot.get_mut(..SLOT_BYTES))
}

/// Copies the first `count` bytes of a slot, none if it is negative, and returns how many.
fn copy(slot: &[u8], count: i32, room: &mut [u8]) -> usize {
    let bytes = slot.get(..count.max(0) as usize).unwrap_or_default();
    if let Some(place) = room.get_mut(..bytes.len()) {
        place.copy_from_slice(bytes);
    }
    bytes.len()
}

/// Whether the kernel has not tried the operation, for a reason that plain calls do not have.
fn is_of_ring(result: i32) -> bool {
    matches!(-result, libc::EINTR | libc::ENOMEM | libc::ECANCELED)
}

fn outcome(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}
