//! The answer to a handshake's key (RFC 6455 section 4.2.2), by which a client knows that
//! the server speaks WebSocket.

use sha1_smol::Sha1;

/// Characters of `Sec-WebSocket-Key`: 16 bytes in base64.
pub const KEY_LENGTH: usize = 24;
/// Characters of `Sec-WebSocket-Accept`: the 20 bytes of a hash in base64.
pub const ACCEPT_LENGTH: usize = 28;

/// What every server appends to the key.
const SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`.
///
/// ```
/// # use denio_websocket::accept::accept;
/// assert_eq!(&accept(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept(key: &[u8; KEY_LENGTH]) -> [u8; ACCEPT_LENGTH] {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(SUFFIX);
    let mut text = [b'='; ACCEPT_LENGTH];
    for (three, four) in hash.digest().bytes().chunks(3).zip(text.chunks_mut(4)) {
        let bits = three
            .iter()
            .zip([16, 8, 0])
            .fold(0, |bits, (byte, at)| bits | usize::from(*byte) << at);
        // Two bytes, as the last group has, fill three characters; "=" is the fourth.
        for (place, at) in four.iter_mut().zip([18, 12, 6, 0]).take(three.len() + 1) {
            *place = ALPHABET.get(bits >> at & 63).copied().unwrap_or(b'=');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::accept;

    /// Keys with what OpenSSL makes of them.
    #[test]
    fn keys_have_the_answers_of_another_implementation() {
        for (key, expected) in [
            (b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            (b"AAAAAAAAAAAAAAAAAAAAAA==", b"ICX+Yqv66kxgM0FcWaLWlFLwTAI="),
            (b"/////////////////////w==", b"XXpj4jYzLM2yUE0C7TIgMwTQh2g="),
            (b"x3JJHMbDL1EzLkh9GBhXDw==", b"HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
            (b"AQIDBAUGBwgJCgsMDQ4PEA==", b"C/0nmHhBztSRGR1CwL6Tf4ZjwpY="),
        ] {
            assert_eq!(accept(key), *expected);
        }
    }
}
