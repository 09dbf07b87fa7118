//! One test for each fact of `kqueue(2)` and FreeBSD 13's kernel: first the fact, as
//! the script replays it, then the queue's use of it.

use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

use super::script::{Script, wait};
use super::*;

const FD: RawFd = 5;
const OTHER: RawFd = 6;
const ROOM: usize = 8;
const BOTH: u32 = Event::READABLE | Event::WRITABLE;

/// A kqueue and one socket, from which nothing can be read or written yet.
fn scripted() -> (Script, Rc<Queue<Script>>) {
    let script = Script::default();
    script.open(FD);
    (script.clone(), Rc::new(Queue::with(script)))
}

fn tag(token: u32) -> Tag {
    Tag { token: Token(token), shot: 0 }
}

fn add(filter: Filter, mode: Mode) -> Kevent {
    Change::add(filter, mode).of(FD as usize, tag(1))
}

fn errno(result: io::Result<()>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn both() -> Interest {
    Interest::READABLE | Interest::WRITABLE
}

#[test]
fn read_and_write_on_one_descriptor_are_two_events() {
    let (script, queue) = scripted();
    queue.register(FD, Token(1), both(), Mode::EDGE).unwrap();
    let become_ready = || {
        script.arrive(FD);
        script.make_room(FD);
    };
    become_ready();
    let filters = script.raw_wait().iter().map(|kevent| kevent.filter).collect::<Vec<_>>();
    assert_eq!(filters, [Filter::Read, Filter::Write]);
    become_ready();
    assert_eq!(wait(&queue, ROOM), [(1, BOTH)]);
    assert_eq!(wait(&queue, ROOM), []);
}

#[test]
fn adding_again_fires_again_while_data_is_pending() {
    let (script, queue) = scripted();
    script.arrive(FD);
    for _ in 0..2 {
        assert_eq!(script.submit(add(Filter::Read, Mode::EDGE)), 0);
        assert_eq!(script.raw_wait().len(), 1);
        assert_eq!(script.raw_wait(), []);
    }
    for token in [2, 3] {
        queue.reregister(FD, Token(token), Interest::READABLE, Mode::EDGE).unwrap();
        assert_eq!(wait(&queue, ROOM), [(token, Event::READABLE)]);
        assert_eq!(wait(&queue, ROOM), []);
    }
    script.drain(FD);
    queue.reregister(FD, Token(4), Interest::READABLE, Mode::EDGE).unwrap();
    assert_eq!(wait(&queue, ROOM), []);
}

#[test]
fn clear_sticks_to_a_filter_until_it_is_deleted() {
    let (script, queue) = scripted();
    script.arrive(FD);
    script.submit(add(Filter::Read, Mode::EDGE));
    script.submit(add(Filter::Read, Mode::LEVEL));
    assert_eq!(script.raw_wait().len(), 1);
    assert_eq!(script.raw_wait(), []);
    queue.reregister(FD, Token(1), Interest::READABLE, Mode::LEVEL).unwrap();
    for _ in 0..3 {
        assert_eq!(wait(&queue, ROOM), [(1, Event::READABLE)]);
    }
    queue.reregister(FD, Token(2), Interest::READABLE, Mode::EDGE).unwrap();
    assert_eq!(wait(&queue, ROOM), [(2, Event::READABLE)]);
    assert_eq!(wait(&queue, ROOM), []);
}

#[test]
fn listener_with_two_pending_and_one_accepted_fires_again() {
    let (script, queue) = scripted();
    queue.register(FD, Token(1), Interest::READABLE, Mode::EDGE).unwrap();
    script.arrive(FD);
    script.arrive(FD);
    assert_eq!(wait(&queue, ROOM), [(1, Event::READABLE)]);
    script.accept(FD);
    assert_eq!(wait(&queue, ROOM), [(1, Event::READABLE)]);
    script.accept(FD);
    assert_eq!(wait(&queue, ROOM), []);
}

#[test]
fn refused_connect_ends_both_filters_and_keeps_the_error() {
    let (script, queue) = scripted();
    queue.register(FD, Token(1), both(), Mode::EDGE).unwrap();
    script.refuse(FD);
    for kevent in script.raw_wait() {
        assert_eq!(kevent.flags & EV_EOF, EV_EOF);
        assert_eq!(kevent.fflags, libc::ECONNREFUSED as u32);
    }
    queue.reregister(FD, Token(1), both(), Mode::EDGE).unwrap();
    let ended = Event::READ_CLOSED | Event::WRITE_CLOSED | Event::ERROR;
    assert_eq!(wait(&queue, ROOM), [(1, BOTH | ended)]);
    assert_eq!([script.take_error(FD), script.take_error(FD)], [libc::ECONNREFUSED, 0]);
}

#[test]
fn user_event_that_is_added_with_a_trigger_does_not_fire() {
    let (script, queue) = scripted();
    let added = Change::add(Filter::User, Mode::EDGE);
    let triggered = Change { fflags: NOTE_TRIGGER, ..added };
    assert_eq!(script.submit(triggered.of(0, tag(9))), 0);
    assert_eq!(script.raw_wait(), []);
    script.submit(Change::delete(Filter::User).of(0, tag(9)));
    let waker = Waker::new(&queue, Token(9)).unwrap();
    assert_eq!(wait(&queue, ROOM), []);
    for _ in 0..3 {
        waker.wake().unwrap();
    }
    assert_eq!(wait(&queue, ROOM), [(9, Event::READABLE)]);
    assert_eq!(wait(&queue, ROOM), []);
}

#[test]
fn triggering_with_clear_clears_a_user_event() {
    let (script, queue) = scripted();
    let _waker = Waker::new(&queue, Token(9)).unwrap();
    let wrong = Change { fflags: NOTE_TRIGGER, ..Change::add(Filter::User, Mode::EDGE) };
    script.submit(wrong.of(0, tag(9)));
    assert_eq!(wait(&queue, ROOM), []);
}

#[test]
fn waker_that_is_dropped_takes_its_event_along() {
    let (script, queue) = scripted();
    let waker = Waker::new(&queue, Token(9)).unwrap();
    waker.wake().unwrap();
    drop(waker);
    assert_eq!(wait(&queue, ROOM), []);
    assert_eq!(script.notes(), []);
}

#[test]
fn deleting_after_close_is_ebadf() {
    let (script, queue) = scripted();
    queue.register(FD, Token(1), both(), Mode::EDGE).unwrap();
    script.close(FD);
    let delete = Change::delete(Filter::Read).of(FD as usize, tag(1));
    assert_eq!(script.submit(delete), libc::EBADF);
    assert_eq!(errno(queue.deregister(FD)), Some(libc::EBADF));
    assert_eq!(errno(queue.deregister(-1)), Some(libc::EBADF));
}

#[test]
fn close_drops_the_filters() {
    let (script, queue) = scripted();
    queue.register(FD, Token(1), both(), Mode::LEVEL).unwrap();
    script.arrive(FD);
    script.close(FD);
    assert_eq!(script.notes(), []);
    assert_eq!(wait(&queue, ROOM), []);
    // The next descriptor with that number has no registration.
    script.open(FD);
    script.arrive(FD);
    assert_eq!(wait(&queue, ROOM), []);
    queue.register(FD, Token(2), Interest::READABLE, Mode::EDGE).unwrap();
    assert_eq!(wait(&queue, ROOM), [(2, Event::READABLE)]);
}

#[test]
fn a_pipe_whose_reader_has_gone_is_added_and_answered_with_epipe() {
    let (script, queue) = scripted();
    script.lose_reader(FD);
    assert_eq!(script.submit(add(Filter::Write, Mode::EDGE)), libc::EPIPE);
    assert_eq!(script.raw_wait().len(), 1);
    queue.deregister(FD).unwrap();
    queue.register(FD, Token(2), Interest::WRITABLE, Mode::EDGE).unwrap();
    let reports = wait(&queue, ROOM);
    assert!(matches!(reports[..], [(2, bits)] if bits & Event::WRITE_CLOSED != 0), "{reports:?}");
}

#[test]
fn deleting_what_is_not_there_is_enoent() {
    let (script, queue) = scripted();
    let delete = Change::delete(Filter::Read).of(FD as usize, tag(1));
    assert_eq!(script.submit(delete), libc::ENOENT);
    queue.deregister(FD).unwrap();
}

#[test]
fn one_shot_deletes_the_filter_that_fired_and_leaves_the_other() {
    let (script, queue) = scripted();
    script.submit(add(Filter::Read, Mode::ONE_SHOT));
    script.submit(add(Filter::Write, Mode::ONE_SHOT));
    script.arrive(FD);
    assert_eq!(script.raw_wait().len(), 1);
    assert_eq!(script.notes().len(), 1);
    queue.reregister(FD, Token(2), both(), Mode::ONE_SHOT).unwrap();
    assert_eq!(wait(&queue, ROOM), [(2, Event::READABLE)]);
    assert_eq!(script.notes(), []);
    script.make_room(FD);
    assert_eq!(wait(&queue, ROOM), []);
    queue.reregister(FD, Token(3), both(), Mode::ONE_SHOT).unwrap();
    assert_eq!(wait(&queue, ROOM), [(3, BOTH)]);
    assert_eq!(wait(&queue, ROOM), []);
}

#[test]
fn one_shot_is_reported_once_when_there_is_room_for_one_of_its_events() {
    let (script, queue) = scripted();
    queue.register(FD, Token(1), both(), Mode::ONE_SHOT).unwrap();
    script.make_room(FD);
    script.arrive(FD);
    assert_eq!(wait(&queue, 1), [(1, Event::WRITABLE)]);
    assert_eq!(wait(&queue, 1), []);
}

#[test]
fn one_shot_is_one_event_when_another_source_comes_between() {
    let (script, queue) = scripted();
    script.open(OTHER);
    queue.register(FD, Token(1), both(), Mode::ONE_SHOT).unwrap();
    queue.register(OTHER, Token(2), both(), Mode::EDGE).unwrap();
    script.arrive(FD);
    script.arrive(OTHER);
    script.make_room(FD);
    assert_eq!(wait(&queue, ROOM), [(1, BOTH), (2, Event::READABLE)]);
}

#[test]
fn one_shot_is_reported_once_when_two_threads_wait() {
    let (script, queue) = scripted();
    queue.register(FD, Token(1), both(), Mode::ONE_SHOT).unwrap();
    script.arrive(FD);
    let (other_kernel, other_queue) = (script.clone(), Rc::clone(&queue));
    script.meanwhile(move || {
        other_kernel.make_room(FD);
        assert_eq!(wait(&other_queue, ROOM), [(1, Event::WRITABLE)]);
    });
    assert_eq!(wait(&queue, ROOM), []);
}

#[test]
fn reregistering_outlives_a_shot_that_is_on_its_way() {
    let (script, queue) = scripted();
    queue.register(FD, Token(1), both(), Mode::ONE_SHOT).unwrap();
    script.arrive(FD);
    let other = Rc::clone(&queue);
    script.meanwhile(move || other.reregister(FD, Token(2), both(), Mode::ONE_SHOT).unwrap());
    assert_eq!(wait(&queue, ROOM), []);
    script.make_room(FD);
    assert_eq!(wait(&queue, ROOM), [(2, BOTH)]);
}

#[test]
fn deregistering_drops_a_shot_that_is_on_its_way() {
    let (script, queue) = scripted();
    queue.register(FD, Token(1), both(), Mode::ONE_SHOT).unwrap();
    script.arrive(FD);
    let other = Rc::clone(&queue);
    script.meanwhile(move || other.deregister(FD).unwrap());
    assert_eq!(wait(&queue, ROOM), []);
}

#[test]
fn another_socket_of_the_same_number_outlives_a_shot_that_is_on_its_way() {
    let (script, queue) = scripted();
    queue.register(FD, Token(1), both(), Mode::ONE_SHOT).unwrap();
    script.arrive(FD);
    let (kernel, other) = (script.clone(), Rc::clone(&queue));
    script.meanwhile(move || {
        kernel.close(FD);
        kernel.open(FD);
        other.register(FD, Token(2), both(), Mode::LEVEL).unwrap();
    });
    assert_eq!(wait(&queue, ROOM), []);
    script.make_room(FD);
    assert_eq!(wait(&queue, ROOM), [(2, Event::WRITABLE)]);
}

#[test]
fn registering_one_filter_of_two_is_undone() {
    let (script, queue) = scripted();
    script.no_memory_for(Filter::Write);
    let error = queue.register(FD, Token(1), both(), Mode::EDGE);
    assert_eq!(errno(error), Some(libc::ENOMEM));
    assert_eq!(script.notes(), []);
    queue.register(FD, Token(1), both(), Mode::EDGE).unwrap();
}

#[test]
fn registering_what_cannot_be_is_refused() {
    let (script, queue) = scripted();
    let urgent = queue.register(FD, Token(1), Interest::PRIORITY, Mode::EDGE);
    assert_eq!(errno(urgent), Some(libc::ENOTSUP));
    let closed = queue.register(OTHER, Token(1), both(), Mode::EDGE);
    assert_eq!(errno(closed), Some(libc::EBADF));
    assert_eq!(script.notes(), []);
}

#[test]
fn waiting_without_room_is_einval() {
    let (_, queue) = scripted();
    assert_eq!(errno(queue.wait(&mut [], 0).map(drop)), Some(libc::EINVAL));
}
