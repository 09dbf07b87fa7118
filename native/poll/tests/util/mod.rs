//! What the integration tests share: being alone, waiting with a deadline, connected pairs.
//!
//! Nothing here sleeps. Readiness is waited for up to [`DEADLINE`]; only for the absence of an
//! event a test waits [`QUIET`].

#![allow(
    dead_code,
    unsafe_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "set-up; no test file uses all of it, and a failure here is the test's"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use denio_poll::{
    Backend, Event, Interest, PipeReader, PipeWriter, Poll, Source, TcpListener, TcpStream, Token,
    UnixStream,
};

/// The time after which a wait of a test fails. Only a bug reaches it.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// How long a test waits for an event that must not come.
pub const QUIET: Duration = Duration::from_millis(5);

pub const READABLE: Interest = Interest::READABLE;
pub const WRITABLE: Interest = Interest::WRITABLE;

/// Runs the test alone in its process, and compares the descriptors at its end with those at its
/// start. A test makes it first, so that it is dropped last.
#[derive(Debug)]
pub struct Alone {
    descriptors: BTreeSet<RawFd>,
    _turn: MutexGuard<'static, ()>,
}

/// Begins a test that opens descriptors.
pub fn alone() -> Alone {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // The thread that waits for parked polls stays, and its descriptors with it.
    drop(denio_poll::Parker::new(std::sync::Arc::new(denio_poll::Poll::new().unwrap())).unwrap());
    Alone { descriptors: descriptors(), _turn: turn }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // A thread that waits for one emulated poll ends a moment after it.
            let deadline = Instant::now() + DEADLINE;
            while descriptors() != self.descriptors && Instant::now() < deadline {
                std::thread::yield_now();
            }
            assert_eq!(descriptors(), self.descriptors, "descriptors leaked");
        }
    }
}

/// The descriptors that are open now.
pub fn descriptors() -> BTreeSet<RawFd> {
    let listed: Vec<RawFd> = std::fs::read_dir("/dev/fd")
        .expect("/dev/fd can be listed")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // The listing's own descriptor is closed by now.
    listed.into_iter().filter(|fd| descriptor_flags(*fd).is_some()).collect()
}

/// Whether every descriptor that is not in `before` is closed on exec.
pub fn new_ones_are_close_on_exec(before: &BTreeSet<RawFd>) -> bool {
    descriptors()
        .difference(before)
        .all(|fd| descriptor_flags(*fd).is_some_and(|flags| flags & libc::FD_CLOEXEC != 0))
}

fn descriptor_flags(fd: RawFd) -> Option<i32> {
    // SAFETY: takes no pointer; a closed descriptor is an error.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    (flags >= 0).then_some(flags)
}

/// A poll of the backend that `DENIO_BACKEND` names, else of the system's best.
#[track_caller]
pub fn poll() -> Poll {
    let Ok(name) = std::env::var("DENIO_BACKEND") else { return Poll::new().expect("poll opens") };
    let backend = Backend::ALL.into_iter().find(|backend| backend.name() == name);
    Poll::with_backend(backend.expect("DENIO_BACKEND names a backend")).expect("poll opens")
}

/// Whether the backend sees edges itself. Emulated edges come again after a read that leaves data,
/// never for a source that the program does not touch, and need no descriptor for a waker.
pub fn sees_edges(poll: &Poll) -> bool {
    matches!(poll.backend(), Backend::Epoll | Backend::Kqueue | Backend::IoUring)
}

/// Prints why a test proves nothing here, past the harness, which hides the output of tests that
/// pass.
pub fn skip(reason: &str) {
    writeln!(io::stderr(), "skipped: {reason}").expect("stderr is open");
}

/// The errno of a call that must have failed.
#[track_caller]
pub fn errno<T: Debug>(result: io::Result<T>) -> i32 {
    let error = result.expect_err("this fails");
    error.raw_os_error().expect("an error of the system")
}

/// Calls until the result is no `EAGAIN`, or the deadline is over.
#[track_caller]
pub fn eventually<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                assert!(Instant::now() < end, "still blocked at the deadline");
                std::thread::yield_now();
            }
            done => return done,
        }
    }
}

/// Tokens, and the bits that a test expects for each.
pub type Expected = (Token, u32);

/// Waits until every expected bit has come, in one event or in several, and returns all bits by
/// token. Another token fails the test.
#[track_caller]
pub fn expect_events(poll: &Poll, expected: &[Expected]) -> BTreeMap<Token, u32> {
    let end = Instant::now() + DEADLINE;
    let mut seen: BTreeMap<Token, u32> = BTreeMap::new();
    let came = |seen: &BTreeMap<Token, u32>| {
        expected.iter().all(|(token, bits)| seen.get(token).is_some_and(|is| is & bits == *bits))
    };
    while !came(&seen) {
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "expected {expected:?}, saw {seen:?} until the deadline");
        for event in batch(poll, left) {
            let token = event.token();
            assert!(
                expected.iter().any(|(expected, _)| *expected == token),
                "an event that the test does not expect: {event:?}"
            );
            *seen.entry(token).or_default() |= event.readiness();
        }
    }
    seen
}

/// Waits for one token's bits and returns them with all bits that came along.
#[track_caller]
pub fn expect_event(poll: &Poll, token: Token, bits: u32) -> u32 {
    expect_events(poll, &[(token, bits)])[&token]
}

/// Waits [`QUIET`], and fails on any event.
#[track_caller]
pub fn expect_silence(poll: &Poll) {
    let events = batch(poll, QUIET);
    assert!(events.is_empty(), "events where there should be none: {events:?}");
}

fn batch(poll: &Poll, timeout: Duration) -> Vec<Event> {
    let mut events = [Event::default(); 64];
    let count = poll.poll(&mut events, Some(timeout)).expect("poll works");
    events[..count].to_vec()
}

/// 127.0.0.1 with a port of the system's choice.
pub fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A listener on its own port, with its address.
pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(loopback(), &Default::default()).expect("bind works");
    let address = listener.local_address().expect("it has an address");
    (listener, address)
}

/// An address where no program listens.
pub fn unused_address() -> SocketAddr {
    listener().1
}

/// Two connected streams: the client, and the accepted stream.
pub fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    let client = TcpStream::connect(address).expect("connect works");
    let server = eventually(|| listener.accept()).expect("accept works");
    (client, server)
}

/// A stream registered as `token`, with its peer, and its first writable event taken.
pub fn registered_pair(poll: &Poll, token: Token, interest: Interest) -> (TcpStream, TcpStream) {
    let (stream, peer) = pair();
    poll.registry().register(&stream, token, interest).expect("register works");
    if interest.is_writable() {
        expect_event(poll, token, Event::WRITABLE);
    }
    (stream, peer)
}

/// A source to read from.
pub trait Reads {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A source to write to.
pub trait Writes {
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
}

macro_rules! bytes_go {
    (from $($reads:ident),*; to $($writes:ident),*) => {
        $(impl Reads for $reads {
            fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.read(buffer)
            }
        })*
        $(impl Writes for $writes {
            fn write(&self, bytes: &[u8]) -> io::Result<usize> {
                self.write(bytes)
            }
        })*
    };
}

bytes_go!(from TcpStream, UnixStream, PipeReader; to TcpStream, UnixStream, PipeWriter);

/// Writes all of it, waiting for room where there is none.
#[track_caller]
pub fn write_all(stream: &impl Writes, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = eventually(|| stream.write(bytes)).expect("write works");
        bytes = &bytes[count..];
    }
}

/// Reads exactly `wanted` bytes, waiting for them.
#[track_caller]
pub fn read_exact(stream: &impl Reads, wanted: usize) -> Vec<u8> {
    let mut bytes = vec![0; wanted];
    let mut filled = 0;
    while filled < wanted {
        let count = eventually(|| stream.read(&mut bytes[filled..])).expect("read works");
        assert_ne!(count, 0, "the stream ended after {filled} of {wanted} bytes");
        filled += count;
    }
    bytes
}

/// Reads until nothing is left now, and returns what there was and whether the stream ended.
pub fn drain(stream: &impl Reads) -> (Vec<u8>, bool) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (bytes, true),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (bytes, false),
            Err(error) => panic!("read fails after {} bytes: {error}", bytes.len()),
        }
    }
}

/// Writes until there is no room, and returns how much there was.
pub fn fill(stream: &impl Writes) -> usize {
    let (bytes, mut written) = ([b'x'; 65_536], 0);
    loop {
        match stream.write(&bytes) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return written,
            Err(error) => panic!("write fails after {written} bytes: {error}"),
        }
    }
}

/// Writes until there is no room and none will come: the system may move bytes to the peer's side
/// later, where room is left. After this the poll is silent.
pub fn fill_up(stream: &impl Writes, poll: &Poll) {
    fill(stream);
    while !batch(poll, QUIET).is_empty() {
        fill(stream);
    }
}

/// Sends megabytes, reading and writing on readiness alone as a server does, so that a lost edge
/// hangs the test.
#[track_caller]
pub fn expect_megabytes_on_edges<W: Writes + Source, R: Reads + Source>(source: &W, sink: &R) {
    let poll = poll();
    let (writes, reads) = (Token(1), Token(2));
    poll.registry().register(source, writes, WRITABLE).expect("register works");
    poll.registry().register(sink, reads, READABLE).expect("register works");
    let sent: Vec<u8> = (0..16 << 20).map(|at| (at % 251) as u8).collect();
    let (mut written, mut received) = (0, Vec::with_capacity(sent.len()));
    while received.len() < sent.len() {
        let events = batch(&poll, DEADLINE);
        assert!(!events.is_empty(), "stuck at {written} written, {} read", received.len());
        for event in events {
            if event.token() == reads {
                received.extend(drain(sink).0);
            }
            while event.token() == writes && written < sent.len() {
                let Ok(count) = source.write(&sent[written..]) else { break };
                written += count;
            }
        }
    }
    assert!(received == sent, "other bytes came than were sent");
}

/// Runs `call` with the default action of `SIGPIPE`, which would end the test.
pub fn with_deadly_sigpipe<T>(call: impl FnOnce() -> T) -> T {
    // Rust ignores SIGPIPE at start. Deno might not.
    // SAFETY: sets no handler, only the default action.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let result = call();
    // SAFETY: as before.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    result
}

/// Runs `wait` on a thread of its own and sends it signals until it returns.
pub fn interrupted<T: Send>(wait: impl FnOnce() -> T + Send) -> T {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: zeroes are a valid sigaction: no flags (so calls are interrupted), empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    // SAFETY: the handler does nothing, which any thread may do at any time.
    let set = unsafe { libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()) };
    assert_eq!(set, 0, "a handler can be set");
    let end = Instant::now() + DEADLINE;
    std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = scope.spawn(move || {
            // SAFETY: takes no pointer.
            let id = unsafe { libc::pthread_self() };
            sender.send(id as usize).expect("the other end waits");
            wait()
        });
        let id = receiver.recv().expect("the thread sends its id") as libc::pthread_t;
        while !thread.is_finished() {
            assert!(Instant::now() < end, "not interrupted until the deadline");
            // SAFETY: the thread is not joined yet, so its id is still good.
            unsafe { libc::pthread_kill(id, libc::SIGUSR1) };
            std::thread::yield_now();
        }
        thread.join().expect("the thread does not panic")
    })
}
