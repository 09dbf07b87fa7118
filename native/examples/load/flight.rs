//! What is under way on one connection: requests that went out in one write, and how far their
//! answers have come.

/// A batch of requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flight {
    /// The number of its first request: each request of a run has its own.
    pub first: u64,
    /// How many requests it has; none when nothing is under way.
    pub size: u64,
    /// How many of them are answered.
    pub answered: u64,
    /// How many of its bytes are written.
    pub sent: u64,
}

impl Flight {
    /// What is to follow one request without an end, as events do.
    pub const ENDLESS: u64 = u64::MAX;

    pub const fn new(first: u64, size: u64) -> Self {
        Self { first, size, answered: 0, sent: 0 }
    }

    /// Whether anything is under way.
    pub const fn is_on(&self) -> bool {
        self.answered < self.size
    }

    /// How many requests have no answer yet.
    pub const fn open(&self) -> u64 {
        self.size - self.answered
    }

    /// The number of the request whose answer is next.
    pub const fn number(&self) -> u64 {
        self.first + self.answered
    }
}
