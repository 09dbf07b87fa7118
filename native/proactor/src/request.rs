//! Operations as the program writes them down.

#[cfg(doc)]
use crate::Code;

/// An operation, in the layout of the ABI. What each field means depends on the operation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Request {
    /// The handle of the source.
    pub source: f64,
    /// A second handle: where [`Code::Splice`] writes to, whom a [`Code::Message`] is for.
    pub other: f64,
    /// A position in a file, -1 for none; milliseconds; the mode of a new file.
    pub offset: f64,
    /// The position in the second source.
    pub other_offset: f64,
    /// The handle of the reaper that gets the completions; 0 is the owner.
    pub reaper: f64,
    /// The program's number.
    pub token: u32,
    /// A number of [`Code`].
    pub code: u32,
    /// Where its bytes begin.
    pub start: u32,
    /// Where they end; of an operation that reads, the most bytes.
    pub end: u32,
    /// Of [`Code::Shutdown`] which half, of [`Code::Poll`] the interest, of [`Code::Open`] the
    /// options, of [`Code::Fsync`] whether data is enough, of [`Code::Message`] its value.
    pub argument: u32,
    /// [`Request::NAMED`], [`Request::GATHER`]
    pub flags: u32,
}

// JavaScript writes them through arrays of numbers.
const _: () = assert!(size_of::<Request>() == 64);

impl Request {
    /// A [`Code::Stat`] of a path.
    pub const NAMED: u32 = 1;
    /// The bytes of a [`Code::Send`] are in several ranges, which the names have as pairs of
    /// words.
    pub const GATHER: u32 = 2;
}

/// Options of [`Code::Open`].
pub mod open {
    /// To read.
    pub const READ: u32 = 1;
    /// To write.
    pub const WRITE: u32 = 2;
    /// Each write goes to the end.
    pub const APPEND: u32 = 4;
    /// A missing file is made.
    pub const CREATE: u32 = 8;
    /// The file is emptied.
    pub const TRUNCATE: u32 = 16;
    /// The file is made, and must not exist.
    pub const CREATE_NEW: u32 = 32;
    /// The path must not end in a symbolic link.
    pub const NO_FOLLOW: u32 = 64;
}
