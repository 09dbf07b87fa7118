//! How an operation ended, as JavaScript reads it.

/// A completion, in the layout of the ABI.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Completion {
    /// The handle of what was opened or accepted; otherwise 0.
    pub value: f64,
    /// The operation's token.
    pub token: u32,
    /// A number of zero or more, or `-errno`.
    pub result: i32,
    /// Bits of this type.
    pub flags: u32,
    /// The operation: a number of [`crate::Code`].
    pub code: u32,
    /// Where its bytes begin in the caller's buffer.
    pub start: u32,
    /// Where they end.
    pub end: u32,
}

// JavaScript reads them through arrays of numbers.
const _: () = assert!(size_of::<Completion>() == 32);

impl Completion {
    /// The operation goes on: other completions of it follow.
    pub const MORE: u32 = 1;
    /// No operation completed: there is room again for operations, after one with this token
    /// was refused.
    pub const DRAINED: u32 = 2;
    /// A message of another proactor.
    pub const MESSAGE: u32 = 4;
}
