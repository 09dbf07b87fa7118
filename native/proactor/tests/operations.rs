//! What each operation does, and how it ends.

#![cfg(target_os = "linux")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a failure here is the test's")]

mod util;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use denio_proactor::{Batching, Cancel, Code, Completion, Kind, Options, Request, open};
use util::{Fixture, LIMIT, OPTIONS, on, receive, request, send, timeout};

fn fixture() -> Fixture {
    Fixture::new(&OPTIONS)
}

#[test]
fn nops_complete_with_their_tokens_in_order() {
    let mut fixture = fixture();
    let requests: Vec<_> = (0..64).map(|token| request(Code::Nop, token)).collect();
    fixture.submit(&requests, &[]);
    let ended = fixture.expect(64);
    let tokens: Vec<_> = ended.iter().map(util::Ended::token).collect();
    assert_eq!(tokens, (0..64).collect::<Vec<_>>());
    assert!(ended.iter().all(|ended| ended.result() == 0 && !ended.is_more()));
    fixture.expect_none();
    assert_eq!(fixture.proactor.stats().in_flight, 0);
}

#[test]
fn a_timeout_ends_when_its_time_is_over_or_when_it_is_cancelled() {
    let mut fixture = fixture();
    let begin = Instant::now();
    fixture.submit(&[timeout(1, 60_000.0), timeout(2, 5.0)], &[]);
    let ended = fixture.expect_one();
    assert_eq!((ended.token(), ended.result()), (2, 0));
    assert!(begin.elapsed() >= Duration::from_millis(5));
    assert_eq!(fixture.proactor.cancel(Cancel::Token(1)).unwrap(), 1);
    assert_eq!(fixture.proactor.cancel(Cancel::Token(1)).unwrap(), 0, "it was asked already");
    let ended = fixture.expect_one();
    assert_eq!((ended.token(), ended.result()), (1, -libc::ECANCELED));
    // One that the kernel has never seen.
    fixture.submit(&[timeout(3, 60_000.0)], &[]);
    assert_eq!(fixture.proactor.cancel(Cancel::Token(3)).unwrap(), 1);
    assert_eq!(fixture.expect_one().result(), -libc::ECANCELED);
}

#[test]
fn what_is_sent_is_received() {
    let mut fixture = fixture();
    let (one, other) = UnixStream::pair().unwrap();
    let (one, other) = (fixture.table.add(one, Kind::Unix), fixture.table.add(other, Kind::Unix));
    fixture.submit(&[receive(1, other, 100), receive(2, other, 100)], &[]);
    fixture.expect_none();
    fixture.submit(&[send(3, one, 2, 7)], b"..hello..");
    let ended = fixture.expect(2);
    let sent = ended.iter().find(|ended| ended.token() == 3).unwrap();
    assert_eq!(sent.result(), 5);
    // Either of the two.
    let received = ended.iter().find(|ended| ended.token() != 3).unwrap();
    assert_eq!((received.result(), received.bytes.as_slice()), (5, &b"hello"[..]));
    assert_eq!(fixture.proactor.cancel(Cancel::Source(other)).unwrap(), 1);
    assert_eq!(fixture.expect_one().result(), -libc::ECANCELED);
}

#[test]
fn a_send_gathers_ranges_and_is_whole() {
    let mut fixture = fixture();
    let (one, mut other) = UnixStream::pair().unwrap();
    let one = fixture.table.add(one, Kind::Unix);
    // More than the socket takes at once.
    let mut bytes = vec![b'x'; 1 << 20];
    let ranges: [u32; 4] = [100, 1 << 20, 50, 100];
    let place = ranges.map(u32::to_ne_bytes).concat();
    bytes[..16].copy_from_slice(&place);
    bytes[50] = b'!';
    let gather = Request { flags: Request::GATHER, ..send(1, one, 0, 16) };
    fixture.submit(&[gather], &bytes);
    fixture.expect_none();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        other.read_to_end(&mut all).unwrap();
        all
    });
    let ended = fixture.expect_one();
    assert_eq!(ended.result(), (1 << 20) - 50);
    fixture.submit(&[on(Code::Close, 2, one)], &[]);
    assert_eq!(fixture.expect_one().result(), 0);
    let all = reader.join().unwrap();
    assert_eq!(all.len(), (1 << 20) - 50);
    assert_eq!(all[(1 << 20) - 100], b'!');
}

#[test]
fn connections_are_accepted_connected_and_shut_down() {
    let mut fixture = fixture();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    fixture.names.address = Some(listener.local_addr().unwrap());
    let listener = fixture.table.add(listener, Kind::Tcp);
    fixture.submit(&[on(Code::Accept, 1, listener), request(Code::Connect, 2)], &[]);
    let mut ended = fixture.expect(2);
    ended.sort_by_key(util::Ended::token);
    assert_eq!([ended[0].result(), ended[1].result()], [0, 0]);
    let [server, client] = ended
        .try_into()
        .map(|ended: [util::Ended; 2]| ended.map(|ended| ended.opened.unwrap()))
        .unwrap();
    assert_eq!([server.kind, client.kind], [Kind::Tcp, Kind::Tcp]);
    let server = fixture.table.add(server.fd, Kind::Tcp);
    let client = fixture.table.add(client.fd, Kind::Tcp);
    let shutdown = Request { argument: 1, ..on(Code::Shutdown, 3, client) };
    fixture.submit(&[receive(4, server, 10), shutdown], &[]);
    let ended = fixture.expect(2);
    assert!(ended.iter().all(|ended| ended.result() == 0), "{ended:?}");
}

#[test]
fn a_multishot_accept_goes_on_until_it_is_cancelled() {
    let mut fixture = fixture();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = fixture.table.add(listener, Kind::Tcp);
    fixture.submit(&[on(Code::AcceptMulti, 1, listener)], &[]);
    let clients: Vec<_> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    let ended = fixture.expect(100);
    assert!(ended.iter().all(|ended| ended.is_more() && ended.opened.is_some()));
    drop(clients);
    fixture.expect_none();
    assert_eq!(fixture.proactor.cancel(Cancel::Token(1)).unwrap(), 1);
    let last = fixture.expect_one();
    assert_eq!((last.result(), last.is_more()), (-libc::ECANCELED, false));
    assert_eq!(fixture.proactor.stats().in_flight, 0);
}

fn with_buffers(operations: u32, buffers: u16) -> Fixture {
    Fixture::new(&Options { operations, buffers, buffer_bytes: 16, ..OPTIONS })
}

#[test]
fn a_multishot_receive_goes_on_when_it_had_no_buffers() {
    let mut fixture = with_buffers(8, 2);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = fixture.table.add(ours, Kind::Unix);
    fixture.submit(&[on(Code::ReceiveMulti, 1, ours)], &[]);
    fixture.expect_none();
    let sent: Vec<u8> = (0..=255).collect();
    theirs.write_all(&sent).unwrap();
    let mut received = Vec::new();
    while received.len() < 256 {
        for ended in fixture.wait(Some(LIMIT)).unwrap() {
            assert!(ended.is_more() && ended.result() > 0, "{ended:?}");
            received.extend(ended.bytes);
        }
    }
    assert_eq!(received, sent);
    drop(theirs);
    let last = fixture.expect_one();
    assert_eq!((last.result(), last.is_more()), (0, false));
}

#[test]
fn a_paused_multishot_receive_is_cancelled_and_its_bytes_wait_in_the_socket() {
    let mut fixture = with_buffers(8, 4);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = fixture.table.add(ours, Kind::Unix);
    fixture.submit(&[on(Code::ReceiveMulti, 1, ours)], &[]);
    fixture.expect_none();
    assert_eq!(fixture.proactor.cancel(Cancel::Token(1)).unwrap(), 1);
    let last = fixture.expect_one();
    assert_eq!((last.result(), last.is_more()), (-libc::ECANCELED, false));
    theirs.write_all(b"later").unwrap();
    fixture.expect_none();
    fixture.submit(&[on(Code::ReceiveMulti, 2, ours)], &[]);
    assert_eq!(fixture.expect_one().bytes, b"later");
}

#[test]
fn readiness_is_told_once_or_again_and_again() {
    let mut fixture = fixture();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = fixture.table.add(ours, Kind::Unix);
    let readable = Request { argument: 1, ..on(Code::Poll, 1, ours) };
    let again = Request { argument: 1, ..on(Code::PollMulti, 2, ours) };
    fixture.submit(&[readable, again], &[]);
    fixture.expect_none();
    theirs.write_all(b"x").unwrap();
    let mut ended = fixture.expect(2);
    ended.sort_by_key(util::Ended::token);
    assert_eq!((ended[0].result(), ended[0].is_more()), (1, false));
    assert_eq!((ended[1].result(), ended[1].is_more()), (1, true));
    let again = fixture.expect_one();
    assert_eq!((again.token(), again.result()), (2, 1), "it is still readable");
    fixture.proactor.cancel(Cancel::Token(2)).unwrap();
    let rest: Vec<_> = std::iter::from_fn(|| Some(fixture.expect_one()))
        .take_while(util::Ended::is_more)
        .collect();
    assert!(rest.len() <= 1, "{rest:?}");
    assert_eq!(fixture.proactor.stats().in_flight, 0);
}

#[test]
fn files_are_opened_written_synced_read_described_and_closed() {
    let mut fixture = fixture();
    let path = std::env::temp_dir().join(format!("denio-proactor-{}", std::process::id()));
    let name = path.to_str().unwrap().as_bytes();
    let named = Request { end: name.len() as u32, ..Request::default() };
    let options = open::READ | open::WRITE | open::CREATE_NEW;
    let opening = Request { argument: options, offset: f64::from(0o600), ..named };
    let opening = Request { code: Code::Open as u32, token: 1, ..opening };
    fixture.submit(&[opening], name);
    let opened = fixture.expect_one();
    assert_eq!(opened.result(), 0);
    let file = opened.opened.unwrap();
    assert_eq!(file.kind, Kind::File);
    let file = fixture.table.add(file.fd, Kind::File);
    let write = Request { end: 5, offset: 3.0, ..on(Code::Write, 2, file) };
    fixture.submit(&[write], b"hello");
    assert_eq!(fixture.expect_one().result(), 5);
    fixture.submit(&[on(Code::Fsync, 3, file)], &[]);
    assert_eq!(fixture.expect_one().result(), 0);
    let read = Request { end: 100, offset: 4.0, ..on(Code::Read, 4, file) };
    fixture.submit(&[read], &[]);
    assert_eq!(fixture.expect_one().bytes, b"ello");
    let by_path = Request { code: Code::Stat as u32, flags: Request::NAMED, token: 6, ..named };
    fixture.submit(&[on(Code::Stat, 5, file), by_path], name);
    for ended in fixture.expect(2) {
        assert_eq!(ended.result(), 0);
        let size = u64::from_ne_bytes(ended.bytes[40..48].try_into().unwrap());
        assert_eq!(size, 8, "of {ended:?}");
    }
    fixture.submit(&[on(Code::Close, 7, file)], &[]);
    assert_eq!(fixture.expect_one().result(), 0);
    fixture.submit(&[on(Code::Read, 8, file)], &[]);
    assert_eq!(fixture.expect_one().result(), -libc::EBADF);
    fixture.submit(&[opening], name);
    assert_eq!(fixture.expect_one().result(), -libc::EEXIST);
    std::fs::remove_file(path).unwrap();
}

/// The kernel hands these to threads of its own, which look the descriptor up when they begin.
#[test]
fn an_operation_keeps_its_file_when_the_descriptor_is_closed_right_after() {
    let mut fixture = fixture();
    for _ in 0..200 {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ours = fixture.table.add(ours, Kind::Unix);
        let shutdown = Request { argument: 1, ..on(Code::Shutdown, 1, ours) };
        fixture.submit(&[shutdown], &[]);
        fixture.proactor.flush(&mut fixture.table).unwrap();
        fixture.table.sources.remove(&ours);
        // It has the number of the closed one.
        let (other, _peer) = UnixStream::pair().unwrap();
        assert_eq!(fixture.expect_one().result(), 0);
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        assert_eq!((&other).write(b"x").unwrap(), 1, "another file was shut down");
    }
}

#[test]
fn splice_moves_bytes_between_a_pipe_and_a_socket() {
    let mut fixture = fixture();
    let (reader, mut writer) = util::pipe();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let reader = fixture.table.add(reader, Kind::Other);
    let ours = fixture.table.add(ours, Kind::Unix);
    writer.write_all(b"spliced").unwrap();
    let splice = Request { other: ours as f64, end: 100, ..on(Code::Splice, 1, reader) };
    fixture.submit(&[splice], &[]);
    assert_eq!(fixture.expect_one().result(), 7);
    let mut read = [0; 7];
    theirs.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"spliced");
}

#[test]
fn a_message_completes_at_both_proactors() {
    let mut fixture = fixture();
    let mut other = Fixture::new(&Options { operations: 1, ..OPTIONS });
    fixture.names.proactors.push(other.proactor.clone());
    let message = Request { start: 7, argument: 42, ..request(Code::Message, 1) };
    fixture.submit(&[message], &[]);
    let sent = fixture.expect_one();
    assert_eq!((sent.token(), sent.result()), (1, 0));
    // The other has one place, and the message has it.
    fixture.submit(&[message], &[]);
    assert_eq!(fixture.expect_one().result(), -libc::EAGAIN);
    let got = other.expect_one();
    assert_eq!((got.token(), got.result()), (7, 42));
    assert_eq!(got.completion.flags, Completion::MESSAGE);
    fixture.submit(&[message], &[]);
    assert_eq!(fixture.expect_one().result(), 0);
    assert_eq!(other.expect_one().result(), 42);
}

#[test]
fn a_handle_that_is_none_and_a_source_that_is_busy() {
    let mut fixture = fixture();
    let (one, other) = UnixStream::pair().unwrap();
    let (one, other) = (fixture.table.add(one, Kind::Unix), fixture.table.add(other, Kind::Unix));
    fixture.table.busy = vec![one, other];
    fixture.submit(&[send(1, 5, 0, 1), send(2, one, 0, 1), receive(3, other, 1)], b"x");
    let mut ended = fixture.expect(3);
    ended.sort_by_key(util::Ended::token);
    let results: Vec<_> = ended.iter().map(util::Ended::result).collect();
    assert_eq!(results, [-libc::EBADF, 1, 1]);
}

#[test]
fn what_cannot_be_made_is_refused_and_keeps_no_place() {
    let mut fixture = fixture();
    let errno = |fixture: &mut Fixture, request| {
        fixture.try_submit(&[request], b"bytes").unwrap_err().raw_os_error().unwrap()
    };
    for wrong in [
        Request { code: 999, ..Request::default() },
        request(Code::Cancel, 1),
        request(Code::ReceiveMulti, 1),
        send(1, 1, 0, 6),
        send(1, 1, 3, 2),
        timeout(1, -1.0),
        timeout(1, f64::NAN),
        Request { argument: 3, ..on(Code::Shutdown, 1, 1) },
        Request { argument: 0, ..on(Code::Poll, 1, 1) },
        Request { argument: 0, end: 1, ..request(Code::Open, 1) },
        Request { argument: open::READ, end: 0, ..request(Code::Open, 1) },
        Request { offset: -2.0, ..on(Code::Read, 1, 1) },
        Request { offset: 0.5, ..on(Code::Write, 1, 1) },
    ] {
        assert_eq!(errno(&mut fixture, wrong), libc::EINVAL, "{wrong:?}");
    }
    assert_eq!(fixture.proactor.stats().in_flight, 0);
    // Operations before a wrong one are taken.
    let mixed = [request(Code::Nop, 1), send(2, 1, 0, 9), request(Code::Nop, 3)];
    assert_eq!(fixture.try_submit(&mixed, b"").unwrap(), 1);
    assert_eq!(fixture.expect_one().token(), 1);
}

#[test]
fn bytes_that_do_not_fit_wait_for_the_next_call() {
    let mut fixture = fixture();
    let (one, other) = UnixStream::pair().unwrap();
    let (one, other) = (fixture.table.add(one, Kind::Unix), fixture.table.add(other, Kind::Unix));
    fixture.bytes = 5;
    fixture.submit(&[send(1, one, 0, 8)], b"12345678");
    assert_eq!(fixture.expect_one().result(), 8);
    fixture.submit(&[receive(2, other, 4), receive(3, other, 4)], &[]);
    assert_eq!(fixture.wait(Some(LIMIT)).unwrap()[0].bytes, b"1234");
    assert_eq!(fixture.wait(Some(LIMIT)).unwrap()[0].bytes, b"5678");
    fixture.submit(&[send(4, one, 0, 6), receive(5, other, 6)], b"abcdef");
    assert_eq!(fixture.wait(Some(LIMIT)).unwrap()[0].token(), 4);
    let error = fixture.wait(Some(LIMIT)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    fixture.bytes = 6;
    assert_eq!(fixture.expect_one().bytes, b"abcdef");
}

#[test]
fn operations_are_submitted_when_the_policy_says_so() {
    let submitted = |fixture: &Fixture| fixture.proactor.stats().submitted;
    let nops = [request(Code::Nop, 1); 3];
    let mut turn = fixture();
    turn.submit(&nops, &[]);
    assert_eq!(submitted(&turn), 0);
    turn.proactor.flush(&mut turn.table).unwrap();
    assert_eq!(submitted(&turn), 3);
    let mut count = Fixture::new(&Options { batching: Batching::Count(4), ..OPTIONS });
    count.submit(&nops, &[]);
    assert_eq!(submitted(&count), 0);
    count.submit(&nops, &[]);
    assert_eq!(submitted(&count), 6);
    // However slow the machine is: an hour has not passed, and a nanosecond has.
    for (wait, expected) in [(Duration::from_secs(3600), 0), (Duration::from_nanos(1), 6)] {
        let mut delay = Fixture::new(&Options { batching: Batching::Delay(wait), ..OPTIONS });
        delay.submit(&nops, &[]);
        delay.submit(&nops, &[]);
        assert_eq!(submitted(&delay), expected);
    }
}

#[test]
fn a_thread_of_the_kernel_submits_too() {
    let options = Options { kernel_thread_idle_ms: Some(10), ..OPTIONS };
    let mut fixture = Fixture::new(&options);
    for round in 0..100 {
        fixture.submit(&[request(Code::Nop, round), timeout(round, 0.1)], &[]);
        fixture.expect(2);
    }
}

#[test]
fn a_message_to_itself_keeps_no_ring_open_that_another_thread_closes() {
    let mut fixture = fixture();
    fixture.names.proactors.push(fixture.proactor.clone());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = fixture.table.add(listener, Kind::Other);
    let message = Request { start: 7, argument: 42, ..request(Code::Message, 1) };
    fixture.submit(&[on(Code::Accept, 2, listener), message], &[]);
    fixture.proactor.flush(&mut fixture.table).unwrap();
    // For another thread the kernel ends nothing, so memory is kept until it has.
    std::thread::spawn(move || drop(fixture)).join().unwrap();
    while denio_proactor::buried() > 0 {
        std::thread::yield_now();
    }
}
