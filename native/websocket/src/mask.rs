//! Unmasks payloads in place (RFC 6455 section 5.3), and sees on the way whether they are
//! ASCII: text that is needs no other check.

/// Bytes of a step. The compiler makes vector instructions of a step's words.
const WIDE: usize = 32;
const WORD: usize = 8;

/// What unmasking found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmasked {
    /// The key for the byte behind these.
    pub key: u32,
    /// Whether every unmasked byte is below 128.
    pub ascii: bool,
}

/// Unmasks `bytes`. The lowest byte of `key` belongs to the first of them, so that a
/// payload can be unmasked in pieces of any length, each with the key that the one
/// before returned.
pub fn unmask(bytes: &mut [u8], key: u32) -> Unmasked {
    let word = u64::from(key) << 32 | u64::from(key);
    let mut seen = [0_u64; WIDE / WORD];
    let rotated = rotate(key, bytes.len());
    let mut steps = bytes.chunks_exact_mut(WIDE);
    for step in &mut steps {
        for (part, seen) in step.chunks_exact_mut(WORD).zip(&mut seen) {
            *seen |= unmask_word(part, word);
        }
    }
    let mut all = seen.into_iter().fold(0, |all, part| all | part);
    let mut words = steps.into_remainder().chunks_exact_mut(WORD);
    for part in &mut words {
        all |= unmask_word(part, word);
    }
    let mut rest = word;
    for byte in words.into_remainder() {
        *byte ^= rest as u8;
        all |= u64::from(*byte);
        rest >>= 8;
    }
    Unmasked { key: rotated, ascii: all & 0x8080_8080_8080_8080 == 0 }
}

/// Unmasks eight bytes, and returns them.
fn unmask_word(part: &mut [u8], key: u64) -> u64 {
    let Some(part) = part.first_chunk_mut::<WORD>() else { return 0 };
    let word = u64::from_le_bytes(*part) ^ key;
    *part = word.to_le_bytes();
    word
}

/// The key for the byte that is `length` bytes behind.
fn rotate(key: u32, length: usize) -> u32 {
    key.rotate_right(8 * (length % 4) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn one_by_one(bytes: &[u8]) -> Vec<u8> {
        bytes.iter().zip(KEY.into_iter().cycle()).map(|(byte, key)| byte ^ key).collect()
    }

    #[test]
    fn every_length_and_split_is_unmasked_as_byte_by_byte() {
        for length in 0..=2 * WIDE + WORD + 3 {
            let masked: Vec<u8> = (0..length).map(|place| (place * 7 + 200) as u8).collect();
            let expected = one_by_one(&masked);
            for split in 0..=length {
                let mut bytes = masked.clone();
                let (first, then) = bytes.split_at_mut(split);
                let before = unmask(first, u32::from_le_bytes(KEY));
                let behind = unmask(then, before.key);
                assert_eq!(bytes, expected, "{length} bytes split at {split}");
                assert_eq!(behind.key, rotate(u32::from_le_bytes(KEY), length));
                assert_eq!(before.ascii, expected[..split].is_ascii());
                assert_eq!(behind.ascii, expected[split..].is_ascii());
            }
        }
    }

    #[test]
    fn one_high_byte_is_seen_wherever_it_is() {
        let key = u32::from_le_bytes(KEY);
        for length in 1..=2 * WIDE + WORD + 3 {
            for place in 0..length {
                let mut plain = vec![b'a'; length];
                plain[place] = 0x80;
                assert!(!unmask(&mut one_by_one(&plain), key).ascii, "{place} of {length}");
            }
            let mut ascii = one_by_one(&vec![0x7f; length]);
            assert!(unmask(&mut ascii, key).ascii);
        }
    }
}
