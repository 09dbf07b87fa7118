//! Waits for a poll or a proactor without holding an event loop: see [`Parker`].

use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};

use super::answer::{answer_unit, invalid};
use super::handle::{encode, with};
use super::memory::items_mut;
use super::poll::{shared_poll, timeout};
use crate::source_table::{self, Object};
use denio_poll::Parker;

/// Opens a place where a poll or a proactor is parked, and writes its handle and a descriptor that
/// becomes readable when a wait is over: of a Unix socket, or, with `by_kernel`, of an
/// eventfd. The caller reads from the descriptor and closes it. A proactor has an eventfd of
/// its own, and must be parked by `denio_proactor_park` as well.
///
/// # Safety
///
/// `out` is null, or aligned and writable for two numbers until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_parker_new(waiter: f64, by_kernel: i32, out: *mut f64) -> i32 {
    // SAFETY: the caller's promise.
    let Some(out) = (unsafe { items_mut(out, 2) }) else { return -libc::EFAULT };
    answer_unit(open(waiter, by_kernel != 0).and_then(|(parker, descriptor)| {
        let handle = source_table::insert(Object::Parker(parker))?;
        let numbers = [encode(handle), descriptor.into_raw_fd().into()];
        out.iter_mut().zip(numbers).for_each(|(place, number)| *place = number);
        Ok(())
    }))
}

fn open(waiter: f64, by_kernel: bool) -> io::Result<(Parker, OwnedFd)> {
    match shared_poll(waiter) {
        Ok(poll) if by_kernel => Parker::by_kernel(&poll),
        Ok(poll) => Parker::new(poll),
        Err(_) => Parker::watching(super::proactor::signal_of(waiter)?),
    }
}

/// Makes the descriptor readable when something is ready, or after `timeout_ms`
/// (negative: without limit). Takes no event; replaces an earlier wait.
#[unsafe(no_mangle)]
pub extern "C" fn denio_parker_park(parker: f64, timeout_ms: i32) -> i32 {
    answer_unit(with_parker(parker, |parker| parker.park(timeout(timeout_ms))))
}

/// Makes the descriptor readable now.
#[unsafe(no_mangle)]
pub extern "C" fn denio_parker_wake(parker: f64) -> i32 {
    answer_unit(with_parker(parker, |parker| {
        parker.wake();
        Ok(())
    }))
}

fn with_parker(parker: f64, call: impl FnOnce(&Parker) -> io::Result<()>) -> io::Result<()> {
    with(parker, |object| match object {
        Object::Parker(parker) => call(parker),
        _ => Err(invalid()),
    })
}
