//! What a hostile or unlucky program does: nobody waits for ever, and nothing is left behind.

#![cfg(target_os = "linux")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a failure here is the test's")]

mod util;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use denio_proactor::{Code, HeldInbox, Kind, Options, Request};
use util::{Fixture, LIMIT, OPTIONS, on, reap, receive, request, send, timeout};

fn fixture(operations: u32) -> Fixture {
    Fixture::new(&Options { operations, ..OPTIONS })
}

#[test]
fn who_was_refused_hears_of_room_beside_operations_that_wait_for_ever() {
    let mut fixture = fixture(4);
    let idle = [timeout(1, 1e9), timeout(2, 1e9), timeout(3, 1e9)];
    fixture.submit(&idle, &[]);
    fixture.submit(&[request(Code::Nop, 4)], &[]);
    assert_eq!(fixture.try_submit(&[request(Code::Nop, 5)], &[]).unwrap(), 0);
    let ended = fixture.expect_one();
    assert_eq!((ended.token(), ended.is_drained()), (4, false));
    let notice = fixture.expect_one();
    assert_eq!((notice.token(), notice.is_drained()), (5, true));
    fixture.submit(&[request(Code::Nop, 5)], &[]);
    assert_eq!(fixture.expect_one().token(), 5);
}

#[test]
fn a_reaper_that_was_refused_hears_of_room_beside_operations_that_wait_for_ever() {
    let mut fixture = fixture(8);
    let inbox = fixture.proactor.reaper(3).unwrap();
    fixture.names.reapers.push(Arc::clone(&inbox));
    let named = |request| Request { reaper: 1.0, ..request };
    let requests = [timeout(1, 1e9), timeout(2, 1e9), request(Code::Nop, 3)].map(named);
    fixture.submit(&requests, &[]);
    assert_eq!(fixture.try_submit(&[named(request(Code::Nop, 4))], &[]).unwrap(), 0);
    fixture.expect_none();
    let mut ended = reap(&inbox, Some(LIMIT)).unwrap();
    if ended.len() == 1 {
        ended.extend(reap(&inbox, Some(LIMIT)).unwrap());
    }
    assert_eq!((ended[0].token(), ended[1].token()), (3, 4));
    assert!(ended[1].is_drained());
}

#[test]
fn a_proactor_of_one_place_sends_without_copying() {
    let mut fixture = fixture(1);
    let (one, mut other) = std_pair();
    let one = fixture.table.add(one, Kind::Tcp);
    for _ in 0..20 {
        let send = Request { code: Code::SendZeroCopy as u32, ..send(1, one, 0, 5) };
        while fixture.try_submit(&[send], b"bytes").unwrap() == 0 {
            assert!(fixture.expect_one().is_drained());
        }
        assert_eq!(fixture.expect_one().result(), 5);
        let mut bytes = [0; 5];
        other.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"bytes");
    }
    assert_eq!(fixture.proactor.stats().overflows, 0);
}

fn std_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn a_wrong_operation_behind_one_without_a_place_is_not_told_of_the_first() {
    let mut fixture = fixture(1);
    fixture.submit(&[timeout(1, 1e9)], &[]);
    let requests = [request(Code::Nop, 2), request(Code::Cancel, 3)];
    assert_eq!(fixture.try_submit(&requests, &[]).unwrap(), 0);
}

#[test]
fn an_accept_ends_that_finds_its_listener_closed() {
    let mut fixture = fixture(64);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = fixture.table.add(listener, Kind::Tcp);
    fixture.submit(&[on(Code::AcceptMulti, 1, listener)], &[]);
    fixture.expect_none();
    fixture.table.sources.clear();
    let _client = TcpStream::connect(address).unwrap();
    let accepted = fixture.expect_one();
    assert!(accepted.is_more() && accepted.opened.is_some());
    let last = fixture.expect_one();
    assert_eq!((last.result(), last.is_more()), (-libc::EBADF, false));
    assert_eq!(fixture.proactor.stats().in_flight, 0);
    TcpStream::connect(address).expect_err("nobody listens any more");
}

#[test]
fn operations_of_a_reaper_that_is_gone_end_and_let_go_of_their_sources() {
    let mut fixture = fixture(64);
    let inbox = fixture.proactor.reaper(64).unwrap();
    fixture.names.reapers.push(Arc::clone(&inbox));
    let (one, mut other) = UnixStream::pair().unwrap();
    let source = fixture.table.add(one, Kind::Unix);
    let named = |request| Request { reaper: 1.0, ..request };
    fixture.submit(&[named(receive(1, source, 10)), named(timeout(2, 1e9))], &[]);
    fixture.expect_none();
    // A Worker ends: its sources close, and its reaper.
    fixture.table.sources.clear();
    drop(HeldInbox(inbox));
    fixture.expect_none();
    fixture.expect_none();
    assert_eq!(fixture.proactor.stats().in_flight, 0);
    other.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(other.read(&mut [0; 1]).unwrap(), 0, "the peer hears of the end");
    // What comes later than the end.
    fixture.submit(&[named(timeout(3, 1e9))], &[]);
    fixture.expect_none();
    assert_eq!(fixture.proactor.stats().in_flight, 0);
}

#[test]
fn what_a_reaper_has_not_taken_is_closed_with_it() {
    let mut fixture = fixture(64);
    let inbox = fixture.proactor.reaper(64).unwrap();
    fixture.names.reapers.push(Arc::clone(&inbox));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let listener = fixture.table.add(listener, Kind::Tcp);
    fixture.submit(&[Request { reaper: 1.0, ..on(Code::Accept, 1, listener) }], &[]);
    fixture.expect_none();
    let kept = Arc::clone(&inbox);
    drop(HeldInbox(inbox));
    client.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "its peer has closed it");
    drop(kept);
}

#[test]
fn a_message_reaches_an_owner_that_waits() {
    let mut fixture = fixture(64);
    let (ready, waiting) = std::sync::mpsc::channel();
    let owner = std::thread::spawn(move || {
        let mut owner = Fixture::new(&OPTIONS);
        ready.send(Arc::clone(&owner.proactor)).unwrap();
        owner.expect_one()
    });
    let proactor = waiting.recv().unwrap();
    while proactor.stats().waits == 0 {
        std::thread::yield_now();
    }
    fixture.names.proactors.push(proactor);
    let message = Request { other: 0.0, argument: 7, start: 5, ..request(Code::Message, 1) };
    fixture.submit(&[message], &[]);
    assert_eq!(fixture.expect_one().result(), 0);
    let ended = owner.join().unwrap();
    assert_eq!((ended.token(), ended.result()), (5, 7));
}

#[test]
fn a_sender_that_closes_first_gives_the_place_of_its_message_back() {
    let mut target = fixture(2);
    for _ in 0..4 {
        let mut sender = fixture(4);
        sender.names.proactors.push(Arc::clone(&target.proactor));
        let message = Request { other: 0.0, ..request(Code::Message, 1) };
        sender.submit(&[message], &[]);
        assert_eq!(target.proactor.stats().in_flight, 1);
        drop(sender);
        assert_eq!(target.proactor.stats().in_flight, 0);
    }
    target.submit(&[request(Code::Nop, 1), request(Code::Nop, 2)], &[]);
    target.expect(2);
}

#[test]
fn each_connection_gets_its_turn_at_the_only_buffer() {
    let options = Options { buffers: 1, buffer_bytes: 8, ..OPTIONS };
    let mut fixture = Fixture::new(&options);
    let mut peers = Vec::new();
    for token in 0..4 {
        let (one, mut other) = UnixStream::pair().unwrap();
        other.write_all(&[7; 8192]).unwrap();
        peers.push(other);
        let source = fixture.table.add(one, Kind::Unix);
        fixture.submit(&[on(Code::ReceiveMulti, token, source)], &[]);
    }
    let mut counts = [0; 4];
    for _ in 0..200 {
        for ended in fixture.wait(Some(LIMIT)).unwrap() {
            assert_eq!(ended.result(), 8);
            counts[ended.token() as usize] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
}

#[test]
fn ranges_of_more_than_a_gib_in_all_are_refused() {
    let mut fixture = fixture(64);
    let (one, _other) = UnixStream::pair().unwrap();
    let one = fixture.table.add(one, Kind::Unix);
    // A range of a MiB, 1,025 times.
    let length = 1_u32 << 20;
    let mut bytes = vec![0; length as usize];
    for place in 0..1025 {
        bytes[8 * place + 4..8 * place + 8].copy_from_slice(&length.to_ne_bytes());
    }
    let gather = Request { flags: Request::GATHER, ..send(1, one, 0, 8 * 1025) };
    let refused = fixture.try_submit(&[gather], &bytes).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
    assert_eq!(fixture.proactor.stats().in_flight, 0);
}
