//! Makes operations of requests, with all their memory.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::reaper::Inbox;
use crate::request::open;
use crate::shared::Target;
use crate::sys::{Action, Flight, Room, STAT_BYTES, address_bytes};
use crate::{Code, Request};

/// `POLLRDHUP` of `poll(2)`, on all machines of Linux but SPARC.
const POLLRDHUP: u32 = 0x2000;
/// Bits of an interest, and of readiness, with those of `poll(2)`: `src/poll/events.ts`.
const READINESS: [(u32, u32); 6] = [
    (1, libc::POLLIN as u32),
    (2, libc::POLLOUT as u32),
    (4, libc::POLLPRI as u32),
    (8, libc::POLLERR as u32),
    (16, POLLRDHUP),
    (32, libc::POLLHUP as u32),
];
/// An interest in reading is one in the end of what the peer sends.
const INTEREST_MAX: u32 = 7;

/// Converts events of `poll(2)` to readiness.
pub fn readiness(events: u32) -> i32 {
    let bits = READINESS.iter().filter(|(_, event)| events & event != 0);
    bits.fold(0, |bits, (bit, _)| bits | *bit as i32)
}

fn poll_events(interest: u32) -> u32 {
    let bits = READINESS.iter().filter(|(bit, _)| interest & bit != 0);
    let events = bits.fold(0, |events, (_, event)| events | event);
    if interest & 1 != 0 { events | POLLRDHUP } else { events }
}

/// Finds what requests name by numbers.
pub trait Lookup {
    /// The handle of a number; 0 for a number that is none.
    fn handle(&self, number: f64) -> u64;
    /// The inbox of a reaper.
    fn reaper(&self, number: f64) -> io::Result<Arc<Inbox>>;
    /// Where messages for a proactor go.
    fn target(&self, number: f64) -> io::Result<Target>;
    /// An address in the layout of the ABI.
    fn address(&self, bytes: &[u8]) -> io::Result<SocketAddr>;
}

/// Memory of the caller that requests point into.
#[derive(Clone, Copy, Debug)]
pub struct Input<'i> {
    /// Bytes to send and to write.
    pub bytes: &'i [u8],
    /// Paths and addresses.
    pub names: &'i [u8],
}

impl Input<'_> {
    fn names(&self, request: &Request) -> io::Result<&[u8]> {
        let range = request.start as usize..request.end as usize;
        self.names.get(range).ok_or_else(invalid)
    }

    fn payload(&self, request: &Request) -> io::Result<Room> {
        if request.flags & Request::GATHER == 0 {
            let range = request.start as usize..request.end as usize;
            let bytes = self.bytes.get(range).ok_or_else(invalid)?;
            return Room::of([bytes].into_iter());
        }
        let piece = |pair: &[u8]| {
            let (start, end) = pair.split_first_chunk::<4>()?;
            let start = u32::from_ne_bytes(*start) as usize;
            let end = u32::from_ne_bytes(*end.first_chunk()?) as usize;
            self.bytes.get(start..end)
        };
        let pieces: Option<Vec<_>> =
            self.names(request)?.chunks_exact(PAIR_BYTES).map(piece).collect();
        let pieces = pieces.ok_or_else(invalid)?;
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        // A range may be there many times, and results count in 31 bits.
        if length > PAYLOAD_MAX {
            return Err(invalid());
        }
        Room::of(pieces.into_iter())
    }

    /// The path of a request, after `front` zeroes, with a NUL byte.
    fn path(&self, request: &Request, front: usize) -> io::Result<Room> {
        let path = self.names(request)?;
        if path.is_empty() || path.contains(&0) {
            return Err(invalid());
        }
        let zeroes = vec![0; front];
        Room::of([zeroes.as_slice(), path, &[0]].into_iter())
    }
}

/// As many as one call of the ABI can have.
const PAYLOAD_MAX: usize = 1 << 30;
/// Bytes of a range: where it begins, where it ends.
const PAIR_BYTES: usize = 8;

/// How many entries of one operation that accepts the kernel has at a time, so that several
/// connections can be accepted in one system call.
pub const ACCEPTS: u32 = 8;

impl Request {
    /// The operation; `EINVAL` for a number that is none.
    pub fn operation(&self) -> io::Result<Code> {
        match Code::of(self.code) {
            Some(Code::Cancel) | None => Err(invalid()),
            Some(code) => Ok(code),
        }
    }

    /// How many places of the completion queue it takes, where the queue has `all`.
    pub fn places(&self, all: u32) -> u32 {
        match Code::of(self.code) {
            // Each connection has a completion.
            Some(Code::AcceptMulti) => ACCEPTS.min(all.div_ceil(2)),
            // Its result, and the notice that the kernel has let go of the bytes.
            // One place alone has room for both, since the queue has others of the driver's.
            Some(Code::SendZeroCopy) => 2.min(all),
            _ => 1,
        }
    }

    /// Makes the operation, with all its memory.
    pub fn flight(&self, input: &Input<'_>, lookup: &dyn Lookup) -> io::Result<Flight> {
        let code = self.operation()?;
        let length = self.end.min(i32::MAX as u32) as usize;
        let (action, room) = match code {
            Code::Nop => (Action::Nop, Room::NONE),
            Code::Timeout => (Action::Timeout, self.time()?),
            Code::Accept | Code::AcceptMulti => {
                (Action::Accept { multi: code == Code::AcceptMulti }, Room::NONE)
            }
            Code::Connect => return self.connect(input, lookup),
            Code::Receive => (Action::Receive, Room::new(length)?),
            Code::ReceiveMulti => (Action::ReceiveMulti, Room::NONE),
            Code::Send | Code::SendZeroCopy => {
                let zero_copy = code == Code::SendZeroCopy;
                (Action::Send { zero_copy }, input.payload(self)?)
            }
            Code::Shutdown if self.argument <= 2 => {
                (Action::Shutdown { how: self.argument as i32 }, Room::NONE)
            }
            Code::Close => (Action::Close, Room::NONE),
            Code::Poll | Code::PollMulti if (1..=INTEREST_MAX).contains(&self.argument) => {
                let events = poll_events(self.argument);
                (Action::Poll { events, multi: code == Code::PollMulti }, Room::NONE)
            }
            Code::Open => {
                let (flags, mode) = (open_flags(self.argument)?, self.offset as u32 & 0o7777);
                (Action::Open { flags, mode }, input.path(self, 0)?)
            }
            Code::Read => (Action::Read { at: position(self.offset)? as u64 }, Room::new(length)?),
            Code::Write => {
                (Action::Write { at: position(self.offset)? as u64 }, input.payload(self)?)
            }
            Code::Fsync => (Action::Fsync { data_only: self.argument != 0 }, Room::NONE),
            Code::Stat if self.flags & Self::NAMED != 0 => {
                (Action::Stat { by_path: true }, input.path(self, STAT_BYTES)?)
            }
            Code::Stat => {
                let room = Room::from(vec![0; STAT_BYTES + 1]);
                (Action::Stat { by_path: false }, room)
            }
            Code::Splice => (self.splice(lookup)?, Room::NONE),
            Code::Message => return self.message(lookup),
            _ => return Err(invalid()),
        };
        let source = lookup.handle(self.source);
        let needs_source = !matches!(
            action,
            Action::Nop | Action::Timeout | Action::Open { .. } | Action::Stat { by_path: true }
        );
        // 0 is no handle, and means none further down.
        let source = if needs_source { source.max(NO_HANDLE) } else { 0 };
        Ok(Flight::new(self.token, source, action, room))
    }

    fn time(&self) -> io::Result<Room> {
        let time = Duration::try_from_secs_f64(self.offset / 1e3).map_err(|_| invalid())?;
        let seconds = i64::try_from(time.as_secs()).map_err(|_| invalid())?.to_ne_bytes();
        let nanoseconds = i64::from(time.subsec_nanos()).to_ne_bytes();
        Room::of([seconds.as_slice(), &nanoseconds].into_iter())
    }

    fn connect(&self, input: &Input<'_>, lookup: &dyn Lookup) -> io::Result<Flight> {
        let address = lookup.address(input.names(self)?)?;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        let address = SockAddr::from(address);
        let room = Room::of([address_bytes(&address)].into_iter())?;
        let mut flight = Flight::new(self.token, 0, Action::Connect, room);
        flight.socket = Some(socket.into());
        Ok(flight)
    }

    fn splice(&self, lookup: &dyn Lookup) -> io::Result<Action> {
        Ok(Action::Splice {
            to: lookup.handle(self.other).max(NO_HANDLE),
            length: self.end.min(i32::MAX as u32),
            at: position(self.offset)?,
            to_at: position(self.other_offset)?,
        })
    }

    fn message(&self, lookup: &dyn Lookup) -> io::Result<Flight> {
        let action = Action::Message { value: self.argument as i32, token: self.start };
        let mut flight = Flight::new(self.token, 0, action, Room::NONE);
        flight.target = Some(lookup.target(self.other)?);
        Ok(flight)
    }
}

/// A number that is never a handle: it has a slot and no generation.
const NO_HANDLE: u64 = 1;

fn open_flags(options: u32) -> io::Result<i32> {
    let is = |option| options & option != 0;
    let access = match (is(open::READ), is(open::WRITE) || is(open::APPEND)) {
        (true, true) => libc::O_RDWR,
        (true, false) => libc::O_RDONLY,
        (false, true) => libc::O_WRONLY,
        (false, false) => return Err(invalid()),
    };
    let pairs = [
        (open::APPEND, libc::O_APPEND),
        (open::CREATE, libc::O_CREAT),
        (open::TRUNCATE, libc::O_TRUNC),
        (open::CREATE_NEW, libc::O_CREAT | libc::O_EXCL),
        (open::NO_FOLLOW, libc::O_NOFOLLOW),
    ];
    let chosen = pairs.into_iter().filter(|(option, _)| is(*option));
    Ok(chosen.fold(access | libc::O_CLOEXEC, |flags, (_, flag)| flags | flag))
}

fn position(number: f64) -> io::Result<i64> {
    let position = number as i64;
    if position as f64 == number && position >= -1 { Ok(position) } else { Err(invalid()) }
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}
