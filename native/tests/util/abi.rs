//! The exported functions with slices for their buffers, as `src/native` calls them.

use std::net::SocketAddr;

use denio::ffi::{self, ADDRESS_BYTES};

pub type Address = [u8; ADDRESS_BYTES];

/// An address in the ABI's layout. The scope of a loopback address is zero.
pub fn encode(address: SocketAddr) -> Address {
    let mut bytes = [0; ADDRESS_BYTES];
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(address) => {
            bytes[0] = 4;
            bytes[8..12].copy_from_slice(&address.ip().octets());
        }
        SocketAddr::V6(address) => {
            bytes[0] = 6;
            bytes[8..24].copy_from_slice(&address.ip().octets());
        }
    }
    bytes
}

/// The handle that a call answered with.
#[track_caller]
pub fn handle(answer: f64) -> f64 {
    assert!(answer > 0.0, "no handle but {answer}");
    answer
}

/// The same slot in another generation.
pub fn old_generation(handle: f64) -> f64 {
    (handle as u64 ^ 1 << 20) as f64
}

pub fn bind(address: &Address, backlog: i32, flags: u32) -> f64 {
    // SAFETY: `address` is as long as its type.
    unsafe { ffi::denio_listener_bind(address.as_ptr(), backlog, flags, 0, 0, 0, 0) }
}

pub fn connect(address: &Address) -> f64 {
    // SAFETY: `address` is as long as its type.
    unsafe { ffi::denio_stream_connect(address.as_ptr()) }
}

pub fn local_address(socket: f64) -> Result<Address, i32> {
    let mut address = [0; ADDRESS_BYTES];
    // SAFETY: `address` is as long as its type.
    let answer = unsafe { ffi::denio_source_local_address(socket, address.as_mut_ptr()) };
    if answer == 0 { Ok(address) } else { Err(answer) }
}

pub fn peer_address(stream: f64) -> Result<Address, i32> {
    let mut address = [0; ADDRESS_BYTES];
    // SAFETY: `address` is as long as its type.
    let answer = unsafe { ffi::denio_stream_peer_address(stream, address.as_mut_ptr()) };
    if answer == 0 { Ok(address) } else { Err(answer) }
}

/// Accepts into `out`: why it stopped, how many were passed over, then the handles.
pub fn accept(listener: f64, out: &mut [f64]) -> i32 {
    let capacity = out.len() - ffi::ACCEPT_WORDS;
    // SAFETY: `out` is writable for the words and the capacity.
    unsafe { ffi::denio_listener_accept(listener, out.as_mut_ptr(), capacity as u32) }
}

pub fn read(stream: f64, buffer: &mut [u8]) -> i32 {
    // SAFETY: `buffer` is writable for its length.
    unsafe { ffi::denio_stream_read(stream, buffer.as_mut_ptr(), 0, buffer.len() as u32) }
}

pub fn write(stream: f64, bytes: &[u8]) -> i32 {
    // SAFETY: `bytes` is readable for its length.
    unsafe { ffi::denio_stream_write(stream, bytes.as_ptr(), 0, bytes.len() as u32) }
}

/// Reads streams behind the first `offset` bytes: each a handle, then what it gave.
pub fn read_streams(
    buffer: &mut [u8],
    offset: usize,
    room_min: u32,
    reads: &mut [ffi::StreamRead],
) -> i32 {
    let room = (buffer.len() - offset) as u32;
    let (start, count) = (buffer.as_mut_ptr(), reads.len() as u32);
    let reads = reads.as_mut_ptr();
    // SAFETY: both are writable for their lengths.
    unsafe { ffi::denio_streams_read(start, offset as u32, room, room_min, reads, count) }
}

/// Writes to streams: each a handle, where its bytes begin and end, then what it gave.
pub fn write_streams(bytes: &[u8], writes: &mut [ffi::StreamWrite]) -> i32 {
    let (length, count) = (bytes.len() as u32, writes.len() as u32);
    let writes = writes.as_mut_ptr();
    // SAFETY: the one is readable, the other writable for its length.
    unsafe { ffi::denio_streams_write(bytes.as_ptr(), length, writes, count) }
}

/// A Unix listener on a path or an abstract name.
pub fn unix_bind(path: &[u8], backlog: i32) -> f64 {
    // SAFETY: `path` is readable for its length.
    unsafe { ffi::denio_unix_listener_bind(path.as_ptr(), path.len() as u32, backlog) }
}

pub fn unix_connect(path: &[u8]) -> f64 {
    // SAFETY: `path` is readable for its length.
    unsafe { ffi::denio_unix_stream_connect(path.as_ptr(), path.len() as u32) }
}

/// Two connected Unix streams.
pub fn unix_pair() -> Result<[f64; 2], i32> {
    let mut out = [0.0; 2];
    // SAFETY: `out` is writable for two handles.
    let answer = unsafe { ffi::denio_unix_stream_pair(out.as_mut_ptr()) };
    if answer == 0 { Ok(out) } else { Err(answer) }
}

/// The reading and the writing end of a pipe.
pub fn pipe() -> Result<[f64; 2], i32> {
    let mut out = [0.0; 2];
    // SAFETY: `out` is writable for two handles.
    let answer = unsafe { ffi::denio_pipe_new(out.as_mut_ptr()) };
    if answer == 0 { Ok(out) } else { Err(answer) }
}

pub fn peek(stream: f64, buffer: &mut [u8]) -> i32 {
    // SAFETY: `buffer` is writable for its length.
    unsafe { ffi::denio_stream_peek(stream, buffer.as_mut_ptr(), 0, buffer.len() as u32) }
}

/// Reads into up to eight buffers, given by start and length.
///
/// # Safety
///
/// Each is null or writable for its length.
pub unsafe fn read_vectored(stream: f64, parts: &[(*mut u8, u32)]) -> i32 {
    let none = (std::ptr::null_mut(), 0);
    let [a, b, c, d, e, f, g, h] =
        std::array::from_fn(|place| parts.get(place).copied().unwrap_or(none));
    // SAFETY: the caller's promise.
    unsafe {
        ffi::denio_stream_read_vectored(
            stream, a.0, a.1, b.0, b.1, c.0, c.1, d.0, d.1, e.0, e.1, f.0, f.1, g.0, g.1, h.0, h.1,
        )
    }
}

/// Writes up to eight buffers, given by start and length.
///
/// # Safety
///
/// Each is null or readable for its length.
pub unsafe fn write_vectored(stream: f64, parts: &[(*const u8, u32)]) -> i32 {
    let none = (std::ptr::null(), 0);
    let [a, b, c, d, e, f, g, h] =
        std::array::from_fn(|place| parts.get(place).copied().unwrap_or(none));
    // SAFETY: the caller's promise.
    unsafe {
        ffi::denio_stream_write_vectored(
            stream, a.0, a.1, b.0, b.1, c.0, c.1, d.0, d.1, e.0, e.1, f.0, f.1, g.0, g.1, h.0, h.1,
        )
    }
}

pub fn udp_bind(address: &Address, flags: u32) -> f64 {
    // SAFETY: `address` is as long as its type.
    unsafe { ffi::denio_udp_bind(address.as_ptr(), flags) }
}

pub fn udp_connect(udp: f64, address: &Address) -> i32 {
    // SAFETY: `address` is as long as its type.
    unsafe { ffi::denio_udp_connect(udp, address.as_ptr()) }
}

pub fn udp_send(udp: f64, bytes: &[u8]) -> i32 {
    // SAFETY: `bytes` is readable for its length.
    unsafe { ffi::denio_udp_send(udp, bytes.as_ptr(), 0, bytes.len() as u32) }
}

pub fn udp_send_to(udp: f64, bytes: &[u8], address: &Address) -> i32 {
    let (start, length) = (bytes.as_ptr(), bytes.len() as u32);
    // SAFETY: `bytes` is readable for its length, `address` for that of its type.
    unsafe { ffi::denio_udp_send_to(udp, start, 0, length, address.as_ptr()) }
}

pub fn udp_receive(udp: f64, buffer: &mut [u8]) -> i32 {
    // SAFETY: `buffer` is writable for its length.
    unsafe { ffi::denio_udp_receive(udp, buffer.as_mut_ptr(), 0, buffer.len() as u32) }
}

pub fn udp_peek(udp: f64, buffer: &mut [u8]) -> i32 {
    // SAFETY: `buffer` is writable for its length.
    unsafe { ffi::denio_udp_peek(udp, buffer.as_mut_ptr(), 0, buffer.len() as u32) }
}

/// Receives a datagram and its sender.
pub fn udp_receive_from(udp: f64, buffer: &mut [u8]) -> (i32, Address) {
    let mut from = [0; ADDRESS_BYTES];
    let (start, length) = (buffer.as_mut_ptr(), buffer.len() as u32);
    // SAFETY: `buffer` is writable for its length, `from` for that of its type.
    let answer = unsafe { ffi::denio_udp_receive_from(udp, start, 0, length, from.as_mut_ptr()) };
    (answer, from)
}

/// Peeks at a datagram and its sender.
pub fn udp_peek_from(udp: f64, buffer: &mut [u8]) -> (i32, Address) {
    let mut from = [0; ADDRESS_BYTES];
    let (start, length) = (buffer.as_mut_ptr(), buffer.len() as u32);
    // SAFETY: `buffer` is writable for its length, `from` for that of its type.
    let answer = unsafe { ffi::denio_udp_peek_from(udp, start, 0, length, from.as_mut_ptr()) };
    (answer, from)
}

pub fn udp_peer_address(udp: f64) -> Result<Address, i32> {
    let mut address = [0; ADDRESS_BYTES];
    // SAFETY: `address` is as long as its type.
    let answer = unsafe { ffi::denio_udp_peer_address(udp, address.as_mut_ptr()) };
    if answer == 0 { Ok(address) } else { Err(answer) }
}

pub fn udp_set_membership(
    udp: f64,
    group: &Address,
    interface: Option<&Address>,
    join: u32,
) -> i32 {
    let interface = interface.map_or(std::ptr::null(), |address| address.as_ptr());
    // SAFETY: both are as long as their types say, or null.
    unsafe { ffi::denio_udp_set_membership(udp, group.as_ptr(), interface, join) }
}

/// The kind of a descriptor, and its own address.
pub fn describe(fd: i32) -> (i32, Address) {
    let mut address = [0; ADDRESS_BYTES];
    // SAFETY: `address` is as long as its type.
    (unsafe { ffi::denio_descriptor_describe(fd, address.as_mut_ptr()) }, address)
}

/// Waits into `out`: two words of clock, then two words an event.
pub fn wait(poll: f64, out: &mut [u32], timeout_ms: i32) -> i32 {
    let capacity = (out.len() - ffi::CLOCK_WORDS) / 2;
    // SAFETY: `out` is writable for the clock and `capacity` events.
    unsafe { ffi::denio_poll_wait(poll, out.as_mut_ptr(), capacity as u32, timeout_ms) }
}

/// Calls until the answer is no `EAGAIN`, or the deadline is over.
#[track_caller]
pub fn eventually(mut call: impl FnMut() -> i32) -> i32 {
    let answer = super::eventually(|| match call() {
        blocked if blocked == -libc::EAGAIN => Err(std::io::ErrorKind::WouldBlock.into()),
        answer => Ok(answer),
    });
    answer.unwrap()
}

/// Accepts one connection, waiting for it.
#[track_caller]
pub fn accept_one(listener: f64) -> f64 {
    let mut out = [0.0; 3];
    eventually(|| match accept(listener, &mut out) {
        0 => -(out[0] as i32),
        count => count,
    });
    handle(out[2])
}

/// TCP streams: the client and the accepted stream.
pub fn tcp_pair() -> [f64; 2] {
    let listener = handle(bind(&encode(super::loopback()), 16, 0));
    let client = handle(connect(&local_address(listener).unwrap()));
    let server = accept_one(listener);
    assert_eq!(ffi::denio_source_close(listener), 0);
    [client, server]
}

/// A group of receivers of the local scope: RFC 2365 section 6.1.
pub fn group() -> Address {
    encode("239.255.41.7:0".parse().unwrap())
}
