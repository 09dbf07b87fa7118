//! Streams that several threads open, use and close at random: a read returns bytes of
//! the peer or an error, also while another thread closes the handle.
//!
//! Each end of a pair writes one byte over and over, its mark. Handles are reused here thousands
//! of times, and their descriptors as often, so a call that met the next owner of either would read
//! another mark, or would find a closed handle open.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failure here is the test's"
)]

mod util;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use denio::ffi::*;
use denio_poll::SocketOption;
use util::abi::{self, handle};
use util::{Random, alone};

const SEEDS: [u64; 2] = [1, 0xC0FFEE];
const THREADS: usize = 4;
/// Steps of each thread for each seed, about half a second in all.
const STEPS_EACH: usize = 8_000;
/// Ends that may be open at once: below the 256 descriptors that macOS gives a process.
const OPEN_MAX: usize = 80;
const BUFFER_BYTES: usize = 4096;

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
struct End {
    handle: f64,
    writes: u8,
    reads: u8,
}

/// What all threads share.
#[derive(Debug, Default)]
struct Ends {
    /// No thread has begun to close these.
    open: Vec<End>,
    /// Closing these is over, in this order.
    closed: Vec<f64>,
    /// The place of each in that order.
    closed_at: HashMap<u32, usize>,
    pairs: u8,
}

struct Talker<'e> {
    ends: &'e Mutex<Ends>,
    random: Random,
    poll: f64,
    /// What this thread has registered at its poll: tokens are made of the handles.
    registered: HashSet<u32>,
    buffer: [u8; BUFFER_BYTES],
}

impl Talker<'_> {
    fn run(mut self, steps: usize) {
        for _ in 0..steps {
            match self.random.below(32) {
                0 => self.open(),
                1 | 2 => self.close(),
                3 => self.call_closed(),
                4 | 5 => self.register(),
                6 => self.wait(),
                7 => self.configure(),
                8..16 => self.write(),
                _ => self.read(),
            }
        }
        assert_eq!(denio_source_close(self.poll), 0);
    }

    fn open(&mut self) {
        let pair = {
            let mut ends = self.ends.lock().unwrap();
            if ends.open.len() + 2 > OPEN_MAX {
                return;
            }
            // Two marks a pair, and neighbours differ.
            ends.pairs = (ends.pairs + 1) % 128;
            ends.pairs
        };
        let listener = handle(abi::bind(&abi::encode(util::loopback()), 4, 0));
        let address = abi::local_address(listener).unwrap();
        let client = handle(abi::connect(&address));
        let server = abi::accept_one(listener);
        assert_eq!(denio_source_close(listener), 0);
        // A port that a reset has closed is free at once.
        assert_eq!(denio_source_set_option(client, SocketOption::Linger as u32, 1), 0);
        let (here, there) = (2 * pair, 2 * pair + 1);
        let mut ends = self.ends.lock().unwrap();
        ends.open.push(End { handle: client, writes: here, reads: there });
        ends.open.push(End { handle: server, writes: there, reads: here });
    }

    /// An end that is open now, and may be closed when it is used.
    fn end(&mut self) -> Option<End> {
        let ends = self.ends.lock().unwrap();
        (!ends.open.is_empty()).then(|| self.random.pick(&ends.open))
    }

    fn close(&mut self) {
        let closing = {
            let mut ends = self.ends.lock().unwrap();
            if ends.open.is_empty() {
                return;
            }
            let place = self.random.below(ends.open.len());
            ends.open.swap_remove(place).handle
        };
        assert_eq!(denio_source_close(closing), 0);
        let mut ends = self.ends.lock().unwrap();
        let place = ends.closed.len();
        ends.closed.push(closing);
        ends.closed_at.insert(token(closing), place);
    }

    fn read(&mut self) {
        let Some(end) = self.end() else { return };
        self.buffer.fill(!end.reads);
        let length = self.random.pick(&[1, 64, BUFFER_BYTES]);
        let answer = abi::read(end.handle, &mut self.buffer[..length]);
        let count = answer.max(0) as usize;
        let (read, rest) = self.buffer.split_at(count);
        assert!(read.iter().all(|byte| *byte == end.reads), "{end:?} reads {read:?}");
        assert!(rest.iter().all(|byte| *byte == !end.reads), "{end:?} writes past its {count}");
        self.allow(end, answer, &[libc::EAGAIN, libc::ECONNRESET]);
    }

    fn write(&mut self) {
        let Some(end) = self.end() else { return };
        let length = self.random.pick(&[1, 64, BUFFER_BYTES]);
        self.buffer.fill(end.writes);
        let answer = abi::write(end.handle, &self.buffer[..length]);
        self.allow(end, answer, &[libc::EAGAIN, libc::ECONNRESET, libc::EPIPE]);
    }

    /// An open handle may answer with a count or these errors, and only a closed one is bad.
    fn allow(&self, end: End, answer: i32, errors: &[i32]) {
        if answer == -libc::EBADF {
            let ends = self.ends.lock().unwrap();
            let open = ends.open.iter().any(|open| open.handle == end.handle);
            assert!(!open, "{end:?} is open, and bad");
        } else {
            assert!(answer >= 0 || errors.contains(&-answer), "{end:?} answers {answer}");
        }
    }

    /// Closed handles stay bad, also when their slot has another object.
    fn call_closed(&mut self) {
        let closed = {
            let ends = self.ends.lock().unwrap();
            if ends.closed.is_empty() {
                return;
            }
            self.random.pick(&ends.closed)
        };
        assert_eq!(abi::read(closed, &mut self.buffer), -libc::EBADF);
        assert_eq!(abi::write(closed, b"?"), -libc::EBADF);
        assert_eq!(denio_registry_deregister(self.poll, closed), -libc::EBADF);
        assert_eq!(denio_source_close(closed), -libc::EBADF);
    }

    fn register(&mut self) {
        let Some(end) = self.end() else { return };
        let interest = self.random.pick(&[1, 2, 3]);
        let answer = match self.random.below(4) {
            0 => denio_registry_deregister(self.poll, end.handle),
            1 => denio_registry_reregister(self.poll, end.handle, token(end.handle), interest, 0),
            _ => denio_registry_register(self.poll, end.handle, token(end.handle), interest, 0),
        };
        if answer == 0 {
            self.registered.insert(token(end.handle));
        }
        // Other threads register the same ends at polls of their own.
        self.allow(end, answer, &[libc::EEXIST, libc::ENOENT]);
    }

    /// Events are of what this thread has registered, and of nothing closed before the wait.
    fn wait(&mut self) {
        let closed = self.ends.lock().unwrap().closed.len();
        let mut out = [0; CLOCK_WORDS + 2 * OPEN_MAX];
        let count = abi::wait(self.poll, &mut out, 0);
        assert!(count >= 0, "wait answers {count}");
        let ends = self.ends.lock().unwrap();
        for event in out[CLOCK_WORDS..].chunks(2).take(count as usize) {
            assert!(self.registered.contains(&event[0]), "an event of a stranger: {event:?}");
            let at = ends.closed_at.get(&event[0]);
            assert!(at.is_none_or(|at| *at >= closed), "an event of the closed: {event:?}");
        }
    }

    fn configure(&mut self) {
        let Some(end) = self.end() else { return };
        let answer = match self.random.below(4) {
            0 => denio_source_set_option(end.handle, SocketOption::Nodelay as u32, 1),
            1 => denio_source_option(end.handle, SocketOption::Nodelay as u32),
            2 => denio_source_take_error(end.handle),
            _ => abi::peer_address(end.handle).map_or_else(|errno| errno, |_| 0),
        };
        self.allow(end, answer, &[libc::ENOTCONN, libc::ECONNRESET, libc::EINVAL]);
    }
}

/// A token for a handle: its slot, and what is left of its generation.
fn token(handle: f64) -> u32 {
    handle as u64 as u32
}

/// A poll of one of the backends that this machine has.
fn poll(number: usize) -> f64 {
    let available: Vec<u32> =
        (1..32).filter(|backend| denio_poll_backends() & 1 << backend != 0).collect();
    handle(denio_poll_new(available[number % available.len()]))
}

#[test]
fn streams_receive_only_from_their_peer_while_others_open_and_close() {
    let _alone = alone();
    let steps = util::fuzz_calls(STEPS_EACH);
    for seed in SEEDS {
        let ends = Mutex::new(Ends::default());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let talker = Talker {
                    ends: &ends,
                    random: Random(seed.wrapping_mul(31).wrapping_add(thread as u64)),
                    poll: poll(thread),
                    registered: HashSet::new(),
                    buffer: [0; BUFFER_BYTES],
                };
                scope.spawn(move || talker.run(steps));
            }
        });
        let ends = ends.into_inner().unwrap();
        ends.open.iter().for_each(|end| assert_eq!(denio_source_close(end.handle), 0));
    }
}
