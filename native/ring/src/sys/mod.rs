//! The only code that talks to io_uring.

#![allow(unsafe_code)]

mod batch;
mod buffers;
mod ring;

pub use batch::BatchRing;
pub use buffers::Buffers;
pub use ring::{Ring, RingOptions, has_closed_ring};
