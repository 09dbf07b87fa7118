//! Decompresses any bytes, and compresses them, and checks what must hold for all.
//!
//! A decompressor writes into its room alone, and gives the same in steps as at once. What is
//! compressed is read back.

#![no_main]

use denio_websocket::deflate::{
    Corrupt, Inflated, LEVEL_MAX, ROOM, WINDOW_BITS_MAX, WINDOW_BITS_MIN, deflate, inflate,
};
use libfuzzer_sys::fuzz_target;

/// More is a bomb: the caller would stop there.
const OUT_MAX: usize = 40_000;
const CANARY: u8 = 0xA5;

type Outcome = Result<Option<Vec<u8>>, Corrupt>;

fuzz_target!(|bytes: &[u8]| {
    let [first, second, rest @ ..] = bytes else { return };
    // The history is a part of the bytes, so that they refer to what is there.
    let (history, message) = rest.split_at(usize::from(*first).min(rest.len()));
    let step = 1 + usize::from(*second) * 8;
    assert_eq!(inflated(message, history, OUT_MAX + 1), inflated(message, history, step));

    let window_bits = WINDOW_BITS_MIN + u32::from(*first) % (WINDOW_BITS_MAX - WINDOW_BITS_MIN + 1);
    let level = 1 + u32::from(*second) % LEVEL_MAX;
    let mut out = vec![CANARY; message.len() + message.len() / 8 + ROOM];
    let length = deflate(message, history, &mut out, window_bits, level).expect("it has room");
    let read = inflated(&out[..length], history, message.len() + 1);
    assert_eq!(read, Ok(Some(message.to_vec())), "{window_bits} {level}");
});

/// Decompresses with `step` bytes of room, and as many more whenever they are full; `None`
/// for more than [`OUT_MAX`].
fn inflated(message: &[u8], history: &[u8], step: usize) -> Outcome {
    let (mut out, mut room) = (vec![CANARY; 2 * OUT_MAX], 0);
    let mut is_first = true;
    while room <= OUT_MAX {
        room = (room + step).min(OUT_MAX + 1);
        let inflated = inflate(message, history, &mut out[..room], is_first)?;
        is_first = false;
        match inflated {
            Inflated::Full | Inflated::Partial => {}
            Inflated::Whole(end) => {
                let behind = out.get(room..).expect("the room is in the bytes");
                assert!(behind.iter().all(|byte| *byte == CANARY), "written behind the room");
                out.truncate(end);
                return Ok((end <= OUT_MAX).then_some(out));
            }
        }
    }
    Ok(None)
}
