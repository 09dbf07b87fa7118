//! Verifies answers while their bytes arrive.
//!
//! A head that equals the head before it, byte for byte, has the same meaning and is not parsed
//! again: most do, because their dates change once a second.

use crate::content::Content;
use crate::flight::Flight;
use crate::options::{Expected, Mode, Options};
use crate::websocket;

/// The only right status: an answer with another has no body to verify.
const OK: u16 = 200;
/// Twice the largest head that servers send.
const HEAD_BYTES_MAX: usize = 64 * 1024;
pub const HEADERS_MAX: usize = 64;
const CHUNK_HEAD_BYTES_MAX: usize = 64;
const EVENT_BYTES_MAX: usize = 32;
/// The longest part of a server's bytes that a message quotes.
const QUOTED_BYTES_MAX: usize = 60;

/// The part of an answer that a connection reads.
#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Head,
    /// The bytes of the body that are left to read.
    Sized(usize),
    ChunkHead,
    Chunk(usize),
    ChunkEnd {
        is_last: bool,
    },
    UntilClose,
    /// After the last byte of a connection that the server is to end.
    Closing,
}

/// The answers of one connection.
#[derive(Default)]
pub struct Reader {
    state: State,
    /// The beginning of a head, or of a chunk's head, that arrived in pieces.
    pending: Vec<u8>,
    /// The bytes of the body that have been read.
    offset: usize,
    /// Whether the connection ends with this answer.
    closes: bool,
    /// The beginning of a server-sent event, and the number of the last one.
    event: Vec<u8>,
    last_event: Option<u64>,
}

/// What follows a head.
#[derive(Clone, Copy)]
struct Head {
    bytes: usize,
    body: State,
    closes: bool,
}

/// The answers that the command line asks for.
pub struct Answers {
    mode: Mode,
    expected: Expected,
    /// The body of each request, or the echoed message.
    pub sent: Option<Content>,
    may_close: bool,
    known: Option<(Vec<u8>, Head)>,
    /// The first byte of each message's frame, over WebSockets, and the whole head of the frame.
    frame: Option<u8>,
    frame_head: Vec<u8>,
}

impl Answers {
    pub fn new(options: &mut Options) -> Self {
        let mut answers = Self {
            mode: options.mode,
            expected: std::mem::take(&mut options.expected),
            sent: options.body.take(),
            // A stream may last until the end of its connection, which must not come.
            may_close: options.closes || options.mode == Mode::Sse,
            known: None,
            frame: options.frame,
            frame_head: Vec::new(),
        };
        if let (Some(first), Some(message)) = (options.frame, answers.wanted()) {
            answers.frame_head = websocket::frame_head(first, message.length, false);
        }
        answers
    }

    fn wanted(&self) -> Option<&Content> {
        match &self.expected {
            Expected::Anything => None,
            Expected::Content(content) => Some(content),
            Expected::Echo => self.sent.as_ref(),
        }
    }

    /// Verifies bytes of a connection, and counts in `flight` the answers that are complete.
    pub fn read(
        &mut self,
        reader: &mut Reader,
        flight: &mut Flight,
        came: &[u8],
    ) -> Result<(), String> {
        if self.mode == Mode::Echo || self.frame.is_some() {
            return self.read_messages(reader, flight, came);
        }
        if reader.pending.is_empty() {
            let used = self.parse(reader, flight, came)?;
            reader.pending.extend_from_slice(&came[used..]);
            return Ok(());
        }
        let mut all = std::mem::take(&mut reader.pending);
        all.extend_from_slice(came);
        let used = self.parse(reader, flight, &all)?;
        all.drain(..used);
        reader.pending = all;
        Ok(())
    }

    /// Judges the end of a connection, which may complete an answer.
    pub fn end(&self, reader: &Reader, flight: &mut Flight) -> Result<(), String> {
        match reader.state {
            State::Closing | State::UntilClose if self.mode != Mode::Sse => {
                self.verify_length(reader.offset)?;
                flight.answered += 1;
                Ok(())
            }
            State::Head if reader.pending.is_empty() => {
                Err("The connection ended without an answer".into())
            }
            _ => Err("The connection ended within an answer".into()),
        }
    }

    fn read_messages(
        &self,
        reader: &mut Reader,
        flight: &mut Flight,
        came: &[u8],
    ) -> Result<(), String> {
        let Some(message) = self.wanted() else { return Ok(()) };
        let mut rest = came;
        while !rest.is_empty() {
            if !flight.is_on() {
                return Err(format!("No message asked for {}", quoted(rest)));
            }
            if let Some(first) = self.frame.filter(|first| websocket::is_deflated(*first)) {
                return reader.deflated(flight, rest, first, message);
            }
            let (head, all) = (&self.frame_head[..], self.frame_head.len() + message.length);
            let (part, more) = rest.split_at(rest.len().min(all - reader.offset));
            let (of_head, body) =
                part.split_at(part.len().min(head.len().saturating_sub(reader.offset)));
            if !of_head.is_empty() && !head[reader.offset..].starts_with(of_head) {
                return Err(format!("A frame begins with {}", quoted(part)));
            }
            let offset = (reader.offset + of_head.len()).saturating_sub(head.len());
            message.verify(flight.number(), offset, body)?;
            reader.offset += part.len();
            if reader.offset == all {
                reader.offset = 0;
                flight.answered += 1;
            }
            rest = more;
        }
        Ok(())
    }

    /// Reads the answer to the request for a WebSocket; true when it is complete, and right.
    pub fn accepts(&self, reader: &mut Reader, came: &[u8]) -> Result<bool, String> {
        reader.pending.extend_from_slice(came);
        let deflates = self.frame.is_some_and(websocket::is_deflated);
        let is_accepted = websocket::is_accepted(&reader.pending, deflates)?;
        if is_accepted {
            reader.pending = Vec::new();
        }
        Ok(is_accepted)
    }

    /// Takes complete parts of answers, and returns their length in bytes.
    fn parse(
        &mut self,
        reader: &mut Reader,
        flight: &mut Flight,
        came: &[u8],
    ) -> Result<usize, String> {
        let mut bytes = came;
        loop {
            match reader.state {
                State::Sized(0) => self.complete(reader, flight)?,
                _ if bytes.is_empty() => break,
                _ if !flight.is_on() => {
                    return Err(format!("No request asked for {}", quoted(bytes)));
                }
                State::Head => {
                    let Some(head) = self.head(bytes)? else { break };
                    bytes = &bytes[head.bytes..];
                    (reader.state, reader.closes, reader.offset) = (head.body, head.closes, 0);
                    // Fails at once: the rest of a body that is too short never arrives.
                    if let State::Sized(length) = head.body {
                        self.verify_length(length)?;
                    }
                }
                State::Sized(left) => {
                    let count = self.body(reader, flight, bytes, left)?;
                    bytes = &bytes[count..];
                    reader.state = State::Sized(left - count);
                }
                State::Chunk(left) => {
                    let count = self.body(reader, flight, bytes, left)?;
                    bytes = &bytes[count..];
                    reader.state = match left - count {
                        0 => State::ChunkEnd { is_last: false },
                        left => State::Chunk(left),
                    };
                }
                State::ChunkHead => {
                    let Some((length, size)) = chunk_head(bytes)? else { break };
                    bytes = &bytes[length..];
                    reader.state = match size {
                        0 => State::ChunkEnd { is_last: true },
                        _ => State::Chunk(size),
                    };
                }
                State::ChunkEnd { is_last } => {
                    if bytes.len() < 2 && bytes[0] == b'\r' {
                        break;
                    }
                    bytes = bytes.strip_prefix(b"\r\n").ok_or_else(|| no_chunk(bytes))?;
                    reader.state = State::ChunkHead;
                    if is_last {
                        self.complete(reader, flight)?;
                    }
                }
                State::UntilClose => {
                    let count = self.body(reader, flight, bytes, usize::MAX)?;
                    bytes = &bytes[count..];
                }
                State::Closing => {
                    return Err(format!("Behind the last answer comes {}", quoted(bytes)));
                }
            }
        }
        Ok(came.len() - bytes.len())
    }

    /// Verifies up to `most` bytes of a body, and returns how many there were.
    fn body(
        &self,
        reader: &mut Reader,
        flight: &mut Flight,
        bytes: &[u8],
        most: usize,
    ) -> Result<usize, String> {
        let count = most.min(bytes.len());
        let part = &bytes[..count];
        if self.mode == Mode::Sse {
            flight.answered += reader.events(part)?;
        } else if let Some(content) = self.wanted() {
            content.verify(flight.number(), reader.offset, part)?;
        }
        reader.offset += count;
        Ok(count)
    }

    /// Completes an answer; an answer that ends its connection completes with that end.
    fn complete(&self, reader: &mut Reader, flight: &mut Flight) -> Result<(), String> {
        if self.mode == Mode::Sse {
            return Err("The stream of events ended".into());
        }
        self.verify_length(reader.offset)?;
        if reader.closes {
            reader.state = State::Closing;
        } else {
            (reader.state, reader.offset) = (State::Head, 0);
            flight.answered += 1;
        }
        Ok(())
    }

    fn verify_length(&self, length: usize) -> Result<(), String> {
        match self.wanted() {
            Some(content) if content.length != length => {
                Err(format!("A body has {length} bytes instead of {}", content.length))
            }
            _ => Ok(()),
        }
    }

    /// Reads the head at the front of `bytes`; `None` when it is not complete.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<Head>, String> {
        if let Some((same, head)) = &self.known {
            if bytes.starts_with(same) {
                return Ok(Some(*head));
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut answer = httparse::Response::new(&mut headers);
        let Some(length) = parsed(&mut answer, bytes)? else { return Ok(None) };
        let head = self.judge(length, &answer)?;
        self.known = Some((bytes[..length].to_vec(), head));
        Ok(Some(head))
    }

    fn judge(&self, bytes: usize, answer: &httparse::Response<'_, '_>) -> Result<Head, String> {
        let status = answer.code.unwrap_or_default();
        if status != OK {
            return Err(format!("Status is {status} instead of {OK}"));
        }
        let value = |name: &str| value(answer, name);
        // Where a body ends: RFC 9112 section 6.3.
        let body = match (value("transfer-encoding").as_deref(), value("content-length")) {
            (Some("chunked"), _) => State::ChunkHead,
            (Some(coding), _) => return Err(format!("Transfer coding is {coding:?}")),
            (None, None) => State::UntilClose,
            (None, Some(length)) => {
                let wrong = |_| format!("Content length is {length:?}");
                State::Sized(length.parse().map_err(wrong)?)
            }
        };
        let closes = matches!(body, State::UntilClose)
            || value("connection").is_some_and(|value| value.contains("close"));
        if closes && !self.may_close {
            return Err("An answer says that the connection ends with it".into());
        }
        Ok(Head { bytes, body, closes })
    }
}

impl Reader {
    /// Takes bytes of a compressed message; there is one at a time.
    fn deflated(
        &mut self,
        flight: &mut Flight,
        bytes: &[u8],
        first: u8,
        wanted: &Content,
    ) -> Result<(), String> {
        self.pending.extend_from_slice(bytes);
        if let Some(message) = websocket::inflated(&self.pending, first, wanted.length)? {
            wanted.verify(flight.number(), 0, &message)?;
            if message.len() < wanted.length {
                return Err(format!("A message has {} bytes", message.len()));
            }
            self.pending = Vec::new();
            flight.answered += 1;
        }
        Ok(())
    }

    /// Takes bytes of a stream of events, each numbered one more than the last, and counts events.
    fn events(&mut self, bytes: &[u8]) -> Result<u64, String> {
        let mut count = 0;
        for byte in bytes {
            self.event.push(*byte);
            if !self.event.ends_with(b"\n\n") && self.event.len() < EVENT_BYTES_MAX {
                continue;
            }
            let number = std::str::from_utf8(&self.event)
                .ok()
                .and_then(|event| event.strip_prefix("data: ")?.strip_suffix("\n\n")?.parse().ok())
                .ok_or_else(|| format!("An event is {}", quoted(&self.event)))?;
            if let Some(last) = self.last_event.replace(number) {
                if last + 1 != number {
                    return Err(format!("Event {number} came after event {last}"));
                }
            }
            self.event.clear();
            count += 1;
        }
        Ok(count)
    }
}

/// Reads a chunk's head: the length of the head, and of the chunk.
fn chunk_head(bytes: &[u8]) -> Result<Option<(usize, usize)>, String> {
    match httparse::parse_chunk_size(bytes) {
        Ok(httparse::Status::Complete((length, size))) => Ok(Some((length, size as usize))),
        Ok(httparse::Status::Partial) if bytes.len() < CHUNK_HEAD_BYTES_MAX => Ok(None),
        _ => Err(no_chunk(bytes)),
    }
}

fn no_chunk(bytes: &[u8]) -> String {
    format!("Cannot read a chunk at {}", quoted(bytes))
}

/// Parses a head, and returns its length; `None` when it is not complete.
pub fn parsed<'b>(
    answer: &mut httparse::Response<'_, 'b>,
    bytes: &'b [u8],
) -> Result<Option<usize>, String> {
    match answer.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => Ok(Some(length)),
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
        Ok(_) => Err(format!("A head is longer than {HEAD_BYTES_MAX} bytes")),
        Err(error) => Err(format!("Cannot read an answer at {}: {error}", quoted(bytes))),
    }
}

/// Returns the value of a field, in lower case.
pub fn value(answer: &httparse::Response<'_, '_>, name: &str) -> Option<String> {
    let found = answer.headers.iter().find(|each| each.name.eq_ignore_ascii_case(name));
    found.map(|each| String::from_utf8_lossy(each.value).to_ascii_lowercase())
}

/// The beginning of a server's bytes, printable.
pub fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes[..bytes.len().min(QUOTED_BYTES_MAX)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello\
        HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
        2\r\nHe\r\n3;a=b\r\nllo\r\n0\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nHello";

    fn answers(expected: &str) -> Answers {
        Answers {
            mode: Mode::Http,
            expected: Expected::Content(Content::fixed(expected)),
            sent: None,
            may_close: false,
            known: None,
            frame: None,
            frame_head: Vec::new(),
        }
    }

    /// Reads pieces of a connection, and returns how many answers they complete.
    fn read<'a>(
        answers: &mut Answers,
        reader: &mut Reader,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<u64, String> {
        let mut flight = Flight { size: 9, ..Flight::default() };
        for piece in pieces {
            answers.read(reader, &mut flight, piece)?;
        }
        Ok(flight.answered)
    }

    #[test]
    fn answers_are_the_same_at_every_split_and_every_prefix_is_partial() {
        let bytes = STREAM.as_bytes();
        for place in 0..bytes.len() {
            let (one, two) = bytes.split_at(place);
            let (mut answers, mut reader) = (answers("Hello"), Reader::default());
            assert!(read(&mut answers, &mut reader, [one]).unwrap() < 3, "at {place}");
            let mut flight = Flight { size: 9, ..Flight::default() };
            answers.read(&mut reader, &mut flight, two).unwrap();
        }
        let single = bytes.chunks(1);
        assert_eq!(read(&mut answers("Hello"), &mut Reader::default(), single), Ok(3));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for chunks in ["x\r\n", "5\n", "5\r\nHello\n", "0\r\nx", "12345678123456781"] {
            let text = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
            let mut answers = answers("Hello");
            assert!(read(&mut answers, &mut Reader::default(), [text.as_bytes()]).is_err());
        }
    }
}
