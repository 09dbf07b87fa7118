//! Messages that come back as they are.

use super::Protocol;
use crate::content::{Content, Pattern};
use crate::failure::Failure;
use crate::flight::Flight;
use crate::requests::Requests;

/// Messages of one length.
pub struct Echo {
    requests: Requests,
}

impl Echo {
    pub fn new(bytes: u64) -> Self {
        let content = Content::Pattern { bytes, pattern: Pattern::noise(), shifts: true };
        Self { requests: Requests::new(Vec::new(), content, 1) }
    }
}

impl Protocol for Echo {
    /// How much of the message has come back.
    type Reader = u64;

    const IS_STREAM: bool = false;

    fn requests(&self) -> &Requests {
        &self.requests
    }

    #[inline]
    fn read(&mut self, offset: &mut u64, flight: &mut Flight, bytes: &[u8]) -> Result<(), Failure> {
        if !flight.is_on() {
            return Err(Failure::new("Bytes came that nobody had sent"));
        }
        let message = &self.requests.content;
        message.verify(flight.number(), *offset, bytes)?;
        *offset += bytes.len() as u64;
        if *offset == message.bytes() {
            *offset = 0;
            flight.answered += 1;
        }
        Ok(())
    }

    fn end(&mut self, _offset: &mut u64, _flight: &mut Flight) -> Result<(), Failure> {
        Err(Failure::new("The connection ended"))
    }
}
