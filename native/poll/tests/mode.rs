//! Modes: edge, level, one-shot and exclusive, on the backend that `DENIO_BACKEND` names.

#![allow(clippy::unwrap_used, reason = "set-up: a failure here is the test's")]

mod util;

use denio_poll::{Backend, Event, Interest, Mode, Poll, TcpStream, Token};
use util::{READABLE, WRITABLE, alone, drain, errno, expect_event, expect_silence, write_all};

const TOKEN: Token = Token(5);

/// A stream registered so, and its peer.
fn registered(poll: &Poll, interest: Interest, mode: Mode) -> (TcpStream, TcpStream) {
    let (stream, peer) = util::pair();
    poll.registry().register_with(&stream, TOKEN, interest, mode).unwrap();
    (stream, peer)
}

#[test]
fn level_is_reported_until_it_is_drained() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered(&poll, READABLE, Mode::LEVEL);
    expect_silence(&poll);
    write_all(&peer, b"ab");
    for _ in 0..3 {
        expect_event(&poll, TOKEN, Event::READABLE);
    }
    assert_eq!(stream.read(&mut [0]).unwrap(), 1);
    expect_event(&poll, TOKEN, Event::READABLE);
    drain(&stream);
    expect_silence(&poll);
    write_all(&peer, b"c");
    expect_event(&poll, TOKEN, Event::READABLE);
}

#[test]
fn level_of_room_is_reported_each_time() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, _peer) = registered(&poll, WRITABLE, Mode::LEVEL);
    for _ in 0..3 {
        expect_event(&poll, TOKEN, Event::WRITABLE);
    }
    util::fill_up(&stream, &poll);
}

#[test]
fn level_of_an_end_is_reported_each_time() {
    let _alone = alone();
    let poll = util::poll();
    let (_stream, peer) = registered(&poll, READABLE, Mode::LEVEL);
    drop(peer);
    for _ in 0..3 {
        expect_event(&poll, TOKEN, Event::READABLE | Event::READ_CLOSED);
    }
}

#[test]
fn one_shot_is_reported_once_in_any_direction_until_reregistered() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered(&poll, READABLE | WRITABLE, Mode::ONE_SHOT);
    expect_event(&poll, TOKEN, Event::WRITABLE);
    write_all(&peer, b"a");
    expect_silence(&poll);
    drain(&stream);
    write_all(&peer, b"b");
    expect_silence(&poll);
    poll.registry().reregister_with(&stream, Token(6), READABLE, Mode::ONE_SHOT).unwrap();
    expect_event(&poll, Token(6), Event::READABLE);
    write_all(&peer, b"c");
    expect_silence(&poll);
    drop(peer);
    expect_silence(&poll);
    poll.registry().reregister_with(&stream, Token(7), READABLE, Mode::ONE_SHOT).unwrap();
    expect_event(&poll, Token(7), Event::READABLE | Event::READ_CLOSED);
    poll.registry().deregister(&stream).unwrap();
}

#[test]
fn mode_is_replaced_by_reregistering() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered(&poll, READABLE, Mode::LEVEL);
    write_all(&peer, b"a");
    expect_event(&poll, TOKEN, Event::READABLE);
    expect_event(&poll, TOKEN, Event::READABLE);
    poll.registry().reregister(&stream, TOKEN, READABLE).unwrap();
    expect_event(&poll, TOKEN, Event::READABLE);
    expect_silence(&poll);
    poll.registry().reregister_with(&stream, TOKEN, READABLE, Mode::LEVEL).unwrap();
    expect_event(&poll, TOKEN, Event::READABLE);
    expect_event(&poll, TOKEN, Event::READABLE);
    poll.registry().reregister_with(&stream, TOKEN, READABLE, Mode::ONE_SHOT).unwrap();
    expect_event(&poll, TOKEN, Event::READABLE);
    expect_silence(&poll);
}

#[test]
fn level_sources_take_turns_when_there_is_room_for_one_event() {
    let _alone = alone();
    let poll = util::poll();
    let pairs: Vec<_> = (0..3).map(|_| util::pair()).collect();
    for (number, (stream, peer)) in pairs.iter().enumerate() {
        let token = Token(number as u32);
        poll.registry().register_with(stream, token, READABLE, Mode::LEVEL).unwrap();
        write_all(peer, b"x");
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..30 {
        let mut events = [Event::default()];
        assert_eq!(poll.poll(&mut events, Some(util::DEADLINE)).unwrap(), 1);
        seen.insert(events[0].token());
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn interests_and_modes_that_a_backend_lacks_are_refused_and_not_supported() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, _) = util::listener();
    let is = |backend| poll.backend() == backend;
    let is_exclusive = is(Backend::Epoll) || is(Backend::IoUring);
    for (interest, mode, supported) in [
        (READABLE, Mode::EDGE, true),
        (READABLE | WRITABLE, Mode::LEVEL, true),
        (WRITABLE, Mode::ONE_SHOT, true),
        (Interest::PRIORITY, Mode::EDGE, !is(Backend::Kqueue)),
        (READABLE, Mode::LEVEL.exclusive(), is_exclusive),
        (READABLE, Mode::EDGE.exclusive(), is_exclusive),
        (READABLE, Mode::ONE_SHOT.exclusive(), false),
        (Interest::PRIORITY, Mode::LEVEL.exclusive(), false),
    ] {
        assert_eq!(poll.supports(interest, mode), supported, "{interest:?} {mode:?}");
        let registered = poll.registry().register_with(&listener, TOKEN, interest, mode);
        if supported {
            registered.unwrap();
            poll.registry().deregister(&listener).unwrap();
        } else {
            assert_eq!(errno(registered), libc::ENOTSUP, "{interest:?} {mode:?}");
        }
    }
}

#[test]
fn exclusive_cannot_be_replaced_but_removed() {
    let _alone = alone();
    let poll = util::poll();
    let mode = Mode::LEVEL.exclusive();
    if !poll.supports(READABLE, mode) {
        return util::skip("this backend has no exclusive registration");
    }
    let (listener, address) = util::listener();
    poll.registry().register_with(&listener, TOKEN, READABLE, mode).unwrap();
    let _client = TcpStream::connect(address).unwrap();
    expect_event(&poll, TOKEN, Event::READABLE);
    for mode in [Mode::EDGE, mode] {
        let replaced = poll.registry().reregister_with(&listener, TOKEN, READABLE, mode);
        assert_eq!(errno(replaced), libc::EINVAL);
    }
    expect_event(&poll, TOKEN, Event::READABLE);
    poll.registry().deregister(&listener).unwrap();
    expect_silence(&poll);
}

#[test]
fn select_refuses_a_descriptor_beyond_its_set_and_goes_on() {
    let _alone = alone();
    let poll = Poll::with_backend(Backend::Select);
    let Ok(poll) = poll else { return util::skip("this system has no select backend") };
    let mut low = Vec::new();
    let beyond = loop {
        let (listener, _) = util::listener();
        match poll.registry().register(&listener, TOKEN, READABLE) {
            Ok(()) => low.push(listener),
            Err(error) => break (listener, error),
        }
        if low.len() > 2 * libc::FD_SETSIZE {
            panic!("no descriptor was refused");
        }
    };
    assert_eq!(beyond.1.raw_os_error(), Some(libc::ERANGE));
    // It is registered nowhere, and can be elsewhere.
    let other = Poll::with_backend(Backend::Poll).unwrap();
    other.registry().register(&beyond.0, TOKEN, READABLE).unwrap();
    let last = low.last().unwrap();
    let _client = TcpStream::connect(last.local_address().unwrap()).unwrap();
    expect_event(&poll, TOKEN, Event::READABLE);
}
