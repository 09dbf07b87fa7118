//! Locks and threads: std's, or under `--cfg loom` those of loom, which runs a
//! model in every order in which its threads can meet.
//!
//! Modules with such models (`model.rs`) take these from here and nowhere else.

#[cfg(loom)]
pub use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};
#[cfg(not(loom))]
pub use std::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

/// Runs `main` in every order of its threads' steps that needs at most four
/// switches more than those where a thread has to wait.
#[cfg(test)]
#[cfg(loom)]
pub fn model(main: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(4));
    builder.check(main);
}
