//! The selectors of the process by their numbers, for sources that must notify their
//! selector.
//!
//! An emulated selector is notified of every operation. Any selector is notified when a
//! source ends whose open file has other owners: epoll forgets a source when the last
//! descriptor of its open file is closed, and a descriptor that was cloned, or that
//! another process passed on, is not the last. Without the notice epoll would go on
//! reporting the source, under a token that means nothing any more.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use crate::Interest;
use crate::sys::{Selector, is_emulated};

type Selectors = HashMap<u32, Weak<Selector>>;

static SELECTORS: RwLock<Option<Selectors>> = RwLock::new(None);

/// Remembers a selector for as long as it lives.
pub fn remember(number: u32, selector: &Arc<Selector>) {
    let mut selectors = SELECTORS.write().unwrap_or_else(PoisonError::into_inner);
    let selectors = selectors.get_or_insert_default();
    // Here, and not when a selector ends: that is as often, and needs no `Drop`.
    selectors.retain(|_, selector| selector.strong_count() > 0);
    selectors.insert(number, Arc::downgrade(selector));
}

/// Returns the selector of that number, if there still is one.
pub fn find(number: u32) -> Option<Arc<Selector>> {
    let selectors = SELECTORS.read().unwrap_or_else(PoisonError::into_inner);
    selectors.as_ref()?.get(&number)?.upgrade()
}

/// As [`find`], and remembers the last answer for this thread: it asks for the same selector
/// with each read of a stream that is read ahead.
#[cfg(target_os = "linux")]
pub fn find_again(number: u32) -> Option<Arc<Selector>> {
    use std::cell::RefCell;
    thread_local! {
        static LAST: RefCell<(u32, Weak<Selector>)> = const { RefCell::new((0, Weak::new())) };
    }
    let known = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        if last.0 != number {
            *last = (number, find(number).as_ref().map_or_else(Weak::new, Arc::downgrade));
        }
        last.1.upgrade()
    });
    // At its end the thread remembers nothing.
    known.unwrap_or_else(|_| find(number))
}

/// Makes every emulated selector look for the next edge of an open file: the file may be
/// registered there by another descriptor.
pub fn rearm_file(fd: BorrowedFd<'_>, interest: Interest) {
    for selector in emulated() {
        selector.rearm_file(fd, interest);
    }
}

fn emulated() -> Vec<Arc<Selector>> {
    let selectors = SELECTORS.read().unwrap_or_else(PoisonError::into_inner);
    let all = selectors.iter().flatten();
    all.filter(|(number, _)| is_emulated(**number)).filter_map(|(_, one)| one.upgrade()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;

    #[test]
    fn a_selector_that_is_gone_is_not_found() {
        let selector = Arc::new(Selector::new(Backend::available()[0]).unwrap());
        let number = selector.id();
        assert!(find(number).is_none());
        remember(number, &selector);
        assert_eq!(find(number).map(|found| found.id()), Some(number));
        drop(selector);
        assert!(find(number).is_none());
    }
}
