//! Memory of one operation.

use std::io;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// Memory that the kernel may read or write while the operation is in flight. It does not
/// move, and no reference to it exists until then.
#[derive(Debug)]
pub struct Room {
    start: NonNull<u8>,
    capacity: usize,
    /// How many bytes have a value.
    filled: usize,
}

// SAFETY: it is plain memory, of one owner.
unsafe impl Send for Room {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for Room {}

impl Room {
    /// No memory.
    pub const NONE: Self = Self { start: NonNull::dangling(), capacity: 0, filled: 0 };

    /// Memory for `capacity` bytes, without values.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(capacity: usize) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let reserved = bytes.try_reserve_exact(capacity);
        reserved.map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Self::from(bytes))
    }

    /// Memory with a copy of several pieces, one behind the other.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn of<'p>(pieces: impl Iterator<Item = &'p [u8]> + Clone) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let reserved = bytes.try_reserve_exact(pieces.clone().map(<[u8]>::len).sum());
        reserved.map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        pieces.for_each(|piece| bytes.extend_from_slice(piece));
        Ok(Self::from(bytes))
    }

    /// Where the memory begins, for the kernel.
    pub fn pointer(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// How many bytes there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many bytes have a value.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// The bytes that have a value. No operation that writes to them is in flight.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: they have values: of `new`, or written by the kernel.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.filled) }
    }

    /// Notes that the kernel has written `filled` bytes.
    ///
    /// # Safety
    ///
    /// It has.
    pub unsafe fn set_filled(&mut self, filled: usize) {
        self.filled = filled.min(self.capacity);
    }
}

impl From<Vec<u8>> for Room {
    fn from(bytes: Vec<u8>) -> Self {
        let mut bytes = ManuallyDrop::new(bytes);
        let (capacity, filled) = (bytes.capacity(), bytes.len());
        let start = NonNull::new(bytes.as_mut_ptr()).unwrap_or(NonNull::dangling());
        Self { start, capacity, filled }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: it came from a vector of that capacity.
        drop(unsafe { Vec::from_raw_parts(self.start.as_ptr(), 0, self.capacity) });
    }
}
