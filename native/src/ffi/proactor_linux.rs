//! The proactors and reapers behind the functions of the ABI.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use denio_poll::{TcpStream, UnixStream};
use denio_proactor::{
    Batching, Cancel, Code, Completion, Held, HeldInbox, Inbox, Input, Kind, Lookup, Opened,
    Options, Output, Proactor, Request, Sources, Target, Unlent,
};

use super::address::decode_address;
use super::answer::invalid;
use super::handle::{decode, encode, with};
use super::proactor::PROACTOR_STATS;
use crate::source_table::{self, Lent, Object};

pub fn open(
    operations: u32,
    buffers: u32,
    buffer_bytes: u32,
    (batching, value): (u32, f64),
    kernel_thread_idle_ms: u32,
) -> io::Result<Object> {
    let batching = match batching {
        0 => Batching::Turn,
        1 => Batching::Count(value as usize),
        2 => {
            let delay = Duration::try_from_secs_f64(value / 1e3);
            Batching::Delay(delay.map_err(|_| invalid())?)
        }
        _ => return Err(invalid()),
    };
    let options = Options {
        operations,
        buffers: u16::try_from(buffers).map_err(|_| invalid())?,
        buffer_bytes,
        batching,
        kernel_thread_idle_ms: (kernel_thread_idle_ms > 0).then_some(kernel_thread_idle_ms),
    };
    Ok(Object::Proactor(Held(Arc::new(Proactor::open(&options)?))))
}

pub fn supports(proactor: f64, code: Code) -> io::Result<bool> {
    Ok(shared_proactor(proactor)?.supports(code))
}

pub fn submit(
    proactor: f64,
    requests: &[Request],
    bytes: &[u8],
    names: &[u8],
) -> io::Result<usize> {
    let proactor = shared_proactor(proactor)?;
    proactor.submit(requests, &Input { bytes, names }, &Table, &mut Loan::default())
}

pub fn cancel(proactor: f64, which: f64, by_source: bool) -> io::Result<usize> {
    let which = match (by_source, decode(which)) {
        // A closed object's handle, which operations without a source have, too.
        (true, 0) => return Err(io::Error::from_raw_os_error(libc::EBADF)),
        (true, source) => Cancel::Source(source),
        (false, _) => Cancel::Token(which as u32),
    };
    shared_proactor(proactor)?.cancel(which)
}

pub fn flush(proactor: f64) -> io::Result<()> {
    shared_proactor(proactor)?.flush(&mut Loan::default())
}

pub fn wait(
    proactor: f64,
    completions: &mut [Completion],
    bytes: &mut [u8],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    // The wait does not hold the handle: another thread must be able to close it.
    let proactor = shared_proactor(proactor)?;
    let mut store = store;
    let mut output = Output::new(completions, bytes, &mut store);
    proactor.wait(&mut Loan::default(), &mut output, timeout)
}

pub fn descriptor(proactor: f64) -> io::Result<i32> {
    Ok(shared_proactor(proactor)?.descriptor()?.into_raw_fd())
}

/// The eventfd of a proactor or a reaper.
pub fn signal_of(waiter: f64) -> io::Result<OwnedFd> {
    match shared_proactor(waiter) {
        Ok(proactor) => proactor.descriptor(),
        Err(_) => shared_reaper(waiter)?.descriptor(),
    }
}

pub fn park(proactor: f64) -> io::Result<bool> {
    shared_proactor(proactor)?.park(&mut Loan::default())
}

pub fn unpark(proactor: f64) -> io::Result<()> {
    shared_proactor(proactor)?.unpark()
}

pub fn stats(proactor: f64) -> io::Result<[u64; PROACTOR_STATS]> {
    let stats = shared_proactor(proactor)?.stats();
    Ok([
        stats.enters,
        stats.submitted,
        stats.waits,
        stats.completions,
        stats.in_flight,
        stats.refused,
        stats.drains,
        stats.wakes,
        stats.completions_max,
        stats.overflows,
    ])
}

pub fn reaper(proactor: f64, operations: u32) -> io::Result<Object> {
    Ok(Object::Reaper(HeldInbox(shared_proactor(proactor)?.reaper(operations)?)))
}

pub fn reap(
    reaper: f64,
    completions: &mut [Completion],
    bytes: &mut [u8],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    let reaper = shared_reaper(reaper)?;
    let mut store = store;
    reaper.wait(&mut Output::new(completions, bytes, &mut store), timeout)
}

pub fn reaper_descriptor(reaper: f64) -> io::Result<i32> {
    Ok(shared_reaper(reaper)?.descriptor()?.into_raw_fd())
}

pub fn reaper_park(reaper: f64) -> io::Result<bool> {
    Ok(shared_reaper(reaper)?.park())
}

pub fn reaper_unpark(reaper: f64) -> io::Result<()> {
    shared_reaper(reaper)?.unpark();
    Ok(())
}

fn shared_proactor(handle: f64) -> io::Result<Arc<Proactor>> {
    with(handle, |object| match object {
        Object::Proactor(Held(proactor)) => Ok(Arc::clone(proactor)),
        _ => Err(invalid()),
    })
}

fn shared_reaper(handle: f64) -> io::Result<Arc<Inbox>> {
    with(handle, |object| match object {
        Object::Reaper(HeldInbox(inbox)) => Ok(Arc::clone(inbox)),
        _ => Err(invalid()),
    })
}

/// Makes a handle of what an operation has opened.
fn store(Opened { fd, kind }: Opened) -> io::Result<f64> {
    let object = match kind {
        Kind::Tcp => Object::TcpStream(TcpStream::opened(fd)),
        Kind::Unix => Object::UnixStream(UnixStream::opened(fd)),
        _ => Object::File(fd),
    };
    source_table::insert(object).map(encode)
}

/// What requests name.
struct Table;

impl Lookup for Table {
    fn handle(&self, number: f64) -> u64 {
        decode(number)
    }

    fn reaper(&self, number: f64) -> io::Result<Arc<Inbox>> {
        shared_reaper(number)
    }

    fn target(&self, number: f64) -> io::Result<Target> {
        Ok(shared_proactor(number)?.target())
    }

    fn address(&self, bytes: &[u8]) -> io::Result<SocketAddr> {
        let unknown = || io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
        decode_address(bytes).ok_or_else(unknown)
    }
}

/// Sources of the table, whose slots stay locked while they are lent.
#[derive(Default)]
struct Loan(Vec<Lent>);

// SAFETY: while a slot is locked for reading, its object is not dropped and its descriptor
// not closed; only `give_back` unlocks it.
unsafe impl Sources for Loan {
    fn lend(&mut self, handle: u64) -> Result<(RawFd, Kind), Unlent> {
        let lent = source_table::lend(handle, self.0.is_empty());
        let lent = lent.map_err(|error| match error.raw_os_error() {
            Some(libc::EBUSY) => Unlent::Busy,
            other => Unlent::Bad(other.unwrap_or(libc::EBADF)),
        })?;
        let object = lent.object().ok_or(Unlent::Bad(libc::EBADF))?;
        let kind = match object {
            Object::TcpListener(_) | Object::TcpStream(_) => Kind::Tcp,
            Object::UnixListener(_) | Object::UnixStream(_) => Kind::Unix,
            Object::File(_) => Kind::File,
            _ => Kind::Other,
        };
        let fd = object.descriptor().ok_or(Unlent::Bad(libc::EINVAL))?.as_raw_fd();
        self.0.push(lent);
        Ok((fd, kind))
    }

    fn give_back(&mut self) {
        self.0.clear();
    }

    fn remove(&mut self, handle: u64) -> Result<Option<OwnedFd>, i32> {
        let is_source = with(encode(handle), |object| Ok(object.descriptor().is_some()));
        let is_source = is_source.map_err(|error| error.raw_os_error().unwrap_or(libc::EBADF))?;
        if !is_source {
            return Err(libc::EINVAL);
        }
        match source_table::take(handle) {
            Ok(Object::File(file)) => Ok(Some(file)),
            Ok(_) => Ok(None),
            Err(error) => Err(error.raw_os_error().unwrap_or(libc::EBADF)),
        }
    }
}
