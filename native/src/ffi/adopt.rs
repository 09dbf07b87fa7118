//! Descriptors that come by their number: inherited, or by socket activation.
//!
//! JavaScript never sees the number of a descriptor that this library opened. These are
//! numbers of descriptors that another program opened, and named.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::address::{Address, address_mut, encode_address};
use super::answer::{answer, answer_opened, invalid};
use crate::source_table::{self, Handle, Object};
use denio_poll::prepare;
use denio_poll::{
    PipeReader, PipeWriter, SourceKind, TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream,
};

/// Looks at an open descriptor, without taking it: returns the number of its
/// [`SourceKind`], and writes its own address, [`super::ADDRESS_BYTES`] long.
///
/// `EBADF` when no descriptor with that number is open; `ENOTSOCK` and `EPROTOTYPE` when
/// [`denio_source_adopt`] takes none of its sort.
///
/// # Safety
///
/// `address` is null or writable for [`super::ADDRESS_BYTES`], and no thread closes the
/// descriptor, until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_descriptor_describe(fd: i32, address: *mut u8) -> i32 {
    // SAFETY: the caller's promise.
    let Some(place) = (unsafe { address_mut(address) }) else { return -libc::EFAULT };
    // SAFETY: the caller's promise.
    let fd = unsafe { borrow(fd) };
    answer(fd.and_then(|fd| {
        let kind = SourceKind::of(fd)?;
        place.copy_from_slice(&encode_address(Address::of(fd, kind)?));
        Ok(kind as i32)
    }))
}

/// Takes an open descriptor of that [`SourceKind`], and returns its handle. The descriptor
/// becomes close-on-exec, and non-blocking for all processes that share it. After an
/// error it still belongs to the caller.
///
/// `EBUSY` when a source has it; `EPROTOTYPE` when it is of another kind.
///
/// # Safety
///
/// No other part of the program owns the descriptor, or closes it while this
/// runs: the source is its owner from then on, and closes it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_source_adopt(fd: i32, kind: u32) -> f64 {
    // SAFETY: the caller's promise.
    answer_opened(unsafe { adopt(fd, kind) })
}

/// # Safety
///
/// As [`denio_source_adopt`].
unsafe fn adopt(fd: RawFd, kind: u32) -> io::Result<Handle> {
    let known = SourceKind::ALL.into_iter().find(|known| *known as u32 == kind);
    let kind = known.ok_or_else(invalid)?;
    source_table::insert_adopted(fd, || {
        // First: what fails leaves the descriptor to the caller.
        // SAFETY: the caller's promise.
        prepare(unsafe { borrow(fd) }?, kind)?;
        // SAFETY: `prepare` has found it open, and the caller gives it away.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        match kind {
            SourceKind::TcpListener => TcpListener::try_from(fd).map(Object::TcpListener),
            SourceKind::TcpStream => TcpStream::try_from(fd).map(Object::TcpStream),
            SourceKind::UnixListener => UnixListener::try_from(fd).map(Object::UnixListener),
            SourceKind::UnixStream => UnixStream::try_from(fd).map(Object::UnixStream),
            SourceKind::UdpSocket => UdpSocket::try_from(fd).map(Object::UdpSocket),
            SourceKind::PipeReader => PipeReader::try_from(fd).map(Object::PipeReader),
            SourceKind::PipeWriter => PipeWriter::try_from(fd).map(Object::PipeWriter),
        }
    })
}

/// `EBADF` for a negative number. For any other number the next system call shows whether
/// a descriptor is open.
///
/// # Safety
///
/// No thread closes the descriptor during `'a`, if it is open.
unsafe fn borrow<'a>(fd: RawFd) -> io::Result<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: not -1, and the caller's promise.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}
