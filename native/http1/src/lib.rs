//! HTTP/1 request heads: where each part lies, and what it means by RFC 9112.
//!
//! `httparse` parses the bytes; this module decides which heads are refused and how
//! the body is framed. It does no I/O and allocates nothing. A parse has three
//! outcomes: complete with the head's length, partial, or refused with the status
//! that says why. A head that two servers could read differently is refused, because
//! request smuggling needs such a difference.

use std::mem::MaybeUninit;
use std::net::Ipv6Addr;
use std::ops::Range;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Request};

/// More header fields than this are refused with 431. Browsers send about 20;
/// Deno.serve and nginx stop at 100 as well.
pub const HEADERS_MAX: usize = 100;
/// Words of the table before the header fields.
pub const TABLE_FIXED: usize = 12;
/// Words a header field takes: name start, name end, value start, value end.
pub const TABLE_PER_HEADER: usize = 4;
/// Words that hold any head.
pub const TABLE_WORDS: usize = TABLE_FIXED + TABLE_PER_HEADER * HEADERS_MAX;

/// The table's fixed words. Every position counts from the buffer's start.
pub mod word {
    /// Index into [`super::METHODS`], or 0 for another method.
    pub const METHOD: usize = 0;
    /// Where the method starts.
    pub const METHOD_START: usize = 1;
    /// Where the method ends.
    pub const METHOD_END: usize = 2;
    /// Where the request target starts.
    pub const TARGET_START: usize = 3;
    /// Where the request target ends.
    pub const TARGET_END: usize = 4;
    /// Minor version: 0 or 1.
    pub const MINOR: usize = 5;
    /// The bits of [`super::flag`].
    pub const FLAGS: usize = 6;
    /// `Content-Length`, lower 32 bits.
    pub const LENGTH_LOW: usize = 7;
    /// `Content-Length`, upper bits.
    pub const LENGTH_HIGH: usize = 8;
    /// Where the value of `Host` starts.
    pub const HOST_START: usize = 9;
    /// Where the value of `Host` ends.
    pub const HOST_END: usize = 10;
    /// How many header fields follow.
    pub const HEADER_COUNT: usize = 11;
}

/// What the head says, as bits of one word.
pub mod flag {
    /// The connection may be used again after this request.
    pub const KEEP_ALIVE: u32 = 1;
    /// The body comes in chunks.
    pub const CHUNKED: u32 = 1 << 1;
    /// There is a `Content-Length`.
    pub const HAS_LENGTH: u32 = 1 << 2;
    /// The client waits for `100 Continue`.
    pub const EXPECT_CONTINUE: u32 = 1 << 3;
    /// There is an expectation that no server can meet (417).
    pub const EXPECT_OTHER: u32 = 1 << 4;
    /// `Connection: upgrade` together with `Upgrade`.
    pub const UPGRADE: u32 = 1 << 5;
    /// There is a `Host`.
    pub const HAS_HOST: u32 = 1 << 6;
}

/// Methods known by number, so that JavaScript need not decode them.
pub const METHODS: [&str; 10] =
    ["", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

/// Transfer codings that are registered and that this server does not implement (501).
/// Any other name is a mistake of the client's, or an attack (400).
const CODINGS_REGISTERED: [&[u8]; 6] =
    [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress", b"identity"];

/// The status of the answer that refuses a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub u16);

const BAD_REQUEST: Refused = Refused(400);
const CONTENT_TOO_LARGE: Refused = Refused(413);
const FIELDS_TOO_LARGE: Refused = Refused(431);
const NOT_IMPLEMENTED: Refused = Refused(501);
const VERSION_NOT_SUPPORTED: Refused = Refused(505);

/// The largest port: RFC 9293 section 3.1.
const PORT_MAX: u32 = 65_535;
/// The bytes that a host's name may have unescaped. RFC 3986 allows a comma as well,
/// but here it may come from a proxy that has joined two `Host` fields.
#[allow(clippy::indexing_slicing, reason = "a constant: what may panic does not compile")]
const HOST_BYTES: [bool; 256] = {
    let mut known = [false; 256];
    let mut rest: &[u8] = b"-._~!$&'()*+;=0123456789\
        ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while let [first, others @ ..] = rest {
        known[*first as usize] = true;
        rest = others;
    }
    known
};

/// The largest length of a body: a JavaScript number cannot count further.
const LENGTH_MAX: u64 = (1 << 53) - 1;

/// The parts of a head before its line ends are checked.
struct Message<'h, 'b> {
    method: &'b str,
    target: &'b str,
    minor: u8,
    headers: &'h [Header<'b>],
}

/// Parses the head that starts at `offset` of `buffer` into `table`.
///
/// Returns the head's length, or `None` while it is partial. `scanned` bytes of it were
/// partial before. The head is parsed again only when a new byte ends a pair of lines:
/// a peer that sends single bytes cannot make each of them cost a parse.
///
/// A `lenient` parse accepts what `Deno.serve` accepts: no `Host` or an empty one, lines
/// that end in a bare LF, and CONNECT, also with a body. A head that is accepted without
/// it has the same table with it.
///
/// # Errors
///
/// The status to answer: 400, 413, 431, 501 or 505.
pub fn parse(
    buffer: &[u8],
    offset: usize,
    scanned: usize,
    lenient: bool,
    table: &mut [u32; TABLE_WORDS],
) -> Result<Option<usize>, Refused> {
    let head = buffer.get(offset..).unwrap_or_default();
    if scanned > 0 && !ends_head(head.get(scanned.saturating_sub(3)..).unwrap_or_default()) {
        return Ok(None);
    }
    let mut storage = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS_MAX];
    let mut request = Request::new(&mut []);
    let parsed =
        ParserConfig::default().parse_request_with_uninit_headers(&mut request, head, &mut storage);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::Version) => return other_version(buffer, offset, lenient, table),
        Err(error) => return Err(status_of(error)),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(BAD_REQUEST);
    };
    let message = Message { method, target, minor, headers: request.headers };
    write(buffer, offset..offset + length, &message, lenient, table)
}

/// Checks a whole head, which lies at `place` of `buffer`, and fills the table.
fn write(
    buffer: &[u8],
    place: Range<usize>,
    message: &Message<'_, '_>,
    lenient: bool,
    table: &mut [u32; TABLE_WORDS],
) -> Result<Option<usize>, Refused> {
    let Message { method, target, minor, headers } = *message;
    let places = Places { base: buffer.as_ptr() as usize };
    let length = place.len();
    if !lenient {
        check_line_ends(buffer, place, &places, message)?;
    }
    check_target(method, target)?;
    let framing = Framing::read(headers)?;
    check_spaces(buffer, &places, headers)?;
    framing.check(message, lenient)?;
    let (target_start, target_end) = places.of(target.as_bytes());
    let (method_start, method_end) = places.of(method.as_bytes());
    table[word::METHOD] =
        METHODS.iter().position(|known| *known == method).unwrap_or_default() as u32;
    table[word::METHOD_START] = method_start;
    table[word::METHOD_END] = method_end;
    table[word::TARGET_START] = target_start;
    table[word::TARGET_END] = target_end;
    table[word::MINOR] = u32::from(minor);
    write_fields(headers, &places, table);
    let (host_start, host_end) = framing.host.map_or((0, 0), |host| places.of(host));
    table[word::FLAGS] = framing.flags(method, minor);
    table[word::LENGTH_LOW] = framing.length.unwrap_or_default() as u32;
    table[word::LENGTH_HIGH] = (framing.length.unwrap_or_default() >> 32) as u32;
    table[word::HOST_START] = host_start;
    table[word::HOST_END] = host_end;
    Ok(Some(length))
}

/// Converts slices of the buffer to positions in it.
struct Places {
    base: usize,
}

impl Places {
    fn of(&self, part: &[u8]) -> (u32, u32) {
        let start = part.as_ptr() as usize - self.base;
        (start as u32, (start + part.len()) as u32)
    }
}

/// Whether an empty line ends in `bytes`, whichever way lines end.
fn ends_head(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n")
        || bytes.windows(3).any(|triple| triple == b"\n\r\n")
}

/// The status for an error of `httparse`.
fn status_of(error: httparse::Error) -> Refused {
    match error {
        httparse::Error::TooManyHeaders => FIELDS_TOO_LARGE,
        _ => BAD_REQUEST,
    }
}

/// Parses a head with a version that `httparse` does not know. RFC 9110 section 2.5: a
/// server treats a later minor version as the latest that it knows.
fn other_version(
    buffer: &[u8],
    offset: usize,
    lenient: bool,
    table: &mut [u32; TABLE_WORDS],
) -> Result<Option<usize>, Refused> {
    let head = buffer.get(offset..).unwrap_or_default();
    // Before the end of its line, `HTTP/2` may become another version, or none.
    let Some((line, fields)) = request_line(head) else { return Ok(None) };
    let mut words = line.strip_suffix(b"\r").unwrap_or(line).split(|byte| *byte == b' ');
    let parts = [words.next(), words.next(), words.next(), words.next()];
    let [Some(method), Some(target), Some(version), None] = parts else {
        return Err(BAD_REQUEST);
    };
    match version.strip_prefix(b"HTTP/") {
        Some([b'1', b'.', b'2'..=b'9']) => {}
        // HTTP/2 clients also leave the minor version out.
        Some([b'0' | b'2'..=b'9', b'.', b'0'..=b'9'] | [b'2'..=b'9']) => {
            return Err(VERSION_NOT_SUPPORTED);
        }
        _ => return Err(BAD_REQUEST),
    }
    let method = token(method).ok_or(BAD_REQUEST)?;
    let target = std::str::from_utf8(target).map_err(|_| BAD_REQUEST)?;
    let mut storage = [EMPTY_HEADER; HEADERS_MAX];
    let (length, headers) = match httparse::parse_headers(fields, &mut storage) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(status_of(error)),
    };
    let end = buffer.len() - fields.len() + length;
    write(buffer, offset..end, &Message { method, target, minor: 1, headers }, lenient, table)
}

/// The request line without its LF, and the bytes after it; `None` before the LF.
fn request_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let rest = head.get(start..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    Some((rest.get(..end)?, rest.get(end + 1..)?))
}

/// RFC 9110 section 5.6.2.
fn token(bytes: &[u8]) -> Option<&str> {
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if bytes.is_empty() || !bytes.iter().all(known) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// Refuses lines that end in a bare LF, which `httparse` accepts: RFC 9112 section 2.2
/// allows to accept or to refuse them, so two servers may split such lines differently.
fn check_line_ends(
    buffer: &[u8],
    place: Range<usize>,
    places: &Places,
    message: &Message<'_, '_>,
) -> Result<(), Refused> {
    let line_ends_before =
        |end: usize| end >= 2 && buffer.get(end - 2..end).is_some_and(|pair| pair == b"\r\n");
    let start = places.of(message.method.as_bytes()).0 as usize;
    let leading = buffer.get(place.start..start).unwrap_or_default();
    let lines_good = leading.chunks(2).all(|pair| pair == b"\r\n")
        && line_ends_before(place.end)
        && line_ends_before(place.end - 2)
        && message
            .headers
            .iter()
            .all(|header| line_ends_before(places.of(header.name.as_bytes()).0 as usize));
    if lines_good { Ok(()) } else { Err(BAD_REQUEST) }
}

/// Refuses a tab beside the value of a field that says where the body ends. RFC 9110
/// section 5.6.3 allows the tab, but to nginx a tab before the value is part of it, and
/// to llhttp a tab behind it.
fn check_spaces(buffer: &[u8], places: &Places, headers: &[Header<'_>]) -> Result<(), Refused> {
    for Header { name, value } in headers {
        if !is_framing(name) {
            continue;
        }
        let (name_end, (value_start, value_end)) = (places.of(name.as_bytes()).1, places.of(value));
        let before = buffer.get(name_end as usize..value_start as usize).unwrap_or_default();
        let behind = buffer.get(value_end as usize..).unwrap_or_default();
        let mut spaces = behind.iter().skip_while(|byte| **byte == b' ');
        if before.contains(&b'\t') || spaces.next() == Some(&b'\t') {
            return Err(BAD_REQUEST);
        }
    }
    Ok(())
}

/// Whether a field says where the body ends.
fn is_framing(name: &str) -> bool {
    match name.len() {
        14 => name.eq_ignore_ascii_case("content-length"),
        17 => name.eq_ignore_ascii_case("transfer-encoding"),
        _ => false,
    }
}

/// RFC 9112 section 3.2: the form of target that each method needs.
fn check_target(method: &str, target: &str) -> Result<(), Refused> {
    let known = if method == "CONNECT" {
        is_tunnel(target.as_bytes())
    } else {
        target.starts_with('/')
            || authority(target).is_some_and(is_authority)
            || target == "*" && method == "OPTIONS"
    };
    if known && is_visible(target.as_bytes()) { Ok(()) } else { Err(BAD_REQUEST) }
}

/// Whether a target has only visible ASCII, which `httparse` checks except for UTF-8, and
/// no fragment. Browsers also send bytes that RFC 3986 does not allow, such as `|`, and
/// servers accept them.
fn is_visible(target: &[u8]) -> bool {
    // Without an early return the compiler checks many bytes at once, which is faster.
    target.iter().fold(true, |good, byte| good & matches!(byte, 0x21..=0x7e) & (*byte != b'#'))
}

/// The authority of an absolute target with a scheme that this server serves.
fn authority(target: &str) -> Option<&[u8]> {
    let (scheme, rest) = target.split_once("://")?;
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    rest.split(['/', '?']).next().filter(|_| known).map(str::as_bytes)
}

/// RFC 9110 section 9.3.6: the target of a CONNECT has a port, and a valid one.
fn is_tunnel(target: &[u8]) -> bool {
    port_of(target).and_then(number_of).is_some_and(|port| port > 0)
}

/// Whether `value` names a host, and a port or none.
fn is_authority(value: &[u8]) -> bool {
    port_of(value).is_some_and(|port| port.is_empty() || number_of(port).is_some())
}

/// The bytes after the host and its colon, if `value` is a host and a port. RFC 9110
/// sections 4.2.1 and 4.2.4: the host is never empty, and has no user before it, because
/// a user would hide where a request goes.
fn port_of(value: &[u8]) -> Option<&[u8]> {
    match value.get(host_end(value)?..)? {
        [] => Some(&[]),
        [b':', port @ ..] => Some(port),
        _ => None,
    }
}

/// The number of a port, if it is a valid one.
fn number_of(port: &[u8]) -> Option<u32> {
    if port.is_empty() {
        return None;
    }
    let mut number = 0_u32;
    for byte in port {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        number = (10 * number + digit).min(PORT_MAX + 1);
    }
    (number <= PORT_MAX).then_some(number)
}

/// Where the host at the start of `value` ends: RFC 3986 section 3.2.2, without its
/// addresses of future versions.
fn host_end(value: &[u8]) -> Option<usize> {
    if let [b'[', rest @ ..] = value {
        let length = rest.iter().position(|byte| *byte == b']')?;
        let address = std::str::from_utf8(rest.get(..length)?).ok()?;
        return address.parse::<Ipv6Addr>().is_ok().then_some(length + 2);
    }
    let mut end = 0;
    loop {
        let rest = value.get(end..)?;
        let is_other = |byte: &u8| HOST_BYTES.get(usize::from(*byte)) != Some(&true);
        end += rest.iter().position(is_other).unwrap_or(rest.len());
        if value.get(end) != Some(&b'%') {
            return (end > 0).then_some(end);
        }
        let digits = value.get(end + 1..end + 3)?;
        end = digits.iter().all(u8::is_ascii_hexdigit).then_some(end + 3)?;
    }
}

fn write_fields(headers: &[Header<'_>], places: &Places, table: &mut [u32; TABLE_WORDS]) {
    table[word::HEADER_COUNT] = headers.len() as u32;
    let (_, rows) = table.split_at_mut(TABLE_FIXED);
    for (row, header) in rows.chunks_exact_mut(TABLE_PER_HEADER).zip(headers) {
        let (name_start, name_end) = places.of(header.name.as_bytes());
        let (value_start, value_end) = places.of(header.value);
        row.copy_from_slice(&[name_start, name_end, value_start, value_end]);
    }
}

/// What the header fields say about the message and the connection.
#[derive(Default)]
struct Framing<'h> {
    host: Option<&'h [u8]>,
    length: Option<u64>,
    /// Whether there is a `Transfer-Encoding`, with any value.
    coded: bool,
    chunked: bool,
    /// Whether it names a registered coding that this server does not implement.
    unimplemented: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: bool,
    expect_continue: bool,
    expect_other: bool,
}

impl<'h> Framing<'h> {
    fn read(headers: &[Header<'h>]) -> Result<Self, Refused> {
        let mut framing = Self::default();
        for header in headers {
            framing.field(header.name, header.value)?;
        }
        Ok(framing)
    }

    /// Looks at one field. Lengths come first: most names differ by length.
    fn field(&mut self, name: &str, value: &'h [u8]) -> Result<(), Refused> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is("host") => self.host(value),
            6 if is("expect") => {
                self.expect(value);
                Ok(())
            }
            7 if is("upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            10 if is("connection") => {
                self.connection(value);
                Ok(())
            }
            14 if is("content-length") => self.content_length(value),
            17 if is("transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    /// RFC 9112 section 3.2: one `Host`, with a host and a port and nothing else. A client
    /// without a host to name sends it empty.
    fn host(&mut self, value: &'h [u8]) -> Result<(), Refused> {
        if self.host.is_some() || !(value.is_empty() || is_authority(value)) {
            return Err(BAD_REQUEST);
        }
        self.host = Some(value);
        Ok(())
    }

    /// RFC 9110 section 8.6: digits, once. A server may merge equal values of a list or
    /// refuse them; this server refuses them, so that no other can disagree.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Refused> {
        if self.length.is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(BAD_REQUEST);
        }
        // A number beyond any integer is refused: another server may wrap it to a small one.
        let length = value
            .iter()
            .try_fold(0_u64, |length, digit| {
                length.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
            })
            .ok_or(BAD_REQUEST)?;
        if length > LENGTH_MAX {
            return Err(CONTENT_TOO_LARGE);
        }
        self.length = Some(length);
        Ok(())
    }

    /// RFC 9112 section 6.1: `chunked` must be last and stand once; this server implements no
    /// other coding. No coding has parameters. RFC 9110 section 5.6.1 allows empty members
    /// of a list, but nginx and llhttp accept none beside `chunked`.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refused> {
        self.coded = true;
        for coding in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if self.chunked {
                return Err(BAD_REQUEST);
            }
            let is = |known: &[u8]| coding.eq_ignore_ascii_case(known);
            if is(b"chunked") {
                self.chunked = true;
            } else if CODINGS_REGISTERED.into_iter().any(is) {
                self.unimplemented = true;
            } else {
                return Err(BAD_REQUEST);
            }
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn expect(&mut self, value: &[u8]) {
        for expectation in list(value) {
            let known = expectation.eq_ignore_ascii_case(b"100-continue");
            self.expect_continue |= known;
            self.expect_other |= !known;
        }
    }

    /// Checks the fields together, and with the request line.
    fn check(&self, message: &Message<'_, '_>, lenient: bool) -> Result<(), Refused> {
        let Message { method, target, minor, .. } = *message;
        // RFC 9112 section 6.1: both framings, or codings in HTTP/1.0, are ways to smuggle a
        // request past a proxy.
        let ambiguous = self.coded && (self.length.is_some() || minor == 0);
        // RFC 9112 section 3.2: HTTP/1.1 without Host is 400. So is a URL without a host:
        // RFC 9110 section 4.2.1.
        let hostless = match self.host {
            None => minor == 1,
            Some(host) => host.is_empty() && target.starts_with('/'),
        };
        // RFC 9110 section 9.3.6: the bytes after a CONNECT belong to the tunnel.
        let filled = method == "CONNECT" && (self.coded || self.length.is_some_and(|n| n > 0));
        if ambiguous || !lenient && (hostless || filled) {
            return Err(BAD_REQUEST);
        }
        // A tunnel is a proxy's work: a server that answers 200 has promised one.
        let unserved = self.unimplemented || !lenient && method == "CONNECT";
        if unserved { Err(NOT_IMPLEMENTED) } else { Ok(()) }
    }

    fn flags(&self, method: &str, minor: u8) -> u32 {
        // RFC 9112 section 9.3: 1.1 persists unless closed, 1.0 if it asks to.
        // The bytes after a CONNECT may be meant for a tunnel.
        let keep_alive = !self.close && (minor == 1 || self.keep_alive) && method != "CONNECT";
        // RFC 9110 sections 7.8 and 10.1.1: in HTTP/1.0 an upgrade and an
        // expectation are ignored.
        let modern = minor == 1;
        [
            (keep_alive, flag::KEEP_ALIVE),
            (self.chunked, flag::CHUNKED),
            (self.length.is_some(), flag::HAS_LENGTH),
            (modern && self.expect_continue, flag::EXPECT_CONTINUE),
            (modern && self.expect_other, flag::EXPECT_OTHER),
            (modern && self.upgrade && self.connection_upgrade, flag::UPGRADE),
            (self.host.is_some(), flag::HAS_HOST),
        ]
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(0, |flags, (_, bit)| flags | bit)
    }
}

/// The members of a comma-separated list without the empty ones: RFC 9110 section 5.6.1.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}
