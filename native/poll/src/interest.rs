//! What a registration waits for.

use std::fmt;
use std::io;
use std::ops::BitOr;

/// A non-empty set of readiness kinds to wait for.
///
/// The bits are those of [`crate::Event`], so one number means one thing on
/// both sides of the ABI.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Interest(u32);

impl Interest {
    /// Data, a connection to accept, or the end of the stream can be read.
    pub const READABLE: Self = Self(1);
    /// There is room to write, or a connect has finished.
    pub const WRITABLE: Self = Self(1 << 1);
    /// Urgent data can be read (Linux only: `EPOLLPRI` of `epoll_ctl(2)`).
    pub const PRIORITY: Self = Self(1 << 2);

    const ALL: u32 = Self::READABLE.0 | Self::WRITABLE.0 | Self::PRIORITY.0;

    /// Reads an interest from its bits.
    ///
    /// # Errors
    ///
    /// `EINVAL` when no bit or an unknown bit is set: an interest is never
    /// empty, and a typing error must not pass for silence.
    pub fn from_bits(bits: u32) -> io::Result<Self> {
        if bits == 0 || bits & !Self::ALL != 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(Self(bits))
    }

    /// Whether reading is asked for.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & Self::READABLE.0 != 0
    }

    /// Whether writing is asked for.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE.0 != 0
    }

    /// Whether urgent data is asked for.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & Self::PRIORITY.0 != 0
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (set, name) in [
            (self.is_readable(), "READABLE"),
            (self.is_writable(), "WRITABLE"),
            (self.is_priority(), "PRIORITY"),
        ] {
            if set {
                write!(f, "{separator}{name}")?;
                separator = " | ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_mio_does() {
        assert_eq!(format!("{:?}", Interest::READABLE), "READABLE");
        assert_eq!(format!("{:?}", Interest::WRITABLE), "WRITABLE");
        let both = Interest::READABLE | Interest::WRITABLE;
        assert_eq!(format!("{both:?}"), "READABLE | WRITABLE");
    }

    #[test]
    fn is_never_empty_and_has_no_unknown_bit() {
        for bits in [0, 8, 1 << 31, u32::MAX] {
            let error = Interest::from_bits(bits).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{bits}");
        }
        assert_eq!(Interest::from_bits(3).unwrap(), Interest::READABLE | Interest::WRITABLE);
    }
}
