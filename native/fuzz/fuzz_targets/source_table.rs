//! Any sequence of inserts, calls and removals of handles, live, stale and invented, against a
//! map that does the same.

#![no_main]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use denio_poll::Poll;
use denio::source_table::{self, Handle, Object};
use libfuzzer_sys::fuzz_target;

/// The stored objects: their addresses distinguish them. A clone costs no descriptor.
const OBJECTS: usize = 4;
/// The same on every system that denio runs on.
const EBADF: i32 = 9;
/// Limits a run, as libFuzzer's limit on the length of its input does.
const STEPS_MAX: usize = 4096;

fn objects() -> &'static [Arc<Poll>; OBJECTS] {
    static POLLS: OnceLock<[Arc<Poll>; OBJECTS]> = OnceLock::new();
    POLLS.get_or_init(|| std::array::from_fn(|_| Arc::new(Poll::new().expect("a poll opens"))))
}

/// The table, and a model of it.
#[derive(Default)]
struct Model {
    /// The object of each open handle.
    open: HashMap<Handle, usize>,
    /// Every handle of this run, in order.
    given: Vec<Handle>,
    ever: HashSet<Handle>,
}

fuzz_target!(|bytes: &[u8]| {
    let mut model = Model::default();
    let mut bytes = bytes.iter().copied();
    for _ in 0..STEPS_MAX {
        let Some(step) = bytes.next() else { break };
        match step % 8 {
            0..3 => model.insert(usize::from(step / 8) % OBJECTS),
            3 => model.look(model.known(&mut bytes)),
            4 => model.look(made_up(&mut bytes)),
            5 => model.remove(made_up(&mut bytes)),
            6 => model.remove(model.known(&mut bytes) ^ 1 << (bytes.next().unwrap_or(20) % 64)),
            _ => model.remove(model.known(&mut bytes)),
        }
        assert_eq!(source_table::open_count(), model.open.len());
    }
    for handle in model.given.clone() {
        model.look(handle);
        model.remove(handle);
    }
    assert_eq!(source_table::open_count(), 0);
    for poll in objects() {
        assert_eq!(Arc::strong_count(poll), 1, "an object outlives its handle");
    }
});

/// A number made of bytes of the input.
fn made_up(bytes: &mut impl Iterator<Item = u8>) -> Handle {
    Handle::from_le_bytes(std::array::from_fn(|_| bytes.next().unwrap_or(0)))
}

impl Model {
    /// A handle of this run, open or closed, or 0 before the first.
    fn known(&self, bytes: &mut impl Iterator<Item = u8>) -> Handle {
        let choice = usize::from(bytes.next().unwrap_or(0));
        // The latest are most likely open.
        self.given.iter().rev().nth(choice % self.given.len().max(1)).copied().unwrap_or(0)
    }

    fn insert(&mut self, object: usize) {
        let poll = Arc::clone(&objects()[object]);
        let handle = source_table::insert(Object::Poll(poll)).expect("there is room");
        assert!((1..1 << 52).contains(&handle), "{handle} is no result");
        assert!(self.ever.insert(handle), "{handle} came back");
        self.given.push(handle);
        self.open.insert(handle, object);
    }

    fn look(&self, handle: Handle) {
        let found = source_table::with(handle, |object| match object {
            Object::Poll(poll) => Ok(objects().iter().position(|one| Arc::ptr_eq(one, poll))),
            _ => panic!("the model has not stored {object:?}"),
        });
        match self.open.get(&handle) {
            Some(object) => assert_eq!(found.expect("it is open"), Some(*object), "{handle}"),
            None => assert_bad(found, handle),
        }
    }

    fn remove(&mut self, handle: Handle) {
        let removed = source_table::remove(handle);
        match self.open.remove(&handle) {
            Some(_) => removed.expect("it was open"),
            None => assert_bad(removed, handle),
        }
    }
}

fn assert_bad<T: std::fmt::Debug>(answer: std::io::Result<T>, handle: Handle) {
    let error = answer.expect_err("it is not open").raw_os_error();
    assert_eq!(error, Some(EBADF), "{handle}");
}
