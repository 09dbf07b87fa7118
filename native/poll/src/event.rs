//! One readiness of one source, in the layout that JavaScript reads.

use crate::Token;

/// What became ready, and under which token.
///
/// Two `u32` words, written straight into the caller's buffer: JavaScript
/// reads them through a `Uint32Array`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    token: u32,
    readiness: u32,
}

const _: () = assert!(size_of::<Event>() == 8 && align_of::<Event>() == 4);

impl Event {
    /// There is something to read, or to accept.
    pub const READABLE: u32 = 1;
    /// There is room to write.
    pub const WRITABLE: u32 = 1 << 1;
    /// Urgent data has come.
    pub const PRIORITY: u32 = 1 << 2;
    /// The source has an error: `take_error` returns it.
    pub const ERROR: u32 = 1 << 3;
    /// The peer will send no more; what it sent can still be read.
    pub const READ_CLOSED: u32 = 1 << 4;
    /// Nothing more can be written.
    pub const WRITE_CLOSED: u32 = 1 << 5;

    /// Builds an event from a token and readiness bits.
    #[must_use]
    pub const fn new(token: Token, readiness: u32) -> Self {
        Self { token: token.0, readiness }
    }

    /// The token given when the source was registered.
    #[must_use]
    pub const fn token(&self) -> Token {
        Token(self.token)
    }

    /// All readiness bits.
    #[must_use]
    pub const fn readiness(&self) -> u32 {
        self.readiness
    }

    /// Whether there is something to read. A hint: reading decides.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.readiness & Self::READABLE != 0
    }

    /// Whether there is room to write. A hint: writing decides.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.readiness & Self::WRITABLE != 0
    }

    /// Whether urgent data has come.
    #[must_use]
    pub const fn is_priority(&self) -> bool {
        self.readiness & Self::PRIORITY != 0
    }

    /// Whether the source has an error.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        self.readiness & Self::ERROR != 0
    }

    /// Whether the peer has closed its writing half.
    #[must_use]
    pub const fn is_read_closed(&self) -> bool {
        self.readiness & Self::READ_CLOSED != 0
    }

    /// Whether our writing half is closed.
    #[must_use]
    pub const fn is_write_closed(&self) -> bool {
        self.readiness & Self::WRITE_CLOSED != 0
    }
}
