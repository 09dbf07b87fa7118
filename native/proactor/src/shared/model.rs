//! Every order in which the steps of an owner, of producers and of a reaper can mix: no order
//! is lost or done twice, and who was refused hears of room.

use loom::thread;

use super::*;
use crate::output::Output;
use crate::sync::model;
use crate::{Completion, reaper};

fn shared(in_flight_max: u32) -> Arc<Shared> {
    Arc::new(Shared::new(in_flight_max).unwrap())
}

/// Waits for orders, as the owner does in the kernel.
fn next_orders(shared: &Shared) -> Vec<Order> {
    loop {
        let orders = shared.take_orders().expect("it is open");
        if !orders.is_empty() {
            return orders;
        }
        if shared.begin_wait() {
            // loom reports a wake that does not come.
            while !shared.wake().wait(Some(std::time::Duration::ZERO)).unwrap() {
                thread::yield_now();
            }
            shared.end_wait();
            shared.wake().reset();
        }
    }
}

fn token(order: &Order) -> u32 {
    match order {
        Order::Cancel(Cancel::Token(token)) | Order::Drained(token) => *token,
        _ => unreachable!("{order:?}"),
    }
}

#[test]
fn each_order_of_two_producers_reaches_the_owner_once() {
    model(|| {
        let shared = shared(4);
        let producers = [0, 10].map(|first| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for token in [first, first + 1] {
                    assert!(shared.order([Order::Cancel(Cancel::Token(token))]));
                }
            })
        });
        let mut tokens = Vec::new();
        while tokens.len() < 4 {
            tokens.extend(next_orders(&shared).iter().map(token));
        }
        tokens.sort_unstable();
        assert_eq!(tokens, [0, 1, 10, 11]);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

#[test]
fn who_was_refused_hears_of_room() {
    model(|| {
        let shared = shared(1);
        assert_eq!(shared.admit([(1, 1, None)].into_iter()), 1);
        let producer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.admit([(2, 1, None)].into_iter()))
        };
        let told = shared.give_back(1);
        let admitted = producer.join().unwrap();
        // It came after the place was free, or it was told.
        assert_eq!(told.len() + admitted, 1);
        shared.give_back(admitted as u32);
        assert_eq!(shared.counts().0, 0);
    });
}

#[test]
fn a_close_ends_the_owner_s_wait_and_that_of_a_reaper() {
    model(|| {
        let shared = shared(1);
        let reaper = Inbox::open(&shared, 1).unwrap();
        let reaping = thread::spawn(move || {
            let mut completions = [Completion::default(); 2];
            let mut store = |_| unreachable!("nothing is opened");
            let mut output = Output::new(&mut completions, &mut [], &mut store);
            reaper.wait(&mut output, None).map(|_| completions[0].token)
        });
        let closing = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.close())
        };
        if shared.begin_wait() {
            while !shared.wake().wait(Some(std::time::Duration::ZERO)).unwrap() {
                thread::yield_now();
            }
        }
        assert_eq!(reaping.join().unwrap().unwrap_err().raw_os_error(), Some(libc::EBADF));
        closing.join().unwrap();
        assert!(shared.take_orders().is_none() || shared.begin_wait());
    });
}

#[test]
fn a_reaper_gets_each_completion_and_an_operation_that_pauses_goes_on() {
    model(|| {
        let shared = shared(2);
        let reaper = Inbox::open(&shared, 2).unwrap();
        let untaken = Arc::new(Untaken::new(7));
        let put = |token| {
            let completion = Completion { token, flags: Completion::MORE, ..Default::default() };
            let untaken = Some(Arc::clone(&untaken));
            let done = reaper::Done { completion, opened: None, bytes: Vec::new(), untaken };
            untaken_add(&done);
            reaper.put(done);
        };
        let reaping = {
            let reaper = Arc::clone(&reaper);
            thread::spawn(move || {
                let mut tokens = Vec::new();
                while tokens.len() < 2 {
                    let mut completions = [Completion::default(); 2];
                    let mut store = |_| unreachable!("nothing is opened");
                    let mut output = Output::new(&mut completions, &mut [], &mut store);
                    let count = reaper.wait(&mut output, None).unwrap();
                    tokens.extend(completions[..count].iter().map(|done| done.token));
                }
                tokens
            })
        };
        put(1);
        put(2);
        assert_eq!(reaping.join().unwrap(), [1, 2]);
        assert_eq!(untaken.count(), 0);
        let orders = shared.take_orders().unwrap();
        assert!(!orders.is_empty() && orders.len() <= 2, "{orders:?}");
        assert!(orders.iter().all(|order| matches!(order, Order::Resume(_))));
    });
}

fn untaken_add(done: &reaper::Done) {
    done.untaken.as_ref().unwrap().add();
}
