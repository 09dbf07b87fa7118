//! The native half of denio: a flat C ABI for polls and their sources.
//!
//! JavaScript sees only [`ffi`], where every object is a number: a handle of the
//! process-wide [`source_table`]. Sockets and their readiness are the member `denio-poll`,
//! operations and their completions `denio-proactor`, a ring of io_uring `denio-ring`, heads
//! of requests `denio-http1`, the wire of WebSocket `denio-websocket`: none knows of JavaScript.

pub mod ffi;
mod owner;
mod path;
pub mod source_table;
mod sync;
