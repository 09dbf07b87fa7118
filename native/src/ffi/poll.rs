//! Waiting, registering and waking.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::answer::{answer, answer_count, answer_handle, answer_unit, if_interrupted, invalid};
use super::handle::with;
use super::memory::items_mut;
use crate::source_table::Object;
use denio_poll::{Backend, Event, Interest, Mode, Poll, Registry, Source, Token, Waker};

/// Words before the events of [`denio_poll_wait`]: seconds and nanoseconds of
/// a clock that never goes back, read after the wait.
pub const CLOCK_WORDS: usize = 2;

/// Opens a poll and returns its handle. `backend`: 0 for the system's best, otherwise a
/// number of [`Backend`]; `ENOTSUP` when this system has not got it.
#[unsafe(no_mangle)]
pub extern "C" fn denio_poll_new(backend: u32) -> f64 {
    // Before another thread can park in this library.
    denio_poll::keep_loaded();
    answer_handle(|| Ok(Object::Poll(Arc::new(open(backend)?))))
}

fn open(backend: u32) -> io::Result<Poll> {
    if backend == 0 {
        return Poll::new();
    }
    let known = Backend::ALL.into_iter().find(|known| *known as u32 == backend);
    Poll::with_backend(known.ok_or_else(invalid)?)
}

/// Returns the backend of a poll.
#[unsafe(no_mangle)]
pub extern "C" fn denio_poll_backend(poll: f64) -> i32 {
    answer(shared_poll(poll).map(|poll| poll.backend() as i32))
}

/// Returns the backends of this system: bit `1 << n` for backend `n`.
#[unsafe(no_mangle)]
pub extern "C" fn denio_poll_backends() -> i32 {
    Backend::available().iter().fold(0, |bits, backend| bits | 1 << *backend as u32)
}

/// Returns why this system lacks a backend: a number of `Refusal` of `denio-ring`, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn denio_backend_refusal(backend: u32) -> i32 {
    let known = Backend::ALL.into_iter().find(|known| *known as u32 == backend);
    answer(known.map(|backend| backend.refusal() as i32).ok_or_else(invalid))
}

/// Returns how many bytes of memory take what was read ahead of the program.
#[unsafe(no_mangle)]
pub extern "C" fn denio_poll_held_bytes(poll: f64) -> i32 {
    answer_count(with(poll, |object| match object {
        Object::Poll(poll) => Ok(poll.held_bytes()),
        _ => Err(invalid()),
    }))
}

/// Returns 1 when sources can be registered for this interest in this mode, otherwise 0.
#[unsafe(no_mangle)]
pub extern "C" fn denio_poll_supports(poll: f64, interest: u32, mode: u32) -> i32 {
    let asked =
        Interest::from_bits(interest).and_then(|interest| Ok((interest, Mode::from_bits(mode)?)));
    let supports =
        asked.and_then(|(interest, mode)| Ok(shared_poll(poll)?.supports(interest, mode)));
    answer(supports.map(i32::from))
}

/// Waits up to `timeout_ms` (negative: without limit), writes the clock and the events.
///
/// Returns the number of events written, or `-errno`. An interrupted wait is
/// zero events: `EINTR` never reaches JavaScript.
///
/// # Safety
///
/// `events` is null, or four-byte aligned and writable for [`CLOCK_WORDS`] and
/// `capacity` events until this returns. Any `poll` is allowed: an unknown
/// handle is `-EBADF`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_poll_wait(
    poll: f64,
    events: *mut u32,
    capacity: u32,
    timeout_ms: i32,
) -> i32 {
    let words = CLOCK_WORDS + 2 * (capacity as usize).min(denio_poll::BATCH_MAX);
    // SAFETY: the caller's promise; `words` is no more than it spoke of.
    let Some(words) = (unsafe { items_mut(events, words) }) else { return -libc::EFAULT };
    let (clock, events) = words.split_at_mut(CLOCK_WORDS);
    // SAFETY: an event is two u32 words without padding, of the same
    // alignment, and any bits are an event.
    let (_, events, _) = unsafe { events.align_to_mut::<Event>() };
    let ready = wait(poll, events, timeout_ms);
    let now = denio_poll::monotonic_time();
    for (word, part) in clock.iter_mut().zip([now.as_secs() as u32, now.subsec_nanos()]) {
        *word = part;
    }
    answer_count(ready)
}

fn wait(poll: f64, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
    // The wait does not hold the handle: another thread must be able to close it.
    let ready = shared_poll(poll)?.poll(events, timeout(timeout_ms));
    if_interrupted(ready, 0)
}

/// Waits like [`denio_poll_wait`] but takes no event, and returns 1 when there is one.
/// Another thread may call it: it touches no buffer.
#[unsafe(no_mangle)]
pub extern "C" fn denio_poll_park(poll: f64, timeout_ms: i32) -> i32 {
    let ready = shared_poll(poll).and_then(|poll| {
        poll.begin_park();
        poll.park(timeout(timeout_ms))
    });
    answer(if_interrupted(ready, false).map(i32::from))
}

/// Waits up to `timeout_ms`, a second at most, until the number of calls of
/// [`denio_poll_park`] that have begun differs from `begun`, and returns that number. A
/// call that needs a thread begins when a thread is free.
#[unsafe(no_mangle)]
pub extern "C" fn denio_poll_await_park(poll: f64, begun: i32, timeout_ms: i32) -> i32 {
    let timeout = Duration::from_millis(timeout_ms.clamp(0, 1_000).unsigned_abs().into());
    answer(shared_poll(poll).map(|poll| poll.await_park(begun, timeout)))
}

/// Returns a new handle for the registry of a poll, or of another registry.
#[unsafe(no_mangle)]
pub extern "C" fn denio_registry_try_clone(registry: f64) -> f64 {
    answer_handle(|| with_registry(registry, Registry::try_clone).map(Object::Registry))
}

/// Registers a source. `registry` is a poll's handle or a cloned registry's;
/// `mode`: 0 edge, 1 level, 2 one-shot, and 4 more for exclusive; 8 is edge, and lets the poll
/// read ahead of the program when the source is a TCP stream.
#[unsafe(no_mangle)]
pub extern "C" fn denio_registry_register(
    registry: f64,
    source: f64,
    token: u32,
    interest: u32,
    mode: u32,
) -> i32 {
    answer_unit(with_registration(registry, source, |registry, source, is_tcp| {
        let (interest, mode) = (Interest::from_bits(interest)?, Mode::from_bits(mode)?);
        let mode = if mode.reads_ahead() && !is_tcp { Mode::EDGE } else { mode };
        registry.register_with(source, Token(token), interest, mode)
    }))
}

/// Replaces a source's token, interest and mode; it fires again when ready now.
#[unsafe(no_mangle)]
pub extern "C" fn denio_registry_reregister(
    registry: f64,
    source: f64,
    token: u32,
    interest: u32,
    mode: u32,
) -> i32 {
    answer_unit(with_registration(registry, source, |registry, source, _| {
        let (interest, mode) = (Interest::from_bits(interest)?, Mode::from_bits(mode)?);
        registry.reregister_with(source, Token(token), interest, mode)
    }))
}

/// Stops the events of a source.
#[unsafe(no_mangle)]
pub extern "C" fn denio_registry_deregister(registry: f64, source: f64) -> i32 {
    answer_unit(with_registration(registry, source, |registry, source, _| {
        registry.deregister(source)
    }))
}

/// Opens the waker of a poll and returns its handle.
#[unsafe(no_mangle)]
pub extern "C" fn denio_waker_new(registry: f64, token: u32) -> f64 {
    answer_handle(|| {
        let waker = with_registry(registry, |registry| Waker::new(registry, Token(token)))?;
        Ok(Object::Waker(Box::new(waker)))
    })
}

/// Ends the wait of the waker's poll.
#[unsafe(no_mangle)]
pub extern "C" fn denio_waker_wake(waker: f64) -> i32 {
    answer_unit(with(waker, |object| match object {
        Object::Waker(waker) => waker.wake(),
        _ => Err(invalid()),
    }))
}

pub(super) fn timeout(timeout_ms: i32) -> Option<Duration> {
    u64::try_from(timeout_ms).ok().map(Duration::from_millis)
}

pub(super) fn shared_poll(handle: f64) -> io::Result<Arc<Poll>> {
    with(handle, |object| match object {
        Object::Poll(poll) => Ok(Arc::clone(poll)),
        _ => Err(invalid()),
    })
}

fn with_registry<T>(handle: f64, call: impl FnOnce(&Registry) -> io::Result<T>) -> io::Result<T> {
    with(handle, |object| match object {
        Object::Poll(poll) => call(poll.registry()),
        Object::Registry(registry) => call(registry),
        _ => Err(invalid()),
    })
}

/// A source of any type.
struct AnySource<'o>(&'o denio_poll::Registration);

impl Source for AnySource<'_> {
    fn registration(&self) -> &denio_poll::Registration {
        self.0
    }
}

fn with_registration(
    registry: f64,
    source: f64,
    call: impl FnOnce(&Registry, &AnySource<'_>, bool) -> io::Result<()>,
) -> io::Result<()> {
    // One handle at a time: two read locks on one slot could wait for a writer that waits for
    // the first lock.
    let registry = with_registry(registry, Registry::try_clone)?;
    with(source, |object| {
        let registration = object.registration().ok_or_else(invalid)?;
        call(&registry, &AnySource(registration), matches!(object, Object::TcpStream(_)))
    })
}
