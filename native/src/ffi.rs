//! The C ABI: every function that JavaScript can call, and nothing else.
//!
//! Each returns an `i32`: a count, a handle or another number when zero or
//! more, `-errno` otherwise. Parameters are integers and buffers. A buffer
//! comes with an offset and a length in its own elements, since a `subarray` a
//! call would cost more than the call. Handles are looked up in
//! [`crate::source_table`]: any integer may be given for one.
//!
//! The buffer is the one thing that Rust must take on trust: the caller says
//! how long it is. `src/native` checks that once, where a buffer comes in.

#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crate::source_table::{self, Object};
use crate::{
    Event, Interest, ListenOptions, Poll, Registry, Source, TcpListener, TcpStream, Token, Waker,
};
use crate::{http1, sys};

/// Raised with every change of a signature or a layout; TypeScript refuses a
/// library with another number.
pub const ABI_VERSION: i32 = 1;

/// Bytes of an address: family (4 or 6), a zero, port and scope in network
/// order, then the 4 or 16 bytes of the IP address.
pub const ADDRESS_BYTES: usize = 24;

/// Words before the events of [`denio_poll_wait`]: seconds and nanoseconds of
/// a clock that never goes back, read after the wait.
pub const CLOCK_WORDS: usize = 2;

const LISTEN_REUSE_PORT: u32 = 1;
const LISTEN_ONLY_V6: u32 = 1 << 1;
const LISTEN_NODELAY: u32 = 1 << 2;

const BACKEND_AUTO: u32 = 0;
const BACKEND_EPOLL: u32 = 1;
const BACKEND_KQUEUE: u32 = 2;

/// Returns [`ABI_VERSION`].
#[unsafe(no_mangle)]
pub extern "C" fn denio_abi_version() -> i32 {
    ABI_VERSION
}

/// Returns how many handles are open in the process.
#[unsafe(no_mangle)]
pub extern "C" fn denio_source_count() -> i32 {
    answer_count(Ok(source_table::open_count()))
}

/// Closes any handle: the source, poll, registry or waker is gone at once.
#[unsafe(no_mangle)]
pub extern "C" fn denio_source_close(handle: u32) -> i32 {
    answer_unit(source_table::remove(handle))
}

/// Returns and clears a socket's error as a positive errno; 0 for none.
#[unsafe(no_mangle)]
pub extern "C" fn denio_source_take_error(handle: u32) -> i32 {
    let error = source_table::with(handle, |object| match object {
        Object::TcpListener(listener) => listener.take_error(),
        Object::TcpStream(stream) => stream.take_error(),
        _ => Err(not_a_socket()),
    });
    answer(error.map(|error| error.map_or(0, |error| -errno(&error))))
}

/// Writes a socket's own address, [`ADDRESS_BYTES`] long.
///
/// # Safety
///
/// `address` is null or writable for [`ADDRESS_BYTES`] until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_source_local_address(handle: u32, address: *mut u8) -> i32 {
    let found = source_table::with(handle, |object| match object {
        Object::TcpListener(listener) => listener.local_address(),
        Object::TcpStream(stream) => stream.local_address(),
        _ => Err(not_a_socket()),
    });
    // SAFETY: the caller's promise.
    unsafe { write_address(found, address) }
}

/// Writes the address of a stream's peer, [`ADDRESS_BYTES`] long.
///
/// # Safety
///
/// As [`denio_source_local_address`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_peer_address(stream: u32, address: *mut u8) -> i32 {
    let found = with_stream(stream, TcpStream::peer_address);
    // SAFETY: the caller's promise.
    unsafe { write_address(found, address) }
}

/// Writes up to `capacity` addresses that the system's resolver knows for a
/// name, and returns how many. Blocks while the resolver works.
///
/// # Safety
///
/// `name` is null or readable for `length` bytes, `addresses` null or writable
/// for `capacity` times [`ADDRESS_BYTES`], until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_name_resolve(
    name: *const u8,
    length: u32,
    addresses: *mut u8,
    capacity: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let name = unsafe { bytes(name, 0, length) };
    let room = (capacity as usize).saturating_mul(ADDRESS_BYTES);
    // SAFETY: the caller's promise.
    let room = unsafe { bytes_mut(addresses, 0, room as u32) };
    let (Some(name), Some(room)) = (name, room) else { return -libc::EFAULT };
    answer_count(resolve(name, room))
}

fn resolve(name: &[u8], room: &mut [u8]) -> io::Result<usize> {
    let name = std::str::from_utf8(name).map_err(|_| invalid())?;
    // The resolver's own errors carry no errno: an unknown name is `ENOENT`.
    let found = (name, 0).to_socket_addrs().map_err(|error| match error.raw_os_error() {
        Some(_) => error,
        None => io::Error::from_raw_os_error(libc::ENOENT),
    })?;
    let mut count = 0;
    for (address, place) in found.zip(room.chunks_exact_mut(ADDRESS_BYTES)) {
        place.copy_from_slice(&encode_address(address));
        count += 1;
    }
    Ok(count)
}

/// Opens a poll and returns its handle. `backend`: 0 the system's best, 1
/// epoll, 2 kqueue; `ENOTSUP` when this system has not got it.
#[unsafe(no_mangle)]
pub extern "C" fn denio_poll_new(backend: u32) -> i32 {
    if backend != BACKEND_AUTO && backend != backend_here() {
        let known = backend <= BACKEND_KQUEUE;
        return if known { -libc::ENOTSUP } else { -libc::EINVAL };
    }
    // Before anything can be parked on another thread.
    sys::keep_loaded();
    answer_handle(Poll::new().map(|poll| Object::Poll(Arc::new(poll))))
}

/// Returns the backend of a poll: 1 epoll, 2 kqueue.
#[unsafe(no_mangle)]
pub extern "C" fn denio_poll_backend(poll: u32) -> i32 {
    answer(shared_poll(poll).map(|_| backend_here() as i32))
}

fn backend_here() -> u32 {
    if Poll::backend() == "epoll" { BACKEND_EPOLL } else { BACKEND_KQUEUE }
}

/// Waits up to `timeout_ms` (negative: without limit), writes the clock and
/// what is ready.
///
/// Returns the number of events written, or `-errno`. An interrupted wait is
/// zero events: `EINTR` never reaches JavaScript.
///
/// # Safety
///
/// `events` is null, or four-byte aligned and writable for [`CLOCK_WORDS`] and
/// `capacity` events until this returns. Any `poll` is allowed: an unknown
/// handle is `-EBADF`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_poll_wait(
    poll: u32,
    events: *mut u32,
    capacity: u32,
    timeout_ms: i32,
) -> i32 {
    let words = CLOCK_WORDS + 2 * (capacity as usize).min(sys::BATCH_MAX);
    // SAFETY: the caller's promise; `words` is no more than it spoke of.
    let Some(words) = (unsafe { words_mut(events, words) }) else { return -libc::EFAULT };
    let (clock, events) = words.split_at_mut(CLOCK_WORDS);
    // SAFETY: an event is two u32 words without padding, of the same
    // alignment, and any bits are an event.
    let (_, events, _) = unsafe { events.align_to_mut::<Event>() };
    let ready = wait(poll, events, timeout_ms);
    let now = sys::monotonic_time();
    for (word, part) in clock.iter_mut().zip([now.as_secs() as u32, now.subsec_nanos()]) {
        *word = part;
    }
    answer_count(ready)
}

fn wait(poll: u32, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
    // The handle is not held through the wait, or nobody could close it.
    let ready = shared_poll(poll)?.poll(events, timeout(timeout_ms));
    if_interrupted(ready, 0)
}

/// Waits like [`denio_poll_wait`] but takes no event, and returns 1 when there
/// is one. Made to be called from another thread: it touches no buffer.
#[unsafe(no_mangle)]
pub extern "C" fn denio_poll_park(poll: u32, timeout_ms: i32) -> i32 {
    let ready = shared_poll(poll).and_then(|poll| poll.park(timeout(timeout_ms)));
    answer(if_interrupted(ready, false).map(i32::from))
}

/// Returns a new handle for the registry of a poll, or of another registry.
#[unsafe(no_mangle)]
pub extern "C" fn denio_registry_try_clone(registry: u32) -> i32 {
    answer_handle(with_registry(registry, Registry::try_clone).map(Object::Registry))
}

/// Registers a source. `registry` is a poll's handle or a cloned registry's.
#[unsafe(no_mangle)]
pub extern "C" fn denio_registry_register(
    registry: u32,
    source: u32,
    token: u32,
    interest: u32,
) -> i32 {
    answer_unit(with_registration(registry, source, |registry, source| {
        registry.register(source, Token(token), Interest::from_bits(interest)?)
    }))
}

/// Replaces a source's token and interest; it fires again when ready now.
#[unsafe(no_mangle)]
pub extern "C" fn denio_registry_reregister(
    registry: u32,
    source: u32,
    token: u32,
    interest: u32,
) -> i32 {
    answer_unit(with_registration(registry, source, |registry, source| {
        registry.reregister(source, Token(token), Interest::from_bits(interest)?)
    }))
}

/// Stops telling about a source.
#[unsafe(no_mangle)]
pub extern "C" fn denio_registry_deregister(registry: u32, source: u32) -> i32 {
    answer_unit(with_registration(registry, source, |registry, source| registry.deregister(source)))
}

/// Opens the waker of a poll and returns its handle.
#[unsafe(no_mangle)]
pub extern "C" fn denio_waker_new(registry: u32, token: u32) -> i32 {
    let waker = with_registry(registry, |registry| Waker::new(registry, Token(token)));
    answer_handle(waker.map(Object::Waker))
}

/// Ends the wait of the waker's poll.
#[unsafe(no_mangle)]
pub extern "C" fn denio_waker_wake(waker: u32) -> i32 {
    answer_unit(source_table::with(waker, |object| match object {
        Object::Waker(waker) => waker.wake(),
        _ => Err(invalid()),
    }))
}

/// Binds, listens and returns the listener's handle. `flags`: 1 reuse port, 2
/// IPv6 only, 4 nodelay for what is accepted.
///
/// # Safety
///
/// `address` is null or readable for [`ADDRESS_BYTES`] until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_listener_bind(address: *const u8, backlog: i32, flags: u32) -> i32 {
    // SAFETY: the caller's promise.
    let address = unsafe { read_address(address) };
    let options = ListenOptions {
        backlog,
        reuse_port: flags & LISTEN_REUSE_PORT != 0,
        only_v6: flags & LISTEN_ONLY_V6 != 0,
        nodelay: flags & LISTEN_NODELAY != 0,
    };
    let listener = address.and_then(|address| TcpListener::bind(address, &options));
    answer_handle(listener.map(Object::TcpListener))
}

/// Accepts up to `capacity` connections and returns how many. `out` takes one
/// word that says why it stopped (0 when full, else an errno, `EAGAIN` when
/// none wait any more), then the handles.
///
/// # Safety
///
/// `out` is null, or four-byte aligned and writable for `capacity + 1` words
/// until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_listener_accept(listener: u32, out: *mut u32, capacity: u32) -> i32 {
    // SAFETY: the caller's promise.
    let out = unsafe { words_mut(out, (capacity as usize).saturating_add(1)) };
    let Some((stopped, handles)) = out.and_then(<[u32]>::split_first_mut) else {
        return -libc::EFAULT;
    };
    *stopped = 0;
    let mut count = 0;
    for place in handles {
        match accept(listener) {
            Ok(handle) => *place = handle,
            Err(error) => {
                *stopped = errno(&error).unsigned_abs();
                break;
            }
        }
        count += 1;
    }
    answer_count(Ok(count))
}

fn accept(listener: u32) -> io::Result<u32> {
    let stream = source_table::with(listener, |object| match object {
        Object::TcpListener(listener) => loop {
            match listener.accept() {
                // It went while it waited: the next one may be there.
                Err(error) if error.raw_os_error() == Some(libc::ECONNABORTED) => {}
                done => break done,
            }
        },
        _ => Err(invalid()),
    })?;
    source_table::insert(Object::TcpStream(stream))
}

/// Begins to connect and returns the stream's handle.
///
/// # Safety
///
/// `address` is null or readable for [`ADDRESS_BYTES`] until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_connect(address: *const u8) -> i32 {
    // SAFETY: the caller's promise.
    let address = unsafe { read_address(address) };
    answer_handle(address.and_then(TcpStream::connect).map(Object::TcpStream))
}

/// Reads into `length` bytes from `offset`; 0 is the end of the stream, and
/// also what a length of 0 gives.
///
/// # Safety
///
/// `buffer` is null or writable for `offset + length` bytes until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_read(
    stream: u32,
    buffer: *mut u8,
    offset: u32,
    length: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes_mut(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    answer_count(with_stream(stream, |stream| stream.read(buffer)))
}

/// Writes `length` bytes from `offset` and returns how many were taken.
///
/// # Safety
///
/// `buffer` is null or readable for `offset + length` bytes until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_write(
    stream: u32,
    buffer: *const u8,
    offset: u32,
    length: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let Some(buffer) = (unsafe { bytes(buffer, offset, length) }) else {
        return -libc::EFAULT;
    };
    answer_count(with_stream(stream, |stream| stream.write(buffer)))
}

/// Shuts down reading (0), writing (1) or both (2).
#[unsafe(no_mangle)]
pub extern "C" fn denio_stream_shutdown(stream: u32, how: u32) -> i32 {
    let how = match how {
        0 => Shutdown::Read,
        1 => Shutdown::Write,
        2 => Shutdown::Both,
        _ => return -libc::EINVAL,
    };
    answer_unit(with_stream(stream, |stream| stream.shutdown(how)))
}

/// Sets `TCP_NODELAY`: 0 off, else on.
#[unsafe(no_mangle)]
pub extern "C" fn denio_stream_set_nodelay(stream: u32, nodelay: u32) -> i32 {
    answer_unit(with_stream(stream, |stream| stream.set_nodelay(nodelay != 0)))
}

/// Returns `TCP_NODELAY`: 0 off, 1 on.
#[unsafe(no_mangle)]
pub extern "C" fn denio_stream_nodelay(stream: u32) -> i32 {
    answer(with_stream(stream, TcpStream::nodelay).map(i32::from))
}

/// Makes closing the stream reset it: 0 off, else on.
#[unsafe(no_mangle)]
pub extern "C" fn denio_stream_set_reset_on_close(stream: u32, reset: u32) -> i32 {
    answer_unit(with_stream(stream, |stream| stream.set_reset_on_close(reset != 0)))
}

/// Parses the HTTP/1 head that starts at `offset`. `scanned` bytes of it were
/// partial before. Returns its length, 0 while it is partial, or the negative
/// status to refuse it with: statuses begin at 400, errnos end below it.
///
/// # Safety
///
/// `buffer` is null or readable for `offset + length` bytes, `table` null, or
/// four-byte aligned and writable for [`http1::TABLE_WORDS`], until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_http1_parse(
    buffer: *const u8,
    offset: u32,
    length: u32,
    scanned: u32,
    table: *mut u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let buffer = unsafe { bytes(buffer, 0, offset.saturating_add(length)) };
    // SAFETY: the caller's promise.
    let table = unsafe { words_mut(table, http1::TABLE_WORDS) };
    let table = table.and_then(|table| <&mut [u32; http1::TABLE_WORDS]>::try_from(table).ok());
    let (Some(buffer), Some(table)) = (buffer, table) else { return -libc::EFAULT };
    match http1::parse(buffer, offset as usize, scanned as usize, table) {
        Ok(head) => answer_count(Ok(head.unwrap_or_default())),
        Err(http1::Refused(status)) => -i32::from(status),
    }
}

fn answer(result: io::Result<i32>) -> i32 {
    result.unwrap_or_else(|error| errno(&error))
}

fn answer_unit(result: io::Result<()>) -> i32 {
    answer(result.map(|()| 0))
}

fn answer_count(result: io::Result<usize>) -> i32 {
    answer(result.map(|count| i32::try_from(count).unwrap_or(i32::MAX)))
}

fn answer_handle(object: io::Result<Object>) -> i32 {
    answer(object.and_then(source_table::insert).map(|handle| handle as i32))
}

/// The negative errno. An error without one is this crate's own: `EINVAL`.
fn errno(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(libc::EINVAL)
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

fn not_a_socket() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOTSOCK)
}

fn if_interrupted<T>(result: io::Result<T>, otherwise: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(otherwise),
        done => done,
    }
}

fn timeout(timeout_ms: i32) -> Option<Duration> {
    u64::try_from(timeout_ms).ok().map(Duration::from_millis)
}

fn shared_poll(handle: u32) -> io::Result<Arc<Poll>> {
    source_table::with(handle, |object| match object {
        Object::Poll(poll) => Ok(Arc::clone(poll)),
        _ => Err(invalid()),
    })
}

fn with_registry<T>(handle: u32, call: impl FnOnce(&Registry) -> io::Result<T>) -> io::Result<T> {
    source_table::with(handle, |object| match object {
        Object::Poll(poll) => call(poll.registry()),
        Object::Registry(registry) => call(registry),
        _ => Err(invalid()),
    })
}

/// Something registerable, whichever type it is.
struct AnySource<'o>(&'o crate::Registration);

impl Source for AnySource<'_> {
    fn registration(&self) -> &crate::Registration {
        self.0
    }
}

fn with_registration(
    registry: u32,
    source: u32,
    call: impl FnOnce(&Registry, &AnySource<'_>) -> io::Result<()>,
) -> io::Result<()> {
    // One handle at a time: two read locks on one slot could wait for a
    // writer that waits for the first.
    let registry = with_registry(registry, Registry::try_clone)?;
    source_table::with(source, |object| {
        let registration = match object {
            Object::TcpListener(listener) => listener.registration(),
            Object::TcpStream(stream) => stream.registration(),
            _ => return Err(invalid()),
        };
        call(&registry, &AnySource(registration))
    })
}

fn with_stream<T>(handle: u32, call: impl FnOnce(&TcpStream) -> io::Result<T>) -> io::Result<T> {
    source_table::with(handle, |object| match object {
        Object::TcpStream(stream) => call(stream),
        _ => Err(invalid()),
    })
}

/// # Safety
///
/// `pointer` is null or readable for `offset + length` bytes during `'a`.
unsafe fn bytes<'a>(pointer: *const u8, offset: u32, length: u32) -> Option<&'a [u8]> {
    if length == 0 {
        return Some(&[]);
    }
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise: still inside the buffer.
    let start = unsafe { pointer.add(offset as usize) };
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(start, length as usize) })
}

/// # Safety
///
/// `pointer` is null or writable for `offset + length` bytes during `'a`.
unsafe fn bytes_mut<'a>(pointer: *mut u8, offset: u32, length: u32) -> Option<&'a mut [u8]> {
    if length == 0 {
        return Some(&mut []);
    }
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise: still inside the buffer.
    let start = unsafe { pointer.add(offset as usize) };
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts_mut(start, length as usize) })
}

/// # Safety
///
/// `pointer` is null or writable for `count` words during `'a`.
unsafe fn words_mut<'a>(pointer: *mut u32, count: usize) -> Option<&'a mut [u32]> {
    if pointer.is_null() || !pointer.is_aligned() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts_mut(pointer, count) })
}

/// # Safety
///
/// `address` is null or readable for [`ADDRESS_BYTES`].
unsafe fn read_address(address: *const u8) -> io::Result<SocketAddr> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(address, 0, ADDRESS_BYTES as u32) };
    let bytes = bytes.ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?;
    decode_address(bytes).ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
}

/// # Safety
///
/// `address` is null or writable for [`ADDRESS_BYTES`].
unsafe fn write_address(found: io::Result<SocketAddr>, address: *mut u8) -> i32 {
    // SAFETY: the caller's promise.
    let place = unsafe { bytes_mut(address, 0, ADDRESS_BYTES as u32) };
    let Some(place) = place else { return -libc::EFAULT };
    answer_unit(found.map(|found| place.copy_from_slice(&encode_address(found))))
}

fn decode_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = bytes.split_first()?;
    let port = u16::from_be_bytes(*rest.get(1..)?.first_chunk()?);
    let scope = u32::from_be_bytes(*rest.get(3..)?.first_chunk()?);
    let ip = rest.get(7..)?;
    match family {
        4 => Some((IpAddr::from(Ipv4Addr::from(*ip.first_chunk::<4>()?)), port).into()),
        6 => {
            let ip = Ipv6Addr::from(*ip.first_chunk::<16>()?);
            Some(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => None,
    }
}

fn encode_address(address: SocketAddr) -> [u8; ADDRESS_BYTES] {
    let mut bytes = [0; ADDRESS_BYTES];
    let (family, scope) = match address {
        SocketAddr::V4(_) => (4, 0),
        SocketAddr::V6(address) => (6, address.scope_id()),
    };
    let (head, ip) = bytes.split_at_mut(8);
    let port = address.port().to_be_bytes();
    let parts = [family, 0].into_iter().chain(port).chain(u32::to_be_bytes(scope));
    head.iter_mut().zip(parts).for_each(|(place, part)| *place = part);
    match address.ip() {
        IpAddr::V4(v4) => ip.iter_mut().zip(v4.octets()).for_each(|(place, part)| *place = part),
        IpAddr::V6(v6) => ip.iter_mut().zip(v6.octets()).for_each(|(place, part)| *place = part),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in ["127.0.0.1:80", "0.0.0.0:65535", "[::1]:8000", "[fe80::1%3]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(decode_address(&encode_address(address)), Some(address), "{text}");
        }
        assert_eq!(decode_address(&[9; ADDRESS_BYTES]), None);
        assert_eq!(decode_address(&[4, 0, 1]), None);
    }

    #[test]
    fn no_handle_is_good_for_every_function() {
        let poll = denio_poll_new(0);
        let waker = denio_waker_new(poll as u32, 1);
        assert!(poll > 0 && waker > 0);
        let (poll, waker) = (poll as u32, waker as u32);
        assert_eq!(denio_poll_park(waker, 0), -libc::EINVAL);
        assert_eq!(denio_waker_wake(poll), -libc::EINVAL);
        assert_eq!(denio_registry_register(poll, waker, 1, 1), -libc::EINVAL);
        assert_eq!(denio_registry_register(poll, poll, 1, 1), -libc::EINVAL);
        assert_eq!(denio_stream_shutdown(poll, 0), -libc::EINVAL);
        assert_eq!(denio_stream_shutdown(poll, 9), -libc::EINVAL);
        assert_eq!(denio_source_take_error(poll), -libc::ENOTSOCK);
        assert_eq!(denio_source_close(waker), 0);
        assert_eq!(denio_source_close(waker), -libc::EBADF);
        assert_eq!(denio_waker_wake(waker), -libc::EBADF);
        assert_eq!(denio_source_close(poll), 0);
    }

    #[test]
    fn null_and_crooked_buffers_are_refused() {
        let poll = denio_poll_new(0) as u32;
        let mut words = [0_u32; 8];
        let crooked = words.as_mut_ptr().wrapping_byte_add(1);
        // SAFETY: null is allowed.
        let answers = unsafe { denio_poll_wait(poll, std::ptr::null_mut(), 4, 0) };
        assert_eq!(answers, -libc::EFAULT);
        // SAFETY: a crooked pointer is refused before it is used.
        assert_eq!(unsafe { denio_poll_wait(poll, crooked, 1, 0) }, -libc::EFAULT);
        // SAFETY: null is allowed.
        assert_eq!(unsafe { denio_stream_read(poll, std::ptr::null_mut(), 0, 1) }, -libc::EFAULT);
        // SAFETY: null is allowed.
        assert_eq!(unsafe { denio_listener_bind(std::ptr::null(), 1, 0) }, -libc::EFAULT);
        // SAFETY: `words` is long enough for the clock and three events.
        assert_eq!(unsafe { denio_poll_wait(poll, words.as_mut_ptr(), 3, 0) }, 0);
        assert!(words[0] > 0 || words[1] > 0, "the clock is written");
        assert_eq!(denio_source_close(poll), 0);
    }
}
