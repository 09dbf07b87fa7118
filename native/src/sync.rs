//! Locks, and state of the process and of a thread: those of std, or under `--cfg loom`
//! those of loom, which runs a model in every order of its threads' steps.
//!
//! Modules with such models (`model.rs`) take these from here and nowhere else.

#[cfg(loom)]
pub use loom::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
#[cfg(not(loom))]
pub use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

/// Defines state of the process; with loom, of one run of a model.
macro_rules! process_state {
    ($($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;)+) => {$(
        $(#[$doc])*
        #[cfg(not(loom))]
        static $name: $type = $value;
        #[cfg(loom)]
        loom::lazy_static! { static ref $name: $type = $value; }
    )+};
}

/// Defines state of a thread, by a constant.
macro_rules! thread_state {
    ($(static $name:ident: $type:ty = $value:expr;)+) => {
        #[cfg(not(loom))]
        std::thread_local! { $(static $name: $type = const { $value };)+ }
        #[cfg(loom)]
        loom::thread_local! { $(static $name: $type = $value;)+ }
    };
}

pub(crate) use {process_state, thread_state};

/// Runs `main` in every order of its threads' steps with at most four switches at which no
/// thread had to wait.
#[cfg(test)]
#[cfg(loom)]
pub fn model(main: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(4));
    builder.check(main);
}
