//! WebSocket as a client: the handshake of RFC 6455, messages of one frame each, and the compression
//! of RFC 7692, of each message by itself.
//!
//! All bytes of the mask are the same: so a masked message is made once and sent from any byte on,
//! and costs the server what another mask would.

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

use crate::answers::{HEADERS_MAX, parsed, quoted, value};

/// The fields of the request for a WebSocket. The key is that of RFC 6455 section 1.3.
pub const ASKS: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// As browsers offer compression.
pub const OFFERS: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
const MASK: u8 = 0x5a;
/// The first bytes of frames that are whole messages, and the bit that compression adds to them.
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const COMPRESSED: u8 = 0x40;
/// The end of a compressed message, which is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
const LEVEL: i32 = 6;
const WINDOW_BITS: u8 = 15;

/// Reads the answer to the request; false when it is not complete.
pub fn is_accepted(bytes: &[u8], deflates: bool) -> Result<bool, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let Some(length) = parsed(&mut answer, bytes)? else { return Ok(false) };
    let extension = value(&answer, "sec-websocket-extensions").unwrap_or_default();
    let accept = answer.headers.iter().any(|field| {
        field.name.eq_ignore_ascii_case("sec-websocket-accept") && field.value == ACCEPT.as_bytes()
    });
    if answer.code != Some(101) || !accept || deflates != extension.contains("permessage-deflate") {
        return Err(format!("The WebSocket was not accepted: {}", quoted(bytes)));
    }
    match &bytes[length..] {
        [] => Ok(true),
        more => Err(format!("No message asked for {}", quoted(more))),
    }
}

/// Whether a frame that begins with a byte has a compressed message.
pub const fn is_deflated(first: u8) -> bool {
    first & COMPRESSED != 0
}

/// Returns the head of a frame that is a whole message.
pub fn frame_head(first: u8, length: usize, is_masked: bool) -> Vec<u8> {
    let mask_bit = u8::from(is_masked) << 7;
    let mut head = vec![first];
    match length {
        0..=125 => head.push(mask_bit | length as u8),
        126..=0xffff => {
            head.push(mask_bit | 126);
            head.extend((length as u16).to_be_bytes());
        }
        _ => {
            head.push(mask_bit | 127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head.extend(is_masked.then_some([MASK; 4]).into_iter().flatten());
    head
}

/// Returns bytes as a client sends them.
pub fn masked(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ MASK).collect()
}

/// Returns a message as it is sent compressed.
pub fn deflated(message: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; message.len() + 64];
    let mut deflate = Deflate::new(LEVEL, false, WINDOW_BITS);
    deflate
        .compress(message, &mut bytes, DeflateFlush::SyncFlush)
        .map_err(|error| error.as_str().to_owned())?;
    bytes.truncate(deflate.total_out() as usize - TAIL.len());
    Ok(bytes)
}

/// Takes the compressed message of a server, whose frame begins with `first`; none when the frame
/// is not complete. The message may be a byte longer than `most`.
pub fn inflated(bytes: &[u8], first: u8, most: usize) -> Result<Option<Vec<u8>>, String> {
    let (start, length) = match *bytes {
        [] | [_] | [_, 126] | [_, 126, _] => return Ok(None),
        [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
        [_, length, ..] => (2, usize::from(length)),
    };
    if bytes[0] != first || bytes.len() > start + length {
        return Err(format!("No compressed message is {}", quoted(bytes)));
    }
    let Some(sent) = bytes.get(start..start + length) else { return Ok(None) };
    let mut message = vec![0; most + 1];
    let mut inflate = Inflate::new(false, WINDOW_BITS);
    for part in [sent, &TAIL] {
        let done = inflate.total_out() as usize;
        inflate
            .decompress(part, &mut message[done..], InflateFlush::SyncFlush)
            .map_err(|error| format!("Cannot inflate {}: {}", quoted(sent), error.as_str()))?;
    }
    message.truncate(inflate.total_out() as usize);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_inflated_when_the_frame_is_whole() {
        let message = b"to be or not to be or not to be".repeat(20);
        let sent = deflated(&message).unwrap();
        assert!(sent.len() < message.len() / 4);
        let frame = [frame_head(0xc1, sent.len(), false), sent].concat();
        for end in 0..frame.len() {
            assert_eq!(inflated(&frame[..end], 0xc1, message.len()), Ok(None));
        }
        assert_eq!(inflated(&frame, 0xc1, message.len()), Ok(Some(message)));
        assert!(inflated(&frame, 0x81, 9).is_err() && inflated(&frame[..9], 0xc2, 9).is_err());
    }
}
