//! `http1::parse`: a table of bytes and outcomes, on memory that ends where the bytes end.
//!
//! Every parse of this file runs on a copy that lies flush against an unreadable page: a parser that
//! reads one byte too far crashes here.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "mmap for the unreadable page, and set-up"
)]

#[path = "../../tests/util/flush.rs"]
mod flush;
#[path = "../../tests/util/random.rs"]
mod random;

use denio_http1::{
    self as http1, HEADERS_MAX, TABLE_FIXED, TABLE_PER_HEADER, TABLE_WORDS, flag, word,
};
use flush::Flush;
use random::Random;

type Table = [u32; TABLE_WORDS];
/// A parse: the head's length, partial, or the status of a refusal.
type Outcome = Result<Option<usize>, u16>;

/// Heads that must be accepted, as different as possible.
const VALID: &[&[u8]] = &[
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n",
    b"GET /path?query=1 HTTP/1.1\r\nHost: example.com:8000\r\nAccept: */*\r\n\r\n",
    b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /form HTTP/1.1\r\nhost: [::1]:80\r\ncontent-length: 12\r\nexpect: 100-continue\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
    b"M-SEARCH / HTTP/1.1\r\nHost:a\r\nX-Empty:\r\nX-Spaces: \t \r\nX-Obs: \xff\xfe\r\n\r\n",
    b"GET /\"<>\\^`{|} HTTP/1.1\r\nHost: a\r\nX-Quote: \"a, b; c\"\r\n\r\n",
    b"GET /a?b HTTP/1.2\r\nHost: a\r\nX: y\r\n\r\n",
    b"\r\nOPTIONS * HTTP/1.9\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
];

/// Heads that only a lenient parse takes.
const LENIENT: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    b"CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n\r\n",
    b"CONNECT [::1]:1 HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.9\r\n\r\n",
    b"\nGET / HTTP/1.1\nHost: a\nX: y\n\n",
    b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    b"GET / HTTP/1.5\nHost: a\n\n",
    b"GET / HTTP/1.0\n\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
];

/// Heads that must be refused, and how.
const REFUSED: &[(&[u8], u16)] = &[
    // The request line: RFC 9112 section 3.
    (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    (b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\r\nHost: a\r\n\r\n", 400),
    (b"GET\r\nHost: a\r\n\r\n", 400),
    (b"GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://a/?b#c HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://a#c HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"\r\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\r\n\r\n", 400),
    // Which target goes with which method: RFC 9112 section 3.2.
    (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET path HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http:///path HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://?query HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"OPTIONS a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://a:x/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://a:65536/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    // CONNECT: RFC 9110 section 9.3.6.
    (b"CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n\r\n", 501),
    (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT http://a:1/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT a:65536 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT a:1/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT a:1?b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT :1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT b@a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT ::1:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 400),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    // Versions: RFC 9112 section 2.3, RFC 9110 section 15.6.6.
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"GET / HTTP/2\r\nHost: a\r\n\r\n", 505),
    (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    (b"GET / HTTP/3.1\r\nHost: a\r\n\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/x.y\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.x\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.2 \r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.2\r\nHost : a\r\n\r\n", 400),
    (b"GET / HTTP/1.2\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.2\r\n\r\n", 400),
    (b"GET /\xc3\xa9 HTTP/1.2\r\nHost: a\r\n\r\n", 400),
    (b"GET path HTTP/1.2\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/11\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/01.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n", 400),
    // Field lines: RFC 9112 section 5.
    (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tfolded\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nNocolon\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX(Y): a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
    // Host: RFC 9112 section 3.2.
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nAccept: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", 400),
    (b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a:4294967376\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: [127.0.0.1]\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: [v1.a]\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: %4\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", 400),
    // Content-Length: RFC 9110 section 8.6.
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 6\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,6\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5f\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1e3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xb2\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9007199254740992\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999999\r\n\r\n", 400),
    // Transfer-Encoding: RFC 9112 section 6.1.
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
            Transfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
            Transfer-Encoding: identity\r\n\r\n",
        400,
    ),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, \r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , ,chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip,,chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \t chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\t\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked \t\r\n\r\n", 400),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
            Transfer-Encoding:\r\n\r\n",
        400,
    ),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\
            Transfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\
            Transfer-Encoding: ,\r\n\r\n",
        400,
    ),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\t\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x-gzip, Deflate, compress\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br, chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, br\r\n\r\n", 400),
    (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\x0b\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
];

fn parse_table(bytes: &[u8], offset: usize, scanned: usize) -> (Outcome, Table) {
    parse_either(bytes, offset, scanned, false)
}

fn parse_leniently(bytes: &[u8], scanned: usize) -> (Outcome, Table) {
    parse_either(bytes, 0, scanned, true)
}

fn parse_either(bytes: &[u8], offset: usize, scanned: usize, lenient: bool) -> (Outcome, Table) {
    let mut table = [u32::MAX; TABLE_WORDS];
    let mut flush = Flush::new(bytes);
    let outcome = http1::parse(flush.bytes(), offset, scanned, lenient, &mut table);
    (outcome.map_err(|refused| refused.0), table)
}

fn parse(bytes: &[u8]) -> Outcome {
    parse_table(bytes, 0, 0).0
}

/// The table, with its positions resolved to text.
#[derive(Debug, PartialEq)]
struct Head<'b> {
    method: &'b [u8],
    target: &'b [u8],
    host: &'b [u8],
    fields: Vec<(&'b [u8], &'b [u8])>,
    minor: u32,
    flags: u32,
    length: u64,
}

impl<'b> Head<'b> {
    fn of(bytes: &'b [u8], table: &Table) -> Self {
        let part = |start: usize, end: usize| &bytes[table[start] as usize..table[end] as usize];
        let field = |number: usize| {
            let row = TABLE_FIXED + TABLE_PER_HEADER * number;
            (part(row, row + 1), part(row + 2, row + 3))
        };
        let length = [table[word::LENGTH_LOW], table[word::LENGTH_HIGH]].map(u64::from);
        Self {
            method: part(word::METHOD_START, word::METHOD_END),
            target: part(word::TARGET_START, word::TARGET_END),
            host: part(word::HOST_START, word::HOST_END),
            fields: (0..table[word::HEADER_COUNT] as usize).map(field).collect(),
            minor: table[word::MINOR],
            flags: table[word::FLAGS],
            length: length[0] | length[1] << 32,
        }
    }
}

#[track_caller]
fn accepted(bytes: &[u8]) -> Head<'_> {
    let (outcome, table) = parse_table(bytes, 0, 0);
    assert_eq!(outcome, Ok(Some(bytes.len())), "{}", bytes.escape_ascii());
    Head::of(bytes, &table)
}

/// A GET or POST with these field lines after `Host`.
fn with_fields(minor: u8, lines: &str) -> Vec<u8> {
    format!("POST / HTTP/1.{minor}\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

// What is accepted.

#[test]
fn valid_heads_are_complete() {
    for head in VALID {
        accepted(head);
    }
}

#[test]
fn every_prefix_of_a_valid_head_is_partial() {
    for head in VALID {
        for end in 0..head.len() {
            assert_eq!(parse(&head[..end]), Ok(None), "{}", head[..end].escape_ascii());
        }
    }
}

#[test]
fn bytes_behind_a_head_are_not_parsed() {
    for head in VALID {
        for tail in [&b"\0"[..], b"\r\n", b" folded", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff"] {
            let bytes = [head, tail].concat();
            let (outcome, table) = parse_table(&bytes, 0, 0);
            assert_eq!(outcome, Ok(Some(head.len())), "{}", bytes.escape_ascii());
            assert_eq!(Head::of(&bytes, &table), accepted(head));
        }
    }
}

#[test]
fn parts_lie_where_the_table_says() {
    let bytes =
        b"PUT /a?b HTTP/1.1\r\nHost: h:1\r\nContent-Length:  7 \r\nX-Empty:\r\nA: b c\t\r\n\r\n";
    let head = accepted(bytes);
    assert_eq!(head.method, b"PUT");
    assert_eq!(head.target, b"/a?b");
    assert_eq!(head.host, b"h:1");
    assert_eq!(head.minor, 1);
    assert_eq!(head.length, 7);
    let fields: [(&[u8], &[u8]); 4] =
        [(b"Host", b"h:1"), (b"Content-Length", b"7"), (b"X-Empty", b""), (b"A", b"b c")];
    assert_eq!(head.fields, fields);
}

#[test]
fn places_count_from_the_start_of_the_buffer() {
    for head in VALID {
        for before in [&b"x"[..], b"GET / HTTP/1.1\r\nHost: other\r\n\r\n", b"\r\n"] {
            let bytes = [before, head].concat();
            let (outcome, table) = parse_table(&bytes, before.len(), 0);
            assert_eq!(outcome, Ok(Some(head.len())));
            assert_eq!(Head::of(&bytes, &table), accepted(head));
        }
    }
}

#[test]
fn offset_beyond_the_buffer_is_partial() {
    for offset in [5, 6, usize::MAX] {
        assert_eq!(parse_table(b"GET /", offset, 0).0, Ok(None), "{offset}");
    }
}

#[test]
fn methods_are_known_by_number() {
    for (number, method) in http1::METHODS.iter().enumerate().skip(1) {
        let target = if *method == "CONNECT" { "a:1" } else { "/" };
        let bytes = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let (_, table) = parse_leniently(bytes.as_bytes(), 0);
        assert_eq!(table[word::METHOD], number as u32, "{method}");
    }
    // Methods are case-sensitive: RFC 9110 section 9.1.
    for method in ["get", "GETT", "QUERY", "M-SEARCH", "G", "!#$%&'*+-.^_`|~"] {
        let bytes = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        let (outcome, table) = parse_table(bytes.as_bytes(), 0, 0);
        assert_eq!(outcome, Ok(Some(bytes.len())), "{method}");
        assert_eq!(table[word::METHOD], 0, "{method}");
    }
}

#[test]
fn targets_may_be_origin_absolute_or_asterisk() {
    for target in
        ["/", "//", "/a//b", "/%zz", "/?", "/a|b", "http://a", "HTTPS://A:1?q", "http://[::1]/"]
    {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(accepted(bytes.as_bytes()).target, target.as_bytes());
    }
    assert_eq!(accepted(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").target, b"*");
}

#[test]
fn empty_lines_before_a_head_are_part_of_it() {
    for count in [1, 2, 50] {
        let bytes = ["\r\n".repeat(count).as_bytes(), b"GET / HTTP/1.0\r\n\r\n"].concat();
        assert_eq!(accepted(&bytes).method, b"GET");
    }
}

#[test]
fn hundred_fields_fit_and_one_more_is_431() {
    let head = |count: usize| with_fields(1, &"X: y\r\n".repeat(count - 1));
    assert_eq!(accepted(&head(HEADERS_MAX)).fields.len(), HEADERS_MAX);
    assert_eq!(parse(&head(HEADERS_MAX + 1)), Err(431));
}

#[test]
fn long_values_are_no_matter_of_the_parser() {
    let long = "v".repeat(100_000);
    let bytes = with_fields(1, &format!("X: {long}\r\n"));
    assert_eq!(accepted(&bytes).fields[1].1, long.as_bytes());
    assert_eq!(parse(&bytes[..bytes.len() - 1]), Ok(None));
}

// How the body is framed, and the connection kept.

#[test]
fn content_length_is_read_to_the_last_safe_integer() {
    for (text, length) in [
        ("0", 0),
        ("5", 5),
        ("0005", 5),
        ("4294967295", u64::from(u32::MAX)),
        ("4294967296", 1 << 32),
        ("9007199254740991", (1 << 53) - 1),
        ("00000000000000000000000000000000000001", 1),
    ] {
        let bytes = with_fields(1, &format!("Content-Length: {text}\r\n"));
        let head = accepted(&bytes);
        assert_eq!(head.length, length, "{text}");
        assert_eq!(head.flags & (flag::HAS_LENGTH | flag::CHUNKED), flag::HAS_LENGTH, "{text}");
    }
}

#[test]
fn chunked_is_known_however_it_is_written() {
    for value in ["chunked", "CHUNKED", " chunked ", "  chunked  "] {
        let bytes = with_fields(1, &format!("transfer-ENCODING:{value}\r\n"));
        let flags = accepted(&bytes).flags;
        assert_eq!(flags & (flag::HAS_LENGTH | flag::CHUNKED), flag::CHUNKED, "{value}");
    }
}

#[test]
fn no_framing_field_means_no_body() {
    let head = with_fields(1, "");
    let head = accepted(&head);
    assert_eq!(head.flags & (flag::HAS_LENGTH | flag::CHUNKED), 0);
    assert_eq!(head.length, 0);
}

#[test]
fn flags_say_whether_the_connection_is_kept() {
    let (keep, close) = (flag::KEEP_ALIVE, 0);
    let both = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    for (minor, lines, expected) in [
        (1, "", keep),
        (0, "", close),
        (1, "Connection: close\r\n", close),
        (1, "Connection: CLOSE\r\n", close),
        (1, "Connection: keep-alive\r\n", keep),
        (0, "Connection: keep-alive\r\n", keep),
        (0, "Connection: Keep-Alive\r\n", keep),
        (0, "Connection: close\r\n", close),
        (1, "Connection: keep-alive, close\r\n", close),
        (0, "Connection: close, keep-alive\r\n", close),
        (1, "Connection: foo\r\nConnection: bar, close\r\n", close),
        (0, "Connection: foo\r\nConnection: ,, keep-alive ,\r\n", keep),
        (1, "Connection: closed\r\n", keep),
        (1, "Connection: not close\r\n", keep),
        (1, "Connection:\r\n", keep),
        (1, "Keep-Alive: close\r\n", keep),
        (1, both, keep | flag::UPGRADE),
        (1, "Upgrade: websocket\r\n", keep),
        (1, "Connection: upgrade\r\n", keep),
        // RFC 9110 section 7.8: an Upgrade in HTTP/1.0 is ignored.
        (0, both, close),
        (1, "Expect: 100-continue\r\n", keep | flag::EXPECT_CONTINUE),
        (1, "Expect: 100-Continue\r\n", keep | flag::EXPECT_CONTINUE),
        (1, "Expect: 200-ok\r\n", keep | flag::EXPECT_OTHER),
        (1, "Expect: 100-continue, x\r\n", keep | flag::EXPECT_CONTINUE | flag::EXPECT_OTHER),
        (1, "Expect:\r\n", keep),
        // RFC 9110 section 10.1.1: an expectation in HTTP/1.0 is ignored.
        (0, "Expect: 100-continue\r\n", close),
        (0, "Expect: 200-ok\r\n", close),
    ] {
        let bytes = with_fields(minor, lines);
        let head = accepted(&bytes);
        assert_eq!(head.minor, u32::from(minor));
        assert_eq!(head.flags, expected | flag::HAS_HOST, "HTTP/1.{minor} {lines:?}");
    }
}

#[test]
fn host_may_be_empty_or_missing_where_it_may() {
    let head = accepted(b"OPTIONS * HTTP/1.1\r\nHost: \r\n\r\n");
    assert_eq!((head.host, head.flags & flag::HAS_HOST), (&b""[..], flag::HAS_HOST));
    let head = accepted(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!((head.host, head.flags & flag::HAS_HOST), (&b""[..], 0));
    for host in [
        "a",
        "a.b-c_d~",
        "127.0.0.1:80",
        "a:",
        "a:0",
        "a:00080",
        "a:65535",
        "[::1]",
        "[fe80::1]:1",
        "[::ffff:1.2.3.4]:",
        "%41b%c3%A9",
        "a!$&'()*+;=",
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(accepted(bytes.as_bytes()).host, host.as_bytes());
    }
}

// What is refused.

#[test]
fn refused_heads_get_their_status() {
    for (head, status) in REFUSED {
        assert_eq!(parse(head), Err(*status), "{}", head.escape_ascii());
    }
}

#[test]
fn refused_head_is_refused_alike_as_soon_as_it_is_refused() {
    for (head, status) in REFUSED {
        for end in 0..head.len() {
            let outcome = parse(&head[..end]);
            assert!(
                outcome == Ok(None) || outcome == Err(*status),
                "{outcome:?} and not {status} for {}",
                head[..end].escape_ascii()
            );
        }
    }
}

/// RFC 9112 section 2.2 lets a bare LF end a line; two servers would split such a head apart.
#[test]
fn bare_line_ends_are_refused_wherever_they_are() {
    for head in VALID {
        let places = head.windows(2).enumerate().filter(|(_, pair)| pair == b"\r\n");
        for (place, _) in places {
            for dropped in [place, place + 1] {
                let mut bytes = head.to_vec();
                bytes.remove(dropped);
                // A missing last byte is only a partial head.
                let expected = if dropped + 1 == head.len() { Ok(None) } else { Err(400) };
                bytes.extend_from_slice(if expected.is_ok() { b"" } else { b"X: y\r\n\r\n" });
                assert_eq!(parse(&bytes), expected, "{}", bytes.escape_ascii());
            }
        }
    }
}

#[test]
fn nul_is_refused_wherever_it_is() {
    for head in VALID {
        for place in 0..head.len() {
            let mut bytes = head.to_vec();
            bytes.insert(place, 0);
            assert_eq!(parse(&bytes), Err(400), "{}", bytes.escape_ascii());
        }
    }
}

// What a lenient parse takes.

#[test]
fn lenient_parse_has_the_result_of_a_strict_one_that_accepts() {
    for head in VALID {
        assert_eq!(parse_leniently(head, 0), parse_table(head, 0, 0), "{}", head.escape_ascii());
    }
}

#[test]
fn lenient_parse_takes_heads_without_host_bare_line_ends_and_connect_with_a_body() {
    for head in LENIENT {
        for end in 0..head.len() {
            assert_eq!(parse_leniently(&head[..end], 0).0, Ok(None), "{}", head.escape_ascii());
            let at_once = parse_leniently(head, 0);
            assert_eq!(parse_leniently(head, end), at_once, "{end}: {}", head.escape_ascii());
        }
        assert_eq!(parse_leniently(head, 0).0, Ok(Some(head.len())), "{}", head.escape_ascii());
    }
    let lines = b"\nGET /a HTTP/1.1\nHost: b\nX: y\n\n";
    let (_, table) = parse_leniently(lines, 0);
    let head = Head::of(lines, &table);
    assert_eq!((head.target, head.host), (&b"/a"[..], &b"b"[..]));
    assert_eq!(head.fields, [(&b"Host"[..], &b"b"[..]), (b"X", b"y")]);
}

#[test]
fn lenient_parse_refuses_all_other_faults() {
    // A head with several faults is still refused for the others.
    for (head, status) in REFUSED.iter().filter(|(head, _)| !LENIENT.contains(head)) {
        let has_host = head.windows(6).any(|part| part == b"\nHost:");
        let expected = Err(*status);
        let outcome = parse_leniently(head, 0).0;
        assert!(!has_host || outcome == expected, "{}: {outcome:?}", head.escape_ascii());
    }
}

#[test]
fn connection_is_not_kept_after_a_connect() {
    let head = b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let (outcome, table) = parse_leniently(head, 0);
    assert_eq!(outcome, Ok(Some(head.len())));
    assert_eq!(table[word::FLAGS] & flag::KEEP_ALIVE, 0);
}

#[test]
fn later_minor_version_is_taken_for_the_latest() {
    let of = |minor: u8| format!("GET /a HTTP/1.{minor}\r\nHost: b\r\nX: y\r\n\r\n");
    for minor in 2..=9 {
        let (known, later) = (of(1), of(minor));
        assert_eq!(accepted(later.as_bytes()), accepted(known.as_bytes()));
    }
    let many = format!("GET / HTTP/1.2\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX));
    assert_eq!(parse(many.as_bytes()), Err(431));
}

// The same answer, however the bytes come.

#[test]
fn scanned_bytes_change_no_answer_of_a_valid_head() {
    for head in VALID {
        let whole = parse_table(head, 0, 0);
        for scanned in 0..head.len() {
            assert_eq!(parse_table(head, 0, scanned), whole, "{scanned}: {}", head.escape_ascii());
            for end in scanned..head.len() {
                assert_eq!(parse_table(&head[..end], 0, scanned).0, Ok(None));
            }
        }
    }
}

#[test]
fn scanned_bytes_change_no_answer_of_a_refused_head_that_ends() {
    for (head, status) in REFUSED {
        for scanned in (0..head.len()).filter(|end| parse(&head[..*end]) == Ok(None)) {
            let outcome = parse_table(head, 0, scanned).0;
            assert_eq!(outcome, Err(*status), "{scanned}: {}", head.escape_ascii());
        }
    }
}

#[test]
fn scanned_may_be_any_number() {
    for scanned in [1, 3, 17, 18, 19, usize::MAX] {
        let outcome = parse_table(b"GET / HTTP/1.0\r\n\r\n", 0, scanned).0;
        assert!(matches!(outcome, Ok(None | Some(18))), "{scanned}: {outcome:?}");
    }
}

/// Feeds bytes in random pieces, as a connection does, until there is an answer.
fn fed(bytes: &[u8], random: &mut Random) -> Outcome {
    let (mut scanned, mut end) = (0, 0);
    while end < bytes.len() {
        end = (end + 1 + random.below(20)).min(bytes.len());
        match parse_table(&bytes[..end], 0, scanned).0 {
            Ok(None) => scanned = end,
            done => return done,
        }
    }
    Ok(None)
}

#[test]
fn heads_with_random_faults_get_one_answer_however_they_are_split() {
    let mut random = Random(0x11_77);
    let interesting = b"\r\n\0 \t:,/*aHTTP10.9\x7f\xff";
    for round in 0..10_000 {
        let source = match round % 2 {
            0 => random.pick(VALID),
            _ => random.pick(REFUSED).0,
        };
        let mut bytes = source.to_vec();
        for _ in 0..=random.below(3) {
            let place = random.below(bytes.len());
            match random.below(4) {
                0 => drop(bytes.remove(place)),
                1 => bytes.insert(place, random.pick(interesting)),
                2 => bytes[place] = random.pick(interesting),
                _ => bytes[place] = random.next() as u8,
            }
        }
        // The end of a head is given, because scanned bytes delay a result until there is one.
        bytes.extend_from_slice(b"\r\n\r\n");
        let whole = parse(&bytes);
        assert_ne!(whole, Ok(None), "{}", bytes.escape_ascii());
        assert_eq!(fed(&bytes, &mut random), whole, "{}", bytes.escape_ascii());
        if whole.is_ok() {
            assert_eq!(parse_leniently(&bytes, 0), parse_table(&bytes, 0, 0));
        }
    }
}
