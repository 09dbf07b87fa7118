//! Buffers that the kernel takes from a ring of their own when bytes come: nobody has to say
//! before which operation will need one (`io_uring_register_buf_ring(3)`).

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use super::Ring;

/// The kernel's limit.
const COUNT_MAX: u16 = 1 << 15;

/// A group of buffers. The kernel takes one for each completion that has bytes; the program
/// reads it and gives it back.
///
/// Whoever drops it must know that the ring has ended: see [`Ring::end_signal`].
#[derive(Debug)]
pub struct Buffers {
    /// The entries, which the kernel reads; its tail lies in the first one.
    entries: Mapping,
    /// The buffers, one behind the other.
    memory: Mapping,
    /// Whether the program has the buffer, so that the kernel does not write to it.
    held: Box<[bool]>,
    buffer_bytes: u32,
    tail: u16,
    free: usize,
}

impl Buffers {
    /// Registers `count` buffers, a power of two, of `buffer_bytes` each, as group `group`.
    ///
    /// # Errors
    ///
    /// `EINVAL` when `count` is no power of two up to 32,768; `ENOMEM`; `EEXIST` when the
    /// ring has that group.
    pub fn new(ring: &Ring, group: u16, count: u16, buffer_bytes: u32) -> io::Result<Self> {
        if !count.is_power_of_two() || count > COUNT_MAX || buffer_bytes == 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let entries = Mapping::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let memory = Mapping::new(usize::from(count) * buffer_bytes as usize)?;
        let mut buffers = Self {
            held: vec![true; count.into()].into(),
            entries,
            memory,
            buffer_bytes,
            tail: 0,
            free: 0,
        };
        for id in 0..count {
            buffers.give_back(id);
        }
        let start = buffers.entries.start.addr().get() as u64;
        // SAFETY: the memory has `count` entries, and is unmapped after the ring's end: the
        // owner's promise.
        unsafe { ring.submitter().register_buf_ring_with_flags(start, count, group, 0) }?;
        Ok(buffers)
    }

    /// How many buffers the kernel may take.
    #[must_use]
    pub const fn free(&self) -> usize {
        self.free
    }

    /// Notes that a completion has brought buffer `id`: the program has it from then on.
    pub fn take(&mut self, id: u16) {
        if let Some(held) = self.held.get_mut(usize::from(id)) {
            self.free -= usize::from(!*held);
            *held = true;
        }
    }

    /// The first `length` bytes of a buffer that the program has; empty otherwise.
    #[must_use]
    pub fn bytes(&self, id: u16, length: usize) -> &[u8] {
        if self.held.get(usize::from(id)) != Some(&true) {
            return &[];
        }
        let offset = usize::from(id) * self.buffer_bytes as usize;
        // SAFETY: the id is below the count, so the buffer lies inside of the memory.
        let start = unsafe { self.memory.start.add(offset) };
        let length = length.min(self.buffer_bytes as usize);
        // SAFETY: the kernel has given the buffer away, so nobody writes to it, and its memory
        // was mapped as zeroes.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), length) }
    }

    /// Gives a buffer back to the kernel, which may write to it from then on.
    pub fn give_back(&mut self, id: u16) {
        let count = self.held.len() as u16;
        let Some(held) = self.held.get_mut(usize::from(id)).filter(|held| **held) else { return };
        *held = false;
        self.free += 1;
        let first = self.entries.start.cast::<BufRingEntry>();
        // SAFETY: the place is below the count of entries.
        let entry = unsafe { first.add((self.tail & (count - 1)).into()) };
        let offset = usize::from(id) * self.buffer_bytes as usize;
        // SAFETY: mapped as zeroes, aligned to a page, and the kernel reads no entry from the
        // tail on. The tail itself lies in a part of the first entry that is not written here.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr((self.memory.start.addr().get() + offset) as u64);
        entry.set_len(self.buffer_bytes);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: it is the first entry of the ring.
        let tail = unsafe { BufRingEntry::tail(first.as_ptr()) };
        // SAFETY: it is mapped and aligned, and the program writes it only here.
        let tail = unsafe { &*tail.cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

/// Memory that a child process does not get: the kernel keeps its pages, and a copy of them
/// would show the child what comes for the parent.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: it is plain memory.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(length: usize) -> io::Result<Self> {
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: the kernel chooses an address that nothing has.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, access, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was mapped just now.
        let advised = unsafe { libc::madvise(start, length, libc::MADV_DONTFORK) };
        let start = NonNull::new(start.cast()).ok_or(io::Error::from_raw_os_error(libc::ENOMEM))?;
        let mapping = Self { start, length };
        if advised == 0 { Ok(mapping) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with that length, and nothing refers to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use io_uring::{cqueue, opcode, types};

    use super::*;
    use crate::RingOptions;

    #[test]
    fn each_completion_takes_a_buffer_and_without_any_the_operation_ends() {
        let options = RingOptions { is_single_issuer: true, ..Default::default() };
        let mut ring = Ring::new(&options).unwrap();
        let mut buffers = Buffers::new(&ring, 3, 2, 4).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"onetwothree").unwrap();
        let entry = opcode::RecvMulti::new(types::Fd(ours.as_raw_fd()), 3).build();
        // SAFETY: the buffers outlive the ring, and the stream the operation.
        assert!(unsafe { ring.push(&entry) });
        let mut read = Vec::new();
        let mut last = None;
        while last.is_none() {
            ring.enter(1, None).unwrap();
            while let Some(entry) = ring.pop() {
                if let Some(id) = cqueue::buffer_select(entry.flags()) {
                    assert!(buffers.bytes(id, 4).is_empty(), "the kernel has it");
                    buffers.take(id);
                    read.extend_from_slice(buffers.bytes(id, entry.result() as usize));
                }
                if !cqueue::more(entry.flags()) {
                    last = Some(entry.result());
                }
            }
        }
        assert_eq!((read.as_slice(), last), (&b"onetwoth"[..], Some(-libc::ENOBUFS)));
        assert_eq!(buffers.free(), 0);
        buffers.give_back(1);
        buffers.give_back(1);
        assert_eq!(buffers.free(), 1);
        drop(ring);
    }
}
