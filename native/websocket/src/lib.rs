//! The wire of WebSocket (RFC 6455): bytes in, places of messages out.
//!
//! Nothing here does I/O. Payloads are unmasked where they lie, in the buffer that they
//! were read into. What is kept of a message between two calls is a few words of the
//! caller's.

pub mod accept;
pub mod deflate;
pub mod frames;
pub mod mask;
pub mod utf8;
