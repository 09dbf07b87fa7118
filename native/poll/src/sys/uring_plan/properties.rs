//! Ten thousand worlds: whatever the kernel does, no byte is lost, doubled or of another stream,
//! and every buffer is either the kernel's, one source's, or free.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test's part")]

use super::script::{BUFFER_BYTES, Kernel, Random};
use super::{Left, Plan, Read};
use crate::{Event, Interest, Token};

const SEEDS: u64 = 10_000;
const STEPS: usize = 120;
const UNREAD_MAX: usize = 96;
/// Waits after which a stream counts as stalled.
const ROUNDS_MAX: usize = 1_000;

/// A stream of the program, and what it has read of it.
#[derive(Debug)]
struct Stream {
    fd: i32,
    socket: usize,
    /// Bytes that the peer has sent, and that the program has read.
    sent: u64,
    read: u64,
    /// What the program has met behind the last byte.
    end: Option<i32>,
    /// What the peer has done behind its last byte.
    peer_end: Option<i32>,
    /// Whether an event has come since the program has found nothing more.
    is_ready: bool,
    /// Whether the program does not read, although it has an event.
    is_lazy: bool,
    /// What was received and not read when it was deregistered.
    left: Option<Left>,
    is_registered: bool,
}

/// Byte `at` of a socket's stream: no two streams have the same.
fn byte(socket: usize, at: u64) -> u8 {
    (at.wrapping_mul(31) ^ (socket as u64).wrapping_mul(97) ^ at >> 5) as u8
}

struct World {
    random: Random,
    plan: Plan,
    kernel: Kernel,
    streams: Vec<Stream>,
    buffers: u16,
    next_fd: i32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let buffers = 1 << random.below(4);
        Self {
            plan: Plan::new(BUFFER_BYTES as u32, UNREAD_MAX),
            kernel: Kernel::new(buffers),
            streams: Vec::new(),
            buffers,
            next_fd: 3,
            random,
        }
    }

    fn open(&mut self, fd: i32) {
        let socket = self.kernel.sockets.len();
        self.kernel.sockets.push(Default::default());
        self.plan.add(fd, Token(socket as u32), Interest::READABLE, true).unwrap();
        self.streams.push(Stream {
            fd,
            socket,
            sent: 0,
            read: 0,
            end: None,
            peer_end: None,
            is_ready: false,
            is_lazy: false,
            left: None,
            is_registered: true,
        });
    }

    fn act(&mut self) {
        match self.random.below(16) {
            0 if self.streams.len() < 4 => {
                self.next_fd += 1;
                self.open(self.next_fd);
            }
            1..=4 => self.send(),
            5 if self.random.once_in(4) => self.end(),
            6 => self.with_stream(|stream, _| stream.is_lazy = !stream.is_lazy),
            7 => self.reregister(),
            8 if self.random.once_in(2) => self.move_out_or_in(),
            9 if self.random.once_in(6) => self.close(),
            10..=11 => self.wait(),
            12 => self.peek(),
            _ => {
                self.kernel.work(&mut self.random, false);
                self.read_ready();
            }
        }
        self.check();
    }

    fn with_stream(&mut self, call: impl FnOnce(&mut Stream, &mut Random)) {
        if !self.streams.is_empty() {
            let index = self.random.below(self.streams.len());
            call(&mut self.streams[index], &mut self.random);
        }
    }

    fn send(&mut self) {
        let kernel = &mut self.kernel;
        if self.streams.is_empty() {
            return;
        }
        let index = self.random.below(self.streams.len());
        let stream = &mut self.streams[index];
        if stream.peer_end.is_some() {
            return;
        }
        let most = if self.random.once_in(4) { 300 } else { 20 };
        let count = self.random.below(most) as u64 + 1;
        let bytes = (stream.sent..stream.sent + count).map(|at| byte(stream.socket, at));
        kernel.sockets[stream.socket].incoming.extend(bytes);
        stream.sent += count;
        kernel.arrive(stream.socket);
    }

    fn end(&mut self) {
        if self.streams.is_empty() {
            return;
        }
        let index = self.random.below(self.streams.len());
        let stream = &mut self.streams[index];
        if stream.peer_end.is_none() {
            let error = if self.random.once_in(2) { 0 } else { libc::ECONNRESET };
            stream.peer_end = Some(error);
            self.kernel.sockets[stream.socket].end = Some(error);
            self.kernel.arrive(stream.socket);
        }
    }

    fn reregister(&mut self) {
        let plan = &mut self.plan;
        if self.streams.is_empty() {
            return;
        }
        let index = self.random.below(self.streams.len());
        let stream = &self.streams[index];
        let token = Token(stream.socket as u32);
        assert_eq!(plan.change(stream.fd, token, Interest::READABLE), stream.is_registered);
    }

    /// Deregisters a stream as the owner does, or registers it again.
    fn move_out_or_in(&mut self) {
        if self.streams.is_empty() {
            return;
        }
        let index = self.random.below(self.streams.len());
        let (fd, socket) = (self.streams[index].fd, self.streams[index].socket);
        if self.streams[index].is_registered {
            self.plan.begin_leaving(fd);
            while !self.plan.has_stopped(fd) {
                self.submit();
                self.kernel.work(&mut self.random, false);
                while let Some(completion) = self.kernel.complete(&mut self.random) {
                    assert!(self.plan.complete(completion));
                }
            }
            assert!(!self.kernel.receives(socket), "nothing of it is in flight");
            let left = self.plan.remove(fd, &self.kernel.memory).unwrap();
            self.streams[index].left = Some(left);
            self.streams[index].is_registered = false;
        } else {
            let left = self.streams[index].left.take().unwrap();
            self.plan.add(fd, Token(socket as u32), Interest::READABLE, true).unwrap();
            self.plan.put_back(fd, &left);
            self.streams[index].is_registered = true;
        }
    }

    /// Closes a stream as another thread does; its descriptor is the next one's.
    fn close(&mut self) {
        if self.streams.is_empty() {
            return;
        }
        let index = self.random.below(self.streams.len());
        let stream = self.streams.remove(index);
        if stream.is_registered {
            self.plan.remove(stream.fd, &self.kernel.memory).unwrap();
        }
        self.open(stream.fd);
    }

    /// What the owner does at a wait, except that the kernel is slow.
    fn wait(&mut self) {
        self.plan.settle(&self.kernel.memory);
        self.submit();
        for _ in 0..self.random.below(12) {
            let Some(completion) = self.kernel.complete(&mut self.random) else { break };
            assert!(self.plan.complete(completion));
        }
        let mut events = [Event::default(); 2];
        let count = self.plan.take(&mut events);
        for event in &events[..count] {
            let socket = event.token().0 as usize;
            let stream = self.streams.iter_mut().find(|stream| stream.socket == socket);
            let stream = stream.unwrap_or_else(|| panic!("an event of a closed stream: {event:?}"));
            assert!(stream.is_registered, "an event of a stream that has left");
            stream.is_ready = true;
        }
    }

    fn submit(&mut self) {
        self.kernel.free.extend(self.plan.returned());
        let sockets: Vec<(i32, usize)> =
            self.streams.iter().map(|stream| (stream.fd, stream.socket)).collect();
        while let Some(step) = self.plan.next_step() {
            let socket_of = |fd| sockets.iter().find(|(own, _)| *own == fd).unwrap().1;
            self.kernel.submit(step, socket_of);
        }
    }

    fn read_ready(&mut self) {
        for index in 0..self.streams.len() {
            let stream = &self.streams[index];
            if stream.is_ready && !stream.is_lazy && stream.is_registered {
                self.read(index);
            }
        }
    }

    /// Reads as a reactor does: until a read is short.
    fn read(&mut self, index: usize) {
        loop {
            let room = self.random.below(60) + 1;
            let mut into = vec![0; room];
            let Stream { fd, socket, .. } = self.streams[index];
            let read = self.plan.read(fd, &self.kernel.memory, &mut into);
            let read = match read {
                Read::Directly => self.receive(fd, socket, &mut into),
                received => received,
            };
            let stream = &mut self.streams[index];
            match read {
                Read::Taken(count) => {
                    assert!(stream.end.is_none(), "nothing is behind the end");
                    for byte_read in &into[..count] {
                        assert_eq!(*byte_read, byte(socket, stream.read), "{stream:?}");
                        stream.read += 1;
                    }
                    if count < room && stream.peer_end.is_none() {
                        stream.is_ready = false;
                        return;
                    }
                }
                Read::Nothing | Read::Directly => {
                    stream.is_ready = false;
                    return;
                }
                Read::Ended | Read::Failed(_) => {
                    let errno = if let Read::Failed(errno) = read { errno } else { 0 };
                    assert_eq!(stream.read, stream.sent, "the end comes behind the last byte");
                    if stream.end.is_none() {
                        assert_eq!(Some(errno), stream.peer_end);
                    }
                    stream.end.get_or_insert(errno);
                    stream.is_ready = false;
                    return;
                }
            }
        }
    }

    /// `recv(2)`.
    fn receive(&mut self, fd: i32, socket: usize, into: &mut [u8]) -> Read {
        assert!(!self.kernel.receives(socket), "a receive in flight would take later bytes");
        let room = into.len();
        let Kernel { sockets, .. } = &mut self.kernel;
        let socket = &mut sockets[socket];
        let count = socket.incoming.len().min(room);
        for (place, byte) in into.iter_mut().zip(socket.incoming.drain(..count)) {
            *place = byte;
        }
        if count > 0 {
            self.plan.note_direct(fd, count, room);
            return Read::Taken(count);
        }
        match socket.end {
            None => Read::Nothing,
            Some(0) => Read::Ended,
            Some(errno) => {
                socket.end = Some(0);
                Read::Failed(errno)
            }
        }
    }

    fn peek(&mut self) {
        if self.streams.is_empty() {
            return;
        }
        let index = self.random.below(self.streams.len());
        let stream = &self.streams[index];
        let mut into = [0; 40];
        if let Read::Taken(count) = self.plan.peek(stream.fd, &self.kernel.memory, &mut into) {
            for (at, seen) in (stream.read..).zip(&into[..count]) {
                assert_eq!(*seen, byte(stream.socket, at));
            }
        }
    }

    fn check(&self) {
        let mut seen = vec![0; self.buffers.into()];
        let returned = self.plan.filled.returned.iter().copied();
        let all = self.kernel.free.iter().copied().chain(self.kernel.on_their_way());
        for id in all.chain(returned) {
            seen[usize::from(id)] += 1;
        }
        let mut own_bytes = 0;
        for source in self.plan.sources.iter().flatten() {
            own_bytes += source.inbox.own_bytes();
            // What was on its way when it was cancelled, and once more.
            let slack = BUFFER_BYTES * (usize::from(self.buffers) + 2);
            assert!(source.inbox.len() < UNREAD_MAX + slack, "it receives without end");
            for id in source.inbox.buffers(&self.plan.filled) {
                seen[usize::from(id)] += 1;
            }
        }
        assert!(seen.iter().all(|count| *count == 1), "buffers: {seen:?}");
        assert_eq!(own_bytes, self.plan.own_bytes());
    }

    /// Lets everything come to rest: then the program has read all that was sent.
    fn finish(&mut self) {
        for index in 0..self.streams.len() {
            self.streams[index].is_lazy = false;
            if !self.streams[index].is_registered {
                let left = self.streams[index].left.take().unwrap();
                let Stream { fd, socket, .. } = self.streams[index];
                self.plan.add(fd, Token(socket as u32), Interest::READABLE, true).unwrap();
                self.plan.put_back(fd, &left);
                self.streams[index].is_registered = true;
            }
        }
        let is_done = |one: &Stream| one.read == one.sent && one.end == one.peer_end;
        let mut rounds = 0;
        while rounds < ROUNDS_MAX && !self.streams.iter().all(is_done) {
            rounds += 1;
            self.wait();
            self.kernel.work(&mut self.random, true);
            self.read_ready();
            self.check();
        }
        for stream in &self.streams {
            assert_eq!(stream.read, stream.sent, "a stream has stalled: {stream:?}");
            assert_eq!(stream.end, stream.peer_end, "the end was not met: {stream:?}");
        }
    }
}

#[test]
fn whatever_the_kernel_does_every_byte_arrives_once() {
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.act();
            }
            world.finish();
        });
        assert!(result.is_ok(), "seed {seed}");
    }
}
