//! The chunked coding (RFC 9112 section 7.1), taken apart as its bytes come.

use crate::failure::{Failure, quoted};

/// What the coding has in a stretch of bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum ChunkPart<'a> {
    /// Bytes of the body.
    Data(&'a [u8]),
    /// The body is over, and its trailers with it.
    End,
    /// The bytes are used up.
    More,
}

/// Where in the coding one is.
#[derive(Clone, Copy, Debug)]
pub enum Chunks {
    /// In the size of a chunk, of which so many digits were read.
    Size { size: u64, digits: u32 },
    /// In what may follow the size, to the end of the line.
    Extension { size: u64 },
    /// Before the LF behind a size.
    SizeEnd { size: u64 },
    /// In a chunk.
    Data { left: u64 },
    /// Before the CR, or then the LF, behind a chunk.
    DataEnd { wanted: u8 },
    /// In the trailers: in a line of so many bytes, and whether its CR has come.
    Trailer { length: usize, carriage: bool },
}

/// No chunk is larger: sixteen digits would not fit.
const DIGITS_MAX: u32 = 15;

impl Chunks {
    pub const START: Self = Self::Size { size: 0, digits: 0 };

    /// Takes what it can make a part of from the front of `bytes`.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<ChunkPart<'a>, Failure> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let Self::Data { left } = self {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let (data, rest) = bytes.split_at(length);
                *left -= length as u64;
                if *left == 0 {
                    *self = Self::DataEnd { wanted: b'\r' };
                }
                *bytes = rest;
                return Ok(ChunkPart::Data(data));
            }
            let is_end = matches!(self, Self::Trailer { length: 0, carriage: true });
            *self = self.after(byte).ok_or_else(|| self.refusal(bytes))?;
            *bytes = rest;
            if is_end {
                return Ok(ChunkPart::End);
            }
        }
        Ok(ChunkPart::More)
    }

    /// Where a byte outside the data leads; `None` when it must not be there.
    fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size { size, digits }, b'\r' | b';') if digits > 0 => Some(match byte {
                b'\r' => Self::SizeEnd { size },
                _ => Self::Extension { size },
            }),
            (Self::Size { size, digits }, _) if digits < DIGITS_MAX => {
                let digit = char::from(byte).to_digit(16)?;
                Some(Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
            }
            (Self::Extension { size }, b'\r') => Some(Self::SizeEnd { size }),
            (Self::Extension { .. }, _) if byte != b'\n' => Some(self),
            (Self::SizeEnd { size: 0 }, b'\n') => {
                Some(Self::Trailer { length: 0, carriage: false })
            }
            (Self::SizeEnd { size }, b'\n') => Some(Self::Data { left: size }),
            (Self::DataEnd { wanted: b'\r' }, b'\r') => Some(Self::DataEnd { wanted: b'\n' }),
            (Self::DataEnd { wanted: b'\n' }, b'\n') => Some(Self::START),
            (Self::Trailer { carriage: true, .. }, b'\n') => {
                Some(Self::Trailer { length: 0, carriage: false })
            }
            (Self::Trailer { length, carriage: false }, b'\r') => {
                Some(Self::Trailer { length, carriage: true })
            }
            (Self::Trailer { length, carriage: false }, _) if byte != b'\n' => {
                Some(Self::Trailer { length: length + 1, carriage: false })
            }
            _ => None,
        }
    }

    fn refusal(self, bytes: &[u8]) -> Failure {
        Failure::new(format!("Cannot read a chunk at {}", quoted(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODED: &[u8] = b"5\r\nHello\r\n8;a=\"b\"\r\n, World!\r\n000\r\nx: y\r\n\r\n";

    /// Takes pieces apart, and returns the data and whether the end has come.
    fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<u8>, bool), Failure> {
        let (mut chunks, mut data, mut is_over) = (Chunks::START, Vec::new(), false);
        for mut piece in pieces {
            loop {
                match chunks.next(&mut piece)? {
                    ChunkPart::Data(bytes) => data.extend_from_slice(bytes),
                    ChunkPart::End => is_over = true,
                    ChunkPart::More => break,
                }
            }
        }
        Ok((data, is_over))
    }

    #[test]
    fn chunks_are_joined_at_every_split() {
        for place in 0..=CODED.len() {
            let (one, two) = CODED.split_at(place);
            let (data, is_over) = decoded([one, two]).unwrap();
            assert_eq!((data.as_slice(), is_over), (&b"Hello, World!"[..], true), "at {place}");
        }
        assert_eq!(decoded(CODED.chunks(1)).unwrap().0, b"Hello, World!");
    }

    #[test]
    fn every_prefix_is_partial() {
        for place in 0..CODED.len() {
            assert!(!decoded([&CODED[..place]]).unwrap().1, "at {place}");
        }
    }

    #[test]
    fn the_end_leaves_what_follows() {
        let mut bytes = &b"0\r\n\r\nHTTP"[..];
        let mut chunks = Chunks::START;
        assert_eq!(chunks.next(&mut bytes).unwrap(), ChunkPart::End);
        assert_eq!(bytes, b"HTTP");
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for wrong in [
            &b"\r\n"[..],
            b"x\r\n",
            b"5\n",
            b"5\rx",
            b"5\r\nHelloX",
            b"5\r\nHello\n",
            b"0\r\n\n",
            b"0\r\nx\n",
            b"0\r\n\rx",
            b"1;a\nb",
            b"1234567812345678",
        ] {
            assert!(decoded([wrong]).is_err(), "{}", wrong.escape_ascii());
        }
    }
}
