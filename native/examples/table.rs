//! The cost of a look-up in the table of handles, on one thread and on two that
//! use neighbouring handles: `cargo run --release --example table`.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it has measured")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::Barrier;

use denio::source_table::{self, Object};
use denio_poll::Poll;
use rustix::time::{ClockId, clock_gettime};

const CALLS: u32 = 20_000_000;
const ROUNDS: usize = 5;

fn main() -> std::io::Result<()> {
    let open = || source_table::insert(Object::Poll(Arc::new(Poll::new()?)));
    let handles = [open()?, open()?];
    for threads in [1, 2] {
        let sum: f64 = (0..ROUNDS).map(|_| nanoseconds(&handles, threads)).sum();
        println!("a call on each of {threads} threads: {:.1} ns", sum / ROUNDS as f64);
    }
    Ok(())
}

/// Processor time of this thread: other programs may use the cores meanwhile.
fn cpu_nanoseconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Nanoseconds of a call, of the slowest thread.
fn nanoseconds(handles: &[source_table::Handle; 2], threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let running: Vec<_> = handles
            .iter()
            .take(threads)
            .map(|handle| {
                let (barrier, handle) = (&barrier, *handle);
                scope.spawn(move || {
                    barrier.wait();
                    let began = cpu_nanoseconds();
                    for _ in 0..CALLS {
                        let handle = black_box(handle);
                        let _ = black_box(source_table::with(handle, |_| Ok(())));
                    }
                    (cpu_nanoseconds() - began) / f64::from(CALLS)
                })
            })
            .collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).fold(0.0, f64::max)
    })
}
