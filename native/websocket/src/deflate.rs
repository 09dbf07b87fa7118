//! permessage-deflate (RFC 7692): whole messages are compressed and decompressed.
//!
//! A thread has one decompressor, and a compressor for each size of the window, made when
//! they are first needed. None belongs to a connection: each message starts from the
//! connection's history, which the caller lends. That is the end of what was sent or
//! received before, or nothing without context takeover. A history takes as many bytes as it
//! holds, at most 32 KiB; a compressor for each connection would take 270 KiB.

use std::cell::RefCell;

use zlib_rs::{
    Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Method, Status, Strategy,
};

/// The largest window has 32 KiB.
pub const WINDOW_BITS_MAX: u32 = 15;
/// The smallest window has 256 bytes.
pub const WINDOW_BITS_MIN: u32 = 8;
/// The best compression, and the slowest. The least is 1.
pub const LEVEL_MAX: u32 = 9;

/// Bytes that a message may grow by, beside an eighth: see [`deflate`].
pub const ROOM: usize = 64;

/// What a sender removes from the end of every message: an empty stored block without its
/// first bits.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// What follows a message here: the tail, and an empty block that ends the stream. Only after
/// a message that is whole does the stream end with the last of these bytes.
const AFTER: [u8; 6] = [0, 0, 0xFF, 0xFF, 3, 0];

/// zlib has no window of 256 bytes. But it refers back at most by its window less 262 bytes:
/// with the window of 512 bytes by 250, which a peer with a window of 256 can follow.
const COMPRESSOR_BITS_MIN: u32 = 9;
const COMPRESSORS: usize = (WINDOW_BITS_MAX - COMPRESSOR_BITS_MIN + 1) as usize;
/// zlib's default of 8 makes larger blocks, which take 0.4 percent off a megabyte. But a
/// kilobyte then takes a tenth longer: it touches more memory.
const MEMORY_LEVEL: i32 = 5;

/// A block may end the stream (BFINAL), and another stream may follow in the same message:
/// RFC 7692 section 7.2.3.4. Such a stream can be two bytes long, and beginning one takes two
/// microseconds, since the history is copied. So their number is bounded: by this one, and by
/// the length of the message.
const STREAMS_FREE: usize = 64;
/// One more stream is allowed for so many bytes of a message. Streams then take less time than
/// blocks with codes of their own, of which a message may consist.
const STREAM_BYTES: usize = 64;

/// Bytes of a message that one call takes. A block with codes of its own can be eleven bytes
/// long, and reading its codes takes a microsecond: so a call takes a millisecond at most.
const CALL_BYTES: usize = 8 * 1024;

/// The message is not what a compressor writes, or is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// What has been decompressed of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inflated {
    /// The message is whole, and ends at this place.
    Whole(usize),
    /// The bytes are full, and the message may go on.
    Full,
    /// The call has taken its share of a long message, which goes on.
    Partial,
}

struct Inflater {
    stream: Inflate,
    /// Bytes taken of the message, and of those behind it.
    taken: usize,
    /// Bytes written of what it is decompressed into.
    written: usize,
    /// Streams that have ended in the message.
    ended: usize,
}

thread_local! {
    static INFLATER: RefCell<Option<Inflater>> = const { RefCell::new(None) };
    static ASIDE: RefCell<Vec<Option<Inflater>>> = const { RefCell::new(Vec::new()) };
    static COMPRESSORS_BY_BITS: RefCell<[Option<Deflate>; COMPRESSORS]> =
        const { RefCell::new([const { None }; COMPRESSORS]) };
}

/// Decompresses `message` into `out`. `is_first` begins a message. The caller calls again with
/// all that was decompressed so far in the beginning of `out`, and with more room when `out` was
/// full.
///
/// `history` is the end of the messages before, at most 32 KiB of it; empty without context
/// takeover.
///
/// # Errors
///
/// [`Corrupt`], also for a message that is not whole.
pub fn inflate(
    message: &[u8],
    history: &[u8],
    out: &mut [u8],
    is_first: bool,
) -> Result<Inflated, Corrupt> {
    // A message of no bytes is no stream, but some compressors make an empty one so.
    if message.is_empty() {
        return Ok(Inflated::Whole(0));
    }
    INFLATER.with_borrow_mut(|inflater| {
        let inflater = inflater.get_or_insert_with(Inflater::new);
        if is_first {
            inflater.begin(history)?;
        }
        inflater.inflate(message, history, out)
    })
}

/// Sets the decompressor aside in the middle of a message, so that others come in between.
/// Returns a number for [`resume`], unless no message was begun on this thread.
#[must_use]
pub fn set_aside() -> Option<usize> {
    let inflater = INFLATER.take()?;
    ASIDE.with_borrow_mut(|places| {
        let free = places.iter().position(Option::is_none);
        let number = free.unwrap_or(places.len());
        match places.get_mut(number) {
            Some(place) => *place = Some(inflater),
            None => places.push(Some(inflater)),
        }
        Some(number)
    })
}

/// Goes on with the message that was set aside under `number`: the next calls are about it, or
/// begin another. Returns whether there was one.
#[must_use]
pub fn resume(number: usize) -> bool {
    let inflater = ASIDE.with_borrow_mut(|places| {
        let inflater = places.get_mut(number)?.take();
        while places.last().is_some_and(Option::is_none) {
            places.pop();
        }
        inflater
    });
    let is_there = inflater.is_some();
    if is_there {
        INFLATER.set(inflater);
    }
    is_there
}

/// Compresses `message` into `out` with references into a window of `2^window_bits` bytes,
/// and returns how many bytes that took. `history` is as in [`inflate`], of what was sent.
///
/// Returns `None` when the result does not fit, or the window or the level is none. It
/// fits into an eighth more bytes than `message` has, and [`ROOM`].
#[must_use]
pub fn deflate(
    message: &[u8],
    history: &[u8],
    out: &mut [u8],
    window_bits: u32,
    level: u32,
) -> Option<usize> {
    let is_known = (WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(&window_bits)
        && (1..=LEVEL_MAX).contains(&level);
    if !is_known {
        return None;
    }
    let history = last(history, 1 << window_bits);
    let window_bits = window_bits.max(COMPRESSOR_BITS_MIN);
    COMPRESSORS_BY_BITS.with_borrow_mut(|compressors| {
        let place = compressors.get_mut((window_bits - COMPRESSOR_BITS_MIN) as usize)?;
        let mut compressor = place.take().unwrap_or_else(|| new_compressor(window_bits));
        let length = compress(&mut compressor, message, history, out, level)?;
        // One that was stopped by a full `out` is not used again: zlib-rs 0.6.8 loses room
        // when it is reset before all is flushed, and panics when none is left.
        *place = Some(compressor);
        let compressed = out.get(..length)?;
        Some(compressed.strip_suffix(&TAIL)?.len())
    })
}

/// Returns the length with the tail; `None` when that does not fit.
fn compress(
    compressor: &mut Deflate,
    message: &[u8],
    history: &[u8],
    out: &mut [u8],
    level: u32,
) -> Option<usize> {
    compressor.reset();
    compressor.set_level(level as i32).ok()?;
    if !history.is_empty() {
        compressor.set_dictionary(history).ok()?;
    }
    compressor.compress(message, out, DeflateFlush::SyncFlush).ok()?;
    let length = compressor.total_out() as usize;
    // With no room left, more may be to come.
    let is_whole = length < out.len() && compressor.total_in() == message.len() as u64;
    is_whole.then_some(length)
}

fn new_compressor(window_bits: u32) -> Deflate {
    Deflate::new_with_config(DeflateConfig {
        level: 1,
        method: Method::Deflated,
        // Negative: deflate alone, without the header of zlib.
        window_bits: -(window_bits as i32),
        mem_level: MEMORY_LEVEL,
        strategy: Strategy::Default,
    })
}

impl Inflater {
    fn new() -> Self {
        // References into a smaller window are references into this one.
        let stream = Inflate::new(false, WINDOW_BITS_MAX as u8);
        Self { stream, taken: 0, written: 0, ended: 0 }
    }

    fn begin(&mut self, history: &[u8]) -> Result<(), Corrupt> {
        self.taken = 0;
        self.written = 0;
        self.ended = 0;
        self.restart(history, &[])
    }

    /// Begins a stream that may refer to `history`, and behind it `written`.
    fn restart(&mut self, history: &[u8], written: &[u8]) -> Result<(), Corrupt> {
        const WINDOW: usize = 1 << WINDOW_BITS_MAX;
        self.stream.reset(false);
        for part in [last(history, WINDOW.saturating_sub(written.len())), last(written, WINDOW)] {
            if !part.is_empty() {
                self.stream.set_dictionary(part).map_err(|_| Corrupt)?;
            }
        }
        Ok(())
    }

    fn inflate(
        &mut self,
        message: &[u8],
        history: &[u8],
        out: &mut [u8],
    ) -> Result<Inflated, Corrupt> {
        let share = message.len().min(self.taken.saturating_add(CALL_BYTES));
        loop {
            let room = out.get_mut(self.written..).unwrap_or_default();
            let rest = self.rest(message, share);
            let before = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.decompress(rest, room, InflateFlush::SyncFlush);
            self.taken += (self.stream.total_in() - before.0) as usize;
            self.written += (self.stream.total_out() - before.1) as usize;
            if status.map_err(|_| Corrupt)? == Status::StreamEnd {
                if self.is_at_end(message) {
                    return Ok(Inflated::Whole(self.written));
                }
                self.ended += 1;
                if self.ended > STREAMS_FREE + self.taken / STREAM_BYTES {
                    return Err(Corrupt);
                }
                self.restart(history, out.get(..self.written).unwrap_or_default())?;
            } else if self.written >= out.len() {
                return Ok(Inflated::Full);
            } else if (share..message.len()).contains(&self.taken) {
                return Ok(Inflated::Partial);
            } else if self.taken >= message.len() + AFTER.len() {
                return Err(Corrupt);
            }
        }
    }

    /// What is next: of the message before `share`, or of the bytes behind it.
    fn rest<'a>(&self, message: &'a [u8], share: usize) -> &'a [u8] {
        match message.get(self.taken..share) {
            Some(rest) if !rest.is_empty() => rest,
            _ => AFTER.get(self.taken.wrapping_sub(message.len())..).unwrap_or_default(),
        }
    }

    /// Whether a stream that ends here has ended where the message may end: with its last
    /// byte, or with the tail, when the message's last block ends the stream; otherwise with
    /// the block that was put behind.
    fn is_at_end(&self, message: &[u8]) -> bool {
        let beyond = self.taken.checked_sub(message.len());
        beyond.is_some_and(|beyond| [0, TAIL.len(), AFTER.len()].contains(&beyond))
    }
}

/// The last bytes, at most `count`.
fn last(bytes: &[u8], count: usize) -> &[u8] {
    bytes.get(bytes.len().saturating_sub(count)..).unwrap_or_default()
}
