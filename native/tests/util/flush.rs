//! Memory that shows a parser which reads too far.

/// Bytes behind which no byte may be read.
#[derive(Debug)]
pub struct Flush {
    map: *mut libc::c_void,
    mapped: usize,
    start: *mut u8,
    length: usize,
}

impl Flush {
    /// Copies `bytes` to memory that ends where they end.
    pub fn new(bytes: &[u8]) -> Self {
        // SAFETY: takes no pointer.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let readable = bytes.len().div_ceil(page) * page;
        let (mapped, protection) = (readable + page, libc::PROT_READ | libc::PROT_WRITE);
        let (flags, null) = (libc::MAP_PRIVATE | libc::MAP_ANON, std::ptr::null_mut());
        // SAFETY: asks for new memory, wherever it may be.
        let map = unsafe { libc::mmap(null, mapped, protection, flags, -1, 0) };
        assert_ne!(map, libc::MAP_FAILED, "memory can be mapped");
        let guard = map.wrapping_byte_add(readable);
        // SAFETY: the last page of the new mapping, which nothing uses yet.
        assert_eq!(unsafe { libc::mprotect(guard, page, libc::PROT_NONE) }, 0);
        let start = guard.wrapping_byte_sub(bytes.len()).cast::<u8>();
        // SAFETY: `start` is writable for these bytes up to the guard, and new.
        unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Self { map, mapped, start, length: bytes.len() }
    }

    /// The copy, which the caller may change.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: readable and writable until `self` is dropped, and borrowed as `self` is.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.length) }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and no borrow of it is left.
        unsafe { libc::munmap(self.map, self.mapped) };
    }
}
