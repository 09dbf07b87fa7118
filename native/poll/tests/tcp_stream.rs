//! `TcpStream`: connecting, edges, ends, resets, and writes to the dead.

mod util;

use std::net::Shutdown;

use denio_poll::{Event, Socket, SocketOption, TcpStream, Token};
use util::{
    READABLE, WRITABLE, alone, drain, errno, eventually, expect_event, expect_silence, fill,
    read_exact, registered_pair, write_all,
};

const STREAM: Token = Token(1);

// Connecting.

#[test]
fn connect_ends_with_a_writable_event() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, address) = util::listener();
    let stream = TcpStream::connect(address).unwrap();
    poll.registry().register(&stream, STREAM, WRITABLE).unwrap();
    expect_event(&poll, STREAM, Event::WRITABLE);
    assert!(stream.take_error().unwrap().is_none());
    assert_eq!(stream.peer_address().unwrap(), address);
    let server = eventually(|| listener.accept()).unwrap();
    assert_eq!(server.peer_address().unwrap(), stream.local_address().unwrap());
}

#[test]
fn peer_key_is_of_the_address_and_not_of_the_port() {
    let _alone = alone();
    let (listener, address) = util::listener();
    let clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
    let [one, other] = [(); 2].map(|()| eventually(|| listener.accept()).unwrap());
    assert_ne!(one.peer_address().unwrap(), other.peer_address().unwrap());
    let key = one.peer_key().unwrap();
    assert_eq!(other.peer_key().unwrap(), key);
    assert!((1..=i32::MAX as u32).contains(&key), "{key}");
    drop(clients);
}

#[test]
fn connect_refused_ends_both_ways_and_keeps_its_error_for_one_asking() {
    let _alone = alone();
    let poll = util::poll();
    let stream = TcpStream::connect(util::unused_address()).unwrap();
    poll.registry().register(&stream, STREAM, READABLE | WRITABLE).unwrap();
    let bits = expect_event(&poll, STREAM, Event::WRITE_CLOSED);
    assert_ne!(bits & (Event::WRITABLE | Event::ERROR), 0, "{bits}");
    let error = stream.take_error().unwrap().unwrap();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    assert!(stream.take_error().unwrap().is_none(), "it was taken");
    assert_eq!(errno(stream.peer_address()), libc::ENOTCONN);
}

#[test]
fn connect_to_a_server_that_drops_at_once_is_reported() {
    let _alone = alone();
    let poll = util::poll();
    let (listener, address) = util::listener();
    let stream = TcpStream::connect(address).unwrap();
    poll.registry().register(&stream, STREAM, READABLE).unwrap();
    drop(eventually(|| listener.accept()).unwrap());
    expect_event(&poll, STREAM, Event::READABLE | Event::READ_CLOSED);
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn many_writes_succeed_right_after_the_first_writable_event() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, WRITABLE);
    for _ in 0..16 {
        assert_eq!(stream.write(&[7; 1024]).unwrap(), 1024);
    }
    assert_eq!(read_exact(&peer, 16 * 1024), [7; 16 * 1024]);
}

// Edges.

#[test]
fn readable_stream_with_nothing_to_read_is_silent() {
    let _alone = alone();
    let poll = util::poll();
    let (_stream, _peer) = registered_pair(&poll, STREAM, READABLE);
    expect_silence(&poll);
}

#[test]
fn idle_stream_is_writable_once() {
    let _alone = alone();
    let poll = util::poll();
    let (_stream, _peer) = registered_pair(&poll, STREAM, READABLE | WRITABLE);
    expect_silence(&poll);
}

#[test]
fn data_is_reported_once_for_each_arrival() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, READABLE);
    for _ in 0..2 {
        write_all(&peer, b"some");
        assert_eq!(expect_event(&poll, STREAM, Event::READABLE), Event::READABLE);
        expect_silence(&poll);
        assert_eq!(drain(&stream), (b"some".to_vec(), false));
        expect_silence(&poll);
    }
}

#[test]
fn read_that_leaves_data_is_reported_again_where_edges_are_emulated() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, READABLE);
    write_all(&peer, b"abcd");
    expect_event(&poll, STREAM, Event::READABLE);
    assert_eq!(read_exact(&stream, 2), b"ab");
    if util::sees_edges(&poll) {
        expect_silence(&poll);
    } else {
        expect_event(&poll, STREAM, Event::READABLE);
    }
    assert_eq!(drain(&stream), (b"cd".to_vec(), false));
}

#[test]
fn room_is_reported_after_there_was_none() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, WRITABLE);
    let written = fill(&stream);
    expect_silence(&poll);
    assert_eq!(read_exact(&peer, written).len(), written);
    expect_event(&poll, STREAM, Event::WRITABLE);
    assert!(stream.write(b"more").is_ok());
}

#[test]
fn megabytes_go_through_on_edges() {
    let _alone = alone();
    let (source, sink) = util::pair();
    util::expect_megabytes_on_edges(&source, &sink);
}

#[test]
fn peek_leaves_the_data_and_makes_no_event() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, READABLE);
    assert_eq!(errno(stream.peek(&mut [0; 8])), libc::EAGAIN);
    write_all(&peer, b"twice");
    expect_event(&poll, STREAM, Event::READABLE);
    for _ in 0..2 {
        let mut buffer = [0; 8];
        assert_eq!(stream.peek(&mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"twice");
        expect_silence(&poll);
    }
    assert_eq!(drain(&stream), (b"twice".to_vec(), false));
    write_all(&peer, b"more");
    expect_event(&poll, STREAM, Event::READABLE);
    assert_eq!(stream.peek(&mut []).unwrap(), 0);
}

#[test]
fn peek_that_would_block_waits_for_the_next_data() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, READABLE);
    for _ in 0..2 {
        write_all(&peer, b"some");
        expect_event(&poll, STREAM, Event::READABLE);
        assert_eq!(read_exact(&stream, 4), b"some");
        assert_eq!(errno(stream.peek(&mut [0; 8])), libc::EAGAIN);
        expect_silence(&poll);
    }
}

#[test]
fn clone_is_of_the_same_connection_and_registered_by_itself() {
    let _alone = alone();
    let poll = util::poll();
    let before = util::descriptors();
    let (stream, peer) = registered_pair(&poll, STREAM, READABLE);
    let clone = stream.try_clone().unwrap();
    assert!(util::new_ones_are_close_on_exec(&before));
    assert_eq!(clone.peer_address().unwrap(), stream.peer_address().unwrap());
    poll.registry().register(&clone, Token(2), READABLE).unwrap();
    drop(stream);
    write_all(&peer, b"still");
    expect_event(&poll, Token(2), Event::READABLE);
    assert_eq!(drain(&clone), (b"still".to_vec(), false));
}

// Ends.

#[test]
fn read_of_an_idle_stream_would_block() {
    let _alone = alone();
    let (stream, _peer) = util::pair();
    assert_eq!(errno(stream.read(&mut [0; 8])), libc::EAGAIN);
}

#[test]
fn dropped_stream_is_the_end_for_its_peer() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, READABLE);
    drop(peer);
    let bits = expect_event(&poll, STREAM, Event::READABLE | Event::READ_CLOSED);
    assert_eq!(bits & (Event::ERROR | Event::WRITE_CLOSED), 0, "{bits}");
    assert_eq!(drain(&stream), (vec![], true));
}

#[test]
fn bytes_written_before_the_drop_arrive_before_the_end() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, READABLE);
    write_all(&peer, b"last words");
    drop(peer);
    expect_event(&poll, STREAM, Event::READABLE | Event::READ_CLOSED);
    assert_eq!(drain(&stream), (b"last words".to_vec(), true));
}

#[test]
fn half_closed_peer_can_still_be_written_to() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, READABLE | WRITABLE);
    write_all(&peer, b"question");
    peer.shutdown(Shutdown::Write).unwrap();
    let bits = expect_event(&poll, STREAM, Event::READABLE | Event::READ_CLOSED);
    assert_eq!(bits & Event::WRITE_CLOSED, 0, "{bits}");
    assert_eq!(drain(&stream), (b"question".to_vec(), true));
    write_all(&stream, b"answer");
    assert_eq!(read_exact(&peer, 6), b"answer");
}

#[test]
fn shutdown_of_reading_makes_an_event() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, _peer) = registered_pair(&poll, STREAM, READABLE);
    stream.shutdown(Shutdown::Read).unwrap();
    expect_event(&poll, STREAM, Event::READABLE | Event::READ_CLOSED);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn shutdown_of_writing_leaves_reading() {
    let _alone = alone();
    let (stream, peer) = util::pair();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(errno(stream.write(b"x")), libc::EPIPE);
    write_all(&peer, b"still");
    assert_eq!(read_exact(&stream, 5), b"still");
}

#[test]
fn shutdown_of_both_closes_both() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, _peer) = registered_pair(&poll, STREAM, READABLE | WRITABLE);
    stream.shutdown(Shutdown::Both).unwrap();
    expect_event(&poll, STREAM, Event::READ_CLOSED | Event::WRITE_CLOSED);
}

// Resets, and writes to the dead.

#[test]
fn reset_by_the_peer_is_reported_and_ends_reading() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, READABLE | WRITABLE);
    peer.set_option(SocketOption::Linger, 1).unwrap();
    drop(peer);
    expect_event(&poll, STREAM, Event::READABLE | Event::READ_CLOSED | Event::WRITE_CLOSED);
    assert_eq!(errno(stream.read(&mut [0])), libc::ECONNRESET);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn reset_on_close_can_be_taken_back() {
    let _alone = alone();
    let (stream, peer) = util::pair();
    peer.set_option(SocketOption::Linger, 1).unwrap();
    peer.set_option(SocketOption::Linger, 0).unwrap();
    drop(peer);
    assert_eq!(eventually(|| stream.read(&mut [0])).unwrap(), 0);
}

#[test]
fn peer_that_closes_on_unread_data_resets_and_then_is_silent() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = registered_pair(&poll, STREAM, READABLE | WRITABLE);
    write_all(&stream, b"never read");
    drop(peer);
    expect_event(&poll, STREAM, Event::READ_CLOSED);
    expect_silence(&poll);
    let read = stream.read(&mut [0; 16]);
    assert!(
        matches!(
            read.as_ref().map_err(|error| error.raw_os_error()),
            Ok(0) | Err(Some(libc::ECONNRESET))
        ),
        "{read:?}"
    );
}

#[test]
fn write_to_a_dead_peer_ends_in_an_error_and_no_signal() {
    let _alone = alone();
    let (stream, peer) = util::pair();
    drop(peer);
    let (error, again) = util::with_deadly_sigpipe(|| {
        let error = std::iter::repeat_with(|| eventually(|| stream.write(b"anyone?")))
            .take(100_000)
            .find_map(Result::err);
        (error, stream.write(b"anyone?"))
    });
    let error = error.and_then(|error| error.raw_os_error());
    assert!(matches!(error, Some(libc::EPIPE | libc::ECONNRESET)), "{error:?}");
    assert_eq!(errno(again), libc::EPIPE);
}

#[test]
fn accepted_stream_knows_its_peer_after_a_reset() {
    let _alone = alone();
    let poll = util::poll();
    let (client, server) = util::pair();
    let address = client.local_address().unwrap();
    poll.registry().register(&server, STREAM, READABLE).unwrap();
    client.set_option(SocketOption::Linger, 1).unwrap();
    drop(client);
    expect_event(&poll, STREAM, Event::READ_CLOSED);
    assert_eq!(server.peer_address().unwrap(), address);
}

// The rest.

#[test]
fn healthy_stream_has_no_error() {
    let _alone = alone();
    let (stream, peer) = util::pair();
    assert!(stream.take_error().unwrap().is_none());
    assert!(peer.take_error().unwrap().is_none());
}

#[test]
fn empty_reads_and_writes_are_zero() {
    let _alone = alone();
    let (stream, _peer) = util::pair();
    assert_eq!(stream.write(&[]).unwrap(), 0);
    // The system differs here: Linux would say EAGAIN, FreeBSD 0.
    assert_eq!(stream.read(&mut []).unwrap(), 0);
}
