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
            bytes[8..].copy_from_slice(&address.ip().octets());
        }
    }
    bytes
}

/// The handle that a call answered with.
#[track_caller]
pub fn handle(answer: i32) -> u32 {
    assert!(answer > 0, "no handle but {answer}");
    answer as u32
}

pub fn bind(address: &Address, backlog: i32, flags: u32) -> i32 {
    // SAFETY: `address` is as long as its type says.
    unsafe { ffi::denio_listener_bind(address.as_ptr(), backlog, flags) }
}

pub fn connect(address: &Address) -> i32 {
    // SAFETY: `address` is as long as its type says.
    unsafe { ffi::denio_stream_connect(address.as_ptr()) }
}

pub fn local_address(socket: u32) -> Result<Address, i32> {
    let mut address = [0; ADDRESS_BYTES];
    // SAFETY: `address` is as long as its type says.
    let answer = unsafe { ffi::denio_source_local_address(socket, address.as_mut_ptr()) };
    if answer == 0 { Ok(address) } else { Err(answer) }
}

pub fn peer_address(stream: u32) -> Result<Address, i32> {
    let mut address = [0; ADDRESS_BYTES];
    // SAFETY: `address` is as long as its type says.
    let answer = unsafe { ffi::denio_stream_peer_address(stream, address.as_mut_ptr()) };
    if answer == 0 { Ok(address) } else { Err(answer) }
}

/// Accepts into `out`: why it stopped, then the handles.
pub fn accept(listener: u32, out: &mut [u32]) -> i32 {
    // SAFETY: `out` is writable for one word more than the capacity.
    unsafe { ffi::denio_listener_accept(listener, out.as_mut_ptr(), out.len() as u32 - 1) }
}

pub fn read(stream: u32, buffer: &mut [u8]) -> i32 {
    // SAFETY: `buffer` is writable for its length.
    unsafe { ffi::denio_stream_read(stream, buffer.as_mut_ptr(), 0, buffer.len() as u32) }
}

pub fn write(stream: u32, bytes: &[u8]) -> i32 {
    // SAFETY: `bytes` is readable for its length.
    unsafe { ffi::denio_stream_write(stream, bytes.as_ptr(), 0, bytes.len() as u32) }
}

/// Waits into `out`: two words of clock, then two words an event.
pub fn wait(poll: u32, out: &mut [u32], timeout_ms: i32) -> i32 {
    let capacity = (out.len() - ffi::CLOCK_WORDS) / 2;
    // SAFETY: `out` is writable for the clock and `capacity` events.
    unsafe { ffi::denio_poll_wait(poll, out.as_mut_ptr(), capacity as u32, timeout_ms) }
}

/// Calls until the answer is another than that it would block, or the deadline is over.
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
pub fn accept_one(listener: u32) -> u32 {
    let mut out = [0; 2];
    eventually(|| match accept(listener, &mut out) {
        0 => -(out[0] as i32),
        count => count,
    });
    handle(out[1] as i32)
}
