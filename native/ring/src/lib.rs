//! One io_uring: a queue of operations for the kernel, and a queue of their completions.
//!
//! Only Linux has it (`io_uring(7)`), and containers often forbid
//! it: ask [`refusal`] first. `sys` is the only module with `unsafe`.

#[cfg(not(target_os = "linux"))]
mod no_batch;
#[cfg(target_os = "linux")]
mod support;
#[cfg(target_os = "linux")]
mod sys;

/// The entries of the queues, and what builds them.
#[cfg(target_os = "linux")]
pub use io_uring::{cqueue, opcode, squeue, types};
#[cfg(not(target_os = "linux"))]
pub use no_batch::BatchRing;
#[cfg(target_os = "linux")]
pub use support::{Refusal, refusal};
#[cfg(target_os = "linux")]
pub use sys::{BatchRing, Buffers, Ring, RingOptions, has_closed_ring};

/// Why this system has no io_uring: only Linux has.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub const fn refusal() -> Option<Refusal> {
    Some(Refusal::System)
}

/// Why a program cannot use io_uring here.
#[cfg(not(target_os = "linux"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The system is not Linux.
    System = 1,
}
