//! Every order in which the steps of a parker and of its poll's thread can mix, for a
//! poll without a descriptor: each wait that ends has a byte, and the thread ends with
//! the parker.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use super::*;
use crate::sync::{model, thread};
use crate::{Backend, Interest, Parker};

/// A poll without sources, its parker, and the socket that receives the bytes.
fn parker() -> (Arc<Poll>, Parker, UnixStream) {
    let poll = Arc::new(Poll::with_backend(Backend::Poll).unwrap());
    let (parker, reader) = Parker::new(Arc::clone(&poll)).unwrap();
    (poll, parker, reader.into())
}

/// A source that stays readable.
fn ended() -> crate::UnixStream {
    let (ours, theirs) = crate::UnixStream::pair().unwrap();
    theirs.shutdown(Shutdown::Both).unwrap();
    ours
}

fn register(poll: &Poll, source: &crate::UnixStream) {
    poll.registry().register(source, Token(1), Interest::READABLE).unwrap();
}

/// Reads the bytes as soon as there is one. loom reports a byte that does not come.
fn await_byte(mut reader: &UnixStream) {
    while std::io::Read::read(&mut reader, &mut [0; 8]).is_err() {
        thread::yield_now();
    }
}

/// Ends the parker, and waits until its thread has let go of the poll.
fn end(poll: &Arc<Poll>, parker: Parker) {
    drop(parker);
    while Arc::strong_count(poll) > 1 {
        thread::yield_now();
    }
}

#[test]
fn each_wait_for_what_is_ready_has_a_byte() {
    model(|| {
        let (poll, parker, reader) = parker();
        let source = ended();
        register(&poll, &source);
        for _ in 0..2 {
            parker.park(None).unwrap();
            await_byte(&reader);
        }
        end(&poll, parker);
    });
}

#[test]
fn a_source_that_comes_later_ends_the_wait() {
    model(|| {
        let (poll, parker, reader) = parker();
        parker.park(None).unwrap();
        let source = ended();
        register(&poll, &source);
        await_byte(&reader);
        end(&poll, parker);
    });
}

#[test]
fn a_wait_without_limit_is_replaced_by_one_that_is_over() {
    model(|| {
        let (poll, parker, reader) = parker();
        parker.park(None).unwrap();
        parker.park(Some(Duration::ZERO)).unwrap();
        await_byte(&reader);
        end(&poll, parker);
    });
}

#[test]
fn the_thread_ends_with_the_parker_also_when_nothing_is_ready() {
    model(|| {
        let (poll, parker, _reader) = parker();
        parker.park(None).unwrap();
        end(&poll, parker);
    });
}
