//! Notifies a registration of what an operation left to read or write.
//!
//! Backends that only see levels learn it here, and nowhere else. The others learn
//! it from the kernel, and an operation costs them one load of a number.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::Registration;

impl Registration {
    /// Accepts. Another connection may wait already, or come later.
    #[inline]
    pub(super) fn take<T>(
        &self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let taken = call(self.as_fd());
        if may_become_ready(&taken) {
            self.taken();
        }
        taken
    }

    /// Reads a stream into `length` bytes; a result of 0 is its end.
    #[inline(always)]
    pub(super) fn read_stream(
        &self,
        length: usize,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if length == 0 {
            // With nothing to read, Linux says `EAGAIN` to this and FreeBSD 0.
            return Ok(0);
        }
        let read = call(self.as_fd());
        match read {
            Ok(0) => self.ended(),
            _ if may_become_ready(&read) => self.taken(),
            _ => {}
        }
        read
    }

    /// Writes `length` bytes, or as many as fit.
    #[inline(always)]
    pub(super) fn write_stream(
        &self,
        length: usize,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let written = call(self.as_fd());
        match &written {
            Ok(count) if *count == length => {}
            _ if may_become_ready(&written) => self.filled(),
            _ => {}
        }
        written
    }

    /// Reads and leaves the bytes.
    #[inline]
    pub(super) fn peek_with<T>(
        &self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let peeked = call(self.as_fd());
        if would_block(&peeked) {
            self.taken();
        }
        peeked
    }

    /// Receives a datagram. An error that an earlier datagram left is taken like a
    /// datagram, and the socket goes on.
    #[inline]
    pub(super) fn receive<T>(
        &self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let received = call(self.as_fd());
        self.taken();
        received
    }

    /// Receives and leaves the datagram, but takes an error.
    #[inline]
    pub(super) fn peek_datagram<T>(
        &self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let peeked = call(self.as_fd());
        if peeked.is_err() {
            self.taken();
        }
        peeked
    }

    /// Sends a datagram, whole or not at all, or takes an error as receiving does.
    #[inline]
    pub(super) fn send_datagram(
        &self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let sent = call(self.as_fd());
        match &sent {
            Ok(_) => {}
            _ if would_block(&sent) => self.filled(),
            Err(_) => self.taken(),
        }
        sent
    }
}

/// Whether readiness may come again after this result: not after an error that
/// lasts.
fn may_become_ready<T>(result: &io::Result<T>) -> bool {
    result.is_ok() || would_block(result)
}

fn would_block<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
