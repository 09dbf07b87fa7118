//! `Waker`: ending a wait, once, from any thread.

mod util;

use std::time::Duration;

use denio_poll::{Event, Token, Waker};
use util::{READABLE, alone, errno, expect_event, expect_events, expect_silence};

const WAKE: Token = Token(10);

#[test]
fn waker_gives_one_readable_event_with_its_token() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), WAKE).unwrap();
    expect_silence(&poll);
    waker.wake().unwrap();
    assert_eq!(expect_event(&poll, WAKE, Event::READABLE), Event::READABLE);
    expect_silence(&poll);
}

#[test]
fn wakes_before_a_poll_coalesce() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), WAKE).unwrap();
    for _ in 0..3 {
        waker.wake().unwrap();
    }
    let mut events = [Event::default(); 8];
    assert_eq!(poll.poll(&mut events, Some(util::DEADLINE)).unwrap(), 1);
    expect_silence(&poll);
}

#[test]
fn wakes_with_a_poll_between_are_two_events() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), WAKE).unwrap();
    for _ in 0..2 {
        std::thread::scope(|scope| {
            scope.spawn(|| waker.wake().unwrap());
            expect_event(&poll, WAKE, Event::READABLE);
        });
    }
    expect_silence(&poll);
}

#[test]
fn no_wake_is_lost_to_a_poll_that_runs_at_the_same_time() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), WAKE).unwrap();
    let (asked, answered) = (std::sync::mpsc::sync_channel(0), std::sync::mpsc::sync_channel(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for () in asked.1 {
                waker.wake().unwrap();
                answered.0.send(()).unwrap();
            }
        });
        let asked = asked.0;
        for _ in 0..500 {
            asked.send(()).unwrap();
            expect_event(&poll, WAKE, Event::READABLE);
            answered.1.recv().unwrap();
        }
    });
}

#[test]
fn wakes_from_many_threads_end_waits() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), WAKE).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| waker.wake().unwrap()));
        }
        expect_event(&poll, WAKE, Event::READABLE);
    });
}

#[test]
fn waker_is_the_only_one_of_its_poll() {
    let _alone = alone();
    let poll = util::poll();
    let clone = poll.registry().try_clone().unwrap();
    let waker = Waker::new(poll.registry(), WAKE).unwrap();
    assert_eq!(errno(Waker::new(poll.registry(), WAKE)), libc::EEXIST);
    assert_eq!(errno(Waker::new(&clone, Token(11))), libc::EEXIST);
    Waker::new(util::poll().registry(), WAKE).unwrap();
    drop(waker);
    let next = Waker::new(&clone, Token(12)).unwrap();
    next.wake().unwrap();
    expect_event(&poll, Token(12), Event::READABLE);
}

#[test]
fn waker_dropped_before_the_poll_gives_no_event() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), WAKE).unwrap();
    waker.wake().unwrap();
    drop(waker);
    expect_silence(&poll);
}

#[test]
fn waker_outlives_its_poll() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), WAKE).unwrap();
    drop(poll);
    waker.wake().unwrap();
}

#[test]
fn waker_hides_no_other_event() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), WAKE).unwrap();
    let (_stream, peer) = util::registered_pair(&poll, Token(1), READABLE);
    waker.wake().unwrap();
    util::write_all(&peer, b"x");
    expect_events(&poll, &[(WAKE, Event::READABLE), (Token(1), Event::READABLE)]);
}

#[test]
fn waker_ends_a_wait_that_has_no_limit() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), WAKE).unwrap();
    std::thread::scope(|scope| {
        let wait = scope.spawn(|| {
            let limits = [None, Some(Duration::ZERO)];
            limits.map(|limit| poll.poll(&mut [Event::default()], limit).unwrap())
        });
        waker.wake().unwrap();
        assert_eq!(wait.join().unwrap(), [1, 0]);
    });
}
