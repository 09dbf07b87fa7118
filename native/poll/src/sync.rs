//! Locks and threads: those of std, or under `--cfg loom` those of loom, which runs a
//! model in every order of its threads' steps.
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

/// Runs `main` in every order of its threads' steps with at most four switches at which no
/// thread had to wait.
#[cfg(test)]
#[cfg(loom)]
pub fn model(main: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(4));
    builder.check(main);
}
