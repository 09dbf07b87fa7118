//! `TcpListener`: binding, accepting, and what accepted streams start with.

#![allow(clippy::unwrap_used, reason = "set-up")]

mod util;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use denio_poll::{Event, ListenOptions, Poll, Socket, SocketOption, TcpListener, TcpStream, Token};
use util::{READABLE, alone, errno, eventually, expect_event, expect_silence};

const LISTENER: Token = Token(1);

fn registered() -> (Poll, TcpListener, SocketAddr) {
    let poll = util::poll();
    let (listener, address) = util::listener();
    poll.registry().register(&listener, LISTENER, READABLE).unwrap();
    (poll, listener, address)
}

#[test]
fn bind_to_port_0_picks_a_port() {
    let _alone = alone();
    let (_listener, address) = util::listener();
    assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
    assert_ne!(address.port(), 0);
}

#[test]
fn bind_refuses_an_address_in_use() {
    let _alone = alone();
    let (_listener, address) = util::listener();
    assert_eq!(errno(TcpListener::bind(address, &ListenOptions::default())), libc::EADDRINUSE);
}

#[test]
fn bind_refuses_an_address_of_another_machine() {
    let _alone = alone();
    // 192.0.2.0/24 is for documentation: RFC 5737.
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
    let refused = TcpListener::bind(elsewhere, &ListenOptions::default());
    assert_eq!(errno(refused), libc::EADDRNOTAVAIL);
}

#[test]
fn bind_again_just_after_serving_works() {
    let _alone = alone();
    let (listener, address) = util::listener();
    let client = TcpStream::connect(address).unwrap();
    // The server closes first, so that the port is left in TIME_WAIT.
    drop(eventually(|| listener.accept()).unwrap());
    drop((listener, client));
    TcpListener::bind(address, &ListenOptions::default()).unwrap();
}

#[test]
fn bind_with_reuse_port_shares_an_address() {
    let _alone = alone();
    let options = ListenOptions { reuse_port: true, ..ListenOptions::default() };
    let first = TcpListener::bind(util::loopback(), &options).unwrap();
    let address = first.local_address().unwrap();
    let _second = TcpListener::bind(address, &options).unwrap();
    let alone_there = TcpListener::bind(address, &ListenOptions::default());
    assert_eq!(errno(alone_there), libc::EADDRINUSE);
}

#[test]
fn bind_to_ipv6_accepts_from_it() {
    let _alone = alone();
    let any_port = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let listener = match TcpListener::bind(any_port, &ListenOptions::default()) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => {
            return util::skip("this machine has no IPv6 loopback");
        }
        listener => listener.unwrap(),
    };
    let address = listener.local_address().unwrap();
    let client = TcpStream::connect(address).unwrap();
    let server = eventually(|| listener.accept()).unwrap();
    assert!(address.is_ipv6());
    assert_eq!(server.peer_address().unwrap(), client.local_address().unwrap());
    assert_eq!(server.local_address().unwrap(), address);
    assert_eq!(client.peer_address().unwrap(), address);
}

#[test]
fn bind_to_ipv6_only_leaves_ipv4_to_others() {
    let _alone = alone();
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let only_v6 = ListenOptions { only_v6: true, ..ListenOptions::default() };
    let v6 = match TcpListener::bind(any, &only_v6) {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            return util::skip("this machine has no IPv6");
        }
        v6 => v6.unwrap(),
    };
    let port = v6.local_address().unwrap().port();
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    TcpListener::bind(v4, &ListenOptions::default()).unwrap();
}

#[test]
fn sockets_are_close_on_exec_and_do_not_block() {
    let _alone = alone();
    let before = util::descriptors();
    let (listener, address) = util::listener();
    let client = TcpStream::connect(address).unwrap();
    let server = eventually(|| listener.accept()).unwrap();
    assert!(util::new_ones_are_close_on_exec(&before));
    assert_eq!(errno(listener.accept()), libc::EAGAIN);
    assert_eq!(errno(client.read(&mut [0])), libc::EAGAIN);
    assert_eq!(errno(server.read(&mut [0])), libc::EAGAIN);
}

#[test]
fn accept_would_block_before_and_after_the_queue() {
    let _alone = alone();
    let (poll, listener, address) = registered();
    assert_eq!(errno(listener.accept()), libc::EAGAIN);
    expect_silence(&poll);
    let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    expect_event(&poll, LISTENER, Event::READABLE);
    let accepted: Vec<_> = clients.iter().map(|_| eventually(|| listener.accept())).collect();
    assert!(accepted.iter().all(Result::is_ok));
    assert_eq!(errno(listener.accept()), libc::EAGAIN);
}

#[test]
fn accept_names_the_peer() {
    let _alone = alone();
    let (listener, address) = util::listener();
    let client = TcpStream::connect(address).unwrap();
    let server = eventually(|| listener.accept()).unwrap();
    assert_eq!(server.peer_address().unwrap(), client.local_address().unwrap());
    assert_eq!(server.local_address().unwrap(), address);
}

#[test]
fn second_connection_after_the_drain_is_reported_without_registering_again() {
    let _alone = alone();
    let (poll, listener, address) = registered();
    for _ in 0..2 {
        let _client = TcpStream::connect(address).unwrap();
        expect_event(&poll, LISTENER, Event::READABLE);
        eventually(|| listener.accept()).unwrap();
        assert_eq!(errno(listener.accept()), libc::EAGAIN);
        expect_silence(&poll);
    }
}

#[test]
fn connections_left_in_the_queue_are_reported_with_the_next() {
    let _alone = alone();
    let (poll, listener, address) = registered();
    let _first = TcpStream::connect(address).unwrap();
    expect_event(&poll, LISTENER, Event::READABLE);
    expect_silence(&poll);
    let _second = TcpStream::connect(address).unwrap();
    if util::sees_edges(&poll) {
        expect_event(&poll, LISTENER, Event::READABLE);
    } else {
        // Only when the first has been accepted.
        expect_silence(&poll);
        listener.accept().unwrap();
        expect_event(&poll, LISTENER, Event::READABLE);
        listener.accept().unwrap();
        return;
    }
    for _ in 0..2 {
        eventually(|| listener.accept()).unwrap();
    }
}

#[test]
fn connections_left_in_the_queue_are_reported_when_registered_again() {
    let _alone = alone();
    let (poll, listener, address) = registered();
    let _clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
    expect_event(&poll, LISTENER, Event::READABLE);
    eventually(|| listener.accept()).unwrap();
    poll.registry().reregister(&listener, Token(2), READABLE).unwrap();
    expect_event(&poll, Token(2), Event::READABLE);
    eventually(|| listener.accept()).unwrap();
}

#[test]
fn connection_reset_in_the_queue_can_still_be_accepted_or_is_gone() {
    let _alone = alone();
    let (listener, address) = util::listener();
    let client = TcpStream::connect(address).unwrap();
    client.set_option(SocketOption::Linger, 1).unwrap();
    drop(client);
    let other = TcpStream::connect(address).unwrap();
    let mut peers = Vec::new();
    while peers.last() != Some(&other.local_address().unwrap()) {
        match eventually(|| listener.accept()) {
            Ok(stream) => peers.push(stream.peer_address().unwrap()),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECONNABORTED)),
        }
    }
    assert!(peers.len() <= 2, "{peers:?}");
}

#[test]
fn listener_is_healthy_and_says_so() {
    let _alone = alone();
    let (listener, _) = util::listener();
    assert!(listener.take_error().unwrap().is_none());
}

#[test]
fn listener_closed_with_queued_connections_gives_no_event() {
    let _alone = alone();
    let (poll, listener, address) = registered();
    let _client = TcpStream::connect(address).unwrap();
    drop(listener);
    expect_silence(&poll);
}

#[test]
fn accepted_streams_send_at_once_when_the_listener_has_nodelay() {
    let _alone = alone();
    for nodelay in [true, false] {
        let options = ListenOptions { nodelay, ..ListenOptions::default() };
        let listener = TcpListener::bind(util::loopback(), &options).unwrap();
        let _client = TcpStream::connect(listener.local_address().unwrap()).unwrap();
        let server = eventually(|| listener.accept()).unwrap();
        assert_eq!(server.option(SocketOption::Nodelay).unwrap(), u32::from(nodelay));
    }
}

#[test]
fn accepted_streams_have_the_listeners_probes_and_timeout() {
    use SocketOption::{Keepalive, KeepaliveCount, KeepaliveIdle, KeepaliveInterval, UserTimeout};
    let _alone = alone();
    let has_timeout = cfg!(linux);
    let numbers = denio_poll::Keepalive { idle: 7, interval: 3, count: 2 };
    for (keepalive, user_timeout_ms) in [(Some(numbers), 9_000), (None, 0)] {
        let options = ListenOptions { keepalive, user_timeout_ms, ..ListenOptions::default() };
        let listener = TcpListener::bind(util::loopback(), &options).unwrap();
        let _client = TcpStream::connect(listener.local_address().unwrap()).unwrap();
        let server = eventually(|| listener.accept()).unwrap();
        let option_of = |option| server.option(option).unwrap();
        assert_eq!(option_of(Keepalive), u32::from(keepalive.is_some()));
        if keepalive.is_some() {
            let probes = [KeepaliveIdle, KeepaliveInterval, KeepaliveCount].map(option_of);
            assert_eq!(probes, [7, 3, 2]);
        }
        if has_timeout {
            assert_eq!(option_of(UserTimeout), user_timeout_ms);
        }
    }
}

#[test]
fn listener_is_not_opened_with_numbers_out_of_range() {
    let _alone = alone();
    let nothing = denio_poll::Keepalive { idle: 1, interval: 0, count: 1 };
    let options = ListenOptions { keepalive: Some(nothing), ..ListenOptions::default() };
    let bound = TcpListener::bind(util::loopback(), &options);
    assert_eq!(util::errno(bound), libc::EINVAL);
}

#[test]
fn defaults_are_those_of_peers() {
    let options = ListenOptions::default();
    assert_eq!(options.backlog, 511);
    assert!(options.nodelay && !options.reuse_port && !options.only_v6);
    let keepalive = denio_poll::Keepalive { idle: 15, interval: 15, count: 9 };
    assert_eq!(options.keepalive, Some(keepalive));
}
