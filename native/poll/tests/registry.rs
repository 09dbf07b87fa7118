//! `Registry`: registering, replacing and leaving, here and from other threads.

mod util;

use std::sync::Arc;

use denio_poll::{Backend, Event, Interest, Poll, TcpStream, Token, Waker};
use util::{
    READABLE, WRITABLE, alone, drain, errno, expect_event, expect_events, expect_silence,
    read_exact, registered_pair, write_all,
};

const FIRST: Token = Token(1);
const SECOND: Token = Token(2);

#[test]
fn register_carries_any_token() {
    let _alone = alone();
    let poll = util::poll();
    for token in [0, 1, i32::MAX as u32, u32::MAX - 1, u32::MAX].map(Token) {
        let (stream, _peer) = util::pair();
        poll.registry().register(&stream, token, WRITABLE).unwrap();
        expect_event(&poll, token, Event::WRITABLE);
    }
}

#[test]
fn register_refuses_a_source_twice() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, FIRST, READABLE);
    assert_eq!(errno(poll.registry().register(&stream, SECOND, READABLE)), libc::EEXIST);
    write_all(&peer, b"x");
    expect_event(&poll, FIRST, Event::READABLE);
}

#[test]
fn register_refuses_a_source_of_another_poll() {
    let _alone = alone();
    let (first, second) = (util::poll(), util::poll());
    let (stream, peer) = registered_pair(&first, FIRST, READABLE);
    assert_eq!(errno(second.registry().register(&stream, SECOND, READABLE)), libc::EEXIST);
    assert_eq!(errno(second.registry().reregister(&stream, SECOND, READABLE)), libc::ENOENT);
    assert_eq!(errno(second.registry().deregister(&stream)), libc::ENOENT);
    write_all(&peer, b"x");
    expect_event(&first, FIRST, Event::READABLE);
    expect_silence(&second);

    first.registry().deregister(&stream).unwrap();
    second.registry().register(&stream, SECOND, READABLE).unwrap();
    expect_event(&second, SECOND, Event::READABLE);
}

#[test]
fn a_source_whose_poll_is_gone_can_be_registered_elsewhere() {
    let _alone = alone();
    for backend in Backend::available() {
        let first = Poll::with_backend(*backend).unwrap();
        let registry = first.registry().try_clone().unwrap();
        let (stream, peer) = registered_pair(&first, FIRST, READABLE);
        drop(first);
        let second = Poll::with_backend(*backend).unwrap();
        let refused = second.registry().register(&stream, SECOND, READABLE);
        assert_eq!(errno(refused), libc::EEXIST, "the clone keeps it");
        drop(registry);
        second.registry().register(&stream, SECOND, READABLE).unwrap();
        write_all(&peer, b"x");
        expect_event(&second, SECOND, Event::READABLE);
        second.registry().deregister(&stream).unwrap();
    }
}

#[test]
fn unregistered_sources_are_neither_replaced_nor_removed() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, _) = util::listener();
    assert_eq!(errno(poll.registry().reregister(&listener, FIRST, READABLE)), libc::ENOENT);
    assert_eq!(errno(poll.registry().deregister(&listener)), libc::ENOENT);
    poll.registry().register(&listener, FIRST, READABLE).unwrap();
    poll.registry().deregister(&listener).unwrap();
    assert_eq!(errno(poll.registry().deregister(&listener)), libc::ENOENT);
    assert_eq!(errno(poll.registry().reregister(&listener, FIRST, READABLE)), libc::ENOENT);
}

#[test]
fn reregister_replaces_token_and_interest() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, FIRST, READABLE);
    poll.registry().reregister(&stream, SECOND, WRITABLE).unwrap();
    assert_eq!(expect_event(&poll, SECOND, Event::WRITABLE), Event::WRITABLE);
    write_all(&peer, b"not asked for any more");
    expect_silence(&poll);
}

#[test]
fn reregister_with_the_same_arguments_is_fine() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, FIRST, READABLE);
    for _ in 0..3 {
        poll.registry().reregister(&stream, FIRST, READABLE).unwrap();
    }
    expect_silence(&poll);
    write_all(&peer, b"x");
    expect_event(&poll, FIRST, Event::READABLE);
}

#[test]
fn reregister_fires_again_when_ready_now() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, FIRST, READABLE);
    write_all(&peer, b"x");
    expect_event(&poll, FIRST, Event::READABLE);
    expect_silence(&poll);
    poll.registry().reregister(&stream, SECOND, READABLE).unwrap();
    expect_event(&poll, SECOND, Event::READABLE);
}

#[test]
fn reregister_for_an_interest_that_is_not_ready_drops_a_pending_event() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, _peer) = util::pair();
    poll.registry().register(&stream, FIRST, WRITABLE).unwrap();
    poll.registry().reregister(&stream, FIRST, READABLE).unwrap();
    expect_silence(&poll);
}

#[test]
fn deregister_silences_and_leaves_the_source_working() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, FIRST, READABLE | WRITABLE);
    write_all(&peer, b"pending");
    poll.registry().deregister(&stream).unwrap();
    expect_silence(&poll);
    assert_eq!(read_exact(&stream, 7), b"pending");
    assert_eq!(errno(stream.read(&mut [0])), libc::EAGAIN);
    assert_eq!(stream.write(b"reply").unwrap(), 5);
    write_all(&peer, b"more");
    expect_silence(&poll);
}

#[test]
fn register_after_deregister_works_again() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, address) = util::listener();
    poll.registry().register(&listener, FIRST, READABLE).unwrap();
    poll.registry().deregister(&listener).unwrap();
    poll.registry().register(&listener, SECOND, READABLE).unwrap();
    expect_silence(&poll);
    let _client = TcpStream::connect(address).unwrap();
    expect_event(&poll, SECOND, Event::READABLE);
}

#[test]
fn register_reports_earlier_readiness() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = util::pair();
    write_all(&peer, b"early");
    poll.registry().register(&stream, FIRST, READABLE).unwrap();
    expect_event(&poll, FIRST, Event::READABLE);
}

#[test]
fn reregister_just_after_a_poll_gives_the_new_token_only() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, address) = util::listener();
    poll.registry().register(&listener, FIRST, READABLE).unwrap();
    expect_silence(&poll);
    poll.registry().reregister(&listener, SECOND, READABLE).unwrap();
    let _client = TcpStream::connect(address).unwrap();
    expect_event(&poll, SECOND, Event::READABLE);
    expect_silence(&poll);
}

#[test]
fn deregistered_listener_with_a_queued_connection_gives_no_event() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), SECOND).unwrap();
    let (listener, address) = util::listener();
    poll.registry().register(&listener, FIRST, READABLE).unwrap();
    let _client = TcpStream::connect(address).unwrap();
    expect_event(&poll, FIRST, Event::READABLE);
    poll.registry().deregister(&listener).unwrap();
    waker.wake().unwrap();
    expect_event(&poll, SECOND, Event::READABLE);
    expect_silence(&poll);
}

#[test]
fn clone_is_of_the_same_selector() {
    let _alone = alone();
    let poll = util::poll();
    let clone = poll.registry().try_clone().unwrap();
    let again = clone.try_clone().unwrap();
    let (stream, _peer) = util::pair();
    clone.register(&stream, FIRST, WRITABLE).unwrap();
    expect_event(&poll, FIRST, Event::WRITABLE);
    again.reregister(&stream, SECOND, WRITABLE).unwrap();
    expect_event(&poll, SECOND, Event::WRITABLE);
    poll.registry().deregister(&stream).unwrap();
    assert_eq!(errno(clone.deregister(&stream)), libc::ENOENT);
}

#[test]
fn clone_outlives_its_poll() {
    let _alone = alone();
    let poll = util::poll();
    let clone = poll.registry().try_clone().unwrap();
    drop(poll);
    let (listener, _) = util::listener();
    clone.register(&listener, FIRST, READABLE).unwrap();
    clone.deregister(&listener).unwrap();
}

#[test]
fn register_on_another_thread_ends_a_wait() {
    let _alone = alone();
    let poll = util::poll();
    let clone = Arc::new(poll.registry().try_clone().unwrap());
    let (stream, _peer) = util::pair();
    std::thread::scope(|scope| {
        let wait = scope.spawn(|| poll.poll(&mut [Event::default()], None));
        clone.register(&stream, FIRST, WRITABLE).unwrap();
        assert_eq!(wait.join().unwrap().unwrap(), 1);
    });
}

#[test]
fn threads_may_register_replace_and_remove_at_once() {
    let _alone = alone();
    let poll = util::poll();
    let done = Token(u32::MAX);
    let waker = Waker::new(poll.registry(), done).unwrap();
    let churn = |number: u32| {
        let registry = poll.registry().try_clone().unwrap();
        let (stream, _peer) = util::pair();
        for round in 0..300 {
            registry.register(&stream, Token(number), READABLE | WRITABLE).unwrap();
            registry.reregister(&stream, Token(number + round % 2), READABLE).unwrap();
            registry.deregister(&stream).unwrap();
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..3_u32).map(|number| scope.spawn(move || churn(number * 10))).collect();
        let mut events = [Event::default(); 8];
        scope.spawn(|| {
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            waker.wake().unwrap();
        });
        while !events.iter().any(|event| event.token() == done) {
            let count = poll.poll(&mut events, Some(util::DEADLINE)).unwrap();
            assert_ne!(count, 0, "no event until the deadline");
        }
    });
    expect_silence(&poll);
}

#[test]
fn one_source_is_registered_by_one_of_many_threads() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, _) = util::listener();
    for _ in 0..50 {
        let registered: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|number| {
                    let (poll, listener) = (&poll, &listener);
                    scope.spawn(move || {
                        poll.registry().register(listener, Token(number), READABLE).is_ok()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(registered, 1);
        poll.registry().deregister(&listener).unwrap();
    }
}

#[test]
#[cfg_attr(not(linux), ignore = "only epoll reports urgent data")]
fn priority_reports_urgent_data() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, address) = util::listener();
    let peer = std::net::TcpStream::connect(address).unwrap();
    let stream = util::eventually(|| listener.accept()).unwrap();
    let interest = READABLE | Interest::PRIORITY;
    poll.registry().register(&stream, FIRST, interest).unwrap();
    expect_silence(&poll);
    socket2::SockRef::from(&peer).send_out_of_band(b"!").unwrap();
    let bits = expect_event(&poll, FIRST, Event::READABLE | Event::PRIORITY);
    assert_eq!(bits & (Event::READ_CLOSED | Event::WRITE_CLOSED | Event::ERROR), 0);
}

#[test]
fn a_read_ends_at_an_urgent_byte_that_the_priority_event_reports() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, address) = util::listener();
    let peer = std::net::TcpStream::connect(address).unwrap();
    let stream = util::eventually(|| listener.accept()).unwrap();
    let peer = socket2::SockRef::from(&peer);
    peer.send(b"ab").unwrap();
    peer.send_out_of_band(b"!").unwrap();
    peer.send(b"cd").unwrap();
    poll.registry().register(&stream, FIRST, READABLE | Interest::PRIORITY).unwrap();
    expect_event(&poll, FIRST, Event::READABLE | Event::PRIORITY);
    let mut bytes = [0; 16];
    assert_eq!(stream.read(&mut bytes).unwrap(), 2, "the rest is behind the urgent byte");
    assert_eq!(util::read_exact(&stream, 2), b"cd");
    assert_eq!(util::errno(stream.read(&mut bytes)), libc::EAGAIN);
}

#[test]
fn many_sources_are_each_reported_under_their_own_token() {
    let _alone = alone();
    let poll = util::poll();
    let pairs: Vec<_> =
        (0..50).map(|number| registered_pair(&poll, Token(number), READABLE)).collect();
    let odd: Vec<_> = (0..50).filter(|number| number % 2 == 1).collect();
    for number in &odd {
        write_all(&pairs[*number].1, b"x");
    }
    let expected: Vec<_> =
        odd.iter().map(|number| (Token(*number as u32), Event::READABLE)).collect();
    expect_events(&poll, &expected);
    expect_silence(&poll);
    for (number, (stream, _)) in pairs.iter().enumerate() {
        assert_eq!(drain(stream).0.len(), number % 2, "{number}");
    }
}

#[test]
fn listener_stream_and_waker_share_a_poll() {
    let _alone = alone();
    let poll = util::poll();
    let waker = Waker::new(poll.registry(), Token(0)).unwrap();
    let (listener, address) = util::listener();
    poll.registry().register(&listener, FIRST, READABLE).unwrap();
    let client = TcpStream::connect(address).unwrap();
    poll.registry().register(&client, SECOND, WRITABLE).unwrap();
    waker.wake().unwrap();
    expect_events(
        &poll,
        &[(Token(0), Event::READABLE), (FIRST, Event::READABLE), (SECOND, Event::WRITABLE)],
    );
    expect_silence(&poll);
}
