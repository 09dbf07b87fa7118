//! A load generator that verifies every byte of every answer.
//!
//! One thread, one epoll, requests that are prepared before the first leaves and answers that are
//! compared where they lie: it must cost less than any server that it is to measure. `--help`
//! tells how it is used.

// What is out of bounds is this program's fault, and ends it: there is no load without it.
#![allow(clippy::indexing_slicing, reason = "a benchmark's tool may end where it is wrong")]

#[cfg(target_os = "linux")]
mod answer;
#[cfg(target_os = "linux")]
mod chunks;
#[cfg(target_os = "linux")]
mod connection;
#[cfg(target_os = "linux")]
mod content;
#[cfg(target_os = "linux")]
mod failure;
#[cfg(target_os = "linux")]
mod flight;
#[cfg(target_os = "linux")]
mod histogram;
#[cfg(target_os = "linux")]
mod modes;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod protocol;
#[cfg(target_os = "linux")]
mod requests;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod tally;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    modes::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("The load generator needs epoll, which is Linux only");
}
