//! The only code that talks to io_uring.

#![allow(unsafe_code)]

mod ring;

pub use ring::{Ring, RingOptions};
