//! Pipes: bytes one way, between processes or within one.

use std::io::{self, IoSlice, IoSliceMut};

use crate::sys;
use crate::{Registration, Source};

/// Opens a pipe, and returns its reading and its writing end.
///
/// # Errors
///
/// `EMFILE` when out of descriptors.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = sys::pipe::pipe()?;
    let [reader, writer] = [reader, writer].map(Registration::new);
    Ok((PipeReader::of(reader), PipeWriter::of(writer)))
}

/// The reading end of a pipe.
#[derive(Debug)]
pub struct PipeReader {
    registration: Registration,
}

impl PipeReader {
    /// Reads the bytes that are there; 0 is the end, or an empty buffer.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when the pipe is empty and has writers.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration.read_stream(buffer.len(), |fd| sys::pipe::read(fd, buffer))
    }

    /// Reads into one buffer after the other.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let length = buffers.iter().map(|buffer| buffer.len()).sum();
        self.registration.read_stream(length, |fd| sys::pipe::read_vectored(fd, buffers))
    }

    pub(crate) const fn of(registration: Registration) -> Self {
        Self { registration }
    }
}

impl Source for PipeReader {
    fn registration(&self) -> &Registration {
        &self.registration
    }
}

/// The writing end of a pipe.
#[derive(Debug)]
pub struct PipeWriter {
    registration: Registration,
}

impl PipeWriter {
    /// Writes as many bytes as fit.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when there is no room; `EPIPE`, without a signal, when there
    /// is no reader any more.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.registration.write_stream(bytes.len(), |fd| sys::pipe::write(fd, bytes))
    }

    /// Writes one buffer after the other.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = buffers.iter().map(|buffer| buffer.len()).sum();
        self.registration.write_stream(length, |fd| sys::pipe::write_vectored(fd, buffers))
    }

    pub(crate) const fn of(registration: Registration) -> Self {
        Self { registration }
    }
}

impl Source for PipeWriter {
    fn registration(&self) -> &Registration {
        &self.registration
    }
}
