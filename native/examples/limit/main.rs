//! The bare loop: the load that this machine allows a server that does nothing.
//!
//! One thread and a fixed answer to the end of every request head, over epoll or, with `--ring`,
//! over io_uring's completions. The benchmarks print ratios against it, so it must never grow:
//! work added here would hide the same work in a server beside it.
//!
//! `limit [--ring] [--port N] [--echo]` prints `listening on 127.0.0.1:PORT`; `--echo` sends the
//! received bytes back. With `--probe` it ends at once, or says what it lacks. With `--buffers N`
//! the ring has so many buffers to receive into.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    reason = "system calls as they are, and nothing between them and the measurement"
)]

#[cfg(target_os = "linux")]
mod answers;
#[cfg(target_os = "linux")]
mod buffers;
#[cfg(target_os = "linux")]
mod epoll;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod outbox;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod sockets;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;

    let ended = options::Options::parse(std::env::args().skip(1))
        .and_then(|options| if options.ring { ring::run(&options) } else { epoll::run(&options) });
    let Err(error) = ended else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("The bare loop needs epoll, which is Linux only");
}
