//! Parses any bytes as the frames of a connection, and checks what must hold for all.
//!
//! What a connection hears of is the same for every split of the bytes; texts are UTF-8; rows lie
//! in the bytes that were taken, and all other bytes stay as they are; nothing is kept between
//! two messages.

#![no_main]

use std::ops::Range;

use denio_websocket::frames::{ROW_WORDS, STATE_WORDS, State, kind, parse, word};
use libfuzzer_sys::fuzz_target;

/// Small, so that inputs reach it.
const MESSAGE_MAX: u32 = 1000;
const FRAGMENTS_MAX: u32 = 12;
/// Longer inputs are split at some bytes only: each split costs a parse of all.
const SPLITS_MAX: usize = 48;
/// The longest head and control frame: more bytes are never left over.
const LEFT_MAX: usize = 139;

fuzz_target!(|input: &[u8]| {
    // The settings are the first byte's.
    let Some((settings, bytes)) = input.split_first() else { return };
    let whole = Connection::fed(*settings, [bytes], 64);
    let step = bytes.len().div_ceil(SPLITS_MAX).max(1);
    for split in (0..bytes.len()).step_by(step) {
        let (first, then) = bytes.split_at(split);
        let parts = Connection::fed(*settings, [first, then], 2);
        assert_eq!(parts, whole, "split at {split}");
    }
    let single = Connection::fed(*settings, bytes.chunks(1), 1);
    assert_eq!(single, whole, "byte by byte");
});

/// Kind, bytes and code of a message or control frame; of a failure, its number.
type Event = (u32, Vec<u8>, u32);

struct Connection {
    state: State,
    left: Vec<u8>,
    /// The message that has begun: its kind and its bytes.
    message: Option<(u32, Vec<u8>)>,
    events: Vec<Event>,
    ended: bool,
}

impl Connection {
    /// What a connection hears of that gets these pieces.
    fn fed<'b>(
        settings: u8,
        pieces: impl IntoIterator<Item = &'b [u8]>,
        rows: usize,
    ) -> Vec<Event> {
        let mut state = [0; STATE_WORDS];
        state[word::SETTINGS] = u32::from(settings);
        state[word::MESSAGE_MAX] = MESSAGE_MAX;
        state[word::FRAGMENTS_MAX] = FRAGMENTS_MAX;
        let mut connection =
            Self { state, left: Vec::new(), message: None, events: Vec::new(), ended: false };
        for piece in pieces {
            connection.data(piece, rows);
        }
        connection.events
    }

    fn data(&mut self, piece: &[u8], rows: usize) {
        if self.ended {
            return;
        }
        let mut bytes = std::mem::take(&mut self.left);
        bytes.extend(piece);
        let mut start = 0;
        loop {
            let before = bytes.clone();
            let mut table = vec![[u32::MAX; ROW_WORDS]; rows];
            let written = parse(&mut bytes, start, &mut self.state, &mut table);
            let taken = start..start + self.state[word::CONSUMED] as usize;
            assert_eq!(bytes[..taken.start], before[..taken.start]);
            assert_eq!(bytes[taken.end..], before[taken.end..]);
            assert!(table[written..].iter().all(|row| *row == [u32::MAX; ROW_WORDS]));
            start = taken.end;
            table[..written].iter().fold(taken, |place, row| self.row(row, &bytes, place));
            let progress = &self.state[word::PROGRESS..word::CONSUMED];
            let at_rest = progress.iter().all(|word| *word == 0);
            assert_eq!(progress[0] == 0, at_rest);
            assert!(at_rest || !self.ended);
            if self.ended || written < rows {
                break;
            }
        }
        self.left = bytes.split_off(start);
        assert!(self.left.len() < LEFT_MAX);
    }

    /// Hears of a row, whose bytes lie in `place`. Returns the place of the next one.
    fn row(
        &mut self,
        [row_kind, start, end, code]: &[u32; ROW_WORDS],
        bytes: &[u8],
        place: Range<usize>,
    ) -> Range<usize> {
        assert!(!self.ended, "the last row ends the connection");
        if *row_kind == kind::FAILURE {
            self.ended = true;
            self.events.push((*row_kind, vec![*start as u8], *code));
            return place;
        }
        let (start, end) = (*start as usize, *end as usize);
        assert!(place.start <= start && start <= end && end <= place.end);
        let part = &bytes[start..end];
        if matches!(*row_kind, kind::CLOSE | kind::PING | kind::PONG) {
            self.ended = *row_kind == kind::CLOSE;
            assert!(!self.ended || std::str::from_utf8(part).is_ok());
            self.events.push((*row_kind, part.to_vec(), *code));
            return end..place.end;
        }
        let sort = row_kind & (kind::MASK | kind::COMPRESSED);
        assert_eq!(row_kind & kind::BEGIN != 0, self.message.is_none());
        let (begun, message) = self.message.get_or_insert((sort, Vec::new()));
        assert_eq!(*begun, sort);
        message.extend(part);
        assert!(message.len() <= MESSAGE_MAX as usize);
        assert!(row_kind & kind::ASCII == 0 || sort == kind::TEXT && part.is_ascii());
        if row_kind & kind::END != 0 {
            let (_, message) = self.message.take().expect("it has begun");
            assert!(sort != kind::TEXT || std::str::from_utf8(&message).is_ok());
            self.events.push((sort, message, 0));
        }
        end..place.end
    }
}
