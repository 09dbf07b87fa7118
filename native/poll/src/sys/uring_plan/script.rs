//! A kernel that plays its part from a seed: it completes operations late and in any order
//! among sources, in pieces, ends multishots, has too few buffers, and lets data race with a
//! cancel.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test's part")]

use std::collections::{BTreeMap, VecDeque};

use super::{Bytes, Completion, Step};

/// The size of a buffer.
pub const BUFFER_BYTES: usize = 16;

/// Numbers from a seed: `xorshift64*`.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }

    /// True once in `many`.
    pub fn once_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// The memory of all buffers.
#[derive(Debug)]
pub struct Memory(pub Vec<[u8; BUFFER_BYTES]>);

impl Bytes for Memory {
    fn bytes(&self, id: u16) -> &[u8] {
        &self.0[usize::from(id)]
    }
}

/// A stream's end in the kernel.
#[derive(Debug, Default)]
pub struct Socket {
    pub incoming: VecDeque<u8>,
    /// 0 for the end, or an errno, behind the bytes.
    pub end: Option<i32>,
}

impl Socket {
    fn is_readable(&self) -> bool {
        !self.incoming.is_empty() || self.end.is_some()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Receive,
    Poll,
}

#[derive(Debug)]
struct Operation {
    kind: Kind,
    /// The socket, which the operation holds, also when its descriptor is another's by now.
    socket: usize,
    is_cancelled: bool,
    was_late: bool,
    /// Whether an edge has come that a poll has not reported.
    has_edge: bool,
    /// Completions that the program has not got, oldest first.
    completions: VecDeque<Completion>,
    is_over: bool,
}

/// The kernel's side.
#[derive(Debug)]
pub struct Kernel {
    pub sockets: Vec<Socket>,
    pub memory: Memory,
    /// Buffers that the kernel can fill, in the order in which they were given.
    pub free: VecDeque<u16>,
    operations: BTreeMap<u64, Operation>,
}

impl Kernel {
    pub fn new(buffers: u16) -> Self {
        Self {
            sockets: Vec::new(),
            memory: Memory(vec![[0; BUFFER_BYTES]; buffers.into()]),
            free: (0..buffers).collect(),
            operations: BTreeMap::new(),
        }
    }

    /// Notes an edge of a socket, for its polls.
    pub fn arrive(&mut self, socket: usize) {
        for operation in self.operations.values_mut() {
            operation.has_edge |= operation.socket == socket;
        }
    }

    /// Starts an operation. `socket_of` knows the socket of a descriptor just now.
    pub fn submit(&mut self, step: Step, socket_of: impl Fn(i32) -> usize) {
        let (kind, fd, name) = match step {
            Step::Receive { fd, name } => (Kind::Receive, fd, name),
            Step::Poll { fd, name, .. } => (Kind::Poll, fd, name),
            Step::Cancel { name } => {
                if let Some(operation) = self.operations.get_mut(&name) {
                    operation.is_cancelled = true;
                }
                return;
            }
        };
        let socket = socket_of(fd);
        let has_edge = self.sockets[socket].is_readable();
        let completions = VecDeque::new();
        let operation = Operation {
            kind,
            socket,
            is_cancelled: false,
            was_late: false,
            has_edge,
            completions,
            is_over: false,
        };
        assert!(self.operations.insert(name, operation).is_none(), "a name came twice");
    }

    /// Whether a receive of that socket is in flight, or has completions on their way.
    pub fn receives(&self, socket: usize) -> bool {
        let is = |one: &Operation| one.kind == Kind::Receive && one.socket == socket;
        self.operations.values().any(is)
    }

    /// Buffers in completions that the program has not got.
    pub fn on_their_way(&self) -> impl Iterator<Item = u16> {
        let completions = self.operations.values().flat_map(|one| &one.completions);
        completions.filter_map(|completion| completion.buffer)
    }

    /// Lets each operation do what it can, or only a part of that.
    pub fn work(&mut self, random: &mut Random, is_thorough: bool) {
        let names: Vec<u64> = self.operations.keys().copied().collect();
        for name in names {
            if is_thorough || random.once_in(2) {
                while self.step(name, random) && (is_thorough || random.once_in(2)) {}
            }
        }
    }

    /// Returns whether the operation has done something.
    fn step(&mut self, name: u64, random: &mut Random) -> bool {
        let Some(operation) = self.operations.get_mut(&name) else { return false };
        if operation.is_over {
            return false;
        }
        let socket = &mut self.sockets[operation.socket];
        // A cancelled operation may have received once more before it ends.
        let is_cancelled = operation.is_cancelled && (operation.was_late || random.once_in(2));
        operation.was_late = operation.is_cancelled;
        let (result, buffer, is_last) = match operation.kind {
            _ if is_cancelled => (-libc::ECANCELED, None, true),
            Kind::Poll if operation.has_edge => {
                operation.has_edge = false;
                (libc::EPOLLIN, None, random.once_in(8))
            }
            Kind::Poll => return false,
            Kind::Receive if !socket.incoming.is_empty() => match self.free.pop_front() {
                None => (-libc::ENOBUFS, None, true),
                Some(id) => {
                    let most = BUFFER_BYTES.min(socket.incoming.len());
                    // Full buffers are frequent, or no source would ever be read directly.
                    let count = if random.once_in(3) { random.below(most) + 1 } else { most };
                    for (place, byte) in self.memory.0[usize::from(id)]
                        .iter_mut()
                        .zip(socket.incoming.drain(..count))
                    {
                        *place = byte;
                    }
                    (count as i32, Some(id), random.once_in(16))
                }
            },
            Kind::Receive => match socket.end {
                None => return false,
                Some(errno) => {
                    // An error is met once.
                    socket.end = Some(0);
                    (-errno, None, true)
                }
            },
        };
        operation.is_over = is_last;
        operation.completions.push_back(Completion { name, result, is_last, buffer });
        true
    }

    /// Hands out the oldest completion of some operation.
    pub fn complete(&mut self, random: &mut Random) -> Option<Completion> {
        let waiting: Vec<u64> = self
            .operations
            .iter()
            .filter(|(_, one)| !one.completions.is_empty())
            .map(|(name, _)| *name)
            .collect();
        if waiting.is_empty() {
            return None;
        }
        let name = waiting[random.below(waiting.len())];
        let completion = self.operations.get_mut(&name)?.completions.pop_front();
        if completion.is_some_and(|completion| completion.is_last) {
            self.operations.remove(&name);
        }
        completion
    }
}
