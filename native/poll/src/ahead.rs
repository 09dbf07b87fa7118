//! Streams that are read ahead: the kernel has moved bytes into this process before the program
//! reads them (`sys/uring.rs`). The program reads, peeks and asks as ever, and gets these bytes
//! first.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::registry::{AHEAD, LEFT, number};
use crate::sys::{Left, Selector, recv};
use crate::{Interest, Mode, Registration, Registry, Token, selectors};

/// What was received for streams that have left their selector, by descriptor. A stream takes
/// its entry along, or drops it when it is closed.
static LEFTOVERS: Mutex<Option<HashMap<RawFd, Left>>> = Mutex::new(None);

/// Takes what was received for a stream.
pub fn take_leftovers(fd: BorrowedFd<'_>) -> Option<Left> {
    leftovers().as_mut()?.remove(&fd.as_raw_fd())
}

fn leftovers() -> MutexGuard<'static, Option<HashMap<RawFd, Left>>> {
    LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Left {
    /// Whether there is nothing that the socket will not say again.
    fn is_nothing(&self) -> bool {
        self.bytes.is_empty() && self.end.is_none_or(|error| error == 0)
    }

    fn read(&mut self, into: &mut [u8]) -> Option<io::Result<usize>> {
        let count = self.peek(into)?;
        match count {
            Ok(count) => drop(self.bytes.drain(..count)),
            Err(_) => self.end = Some(0),
        }
        Some(count)
    }

    fn peek(&self, into: &mut [u8]) -> Option<io::Result<usize>> {
        if self.bytes.is_empty() {
            let error = self.end.filter(|error| *error != 0)?;
            return Some(Err(io::Error::from_raw_os_error(error)));
        }
        let count = self.bytes.len().min(into.len());
        if let (Some(from), Some(into)) = (self.bytes.get(..count), into.get_mut(..count)) {
            into.copy_from_slice(from);
        }
        Some(Ok(count))
    }
}

impl Registration {
    /// Reads what was received, or asks the system when nothing can have been received.
    /// `None` for a stream that was never read ahead.
    #[inline]
    pub(crate) fn read_ahead(&self, into: &mut [u8]) -> Option<io::Result<usize>> {
        let state = self.state().load(Ordering::Relaxed);
        if state & (AHEAD | LEFT) == 0 { None } else { self.read_received(state, into) }
    }

    #[inline(never)]
    fn read_received(&self, state: u32, into: &mut [u8]) -> Option<io::Result<usize>> {
        if into.is_empty() {
            return Some(Ok(0));
        }
        if state & LEFT != 0 {
            let read = leftovers().as_mut()?.get_mut(&self.as_fd().as_raw_fd())?.read(into);
            if read.is_none() {
                self.forget_leftovers();
            }
            return read;
        }
        let selector = selectors::find_again(number(state))?;
        let ring = selector.ring()?;
        let fd = self.as_fd();
        let read = ring.read(fd, into).unwrap_or_else(|| {
            let room = into.len();
            recv(fd, into).inspect(|count| ring.note_read(fd, *count, room))
        });
        Some(read)
    }

    /// As [`Registration::read_ahead`], into one buffer after the other.
    pub(crate) fn read_ahead_vectored(
        &self,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Option<io::Result<usize>> {
        let state = self.state().load(Ordering::Relaxed);
        if state & (AHEAD | LEFT) == 0 {
            return None;
        }
        let mut count = 0;
        for buffer in buffers.iter_mut().filter(|buffer| !buffer.is_empty()) {
            let room = buffer.len();
            match self.read_ahead(buffer)? {
                Ok(read) if read == room => count += read,
                Ok(read) => return Some(Ok(count + read)),
                // It is met again by the next read.
                Err(error) if count == 0 => return Some(Err(error)),
                Err(_) => break,
            }
        }
        Some(Ok(count))
    }

    /// As [`Registration::read_ahead`], and leaves the bytes.
    pub(crate) fn peek_ahead(&self, into: &mut [u8]) -> Option<io::Result<usize>> {
        let state = self.state().load(Ordering::Relaxed);
        if state & LEFT != 0 {
            return leftovers().as_ref()?.get(&self.as_fd().as_raw_fd())?.peek(into);
        }
        if state & AHEAD == 0 {
            return None;
        }
        selectors::find_again(number(state))?.ring()?.peek(self.as_fd(), into)
    }

    /// Bytes that were received and not read.
    pub(crate) fn unread_ahead(&self) -> usize {
        let state = self.state().load(Ordering::Relaxed);
        if state & LEFT != 0 {
            let leftovers = leftovers();
            let left = leftovers.as_ref().and_then(|all| all.get(&self.as_fd().as_raw_fd()));
            return left.map_or(0, |left| left.bytes.len());
        }
        let unread = |selector: Arc<Selector>| Some(selector.ring()?.unread(self.as_fd()));
        let selector = (state & AHEAD != 0).then(|| selectors::find_again(number(state)));
        selector.flatten().and_then(unread).unwrap_or(0)
    }

    /// Takes the error that a receive has met in the place of the program.
    pub(crate) fn take_error_ahead(&self) -> Option<io::Error> {
        let state = self.state().load(Ordering::Relaxed);
        if state & AHEAD == 0 {
            return None;
        }
        selectors::find_again(number(state))?.ring()?.take_error(self.as_fd())
    }

    /// Whether bytes may have been received, by the selector or by one before.
    #[inline]
    pub(crate) fn is_ahead(&self) -> bool {
        self.state().load(Ordering::Relaxed) & (AHEAD | LEFT) != 0
    }

    /// Whether its selector may have bytes of it.
    pub(crate) fn is_ahead_now(&self) -> bool {
        self.state().load(Ordering::Acquire) & AHEAD != 0
    }

    fn forget_leftovers(&self) {
        self.state().fetch_and(!LEFT, Ordering::AcqRel);
        take_leftovers(self.as_fd());
    }
}

impl Registry {
    /// Registers a stream to be read ahead; false when it is to be registered as any other.
    pub(crate) fn add_ahead(
        &self,
        registration: &Registration,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<bool> {
        let has_left = registration.state().load(Ordering::Acquire) & LEFT != 0;
        let ring = self.selector().ring().filter(|_| mode.reads_ahead() && interest.is_readable());
        let fd = registration.as_fd();
        let left = if has_left { take_leftovers(fd) } else { None };
        let is_added = match ring {
            Some(ring) => ring.register_ahead(fd, token, interest, &left)?,
            None => false,
        };
        match left {
            Some(left) if !is_added => {
                // No event would tell of these bytes.
                leftovers().get_or_insert_default().insert(fd.as_raw_fd(), left);
                return Err(io::Error::from_raw_os_error(libc::EBUSY));
            }
            _ => registration.state().fetch_and(!LEFT, Ordering::AcqRel),
        };
        if is_added {
            registration.state().fetch_or(AHEAD, Ordering::AcqRel);
        }
        Ok(is_added)
    }

    /// Deregisters a stream that is read ahead: what was received stays with it.
    pub(crate) fn remove_ahead(&self, registration: &Registration) -> io::Result<()> {
        let fd = registration.as_fd();
        let ring = self.selector().ring().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT));
        let left = ring?.deregister_ahead(fd)?;
        registration.forget_selector();
        if !left.is_nothing() {
            leftovers().get_or_insert_default().insert(fd.as_raw_fd(), left);
            registration.state().fetch_or(LEFT, Ordering::AcqRel);
        }
        Ok(())
    }
}
