//! Listeners: TCP and Unix.

use std::io;

use super::address::{read_address, read_path};
use super::answer::{answer_count, answer_handle, errno, invalid};
use super::memory::words_mut;
use crate::source_table::{self, Object};
use crate::{Keepalive, ListenOptions, TcpListener, UnixListener};

const LISTEN_REUSE_PORT: u32 = 1;
const LISTEN_ONLY_V6: u32 = 1 << 1;
const LISTEN_NODELAY: u32 = 1 << 2;

/// Binds, listens and returns the listener's handle. `flags`: 1 reuse port, 2
/// IPv6 only, 4 nodelay for what is accepted. What is accepted is probed with
/// the numbers of `keepalive`, in seconds and probes, when `keepalive_idle` is
/// not 0, and lost when bytes stay unacknowledged for `user_timeout_ms`, if that
/// is not 0. `EINVAL`: a number is out of range.
///
/// # Safety
///
/// `address` is null or readable for [`super::ADDRESS_BYTES`] until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_listener_bind(
    address: *const u8,
    backlog: i32,
    flags: u32,
    keepalive_idle: u32,
    keepalive_interval: u32,
    keepalive_count: u32,
    user_timeout_ms: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let address = unsafe { read_address(address) };
    let keepalive =
        Keepalive { idle: keepalive_idle, interval: keepalive_interval, count: keepalive_count };
    let options = ListenOptions {
        backlog,
        reuse_port: flags & LISTEN_REUSE_PORT != 0,
        only_v6: flags & LISTEN_ONLY_V6 != 0,
        nodelay: flags & LISTEN_NODELAY != 0,
        keepalive: (keepalive_idle > 0).then_some(keepalive),
        user_timeout_ms,
    };
    let listener = address.and_then(|address| TcpListener::bind(address, &options));
    answer_handle(listener.map(Object::TcpListener))
}

/// Binds a Unix socket to a path, or to an abstract name (which begins with a
/// NUL byte), listens and returns the listener's handle.
///
/// # Safety
///
/// `path` is null or readable for `length` bytes until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_unix_listener_bind(
    path: *const u8,
    length: u32,
    backlog: i32,
) -> i32 {
    // SAFETY: the caller's promise.
    let address = unsafe { read_path(path, length) };
    let listener = address.and_then(|address| UnixListener::bind(&address, backlog));
    answer_handle(listener.map(Object::UnixListener))
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
        Object::TcpListener(listener) => {
            unless_aborted(|| listener.accept()).map(Object::TcpStream)
        }
        Object::UnixListener(listener) => {
            unless_aborted(|| listener.accept()).map(Object::UnixStream)
        }
        _ => Err(invalid()),
    })?;
    source_table::insert(stream)
}

fn unless_aborted<T>(mut accept: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match accept() {
            // It went while it waited: the next one may be there.
            Err(error) if error.raw_os_error() == Some(libc::ECONNABORTED) => {}
            done => return done,
        }
    }
}
