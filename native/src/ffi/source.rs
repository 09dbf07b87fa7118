//! The functions of every handle.

use std::io;
use std::os::fd::AsFd;

use super::address::{Address, write_address};
use super::answer::{
    answer, answer_count, answer_handle, answer_unit, errno, invalid, not_a_socket,
};
use super::handle::{decode, with};
use crate::source_table::{self, Object};
use denio_poll::Socket;

/// Returns how many handles are open in the process.
#[unsafe(no_mangle)]
pub extern "C" fn denio_source_count() -> i32 {
    answer_count(Ok(source_table::open_count()))
}

/// Closes any handle: its source, poll, registry or waker ends at once.
#[unsafe(no_mangle)]
pub extern "C" fn denio_source_close(handle: f64) -> i32 {
    answer_unit(source_table::remove(decode(handle)))
}

/// Returns a new handle of the same open socket, registered nowhere.
#[unsafe(no_mangle)]
pub extern "C" fn denio_source_try_clone(handle: f64) -> f64 {
    answer_handle(|| with(handle, clone))
}

fn clone(object: &Object) -> io::Result<Object> {
    match object {
        Object::TcpListener(listener) => listener.try_clone().map(Object::TcpListener),
        Object::TcpStream(stream) => stream.try_clone().map(Object::TcpStream),
        Object::UnixListener(listener) => listener.try_clone().map(Object::UnixListener),
        Object::UnixStream(stream) => stream.try_clone().map(Object::UnixStream),
        Object::UdpSocket(udp) => udp.try_clone().map(Object::UdpSocket),
        _ => Err(invalid()),
    }
}

/// Returns and clears a socket's error as a positive errno; 0 for none.
#[unsafe(no_mangle)]
pub extern "C" fn denio_source_take_error(handle: f64) -> i32 {
    let error = with_socket(handle, |socket| socket.take_error());
    answer(error.map(|error| error.map_or(0, |error| -errno(&error))))
}

/// Writes a socket's own address, [`super::ADDRESS_BYTES`] long.
///
/// # Safety
///
/// `address` is null or writable for [`super::ADDRESS_BYTES`] until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_source_local_address(handle: f64, address: *mut u8) -> i32 {
    let found =
        with_socket(handle, |socket| Address::of(socket.registration().as_fd(), socket.kind()));
    // SAFETY: the caller's promise.
    unsafe { write_address(found, address) }
}

fn with_socket<T>(handle: f64, call: impl FnOnce(&dyn Socket) -> io::Result<T>) -> io::Result<T> {
    with(handle, |object| call(object.socket().ok_or_else(not_a_socket)?))
}
