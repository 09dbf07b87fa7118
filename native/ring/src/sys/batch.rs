//! Receives and sends of many sockets, all ended by the system call that submits them.
//!
//! Each operation has `MSG_DONTWAIT`, so the kernel never queues it: it tries the operation
//! while it takes the entry from the queue, and notes success or `EAGAIN` at once
//! (`REQ_F_NOWAIT` in the kernel's `io_uring/net.c`). So no memory is used after the call.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{opcode, squeue, types};

use super::{Ring, RingOptions};

/// Operations of one system call. A process of this machine that receives for many sockets
/// falls asleep between two calls, and waking it costs more than sending to it: ten thousand
/// sends, 512 a call instead of 64, cost a sixth less. The queues take 44 KiB.
const OPERATIONS_MAX: u32 = 512;

/// As plain calls have it: see `sys/socket.rs` of `denio-poll`.
const RECEIVE_FLAGS: i32 = libc::MSG_DONTWAIT;
const SEND_FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// A ring for batches. Only the thread that has opened it can use it.
#[derive(Debug)]
pub struct BatchRing {
    ring: Ring,
}

impl BatchRing {
    /// The most operations of a batch.
    pub const OPERATIONS_MAX: usize = OPERATIONS_MAX as usize;

    /// Opens a ring.
    ///
    /// # Errors
    ///
    /// As [`Ring::new`].
    pub fn open() -> io::Result<Self> {
        let options = RingOptions {
            submissions: OPERATIONS_MAX,
            completions: OPERATIONS_MAX,
            is_single_issuer: true,
            ..RingOptions::default()
        };
        Ok(Self { ring: Ring::new(&options)? })
    }

    /// Receives from each socket into its room, in order, without waiting, and writes each
    /// result: a count, 0 for the end, or `-errno`. The number of receives is at most that
    /// of results, and [`Self::OPERATIONS_MAX`].
    ///
    /// Returns how many were made. When they are fewer, nothing has happened to the others,
    /// and the ring has failed: see [`Self::has_failed`].
    pub fn receive<'a>(
        &mut self,
        receives: impl Iterator<Item = (BorrowedFd<'a>, &'a mut [u8])>,
        results: &mut [i32],
    ) -> usize {
        let entry = |(socket, room): (BorrowedFd<'a>, &'a mut [u8])| {
            let length = u32::try_from(room.len()).unwrap_or(u32::MAX);
            opcode::Recv::new(types::Fd(socket.as_raw_fd()), room.as_mut_ptr(), length)
                .flags(RECEIVE_FLAGS)
                .build()
        };
        // SAFETY: the socket and the room are borrowed for longer than this call, and the
        // room by nobody else.
        unsafe { self.run(receives.map(entry), results) }
    }

    /// Sends bytes to each socket, in order, without waiting, and writes each result: a
    /// count or `-errno`. Otherwise as [`Self::receive`].
    pub fn send<'a>(
        &mut self,
        sends: impl Iterator<Item = (BorrowedFd<'a>, &'a [u8])>,
        results: &mut [i32],
    ) -> usize {
        let entry = |(socket, bytes): (BorrowedFd<'a>, &'a [u8])| {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            opcode::Send::new(types::Fd(socket.as_raw_fd()), bytes.as_ptr(), length)
                .flags(SEND_FLAGS)
                .build()
        };
        // SAFETY: the socket and the bytes are borrowed for longer than this call.
        unsafe { self.run(sends.map(entry), results) }
    }

    /// Whether the kernel has refused a call, for any reason. The ring makes no operation any
    /// more.
    pub fn has_failed(&mut self) -> bool {
        self.ring.unsubmitted() > 0
    }

    /// Makes the operations, and returns how many were made.
    ///
    /// # Safety
    ///
    /// Descriptors are open, and memory is as [`Ring::push`] wants it, until this returns.
    unsafe fn run(
        &mut self,
        entries: impl Iterator<Item = squeue::Entry>,
        results: &mut [i32],
    ) -> usize {
        // The memory of entries that are left is gone: they must never reach the kernel.
        if self.has_failed() {
            return 0;
        }
        let mut pushed = 0;
        for (number, entry) in (0..results.len() as u64).zip(entries) {
            // SAFETY: the caller's promise; `await_all` returns after the last completion.
            if !unsafe { self.ring.push(&entry.user_data(number)) } {
                break;
            }
            pushed += 1;
        }
        // When the kernel refuses the call, it has taken no entry: the queue tells how many
        // it took, and the caller does the others itself.
        let _ = self.ring.submit();
        let submitted = pushed - self.ring.unsubmitted();
        self.await_all(submitted, results);
        submitted
    }

    /// Takes the completions. They are there, as the head of this file explains; if a kernel
    /// should ever do it in another way, this waits: it must not give up their memory.
    fn await_all(&mut self, submitted: usize, results: &mut [i32]) {
        let mut ended = self.take(results);
        while ended < submitted {
            // An error changes nothing: the operations still have to end.
            let _ = self.ring.enter(submitted - ended, None);
            ended += self.take(results);
        }
    }

    fn take(&mut self, results: &mut [i32]) -> usize {
        self.ring.drain(|completion| {
            if let Some(result) = results.get_mut(completion.user_data() as usize) {
                *result = completion.result();
            }
        })
    }
}
