//! Where completions are written: memory of the caller, for one call.

use std::io;
use std::os::fd::OwnedFd;

use crate::completion::Completion;
use crate::sys::Kind;

/// What an operation has opened or accepted.
#[derive(Debug)]
pub struct Opened {
    /// Its descriptor.
    pub fd: OwnedFd,
    /// What it is.
    pub kind: Kind,
}

/// Memory for completions and their bytes.
pub struct Output<'o> {
    completions: &'o mut [Completion],
    written: usize,
    bytes: &'o mut [u8],
    used: usize,
    /// Stores what was opened, and returns its handle.
    store: &'o mut dyn FnMut(Opened) -> io::Result<f64>,
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Output").field("written", &self.written).finish_non_exhaustive()
    }
}

impl<'o> Output<'o> {
    /// Nothing written yet. `store` makes handles of what was opened.
    pub fn new(
        completions: &'o mut [Completion],
        bytes: &'o mut [u8],
        store: &'o mut dyn FnMut(Opened) -> io::Result<f64>,
    ) -> Self {
        Self { completions, written: 0, bytes, used: 0, store }
    }

    /// How many completions are written.
    #[must_use]
    pub const fn written(&self) -> usize {
        self.written
    }

    /// How many completions there is room for.
    pub(crate) const fn room(&self) -> usize {
        self.completions.len() - self.written
    }

    /// Copies the bytes of the next completion, and returns where they are; `None` when there
    /// is no room for this completion, so that it must wait.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE` when there would be no room in an empty buffer either.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> io::Result<Option<(u32, u32)>> {
        if self.room() == 0 {
            return Ok(None);
        }
        if bytes.is_empty() {
            return Ok(Some((0, 0)));
        }
        let (start, end) = (self.used, self.used + bytes.len());
        let Some(place) = self.bytes.get_mut(start..end) else {
            let is_first = self.written == 0;
            return if is_first {
                Err(io::Error::from_raw_os_error(libc::EMSGSIZE))
            } else {
                Ok(None)
            };
        };
        place.copy_from_slice(bytes);
        self.used = end;
        Ok(Some((start as u32, end as u32)))
    }

    /// Writes a completion, after its bytes.
    pub(crate) fn write(&mut self, mut completion: Completion, opened: Option<Opened>) {
        if let Some(opened) = opened {
            match (self.store)(opened) {
                Ok(handle) => completion.value = handle,
                Err(error) => completion.result = -error.raw_os_error().unwrap_or(libc::EINVAL),
            }
        }
        if let Some(place) = self.completions.get_mut(self.written) {
            *place = completion;
            self.written += 1;
        }
    }
}
