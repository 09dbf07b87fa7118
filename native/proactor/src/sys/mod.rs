//! The only code of this crate that gives memory and descriptors to the kernel.
//!
//! An operation's memory is a [`Room`], which lies in the driver's flights from before the
//! operation is submitted until its last completion. A descriptor is lent by a [`Sources`],
//! from before its entry is pushed until the kernel has taken the entry: from then on the
//! kernel itself holds the open file. Operations that the kernel hands to threads of its own
//! have descriptors of their own, since such a thread looks the number up later.

#![allow(unsafe_code)]

mod driver;
mod eventfd;
mod flight;
mod grave;
mod room;

pub use driver::{Driver, Landing, Origin};
pub use eventfd::EventFd;
pub use flight::{Action, Flight, Flights, STAT_BYTES, kernel_code};
pub use grave::buried;
pub use room::Room;

use std::os::fd::{OwnedFd, RawFd};

/// What a source is, as far as operations need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TCP socket.
    Tcp,
    /// A Unix socket.
    Unix,
    /// A file.
    File,
    /// Another source, as a pipe.
    Other,
}

/// Why a source is not lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlent {
    /// Another thread changes it right now. Give back what was lent, and ask again.
    Busy,
    /// This `errno`.
    Bad(i32),
}

/// The table of sources: finds descriptors by handles.
///
/// # Safety
///
/// A descriptor that was lent stays open, and the same open file, until `give_back`.
pub unsafe trait Sources {
    /// Lends the descriptor of a source. Must not wait for another thread while anything is
    /// lent: that thread may wait for what is lent.
    ///
    /// # Errors
    ///
    /// Why there is none; never [`Unlent::Busy`] when nothing is lent.
    fn lend(&mut self, handle: u64) -> Result<(RawFd, Kind), Unlent>;

    /// Takes all back that was lent.
    fn give_back(&mut self);

    /// Takes a source out of the table. Nothing is lent. A file's descriptor is returned,
    /// for the kernel to close; of others the end is at once.
    ///
    /// # Errors
    ///
    /// `EBADF` when there is none.
    fn remove(&mut self, handle: u64) -> Result<Option<OwnedFd>, i32>;
}

/// The bytes of an address, as system calls take it.
pub fn address_bytes(address: &socket2::SockAddr) -> &[u8] {
    let (start, length) = (address.as_ptr().cast(), address.len() as usize);
    // SAFETY: the address has that many bytes, all with a value.
    unsafe { std::slice::from_raw_parts(start, length) }
}
