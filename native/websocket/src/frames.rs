//! Frames (RFC 6455 section 5): where each message lies, unmasked and checked.
//!
//! The parser allocates nothing and takes any split of the stream: the progress of a
//! message is kept in a few words of the caller's. It never reads a byte that it does not
//! report as consumed, except of a head or a control frame that is not whole yet.

use crate::mask::{Unmasked, unmask};
use crate::utf8::Carry;

/// Words of a state.
pub const STATE_WORDS: usize = 10;
/// Words of a row: its kind with flags, where its bytes start and end, and a code.
pub const ROW_WORDS: usize = 4;
/// The longest payload of a control frame: RFC 6455 section 5.5.
pub const CONTROL_MAX: usize = 125;

/// A row of the table.
pub type Row = [u32; ROW_WORDS];
/// The words that a connection keeps.
pub type State = [u32; STATE_WORDS];

/// The words of a state.
pub mod word {
    /// The bits of [`super::setting`].
    pub const SETTINGS: usize = 0;
    /// The most bytes of a message, as they are received.
    pub const MESSAGE_MAX: usize = 1;
    /// The most frames of a message.
    pub const FRAGMENTS_MAX: usize = 2;
    /// The first of the words that are 0 between two messages. While a message has begun, it
    /// is its opcode, with the bits of [`super::progress`].
    pub const PROGRESS: usize = 3;
    /// The bytes that are missing of a frame's payload.
    pub const MISSING: usize = 4;
    /// The key for the next of them.
    pub const KEY: usize = 5;
    /// The bytes of the message in all frames that have begun.
    pub const MESSAGE_BYTES: usize = 6;
    /// The frames of the message that have begun.
    pub const FRAGMENTS: usize = 7;
    /// A UTF-8 sequence that is not whole: see [`crate::utf8::Carry`].
    pub const CARRY: usize = 8;
    /// Out: the bytes that were taken.
    pub const CONSUMED: usize = 9;
}

/// What holds for a connection.
pub mod setting {
    /// Every frame must be masked, as those of clients are; otherwise, none may be.
    pub const MASKED: u32 = 1;
    /// A message may be compressed (RFC 7692 section 6).
    pub const COMPRESSION: u32 = 1 << 1;
}

/// Bits beside the opcode in [`word::PROGRESS`], where [`kind`] has them in a row.
pub mod progress {
    /// No row was written for the message yet.
    pub const BEGIN: u32 = super::kind::BEGIN;
    /// The frame is the last of its message.
    pub const FINAL: u32 = super::kind::END;
    /// The message is compressed.
    pub const COMPRESSED: u32 = super::kind::COMPRESSED;
}

/// What a row is about, in its lowest four bits, and flags above them.
pub mod kind {
    /// The bits of the kind: of frames, the opcode.
    pub const MASK: u32 = 15;
    /// A piece of a text.
    pub const TEXT: u32 = 1;
    /// A piece of a binary message.
    pub const BINARY: u32 = 2;
    /// A close, with its code and its reason.
    pub const CLOSE: u32 = 8;
    /// A ping.
    pub const PING: u32 = 9;
    /// A pong.
    pub const PONG: u32 = 10;
    /// What ends the connection: see [`super::Failure`].
    pub const FAILURE: u32 = 15;
    /// The first piece of its message.
    pub const BEGIN: u32 = 1 << 4;
    /// The last piece of its message.
    pub const END: u32 = 1 << 5;
    /// The message is compressed.
    pub const COMPRESSED: u32 = 1 << 6;
    /// The piece of a text has only bytes below 128.
    pub const ASCII: u32 = 1 << 7;
}

/// The code of a close frame without a code: RFC 6455 section 7.1.5.
pub const NO_CODE: u16 = 1005;

const PROTOCOL_ERROR: u16 = 1002;
const INVALID_PAYLOAD: u16 = 1007;
const POLICY_VIOLATION: u16 = 1008;
const TOO_BIG: u16 = 1009;

/// Why a connection fails. The numbers are those of `src/websocket/frames.ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Failure {
    /// A reserved bit is set, or RSV1 where no compressed message begins.
    ReservedBits = 1,
    /// The opcode is none of RFC 6455.
    UnknownOpcode = 2,
    /// A control frame is not final.
    FragmentedControl = 3,
    /// A control frame is longer than [`CONTROL_MAX`].
    LongControl = 4,
    /// A frame of a client is not masked.
    NotMasked = 5,
    /// A frame of a server is masked.
    Masked = 6,
    /// A length is written with more bytes than it needs, or has its highest bit set.
    Length = 7,
    /// A continuation, but no message has begun.
    NothingToContinue = 8,
    /// A message begins inside another.
    MessageInMessage = 9,
    /// A close frame of one byte.
    ShortClose = 10,
    /// A code that no close frame may have.
    CloseCode = 11,
    /// A text is no UTF-8.
    InvalidText = 12,
    /// The reason of a close frame is no UTF-8.
    InvalidReason = 13,
    /// A message has too many frames.
    TooManyFragments = 14,
    /// A message is too long.
    MessageTooLong = 15,
}

impl Failure {
    /// The code of the close frame that answers it: RFC 6455 section 7.4.1.
    pub fn code(self) -> u16 {
        match self {
            Self::InvalidText | Self::InvalidReason => INVALID_PAYLOAD,
            Self::TooManyFragments => POLICY_VIOLATION,
            Self::MessageTooLong => TOO_BIG,
            _ => PROTOCOL_ERROR,
        }
    }
}

/// Parses the frames that begin at `start` of `buffer`, until the bytes end, `rows` is
/// full, or a close frame or a failure ends the connection. Returns how many rows were
/// written.
///
/// The payload of each whole frame gets a row, and so does the part that is there of a
/// message's frame that is not whole. [`word::CONSUMED`] says how many bytes were taken:
/// the caller hands in the others again, before those that follow them. A close frame or
/// a failure takes all. A head or control frame that is not whole is not taken. Positions count
/// from the start of `buffer`.
pub fn parse(buffer: &mut [u8], start: usize, state: &mut State, rows: &mut [Row]) -> usize {
    let end = buffer.len();
    let mut parser = Parser::new(buffer, start, state);
    let mut written = 0;
    for row in rows {
        match parser.next_row() {
            Ok(Some(found)) => *row = found,
            Ok(None) => break,
            Err(failure) => {
                *row = [kind::FAILURE, failure as u32, 0, failure.code().into()];
                parser.end();
            }
        }
        written += 1;
        if parser.ended {
            parser.at = end;
            break;
        }
    }
    parser.save(state, start);
    written
}

/// The head of a frame.
struct Head {
    /// FIN, the reserved bits and the opcode.
    first: u8,
    /// Bytes of the head itself.
    size: usize,
    /// Bytes of the payload.
    length: u64,
    key: u32,
}

/// Bits of a head's first byte.
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
/// The opcodes from this one on are those of control frames.
const CONTROL: u8 = 8;
/// Bits of a head's second byte.
const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// Lengths that say how many bytes the length has.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

struct Parser<'b> {
    buffer: &'b mut [u8],
    at: usize,
    settings: u32,
    message_max: u32,
    fragments_max: u32,
    progress: u32,
    missing: u32,
    key: u32,
    message_bytes: u32,
    fragments: u32,
    carry: Carry,
    /// Whether a close frame or a failure was found.
    ended: bool,
}

impl<'b> Parser<'b> {
    fn new(buffer: &'b mut [u8], at: usize, state: &State) -> Self {
        let [
            settings,
            message_max,
            fragments_max,
            progress,
            missing,
            key,
            message_bytes,
            fragments,
            carry,
            _,
        ] = *state;
        Self {
            buffer,
            at,
            settings,
            message_max,
            fragments_max,
            progress,
            missing,
            key,
            message_bytes,
            fragments,
            carry: Carry::from_word(carry),
            ended: false,
        }
    }

    fn save(&self, state: &mut State, start: usize) {
        state[word::PROGRESS] = self.progress;
        state[word::MISSING] = self.missing;
        state[word::KEY] = self.key;
        state[word::MESSAGE_BYTES] = self.message_bytes;
        state[word::FRAGMENTS] = self.fragments;
        state[word::CARRY] = self.carry.to_word();
        state[word::CONSUMED] = self.at.saturating_sub(start) as u32;
    }

    /// The next row, or none while the bytes for one are missing.
    fn next_row(&mut self) -> Result<Option<Row>, Failure> {
        loop {
            if self.missing > 0 {
                return self.piece();
            }
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let Some(head) = Head::read(rest, self.settings)? else { return Ok(None) };
            if head.first & OPCODE >= CONTROL {
                return self.control(&head);
            }
            self.begin_frame(&head)?;
            self.at += head.size;
            // An empty frame has a row only where its message ends.
            if self.missing == 0 && self.progress & progress::FINAL != 0 {
                return self.piece();
            }
        }
    }

    /// Takes over the head of a message's frame.
    fn begin_frame(&mut self, head: &Head) -> Result<(), Failure> {
        let opcode = head.first & OPCODE;
        let compressed = head.first & RSV1 != 0;
        if opcode == 0 {
            if self.progress == 0 {
                return Err(Failure::NothingToContinue);
            }
            if compressed {
                return Err(Failure::ReservedBits);
            }
        } else {
            if self.progress != 0 {
                return Err(Failure::MessageInMessage);
            }
            self.progress = u32::from(opcode) | progress::BEGIN;
            if compressed {
                self.progress |= progress::COMPRESSED;
            }
        }
        if head.first & FIN != 0 {
            self.progress |= progress::FINAL;
        }
        if self.fragments >= self.fragments_max {
            return Err(Failure::TooManyFragments);
        }
        self.fragments += 1;
        let bytes = u64::from(self.message_bytes).saturating_add(head.length);
        if bytes > self.message_max.into() {
            return Err(Failure::MessageTooLong);
        }
        // Both are at most the bound of a message, which a word holds.
        self.message_bytes = bytes as u32;
        self.missing = head.length as u32;
        self.key = head.key;
        Ok(())
    }

    /// The row for what is there of the frame's payload.
    fn piece(&mut self) -> Result<Option<Row>, Failure> {
        let start = self.at;
        let rest = self.buffer.get_mut(start..).unwrap_or_default();
        let length = rest.len().min(self.missing as usize);
        if length == 0 && self.missing > 0 {
            return Ok(None);
        }
        let payload = rest.get_mut(..length).unwrap_or_default();
        let unmasked = unmask(payload, self.key);
        let mut row_kind = self.progress;
        if self.progress & (kind::MASK | progress::COMPRESSED) == kind::TEXT {
            row_kind |= self.check_text(start..start + length, &unmasked)?;
        }
        self.at += length;
        self.missing -= length as u32;
        self.key = unmasked.key;
        if self.missing > 0 {
            row_kind &= !kind::END;
            self.progress &= !progress::BEGIN;
        } else if row_kind & kind::END != 0 {
            if !self.carry.is_empty() {
                return Err(Failure::InvalidText);
            }
            self.rest();
        } else {
            self.progress &= !progress::BEGIN;
            self.key = 0;
        }
        Ok(Some([row_kind, start as u32, self.at as u32, 0]))
    }

    /// Checks a piece of a text, and returns its flag.
    fn check_text(
        &mut self,
        place: std::ops::Range<usize>,
        unmasked: &Unmasked,
    ) -> Result<u32, Failure> {
        if unmasked.ascii && self.carry.is_empty() {
            return Ok(kind::ASCII);
        }
        let piece = self.buffer.get(place).unwrap_or_default();
        self.carry = self.carry.check(piece).map_err(|_| Failure::InvalidText)?;
        Ok(0)
    }

    /// The row of a control frame, if it is whole.
    fn control(&mut self, head: &Head) -> Result<Option<Row>, Failure> {
        let start = self.at + head.size;
        let end = start + head.length as usize;
        let Some(payload) = self.buffer.get_mut(start..end) else { return Ok(None) };
        unmask(payload, head.key);
        self.at = end;
        let opcode = u32::from(head.first & OPCODE);
        if opcode != kind::CLOSE {
            return Ok(Some([opcode, start as u32, end as u32, 0]));
        }
        let (code, reason) = close_code(payload)?;
        let row = [opcode, (end - reason) as u32, end as u32, code.into()];
        self.end();
        Ok(Some(row))
    }

    /// Ends the connection.
    fn end(&mut self) {
        self.rest();
        self.ended = true;
    }

    /// Forgets the message: nothing of it is missing.
    fn rest(&mut self) {
        self.progress = 0;
        self.missing = 0;
        self.key = 0;
        self.message_bytes = 0;
        self.fragments = 0;
        self.carry = Carry::default();
    }
}

impl Head {
    /// Reads the head at the start of `bytes`, or none while it is partial. What is wrong
    /// with its first two bytes is found without the others.
    fn read(bytes: &[u8], settings: u32) -> Result<Option<Self>, Failure> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let (first, second) = (*first, *second);
        check_first(first, settings)?;
        let masked = second & MASK != 0;
        if masked != (settings & setting::MASKED != 0) {
            return Err(if masked { Failure::Masked } else { Failure::NotMasked });
        }
        let short = second & LENGTH;
        if first & OPCODE >= CONTROL {
            if first & FIN == 0 {
                return Err(Failure::FragmentedControl);
            }
            if usize::from(short) > CONTROL_MAX {
                return Err(Failure::LongControl);
            }
        }
        let (length, rest) = match short {
            LENGTH_16 => {
                let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let length = u16::from_be_bytes(*length).into();
                (minimal(length, LENGTH_16.into(), u16::MAX.into())?, rest)
            }
            LENGTH_64 => {
                let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let length = u64::from_be_bytes(*length);
                (minimal(length, u64::from(u16::MAX) + 1, i64::MAX as u64)?, rest)
            }
            short => (short.into(), rest),
        };
        let mut size = bytes.len() - rest.len();
        let mut key = 0;
        if masked {
            let Some(bytes) = rest.first_chunk() else { return Ok(None) };
            key = u32::from_le_bytes(*bytes);
            size += bytes.len();
        }
        Ok(Some(Self { first, size, length, key }))
    }
}

/// RFC 6455 section 5.2: known opcodes, and no reserved bit that no extension has.
fn check_first(first: u8, settings: u32) -> Result<(), Failure> {
    let opcode = first & OPCODE;
    let allowed = if settings & setting::COMPRESSION != 0 && opcode < CONTROL { RSV1 } else { 0 };
    if first & RESERVED & !allowed != 0 {
        return Err(Failure::ReservedBits);
    }
    if matches!(opcode, 3..=7 | 11..) {
        return Err(Failure::UnknownOpcode);
    }
    Ok(())
}

/// RFC 6455 section 5.2: a length is written with the fewest bytes that hold it.
fn minimal(length: u64, least: u64, greatest: u64) -> Result<u64, Failure> {
    if (least..=greatest).contains(&length) { Ok(length) } else { Err(Failure::Length) }
}

/// The code of a close frame, and the length of its reason: RFC 6455 sections 5.5.1 and
/// 7.4, and the codes that IANA has registered since.
fn close_code(payload: &[u8]) -> Result<(u16, usize), Failure> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok((NO_CODE, 0)) } else { Err(Failure::ShortClose) };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Failure::CloseCode);
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(Failure::InvalidReason);
    }
    Ok((code, reason.len()))
}
