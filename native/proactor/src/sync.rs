//! Locks: those of std, or under `--cfg loom` those of loom, which runs a model in every
//! order of its threads' steps.
//!
//! Modules with such models (`model.rs`) take these from here and nowhere else.

#[cfg(loom)]
pub use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(loom))]
pub use std::sync::{Condvar, Mutex, MutexGuard, atomic};

use std::sync::PoisonError;

/// Locks a mutex, also after a thread has panicked while it had it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `main` in every order of its threads' steps with at most four switches at which no
/// thread had to wait.
#[cfg(test)]
#[cfg(loom)]
pub fn model(main: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(4));
    builder.check(main);
}
