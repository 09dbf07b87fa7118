//! HTTP/1 request heads: where each part lies, and what RFC 9112 makes of it.
//!
//! The bytes are parsed by `httparse`; this module decides what is refused and
//! how the body is framed. It does no I/O and allocates nothing. A head has
//! three outcomes: complete with its length, partial, or refused with the
//! status that says why. Anything that two servers could read differently is
//! refused, since that is what request smuggling lives on.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Request};

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
    /// There is an expectation that nobody can meet (417).
    pub const EXPECT_OTHER: u32 = 1 << 4;
    /// `Connection: upgrade` together with `Upgrade`.
    pub const UPGRADE: u32 = 1 << 5;
    /// There is a `Host`.
    pub const HAS_HOST: u32 = 1 << 6;
}

/// Methods known by number, so that JavaScript need not decode them.
pub const METHODS: [&str; 10] =
    ["", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

/// The status to refuse a head with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub u16);

const BAD_REQUEST: Refused = Refused(400);
const CONTENT_TOO_LARGE: Refused = Refused(413);
const FIELDS_TOO_LARGE: Refused = Refused(431);
const NOT_IMPLEMENTED: Refused = Refused(501);
const VERSION_NOT_SUPPORTED: Refused = Refused(505);

/// The largest body length: beyond it a JavaScript number loses bytes.
const LENGTH_MAX: u64 = (1 << 53) - 1;

/// Parses the head that starts at `offset` of `buffer` into `table`.
///
/// Returns the head's length, or `None` while it is partial. `scanned` bytes of
/// it were partial before: unless the new ones end a line pair the head is still
/// partial, and a peer that sends single bytes does not make us parse it all
/// again for each.
///
/// # Errors
///
/// The status to answer: 400, 413, 431, 501 or 505.
pub fn parse(
    buffer: &[u8],
    offset: usize,
    scanned: usize,
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
        Err(error) => return refuse(error, head),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(BAD_REQUEST);
    };
    let places = Places { base: buffer.as_ptr() as usize };
    check_line_ends(buffer, offset, length, &places, &request)?;
    check_target(method, target)?;
    let (target_start, target_end) = places.of(target.as_bytes());
    let (method_start, method_end) = places.of(method.as_bytes());
    table[word::METHOD] =
        METHODS.iter().position(|known| *known == method).unwrap_or_default() as u32;
    table[word::METHOD_START] = method_start;
    table[word::METHOD_END] = method_end;
    table[word::TARGET_START] = target_start;
    table[word::TARGET_END] = target_end;
    table[word::MINOR] = u32::from(minor);
    write_fields(request.headers, &places, table);
    let framing = Framing::read(request.headers, minor)?;
    let (host_start, host_end) = framing.host.map_or((0, 0), |host| places.of(host));
    table[word::FLAGS] = framing.flags(minor);
    table[word::LENGTH_LOW] = framing.length.unwrap_or_default() as u32;
    table[word::LENGTH_HIGH] = (framing.length.unwrap_or_default() >> 32) as u32;
    table[word::HOST_START] = host_start;
    table[word::HOST_END] = host_end;
    Ok(Some(length))
}

/// Turns a slice of the buffer back into its place there.
struct Places {
    base: usize,
}

impl Places {
    fn of(&self, part: &[u8]) -> (u32, u32) {
        let start = part.as_ptr() as usize - self.base;
        (start as u32, (start + part.len()) as u32)
    }
}

/// Whether an empty line ends somewhere in `bytes`, however lines end.
fn ends_head(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n")
        || bytes.windows(3).any(|triple| triple == b"\n\r\n")
}

/// What becomes of a head that `httparse` does not take.
fn refuse(error: httparse::Error, head: &[u8]) -> Result<Option<usize>, Refused> {
    match error {
        httparse::Error::TooManyHeaders => Err(FIELDS_TOO_LARGE),
        httparse::Error::Version => match request_line(head) {
            // Until its line ends, `HTTP/2` may yet be another version, or none.
            None => Ok(None),
            Some(line) if names_other_version(line) => Err(VERSION_NOT_SUPPORTED),
            Some(_) => Err(BAD_REQUEST),
        },
        _ => Err(BAD_REQUEST),
    }
}

/// The request line without its LF, once that has come.
fn request_line(head: &[u8]) -> Option<&[u8]> {
    let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    head.get(start..)?.split_inclusive(|byte| *byte == b'\n').next()?.strip_suffix(b"\n")
}

/// Whether a request line, refused for its version, ends in a well-formed one:
/// RFC 9112 section 2.3. HTTP/2 clients also leave the minor version out.
fn names_other_version(line: &[u8]) -> bool {
    let mut words = line.strip_suffix(b"\r").unwrap_or(line).split(|byte| *byte == b' ');
    let version = words.nth(2).and_then(|version| version.strip_prefix(b"HTTP/"));
    let well_formed = match version {
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        Some([major]) => major.is_ascii_digit(),
        _ => false,
    };
    well_formed && words.next().is_none()
}

/// Refuses lines that end in a bare LF, which `httparse` lets pass: RFC 9112
/// section 2.2 allows either reading, so two servers may split them otherwise.
fn check_line_ends(
    buffer: &[u8],
    offset: usize,
    length: usize,
    places: &Places,
    request: &Request<'_, '_>,
) -> Result<(), Refused> {
    let line_ends_before =
        |end: usize| end >= 2 && buffer.get(end - 2..end).is_some_and(|pair| pair == b"\r\n");
    let start = places.of(request.method.unwrap_or_default().as_bytes()).0 as usize;
    let leading = buffer.get(offset..start).unwrap_or_default();
    let fields_end = offset + length - 2;
    let lines_good = leading.chunks(2).all(|pair| pair == b"\r\n")
        && line_ends_before(offset + length)
        && line_ends_before(fields_end)
        && request
            .headers
            .iter()
            .all(|header| line_ends_before(places.of(header.name.as_bytes()).0 as usize));
    if lines_good { Ok(()) } else { Err(BAD_REQUEST) }
}

/// RFC 9112 section 3.2: which form of target goes with which method.
fn check_target(method: &str, target: &str) -> Result<(), Refused> {
    if method == "CONNECT" {
        // A tunnel is a proxy's work: RFC 9110 section 9.3.6.
        return Err(NOT_IMPLEMENTED);
    }
    let known = target.starts_with('/')
        || authority(target).is_some_and(|authority| !authority.is_empty() && is_host(authority))
        || target == "*" && method == "OPTIONS";
    if known { Ok(()) } else { Err(BAD_REQUEST) }
}

/// The authority of an absolute target, which must name a host and, since that
/// hides where a request goes, no user: RFC 9110 sections 4.2.1 and 4.2.4.
fn authority(target: &str) -> Option<&[u8]> {
    let (scheme, rest) = target.split_once("://")?;
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?', '#']).next().filter(|_| known)?;
    (!authority.starts_with(':')).then_some(authority.as_bytes())
}

/// Whether there is nothing in `value` but what a host and a port are made of.
fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| {
        // A pattern, which compiles to a bit test: this runs for every byte.
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b':'
                    | b'%'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
                    | b'['
                    | b']'
            )
    })
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
    chunked: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: bool,
    expect_continue: bool,
    expect_other: bool,
}

impl<'h> Framing<'h> {
    fn read(headers: &[Header<'h>], minor: u8) -> Result<Self, Refused> {
        let mut framing = Self::default();
        for header in headers {
            framing.field(header.name, header.value)?;
        }
        framing.check(minor)?;
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

    /// RFC 9112 section 3.2: one `Host`, with nothing in it but a host.
    fn host(&mut self, value: &'h [u8]) -> Result<(), Refused> {
        if self.host.is_some() || !is_host(value) {
            return Err(BAD_REQUEST);
        }
        self.host = Some(value);
        Ok(())
    }

    /// RFC 9110 section 8.6: digits, once. A list of equal values may be
    /// merged or refused; refusing leaves nothing to disagree about.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Refused> {
        if self.length.is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(BAD_REQUEST);
        }
        let mut length = 0_u64;
        for digit in value {
            length = length.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        }
        if length > LENGTH_MAX {
            return Err(CONTENT_TOO_LARGE);
        }
        self.length = Some(length);
        Ok(())
    }

    /// RFC 9112 section 6.1: chunked must come last and once; a coding that
    /// this server does not know is 501.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refused> {
        if self.chunked {
            return Err(BAD_REQUEST);
        }
        let mut codings = list(value).peekable();
        while let Some(coding) = codings.next() {
            let last = codings.peek().is_none();
            match (coding.eq_ignore_ascii_case(b"chunked"), last) {
                (true, true) => self.chunked = true,
                (true, false) => return Err(BAD_REQUEST),
                (false, _) => return Err(NOT_IMPLEMENTED),
            }
        }
        if self.chunked { Ok(()) } else { Err(BAD_REQUEST) }
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

    fn check(&self, minor: u8) -> Result<(), Refused> {
        // RFC 9112 section 6.1: both framings, or chunks in HTTP/1.0, are how
        // a request is smuggled past a proxy.
        let ambiguous = self.chunked && (self.length.is_some() || minor == 0);
        // RFC 9112 section 3.2: HTTP/1.1 without Host is 400.
        let hostless = minor == 1 && self.host.is_none();
        if ambiguous || hostless { Err(BAD_REQUEST) } else { Ok(()) }
    }

    fn flags(&self, minor: u8) -> u32 {
        // RFC 9112 section 9.3: 1.1 persists unless closed, 1.0 if it asks to.
        let keep_alive = !self.close && (minor == 1 || self.keep_alive);
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

/// The members of a comma-separated list, empty ones left out: RFC 9110
/// section 5.6.1.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}
