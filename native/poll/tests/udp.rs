//! `UdpSocket`: datagrams of every length, one peer or any, errors that come back, groups.

#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, reason = "set-up")]

mod util;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use denio_poll::{
    BindOptions, Datagram, Event, Membership, Poll, Socket, SocketOption, Token, UdpSocket,
};
use util::{READABLE, WRITABLE, alone, errno, eventually, expect_event, expect_silence};

const UDP: Token = Token(1);

fn bound_to(address: &str) -> (UdpSocket, SocketAddr) {
    let udp = UdpSocket::bind(address.parse().unwrap(), &BindOptions::default()).unwrap();
    let address = udp.local_address().unwrap();
    (udp, address)
}

fn bound() -> (UdpSocket, SocketAddr) {
    bound_to("127.0.0.1:0")
}

/// Two sockets, connected to each other.
fn pair() -> (UdpSocket, UdpSocket) {
    let ((one, at_one), (other, at_other)) = (bound(), bound());
    one.connect(at_other).unwrap();
    other.connect(at_one).unwrap();
    (one, other)
}

/// A socket registered for reading, and its connected peer.
fn registered_pair(poll: &Poll) -> (UdpSocket, UdpSocket) {
    let (udp, peer) = pair();
    poll.registry().register(&udp, UDP, READABLE).unwrap();
    (udp, peer)
}

fn received(udp: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let count = eventually(|| udp.receive(&mut buffer)).unwrap().count;
    buffer[..count].to_vec()
}

#[test]
fn datagrams_have_their_sender() {
    let _alone = alone();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let ((one, at_one), (other, at_other)) = (bound_to(address), bound_to(address));
        assert_ne!(at_one.port(), 0);
        assert_eq!(one.send_to(b"hello", at_other).unwrap(), 5);
        let mut buffer = [0; 16];
        let came = eventually(|| other.receive(&mut buffer)).unwrap();
        assert_eq!(came, Datagram { count: 5, is_cut: false, from: at_one });
        assert_eq!(&buffer[..5], b"hello");
    }
}

#[test]
fn connected_sockets_need_no_address_and_receive_from_no_other() {
    let _alone = alone();
    let (one, other) = pair();
    assert_eq!(one.peer_address().unwrap(), other.local_address().unwrap());
    let (stranger, _) = bound();
    stranger.send_to(b"not this", other.local_address().unwrap()).unwrap();
    assert_eq!(one.send(b"this").unwrap(), 4);
    assert_eq!(received(&other), b"this");
    assert_eq!(errno(other.receive(&mut [0; 16])), libc::EAGAIN);
}

#[test]
fn unconnected_socket_has_no_peer() {
    let _alone = alone();
    let (udp, _) = bound();
    assert_eq!(errno(udp.peer_address()), libc::ENOTCONN);
    assert_eq!(errno(udp.send(b"to whom?")), libc::EDESTADDRREQ);
}

#[test]
fn empty_datagrams_are_datagrams() {
    let _alone = alone();
    let poll = util::poll();
    let (udp, peer) = registered_pair(&poll);
    for _ in 0..2 {
        assert_eq!(peer.send(b"").unwrap(), 0);
        expect_event(&poll, UDP, Event::READABLE);
        assert_eq!(udp.receive(&mut [0; 16]).unwrap().count, 0);
        assert_eq!(errno(udp.receive(&mut [0; 16])), libc::EAGAIN);
    }
    // Also into no room, which then takes one.
    assert_eq!(errno(udp.receive(&mut [])), libc::EAGAIN);
    peer.send(b"").unwrap();
    peer.send(b"second").unwrap();
    assert!(!eventually(|| udp.receive(&mut [])).unwrap().is_cut, "it has no bytes");
    assert_eq!(received(&udp), b"second");
}

#[test]
fn bytes_beyond_the_buffer_are_lost_and_the_loss_is_reported() {
    let _alone = alone();
    let (one, other) = pair();
    one.send(b"abcdef").unwrap();
    one.send(b"next").unwrap();
    let mut buffer = *b"......";
    let came = eventually(|| other.receive(&mut buffer[..2])).unwrap();
    assert_eq!((came.count, came.is_cut), (2, true));
    assert_eq!(&buffer, b"ab....");
    assert_eq!(received(&other), b"next");
}

#[test]
fn too_long_a_datagram_is_not_sent_at_all() {
    let _alone = alone();
    let (one, other) = pair();
    assert_eq!(errno(one.send(&[0; 65_536])), libc::EMSGSIZE);
    assert_eq!(errno(other.receive(&mut [0; 16])), libc::EAGAIN);
}

#[test]
fn bound_address_is_taken_but_for_those_that_share_it() {
    let _alone = alone();
    let (_udp, address) = bound();
    assert_eq!(errno(UdpSocket::bind(address, &BindOptions::default())), libc::EADDRINUSE);
    for options in [
        BindOptions { reuse_port: true, ..BindOptions::default() },
        BindOptions { reuse_address: true, ..BindOptions::default() },
    ] {
        let first = UdpSocket::bind(util::loopback(), &options).unwrap();
        let second = UdpSocket::bind(first.local_address().unwrap(), &options);
        assert!(second.is_ok(), "{options:?}: {second:?}");
        assert_eq!(first.option(SocketOption::ReusePort).unwrap(), u32::from(options.reuse_port));
    }
}

#[test]
fn only_v6_leaves_v4_to_others() {
    let _alone = alone();
    let options = BindOptions { only_v6: true, ..BindOptions::default() };
    let udp = UdpSocket::bind("[::]:0".parse().unwrap(), &options).unwrap();
    assert_eq!(udp.option(SocketOption::OnlyV6).unwrap(), 1);
    let v4 = SocketAddr::from(([0, 0, 0, 0], udp.local_address().unwrap().port()));
    UdpSocket::bind(v4, &BindOptions::default()).unwrap();
}

// Readiness.

#[test]
fn datagrams_are_reported_once_for_each_arrival() {
    let _alone = alone();
    let poll = util::poll();
    let (udp, peer) = registered_pair(&poll);
    expect_silence(&poll);
    for _ in 0..2 {
        peer.send(b"some").unwrap();
        assert_eq!(expect_event(&poll, UDP, Event::READABLE), Event::READABLE);
        expect_silence(&poll);
        assert_eq!(received(&udp), b"some");
        assert_eq!(errno(udp.receive(&mut [0; 8])), libc::EAGAIN);
        expect_silence(&poll);
    }
}

#[test]
fn socket_is_writable_once() {
    let _alone = alone();
    let poll = util::poll();
    let (udp, _peer) = pair();
    poll.registry().register(&udp, UDP, WRITABLE).unwrap();
    expect_event(&poll, UDP, Event::WRITABLE);
    expect_silence(&poll);
}

#[test]
fn peek_leaves_the_datagram_and_makes_no_event() {
    let _alone = alone();
    let poll = util::poll();
    let (udp, peer) = registered_pair(&poll);
    assert_eq!(errno(udp.peek(&mut [0; 8])), libc::EAGAIN);
    peer.send(b"twice").unwrap();
    expect_event(&poll, UDP, Event::READABLE);
    let mut buffer = [0; 8];
    assert_eq!(udp.peek(&mut buffer).unwrap().count, 5);
    assert!(udp.peek(&mut []).unwrap().is_cut);
    let from = peer.local_address().unwrap();
    let cut = Datagram { count: 2, is_cut: true, from };
    assert_eq!(udp.peek(&mut buffer[..2]).unwrap(), cut);
    expect_silence(&poll);
    assert_eq!(received(&udp), b"twice");
    assert_eq!(errno(udp.peek(&mut buffer)), libc::EAGAIN);
    peer.send(b"again").unwrap();
    expect_event(&poll, UDP, Event::READABLE);
}

#[test]
fn refused_datagram_is_an_error_of_the_next_call_and_the_socket_goes_on() {
    let _alone = alone();
    type Asks = fn(&UdpSocket) -> Option<i32>;
    let asks: [Asks; 4] = [
        |udp| udp.receive(&mut [0; 8]).err()?.raw_os_error(),
        |udp| udp.peek(&mut [0; 8]).err()?.raw_os_error(),
        |udp| udp.send(b"again").err()?.raw_os_error(),
        |udp| udp.take_error().ok()??.raw_os_error(),
    ];
    for asks in asks {
        let poll = util::poll();
        let (udp, peer) = registered_pair(&poll);
        let at_peer = peer.local_address().unwrap();
        drop(peer);
        udp.send(b"anyone?").unwrap();
        expect_event(&poll, UDP, Event::ERROR);
        assert_eq!(asks(&udp), Some(libc::ECONNREFUSED));
        let peer = UdpSocket::bind(at_peer, &BindOptions::default()).unwrap();
        peer.send_to(b"now", udp.local_address().unwrap()).unwrap();
        expect_event(&poll, UDP, Event::READABLE);
        assert_eq!(received(&udp), b"now");
    }
}

#[test]
fn clone_has_the_events_of_the_socket() {
    let _alone = alone();
    let (one, other) = pair();
    let clone = other.try_clone().unwrap();
    drop(other);
    one.send(b"hello").unwrap();
    assert_eq!(received(&clone), b"hello");
}

// Groups.

#[test]
fn group_is_received_between_joining_and_leaving() {
    let _alone = alone();
    let group = Ipv4Addr::new(239, 255, 41, 7);
    let membership = Membership::V4 { group, interface: Ipv4Addr::LOCALHOST };
    let (udp, address) = bound_to("0.0.0.0:0");
    let to_group = SocketAddr::from((group, address.port()));
    // From the loopback address, so that it is sent by the loopback interface.
    let (sender, _) = bound();
    sender.send_to(b"too early", to_group).unwrap();
    udp.join(&membership).unwrap();
    assert_eq!(errno(udp.join(&membership)), libc::EADDRINUSE);
    sender.send_to(b"to all", to_group).unwrap();
    assert_eq!(received(&udp), b"to all");
    udp.leave(&membership).unwrap();
    assert_eq!(errno(udp.leave(&membership)), libc::EADDRNOTAVAIL);
    sender.send_to(b"too late", to_group).unwrap();
    sender.send_to(b"to one", SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))).unwrap();
    assert_eq!(received(&udp), b"to one");
}

#[test]
fn v6_group_is_joined_by_the_index_of_an_interface() {
    let _alone = alone();
    let names = [c"lo", c"lo0"];
    // SAFETY: both are strings that end with zero.
    let index = names.map(|name| unsafe { libc::if_nametoindex(name.as_ptr()) });
    let interface = index.into_iter().max().unwrap();
    let group = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0xde10, 1);
    let membership = Membership::V6 { group, interface };
    let (udp, address) = bound_to("[::]:0");
    udp.join(&membership).unwrap();
    let (sender, _) = bound_to("[::]:0");
    let to_group = std::net::SocketAddrV6::new(group, address.port(), 0, interface);
    match sender.send_to(b"to all", to_group.into()) {
        Ok(_) => assert_eq!(received(&udp), b"to all"),
        Err(error) => util::skip(&format!("no way to an IPv6 group here: {error}")),
    }
    udp.leave(&membership).unwrap();
    assert_eq!(errno(udp.leave(&membership)), libc::EADDRNOTAVAIL);
}

#[test]
fn only_groups_can_be_joined() {
    let _alone = alone();
    let (udp, _) = bound();
    let membership =
        Membership::V4 { group: Ipv4Addr::LOCALHOST, interface: Ipv4Addr::UNSPECIFIED };
    assert_eq!(errno(udp.join(&membership)), libc::EINVAL);
}
