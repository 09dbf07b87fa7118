//! The system calls that report readiness.

use std::fmt;

/// A family of system calls. The numbers are those of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Backend {
    /// `epoll(7)`: Linux, Android.
    Epoll = 1,
    /// `kqueue(2)`: macOS, iOS, the BSDs.
    Kqueue = 2,
    /// `poll(2)`: Linux, Android. Every wait looks at every source.
    Poll = 3,
    /// `select(2)`: Linux, Android. As poll, and no descriptor may be beyond
    /// `FD_SETSIZE`.
    Select = 4,
}

impl Backend {
    /// Every backend of any system.
    pub const ALL: [Self; 4] = [Self::Epoll, Self::Kqueue, Self::Poll, Self::Select];

    /// The backends of this system, the best one first.
    #[must_use]
    pub const fn available() -> &'static [Self] {
        if cfg!(epoll) { &[Self::Epoll, Self::Poll, Self::Select] } else { &[Self::Kqueue] }
    }

    /// Its name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::Kqueue => "kqueue",
            Self::Poll => "poll",
            Self::Select => "select",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
