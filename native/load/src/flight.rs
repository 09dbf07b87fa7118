//! The requests of a connection that wait for answers.

/// A batch of requests that went out in one write.
#[derive(Clone, Copy, Default)]
pub struct Flight {
    /// The number of its first request; no two requests of a run have the same.
    pub first: u64,
    /// How many requests it has; 0 when none is under way, [`Self::ENDLESS`] for a stream.
    pub size: u64,
    pub answered: u64,
    /// How many of its bytes are written.
    pub sent: usize,
}

impl Flight {
    /// The size of a stream of events.
    pub const ENDLESS: u64 = u64::MAX;

    pub const fn is_on(&self) -> bool {
        self.answered < self.size
    }

    /// The number of the request whose answer is next.
    pub const fn number(&self) -> u64 {
        self.first + self.answered
    }
}
