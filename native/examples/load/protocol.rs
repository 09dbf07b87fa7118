//! What the loop must know of a protocol, and the protocols that it speaks.
//!
//! The loop is compiled for each of them: no call is looked up while it runs.

mod echo;
mod http;
mod sse;

pub use echo::Echo;
pub use http::{Http, Wanted};
pub use sse::Sse;

use crate::failure::Failure;
use crate::flight::Flight;
use crate::requests::Requests;

/// A protocol, with its requests and what must come back.
pub trait Protocol {
    /// What is kept of each connection.
    type Reader: Default;

    /// Whether one request brings answers without end.
    const IS_STREAM: bool;

    /// What is sent.
    fn requests(&self) -> &Requests;

    /// Verifies what came on a connection, and counts in `flight` the answers that are complete.
    fn read(
        &mut self,
        reader: &mut Self::Reader,
        flight: &mut Flight,
        bytes: &[u8],
    ) -> Result<(), Failure>;

    /// Judges the end of a connection, which may complete an answer.
    fn end(&mut self, reader: &mut Self::Reader, flight: &mut Flight) -> Result<(), Failure>;
}
