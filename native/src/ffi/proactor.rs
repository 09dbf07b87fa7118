//! Operations and their completions: see `denio_proactor`.
//!
//! Systems without io_uring have the same functions, which answer `ENOSYS`.

use std::io;

use denio_proactor::{Code, Completion, Request};

use super::answer::{answer, answer_count, answer_handle, answer_unit, invalid};
use super::memory::{bytes, bytes_mut, items, items_mut, overlap, range_of};
use super::poll::timeout;
#[cfg(target_os = "linux")]
use super::proactor_linux as system;
#[cfg(not(target_os = "linux"))]
use super::proactor_none as system;

pub(super) use system::signal_of;

/// Numbers that [`denio_proactor_stats`] writes.
pub const PROACTOR_STATS: usize = 10;

/// Bytes of a request, for [`denio_proactor_submit`].
pub const REQUEST_BYTES: usize = 64;
const _: () = assert!(REQUEST_BYTES == size_of::<Request>());

/// Bytes of a completion, from [`denio_proactor_wait`].
pub const COMPLETION_BYTES: usize = 32;
const _: () = assert!(COMPLETION_BYTES == size_of::<Completion>());

/// Returns why the process has no io_uring, a number of [`denio_proactor::Refusal`], or 0.
#[unsafe(no_mangle)]
pub extern "C" fn denio_proactor_refusal() -> i32 {
    denio_proactor::refusal().map_or(0, |refusal| refusal as i32)
}

/// Returns the first Linux that has an operation: its major version times 1000, and its
/// minor version.
#[unsafe(no_mangle)]
pub extern "C" fn denio_proactor_least_kernel(code: u32) -> i32 {
    answer(Code::of(code).ok_or_else(invalid).map(|code| {
        let (major, minor) = code.least_kernel();
        i32::from(major) * 1000 + i32::from(minor)
    }))
}

/// Opens a proactor for `operations` at a time, with `buffers` of `buffer_bytes` that
/// operations receive into, and returns its handle. This thread owns it.
///
/// `batching`: 0 submits when the program waits, 1 also when `batching_value` operations are
/// staged, 2 also when the oldest was staged `batching_value` milliseconds ago.
/// `kernel_thread_idle_ms`: above 0, a thread of the kernel submits, and sleeps after so many
/// idle milliseconds.
#[unsafe(no_mangle)]
pub extern "C" fn denio_proactor_new(
    operations: u32,
    buffers: u32,
    buffer_bytes: u32,
    batching: u32,
    batching_value: f64,
    kernel_thread_idle_ms: u32,
) -> f64 {
    answer_handle(|| {
        let policy = (batching, batching_value);
        system::open(operations, buffers, buffer_bytes, policy, kernel_thread_idle_ms)
    })
}

/// Returns 1 when the kernel has an operation, otherwise 0.
#[unsafe(no_mangle)]
pub extern "C" fn denio_proactor_supports(proactor: f64, code: u32) -> i32 {
    answer(
        Code::of(code)
            .ok_or_else(invalid)
            .and_then(|code| Ok(system::supports(proactor, code)?.into())),
    )
}

/// Takes `count` operations, in order, and returns how many there was room for. Their bytes
/// are in `buffer`, their paths and addresses in `names`.
///
/// # Safety
///
/// `requests` is null, or aligned and readable for `count` requests, `buffer` null or readable
/// for `length` bytes, and `names` null or readable for `names_length`, until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_proactor_submit(
    proactor: f64,
    requests: *const Request,
    count: u32,
    buffer: *const u8,
    length: u32,
    names: *const u8,
    names_length: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let requests = unsafe { items(requests, count as usize) };
    // SAFETY: the caller's promise.
    let buffer = unsafe { bytes(buffer, 0, length) };
    // SAFETY: the caller's promise.
    let names = unsafe { bytes(names, 0, names_length) };
    let (Some(requests), Some(buffer), Some(names)) = (requests, buffer, names) else {
        return -libc::EFAULT;
    };
    answer_count(system::submit(proactor, requests, buffer, names))
}

/// Asks the operations with that token to end, or, with `by_source`, those on the source with
/// that handle. Returns how many were asked.
#[unsafe(no_mangle)]
pub extern "C" fn denio_proactor_cancel(proactor: f64, which: f64, by_source: u32) -> i32 {
    answer_count(system::cancel(proactor, which, by_source != 0))
}

/// Submits what is staged, without waiting.
#[unsafe(no_mangle)]
pub extern "C" fn denio_proactor_flush(proactor: f64) -> i32 {
    answer_unit(system::flush(proactor))
}

/// Submits what is staged, waits up to `timeout_ms` (negative: without limit) for a completion,
/// and writes those that are there, with their bytes. Returns how many.
///
/// # Safety
///
/// `completions` is null, or aligned and writable for `capacity` completions, `buffer` null or
/// writable for `length` bytes, until this returns. If they overlap, nothing is taken:
/// `EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_proactor_wait(
    proactor: f64,
    completions: *mut Completion,
    capacity: u32,
    buffer: *mut u8,
    length: u32,
    timeout_ms: i32,
) -> i32 {
    let wait = |completions: &mut [Completion], buffer: &mut [u8]| {
        system::wait(proactor, completions, buffer, timeout(timeout_ms))
    };
    // SAFETY: the caller's promise.
    unsafe { wait_into(completions, capacity, buffer, length, wait) }
}

/// Calls `wait` with the memory that a caller has lent for completions and their bytes.
///
/// # Safety
///
/// As [`denio_proactor_wait`].
unsafe fn wait_into(
    completions: *mut Completion,
    capacity: u32,
    buffer: *mut u8,
    length: u32,
    wait: impl FnOnce(&mut [Completion], &mut [u8]) -> io::Result<usize>,
) -> i32 {
    if overlap(&[range_of(buffer, length.into()), range_of(completions, capacity.into())]) {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise, and the two do not overlap.
    let completions = unsafe { items_mut(completions, capacity as usize) };
    // SAFETY: the caller's promise, and the two do not overlap.
    let buffer = unsafe { bytes_mut(buffer, 0, length) };
    let (Some(completions), Some(buffer)) = (completions, buffer) else { return -libc::EFAULT };
    answer_count(wait(completions, buffer))
}

/// Returns a descriptor that becomes readable when a completion comes while the proactor is
/// parked. The caller reads from it and closes it.
#[unsafe(no_mangle)]
pub extern "C" fn denio_proactor_descriptor(proactor: f64) -> i32 {
    answer(system::descriptor(proactor))
}

/// Submits what is staged, and makes completions signal the descriptor. Returns 1 when a
/// completion is there already, so that the caller must not sleep.
#[unsafe(no_mangle)]
pub extern "C" fn denio_proactor_park(proactor: f64) -> i32 {
    answer(system::park(proactor).map(i32::from))
}

/// Makes the descriptor of a parked proactor readable now.
#[unsafe(no_mangle)]
pub extern "C" fn denio_proactor_unpark(proactor: f64) -> i32 {
    answer_unit(system::unpark(proactor))
}

/// Writes [`PROACTOR_STATS`] counters: system calls, entries submitted, waits, completions,
/// places in flight, refusals, drain notices, wakes, places of the completion queue,
/// overflows.
///
/// # Safety
///
/// `out` is null, or aligned and writable for as many numbers until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_proactor_stats(proactor: f64, out: *mut f64) -> i32 {
    // SAFETY: the caller's promise.
    let Some(out) = (unsafe { items_mut(out, PROACTOR_STATS) }) else { return -libc::EFAULT };
    answer_unit(system::stats(proactor).map(|stats| {
        out.iter_mut().zip(stats).for_each(|(place, number)| *place = number as f64);
    }))
}

/// Opens a reaper of a proactor, for `operations` at a time, and returns its handle: it gets
/// completions on any thread.
#[unsafe(no_mangle)]
pub extern "C" fn denio_reaper_new(proactor: f64, operations: u32) -> f64 {
    answer_handle(|| system::reaper(proactor, operations))
}

/// Waits for completions of a reaper, as [`denio_proactor_wait`] for those of the owner.
///
/// # Safety
///
/// As [`denio_proactor_wait`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_reaper_wait(
    reaper: f64,
    completions: *mut Completion,
    capacity: u32,
    buffer: *mut u8,
    length: u32,
    timeout_ms: i32,
) -> i32 {
    let wait = |completions: &mut [Completion], buffer: &mut [u8]| {
        system::reap(reaper, completions, buffer, timeout(timeout_ms))
    };
    // SAFETY: the caller's promise.
    unsafe { wait_into(completions, capacity, buffer, length, wait) }
}

/// Returns a descriptor that becomes readable when a completion comes to a parked reaper. The
/// caller reads from it and closes it.
#[unsafe(no_mangle)]
pub extern "C" fn denio_reaper_descriptor(reaper: f64) -> i32 {
    answer(system::reaper_descriptor(reaper))
}

/// Makes completions signal the reaper's descriptor. Returns 1 when a completion is there
/// already.
#[unsafe(no_mangle)]
pub extern "C" fn denio_reaper_park(reaper: f64) -> i32 {
    answer(system::reaper_park(reaper).map(i32::from))
}

/// Makes the descriptor of a parked reaper readable now.
#[unsafe(no_mangle)]
pub extern "C" fn denio_reaper_unpark(reaper: f64) -> i32 {
    answer_unit(system::reaper_unpark(reaper))
}
