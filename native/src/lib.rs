//! The native half of denio: a flat C ABI for polls and their sources.
//!
//! JavaScript sees only [`ffi`], where every object is a number: a handle of the
//! process-wide [`source_table`]. Sockets and their readiness are the member `denio-poll`,
//! heads of requests `denio-http1`: neither knows of JavaScript.

pub mod ffi;
mod owner;
mod path;
pub mod source_table;
mod sync;
