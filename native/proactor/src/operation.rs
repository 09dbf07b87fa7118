//! What a program can ask the kernel for.

/// An operation. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    /// Completes at once.
    Nop = 0,
    /// Completes after a time.
    Timeout = 1,
    /// Accepts a connection.
    Accept = 2,
    /// Accepts connections until it is cancelled.
    AcceptMulti = 3,
    /// Opens a TCP socket, and connects it.
    Connect = 4,
    /// Receives bytes of a socket.
    Receive = 5,
    /// Receives bytes of a socket whenever there are some, until it is cancelled.
    ReceiveMulti = 6,
    /// Sends bytes to a socket, all of them.
    Send = 7,
    /// Sends bytes that the kernel does not copy.
    SendZeroCopy = 8,
    /// Shuts down a half of a socket, or both.
    Shutdown = 9,
    /// Ends the operations of a source, and closes it.
    Close = 10,
    /// Completes when a source is ready.
    Poll = 11,
    /// Completes each time that a source is ready, until it is cancelled.
    PollMulti = 12,
    /// Opens a file.
    Open = 13,
    /// Reads bytes, of a file at a position.
    Read = 14,
    /// Writes bytes, to a file at a position.
    Write = 15,
    /// Waits until a file's bytes are on their disk.
    Fsync = 16,
    /// Describes a file.
    Stat = 17,
    /// Moves bytes between a pipe and another source.
    Splice = 18,
    /// Completes at another proactor.
    Message = 19,
    /// Ends other operations.
    Cancel = 20,
}

impl Code {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 21] = [
        Self::Nop,
        Self::Timeout,
        Self::Accept,
        Self::AcceptMulti,
        Self::Connect,
        Self::Receive,
        Self::ReceiveMulti,
        Self::Send,
        Self::SendZeroCopy,
        Self::Shutdown,
        Self::Close,
        Self::Poll,
        Self::PollMulti,
        Self::Open,
        Self::Read,
        Self::Write,
        Self::Fsync,
        Self::Stat,
        Self::Splice,
        Self::Message,
        Self::Cancel,
    ];

    /// The operation with that number.
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// The first Linux that has it, as major and minor version. A proactor itself needs 5.19.
    #[must_use]
    pub const fn least_kernel(self) -> (u16, u16) {
        match self {
            Self::Nop | Self::Fsync | Self::Poll | Self::PollMulti => (5, 1),
            Self::Timeout => (5, 4),
            Self::Accept | Self::AcceptMulti | Self::Connect => (5, 5),
            Self::Receive
            | Self::Send
            | Self::Close
            | Self::Open
            | Self::Read
            | Self::Write
            | Self::Stat => (5, 6),
            Self::Splice => (5, 7),
            Self::Shutdown => (5, 11),
            Self::Message => (5, 18),
            Self::Cancel => (5, 19),
            Self::ReceiveMulti | Self::SendZeroCopy => (6, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn each_number_is_the_place_of_its_operation() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, number);
            assert_eq!(Code::of(number as u32), Some(code));
        }
        assert_eq!(Code::of(Code::ALL.len() as u32), None);
    }
}
