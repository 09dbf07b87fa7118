//! The fixed answer, and the counting of heads that each are sent one.

pub const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\n\
    content-type: text/plain;charset=UTF-8\r\n\
    content-length: 13\r\n\
    date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    \r\n\
    Hello, World!";
const TERMINATOR: &[u8; 4] = b"\r\n\r\n";
/// Room for sixteen pipelined requests of a browser's size, as the reactor's buffer has.
pub const BUFFER_BYTES: usize = 64 * 1024;
/// One read ends at most this many heads: so many answers lie ready in one block.
const REPLIES_MAX: usize = BUFFER_BYTES / TERMINATOR.len() + 1;

/// Returns a block of answers, enough for every head that one read may end.
pub fn replies() -> Vec<u8> {
    REPLY.repeat(REPLIES_MAX)
}

/// Counts the ends of heads in a stream of bytes, at whichever byte a read ends.
#[derive(Default)]
pub struct Heads {
    /// The part of [`TERMINATOR`] that the last bytes match.
    matched: usize,
}

impl Heads {
    pub fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        while self.matched > 0 {
            let Some((byte, rest)) = bytes.split_first() else { return count };
            bytes = rest;
            self.matched = match byte {
                byte if *byte == TERMINATOR[self.matched] => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.matched == TERMINATOR.len() {
                self.matched = 0;
                count += 1;
            }
        }
        while let Some(place) = find(bytes, TERMINATOR) {
            bytes = &bytes[place + TERMINATOR.len()..];
            count += 1;
        }
        let ends_in = |length: &usize| bytes.ends_with(&TERMINATOR[..*length]);
        self.matched = (1..TERMINATOR.len()).rev().find(ends_in).unwrap_or(0);
        count
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let (start, length) = (bytes.as_ptr(), bytes.len());
    // SAFETY: both are readable for the lengths that go with them.
    let found = unsafe { libc::memmem(start.cast(), length, wanted.as_ptr().cast(), wanted.len()) };
    (!found.is_null()).then(|| found as usize - start as usize)
}
