//! `Poll`: waiting, its timeouts, its capacity, its descriptor, and parking.

mod util;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use denio_poll::{Backend, Event, Poll, TcpStream, Token, Waker};
use util::{READABLE, alone, errno, expect_event, expect_events, expect_silence};

#[test]
fn poll_closes_its_descriptor_when_dropped() {
    let _alone = alone();
    for _ in 0..2000 {
        let poll = util::poll();
        assert_eq!(poll.poll(&mut [Event::default()], Some(Duration::ZERO)).unwrap(), 0);
    }
}

#[test]
fn poll_is_close_on_exec() {
    let _alone = alone();
    let before = util::descriptors();
    let poll = util::poll();
    let _waker = Waker::new(poll.registry(), Token(0)).unwrap();
    assert!(util::new_ones_are_close_on_exec(&before));
}

#[test]
fn poll_with_nothing_registered_waits_and_returns_no_events() {
    let _alone = alone();
    let poll = util::poll();
    let timeout = Duration::from_millis(20);
    let start = Instant::now();
    assert_eq!(poll.poll(&mut [Event::default(); 4], Some(timeout)).unwrap(), 0);
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
}

#[test]
fn poll_rounds_a_tiny_timeout_up_and_not_to_a_busy_loop() {
    let _alone = alone();
    let poll = util::poll();
    let start = Instant::now();
    for _ in 0..5 {
        let timeout = Some(Duration::from_nanos(1));
        assert_eq!(poll.poll(&mut [Event::default()], timeout).unwrap(), 0);
    }
    assert!(start.elapsed() >= Duration::from_millis(4), "{:?}", start.elapsed());
}

#[test]
fn poll_without_waiting_returns_what_is_ready() {
    let _alone = alone();
    let poll = util::poll();
    Waker::new(poll.registry(), Token(3)).unwrap().wake().unwrap();
    // That waker is gone again, and its event with it.
    assert_eq!(poll.poll(&mut [Event::default()], Some(Duration::ZERO)).unwrap(), 0);

    let waker = Waker::new(poll.registry(), Token(4)).unwrap();
    waker.wake().unwrap();
    let mut events = [Event::default(); 2];
    assert_eq!(poll.poll(&mut events, Some(Duration::ZERO)).unwrap(), 1);
    assert_eq!(events, [Event::new(Token(4), Event::READABLE), Event::default()]);
}

#[test]
fn poll_without_limit_waits_for_an_event() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), Token(9)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| waker.wake().unwrap());
        let mut events = [Event::default(); 2];
        assert_eq!(poll.poll(&mut events, None).unwrap(), 1);
        assert_eq!(events[0].token(), Token(9));
    });
}

#[test]
fn poll_returns_no_more_than_fits_and_loses_none() {
    let _alone = alone();
    let poll = util::poll();
    let tokens: BTreeSet<Token> = (0..5).map(Token).collect();
    let pairs: Vec<_> =
        tokens.iter().map(|token| util::registered_pair(&poll, *token, READABLE)).collect();
    for (_, peer) in &pairs {
        util::write_all(peer, b"x");
    }
    let mut seen = BTreeSet::new();
    let mut events = [Event::default(); 2];
    while seen.len() < tokens.len() {
        let count = poll.poll(&mut events, Some(util::DEADLINE)).unwrap();
        assert!((1..=2).contains(&count), "{count}");
        for event in &events[..count] {
            assert!(seen.insert(event.token()), "{event:?} came twice");
        }
    }
    assert_eq!(seen, tokens);
    expect_silence(&poll);
}

#[test]
fn poll_refuses_to_wait_without_room_for_an_event() {
    let _alone = alone();
    let poll = util::poll();
    assert_eq!(errno(poll.poll(&mut [], Some(Duration::ZERO))), libc::EINVAL);
}

#[test]
fn poll_returns_eintr_when_a_signal_interrupts_it() {
    let _alone = alone();
    let poll = util::poll();
    let waited = util::interrupted(|| poll.poll(&mut [Event::default()], None));
    assert_eq!(waited.unwrap_err().kind(), io::ErrorKind::Interrupted);
    let parked = util::interrupted(|| poll.park(None));
    assert_eq!(parked.unwrap_err().kind(), io::ErrorKind::Interrupted);
}

#[test]
fn poll_dropped_leaves_its_sources_working_and_deregisterable() {
    let _alone = alone();
    let first = util::poll();
    let registry = first.registry().try_clone().unwrap();
    let (stream, peer) = util::registered_pair(&first, Token(1), READABLE);
    drop(first);

    util::write_all(&peer, b"still here");
    assert_eq!(util::read_exact(&stream, 10), b"still here");

    let second = util::poll();
    let taken = second.registry().register(&stream, Token(2), READABLE);
    assert_eq!(errno(taken), libc::EEXIST, "it remembers the first poll");
    registry.deregister(&stream).unwrap();
    second.registry().register(&stream, Token(2), READABLE).unwrap();
    util::write_all(&peer, b"again");
    expect_event(&second, Token(2), Event::READABLE);
}

#[test]
fn poll_forgets_a_source_that_was_dropped() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = util::registered_pair(&poll, Token(1), READABLE);
    util::write_all(&peer, b"never read");
    drop(stream);
    expect_silence(&poll);
}

#[test]
fn poll_may_be_used_from_any_thread() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let _alone = alone();
    let poll = Arc::new(util::poll());
    shared(&poll);
    shared(poll.registry());
    let (stream, peer) = util::registered_pair(&poll, Token(1), READABLE);
    shared(&stream);
    let elsewhere = Arc::clone(&poll);
    let waiting = std::thread::spawn(move || expect_event(&elsewhere, Token(1), Event::READABLE));
    util::write_all(&peer, b"x");
    assert_eq!(waiting.join().unwrap(), Event::READABLE);
}

#[test]
fn two_waits_on_one_poll_share_its_events() {
    let _alone = alone();
    let poll = util::poll();
    if poll.backend() == Backend::IoUring {
        return util::skip("the kernel lets one thread enter a ring");
    }
    let (_first, first_peer) = util::registered_pair(&poll, Token(1), READABLE);
    let (_second, second_peer) = util::registered_pair(&poll, Token(2), READABLE);
    let one = || {
        let mut events = [Event::default()];
        assert_eq!(poll.poll(&mut events, Some(util::DEADLINE)).unwrap(), 1);
        events[0].token()
    };
    let seen: BTreeSet<Token> = std::thread::scope(|scope| {
        let waits = [scope.spawn(one), scope.spawn(one)];
        util::write_all(&first_peer, b"x");
        util::write_all(&second_peer, b"x");
        waits.into_iter().map(|wait| wait.join().unwrap()).collect()
    });
    assert_eq!(seen, BTreeSet::from([Token(1), Token(2)]));
}

#[test]
fn a_ring_refuses_waits_of_other_threads_than_the_first() {
    let _alone = alone();
    if !Backend::available().contains(&Backend::IoUring) {
        return util::skip("the kernel has no io_uring for this process");
    }
    let poll = Poll::with_backend(Backend::IoUring).unwrap();
    let (_stream, peer) = util::registered_pair(&poll, Token(1), READABLE);
    assert_eq!(poll.poll(&mut [Event::default()], Some(Duration::ZERO)).unwrap(), 0);
    util::write_all(&peer, b"x");
    std::thread::scope(|scope| {
        let elsewhere = || poll.poll(&mut [Event::default()], Some(util::DEADLINE));
        let refused = scope.spawn(elsewhere).join().unwrap();
        assert_eq!(util::errno(refused), libc::EEXIST);
        assert!(scope.spawn(|| poll.park(Some(util::DEADLINE))).join().unwrap().unwrap());
    });
    expect_event(&poll, Token(1), Event::READABLE);
}

#[test]
fn park_returns_whether_something_is_ready_and_takes_no_event() {
    let _alone = alone();
    let poll = util::poll();
    assert!(!poll.park(Some(Duration::ZERO)).unwrap());
    let (_stream, peer) = util::registered_pair(&poll, Token(1), READABLE);
    util::write_all(&peer, b"x");
    for _ in 0..3 {
        assert!(poll.park(Some(util::DEADLINE)).unwrap());
    }
    expect_event(&poll, Token(1), Event::READABLE);
    assert!(!poll.park(Some(Duration::ZERO)).unwrap(), "the event was taken");
}

#[test]
fn park_ends_when_its_time_is_over() {
    let _alone = alone();
    let poll = util::poll();
    let timeout = Duration::from_millis(10);
    let start = Instant::now();
    assert!(!poll.park(Some(timeout)).unwrap());
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
}

#[test]
fn park_without_limit_ends_when_woken() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), Token(5)).unwrap();
    std::thread::scope(|scope| {
        let parked = scope.spawn(|| poll.park(None));
        waker.wake().unwrap();
        assert!(parked.join().unwrap().unwrap());
    });
    expect_event(&poll, Token(5), Event::READABLE);
}

#[test]
fn one_source_may_have_one_event_or_two() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, address) = util::listener();
    poll.registry().register(&listener, Token(0), READABLE).unwrap();
    let client = TcpStream::connect(address).unwrap();
    poll.registry().register(&client, Token(1), READABLE | util::WRITABLE).unwrap();
    expect_events(&poll, &[(Token(0), Event::READABLE), (Token(1), Event::WRITABLE)]);
    let server = listener.accept().unwrap();
    util::write_all(&server, b"x");
    let bits = expect_event(&poll, Token(1), Event::READABLE);
    assert_eq!(bits & !(Event::READABLE | Event::WRITABLE), 0, "{bits}");
}
