//! The results of functions: a number of zero or more, or `-errno`.

use std::io;

use super::handle::encode;
use crate::source_table::{self, Handle, Object};

pub(super) fn answer(result: io::Result<i32>) -> i32 {
    result.unwrap_or_else(|error| errno(&error))
}

pub(super) fn answer_unit(result: io::Result<()>) -> i32 {
    answer(result.map(|()| 0))
}

pub(super) fn answer_count(result: io::Result<usize>) -> i32 {
    answer(result.map(|count| i32::try_from(count).unwrap_or(i32::MAX)))
}

/// Stores the object that `open` opens, once there is a slot for it.
pub(super) fn answer_handle(open: impl FnOnce() -> io::Result<Object>) -> f64 {
    answer_opened(source_table::insert_with(open))
}

pub(super) fn answer_opened(opened: io::Result<Handle>) -> f64 {
    opened.map_or_else(|error| errno(&error).into(), encode)
}

/// Writes the handles of two objects; after an error neither is open.
pub(super) fn answer_pair(objects: io::Result<[Object; 2]>, out: &mut [f64]) -> i32 {
    answer_unit(objects.and_then(|[one, other]| {
        let one = source_table::insert(one)?;
        let other = source_table::insert(other).inspect_err(|_| {
            // It was opened just now, so closing it cannot fail.
            let _ = source_table::remove(one);
        })?;
        out.iter_mut().zip([one, other]).for_each(|(place, handle)| *place = encode(handle));
        Ok(())
    }))
}

/// The negative errno. This crate's own errors have none: `EINVAL`.
pub(super) fn errno(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(libc::EINVAL)
}

pub(super) fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

pub(super) fn not_a_socket() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOTSOCK)
}

pub(super) fn if_interrupted<T>(result: io::Result<T>, otherwise: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(otherwise),
        done => done,
    }
}
