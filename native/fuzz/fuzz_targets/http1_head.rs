//! Parses any bytes as a request head, and checks what must hold for all.
//!
//! The positions in the table lie in the head, in their order; the result is the same for every
//! split of the bytes; bytes behind a head change nothing.

#![no_main]

use denio_http1::{
    self as http1, HEADERS_MAX, METHODS, Refused, TABLE_FIXED, TABLE_PER_HEADER, TABLE_WORDS, word,
};
use libfuzzer_sys::fuzz_target;

type Table = [u32; TABLE_WORDS];
type Outcome = Result<Option<usize>, Refused>;

/// Bytes behind a head: its body, another head, or neither.
const TAILS: [&[u8]; 5] = [b"\0", b"\r\n", b" folded", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff"];
/// As in `http1.rs`: the largest integer that JavaScript counts to.
const LENGTH_MAX: u64 = (1 << 53) - 1;
/// Longer heads are split at some bytes only: each split costs a parse of all.
const SPLITS_MAX: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let (outcome, table) = parse(bytes, 0, 0);
    match outcome {
        Ok(Some(length)) => {
            let head = bytes.get(..length).expect("a head is in the bytes");
            assert!(head.ends_with(b"\r\n\r\n"));
            check_table(head, &table);
            check_tails(head, &table);
            check_splits(head);
        }
        Ok(None) => {}
        Err(Refused(status)) => assert!([400, 413, 431, 501, 505].contains(&status), "{status}"),
    }
    check_offset(bytes, outcome, &table);
    check_lenient(bytes, outcome, &table);
    // The end of a head is given, because scanned bytes delay a result until there is one.
    check_splits(&[bytes, b"\r\n\r\n"].concat());
});

fn parse(bytes: &[u8], offset: usize, scanned: usize) -> (Outcome, Table) {
    let mut table = [u32::MAX; TABLE_WORDS];
    (http1::parse(bytes, offset, scanned, false, &mut table), table)
}

/// A head that is accepted strictly is the same leniently; any other has its positions too.
fn check_lenient(bytes: &[u8], outcome: Outcome, table: &Table) {
    let mut other = [u32::MAX; TABLE_WORDS];
    let lenient = http1::parse(bytes, 0, 0, true, &mut other);
    match (outcome, lenient) {
        (Err(status), Ok(Some(length))) => {
            check_table(&bytes[..length], &other);
            // The parser understands a tunnel, but refuses it.
            let tunnel = METHODS[other[word::METHOD] as usize] == "CONNECT";
            assert!(status == Refused(400) || tunnel && status == Refused(501));
        }
        (Err(_), _) => assert!(lenient.is_err()),
        (Ok(_), _) => assert_eq!((lenient, &other), (outcome, table)),
    }
}

/// The part of `bytes` that two words of the table name.
fn part<'b>(bytes: &'b [u8], table: &Table, start: usize) -> &'b [u8] {
    let (from, to) = (table[start] as usize, table[start + 1] as usize);
    bytes.get(from..to).unwrap_or_else(|| panic!("{from}..{to} is not in the head"))
}

/// Every position lies in the head, after the one before; numbers are in their ranges.
fn check_table(head: &[u8], table: &Table) {
    let count = table[word::HEADER_COUNT] as usize;
    assert!(count <= HEADERS_MAX);
    let fields = (0..2 * count).map(|number| TABLE_FIXED + 2 * number);
    let mut end = 0;
    for place in [word::METHOD_START, word::TARGET_START].into_iter().chain(fields) {
        part(head, table, place);
        assert!(table[place] >= end, "word {place} is before the one before");
        end = table[place + 1];
    }
    part(head, table, word::HOST_START);
    let method = METHODS[table[word::METHOD] as usize].as_bytes();
    assert!(method.is_empty() || method == part(head, table, word::METHOD_START));
    assert!(table[word::MINOR] <= 1);
    let low = u64::from(table[word::LENGTH_LOW]);
    assert!(u64::from(table[word::LENGTH_HIGH]) << 32 | low <= LENGTH_MAX);
    let unused = &table[TABLE_FIXED + TABLE_PER_HEADER * count..];
    assert!(unused.iter().all(|word| *word == u32::MAX), "written beyond the fields");
}

fn check_tails(head: &[u8], table: &Table) {
    for tail in TAILS {
        let (outcome, other) = parse(&[head, tail].concat(), 0, 0);
        assert_eq!((outcome, &other), (Ok(Some(head.len())), table), "before {tail:?}");
    }
}

/// A head is the same wherever it starts, and its positions move with it.
fn check_offset(bytes: &[u8], outcome: Outcome, table: &Table) {
    const BEFORE: &[u8] = b"GET / HTTP/1.1\r\nHost: other\r\n\r\n";
    let whole = [BEFORE, bytes].concat();
    let (moved, other) = parse(&whole, BEFORE.len(), 0);
    assert_eq!(moved, outcome);
    if let Ok(Some(length)) = outcome {
        let place = word::TARGET_START;
        let moved_head = &whole[..BEFORE.len() + length];
        assert_eq!(part(moved_head, &other, place), part(bytes, table, place));
        assert_eq!(other[word::HEADER_COUNT], table[word::HEADER_COUNT]);
    }
}

/// Parses as a connection does: the first bytes, and if those are partial all of them.
fn check_splits(whole: &[u8]) {
    let at_once = parse(whole, 0, 0);
    let step = whole.len().div_ceil(SPLITS_MAX).max(1);
    // Backwards: the last splits find most.
    for split in (1..whole.len()).rev().step_by(step) {
        let first = parse(&whole[..split], 0, 0);
        if first.0 == Ok(None) {
            let then = parse(whole, 0, split);
            assert_eq!(then.0, at_once.0, "split at {split}");
            assert!(at_once.0.is_err() || then.1 == at_once.1, "split at {split}");
        } else {
            assert_eq!(first.0, at_once.0, "answered after {split}");
        }
    }
}
