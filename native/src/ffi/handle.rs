//! Handles as they cross the ABI.
//!
//! JavaScript's numbers carry 53 bits of an integer, so a handle is an `f64`:
//! as a parameter it costs what a `u32` costs, and a `u64` would be a `BigInt`.
//! While slots are young a handle is below 2^31, which V8 keeps without an
//! object of its own.

use std::io;

use crate::source_table::{self, Handle, Object};

/// Runs `call` on the object of a handle; `EBADF` for a number that is no handle.
#[inline]
pub(super) fn with<T>(handle: f64, call: impl FnOnce(&Object) -> io::Result<T>) -> io::Result<T> {
    source_table::with(decode(handle), call)
}

/// Converts a number to a handle; 0, which is no handle, for a fraction, a negative number
/// and NaN.
#[inline]
pub(super) fn decode(number: f64) -> Handle {
    // By `i64`, for which the processor has one instruction each way. A number beyond its
    // range becomes its limit, which is no handle.
    let handle = number as i64;
    if handle as f64 == number { handle as Handle } else { 0 }
}

/// Converts a handle to a number, without loss: a handle has 52 bits.
#[inline]
pub(super) fn encode(handle: Handle) -> f64 {
    handle as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_keep_all_of_their_bits() {
        for handle in [1, 1 << 20 | 7, i32::MAX as u64, u64::from(u32::MAX) + 1, (1 << 52) - 1] {
            assert_eq!(decode(encode(handle)), handle);
        }
    }

    #[test]
    fn what_is_no_handle_opens_nothing() {
        for number in [0.0, -0.0, 0.5, 1_048_577.5, f64::NAN] {
            assert_eq!(decode(number), 0, "{number}");
        }
        for number in [-1.0, -1_048_577.0, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            let found = source_table::with(decode(number), |_| Ok(()));
            assert_eq!(found.unwrap_err().raw_os_error(), Some(libc::EBADF), "{number}");
        }
    }
}
