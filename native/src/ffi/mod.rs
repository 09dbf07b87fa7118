//! The C ABI: every function that JavaScript can call, and nothing else.
//!
//! Each returns an `i32`: a count or another number when zero or more, `-errno` otherwise.
//! A function that returns a handle returns an `f64`, which has 53 bits, and `-errno`
//! likewise. Parameters are handles, integers and buffers. A buffer has an offset and a
//! length in its own elements, because a `subarray` for each call would cost more than the
//! call. Handles are looked up in [`crate::source_table`]: any number is allowed.
//!
//! Rust must trust the caller in one thing: the length of a buffer. `src/native` checks it
//! once, where a buffer enters.

#![allow(unsafe_code)]

mod address;
mod adopt;
mod answer;
mod batch;
mod handle;
mod http1;
mod listener;
mod memory;
mod name;
mod option;
mod parker;
mod path;
mod poll;
mod proactor;
#[cfg(target_os = "linux")]
mod proactor_linux;
#[cfg(not(target_os = "linux"))]
mod proactor_none;
mod run;
mod source;
mod stream;
mod thread;
mod udp;
mod vectored;
mod websocket;
mod websocket_deflate;

pub use address::ADDRESS_BYTES;
pub use adopt::*;
pub use batch::*;
pub use http1::*;
pub use listener::*;
pub use name::*;
pub use option::*;
pub use parker::*;
pub use path::*;
pub use poll::*;
pub use proactor::*;
pub use source::*;
pub use stream::*;
pub use thread::*;
pub use udp::*;
pub use vectored::*;
pub use websocket::*;
pub use websocket_deflate::*;

/// Raised with every change of a signature or a layout; TypeScript refuses a library with
/// another number.
pub const ABI_VERSION: i32 = 14;

/// Returns [`ABI_VERSION`].
#[unsafe(no_mangle)]
pub extern "C" fn denio_abi_version() -> i32 {
    ABI_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_handle_is_good_for_every_function() {
        let poll = denio_poll_new(0);
        let waker = denio_waker_new(poll, 1);
        assert!(poll > 0.0 && waker > 0.0);
        assert_eq!(denio_poll_park(waker, 0), -libc::EINVAL);
        assert_eq!(denio_waker_wake(poll), -libc::EINVAL);
        assert_eq!(denio_registry_register(poll, waker, 1, 1, 0), -libc::EINVAL);
        assert_eq!(denio_registry_register(poll, poll, 1, 1, 0), -libc::EINVAL);
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
        let poll = denio_poll_new(0);
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
        let bound = unsafe { denio_listener_bind(std::ptr::null(), 1, 0, 0, 0, 0, 0) };
        assert_eq!(bound, -f64::from(libc::EFAULT));
        // SAFETY: `words` is long enough for the clock and three events.
        assert_eq!(unsafe { denio_poll_wait(poll, words.as_mut_ptr(), 3, 0) }, 0);
        assert!(words[0] > 0 || words[1] > 0, "the clock is written");
        assert_eq!(denio_source_close(poll), 0);
    }
}
