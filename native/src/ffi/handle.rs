//! Handles as they cross the ABI.
//!
//! JavaScript's numbers carry 53 bits of an integer, so a handle is an `f64`:
//! as a parameter it costs what a `u32` costs, and a `u64` would be a `BigInt`.
//! While slots are young a handle is below 2^31, which V8 keeps without an
//! object of its own.

use std::io;

use crate::source_table::{self, Handle, Object};

/// Runs `call` on what a handle stands for; `EBADF` for a number that is none.
#[inline]
pub(super) fn with<T>(handle: f64, call: impl FnOnce(&Object) -> io::Result<T>) -> io::Result<T> {
    source_table::with(decode(handle), call)
}

/// The handle that a number is, or 0, which is none: for a fraction, a number
/// below zero, what is no number.
#[inline]
pub(super) fn decode(number: f64) -> Handle {
    // As `i64`, which one instruction converts to and from; what is out of its
    // range becomes its limit, and no handle.
    let handle = number as i64;
    if handle as f64 == number { handle as Handle } else { 0 }
}

/// The number that a handle is: all of its 52 bits are kept.
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
