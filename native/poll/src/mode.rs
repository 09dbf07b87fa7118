//! How often a registration reports readiness.

use std::fmt;
use std::io;

/// When an event comes again, chosen for each registration.
///
/// Not every backend has every mode: [`crate::Poll::supports`] says which, and a
/// registration in another mode is refused with `ENOTSUP`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Mode(u32);

impl Mode {
    /// When something has changed: the program drains a source before it waits for
    /// the next event.
    pub const EDGE: Self = Self(0);
    /// As long as the source is ready.
    pub const LEVEL: Self = Self(1);
    /// Once; then only after the source is reregistered.
    pub const ONE_SHOT: Self = Self(1 << 1);

    /// Edges of a TCP stream, whose bytes the system may move into this process before the
    /// program reads them. Only [`crate::Backend::IoUring`] does; there is no event of urgent
    /// data then.
    pub const AHEAD: Self = Self(1 << 3);

    const EXCLUSIVE: u32 = 1 << 2;
    const TRIGGERS: u32 = Self::LEVEL.0 | Self::ONE_SHOT.0;

    /// Reads a mode from its bits: those of one trigger, 4 for exclusive, and 8 for edges that
    /// are read ahead.
    ///
    /// # Errors
    ///
    /// `EINVAL` when an unknown bit or more than one trigger is set.
    pub fn from_bits(bits: u32) -> io::Result<Self> {
        let unknown = bits & !(Self::TRIGGERS | Self::EXCLUSIVE | Self::AHEAD.0) != 0;
        let contradicts = bits & Self::AHEAD.0 != 0 && bits != Self::AHEAD.0;
        if unknown || contradicts || bits & Self::TRIGGERS == Self::TRIGGERS {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(Self(bits))
    }

    /// The same, but each event goes to one of the polls that share the source, not to
    /// all of them (`EPOLLEXCLUSIVE` of `epoll_ctl(2)`).
    #[must_use]
    pub const fn exclusive(self) -> Self {
        Self(self.0 | Self::EXCLUSIVE)
    }

    /// Whether a stream may be read before the program reads it.
    #[must_use]
    pub const fn reads_ahead(self) -> bool {
        self.0 & Self::AHEAD.0 != 0
    }

    /// Whether events come as long as the source is ready.
    #[must_use]
    pub const fn is_level(self) -> bool {
        self.0 & Self::LEVEL.0 != 0
    }

    /// Whether the first event is the only one.
    #[must_use]
    pub const fn is_one_shot(self) -> bool {
        self.0 & Self::ONE_SHOT.0 != 0
    }

    /// Whether events come when something has changed.
    #[must_use]
    pub const fn is_edge(self) -> bool {
        self.0 & Self::TRIGGERS == 0
    }

    /// Whether the source is shared with other polls.
    #[must_use]
    pub const fn is_exclusive(self) -> bool {
        self.0 & Self::EXCLUSIVE != 0
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trigger = match (self.is_level(), self.is_one_shot()) {
            (true, _) => "LEVEL",
            (_, true) => "ONE_SHOT",
            _ => "EDGE",
        };
        f.write_str(trigger)?;
        if self.is_exclusive() { f.write_str(" | EXCLUSIVE") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_trigger_and_no_unknown_bit() {
        for bits in [3, 7, 9, 12, 16, 1 << 31, u32::MAX] {
            let error = Mode::from_bits(bits).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{bits}");
        }
        assert_eq!(Mode::from_bits(0).unwrap(), Mode::EDGE);
        assert_eq!(Mode::from_bits(5).unwrap(), Mode::LEVEL.exclusive());
        assert_eq!(Mode::from_bits(2).unwrap(), Mode::ONE_SHOT);
    }

    #[test]
    fn prints_its_trigger_and_whether_it_is_exclusive() {
        assert_eq!(format!("{:?}", Mode::EDGE), "EDGE");
        assert_eq!(format!("{:?}", Mode::ONE_SHOT), "ONE_SHOT");
        assert_eq!(format!("{:?}", Mode::LEVEL.exclusive()), "LEVEL | EXCLUSIVE");
    }
}
