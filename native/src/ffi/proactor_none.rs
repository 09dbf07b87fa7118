//! For systems without io_uring: nothing can be opened.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use denio_proactor::{Code, Completion, Request};

use super::proactor::PROACTOR_STATS;
use crate::source_table::Object;

fn none<T>() -> io::Result<T> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Declares functions that fail.
macro_rules! fail {
    ($($name:ident($($type:ty),*) -> $result:ty;)*) => {
        $(pub fn $name($(_: $type),*) -> io::Result<$result> {
            none()
        })*
    };
}

fail! {
    open(u32, u32, u32, (u32, f64), u32) -> Object;
    supports(f64, Code) -> bool;
    submit(f64, &[Request], &[u8], &[u8]) -> usize;
    cancel(f64, f64, bool) -> usize;
    flush(f64) -> ();
    wait(f64, &mut [Completion], &mut [u8], Option<Duration>) -> usize;
    descriptor(f64) -> i32;
    signal_of(f64) -> OwnedFd;
    park(f64) -> bool;
    unpark(f64) -> ();
    stats(f64) -> [u64; PROACTOR_STATS];
    reaper(f64, u32) -> Object;
    reap(f64, &mut [Completion], &mut [u8], Option<Duration>) -> usize;
    reaper_descriptor(f64) -> i32;
    reaper_park(f64) -> bool;
    reaper_unpark(f64) -> ();
}
