//! Compression and decompression against a decoder of RFC 1951 that is written for this test:
//! it also tells how far back a message refers.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use denio_websocket::deflate::{
    Corrupt, Inflated, LEVEL_MAX, ROOM, WINDOW_BITS_MAX, WINDOW_BITS_MIN, deflate, inflate, resume,
    set_aside,
};

/// Some bytes, reproducible by their seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// Words, numbers, runs and noise: what repeats near, far and not at all.
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        const WORDS: [&str; 6] = ["{\"id\":", "\"price\":", "true},", "\u{20ac}uro", "alpha ", "["];
        let mut bytes = Vec::new();
        while bytes.len() < length {
            match self.below(8) {
                0 => bytes.extend((0..self.below(40)).map(|_| self.next() as u8)),
                1 => bytes.resize(bytes.len() + self.below(600), self.next() as u8),
                2 if !bytes.is_empty() => {
                    let start = self.below(bytes.len());
                    let end = bytes.len().min(start + self.below(300));
                    bytes.extend_from_within(start..end);
                }
                _ => bytes.extend_from_slice(WORDS[self.below(WORDS.len())].as_bytes()),
            }
        }
        bytes.truncate(length);
        bytes
    }
}

/// The reference: bits of one stream after the other.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for index in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << index;
            self.at += 1;
        }
        Some(value)
    }

    /// Reads a symbol: RFC 1951 section 3.2.2.
    fn symbol(&mut self, code: &Code) -> Option<usize> {
        let (mut value, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            value |= self.take(1)?;
            if value < first + count {
                return Some(code.symbols[index + value - first]);
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        None
    }
}

/// How many symbols have each length, and the symbols in the order of their codes.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|length| counts[*length] += 1);
        let mut symbols: Vec<_> = (0..lengths.len()).filter(|at| lengths[*at] > 0).collect();
        symbols.sort_by_key(|at| lengths[*at]);
        Self { counts, symbols }
    }
}

/// Decodes a whole message behind `history`: its bytes, and the farthest reference back.
fn reference(message: &[u8], history: &[u8]) -> Option<(Vec<u8>, usize)> {
    let bytes = [message, &[0, 0, 0xFF, 0xFF]].concat();
    let mut bits = Bits { bytes: &bytes, at: 0 };
    let (mut out, mut farthest) = (history.to_vec(), 0);
    while bits.at < 8 * bytes.len() {
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let length = bits.take(16)?;
                assert_eq!(length, bits.take(16)? ^ 0xFFFF);
                for _ in 0..length {
                    out.push(bits.take(8)? as u8);
                }
            }
            1 => {
                let length = |symbol| match symbol {
                    0..144 => 8,
                    144..256 => 9,
                    256..280 => 7,
                    _ => 8,
                };
                let literals: Vec<_> = (0..288).map(length).collect();
                let codes = [Code::new(&literals), Code::new(&[5; 30])];
                block(&mut bits, &codes, &mut out, &mut farthest)?;
            }
            2 => {
                let codes = codes(&mut bits)?;
                block(&mut bits, &codes, &mut out, &mut farthest)?;
            }
            _ => return None,
        }
        if is_last {
            bits.at = bits.at.next_multiple_of(8);
            // Such a block may be the message's last, without one that the tail completes.
            if bits.at == 8 * message.len() {
                break;
            }
        }
    }
    Some((out.split_off(history.len()), farthest))
}

/// The two codes of a dynamic block: RFC 1951 section 3.2.7.
fn codes(bits: &mut Bits<'_>) -> Option<[Code; 2]> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let counts = (bits.take(5)? + 257, bits.take(5)? + 1, bits.take(4)? + 4);
    let mut code = [0; 19];
    for at in &ORDER[..counts.2] {
        code[*at] = bits.take(3)?;
    }
    let mut lengths = Vec::new();
    while lengths.len() < counts.0 + counts.1 {
        match bits.symbol(&Code::new(&code))? {
            16 => lengths.resize(lengths.len() + bits.take(2)? + 3, *lengths.last()?),
            17 => lengths.resize(lengths.len() + bits.take(3)? + 3, 0),
            18 => lengths.resize(lengths.len() + bits.take(7)? + 11, 0),
            length => lengths.push(length),
        }
    }
    let distances = lengths.split_off(counts.0);
    Some([Code::new(&lengths), Code::new(&distances)])
}

fn block(
    bits: &mut Bits<'_>,
    [literals, distances]: &[Code; 2],
    out: &mut Vec<u8>,
    farthest: &mut usize,
) -> Option<()> {
    loop {
        let symbol = bits.symbol(literals)?;
        if symbol < 256 {
            out.push(symbol as u8);
            continue;
        }
        if symbol == 256 {
            return Some(());
        }
        let length = match symbol - 257 {
            place @ 0..8 => 3 + place,
            28 => 258,
            place => {
                let extra = place / 4 - 1;
                3 + ((4 + place % 4) << extra) + bits.take(extra)?
            }
        };
        let place = bits.symbol(distances)?;
        let extra = (place / 2).saturating_sub(1);
        let base = if place < 2 { place } else { (2 + place % 2) << extra };
        let distance = 1 + base + bits.take(extra)?;
        *farthest = distance.max(*farthest);
        let start = out.len().checked_sub(distance)?;
        (start..start + length).for_each(|at| out.push(out[at]));
    }
}

fn compress(message: &[u8], history: &[u8], window_bits: u32, level: u32) -> Vec<u8> {
    let mut out = vec![0; message.len() + message.len() / 8 + ROOM];
    let length = deflate(message, history, &mut out, window_bits, level).unwrap();
    out.truncate(length);
    out
}

/// Decompresses with `room` bytes first, and with as many more whenever they are full.
fn inflate_by(message: &[u8], history: &[u8], room: usize) -> Result<Vec<u8>, Corrupt> {
    let (mut out, mut is_first) = (vec![0; room], true);
    loop {
        match inflate(message, history, &mut out, is_first)? {
            Inflated::Whole(end) => {
                out.truncate(end);
                return Ok(out);
            }
            Inflated::Full => out.resize(out.len() + room, 0),
            Inflated::Partial => {}
        }
        is_first = false;
    }
}

fn last(bytes: &[u8], count: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(count)..]
}

#[test]
fn what_the_rfc_shows_is_decompressed() {
    // RFC 7692 sections 7.2.3.1 to 7.2.3.6.
    let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    assert_eq!(inflate_by(&hello, b"", 100).unwrap(), b"Hello");
    let shared = [0xF2, 0x00, 0x11, 0x00, 0x00];
    assert_eq!(inflate_by(&shared, b"Hello", 100).unwrap(), b"Hello");
    let stored = [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00];
    assert_eq!(inflate_by(&stored, b"", 100).unwrap(), b"Hello");
    let ended = [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00];
    assert_eq!(inflate_by(&ended, b"", 100).unwrap(), b"Hello");
    let blocks = [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00];
    assert_eq!(inflate_by(&blocks, b"", 100).unwrap(), b"Hello");
    assert_eq!(inflate_by(&[0x00], b"", 100).unwrap(), b"");
    assert_eq!(compress(b"Hello", b"", 15, 9), hello);
    assert_eq!(compress(b"Hello", b"Hello", 15, 9), shared);
}

#[test]
fn every_window_and_level_holds_and_is_read_back() {
    let mut random = Random(1);
    for window_bits in WINDOW_BITS_MIN..=WINDOW_BITS_MAX {
        let (mut history, mut refers_back) = (Vec::new(), false);
        for level in 1..=LEVEL_MAX {
            for length in [0, 1, 3, 250, 257, 700, 20_000] {
                let message = random.bytes(length);
                let out = compress(&message, &history, window_bits, level);
                let (read, farthest) = reference(&out, &history).unwrap();
                assert!(read == message, "{window_bits} {level} {length}");
                assert!(farthest <= 1 << window_bits, "{farthest} {window_bits} {level}");
                refers_back |= farthest > 1 << (window_bits - 2);
                assert!(inflate_by(&out, &history, 64 * 1024).unwrap() == message);
                history = last(&[history, message].concat(), 1 << window_bits).to_vec();
            }
        }
        assert!(refers_back, "the window of {window_bits} bits was used");
    }
}

#[test]
fn a_message_is_read_back_with_any_room() {
    let mut random = Random(2);
    for round in 0..300 {
        let length = random.below(3000);
        let (message, history) = (random.bytes(length), random.bytes(round));
        let level = 1 + round as u32 % LEVEL_MAX;
        let out = compress(&message, &history, 15, level);
        for room in [1 + random.below(20), 1 + random.below(3000), length.max(1), length + 1] {
            assert!(inflate_by(&out, &history, room).unwrap() == message, "{round} {room}");
        }
    }
}

#[test]
fn a_message_that_is_cut_is_corrupt_wherever() {
    let mut random = Random(3);
    for level in [1, 3, 9] {
        let message = random.bytes(900);
        let out = compress(&message, b"", 15, level);
        for end in 1..out.len() {
            assert_eq!(inflate_by(&out[..end], b"", 4096), Err(Corrupt), "{level} {end}");
        }
    }
}

#[test]
fn noise_is_corrupt_or_some_bytes_as_the_reference_reads_it() {
    let mut random = Random(4);
    let message = random.bytes(400);
    let whole = compress(&message, b"", 15, 6);
    let mut corrupt = 0;
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        let mut out = [0; 2000];
        match inflate(&bytes, b"", &mut out, true) {
            Ok(Inflated::Whole(end)) => {
                assert!(reference(&bytes, b"").unwrap().0 == out[..end]);
            }
            Ok(Inflated::Full | Inflated::Partial) => {}
            Err(Corrupt) => corrupt += 1,
        }
    }
    assert!(corrupt > 1000, "{corrupt}");
}

#[test]
fn a_bomb_fills_its_room_and_no_more() {
    let zeros = vec![0; 16 << 20];
    let bomb = compress(&zeros, b"", 15, 9);
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let mut out = vec![1; 5000];
    assert_eq!(inflate(&bomb, b"", &mut out[..4000], true), Ok(Inflated::Full));
    assert!(out[..4000].iter().all(|byte| *byte == 0) && out[4000..].iter().all(|byte| *byte == 1));
}

/// A stream that ends itself (BFINAL), with references into what was before.
fn ended(message: &[u8], history: &[u8], pads: bool) -> Vec<u8> {
    let mut stream = zlib_rs::Deflate::new(6, false, 15);
    if !history.is_empty() {
        stream.set_dictionary(history).unwrap();
    }
    let mut out = vec![0; message.len() + 100];
    stream.compress(message, &mut out, zlib_rs::DeflateFlush::Finish).unwrap();
    out.truncate(stream.total_out() as usize);
    out.extend(pads.then_some(0));
    out
}

#[test]
fn streams_that_end_inside_a_message_go_on_with_its_bytes() {
    let mut random = Random(5);
    for round in 0..50 {
        let history = random.bytes(random.0 as usize % 40_000);
        let mut plain = history.clone();
        let mut message = Vec::new();
        let count = 1 + round % 5;
        for index in 0..count {
            let length = if round % 7 == 0 { 40_000 } else { random.below(500) };
            // Most of it is in what was before, across the seams.
            let start = random.below(plain.len().min(32_000) + 1);
            let mut part = last(&plain, start).to_vec();
            part.truncate(length);
            part.extend(random.bytes(20));
            message.extend(ended(&part, last(&plain, 32_768), index + 1 < count || round % 2 == 0));
            // The byte that pads begins a stored block, which these complete.
            if index + 1 < count {
                message.extend([0, 0, 0xFF, 0xFF]);
            }
            plain.extend(part);
        }
        for room in [100, 1 << 20] {
            let read = inflate_by(&message, last(&history, 32_768), room).unwrap();
            assert!(read == plain[history.len()..], "{round} {room}");
        }
    }
}

#[test]
fn a_message_of_streams_that_end_at_once_is_given_up() {
    // Each resets the decompressor and copies 32 KiB.
    let history = vec![7; 32_768];
    let many = [3, 0].repeat(100_000);
    assert_eq!(inflate_by(&many, &history, 100), Err(Corrupt));
    assert_eq!(inflate_by(&[3, 0].repeat(50), &history, 100).unwrap(), b"");
}

#[test]
fn noise_fits_with_an_eighth_and_the_room() {
    let mut random = Random(10);
    for level in 1..=LEVEL_MAX {
        for length in (0..200).chain([4000, 9001, 70_000, 300_000]) {
            let noise: Vec<_> = (0..length).map(|_| random.next() as u8 | 0x90).collect();
            let out = compress(&noise, b"", 9 + random.next() as u32 % 7, level);
            assert!(inflate_by(&out, b"", length + 1).unwrap() == noise);
        }
    }
}

#[test]
fn a_result_without_room_is_none() {
    let message = Random(6).bytes(2000);
    let length = compress(&message, b"", 15, 6).len();
    let mut out = vec![0; length + 5];
    for room in 0..length + 5 {
        assert_eq!(deflate(&message, b"", &mut out[..room], 15, 6), None, "{room}");
    }
    assert_eq!(deflate(&message, b"", &mut out, 15, 6), Some(length));
    for (window_bits, level) in [(7, 6), (16, 6), (0, 6), (u32::MAX, 6), (15, 0), (15, 10)] {
        assert_eq!(deflate(&message, b"", &mut out, window_bits, level), None);
    }
}

#[test]
fn threads_decompress_at_the_same_time_apart() {
    let messages = [Random(7).bytes(9000), Random(8).bytes(9000)];
    let turn = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for message in &messages {
            scope.spawn(|| {
                let bytes = compress(message, b"", 15, 6);
                let mut out = vec![0; message.len() + 1];
                for end in (1000..=9000).step_by(1000) {
                    let got = inflate(&bytes, b"", &mut out[..end], end == 1000);
                    assert!(got == Ok(Inflated::Full) || got == Ok(Inflated::Whole(end)));
                    turn.wait();
                }
                assert!(out[..9000] == *message);
            });
        }
    });
}

#[test]
fn a_call_that_goes_on_with_another_message_is_harmless() {
    let mut random = Random(9);
    let (mut out, mut history) = (vec![0; 700], Vec::new());
    for _ in 0..20_000 {
        let length = random.below(600);
        let message = match random.below(3) {
            0 => compress(&random.bytes(length), b"", 9 + random.next() as u32 % 7, 6),
            1 => random.bytes(length),
            _ => history.clone(),
        };
        let end = random.below(700);
        let is_first = random.below(4) == 0;
        let _ = inflate(&message, &history, &mut out[..end], is_first);
        history = message;
    }
}

/// Blocks of eleven bytes, each with codes of its own, that make no byte.
fn empty_blocks(count: usize) -> Vec<u8> {
    // Lengths for 257 literals and one distance, by a code for lengths of 0 and 1, and for runs.
    let head = [(0b100, 3), (0, 5), (0, 5), (14, 4)];
    let code = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].map(|length| (length, 3));
    // 256 literals have no code, the end and the distance have one of one bit; and the end.
    let rest = [(1, 1), (127, 7), (1, 1), (107, 7), (0, 1), (0, 1), (0, 1)];
    let mut bits = Vec::new();
    for (value, count) in head.into_iter().chain(code).chain(rest) {
        bits.extend((0..count).map(|at| value >> at & 1));
    }
    let all: Vec<_> = bits.repeat(count);
    let byte = |bits: &[u32]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | *bit as u8);
    all.chunks(8).map(byte).collect()
}

#[test]
fn a_call_takes_its_share_of_a_message_and_others_come_in_between() {
    let message = [empty_blocks(8 * 2000), vec![0]].concat();
    let mut out = [0; 100];
    let mut number = None;
    let calls = (0..).find(|_| {
        let is_first = number.is_none();
        assert!(number.is_none_or(resume), "it was set aside");
        let inflated = inflate(&message, b"", &mut out, is_first).unwrap();
        number = set_aside();
        assert_eq!(
            inflate_by(&[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], b"", 9).unwrap(),
            b"Hello"
        );
        inflated == Inflated::Whole(0)
    });
    assert_eq!(calls, Some(message.len() / (8 * 1024)));
    assert!(number.is_some_and(resume) && !number.is_some_and(resume));
}
