//! The methods of TCP and Unix streams, written once.

/// Implements reading, by a function of `sys`, writing and ending for a stream
/// with a `registration`.
macro_rules! stream_methods {
    ($stream:ident, $recv:ident) => {
        impl $stream {
            /// Reads the bytes that are there; 0 is the end of the stream, or an empty buffer.
            ///
            /// # Errors
            ///
            /// `EAGAIN` when there are no bytes; `ECONNRESET` and others of `recv(2)`.
            #[inline]
            pub fn read(&self, buffer: &mut [u8]) -> ::std::io::Result<usize> {
                #[cfg(target_os = "linux")]
                if let Some(read) = self.registration.read_ahead(buffer) {
                    return read;
                }
                let length = buffer.len();
                self.registration.read_stream(length, |fd| $crate::sys::$recv(fd, buffer))
            }

            /// Reads into one buffer after the other, as [`Self::read`] into one.
            ///
            /// # Errors
            ///
            /// As [`Self::read`].
            #[inline]
            pub fn read_vectored(
                &self,
                buffers: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::io::Result<usize> {
                #[cfg(target_os = "linux")]
                if let Some(read) = self.registration.read_ahead_vectored(buffers) {
                    return read;
                }
                let length = buffers.iter().map(|buffer| buffer.len()).sum();
                let read =
                    |fd: ::std::os::fd::BorrowedFd<'_>| $crate::sys::recv_vectored(fd, buffers);
                self.registration.read_stream(length, read)
            }

            /// Reads bytes and leaves them in the stream. It does not make an event come
            /// again: bytes that were peeked at are not reported a second time.
            ///
            /// # Errors
            ///
            /// As [`Self::read`].
            pub fn peek(&self, buffer: &mut [u8]) -> ::std::io::Result<usize> {
                if buffer.is_empty() {
                    return Ok(0);
                }
                #[cfg(target_os = "linux")]
                if let Some(peeked) = self.registration.peek_ahead(buffer) {
                    return peeked;
                }
                self.registration.peek_with(|fd| $crate::sys::peek(fd, buffer))
            }

            /// Writes as many bytes as fit.
            ///
            /// # Errors
            ///
            /// `EAGAIN` when there is no room; `EPIPE`, without a signal, when the
            /// peer is gone; others of `send(2)`.
            #[inline]
            pub fn write(&self, bytes: &[u8]) -> ::std::io::Result<usize> {
                self.registration.write_stream(bytes.len(), |fd| $crate::sys::send(fd, bytes))
            }

            /// Writes one buffer after the other, as [`Self::write`] one.
            ///
            /// # Errors
            ///
            /// As [`Self::write`].
            #[inline]
            pub fn write_vectored(
                &self,
                buffers: &[::std::io::IoSlice<'_>],
            ) -> ::std::io::Result<usize> {
                let length = buffers.iter().map(|buffer| buffer.len()).sum();
                let write =
                    |fd: ::std::os::fd::BorrowedFd<'_>| $crate::sys::send_vectored(fd, buffers);
                self.registration.write_stream(length, write)
            }

            /// Bytes that were written and that the peer's system has not acknowledged,
            /// and one more for the end of a TCP stream. For a Unix stream on Linux it is
            /// the memory of the bytes that the peer has not read, which is more than the
            /// bytes.
            ///
            /// # Errors
            ///
            /// `ENOTSUP` on systems that do not count them.
            pub fn unacked(&self) -> ::std::io::Result<usize> {
                $crate::sys::unacked(::std::os::fd::AsFd::as_fd(&self.registration))
            }

            /// Bytes that the program can read now.
            ///
            /// # Errors
            ///
            /// The error of `ioctl(2)`.
            pub fn unread(&self) -> ::std::io::Result<usize> {
                let unread = $crate::sys::unread(::std::os::fd::AsFd::as_fd(&self.registration))?;
                #[cfg(target_os = "linux")]
                let unread = unread + self.registration.unread_ahead();
                Ok(unread)
            }

            /// Shuts down the reading half, the writing half, or both.
            ///
            /// # Errors
            ///
            /// `ENOTCONN` when there is no connection any more.
            pub fn shutdown(&self, how: ::std::net::Shutdown) -> ::std::io::Result<()> {
                ::socket2::SockRef::from(&self.registration).shutdown(how)
            }
        }
    };
}

pub(super) use stream_methods;
