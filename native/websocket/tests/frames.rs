//! `frames::parse`: a table of bytes and outcomes, and streams that are split anywhere, on memory
//! that ends where the bytes end.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "mmap for the unreadable page, and set-up"
)]

#[path = "../../tests/util/flush.rs"]
mod flush;
#[path = "../../tests/util/random.rs"]
mod random;

use denio_websocket::frames::{
    CONTROL_MAX, Failure, NO_CODE, ROW_WORDS, Row, STATE_WORDS, State, kind, parse, setting, word,
};
use flush::Flush;
use random::Random;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const MESSAGE_MAX: u32 = 70_000;
const FRAGMENTS_MAX: u32 = 20;
/// The longest head, and the longest payload of a control frame: more is never left over.
const LEFT_MAX: usize = 14 + CONTROL_MAX;

/// What a connection hears of.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    /// A whole message: its kind and whether it is compressed.
    Message(u32, Vec<u8>),
    /// A control frame: its kind, its payload and its code.
    Control(u32, Vec<u8>, u32),
    /// A failure: its number and its code.
    Failure(u32, u32),
}

fn failure(failure: Failure) -> Event {
    Event::Failure(failure as u32, failure.code().into())
}

fn text(bytes: &[u8]) -> Event {
    Event::Message(kind::TEXT, bytes.to_vec())
}

fn binary(bytes: &[u8]) -> Event {
    Event::Message(kind::BINARY, bytes.to_vec())
}

fn close(code: u32, reason: &str) -> Event {
    Event::Control(kind::CLOSE, reason.as_bytes().to_vec(), code)
}

fn mask(payload: &[u8]) -> impl Iterator<Item = u8> {
    payload.iter().zip(KEY.into_iter().cycle()).map(|(byte, key)| byte ^ key)
}

/// A frame with the shortest length.
fn frame_of(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(bit | length as u8),
        length @ 126..65_536 => {
            frame.push(bit | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(bit | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend(KEY);
        frame.extend(mask(payload));
    } else {
        frame.extend(payload);
    }
    frame
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    frame_of(first, payload, true)
}

fn close_frame(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// A connection: what it keeps between two calls, and what it has heard of.
struct Connection {
    state: State,
    /// Bytes that were not consumed.
    left: Vec<u8>,
    /// The message that has begun, as its rows say.
    message: Option<(u32, Vec<u8>)>,
    events: Vec<Event>,
    ended: bool,
}

impl Connection {
    fn new(settings: u32) -> Self {
        let mut state = [0; STATE_WORDS];
        state[word::SETTINGS] = settings;
        state[word::MESSAGE_MAX] = MESSAGE_MAX;
        state[word::FRAGMENTS_MAX] = FRAGMENTS_MAX;
        Self { state, left: Vec::new(), message: None, events: Vec::new(), ended: false }
    }

    fn server() -> Self {
        Self::new(setting::MASKED)
    }

    /// Parses a piece as a connection does, with a table of `rows`, and `before` bytes of
    /// others in front of it.
    fn data(&mut self, piece: &[u8], rows: usize, before: usize) {
        if self.ended {
            return;
        }
        let mut bytes = vec![0xa5; before];
        bytes.append(&mut self.left);
        bytes.extend(piece);
        let mut flush = Flush::new(&bytes);
        let mut start = before;
        loop {
            let mut table = vec![[u32::MAX; ROW_WORDS]; rows];
            let written = parse(flush.bytes(), start, &mut self.state, &mut table);
            let end = start + self.state[word::CONSUMED] as usize;
            assert!(end <= bytes.len() && written <= rows);
            assert!(table[written..].iter().all(|row| *row == [u32::MAX; ROW_WORDS]));
            let mut last = start;
            for row in &table[..written] {
                assert!(!self.ended, "the last row ends the connection");
                last = self.row(row, flush.bytes(), last..end);
            }
            assert_eq!(flush.bytes()[..before], bytes[..before], "written before the start");
            assert_eq!(flush.bytes()[end..], bytes[end..], "changed, but not taken");
            assert_eq!(self.state[word::PROGRESS] == 0, self.is_at_rest());
            if self.ended {
                assert!(end == bytes.len() && self.is_at_rest());
                return;
            }
            start = end;
            if written < rows {
                break;
            }
        }
        self.left = flush.bytes()[start..].to_vec();
        assert!(self.left.len() < LEFT_MAX, "{} bytes are left", self.left.len());
    }

    fn is_at_rest(&self) -> bool {
        self.state[word::PROGRESS..word::CONSUMED].iter().all(|word| *word == 0)
    }

    /// Hears of a row, whose bytes lie in `place`. Returns where they end.
    fn row(&mut self, row: &Row, bytes: &[u8], place: std::ops::Range<usize>) -> usize {
        let [row_kind, start, end, code] = *row;
        if row_kind == kind::FAILURE {
            self.events.push(Event::Failure(start, code));
            self.ended = true;
            return place.end;
        }
        let (start, end) = (start as usize, end as usize);
        assert!(place.start <= start && start <= end && end <= place.end);
        let part = &bytes[start..end];
        if (kind::CLOSE..=kind::PONG).contains(&row_kind) {
            self.ended = row_kind == kind::CLOSE;
            self.events.push(Event::Control(row_kind, part.to_vec(), code));
            return end;
        }
        assert_eq!(row_kind & kind::BEGIN != 0, self.message.is_none(), "BEGIN is the first");
        let is_text = row_kind & (kind::MASK | kind::COMPRESSED) == kind::TEXT;
        assert!(row_kind & kind::ASCII == 0 || is_text && part.is_ascii());
        assert!(!part.is_empty() || row_kind & kind::END != 0, "an empty row before the end");
        let sort = row_kind & (kind::MASK | kind::COMPRESSED);
        let (begun, message) = self.message.get_or_insert((sort, Vec::new()));
        assert_eq!(*begun, sort, "all rows of a message are of its kind");
        message.extend(part);
        if row_kind & kind::END == 0 {
            return end;
        }
        let (sort, message) = self.message.take().unwrap();
        assert!(!is_text || std::str::from_utf8(&message).is_ok());
        self.events.push(Event::Message(sort, message));
        end
    }
}

/// What a server hears of in a stream that comes at once.
fn heard(stream: &[u8]) -> Vec<Event> {
    heard_by(Connection::server(), stream)
}

fn heard_by(mut connection: Connection, stream: &[u8]) -> Vec<Event> {
    connection.data(stream, 64, 3);
    connection.events
}

fn compressing() -> Connection {
    Connection::new(setting::MASKED | setting::COMPRESSION)
}

#[test]
fn messages_and_control_frames_are_heard_in_their_order() {
    let long = vec![b'x'; 65_536];
    let cases: &[(&[Vec<u8>], &[Event])] = &[
        (&[frame(FIN | TEXT, b"hello")], &[text(b"hello")]),
        (&[frame(FIN | TEXT, b"")], &[text(b"")]),
        (&[frame(FIN | BINARY, &long[..125])], &[binary(&long[..125])]),
        (&[frame(FIN | BINARY, &long[..126])], &[binary(&long[..126])]),
        (&[frame(FIN | BINARY, &long[..65_535])], &[binary(&long[..65_535])]),
        (&[frame(FIN | BINARY, &long)], &[binary(&long)]),
        (&[frame(FIN | BINARY, &[0, 255, 128])], &[binary(&[0, 255, 128])]),
        (
            &[frame(TEXT, b"a"), frame(CONTINUATION, b"b"), frame(FIN | CONTINUATION, b"c")],
            &[text(b"abc")],
        ),
        (&[frame(TEXT, b""), frame(CONTINUATION, b""), frame(FIN, b"")], &[text(b"")]),
        // A text that is cut inside a character, by a ping too.
        (
            &[frame(TEXT, b"\xf0\x9f"), frame(FIN | PING, b"p"), frame(FIN, b"\x98\x80")],
            &[Event::Control(kind::PING, b"p".to_vec(), 0), text("😀".as_bytes())],
        ),
        (
            &[frame(FIN | PONG, &long[..125]), frame(FIN | PING, b"")],
            &[
                Event::Control(kind::PONG, long[..125].to_vec(), 0),
                Event::Control(kind::PING, Vec::new(), 0),
            ],
        ),
        (&[frame(FIN | CLOSE, b"")], &[close(NO_CODE.into(), "")]),
        (&[close_frame(1000, b"")], &[close(1000, "")]),
        (&[close_frame(4999, "é".as_bytes())], &[close(4999, "é")]),
        // Inside a message; and nothing is heard of after it.
        (&[frame(TEXT, b"a"), close_frame(1001, b""), frame(FIN | PING, b"")], &[close(1001, "")]),
    ];
    for (frames, events) in cases {
        assert_eq!(heard(&frames.concat()), *events);
    }
}

#[test]
fn faulty_frames_fail_with_their_reason() {
    let cases: &[(&[Vec<u8>], Failure)] = &[
        (&[frame(FIN | RSV1 | TEXT, b"")], Failure::ReservedBits),
        (&[frame(FIN | 0x20 | TEXT, b"")], Failure::ReservedBits),
        (&[frame(FIN | 0x10 | BINARY, b"")], Failure::ReservedBits),
        (&[frame(FIN | RSV1 | PING, b"")], Failure::ReservedBits),
        (&[frame(TEXT, b""), frame(FIN | RSV1, b"")], Failure::ReservedBits),
        (&[frame(FIN | 3, b"")], Failure::UnknownOpcode),
        (&[frame(7, b"")], Failure::UnknownOpcode),
        (&[frame(FIN | 11, b"")], Failure::UnknownOpcode),
        (&[frame(FIN | 15, b"")], Failure::UnknownOpcode),
        (&[frame(PING, b"")], Failure::FragmentedControl),
        (&[frame(CLOSE, b"")], Failure::FragmentedControl),
        (&[frame(FIN | PING, &[0; 126])], Failure::LongControl),
        (&[frame(FIN | CLOSE, &[0; 65_536])], Failure::LongControl),
        (&[frame_of(FIN | TEXT, b"a", false)], Failure::NotMasked),
        (&[vec![FIN | BINARY, 0xfe, 0, 125]], Failure::Length),
        (&[vec![FIN | BINARY, 0xff, 0, 0, 0, 0, 0, 0, 255, 255]], Failure::Length),
        (&[vec![FIN | BINARY, 0xff, 128, 0, 0, 0, 0, 1, 0, 0]], Failure::Length),
        (&[frame(CONTINUATION, b"")], Failure::NothingToContinue),
        (&[frame(FIN | TEXT, b"a"), frame(FIN, b"")], Failure::NothingToContinue),
        (&[frame(TEXT, b""), frame(FIN | TEXT, b"")], Failure::MessageInMessage),
        (&[frame(BINARY, b"a"), frame(FIN | TEXT, b"")], Failure::MessageInMessage),
        (&[frame(FIN | CLOSE, b"a")], Failure::ShortClose),
        (&[close_frame(1000, b"\xc0\x80")], Failure::InvalidReason),
        (&[close_frame(1000, b"\xe2\x82")], Failure::InvalidReason),
        (&[frame(FIN | TEXT, b"\xe2\x82")], Failure::InvalidText),
        (&[frame(TEXT, b"\xe2\x82"), frame(FIN, b"")], Failure::InvalidText),
        (&[frame(TEXT, b"\xe2\x82"), frame(FIN, b"a")], Failure::InvalidText),
        (&[frame(BINARY, &[0; 40_000]), frame(0, &[0; 30_001])], Failure::MessageTooLong),
        (
            &[vec![FIN, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]],
            Failure::NothingToContinue,
        ),
        // Heads whose payloads are not there yet.
        (
            &[vec![FIN | TEXT, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]],
            Failure::MessageTooLong,
        ),
    ];
    for (frames, reason) in cases {
        let events = heard(&frames.concat());
        assert_eq!(events.last(), Some(&failure(*reason)), "{frames:02x?}");
    }
}

#[test]
fn close_codes_are_those_that_a_peer_may_send() {
    for code in 0..=u16::MAX {
        let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let expected =
            if allowed { close(code.into(), "bye") } else { failure(Failure::CloseCode) };
        assert_eq!(heard(&close_frame(code, b"bye")), [expected], "{code}");
    }
}

#[test]
fn compressed_messages_are_told_and_not_checked() {
    let frames = [
        frame(RSV1 | TEXT, b"\xff"),
        frame(FIN | PING, b""),
        frame(FIN, b"\xc0"),
        frame(FIN | RSV1 | BINARY, b""),
        frame(FIN | TEXT, b"plain"),
    ];
    let expected = [
        Event::Control(kind::PING, Vec::new(), 0),
        Event::Message(kind::TEXT | kind::COMPRESSED, b"\xff\xc0".to_vec()),
        Event::Message(kind::BINARY | kind::COMPRESSED, Vec::new()),
        text(b"plain"),
    ];
    let mut connection = compressing();
    connection.data(&frames.concat(), 9, 0);
    assert_eq!(connection.events, expected);
    connection.data(&frame(RSV1 | BINARY, b"a"), 9, 0);
    connection.data(&frame(RSV1, b"b"), 9, 0);
    assert_eq!(connection.events.last(), Some(&failure(Failure::ReservedBits)));
    let ping = heard_by(compressing(), &frame(FIN | RSV1 | PING, b""));
    assert_eq!(ping, [failure(Failure::ReservedBits)]);
}

#[test]
fn client_takes_frames_that_are_not_masked_and_no_others() {
    let frames = [frame_of(FIN | TEXT, "é".as_bytes(), false), frame_of(FIN | PING, b"p", false)];
    let mut client = Connection::new(0);
    client.data(&frames.concat(), 9, 0);
    let ping = Event::Control(kind::PING, b"p".to_vec(), 0);
    assert_eq!(client.events, [text("é".as_bytes()), ping]);
    client.data(&frame(FIN | TEXT, b"a"), 9, 0);
    assert_eq!(client.events.last(), Some(&failure(Failure::Masked)));
}

#[test]
fn bounds_hold_to_the_byte_and_the_frame() {
    let largest = vec![7; MESSAGE_MAX as usize];
    assert_eq!(heard(&frame(FIN | BINARY, &largest)), [binary(&largest)]);
    // The head alone is refused: nothing of the payload was taken.
    let longer = frame(FIN | BINARY, &[largest, vec![7]].concat());
    assert_eq!(heard(&longer[..14]), [failure(Failure::MessageTooLong)]);
    let mut frames = frame(BINARY, b"a");
    for _ in 2..FRAGMENTS_MAX {
        frames.extend(frame(CONTINUATION, b""));
    }
    let whole = [frames.clone(), frame(FIN, b"b")].concat();
    assert_eq!(heard(&[whole.clone(), whole].concat()), [binary(b"ab"), binary(b"ab")]);
    frames.extend(frame(CONTINUATION, b""));
    assert_eq!(heard(&frames), []);
    frames.extend(frame(FIN, b""));
    assert_eq!(heard(&frames), [failure(Failure::TooManyFragments)]);
}

#[test]
fn text_fails_at_its_first_wrong_byte_though_its_frame_is_not_whole() {
    // RFC 3629: overlong, a surrogate, beyond U+10FFFF, no lead, no continuation.
    for wrong in ["\u{e0}\u{80}", "\u{ed}\u{a0}", "\u{f4}\u{90}", "\u{80}", "\u{c3}a"] {
        let wrong: Vec<u8> = wrong.chars().map(|char| char as u8).collect();
        let stream = frame(FIN | TEXT, &[b"good ", wrong.as_slice(), &[b'x'; 90]].concat());
        let cut = 6 + b"good ".len() + wrong.len();
        for split in 0..cut {
            let mut connection = Connection::server();
            connection.data(&stream[..split], 9, 0);
            assert_eq!(connection.events, [], "{wrong:02x?}");
            connection.data(&stream[split..cut], 9, 0);
            assert_eq!(connection.events, [failure(Failure::InvalidText)], "{wrong:02x?}");
        }
    }
}

/// A stream of frames that are mostly good.
fn stream(random: &mut Random) -> Vec<u8> {
    const LENGTHS: [usize; 9] = [0, 1, 2, 5, 31, 64, 125, 126, 300];
    const TEXTS: [&str; 4] = ["plain", "é€😀", "\u{7ff}\u{800}\u{d7ff}", "\u{10ffff}z"];
    let mut stream = Vec::new();
    for _ in 0..=random.below(12) {
        let is_text = random.below(2) == 0;
        let payload: Vec<u8> = if is_text {
            let text = random.pick(&TEXTS).repeat(random.pick(&LENGTHS) / 4);
            text.into_bytes()
        } else {
            (0..random.pick(&LENGTHS)).map(|_| random.next() as u8).collect()
        };
        let mut first = if is_text { TEXT } else { BINARY };
        let mut rest = payload.as_slice();
        // Fragments are cut anywhere, inside characters too.
        for _ in 0..random.below(4) {
            let (part, behind) = rest.split_at(random.below(rest.len() + 1));
            stream.extend(frame(first, part));
            (first, rest) = (CONTINUATION, behind);
            if random.below(3) == 0 {
                let control = random.pick(&[PING, PONG]);
                stream.extend(frame(FIN | control, &payload[..payload.len().min(CONTROL_MAX)]));
            }
        }
        stream.extend(frame(FIN | first, rest));
    }
    if random.below(4) == 0 {
        stream.extend(close_frame(random.pick(&[1000, 1005, 4000]), "é".as_bytes()));
    }
    stream
}

/// Feeds a stream in random pieces, to tables of random sizes.
fn fed(stream: &[u8], settings: u32, random: &mut Random) -> Vec<Event> {
    let mut connection = Connection::new(settings);
    let longest = random.pick(&[1, 2, 7, 40, 400]);
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(longest)));
        let (rows, before) = (1 + random.below(5), random.below(4));
        connection.data(piece, rows, before);
        rest = behind;
    }
    connection.events
}

#[test]
fn every_split_of_a_stream_is_heard_as_the_whole() {
    let mut random = Random(0x64_55);
    for _ in 0..12 {
        let stream = stream(&mut random);
        let whole = heard(&stream);
        assert!(
            !whole.iter().any(|event| matches!(event, Event::Failure(number, _)
            if *number != Failure::CloseCode as u32)),
            "{whole:?}"
        );
        for split in 0..=stream.len() {
            let mut connection = Connection::server();
            connection.data(&stream[..split], 64, 0);
            connection.data(&stream[split..], 2, 1);
            assert_eq!(connection.events, whole, "split at {split}");
        }
        assert_eq!(fed(&stream, setting::MASKED, &mut random), whole);
    }
}

#[test]
fn streams_with_random_faults_are_heard_alike_however_they_are_split() {
    let mut random = Random(0x76_92);
    for _ in 0..800 {
        let mut bytes = stream(&mut random);
        for _ in 0..=random.below(3) {
            let place = random.below(bytes.len());
            match random.below(4) {
                0 if bytes.len() > 1 => drop(bytes.remove(place)),
                1 => bytes.insert(place, random.next() as u8),
                2 => bytes[place] ^= 1 << random.below(8),
                _ => bytes.truncate(place + 1),
            }
        }
        let settings = random.pick(&[setting::MASKED, setting::MASKED | setting::COMPRESSION]);
        let whole = heard_by(Connection::new(settings), &bytes);
        assert_eq!(fed(&bytes, settings, &mut random), whole, "{bytes:02x?}");
    }
}

#[test]
fn any_words_are_a_state() {
    let mut random = Random(0x65_53);
    for _ in 0..5_000 {
        let mut state: State = std::array::from_fn(|_| {
            let any = random.next() as u32;
            random.pick(&[0, 1, 17, 33, 300, u32::MAX, any])
        });
        let bytes: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
        let start = random.below(bytes.len() + 2);
        let mut rows = [[0; ROW_WORDS]; 4];
        let mut flush = Flush::new(&bytes);
        let written = parse(flush.bytes(), start, &mut state, &mut rows);
        assert!(written <= rows.len());
        assert!(state[word::CONSUMED] as usize <= bytes.len().saturating_sub(start));
        assert_eq!(flush.bytes()[..start.min(bytes.len())], bytes[..start.min(bytes.len())]);
    }
}
