//! A load generator that verifies every byte of every answer: `load --help`.
//!
//! One thread, one epoll, requests that are ready before the first is sent, and answers that are
//! compared where they lie: the generator must cost less than any server that it measures.

// An index out of bounds is a fault of this program, and ends it.
#![allow(clippy::indexing_slicing, reason = "a benchmark's tool may end where it is wrong")]

#[cfg(target_os = "linux")]
mod answers;
#[cfg(target_os = "linux")]
mod content;
#[cfg(target_os = "linux")]
mod flight;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod sockets;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;

    let options = match options::parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{}", options::HELP.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}; see --help");
            return 2.into();
        }
    };
    match run::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("The load generator needs epoll, which is Linux only");
}
