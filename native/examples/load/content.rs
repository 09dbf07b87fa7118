//! Bytes that are known beforehand: what is sent, and what must come back.
//!
//! Long ones are not kept but follow a pattern, of which a table holds one piece: to send or to
//! compare them is to walk over slices of it, whatever their length and wherever they begin.

use crate::failure::Failure;

/// How much of a pattern lies in one piece: no more is compared or sent at a time, and it stays in
/// a processor's second cache.
const PIECE_BYTES: usize = 128 * 1024;
/// The pattern of HTTP bodies, which the servers make too: prime, so that it falls in step with no
/// buffer.
const COUNTING_PERIOD: usize = 251;
/// The pattern of echoed messages. As many that follow one another all differ, so that none passes
/// for another in flight.
const NOISE_PERIOD: usize = 65_521;

/// Bytes that repeat.
pub struct Pattern {
    period: u64,
    /// So many that a whole piece begins anywhere in the first period.
    table: Vec<u8>,
}

impl Pattern {
    /// Byte i is i % 251.
    pub fn counting() -> Self {
        Self::repeating((0..COUNTING_PERIOD).map(|place| place as u8).collect())
    }

    /// Bytes without an order, the same in each run.
    pub fn noise() -> Self {
        // A linear congruential generator after Knuth, of which the high bits are good.
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        Self::repeating(std::iter::repeat_with(next).take(NOISE_PERIOD).collect())
    }

    fn repeating(period: Vec<u8>) -> Self {
        let table = period.iter().copied().cycle().take(period.len() + PIECE_BYTES).collect();
        Self { period: period.len() as u64, table }
    }

    fn piece(&self, position: u64) -> &[u8] {
        let start = (position % self.period) as usize;
        &self.table[start..start + PIECE_BYTES]
    }
}

/// Bytes that are known from the number of the request that they belong to.
pub enum Content {
    /// The same each time.
    Text(Vec<u8>),
    /// So many bytes of a pattern.
    Pattern {
        bytes: u64,
        pattern: Pattern,
        /// Whether request n begins n bytes further on in the pattern, so that requests differ.
        shifts: bool,
    },
}

impl Content {
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Pattern { bytes, .. } => *bytes,
        }
    }

    /// A piece from `offset` on, empty only at the end: there may be more behind it.
    #[inline]
    pub fn piece(&self, number: u64, offset: u64) -> &[u8] {
        match self {
            Self::Text(text) => &text[offset as usize..],
            Self::Pattern { bytes, pattern, shifts } => {
                let shift = if *shifts { number } else { 0 };
                let piece = pattern.piece(shift + offset);
                let rest = bytes - offset;
                if rest < piece.len() as u64 { &piece[..rest as usize] } else { piece }
            }
        }
    }

    /// Compares what came with what must be there from `offset` on.
    #[inline]
    pub fn verify(&self, number: u64, mut offset: u64, mut came: &[u8]) -> Result<(), Failure> {
        if offset + came.len() as u64 > self.bytes() {
            return Err(Failure::new(format!("More than {} bytes came", self.bytes())));
        }
        while !came.is_empty() {
            let piece = self.piece(number, offset);
            let length = piece.len().min(came.len());
            let (these, rest) = came.split_at(length);
            // One memcmp.
            if these != &piece[..length] {
                return Err(difference(offset, &piece[..length], these));
            }
            offset += length as u64;
            came = rest;
        }
        Ok(())
    }
}

#[cold]
fn difference(offset: u64, wanted: &[u8], came: &[u8]) -> Failure {
    let place = wanted.iter().zip(came).position(|(wanted, came)| wanted != came).unwrap_or(0);
    let (wanted, came) = (wanted[place], came[place]);
    let position = offset + place as u64;
    Failure::new(format!("Byte {position} is 0x{came:02x} instead of 0x{wanted:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(content: &Content, number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < content.bytes() {
            bytes.extend_from_slice(content.piece(number, bytes.len() as u64));
        }
        bytes
    }

    fn counting(bytes: u64, shifts: bool) -> Content {
        Content::Pattern { bytes, pattern: Pattern::counting(), shifts }
    }

    #[test]
    fn a_counting_pattern_is_what_the_servers_make() {
        let made = whole(&counting(1 << 20, false), 7);
        assert_eq!(made.len(), 1 << 20);
        assert!(made.iter().enumerate().all(|(place, byte)| usize::from(*byte) == place % 251));
    }

    #[test]
    fn a_shifted_pattern_begins_with_the_requests_number() {
        for number in [0, 1, 250, 251, 252, 100_003] {
            let made = whole(&counting(300_000, true), number);
            let wanted = (0..300_000).map(|place| ((place + number) % 251) as u8);
            assert!(wanted.eq(made), "request {number}");
        }
    }

    #[test]
    fn messages_of_noise_differ_from_those_in_flight_with_them() {
        let pattern = Pattern::noise();
        let content = Content::Pattern { bytes: 8, pattern, shifts: true };
        let mut messages: Vec<_> = (0..65_521).map(|number| whole(&content, number)).collect();
        messages.sort_unstable();
        messages.dedup();
        assert_eq!(messages.len(), 65_521);
    }

    #[test]
    fn verify_finds_each_wrong_byte_and_tells_where() {
        let content = counting(1_000, true);
        let right = whole(&content, 3);
        assert!(content.verify(3, 0, &right).is_ok());
        for place in 0..right.len() {
            let mut wrong = right.clone();
            wrong[place] ^= 1;
            let failure = content.verify(3, 0, &wrong).unwrap_err().to_string();
            assert!(failure.starts_with(&format!("Byte {place} is 0x")), "{failure}");
        }
    }

    #[test]
    fn verify_takes_bytes_in_any_pieces() {
        let content = counting(2 * PIECE_BYTES as u64 + 5, false);
        let right = whole(&content, 0);
        for length in [1, 250, 251, 4_096, PIECE_BYTES, right.len()] {
            for (place, piece) in right.chunks(length).enumerate() {
                let offset = (place * length) as u64;
                assert!(content.verify(0, offset, piece).is_ok(), "{offset} in {length}");
            }
        }
    }

    #[test]
    fn verify_refuses_a_byte_too_many_and_another_requests_bytes() {
        let content = counting(10, true);
        let failure = content.verify(0, 9, b"\x09\x0a").unwrap_err();
        assert_eq!(failure.to_string(), "More than 10 bytes came");
        assert!(content.verify(1, 0, &whole(&content, 2)).is_err());
    }
}
