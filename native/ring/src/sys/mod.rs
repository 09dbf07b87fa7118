//! The only code that talks to io_uring.

#![allow(unsafe_code)]

mod buffers;
mod ring;

pub use buffers::Buffers;
pub use ring::{Ring, RingOptions};
