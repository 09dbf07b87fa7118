//! Several threads with one proactor: producers, and reapers of completions.

#![cfg(target_os = "linux")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a failure here is the test's")]

mod util;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use denio_proactor::{Cancel, Code, Inbox, Input, Kind, Options, Proactor, Request, UNTAKEN_MAX};
use util::{Ended, Fixture, LIMIT, Names, OPTIONS, Table, on, reap, request, timeout};

const PRODUCERS: u32 = 4;
const OPERATIONS_EACH: u32 = 10_000;

fn submit(
    proactor: &Proactor,
    requests: &[Request],
    reaper: &Arc<Inbox>,
) -> std::io::Result<usize> {
    let names = Names { reapers: vec![Arc::clone(reaper)], ..Names::default() };
    let input = Input { bytes: &[], names: &[] };
    proactor.submit(requests, &input, &names, &mut Table::default())
}

/// Submits and reaps its own operations.
fn produce(proactor: &Proactor) {
    let inbox = proactor.reaper(64).unwrap();
    let mut seen = vec![0; OPERATIONS_EACH as usize];
    let (mut next, mut ended) = (0, 0);
    while ended < OPERATIONS_EACH {
        let end = (next + 16).min(OPERATIONS_EACH);
        let requests: Vec<_> =
            (next..end).map(|token| Request { reaper: 1.0, ..request(Code::Nop, token) }).collect();
        let taken = submit(proactor, &requests, &inbox).unwrap() as u32;
        next += taken;
        let waits = taken < end - (next - taken) || next == OPERATIONS_EACH;
        let limit = if waits { LIMIT } else { Duration::ZERO };
        let completions = reap(&inbox, Some(limit)).unwrap();
        assert!(!waits || !completions.is_empty(), "no notice, and no completion");
        for completion in completions.iter().filter(|ended| !ended.is_drained()) {
            seen[completion.token() as usize] += 1;
            ended += 1;
        }
    }
    assert!(seen.iter().all(|count| *count == 1), "an operation was lost or doubled");
}

#[test]
fn none_of_several_threads_operations_is_lost_or_doubled() {
    let mut fixture = Fixture::new(&OPTIONS);
    let left = AtomicUsize::new(PRODUCERS as usize);
    let proactor = Arc::clone(&fixture.proactor);
    thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| {
                produce(&proactor);
                left.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while left.load(Ordering::SeqCst) > 0 {
            // Nothing is the owner's. The last producer may end unseen.
            assert!(fixture.wait(Some(Duration::from_millis(5))).unwrap().is_empty());
        }
    });
    let stats = fixture.proactor.stats();
    assert_eq!((stats.in_flight, stats.overflows), (0, 0));
}

#[test]
fn only_the_owner_waits_and_a_close_ends_its_wait() {
    let mut fixture = Fixture::new(&OPTIONS);
    let proactor = Arc::clone(&fixture.proactor);
    let closing = thread::spawn(move || {
        let foreign = proactor.flush(&mut Table::default()).unwrap_err();
        assert_eq!(foreign.raw_os_error(), Some(libc::EPERM));
        proactor.close();
        let inbox = proactor.reaper(1).unwrap_err();
        assert_eq!(inbox.raw_os_error(), Some(libc::EBADF));
        assert!(proactor.cancel(Cancel::Token(1)).is_err());
    });
    let error = fixture.wait(Some(LIMIT)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    closing.join().unwrap();
}

#[test]
fn another_thread_cancels_while_the_owner_waits() {
    let mut fixture = Fixture::new(&OPTIONS);
    fixture.submit(&[timeout(1, 60_000.0)], &[]);
    fixture.proactor.flush(&mut fixture.table).unwrap();
    let proactor = Arc::clone(&fixture.proactor);
    let cancelling = thread::spawn(move || proactor.cancel(Cancel::Token(1)).unwrap());
    assert_eq!(fixture.expect_one().result(), -libc::ECANCELED);
    assert_eq!(cancelling.join().unwrap(), 0);
}

/// Has a reaper on another thread get what comes to one operation, and returns its
/// completions.
fn reaped(
    fixture: &mut Fixture,
    operation: Request,
    act: impl FnOnce(&AtomicBool) + Send,
    is_over: impl Fn(&[Ended]) -> bool + Sync,
) -> Vec<Ended> {
    let inbox = fixture.proactor.reaper(8).unwrap();
    fixture.names.reapers = vec![Arc::clone(&inbox)];
    fixture.submit(&[Request { reaper: 1.0, ..operation }], &[]);
    let is_done = AtomicBool::new(false);
    let may_take = AtomicBool::new(false);
    thread::scope(|scope| {
        let reaping = scope.spawn(|| {
            let mut all = Vec::new();
            while !may_take.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            while !is_over(&all) {
                all.extend(reap(&inbox, Some(LIMIT)).unwrap());
            }
            is_done.store(true, Ordering::SeqCst);
            all
        });
        scope.spawn(|| act(&may_take));
        while !is_done.load(Ordering::SeqCst) {
            assert!(fixture.wait(Some(Duration::from_millis(1))).unwrap().is_empty());
        }
        reaping.join().unwrap()
    })
}

#[test]
fn a_multishot_receive_pauses_while_its_reaper_takes_nothing_and_loses_nothing() {
    let options = Options { buffers: 8, buffer_bytes: 16, ..OPTIONS };
    let mut fixture = Fixture::new(&options);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = fixture.table.add(ours, Kind::Unix);
    let sent: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    let total = sent.len();
    let act = |may_take: &AtomicBool| {
        theirs.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
        // The socket fills: the operation has paused.
        let mut written = 0;
        while let Ok(count) = theirs.write(&sent[written..]) {
            written += count;
            if written == sent.len() {
                break;
            }
        }
        may_take.store(true, Ordering::SeqCst);
        theirs.set_write_timeout(Some(LIMIT)).unwrap();
        theirs.write_all(&sent[written..]).unwrap();
    };
    let length = |all: &[Ended]| all.iter().map(|ended| ended.bytes.len()).sum::<usize>();
    let is_over = |all: &[Ended]| length(all) == total;
    let all = reaped(&mut fixture, on(Code::ReceiveMulti, 1, ours), act, is_over);
    let received = all.iter().flat_map(|ended| ended.bytes.clone());
    assert!(received.eq((0..100_000_u32).map(|number| number as u8)));
    assert!(all.iter().all(Ended::is_more));
}

#[test]
fn a_reaper_that_takes_nothing_holds_few_connections() {
    let mut fixture = Fixture::new(&OPTIONS);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = fixture.table.add(listener, Kind::Tcp);
    let act = |may_take: &AtomicBool| {
        let clients: Vec<_> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
        may_take.store(true, Ordering::SeqCst);
        drop(clients);
    };
    let is_over = |all: &[Ended]| all.len() >= 100;
    let all = reaped(&mut fixture, on(Code::AcceptMulti, 1, listener), act, is_over);
    assert_eq!(all.len(), 100);
    assert!(all.iter().all(|ended| ended.opened.is_some()));
    const { assert!(denio_proactor::ACCEPTS <= UNTAKEN_MAX) };
}

#[test]
fn a_reaper_hears_of_its_proactor_s_end_after_its_completions() {
    let mut fixture = Fixture::new(&OPTIONS);
    let inbox = fixture.proactor.reaper(2).unwrap();
    fixture.names.reapers = vec![Arc::clone(&inbox)];
    let nop = Request { reaper: 1.0, ..request(Code::Nop, 5) };
    assert_eq!(fixture.try_submit(&[nop; 3], &[]).unwrap(), 2);
    fixture.expect_none();
    fixture.proactor.close();
    let ended = reap(&inbox, Some(LIMIT)).unwrap();
    assert_eq!(ended.iter().filter(|ended| !ended.is_drained()).count(), 2);
    loop {
        match reap(&inbox, Some(LIMIT)) {
            Ok(rest) => assert!(rest.iter().all(Ended::is_drained)),
            Err(error) => break assert_eq!(error.raw_os_error(), Some(libc::EBADF)),
        }
    }
}

#[test]
fn an_operation_names_a_reaper_of_its_own_proactor() {
    let mut fixture = Fixture::new(&OPTIONS);
    let other = Fixture::new(&OPTIONS);
    fixture.names.reapers = vec![other.proactor.reaper(2).unwrap()];
    let nop = Request { reaper: 1.0, ..request(Code::Nop, 5) };
    let error = fixture.try_submit(&[nop], &[]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    assert_eq!(fixture.proactor.stats().in_flight, 0);
}
