//! What went wrong, in one line.

use std::fmt::{self, Display, Formatter};
use std::io;

/// How much of what a server sent is quoted.
const QUOTED_BYTES_MAX: usize = 60;

/// Something that should not have been: a wrong byte, a connection that closed early.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// A call that the system refused.
    pub fn of(call: &str, error: &io::Error) -> Self {
        Self(format!("Cannot {call}: {error}"))
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The beginning of what a server sent, printable.
pub fn quoted(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(QUOTED_BYTES_MAX)];
    let more = if shown.len() < bytes.len() { "…" } else { "" };
    format!("\"{}{more}\"", shown.escape_ascii())
}
