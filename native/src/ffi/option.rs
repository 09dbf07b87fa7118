//! Options of sockets.

use std::io;

use super::answer::{answer, answer_unit, invalid, not_a_socket};
use super::handle::with;
use denio_poll::{Socket, SocketOption};

/// Returns the value of a [`SocketOption`]. `ENOPROTOOPT`: the socket has not got it;
/// `ENOTSUP`: this system has not got it.
#[unsafe(no_mangle)]
pub extern "C" fn denio_source_option(handle: f64, option: u32) -> i32 {
    let value = with_option(handle, option, |socket, option| socket.option(option));
    answer(value.map(|value| i32::try_from(value).unwrap_or(i32::MAX)))
}

/// Sets a [`SocketOption`]. `EINVAL`: the value is out of range, or the option
/// can only be read.
#[unsafe(no_mangle)]
pub extern "C" fn denio_source_set_option(handle: f64, option: u32, value: u32) -> i32 {
    answer_unit(with_option(handle, option, |socket, option| socket.set_option(option, value)))
}

fn with_option<T>(
    handle: f64,
    option: u32,
    call: impl FnOnce(&dyn Socket, SocketOption) -> io::Result<T>,
) -> io::Result<T> {
    with(handle, |object| {
        let socket = object.socket().ok_or_else(not_a_socket)?;
        let known = SocketOption::ALL.into_iter().find(|known| *known as u32 == option);
        call(socket, known.ok_or_else(invalid)?)
    })
}
