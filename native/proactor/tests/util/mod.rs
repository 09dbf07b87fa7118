//! A table of sources, and a proactor with memory for its completions.

#![allow(
    dead_code,
    unsafe_code,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "set-up; no test file uses all of it, and a failure here is the test's"
)]

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use denio_proactor::{
    Batching, Code, Completion, Inbox, Input, Kind, Lookup, Opened, Options, Output, Proactor,
    Request, Sources, Target, Unlent,
};

/// How long a test waits for what must come.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Sources by numbers.
#[derive(Default)]
pub struct Table {
    pub sources: HashMap<u64, (OwnedFd, Kind)>,
    /// Sources that another thread changes, once.
    pub busy: Vec<u64>,
    lent: usize,
    last: u64,
}

impl Table {
    pub fn add(&mut self, fd: impl Into<OwnedFd>, kind: Kind) -> u64 {
        // The first numbers are no handles.
        self.last = self.last.max(100) + 1;
        self.sources.insert(self.last, (fd.into(), kind));
        self.last
    }
}

// SAFETY: the sources are in the table until they are removed, which nobody does meanwhile.
unsafe impl Sources for Table {
    fn lend(&mut self, handle: u64) -> Result<(RawFd, Kind), Unlent> {
        if self.lent > 0 && self.busy.contains(&handle) {
            self.busy.retain(|busy| *busy != handle);
            return Err(Unlent::Busy);
        }
        let (fd, kind) = self.sources.get(&handle).ok_or(Unlent::Bad(libc::EBADF))?;
        self.lent += 1;
        Ok((fd.as_raw_fd(), *kind))
    }

    fn give_back(&mut self) {
        self.lent = 0;
    }

    fn remove(&mut self, handle: u64) -> Result<Option<OwnedFd>, i32> {
        assert_eq!(self.lent, 0, "a source is removed while others are lent");
        let (fd, kind) = self.sources.remove(&handle).ok_or(libc::EBADF)?;
        Ok((kind == Kind::File).then_some(fd))
    }
}

/// Reapers and targets by numbers.
#[derive(Default)]
pub struct Names {
    pub reapers: Vec<Arc<Inbox>>,
    pub proactors: Vec<Arc<Proactor>>,
    pub address: Option<SocketAddr>,
}

impl Lookup for Names {
    fn handle(&self, number: f64) -> u64 {
        number as u64
    }

    fn reaper(&self, number: f64) -> io::Result<Arc<Inbox>> {
        Ok(Arc::clone(&self.reapers[number as usize - 1]))
    }

    fn target(&self, number: f64) -> io::Result<Target> {
        Ok(self.proactors[number as usize].target())
    }

    fn address(&self, _bytes: &[u8]) -> io::Result<SocketAddr> {
        self.address.ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
    }
}

/// A completion with its bytes and what it opened.
#[derive(Debug)]
pub struct Ended {
    pub completion: Completion,
    pub bytes: Vec<u8>,
    pub opened: Option<Opened>,
}

impl Ended {
    pub fn token(&self) -> u32 {
        self.completion.token
    }

    pub fn result(&self) -> i32 {
        self.completion.result
    }

    pub fn is_more(&self) -> bool {
        self.completion.flags & Completion::MORE != 0
    }

    pub fn is_drained(&self) -> bool {
        self.completion.flags & Completion::DRAINED != 0
    }
}

/// A proactor that this thread owns, with its table.
pub struct Fixture {
    pub proactor: Arc<Proactor>,
    pub table: Table,
    pub names: Names,
    /// The most completions that one wait takes.
    pub capacity: usize,
    pub bytes: usize,
}

pub const OPTIONS: Options = Options {
    operations: 64,
    buffers: 0,
    buffer_bytes: 0,
    batching: Batching::Turn,
    kernel_thread_idle_ms: None,
};

impl Fixture {
    pub fn new(options: &Options) -> Self {
        Self {
            proactor: Arc::new(Proactor::open(options).unwrap()),
            table: Table::default(),
            names: Names::default(),
            capacity: 256,
            bytes: 65_536,
        }
    }

    pub fn try_submit(&mut self, requests: &[Request], bytes: &[u8]) -> io::Result<usize> {
        let input = Input { bytes, names: bytes };
        self.proactor.submit(requests, &input, &self.names, &mut self.table)
    }

    #[track_caller]
    pub fn submit(&mut self, requests: &[Request], bytes: &[u8]) {
        assert_eq!(self.try_submit(requests, bytes).unwrap(), requests.len());
    }

    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<Ended>> {
        take(self.capacity, self.bytes, |output| {
            self.proactor.wait(&mut self.table, output, timeout)
        })
    }

    /// Waits until `count` completions have come.
    #[track_caller]
    pub fn expect(&mut self, count: usize) -> Vec<Ended> {
        let mut ended = Vec::new();
        while ended.len() < count {
            let more = self.wait(Some(LIMIT)).unwrap();
            assert!(!more.is_empty(), "only {} of {count}: {ended:?}", ended.len());
            ended.extend(more);
        }
        assert_eq!(ended.len(), count, "{ended:?}");
        ended
    }

    #[track_caller]
    pub fn expect_one(&mut self) -> Ended {
        self.expect(1).pop().unwrap()
    }

    /// That no completion is there.
    #[track_caller]
    pub fn expect_none(&mut self) {
        let ended = self.wait(Some(Duration::ZERO)).unwrap();
        assert!(ended.is_empty(), "{ended:?}");
    }
}

/// Takes completions of a reaper.
pub fn reap(inbox: &Inbox, timeout: Option<Duration>) -> io::Result<Vec<Ended>> {
    take(256, 65_536, |output| inbox.wait(output, timeout))
}

fn take(
    capacity: usize,
    bytes: usize,
    call: impl FnOnce(&mut Output<'_>) -> io::Result<usize>,
) -> io::Result<Vec<Ended>> {
    let mut completions = vec![Completion::default(); capacity];
    let mut bytes = vec![0; bytes];
    let mut opened = Vec::new();
    let mut store = |found| {
        opened.push(Some(found));
        Ok(opened.len() as f64)
    };
    let count = call(&mut Output::new(&mut completions, &mut bytes, &mut store))?;
    let ended = completions[..count].iter().map(|completion| Ended {
        completion: *completion,
        bytes: bytes[completion.start as usize..completion.end as usize].to_vec(),
        opened: (completion.value > 0.0)
            .then(|| opened[completion.value as usize - 1].take().unwrap()),
    });
    Ok(ended.collect())
}

pub fn request(code: Code, token: u32) -> Request {
    Request { code: code as u32, token, offset: -1.0, other_offset: -1.0, ..Request::default() }
}

pub fn on(code: Code, token: u32, source: u64) -> Request {
    Request { source: source as f64, ..request(code, token) }
}

pub fn timeout(token: u32, ms: f64) -> Request {
    Request { offset: ms, ..request(Code::Timeout, token) }
}

pub fn receive(token: u32, source: u64, length: usize) -> Request {
    Request { end: length as u32, ..on(Code::Receive, token, source) }
}

pub fn send(token: u32, source: u64, start: usize, end: usize) -> Request {
    Request { start: start as u32, end: end as u32, ..on(Code::Send, token, source) }
}

/// The reading and the writing end of a pipe.
pub fn pipe() -> (OwnedFd, std::fs::File) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    (reader, writer.into())
}
