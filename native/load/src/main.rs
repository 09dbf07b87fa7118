//! A load generator that verifies every byte of every answer: `load --help`.
//!
//! One thread that waits by epoll or kqueue, requests that are ready before the first is sent, and
//! answers that are compared where they lie: the generator must cost less than any server that it
//! measures.

// An index out of bounds is a fault of this program, and ends it.
#![allow(clippy::indexing_slicing, reason = "a benchmark's tool may end where it is wrong")]

mod answers;
mod content;
mod flight;
mod options;
mod run;
mod sockets;
mod websocket;

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
