//! Emulated edges against a model: any sequence of registrations, operations and waits, on each
//! backend that only sees levels. No readiness may be missing, and a source that the
//! program has not touched since its last event must have no other.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "set-up")]
#![cfg(epoll)]

mod util;

use std::time::Duration;

use denio_poll::{Backend, Event, Interest, Mode, Poll, Token, UnixStream};
use proptest::prelude::*;
use util::alone;

const SOURCES: usize = 3;
const EMULATED: [Backend; 2] = [Backend::Poll, Backend::Select];

#[derive(Clone, Copy, Debug)]
enum Step {
    Register(usize, u32, Mode),
    Deregister(usize),
    /// The peer writes a few bytes.
    Arrive(usize),
    /// One byte is read.
    ReadPart(usize),
    /// All is read, until there is nothing or the end.
    Drain(usize),
    /// The peer closes.
    End(usize),
    /// Waits with room for so many events.
    Wait(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let source = || 0..SOURCES;
    let mode = prop::sample::select(&[Mode::EDGE, Mode::EDGE, Mode::LEVEL, Mode::ONE_SHOT]);
    let step = prop_oneof![
        4 => (source(), 1..4_u32, mode).prop_map(|(source, bits, mode)| {
            Step::Register(source, bits, mode)
        }),
        1 => source().prop_map(Step::Deregister),
        4 => source().prop_map(Step::Arrive),
        3 => source().prop_map(Step::ReadPart),
        3 => source().prop_map(Step::Drain),
        1 => source().prop_map(Step::End),
        6 => (1..=SOURCES).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

/// A source, with the events that it may have and those that it must have.
struct Modelled {
    stream: UnixStream,
    peer: Option<UnixStream>,
    pending: usize,
    registered: Option<(Interest, Mode)>,
    /// The readiness that is new since the last event or operation.
    reading_is_news: bool,
    writing_is_news: bool,
    ending_is_news: bool,
    is_spent: bool,
    /// Whether an event has reported the end of both ways.
    was_told_end: bool,
}

impl Modelled {
    fn new() -> Self {
        let (stream, peer) = UnixStream::pair().unwrap();
        Self {
            stream,
            peer: Some(peer),
            pending: 0,
            registered: None,
            reading_is_news: false,
            writing_is_news: false,
            ending_is_news: false,
            is_spent: false,
            was_told_end: false,
        }
    }

    fn is_ended(&self) -> bool {
        self.peer.is_none()
    }

    fn has_mode(&self, mode: Mode) -> bool {
        self.registered.is_some_and(|(_, registered)| registered == mode)
    }

    /// The bits that an event must have now; `None` when there must be no event. A backend may or
    /// may not report an end alone, without reading or writing: no program may wait for it.
    fn expected(&self) -> Option<u32> {
        let (interest, mode) = self.registered?;
        let is_told = |is_news: bool| mode == Mode::LEVEL || is_news;
        let can_read = self.pending > 0 || self.is_ended();
        let reads = interest.is_readable() && can_read && is_told(self.reading_is_news);
        let writes = interest.is_writable() && is_told(self.writing_is_news);
        let ends = self.is_ended() && is_told(self.ending_is_news);
        let bits = [(reads, Event::READABLE), (writes, Event::WRITABLE)];
        let bits = bits.into_iter().filter(|(is, _)| *is).fold(0, |bits, (_, bit)| bits | bit);
        (!self.is_spent && (reads || writes || ends)).then_some(bits)
    }

    fn register(&mut self, poll: &Poll, token: Token, interest: Interest, mode: Mode) {
        let registry = poll.registry();
        if self.registered.is_some() {
            registry.reregister_with(&self.stream, token, interest, mode).unwrap();
        } else {
            registry.register_with(&self.stream, token, interest, mode).unwrap();
        }
        self.registered = Some((interest, mode));
        self.reading_is_news = true;
        self.writing_is_news = true;
        self.ending_is_news = true;
        self.is_spent = false;
        self.was_told_end = false;
    }

    fn deregister(&mut self, poll: &Poll) {
        let done = poll.registry().deregister(&self.stream);
        assert_eq!(done.is_ok(), self.registered.is_some());
        self.registered = None;
    }

    fn arrive(&mut self) {
        let Some(peer) = &self.peer else { return };
        self.pending += peer.write(b"news").unwrap();
    }

    /// Reads, and returns whether there may be more.
    fn read(&mut self, room: usize) -> bool {
        match self.stream.read(&mut [0; 64][..room]) {
            Ok(0) => {
                // The end is read: no event can follow.
                assert!(self.is_ended() && self.pending == 0);
                if self.has_mode(Mode::EDGE) {
                    self.reading_is_news = false;
                    self.ending_is_news &= !self.was_told_end;
                    self.writing_is_news &= !self.was_told_end;
                }
                return false;
            }
            Ok(count) => self.pending -= count,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                assert!(!self.is_ended() && self.pending == 0);
            }
        }
        self.reading_is_news = true;
        self.ending_is_news = true;
        self.pending > 0 || self.is_ended()
    }

    fn report(&mut self, bits: u32) {
        if self.has_mode(Mode::LEVEL) {
            return;
        }
        self.is_spent |= self.has_mode(Mode::ONE_SHOT);
        self.reading_is_news &= bits & Event::READABLE == 0;
        self.writing_is_news &= bits & Event::WRITABLE == 0;
        if self.is_ended() {
            // After an end no event can follow.
            self.reading_is_news = false;
            self.writing_is_news = false;
            self.ending_is_news = false;
            self.was_told_end = true;
        }
    }
}

fn run(backend: Backend, steps: &[Step]) {
    let poll = Poll::with_backend(backend).unwrap();
    let mut sources: [Modelled; SOURCES] = std::array::from_fn(|_| Modelled::new());
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Register(source, bits, mode) => {
                let interest = Interest::from_bits(bits).unwrap();
                sources[source].register(&poll, Token(source as u32), interest, mode);
            }
            Step::Deregister(source) => sources[source].deregister(&poll),
            Step::Arrive(source) => sources[source].arrive(),
            Step::ReadPart(source) => drop(sources[source].read(1)),
            Step::Drain(source) => while sources[source].read(64) {},
            Step::End(source) => sources[source].peer = None,
            Step::Wait(room) => wait(&poll, &mut sources, room, number),
        }
    }
    // Twice: an event does not come again.
    for number in [1000, 1001] {
        wait(&poll, &mut sources, SOURCES, number);
    }
}

fn wait(poll: &Poll, sources: &mut [Modelled; SOURCES], room: usize, number: usize) {
    let mut events = [Event::default(); SOURCES];
    let count = poll.poll(&mut events[..room], Some(Duration::ZERO)).unwrap();
    let expected = || sources.iter().filter_map(Modelled::expected);
    let (least, most) = (expected().filter(|bits| *bits != 0).count(), expected().count());
    assert!((least.min(room)..=most.min(room)).contains(&count), "step {number}: {count}");
    for event in &events[..count] {
        let source = &mut sources[event.token().0 as usize];
        let bits = event.readiness() & (Event::READABLE | Event::WRITABLE);
        assert_eq!(Some(bits), source.expected(), "step {number}: {event:?}");
        source.report(bits);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edges_are_reported_once(steps in steps()) {
        let _alone = alone();
        for backend in EMULATED {
            run(backend, &steps);
        }
    }
}
