//! The buffers that the kernel receives into: a provided buffer ring.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use crate::answers::BUFFER_BYTES;

/// The group's number, of which there is one.
pub const GROUP: u16 = 0;

pub struct Buffers {
    /// The table, and the buffers behind it. Never unmapped: the kernel writes there.
    start: *mut u8,
    count: u16,
    /// The number of buffers that were ever given; the kernel sees it in the table.
    given: u16,
}

impl Buffers {
    /// Gives the kernel `count` buffers, a power of two.
    pub fn register(submitter: &Submitter<'_>, count: u16) -> io::Result<Self> {
        let length = usize::from(count) * (size_of::<BufRingEntry>() + BUFFER_BYTES);
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping wherever the kernel likes.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, access, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a page is what the table must begin, and nothing unmaps it.
        unsafe { submitter.register_buf_ring_with_flags(start as u64, count, GROUP, 0) }?;
        let mut buffers = Self { start: start.cast(), count, given: 0 };
        (0..count).for_each(|id| buffers.give(id));
        Ok(buffers)
    }

    /// Returns the bytes that were received into a buffer.
    pub fn bytes(&self, id: u16, length: usize) -> &[u8] {
        // SAFETY: the kernel has filled this part of a buffer, and leaves it alone until `give`,
        // which needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.place(id), length) }
    }

    /// Gives a buffer to the kernel.
    pub fn give(&mut self, id: u16) {
        let table = self.start.cast::<BufRingEntry>();
        // SAFETY: the table has `count` entries.
        let place = unsafe { table.add(usize::from(self.given % self.count)) };
        // SAFETY: the kernel reads no entry beyond those that the tail counts. A fresh mapping's
        // zeros are an entry.
        let entry = unsafe { &mut *place };
        entry.set_addr(self.place(id) as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(id);
        self.given = self.given.wrapping_add(1);
        // SAFETY: `table` is the first entry of a registered table.
        let tail = unsafe { BufRingEntry::tail(table) };
        // SAFETY: the kernel reads the tail, and only this writes it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.given, Ordering::Release);
    }

    fn place(&self, id: u16) -> *mut u8 {
        let table_bytes = usize::from(self.count) * size_of::<BufRingEntry>();
        // SAFETY: the kernel knows `count` buffers, and names no other.
        unsafe { self.start.add(table_bytes + usize::from(id) * BUFFER_BYTES) }
    }
}
