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
    /// `io_uring(7)`: Linux 6.1 and newer, where it is not forbidden. Streams can be read
    /// ahead.
    IoUring = 5,
}

impl Backend {
    /// Every backend of any system.
    pub const ALL: [Self; 5] = [Self::Epoll, Self::Kqueue, Self::Poll, Self::Select, Self::IoUring];

    /// The backends of this system, the default first.
    #[must_use]
    pub fn available() -> &'static [Self] {
        #[cfg(target_os = "linux")]
        if crate::sys::ring_refusal().is_none() {
            return &[Self::Epoll, Self::IoUring, Self::Poll, Self::Select];
        }
        if cfg!(epoll) { &[Self::Epoll, Self::Poll, Self::Select] } else { &[Self::Kqueue] }
    }

    /// Why this system lacks the backend, as a number of [`denio_ring::Refusal`]; 0 when there
    /// is no such reason. Only [`Backend::IoUring`] has reasons.
    #[must_use]
    pub fn refusal(self) -> u32 {
        #[cfg(target_os = "linux")]
        let refusal = crate::sys::ring_refusal();
        #[cfg(not(target_os = "linux"))]
        let refusal = denio_ring::refusal();
        if self == Self::IoUring { refusal.map_or(0, |refusal| refusal as u32) } else { 0 }
    }

    /// Its name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::Kqueue => "kqueue",
            Self::Poll => "poll",
            Self::Select => "select",
            Self::IoUring => "io_uring",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
