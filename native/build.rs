//! Links the library so that it stays loaded once it was opened.
//!
//! Deno unloads what it has opened when the process ends, and a thread may
//! then still be waiting in `denio_poll_park`: it would return into code that
//! is gone.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_elf = env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "unix")
        && env::var("CARGO_CFG_TARGET_VENDOR").is_ok_and(|vendor| vendor != "apple");
    if is_elf {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
