//! Operations that are given up keep their memory until the kernel is done with them.
//!
//! Each test leaves a thousand operations in flight, and then has the memory that they had
//! used again: by blocks of the same sizes, full of one byte. Then peers send what the
//! operations wait for. A kernel that still wrote to that memory would change the blocks.
//! AddressSanitizer cannot see the kernel's writes; it sees those of this crate.

#![cfg(target_os = "linux")]
#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failure here is the test's"
)]

mod util;

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use denio_proactor::{Code, Kind, Options, Request, buried};
use util::{Fixture, LIMIT, OPTIONS, on, receive, send, timeout};

const IN_FLIGHT: u32 = 1000;
const BYTES: usize = 96;
/// `struct statx`, a path of one character, and a NUL byte.
const STAT_BYTES: usize = 256 + 2;
const CANARY: u8 = 0xA5;

/// Operations that wait for something, and what makes it happen.
struct Waiting {
    fixture: Fixture,
    peers: Vec<Peer>,
}

/// The other end of a source.
enum Peer {
    Stream(UnixStream),
    Pipe(File),
    Client(std::net::SocketAddr),
}

impl Peer {
    /// Does what the operations wait for.
    fn act(&mut self) {
        match self {
            // The operations may have ended, and the socket with them.
            Self::Stream(stream) => drop(stream.write(&[1; 64 * 1024])),
            Self::Pipe(pipe) => drop(pipe.write(&[1; 4096])),
            Self::Client(address) => drop(TcpStream::connect(*address)),
        }
    }
}

const KINDS: [Code; 9] = [
    Code::Stat,
    Code::Receive,
    Code::ReceiveMulti,
    Code::Accept,
    Code::Poll,
    Code::Read,
    Code::Send,
    Code::Splice,
    Code::Timeout,
];

/// Opens a proactor with a thousand operations of one kind in flight.
fn waiting(code: Code) -> Waiting {
    let options =
        Options { operations: IN_FLIGHT, buffers: 256, buffer_bytes: BYTES as u32, ..OPTIONS };
    let mut fixture = Fixture::new(&options);
    let mut peers = Vec::new();
    let stream = |fixture: &mut Fixture, peers: &mut Vec<Peer>| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        ours.set_nonblocking(true).unwrap();
        if code == Code::Send {
            while (&ours).write(&[0; 65_536]).is_ok() {}
        }
        peers.push(Peer::Stream(theirs));
        fixture.table.add(ours, Kind::Unix)
    };
    let source = match code {
        Code::Accept => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            peers.push(Peer::Client(listener.local_addr().unwrap()));
            fixture.table.add(listener, Kind::Tcp)
        }
        Code::Read => {
            let (reader, writer) = util::pipe();
            peers.push(Peer::Pipe(writer));
            fixture.table.add(reader, Kind::Other)
        }
        _ => stream(&mut fixture, &mut peers),
    };
    let (_, full) = util::pipe();
    let full = fixture.table.add(full, Kind::Other);
    let request = |token| match code {
        Code::Receive => receive(token, source, BYTES),
        Code::Send => send(token, source, 0, BYTES),
        Code::Read => Request { end: BYTES as u32, ..on(code, token, source) },
        Code::Poll => Request { argument: 1, ..on(code, token, source) },
        Code::Splice => Request { other: full as f64, end: 64, ..on(code, token, source) },
        Code::Stat => Request { end: 1, flags: Request::NAMED, ..on(code, token, 0) },
        Code::Timeout => timeout(token, 3_600_000.0),
        code => on(code, token, source),
    };
    let requests: Vec<_> = (0..IN_FLIGHT).map(request).collect();
    fixture.submit(&requests, &[b'/'; BYTES]);
    fixture.proactor.flush(&mut fixture.table).unwrap();
    Waiting { fixture, peers }
}

/// Blocks of the sizes that operations and buffers have had.
fn blocks() -> Vec<Vec<u8>> {
    let sizes = [(STAT_BYTES, 1_500), (BYTES, 1_500), (16, 1_500), (256 * BYTES, 20)];
    sizes.iter().flat_map(|(size, count)| (0..*count).map(|_| vec![CANARY; *size])).collect()
}

/// Has the peers act, and checks that nothing was written to memory that is others' now.
#[track_caller]
fn expect_untouched(code: Code, peers: &mut [Peer]) {
    let blocks = blocks();
    peers.iter_mut().for_each(Peer::act);
    let begin = Instant::now();
    while buried() > 0 {
        assert!(begin.elapsed() < LIMIT, "the kernel is not done with {code:?}");
        thread::yield_now();
    }
    let more = self::blocks();
    peers.iter_mut().for_each(Peer::act);
    for block in blocks.iter().chain(&more) {
        assert!(block.iter().all(|byte| *byte == CANARY), "the kernel wrote for {code:?}");
    }
}

#[test]
fn a_proactor_that_its_owner_closes() {
    for code in KINDS {
        let Waiting { fixture, mut peers } = waiting(code);
        drop(fixture);
        expect_untouched(code, &mut peers);
    }
}

#[test]
fn a_proactor_whose_owner_has_ended() {
    for code in KINDS {
        let Waiting { fixture, mut peers } = thread::spawn(move || waiting(code)).join().unwrap();
        drop(fixture);
        expect_untouched(code, &mut peers);
    }
}

#[test]
fn a_proactor_that_another_thread_closes_while_its_owner_computes() {
    for code in KINDS {
        let (sender, receiver) = mpsc::channel();
        let (done, is_done) = mpsc::channel::<()>();
        let owner = thread::spawn(move || {
            sender.send(waiting(code)).unwrap();
            // Without a system call, as a program in an endless loop.
            while is_done.try_recv() == Err(mpsc::TryRecvError::Empty) {
                std::hint::spin_loop();
            }
        });
        let Waiting { fixture, mut peers } = receiver.recv().unwrap();
        drop(fixture);
        expect_untouched(code, &mut peers);
        done.send(()).unwrap();
        owner.join().unwrap();
    }
}

/// Bytes of a read that takes the kernel milliseconds, and that no cancel ends: it makes the
/// bytes first, and writes all of them at its end.
const SLOW_BYTES: usize = 100_000;
const SLOW_READS: u32 = 64;

fn slow_reads() -> Fixture {
    let mut fixture = Fixture::new(&OPTIONS);
    let file = std::fs::File::open("/proc/kallsyms").unwrap();
    let file = fixture.table.add(file, Kind::File);
    let read =
        |token| Request { end: SLOW_BYTES as u32, offset: 0.0, ..on(Code::Read, token, file) };
    let requests: Vec<_> = (0..SLOW_READS).map(read).collect();
    fixture.submit(&requests, &[]);
    fixture.proactor.flush(&mut fixture.table).unwrap();
    fixture
}

#[test]
fn reads_that_go_on_when_their_proactor_is_closed() {
    for is_owner in [true, false] {
        for _ in 0..8 {
            let fixture =
                if is_owner { slow_reads() } else { thread::spawn(slow_reads).join().unwrap() };
            drop(fixture);
            let blocks: Vec<_> = (0..SLOW_READS).map(|_| vec![CANARY; SLOW_BYTES]).collect();
            while buried() > 0 {
                thread::yield_now();
            }
            // What the kernel has begun, it has ended by then.
            thread::sleep(std::time::Duration::from_millis(20));
            let is_intact = |block: &Vec<u8>| block.iter().all(|byte| *byte == CANARY);
            assert!(blocks.iter().all(is_intact), "the kernel wrote to freed memory");
        }
    }
}

#[test]
fn a_connection_that_was_accepted_and_not_handed_over_is_closed() {
    let mut fixture = Fixture::new(&OPTIONS);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = fixture.table.add(listener, Kind::Tcp);
    fixture.submit(&[on(Code::AcceptMulti, 1, listener)], &[]);
    fixture.proactor.flush(&mut fixture.table).unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    // It is accepted, or waits in the listener: both end.
    drop(fixture);
    let read = std::io::Read::read(&mut client, &mut [0]);
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let is_late = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!is_late, "the connection stays open");
}

/// The environment variable by which a test starts itself as a child.
const CHILD: &str = "DENIO_PROACTOR_CHILD";

/// Ends the process while operations are in flight, as a child of the next test does.
#[test]
fn child() {
    let Ok(way) = std::env::var(CHILD) else { return };
    let waiting: Vec<_> = KINDS.into_iter().map(waiting).collect();
    match way.as_str() {
        "exit" => std::process::exit(0),
        "exec" => {
            let error = std::os::unix::process::CommandExt::exec(&mut Command::new("true"));
            panic!("{error}");
        }
        "thread" => {
            thread::spawn(move || {
                let _waiting = waiting;
                std::process::exit(0);
            });
            loop {
                thread::park();
            }
        }
        way => panic!("{way}"),
    }
}

#[test]
fn a_process_ends_with_operations_in_flight() {
    for way in ["exit", "exec", "thread"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let status = command.args(["--exact", "child"]).env(CHILD, way).status().unwrap();
        assert!(status.success(), "{way}: {status}");
    }
}

#[test]
fn a_process_that_is_started_meanwhile_has_nothing_of_the_ring() {
    let mut all = waiting(Code::Receive);
    let listing = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    let text = String::from_utf8(listing.stdout).unwrap();
    assert!(!text.contains("io_uring") && !text.contains("eventfd"), "{text}");
    // The operations go on.
    all.peers.iter_mut().for_each(Peer::act);
    let ended = all.fixture.wait(Some(LIMIT)).unwrap();
    assert!(!ended.is_empty() && ended.iter().all(|ended| ended.bytes == [1; BYTES]));
}
