//! Operations for the kernel, and their completions: a proactor over io_uring.
//!
//! A program submits [`Request`]s and waits for [`Completion`]s. Layers, top to bottom:
//! `proactor` is what threads call; `core` the owner's part, and `shared` and `reaper` that
//! of all threads; `sys`, the only one with `unsafe`, gives memory and descriptors to the
//! kernel.
//!
//! # Memory
//!
//! The kernel reads and writes memory of this crate alone. An operation's memory is allocated
//! before it is submitted, and freed after its last completion, also when the program has
//! given the operation up, or its thread has ended: see `sys/driver.rs`.
//!
//! # Threads
//!
//! One thread owns the proactor, and it alone enters the ring. Other threads give it their
//! operations as orders, and may have an [`Inbox`] of their own for completions.
//!
//! Only Linux has io_uring. On other systems this crate has nothing but its numbers.

mod completion;
#[cfg(target_os = "linux")]
mod core;
#[cfg(target_os = "linux")]
mod making;
mod operation;
#[cfg(target_os = "linux")]
mod output;
#[cfg(target_os = "linux")]
mod proactor;
#[cfg(target_os = "linux")]
mod reaper;
mod request;
#[cfg(target_os = "linux")]
mod shared;
#[cfg(target_os = "linux")]
mod sync;
#[cfg(target_os = "linux")]
mod sys;

pub use completion::Completion;
pub use denio_ring::{Refusal, refusal};
pub use operation::Code;
pub use request::{Request, open};

#[cfg(target_os = "linux")]
pub use self::{
    core::Batching,
    making::{ACCEPTS, Input, Lookup},
    output::{Opened, Output},
    proactor::{Held, OPERATIONS_MAX, Options, Proactor, Stats},
    reaper::{HeldInbox, Inbox, UNTAKEN_MAX},
    shared::{Cancel, Target},
    sys::{Kind, Sources, Unlent, buried},
};
