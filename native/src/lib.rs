//! The native half of denio: a flat C ABI, through which TypeScript holds what
//! waits and what is waited for.
//!
//! JavaScript sees only [`ffi`], in which every object is a number: a handle of
//! the process-wide [`source_table`]. Sockets and their readiness are the member
//! `denio-poll`, heads of requests `denio-http1`: neither knows that JavaScript
//! exists.

pub mod ffi;
mod owner;
pub mod source_table;
mod sync;
