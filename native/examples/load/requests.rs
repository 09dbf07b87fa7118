//! The bytes of requests, prepared before the first leaves.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::TcpStream;

use crate::content::Content;
use crate::flight::Flight;

/// As many pieces of a batch leave in one call: heads and bodies of as many as go in one write
/// when their bodies differ.
const SLICES_MAX: usize = 64;

/// Requests that all have the same length: a head, and a body that may differ.
pub struct Requests {
    /// What each begins with; empty where all is in `content`.
    head: Vec<u8>,
    pub content: Content,
    /// A whole batch that lies ready, when its requests are the same.
    batch: Vec<u8>,
    /// Of one request.
    bytes: u64,
}

impl Requests {
    /// Prepares requests of which up to `depth` leave in one write.
    pub fn new(head: Vec<u8>, content: Content, depth: u64) -> Self {
        let bytes = head.len() as u64 + content.bytes();
        let batch = match &content {
            Content::Text(text) => [head.as_slice(), text].concat().repeat(depth as usize),
            Content::Pattern { .. } => Vec::new(),
        };
        Self { head, content, batch, bytes }
    }

    /// Whether all of a batch is written.
    #[inline]
    pub const fn are_sent(&self, flight: &Flight) -> bool {
        flight.sent >= self.batch_bytes(flight)
    }

    /// Writes what there is room for, and returns how much that was.
    #[inline]
    pub fn write(&self, mut stream: &TcpStream, flight: &mut Flight) -> io::Result<u64> {
        let (before, whole) = (flight.sent, self.batch_bytes(flight));
        while flight.sent < whole {
            let written = if self.batch.is_empty() {
                self.write_pieces(stream, flight)
            } else {
                stream.write(&self.batch[flight.sent as usize..whole as usize])
            };
            match written {
                Ok(count) => flight.sent += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(flight.sent - before)
    }

    fn write_pieces(&self, mut stream: &TcpStream, flight: &Flight) -> io::Result<usize> {
        let (mut offset, whole) = (flight.sent, self.batch_bytes(flight));
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for slice in &mut slices {
            if offset >= whole {
                break;
            }
            let piece = self.piece(flight.first, offset);
            *slice = IoSlice::new(piece);
            offset += piece.len() as u64;
            count += 1;
        }
        stream.write_vectored(&slices[..count])
    }

    /// A piece of a batch from `offset` on.
    fn piece(&self, first: u64, offset: u64) -> &[u8] {
        let (place, within) = (offset / self.bytes, offset % self.bytes);
        let head = self.head.len() as u64;
        if within < head {
            &self.head[within as usize..]
        } else {
            self.content.piece(first + place, within - head)
        }
    }

    /// An endless batch is one request, which all the rest follows.
    const fn batch_bytes(&self, flight: &Flight) -> u64 {
        if flight.size == Flight::ENDLESS { self.bytes } else { flight.size * self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Pattern;
    use std::io::Read;
    use std::net::TcpListener;

    fn shifting(bytes: u64) -> Content {
        Content::Pattern { bytes, pattern: Pattern::counting(), shifts: true }
    }

    /// Writes a batch while a thread reads, and returns what came.
    fn written(requests: &Requests, mut flight: Flight) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut peer = listener.accept().unwrap().0;
        let reader = std::thread::spawn(move || {
            let mut came = Vec::new();
            peer.read_to_end(&mut came).unwrap();
            came
        });
        let count = requests.write(&stream, &mut flight).unwrap();
        assert!(requests.are_sent(&flight));
        drop(stream);
        let came = reader.join().unwrap();
        assert_eq!(came.len() as u64, count);
        came
    }

    #[test]
    fn a_batch_is_its_requests_one_after_another() {
        let text = Requests::new(b"head ".to_vec(), Content::Text(b"body;".to_vec()), 3);
        assert_eq!(written(&text, Flight::new(9, 3)), b"head body;".repeat(3));
        assert_eq!(written(&text, Flight::new(9, 2)), b"head body;".repeat(2));
        assert_eq!(written(&text, Flight::new(0, Flight::ENDLESS)), b"head body;");
    }

    #[test]
    fn bodies_differ_by_the_requests_number() {
        let requests = Requests::new(b"h".to_vec(), shifting(3), 100);
        let came = written(&requests, Flight::new(249, 100));
        let wanted = (249..349_u32).flat_map(|number| {
            let body = (0..3).map(move |place| ((number + place) % 251) as u8);
            std::iter::once(b'h').chain(body)
        });
        assert!(wanted.eq(came));
    }

    #[test]
    fn a_long_body_is_whole_wherever_it_is_cut() {
        let requests = Requests::new(b"head".to_vec(), shifting(1 << 20), 2);
        let whole = written(&requests, Flight::new(7, 2));
        assert_eq!(whole.len(), 2 * (4 + (1 << 20)));
        for sent in [1, 4, 5, (1 << 20) + 3, (1 << 20) + 4, (1 << 20) + 9] {
            let rest = written(&requests, Flight { sent, ..Flight::new(7, 2) });
            assert!(whole[sent as usize..] == rest, "from {sent} on");
        }
    }
}
