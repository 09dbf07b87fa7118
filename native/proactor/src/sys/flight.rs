//! Operations from their submission to their last completion.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use io_uring::types::{Fd, FsyncFlags};
use io_uring::{opcode, squeue};

use super::{Kind, Room};
use crate::Code;
use crate::reaper::{Inbox, Untaken};
use crate::shared::{Place, Target};

/// The group of the provided buffers.
pub const GROUP: u16 = 0;
/// `user_data` of a message has this bit; its token is in the low half.
pub const MESSAGE: u64 = 1 << 62;

/// What an operation does, with its numbers. Its bytes are in its [`Room`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// [`Code::Nop`]
    Nop,
    /// [`Code::Timeout`]; the room has the time.
    Timeout,
    /// [`Code::Accept`], [`Code::AcceptMulti`]
    Accept { multi: bool },
    /// [`Code::Connect`]; the room has the address.
    Connect,
    /// [`Code::Receive`] into the room.
    Receive,
    /// [`Code::ReceiveMulti`]
    ReceiveMulti,
    /// [`Code::Send`], [`Code::SendZeroCopy`] from the room.
    Send { zero_copy: bool },
    /// [`Code::Shutdown`]: 0 reading, 1 writing, 2 both.
    Shutdown { how: i32 },
    /// [`Code::Close`]
    Close,
    /// [`Code::Poll`], [`Code::PollMulti`]
    Poll { events: u32, multi: bool },
    /// [`Code::Open`]; the room has the path, with a NUL byte.
    Open { flags: i32, mode: u32 },
    /// [`Code::Read`] into the room.
    Read { at: u64 },
    /// [`Code::Write`] from the room.
    Write { at: u64 },
    /// [`Code::Fsync`]
    Fsync { data_only: bool },
    /// [`Code::Stat`]; the room has space for the answer, then the path, with a NUL byte.
    Stat { by_path: bool },
    /// [`Code::Splice`]
    Splice { to: u64, length: u32, at: i64, to_at: i64 },
    /// [`Code::Message`]
    Message { value: i32, token: u32 },
}

impl Action {
    /// The operation's number for the program.
    pub const fn code(self) -> Code {
        match self {
            Self::Nop => Code::Nop,
            Self::Timeout => Code::Timeout,
            Self::Accept { multi: false } => Code::Accept,
            Self::Accept { multi: true } => Code::AcceptMulti,
            Self::Connect => Code::Connect,
            Self::Receive => Code::Receive,
            Self::ReceiveMulti => Code::ReceiveMulti,
            Self::Send { zero_copy: false } => Code::Send,
            Self::Send { zero_copy: true } => Code::SendZeroCopy,
            Self::Shutdown { .. } => Code::Shutdown,
            Self::Close => Code::Close,
            Self::Poll { multi: false, .. } => Code::Poll,
            Self::Poll { multi: true, .. } => Code::PollMulti,
            Self::Open { .. } => Code::Open,
            Self::Read { .. } => Code::Read,
            Self::Write { .. } => Code::Write,
            Self::Fsync { .. } => Code::Fsync,
            Self::Stat { .. } => Code::Stat,
            Self::Splice { .. } => Code::Splice,
            Self::Message { .. } => Code::Message,
        }
    }

    /// Whether the operation goes on after a completion.
    pub const fn is_multi(self) -> bool {
        matches!(
            self,
            Self::Accept { multi: true } | Self::ReceiveMulti | Self::Poll { multi: true, .. }
        )
    }

    /// Whether it may wait for a peer, or a time.
    pub const fn may_wait(self) -> bool {
        !matches!(self, Self::Shutdown { .. } | Self::Fsync { .. } | Self::Stat { .. })
    }

    /// Whether the kernel takes the open file later than it takes the entry: it hands these to
    /// threads of its own, which look the descriptor up (`REQ_F_FORCE_ASYNC`, and the second
    /// descriptor of a splice).
    pub const fn is_late(self) -> bool {
        matches!(
            self,
            Self::Shutdown { .. }
                | Self::Fsync { .. }
                | Self::Stat { by_path: false }
                | Self::Splice { .. }
        )
    }

    /// Whether the kernel writes into the room.
    const fn fills(self) -> bool {
        matches!(self, Self::Receive | Self::Read { .. })
    }
}

/// One operation.
#[derive(Debug)]
pub struct Flight {
    /// The program's number for it.
    pub token: u32,
    /// The handle that it works on; 0 for none.
    pub source: u64,
    /// What it does.
    pub action: Action,
    /// Its memory.
    pub room: Room,
    /// The socket that it connects.
    pub socket: Option<OwnedFd>,
    /// Descriptors that only it has, until its last completion.
    held: Vec<OwnedFd>,
    /// The proactor that a message is for.
    pub target: Option<Target>,
    /// Its place there.
    pub message_place: Option<Place>,
    /// Who gets its completions; `None` is the proactor's owner.
    pub reaper: Option<Arc<Inbox>>,
    /// Completions in the reaper's inbox that it has not taken.
    pub untaken: Option<Arc<Untaken>>,
    /// What its source is.
    pub kind: Kind,
    /// Places that it takes in the completion queue.
    pub places: u32,
    /// Entries that wait to be submitted.
    pub staged: u32,
    /// Whether it was asked to end.
    pub is_cancelled: bool,
    /// Whether its last completion is known.
    pub is_over: bool,
    /// Completions of it that nobody has yet.
    pub untold: u32,
    /// The error that ends an operation of several entries, for its last completion.
    pub error: Option<i32>,
    /// Entries that the kernel has.
    in_kernel: u32,
}

impl Flight {
    /// An operation that nobody has submitted yet.
    pub const fn new(token: u32, source: u64, action: Action, room: Room) -> Self {
        Self {
            token,
            source,
            action,
            room,
            socket: None,
            held: Vec::new(),
            target: None,
            message_place: None,
            reaper: None,
            untaken: None,
            kind: Kind::Other,
            places: 1,
            staged: 0,
            is_cancelled: false,
            is_over: false,
            untold: 0,
            error: None,
            in_kernel: 0,
        }
    }

    /// Entries that the kernel has.
    pub const fn in_kernel(&self) -> u32 {
        self.in_kernel
    }

    /// Makes descriptors of its own for its sources.
    ///
    /// # Safety
    ///
    /// The descriptors are open until this returns.
    pub(super) unsafe fn hold(
        &mut self,
        fd: RawFd,
        other: Option<RawFd>,
    ) -> io::Result<(RawFd, RawFd)> {
        self.held.clear();
        for fd in [Some(fd), other].into_iter().flatten() {
            // SAFETY: the caller's promise.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            self.held.push(fd.try_clone_to_owned()?);
        }
        let number = |place: usize| self.held.get(place).map_or(-1, AsRawFd::as_raw_fd);
        Ok((number(0), number(1)))
    }

    /// Entries that it has, in the kernel or staged, while it goes on.
    pub fn entries(&self) -> u32 {
        if self.action == (Action::Accept { multi: true }) { self.places } else { 1 }
    }

    /// Whether it works on the source with that handle.
    pub fn works_on(&self, source: u64) -> bool {
        self.source == source || matches!(self.action, Action::Splice { to, .. } if to == source)
    }

    /// The bytes that the kernel has written.
    pub fn answer(&self) -> &[u8] {
        let writes = self.action.fills() || matches!(self.action, Action::Stat { .. });
        if writes && self.in_kernel == 0 { self.room.bytes() } else { &[] }
    }

    /// The entry for the kernel. Its memory is the room, which the flight keeps.
    fn entry(&self, fd: RawFd, other: RawFd) -> squeue::Entry {
        let (fd, start) = (Fd(fd), self.room.pointer());
        let length = self.room.capacity() as u32;
        let filled = self.room.filled() as u32;
        match self.action {
            Action::Nop => opcode::Nop::new().build(),
            Action::Timeout => opcode::Timeout::new(start.cast()).build(),
            Action::Accept { .. } => {
                let none = std::ptr::null_mut();
                let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
                opcode::Accept::new(fd, none, none.cast()).flags(flags).build()
            }
            Action::Connect => opcode::Connect::new(fd, start.cast(), filled).build(),
            Action::Receive => opcode::Recv::new(fd, start, length).build(),
            Action::ReceiveMulti => opcode::RecvMulti::new(fd, GROUP).build(),
            Action::Send { zero_copy: false } => {
                opcode::Send::new(fd, start, filled).flags(SEND_FLAGS).build()
            }
            Action::Send { zero_copy: true } => {
                opcode::SendZc::new(fd, start, filled).flags(SEND_FLAGS).build()
            }
            Action::Shutdown { how } => opcode::Shutdown::new(fd, how).build(),
            Action::Close => opcode::Close::new(fd).build(),
            Action::Poll { events, .. } => opcode::PollAdd::new(fd, events).build(),
            Action::Open { flags, mode } => {
                let directory = Fd(libc::AT_FDCWD);
                opcode::OpenAt::new(directory, start.cast()).flags(flags).mode(mode).build()
            }
            Action::Read { at } => opcode::Read::new(fd, start, length).offset(at).build(),
            Action::Write { at } => opcode::Write::new(fd, start, filled).offset(at).build(),
            Action::Fsync { data_only } => {
                let flags = if data_only { FsyncFlags::DATASYNC } else { FsyncFlags::empty() };
                opcode::Fsync::new(fd).flags(flags).build()
            }
            Action::Stat { by_path } => self.stat_entry(fd, by_path),
            Action::Splice { length, at, to_at, .. } => {
                opcode::Splice::new(fd, at, Fd(other), to_at, length).build()
            }
            Action::Message { value, token } => {
                let user_data = MESSAGE | u64::from(token);
                opcode::MsgRingData::new(fd, value, user_data, None).build()
            }
        }
    }

    fn stat_entry(&self, fd: Fd, by_path: bool) -> squeue::Entry {
        let start = self.room.pointer();
        // Inside of the room: `Room::of` got the answer's bytes and the path's.
        let path = start.wrapping_add(STAT_BYTES).cast_const().cast();
        let (fd, flags) = if by_path { (Fd(libc::AT_FDCWD), 0) } else { (fd, libc::AT_EMPTY_PATH) };
        opcode::Statx::new(fd, path, start.cast())
            .flags(flags)
            .mask(libc::STATX_BASIC_STATS | libc::STATX_BTIME)
            .build()
    }
}

/// A send completes when all of its bytes are taken. A peer that is gone is `EPIPE`, without
/// a signal.
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;

/// Bytes of `struct statx`, on every machine.
pub const STAT_BYTES: usize = size_of::<libc::statx>();
const _: () = assert!(STAT_BYTES == 256);

/// The kernel's number of an operation, by which it is asked whether it has it. For receiving
/// into provided buffers it has no number; it came with [`Code::SendZeroCopy`], in Linux 6.0.
pub const fn kernel_code(code: Code) -> u8 {
    match code {
        Code::Nop => opcode::Nop::CODE,
        Code::Timeout => opcode::Timeout::CODE,
        Code::Accept | Code::AcceptMulti => opcode::Accept::CODE,
        Code::Connect => opcode::Connect::CODE,
        Code::Receive => opcode::Recv::CODE,
        Code::ReceiveMulti | Code::SendZeroCopy => opcode::SendZc::CODE,
        Code::Send => opcode::Send::CODE,
        Code::Shutdown => opcode::Shutdown::CODE,
        Code::Close => opcode::Close::CODE,
        Code::Poll | Code::PollMulti => opcode::PollAdd::CODE,
        Code::Open => opcode::OpenAt::CODE,
        Code::Read => opcode::Read::CODE,
        Code::Write => opcode::Write::CODE,
        Code::Fsync => opcode::Fsync::CODE,
        Code::Stat => opcode::Statx::CODE,
        Code::Splice => opcode::Splice::CODE,
        Code::Message => opcode::MsgRingData::CODE,
        Code::Cancel => opcode::AsyncCancel2::CODE,
    }
}

/// The operations of a proactor, by numbers. The kernel may use an operation's memory until
/// its last completion, so nothing is removed before.
#[derive(Debug, Default)]
pub struct Flights {
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
    in_kernel: usize,
}

impl Flights {
    /// Entries of all operations that the kernel has.
    pub const fn in_kernel(&self) -> usize {
        self.in_kernel
    }

    /// Adds an operation, and returns its number.
    pub fn insert(&mut self, flight: Flight) -> u32 {
        if let Some(index) = self.free.pop() {
            if let Some(slot) = self.slots.get_mut(index as usize) {
                *slot = Some(flight);
            }
            return index;
        }
        self.slots.push(Some(flight));
        self.slots.len() as u32 - 1
    }

    /// Finds an operation.
    pub fn get(&self, index: u32) -> Option<&Flight> {
        self.slots.get(index as usize)?.as_ref()
    }

    /// Finds an operation.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut Flight> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    /// Removes an operation, unless the kernel has an entry of it.
    pub fn remove(&mut self, index: u32) -> Option<Flight> {
        let slot = self.slots.get_mut(index as usize)?;
        let flight = slot.take_if(|flight| flight.in_kernel == 0)?;
        self.free.push(index);
        Some(flight)
    }

    /// Closes the descriptors that operations have, and keeps their memory: the kernel itself
    /// holds the files of its entries. A message may have a descriptor of this same ring,
    /// which would never end while it is open.
    pub(super) fn close_descriptors(&mut self) {
        for flight in self.slots.iter_mut().flatten() {
            flight.socket = None;
            flight.target = None;
        }
    }

    /// The numbers of all operations.
    pub fn numbers(&self) -> impl Iterator<Item = (u32, &Flight)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(index, slot)| Some((index as u32, slot.as_ref()?)))
    }

    /// Makes the entry of an operation, which the kernel has from then on.
    pub(super) fn depart(&mut self, index: u32, fd: RawFd, other: RawFd) -> Option<squeue::Entry> {
        let flight = self.get_mut(index)?;
        let fd = flight.socket.as_ref().map_or(fd, AsRawFd::as_raw_fd);
        let fd = flight.target.as_ref().map_or(fd, |target| target.ring());
        flight.in_kernel += 1;
        let entry = flight.entry(fd, other).user_data(index.into());
        self.in_kernel += 1;
        Some(entry)
    }

    /// Notes a completion: with the last one of an entry its memory is the program's again.
    ///
    /// # Safety
    ///
    /// The kernel has sent it.
    pub(super) unsafe fn arrive(&mut self, index: u32, result: i32, is_last: bool) {
        let Some(flight) = self.get_mut(index) else { return };
        if !is_last {
            return;
        }
        flight.in_kernel -= 1;
        if result >= 0 {
            flight.message_place.take().into_iter().for_each(Place::keep);
        }
        let count = usize::try_from(result);
        let filled = match flight.action {
            action if action.fills() => count.ok(),
            Action::Stat { .. } => count.ok().map(|_| STAT_BYTES),
            _ => None,
        };
        if let Some(filled) = filled {
            // SAFETY: the caller's promise, and a completion of these has the count of bytes.
            unsafe { flight.room.set_filled(filled) };
        }
        self.in_kernel -= 1;
    }
}
