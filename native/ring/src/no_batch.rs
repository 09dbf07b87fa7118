//! What [`BatchRing`] is on systems without io_uring: none can be opened.

use std::io;
use std::os::fd::BorrowedFd;

/// A ring for batches: only Linux has one.
#[derive(Debug)]
pub enum BatchRing {}

impl BatchRing {
    /// The most operations of a batch.
    pub const OPERATIONS_MAX: usize = 0;

    /// Opens a ring.
    ///
    /// # Errors
    ///
    /// Always: this system has none.
    pub fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether it has failed.
    pub fn has_failed(&mut self) -> bool {
        match *self {}
    }

    /// Receives from each socket.
    pub fn receive<'a>(
        &mut self,
        _receives: impl Iterator<Item = (BorrowedFd<'a>, &'a mut [u8])>,
        _results: &mut [i32],
    ) -> usize {
        match *self {}
    }

    /// Sends bytes to each socket.
    pub fn send<'a>(
        &mut self,
        _sends: impl Iterator<Item = (BorrowedFd<'a>, &'a [u8])>,
        _results: &mut [i32],
    ) -> usize {
        match *self {}
    }
}
