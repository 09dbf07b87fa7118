//! Server-sent events that count: `data: N` and an empty line, each N one more than the last.

use super::Protocol;
use crate::answer::{AnswerParser, HeadRules, Part};
use crate::failure::{Failure, quoted};
use crate::flight::Flight;
use crate::requests::Requests;

/// Room for the longest number.
const EVENT_BYTES_MAX: usize = 32;

/// A stream of events.
pub struct Sse {
    requests: Requests,
    rules: HeadRules,
}

impl Sse {
    pub const fn new(requests: Requests, rules: HeadRules) -> Self {
        Self { requests, rules }
    }
}

/// What is kept of a connection.
#[derive(Default)]
pub struct SseReader {
    parser: AnswerParser,
    /// The beginning of an event.
    text: Vec<u8>,
    last: Option<u64>,
}

impl SseReader {
    /// Takes bytes of the stream, and returns how many events they end.
    fn take(&mut self, bytes: &[u8]) -> Result<u64, Failure> {
        let mut count = 0;
        for byte in bytes {
            self.text.push(*byte);
            if self.text.ends_with(b"\n\n") {
                self.judge()?;
                count += 1;
            } else if self.text.len() > EVENT_BYTES_MAX {
                return Err(unlike(&self.text));
            }
        }
        Ok(count)
    }

    fn judge(&mut self) -> Result<(), Failure> {
        let number = number_in(&self.text).ok_or_else(|| unlike(&self.text))?;
        self.text.clear();
        match self.last.replace(number) {
            Some(last) if last.checked_add(1) != Some(number) => {
                Err(Failure::new(format!("Event {number} came after event {last}")))
            }
            _ => Ok(()),
        }
    }
}

fn number_in(event: &[u8]) -> Option<u64> {
    let digits = event.strip_prefix(b"data: ")?.strip_suffix(b"\n\n")?;
    // A number's own parser would take a sign.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cold]
fn unlike(text: &[u8]) -> Failure {
    Failure::new(format!("An event is {} instead of \"data: N\\n\\n\"", quoted(text)))
}

impl Protocol for Sse {
    type Reader = SseReader;

    const IS_STREAM: bool = true;

    fn requests(&self) -> &Requests {
        &self.requests
    }

    fn read(
        &mut self,
        reader: &mut SseReader,
        flight: &mut Flight,
        mut bytes: &[u8],
    ) -> Result<(), Failure> {
        loop {
            match reader.parser.next(&mut bytes, &mut self.rules)? {
                Part::Head(_) => {}
                Part::Body(body) => flight.answered += reader.take(body)?,
                Part::End => return Err(Failure::new("The stream of events ended")),
                Part::More => return Ok(()),
            }
        }
    }

    fn end(&mut self, _reader: &mut SseReader, _flight: &mut Flight) -> Result<(), Failure> {
        Err(Failure::new("The connection ended within a stream of events"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Result<u64, String> {
        SseReader::default().take(text.as_bytes()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn events_that_follow_one_another_are_counted() {
        assert_eq!(taken("data: 0\n\ndata: 1\n\ndata: 2\n"), Ok(2));
        assert_eq!(taken("data: 18446744073709551615\n\n"), Ok(1));
        let mut reader = SseReader::default();
        let counts = b"data: 9\n\ndata: 10\n\n".chunks(1).map(|byte| reader.take(byte).unwrap());
        assert_eq!(counts.sum::<u64>(), 2);
    }

    #[test]
    fn an_event_out_of_its_turn_is_refused() {
        for (second, wanted) in
            [("7", "Event 7"), ("5", "Event 5"), ("4", "Event 4"), ("0", "Event 0")]
        {
            let refused = taken(&format!("data: 5\n\ndata: {second}\n\n")).unwrap_err();
            assert_eq!(refused, format!("{wanted} came after event 5"));
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for wrong in
            ["data: \n\n", "data: +1\n\n", "data:1\n\n", "dat: 1\n\n", "\n\n", "data: 1x\n\n"]
        {
            assert!(taken(wrong).unwrap_err().starts_with("An event is"), "{wrong:?}");
        }
        assert!(taken(&"data: 1".repeat(9)).is_err());
    }
}
