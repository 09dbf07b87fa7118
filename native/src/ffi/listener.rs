//! Listeners: TCP and Unix.

use std::io;

use super::address::{read_address, read_path};
use super::answer::{answer_count, answer_handle, errno, invalid};
use super::handle::{encode, with};
use super::memory::items_mut;
use crate::source_table::{self, Handle, Object};
use denio_poll::{Keepalive, ListenOptions, TcpListener, UnixListener};

const LISTEN_REUSE_PORT: u32 = 1;
const LISTEN_ONLY_V6: u32 = 1 << 1;
const LISTEN_NODELAY: u32 = 1 << 2;

/// Binds, listens and returns the listener's handle. `flags`: 1 reuse port, 2 IPv6 only, 4
/// nodelay for accepted connections. The system probes silent peers of accepted connections
/// by the numbers of `keepalive`, in seconds and probes, unless `keepalive_idle` is 0. A
/// connection is lost when its bytes stay unacknowledged for `user_timeout_ms`, unless that
/// is 0. `EINVAL`: a number is out of range.
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
) -> f64 {
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
    answer_handle(|| Ok(Object::TcpListener(TcpListener::bind(address?, &options)?)))
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
) -> f64 {
    // SAFETY: the caller's promise.
    let address = unsafe { read_path(path, length) };
    answer_handle(|| Ok(Object::UnixListener(UnixListener::bind(&address?, backlog)?)))
}

/// Words of [`denio_listener_accept`] before the handles.
pub const ACCEPT_WORDS: usize = 2;

/// Failed connections that one accept call passes over before it gives up: without this, a
/// system that refuses every accept would hold the caller for as long as it does.
const PASSED_MAX: u32 = 64;

/// Accepts up to `capacity` connections and returns how many. `out` gets one word with the
/// reason for stopping (0 when full, otherwise an errno, `EAGAIN` when none waits), one with
/// the number of connections that were passed over because they had failed while they
/// waited, then the handles.
///
/// # Safety
///
/// `out` is null, or aligned and writable for `capacity` and [`ACCEPT_WORDS`]
/// numbers until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_listener_accept(listener: f64, out: *mut f64, capacity: u32) -> i32 {
    // SAFETY: the caller's promise.
    let out = unsafe { items_mut(out, (capacity as usize).saturating_add(ACCEPT_WORDS)) };
    let Some((words, handles)) = out.and_then(<[f64]>::split_first_chunk_mut) else {
        return -libc::EFAULT;
    };
    let [stopped, passed] = words;
    let (mut count, mut passed_over) = (0, 0);
    *stopped = 0.0;
    for place in handles {
        match accept(listener, &mut passed_over) {
            Ok(handle) => *place = encode(handle),
            Err(error) => {
                *stopped = errno(&error).unsigned_abs().into();
                break;
            }
        }
        count += 1;
    }
    *passed = passed_over.into();
    answer_count(Ok(count))
}

fn accept(listener: f64, passed_over: &mut u32) -> io::Result<Handle> {
    source_table::insert_with(|| {
        with(listener, |object| match object {
            Object::TcpListener(listener) => {
                next(|| listener.accept(), passed_over).map(Object::TcpStream)
            }
            Object::UnixListener(listener) => {
                next(|| listener.accept(), passed_over).map(Object::UnixStream)
            }
            _ => Err(invalid()),
        })
    })
}

/// Accepts the next connection that has not failed while it waited.
fn next<T>(mut accept: impl FnMut() -> io::Result<T>, passed_over: &mut u32) -> io::Result<T> {
    loop {
        match accept() {
            Err(error) if has_failed(&error) && *passed_over < PASSED_MAX => *passed_over += 1,
            done => return done,
        }
    }
}

/// Whether an error of accept belongs to the connection at the front of the queue, which
/// accept takes out, and not to the listener or the process: `accept(2)`, under "Error
/// handling", and `EPERM`, by which a firewall refuses a connection.
fn has_failed(error: &io::Error) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if error.raw_os_error() == Some(libc::ENONET) {
        return true;
    }
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::EPERM
                | libc::EPROTO
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure<T>(errno: i32) -> io::Result<T> {
        Err(io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn one_client_s_misfortune_is_not_the_next_one_s() {
        let misfortunes = [libc::ECONNABORTED, libc::EPERM, libc::EPROTO, libc::EHOSTUNREACH];
        let mut answers = misfortunes.into_iter();
        let mut passed_over = 0;
        let accepted = next(|| answers.next().map_or(Ok(7), failure), &mut passed_over);
        assert_eq!((accepted.unwrap(), passed_over), (7, 4));
    }

    #[test]
    fn a_shortage_and_an_error_of_the_listener_are_returned_at_once() {
        for errno in [libc::EAGAIN, libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::EINVAL] {
            let mut passed_over = 0;
            let refused = next::<()>(|| failure(errno), &mut passed_over);
            assert_eq!(refused.unwrap_err().raw_os_error(), Some(errno));
            assert_eq!(passed_over, 0);
        }
    }

    #[test]
    fn a_system_that_refuses_every_accept_is_not_asked_for_ever() {
        let mut passed_over = 0;
        for _ in 0..2 {
            let refused = next::<()>(|| failure(libc::EPERM), &mut passed_over);
            assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EPERM));
            assert_eq!(passed_over, PASSED_MAX);
        }
    }
}
