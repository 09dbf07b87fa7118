//! The bytes of one source that were received before the program has read them.
//!
//! They lie in the buffers that the kernel has filled. Bytes that the program leaves there
//! move to memory of their own, and the buffers go back to the kernel.

/// The memory of buffers.
pub trait Bytes {
    /// The memory of one buffer; the caller knows how much of it was filled.
    fn bytes(&self, id: u16) -> &[u8];
}

/// No buffer.
const NONE: u16 = u16::MAX;

/// What is in each buffer, and which buffers the kernel can have again.
#[derive(Debug)]
pub struct Filled {
    parts: Vec<Part>,
    /// Buffers that wait to be given to the kernel.
    pub returned: Vec<u16>,
    /// Bytes of memory that inboxes have of their own.
    pub own_bytes: usize,
}

/// The unread bytes of a buffer, and the buffer behind it in the same inbox.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: u32,
    end: u32,
    next: u16,
}

/// The unread bytes of one source. Bytes of its own memory come before those in buffers.
#[derive(Debug)]
pub struct Inbox {
    own: Option<Box<Own>>,
    first: u16,
    last: u16,
    length: u32,
}

#[derive(Debug)]
struct Own {
    bytes: Vec<u8>,
    start: usize,
}

impl Filled {
    /// Nothing is filled.
    pub const fn new() -> Self {
        Self { parts: Vec::new(), returned: Vec::new(), own_bytes: 0 }
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self { own: None, first: NONE, last: NONE, length: 0 }
    }
}

impl Inbox {
    /// The number of unread bytes.
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether the program has read all bytes.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether bytes lie in buffers.
    pub const fn has_buffers(&self) -> bool {
        self.first != NONE
    }

    /// Adds the first `count` bytes of a buffer.
    pub fn push(&mut self, filled: &mut Filled, id: u16, count: u32) {
        let index = usize::from(id);
        if filled.parts.len() <= index {
            filled.parts.resize(index + 1, Part { start: 0, end: 0, next: NONE });
        }
        if let Some(part) = filled.parts.get_mut(index) {
            *part = Part { start: 0, end: count, next: NONE };
        }
        match filled.parts.get_mut(usize::from(self.last)) {
            Some(last) if self.has_buffers() => last.next = id,
            _ => self.first = id,
        }
        self.last = id;
        self.length += count;
    }

    /// Puts bytes into an inbox that is empty.
    pub fn put_back(&mut self, filled: &mut Filled, bytes: Vec<u8>) {
        self.clear(filled);
        if bytes.is_empty() {
            return;
        }
        self.length = bytes.len() as u32;
        filled.own_bytes += bytes.capacity();
        self.own = Some(Box::new(Own { bytes, start: 0 }));
    }

    /// Moves bytes to `into`, as many as fit, and returns how many.
    pub fn take(&mut self, filled: &mut Filled, memory: &impl Bytes, into: &mut [u8]) -> usize {
        let mut count = self.take_own(filled, into);
        while count < into.len() && self.has_buffers() {
            let Some(part) = filled.parts.get_mut(usize::from(self.first)) else { break };
            let bytes = memory.bytes(self.first).get(part.start as usize..part.end as usize);
            let copied = copy(bytes.unwrap_or_default(), into.get_mut(count..).unwrap_or_default());
            part.start += copied as u32;
            count += copied;
            if part.start < part.end {
                break;
            }
            let next = part.next;
            filled.returned.push(self.first);
            self.first = next;
        }
        self.length -= count as u32;
        count
    }

    fn take_own(&mut self, filled: &mut Filled, into: &mut [u8]) -> usize {
        let Some(own) = &mut self.own else { return 0 };
        let count = copy(own.bytes.get(own.start..).unwrap_or_default(), into);
        own.start += count;
        if own.start == own.bytes.len() {
            filled.own_bytes -= own.bytes.capacity();
            self.own = None;
        }
        count
    }

    /// Copies bytes to `into` and leaves them.
    pub fn peek(&self, filled: &Filled, memory: &impl Bytes, into: &mut [u8]) -> usize {
        let mut count = 0;
        self.each(filled, memory, |bytes| {
            count += copy(bytes, into.get_mut(count..).unwrap_or_default());
        });
        count
    }

    /// Moves bytes from buffers to memory of their own, of exactly their size.
    pub fn keep(&mut self, filled: &mut Filled, memory: &impl Bytes) {
        if !self.has_buffers() {
            return;
        }
        let mut bytes = Vec::with_capacity(self.len());
        self.each(filled, memory, |part| bytes.extend_from_slice(part));
        self.put_back(filled, bytes);
    }

    /// Drops all bytes.
    pub fn clear(&mut self, filled: &mut Filled) {
        if let Some(own) = self.own.take() {
            filled.own_bytes -= own.bytes.capacity();
        }
        while let Some(part) = filled.parts.get(usize::from(self.first)) {
            filled.returned.push(self.first);
            self.first = part.next;
        }
        self.length = 0;
    }

    /// The memory of its own.
    #[cfg(test)]
    pub fn own_bytes(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.bytes.capacity())
    }

    /// The buffers in which its bytes lie.
    #[cfg(test)]
    pub fn buffers(&self, filled: &Filled) -> Vec<u16> {
        let part = |id: u16| filled.parts.get(usize::from(id)).map(|part| (id, part.next));
        let all = std::iter::successors(part(self.first), |(_, next)| part(*next));
        all.map(|(id, _)| id).collect()
    }

    /// Calls `visit` with all bytes, in their order.
    fn each(&self, filled: &Filled, memory: &impl Bytes, mut visit: impl FnMut(&[u8])) {
        if let Some(own) = &self.own {
            visit(own.bytes.get(own.start..).unwrap_or_default());
        }
        let mut id = self.first;
        while let Some(part) = filled.parts.get(usize::from(id)) {
            let bytes = memory.bytes(id).get(part.start as usize..part.end as usize);
            visit(bytes.unwrap_or_default());
            id = part.next;
        }
    }
}

/// Copies as many bytes as fit; returns how many.
fn copy(from: &[u8], into: &mut [u8]) -> usize {
    let count = from.len().min(into.len());
    if let (Some(from), Some(into)) = (from.get(..count), into.get_mut(..count)) {
        into.copy_from_slice(from);
    }
    count
}
