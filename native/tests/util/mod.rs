//! The helpers of the integration tests: those of `poll/tests`, the exported functions, and a
//! check that no handle is left over.

#![allow(
    dead_code,
    unsafe_code,
    unused_imports,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "set-up; no test file uses all of it, and a failure here is the test's"
)]

pub mod abi;
#[path = "../../poll/tests/util/mod.rs"]
mod poll_tests;
mod random;

use denio::source_table::open_count;
pub use poll_tests::*;
pub use random::Random;

/// Runs the test alone in its process, and compares descriptors and handles at its end with those
/// at its start. A test makes it first, so that it is dropped last.
#[derive(Debug)]
pub struct Alone {
    handles: usize,
    _descriptors: poll_tests::Alone,
}

/// Begins a test that opens descriptors or handles.
pub fn alone() -> Alone {
    let _descriptors = poll_tests::alone();
    Alone { handles: open_count(), _descriptors }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // What the kernel is not done with has a descriptor.
        #[cfg(target_os = "linux")]
        while denio_proactor::buried() > 0 {
            std::thread::yield_now();
        }
        // This thread's ring would count as a leak.
        denio::ffi::denio_batches_by_ring(0);
        if !std::thread::panicking() {
            assert_eq!(open_count(), self.handles, "handles leaked");
        }
    }
}

/// How many steps each thread of a fuzz test makes: `DENIO_FUZZ_CALLS`, otherwise `usual`.
pub fn fuzz_calls(usual: usize) -> usize {
    let Ok(calls) = std::env::var("DENIO_FUZZ_CALLS") else { return usual };
    calls.parse().expect("DENIO_FUZZ_CALLS is a number")
}
