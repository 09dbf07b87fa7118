//! Requests, and answers that are verified as their bytes come.

use super::Protocol;
use crate::answer::{AnswerParser, Framing, HeadRules, Part};
use crate::content::Content;
use crate::failure::{Failure, quoted};
use crate::flight::Flight;
use crate::requests::Requests;

/// What a body must be.
pub enum Wanted {
    /// Whatever it is, only its framing must be right.
    Anything,
    /// This.
    Content(Content),
    /// That of the very request.
    Echo,
}

/// HTTP/1.1.
pub struct Http {
    requests: Requests,
    wanted: Wanted,
    rules: HeadRules,
}

impl Http {
    pub const fn new(requests: Requests, wanted: Wanted, rules: HeadRules) -> Self {
        Self { requests, wanted, rules }
    }

    fn content(&self) -> Option<&Content> {
        match &self.wanted {
            Wanted::Anything => None,
            Wanted::Content(content) => Some(content),
            Wanted::Echo => Some(&self.requests.content),
        }
    }

    /// At once when the head tells the length: what is too short would be waited for in vain.
    fn verify_length(&self, length: u64) -> Result<(), Failure> {
        match self.content() {
            Some(content) if self.rules.has_body && content.bytes() != length => Err(Failure::new(
                format!("A body has {length} bytes instead of {}", content.bytes()),
            )),
            _ => Ok(()),
        }
    }
}

/// What is kept of a connection.
#[derive(Default)]
pub struct HttpReader {
    parser: AnswerParser,
    /// How much of the body has come.
    offset: u64,
}

impl Protocol for Http {
    type Reader = HttpReader;

    const IS_STREAM: bool = false;

    fn requests(&self) -> &Requests {
        &self.requests
    }

    #[inline]
    fn read(
        &mut self,
        reader: &mut HttpReader,
        flight: &mut Flight,
        mut bytes: &[u8],
    ) -> Result<(), Failure> {
        loop {
            if !flight.is_on() && !bytes.is_empty() {
                return Err(Failure::new(format!("Nobody asked for {}", quoted(bytes))));
            }
            match reader.parser.next(&mut bytes, &mut self.rules)? {
                Part::Head(framing) => {
                    reader.offset = 0;
                    if let Framing::Length(length) = framing {
                        self.verify_length(length)?;
                    }
                }
                Part::Body(body) => {
                    if let Some(content) = self.content() {
                        content.verify(flight.number(), reader.offset, body)?;
                    }
                    reader.offset += body.len() as u64;
                }
                Part::End => {
                    self.verify_length(reader.offset)?;
                    flight.answered += 1;
                }
                Part::More => return Ok(()),
            }
        }
    }

    fn end(&mut self, reader: &mut HttpReader, flight: &mut Flight) -> Result<(), Failure> {
        reader.parser.end()?;
        self.verify_length(reader.offset)?;
        flight.answered += 1;
        Ok(())
    }
}
