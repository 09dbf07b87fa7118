//! Checks UTF-8 that comes in pieces, and fails at the first wrong byte.
//!
//! A sequence that a piece cuts is kept as what its next bytes must be, so that a wrong
//! byte is found as soon as it is there: RFC 3629 section 4 narrows the second byte, which
//! excludes overlong forms, surrogates, and numbers beyond U+10FFFF.

/// The least and the greatest byte that continues a sequence.
const CONTINUATION: (u8, u8) = (0x80, 0xbf);

/// A sequence that is not whole yet: how many bytes are missing, and the range of the
/// next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carry {
    missing: u8,
    least: u8,
    greatest: u8,
}

/// The bytes are no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

impl Carry {
    /// Reads what [`Carry::to_word`] wrote. Any word is a carry.
    pub fn from_word(word: u32) -> Self {
        let [missing, least, greatest, _] = word.to_le_bytes();
        Self { missing, least, greatest }
    }

    /// One word for a carry, which is 0 when no sequence is cut.
    pub fn to_word(self) -> u32 {
        u32::from_le_bytes([self.missing, self.least, self.greatest, 0])
    }

    /// Whether no sequence is cut: the text may end here.
    pub fn is_empty(self) -> bool {
        self.missing == 0
    }

    /// Checks the next piece. Returns the carry behind it.
    ///
    /// # Errors
    ///
    /// When no bytes could make the text valid any more.
    pub fn check(mut self, piece: &[u8]) -> Result<Self, Invalid> {
        let mut rest = piece;
        while self.missing > 0 {
            let Some((byte, behind)) = rest.split_first() else { return Ok(self) };
            if !(self.least..=self.greatest).contains(byte) {
                return Err(Invalid);
            }
            rest = behind;
            self = Self::expecting(self.missing - 1, CONTINUATION);
        }
        let Err(error) = simdutf8::compat::from_utf8(rest) else { return Ok(Self::default()) };
        if error.error_len().is_some() {
            return Err(Invalid);
        }
        // Valid so far, but cut.
        Ok(Self::of(rest.get(error.valid_up_to()..).unwrap_or_default()))
    }

    /// The carry behind the first bytes of a valid sequence.
    fn of(cut: &[u8]) -> Self {
        let Some((lead, behind)) = cut.split_first() else { return Self::default() };
        let (missing, second) = match lead {
            0xe0 => (2, (0xa0, 0xbf)),
            0xed => (2, (0x80, 0x9f)),
            0xf0 => (3, (0x90, 0xbf)),
            0xf4 => (3, (0x80, 0x8f)),
            0xf1..=0xf3 => (3, CONTINUATION),
            0xe1..=0xef => (2, CONTINUATION),
            _ => (1, CONTINUATION),
        };
        let range = if behind.is_empty() { second } else { CONTINUATION };
        Self::expecting(missing - behind.len() as u8, range)
    }

    fn expecting(missing: u8, (least, greatest): (u8, u8)) -> Self {
        if missing == 0 { Self::default() } else { Self { missing, least, greatest } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte by byte: where a text fails, and whether it may end behind its last byte.
    fn one_by_one(text: &[u8]) -> (Option<usize>, bool) {
        let mut carry = Carry::default();
        for place in 0..text.len() {
            // Through its word, as between two calls.
            match Carry::from_word(carry.to_word()).check(&text[place..=place]) {
                Ok(next) => carry = next,
                Err(Invalid) => return (Some(place), false),
            }
        }
        (None, carry.is_empty())
    }

    #[test]
    fn every_sequence_of_up_to_four_bytes_fails_where_the_standard_library_fails() {
        // Bytes at the ends of each range of RFC 3629, and one beyond them.
        const EDGES: [u8; 22] = [
            0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
            0xec, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff,
        ];
        for number in 0..EDGES.len().pow(4) {
            let text: [u8; 4] =
                std::array::from_fn(|place| EDGES[number / EDGES.len().pow(place as u32) % 22]);
            let expected = match std::str::from_utf8(&text) {
                Ok(_) => (None, true),
                Err(error) => match error.error_len() {
                    None => (None, false),
                    // The first wrong byte, which the standard library does not count to a
                    // sequence that was good until then.
                    Some(length) => {
                        let lead = error.valid_up_to();
                        let cut = std::str::from_utf8(&text[lead..lead + length]).unwrap_err();
                        let good = cut.error_len().is_none();
                        (Some(if good { lead + length } else { lead }), false)
                    }
                },
            };
            assert_eq!(one_by_one(&text), expected, "{text:02x?}");
        }
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let text = "aé€😀\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}z".as_bytes();
        for split in 0..=text.len() {
            let (first, then) = text.split_at(split);
            let carry = Carry::default().check(first).unwrap();
            assert_eq!(carry.is_empty(), std::str::from_utf8(first).is_ok(), "split at {split}");
            assert_eq!(carry.check(then), Ok(Carry::default()), "split at {split}");
        }
    }

    #[test]
    fn any_word_is_a_carry() {
        for word in [u32::MAX, 1, 0x00ff_00ff, 0x0080_bf03] {
            let _ = Carry::from_word(word).check(&[0x80; 300]);
        }
    }
}
