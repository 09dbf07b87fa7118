//! The wire of WebSocket (RFC 6455): bytes in, places of messages out.
//!
//! Nothing here does I/O. Payloads are unmasked where they lie, in the buffer that they
//! were read into.

pub mod mask;
