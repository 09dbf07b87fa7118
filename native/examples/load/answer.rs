//! Answers, taken apart as their bytes come: a head, pieces of its body, the end.
//!
//! Nothing is allocated for an answer, unless its head came in two pieces and is put together.
//! A head that is byte for byte the one before it means the same, and is not read again: on a
//! server that answers quickly most are, since their dates change once a second.

use crate::chunks::{ChunkPart, Chunks};
use crate::failure::{Failure, quoted};

/// The only right status: there is no body to verify with any other.
const OK: u16 = 200;
/// Twice what servers send at the most.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 64;

/// How the end of a body is found (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
    /// It goes on to the end of the connection.
    UntilClose,
}

/// What matters of a head.
#[derive(Clone, Copy, Debug)]
struct Head {
    bytes: usize,
    framing: Framing,
    /// Whether the server says that the connection ends with this answer.
    closes: bool,
}

/// What heads must be like, and the last that was.
pub struct HeadRules {
    /// What the content type must be.
    pub content_type: Option<String>,
    /// Whether bodies follow the heads: none does when HEAD asks.
    pub has_body: bool,
    /// Whether the connection may end with an answer.
    pub may_close: bool,
    known: Option<(Vec<u8>, Head)>,
}

impl HeadRules {
    pub const fn new(content_type: Option<String>, has_body: bool, may_close: bool) -> Self {
        Self { content_type, has_body, may_close, known: None }
    }

    /// Reads the head at the front of `bytes`; `None` when not all of it is there.
    #[inline]
    fn read(&mut self, bytes: &[u8]) -> Result<Option<Head>, Failure> {
        match &self.known {
            Some((same, head)) if bytes.starts_with(same) => Ok(Some(*head)),
            _ => self.read_anew(bytes),
        }
    }

    fn read_anew(&mut self, bytes: &[u8]) -> Result<Option<Head>, Failure> {
        // The parser would skip empty lines, which belong to nothing here.
        if !bytes.starts_with(b"H") && !bytes.is_empty() {
            return Err(Failure::new(format!("An answer begins with {}", quoted(bytes))));
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut answer = httparse::Response::new(&mut headers);
        match answer.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => {
                let head = self.judge(length, &answer)?;
                let (same, known) = self.known.get_or_insert((Vec::new(), head));
                same.clear();
                same.extend_from_slice(&bytes[..length]);
                *known = head;
                Ok(Some(head))
            }
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
            Ok(httparse::Status::Partial) => {
                Err(Failure::new(format!("A head is longer than {HEAD_BYTES_MAX} bytes")))
            }
            Err(error) => {
                Err(Failure::new(format!("Cannot read an answer at {}: {error}", quoted(bytes))))
            }
        }
    }

    fn judge(&self, bytes: usize, answer: &httparse::Response<'_, '_>) -> Result<Head, Failure> {
        let status = answer.code.unwrap_or_default();
        if status != OK {
            return Err(Failure::new(format!("Status is {status} instead of {OK}")));
        }
        self.judge_type(answer.headers)?;
        let is_old = answer.version == Some(0);
        let closes = has_word(answer.headers, "connection", "close")
            || is_old && !has_word(answer.headers, "connection", "keep-alive");
        let framing = if self.has_body { framing(answer.headers)? } else { Framing::Length(0) };
        if (closes || framing == Framing::UntilClose) && !self.may_close {
            return Err(Failure::new("An answer says that the connection ends with it"));
        }
        Ok(Head { bytes, framing, closes: closes || framing == Framing::UntilClose })
    }

    fn judge_type(&self, headers: &[httparse::Header<'_>]) -> Result<(), Failure> {
        let Some(wanted) = &self.content_type else { return Ok(()) };
        let found = values(headers, "content-type").next().unwrap_or_default();
        if found == wanted.as_bytes() {
            return Ok(());
        }
        Err(Failure::new(format!("Content type is {} instead of {wanted:?}", quoted(found))))
    }
}

fn framing(headers: &[httparse::Header<'_>]) -> Result<Framing, Failure> {
    let mut codings = values(headers, "transfer-encoding");
    if let Some(coding) = codings.next() {
        let is_chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        return if is_chunked {
            Ok(Framing::Chunked)
        } else {
            Err(Failure::new(format!("Transfer coding is {}", quoted(coding))))
        };
    }
    let mut lengths = values(headers, "content-length");
    let Some(length) = lengths.next() else { return Ok(Framing::UntilClose) };
    let number = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
    match (number, lengths.next()) {
        (Some(number), None) => Ok(Framing::Length(number)),
        _ => Err(Failure::new(format!("Content length is {}", quoted(length)))),
    }
}

fn values<'a>(
    headers: &'a [httparse::Header<'_>],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value.trim_ascii())
}

fn has_word(headers: &[httparse::Header<'_>], name: &str, word: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// What an answer has in a stretch of bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// A head that keeps the rules, and how its body is framed.
    Head(Framing),
    /// Bytes of the body.
    Body(&'a [u8]),
    /// The answer is complete.
    End,
    /// The bytes are used up.
    More,
}

/// Where in an answer one is.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Head,
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    /// Behind the last byte of a connection that is to end.
    Closing,
}

/// Takes the answers of one connection apart.
#[derive(Default)]
pub struct AnswerParser {
    state: State,
    /// Whether the connection ends with this answer.
    closes: bool,
    /// The beginning of a head that came in pieces.
    pending: Vec<u8>,
}

impl AnswerParser {
    /// Takes what it can make a part of from the front of `bytes`.
    #[inline]
    pub fn next<'a>(
        &mut self,
        bytes: &mut &'a [u8],
        rules: &mut HeadRules,
    ) -> Result<Part<'a>, Failure> {
        match &mut self.state {
            State::Head => self.head(bytes, rules),
            State::Length(0) => self.complete(bytes),
            _ if bytes.is_empty() => Ok(Part::More),
            State::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let (body, rest) = bytes.split_at(length);
                *left -= length as u64;
                *bytes = rest;
                Ok(Part::Body(body))
            }
            State::Chunked(chunks) => match chunks.next(bytes)? {
                ChunkPart::Data(data) => Ok(Part::Body(data)),
                ChunkPart::End => self.complete(bytes),
                ChunkPart::More => Ok(Part::More),
            },
            State::UntilClose => Ok(Part::Body(std::mem::take(bytes))),
            State::Closing => Err(behind(bytes)),
        }
    }

    /// Tells whether the connection may end here, and an answer with it.
    pub fn end(&mut self) -> Result<(), Failure> {
        match self.state {
            State::Closing | State::UntilClose => Ok(()),
            State::Head if self.pending.is_empty() => {
                Err(Failure::new("The connection ended without an answer"))
            }
            _ => Err(Failure::new("The connection ended within an answer")),
        }
    }

    /// An answer that ends the connection is complete with the end of it, not before.
    fn complete(&mut self, bytes: &[u8]) -> Result<Part<'static>, Failure> {
        if !self.closes {
            self.state = State::Head;
            return Ok(Part::End);
        }
        self.state = State::Closing;
        if bytes.is_empty() { Ok(Part::More) } else { Err(behind(bytes)) }
    }

    #[inline]
    fn head<'a>(
        &mut self,
        bytes: &mut &'a [u8],
        rules: &mut HeadRules,
    ) -> Result<Part<'a>, Failure> {
        let head = if self.pending.is_empty() {
            let Some(head) = rules.read(bytes)? else { return Ok(self.keep(bytes)) };
            *bytes = &bytes[head.bytes..];
            head
        } else {
            let before = self.pending.len();
            self.pending.extend_from_slice(bytes);
            let Some(head) = rules.read(&self.pending)? else {
                *bytes = &[];
                return Ok(Part::More);
            };
            *bytes = &bytes[head.bytes - before..];
            self.pending.clear();
            head
        };
        self.closes = head.closes;
        self.state = match head.framing {
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunks::START),
            Framing::UntilClose => State::UntilClose,
        };
        Ok(Part::Head(head.framing))
    }

    fn keep(&mut self, bytes: &mut &[u8]) -> Part<'static> {
        self.pending.extend_from_slice(bytes);
        *bytes = &[];
        Part::More
    }
}

#[cold]
fn behind(bytes: &[u8]) -> Failure {
    Failure::new(format!("Behind the last answer comes {}", quoted(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nHello";
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nHe\r\n3\r\nllo\r\n0\r\n\r\n";
    const EMPTY: &str = "HTTP/1.1 200 \r\ncontent-length:0\r\n\r\n";
    const LAST: &str =
        "HTTP/1.1 200 OK\r\nconnection: foo, Close\r\ncontent-length: 5\r\n\r\nHello";
    const OLD: &str = "HTTP/1.0 200 OK\r\n\r\nHello";

    fn rules() -> HeadRules {
        HeadRules::new(None, true, false)
    }

    /// Takes pieces apart, and returns the bodies of the answers that are complete.
    fn bodies<'a>(
        rules: &mut HeadRules,
        parser: &mut AnswerParser,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<String>, Failure> {
        let (mut bodies, mut body) = (Vec::new(), Vec::new());
        for mut piece in pieces {
            loop {
                match parser.next(&mut piece, rules)? {
                    Part::Head(_) => assert!(body.is_empty()),
                    Part::Body(bytes) => body.extend_from_slice(bytes),
                    Part::End => {
                        bodies.push(String::from_utf8(std::mem::take(&mut body)).unwrap());
                    }
                    Part::More => break,
                }
            }
            assert!(piece.is_empty(), "all of it is used");
        }
        Ok(bodies)
    }

    fn refusal(rules: &mut HeadRules, text: &str) -> String {
        let mut parser = AnswerParser::default();
        let result = bodies(rules, &mut parser, [text.as_bytes()]).and_then(|_| parser.end());
        result.unwrap_err().to_string()
    }

    #[test]
    fn answers_are_the_same_at_every_split() {
        let stream = [PLAIN, CHUNKED, EMPTY, PLAIN, PLAIN].concat();
        let wanted = ["Hello", "Hello", "", "Hello", "Hello"];
        for place in 0..=stream.len() {
            let (one, two) = stream.as_bytes().split_at(place);
            let found = bodies(&mut rules(), &mut AnswerParser::default(), [one, two]);
            assert_eq!(found.unwrap(), wanted, "at {place}");
        }
        let single = stream.as_bytes().chunks(1);
        assert_eq!(bodies(&mut rules(), &mut AnswerParser::default(), single).unwrap(), wanted);
    }

    #[test]
    fn every_prefix_is_partial() {
        for answer in [PLAIN, CHUNKED, EMPTY] {
            for place in 0..answer.len() {
                let mut parser = AnswerParser::default();
                let prefix = [&answer.as_bytes()[..place]];
                assert!(bodies(&mut rules(), &mut parser, prefix).unwrap().is_empty());
                assert!(parser.end().is_err(), "{place} bytes of {answer:?}");
            }
        }
    }

    #[test]
    fn a_known_head_does_not_hide_that_the_next_differs() {
        let (mut rules, mut parser) = (rules(), AnswerParser::default());
        let shorter = PLAIN.replace("5", "4").replace("Hello", "Hell");
        let longer = PLAIN.replace("\r\n\r\n", "\r\nx: y\r\n\r\n");
        let stream = [PLAIN, &shorter, PLAIN, &longer, &longer].concat();
        let found = bodies(&mut rules, &mut parser, [stream.as_bytes()]).unwrap();
        assert_eq!(found, ["Hello", "Hell", "Hello", "Hello", "Hello"]);
        let wrong = PLAIN.replace("200", "500");
        let refused = bodies(&mut rules, &mut parser, [wrong.as_bytes()]).unwrap_err();
        assert_eq!(refused.to_string(), "Status is 500 instead of 200");
    }

    #[test]
    fn a_last_answer_is_complete_with_the_end_of_the_connection() {
        let mut rules = HeadRules::new(None, true, true);
        for answer in [LAST, OLD] {
            for place in 0..=answer.len() {
                let (one, two) = answer.as_bytes().split_at(place);
                let mut parser = AnswerParser::default();
                assert!(bodies(&mut rules, &mut parser, [one, two]).unwrap().is_empty());
                assert!(parser.end().is_ok(), "{answer:?} at {place}");
            }
        }
        let refused = refusal(&mut rules, &[LAST, PLAIN].concat());
        assert!(refused.starts_with("Behind the last answer comes \"HTTP/1.1"), "{refused}");
    }

    #[test]
    fn what_is_no_right_answer_is_refused() {
        let says_close = "An answer says that the connection ends with it";
        for (answer, wanted) in [
            (LAST, says_close),
            (OLD, says_close),
            ("HTTP/1.1 200 OK\r\n\r\n", says_close),
            ("", "The connection ended without an answer"),
            ("HTTP/1.1 2", "The connection ended within an answer"),
            ("\r\nHTTP/1.1 200 OK\r\n", "An answer begins with \"\\r\\nHTTP/1.1 200 OK\\r\\n\""),
            ("HTTP/1.1 404 Not Found\r\n\r\n", "Status is 404 instead of 200"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1x\r\n\r\n", "Content length is \"1x\""),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
                "Content length is \"1\"",
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
                "Transfer coding is \"gzip, chunked\"",
            ),
            ("HTTP/9 200", "Cannot read an answer at \"HTTP/9 200\": invalid HTTP version"),
        ] {
            assert_eq!(refusal(&mut rules(), answer), wanted, "{answer:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_BYTES_MAX));
        assert_eq!(refusal(&mut rules(), &endless), "A head is longer than 65536 bytes");
    }

    #[test]
    fn content_types_are_compared_when_asked() {
        let mut rules = HeadRules::new(Some("text/plain".into()), true, false);
        let parser = &mut AnswerParser::default();
        assert_eq!(bodies(&mut rules, parser, [PLAIN.as_bytes()]).unwrap(), ["Hello"]);
        let wrong = PLAIN.replace("plain", "html");
        let wanted = "Content type is \"text/html\" instead of \"text/plain\"";
        assert_eq!(refusal(&mut rules, &wrong), wanted);
        let wanted = "Content type is \"\" instead of \"text/plain\"";
        assert_eq!(refusal(&mut rules, EMPTY), wanted);
    }

    #[test]
    fn no_body_follows_a_head_that_head_asked_for() {
        let mut rules = HeadRules::new(None, false, false);
        let heads = [PLAIN, CHUNKED].map(|answer| {
            let end = answer.find("\r\n\r\n").unwrap() + 4;
            &answer.as_bytes()[..end]
        });
        assert_eq!(bodies(&mut rules, &mut AnswerParser::default(), heads).unwrap(), ["", ""]);
    }
}
