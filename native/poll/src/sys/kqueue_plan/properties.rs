//! Any sequence of calls, mixed with anything that sources and other threads do
//! meanwhile, ends in the events that the contract promises.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::os::fd::RawFd;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::script::{Report, Script, wait};
use super::*;

/// Few descriptors, so that much happens to each.
const FDS: Range<RawFd> = 5..7;
/// Room for every event that the kernel can report of them.
const ROOM: usize = 4;
const DIRECTIONS: [u32; 2] = [Event::READABLE, Event::WRITABLE];

fn config() -> ProptestConfig {
    // A failure prints its input: no file is written.
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) }
}

/// A step of the program or of the world around it.
#[derive(Clone, Debug)]
enum Step {
    Register(RawFd, u32, Mode),
    Reregister(RawFd, u32, Mode),
    Deregister(RawFd),
    /// Closes the descriptor without deregistering it, and opens it again.
    Reopen(RawFd),
    Arrive(RawFd, u32),
    Drain(RawFd, u32),
    /// Waits with room for so many events. Another thread takes the steps after the
    /// kernel has reported its events and before the wait returns.
    Wait(usize, Vec<Step>),
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![1 => Just(Mode::EDGE), 1 => Just(Mode::LEVEL), 2 => Just(Mode::ONE_SHOT)]
}

fn steps(
    longest: usize,
    waits: impl Strategy<Value = Step> + 'static,
) -> impl Strategy<Value = Vec<Step>> {
    let direction = || proptest::sample::select(&DIRECTIONS);
    let step = prop_oneof![
        3 => (FDS, 1..=3u32, modes()).prop_map(|(fd, bits, mode)| Step::Register(fd, bits, mode)),
        2 => (FDS, 1..=3u32, modes()).prop_map(|(fd, bits, mode)| Step::Reregister(fd, bits, mode)),
        1 => FDS.prop_map(Step::Deregister),
        1 => FDS.prop_map(Step::Reopen),
        4 => (FDS, direction()).prop_map(|(fd, bits)| Step::Arrive(fd, bits)),
        2 => (FDS, direction()).prop_map(|(fd, bits)| Step::Drain(fd, bits)),
        4 => waits,
    ];
    vec(step, 0..longest)
}

fn waits_alone() -> impl Strategy<Value = Step> {
    (1..=ROOM).prop_map(|room| Step::Wait(room, Vec::new()))
}

fn waits_among_others() -> impl Strategy<Value = Step> {
    (1..=ROOM, steps(6, waits_alone())).prop_map(|(room, others)| Step::Wait(room, others))
}

/// The events that a source must have, by the contract of `sys/mod.rs` alone.
#[derive(Clone, Debug, Default)]
struct Source {
    registered: Option<Registered>,
    ready: u32,
}

#[derive(Clone, Debug)]
struct Registered {
    token: u32,
    interest: u32,
    mode: Mode,
    is_spent: bool,
    /// The readiness that is new since the last event.
    edges: u32,
}

impl Source {
    fn register(&mut self, token: u32, interest: u32, mode: Mode) {
        let edges = self.ready & interest;
        self.registered = Some(Registered { token, interest, mode, is_spent: false, edges });
    }

    fn arrive(&mut self, bits: u32) {
        self.ready |= bits;
        if let Some(registered) = &mut self.registered {
            registered.edges |= bits & registered.interest;
        }
    }

    fn drain(&mut self, bits: u32) {
        self.ready &= !bits;
    }

    /// The readiness that a wait must report now.
    fn due(&self) -> u32 {
        self.allowed() & self.ready
    }

    /// The readiness that a wait may report now: an edge that is over is only spurious.
    fn allowed(&self) -> u32 {
        match &self.registered {
            Some(registered) if registered.mode.is_level() => self.ready & registered.interest,
            Some(registered) if !registered.is_spent => registered.edges,
            _ => 0,
        }
    }

    fn report(&mut self, bits: u32) {
        if let Some(registered) = &mut self.registered {
            registered.edges &= !bits;
            registered.is_spent |= registered.mode.is_one_shot() && bits != 0;
        }
    }
}

/// A kqueue with its sources, and all events that it has reported.
struct World {
    script: Script,
    queue: Rc<Queue<Script>>,
    sources: RefCell<BTreeMap<RawFd, Source>>,
    latest: Cell<u32>,
    reported: RefCell<Vec<Report>>,
    one_shots: RefCell<BTreeSet<u32>>,
}

impl World {
    fn new() -> Rc<Self> {
        let script = Script::default();
        FDS.for_each(|fd| script.open(fd));
        Rc::new(Self {
            queue: Rc::new(Queue::with(script.clone())),
            script,
            sources: RefCell::new(FDS.map(|fd| (fd, Source::default())).collect()),
            latest: Cell::default(),
            reported: RefCell::default(),
            one_shots: RefCell::default(),
        })
    }

    /// Takes a step, and returns the events of a wait.
    fn take(self: &Rc<Self>, step: Step) -> Vec<Report> {
        match step {
            Step::Register(fd, bits, mode) => self.register(fd, bits, mode, false),
            Step::Reregister(fd, bits, mode) => self.register(fd, bits, mode, true),
            Step::Deregister(fd) => {
                if self.with(fd, |source| source.registered.take()).is_some() {
                    self.queue.deregister(fd).unwrap();
                }
            }
            Step::Reopen(fd) => {
                self.script.close(fd);
                self.script.open(fd);
                self.with(fd, |source| *source = Source::default());
            }
            Step::Arrive(fd, bits) => {
                self.with(fd, |source| source.arrive(bits));
                if bits == Event::READABLE {
                    self.script.arrive(fd)
                } else {
                    self.script.make_room(fd)
                }
            }
            Step::Drain(fd, bits) => {
                self.with(fd, |source| source.drain(bits));
                if bits == Event::READABLE { self.script.drain(fd) } else { self.script.fill(fd) }
            }
            Step::Wait(room, others) => return self.wait(room, others),
        }
        Vec::new()
    }

    /// Does what the registry does: registers once, then replaces.
    fn register(&self, fd: RawFd, bits: u32, mode: Mode, is_there: bool) {
        if self.with(fd, |source| source.registered.is_some()) != is_there {
            return;
        }
        let token = self.latest.get() + 1;
        self.latest.set(token);
        let interest = Interest::from_bits(bits).unwrap();
        let call = if is_there { Queue::reregister } else { Queue::register };
        call(&self.queue, fd, Token(token), interest, mode).unwrap();
        self.with(fd, |source| source.register(token, bits, mode));
        if mode.is_one_shot() {
            self.one_shots.borrow_mut().insert(token);
        }
    }

    fn wait(self: &Rc<Self>, room: usize, others: Vec<Step>) -> Vec<Report> {
        let world = Rc::clone(self);
        if !others.is_empty() {
            self.script
                .meanwhile(move || others.into_iter().for_each(|step| drop(world.take(step))));
        }
        let reported = wait(&self.queue, room);
        self.reported.borrow_mut().extend(&reported);
        reported
    }

    fn with<T>(&self, fd: RawFd, call: impl FnOnce(&mut Source) -> T) -> T {
        call(self.sources.borrow_mut().get_mut(&fd).unwrap())
    }

    /// Compares the events of a wait with the contract.
    fn check(&self, reported: &[Report], room: usize) -> Result<(), TestCaseError> {
        prop_assert!(reported.len() <= room);
        let mut sources = self.sources.borrow_mut();
        let due = sources.values().any(|source| source.due() != 0);
        prop_assert!(!reported.is_empty() || !due, "no event, but {:?}", sources);
        let mut tokens = reported.iter().map(|(token, _)| *token).collect::<BTreeSet<_>>();
        for source in sources.values_mut() {
            let token = source.registered.as_ref().map(|registered| registered.token);
            let of_source = reported.iter().filter(|(of, _)| Some(*of) == token);
            let bits = of_source.clone().fold(0, |all, (_, bits)| all | bits);
            prop_assert_eq!(bits & !source.allowed(), 0, "too much of {:?}", source);
            if room >= ROOM {
                prop_assert_eq!(source.due() & !bits, 0, "too little of {:?}", source);
            }
            let is_one_shot = token.is_some_and(|token| self.one_shots.borrow().contains(&token));
            prop_assert!(!is_one_shot || of_source.count() <= 1, "two shots of {:?}", source);
            source.report(bits);
            tokens.retain(|of| Some(*of) != token);
        }
        prop_assert!(tokens.is_empty(), "events of sources that are not registered: {:?}", tokens);
        Ok(())
    }

    /// No shot was reported twice, and none that was due is missing.
    fn check_in_the_end(&self) -> Result<(), TestCaseError> {
        let reported = self.reported.borrow();
        let times = |token| reported.iter().filter(|(of, _)| *of == token).count();
        for token in self.one_shots.borrow().iter() {
            prop_assert!(times(*token) <= 1, "shot {} was reported {} times", token, times(*token));
        }
        for source in self.sources.borrow().values() {
            let Some(registered) = &source.registered else { continue };
            let is_ready = source.ready & registered.interest != 0;
            prop_assert!(!is_ready || times(registered.token) > 0, "never reported: {:?}", source);
        }
        Ok(())
    }
}

fn filters() -> impl Strategy<Value = Filter> {
    prop_oneof![Just(Filter::Read), Just(Filter::Write), Just(Filter::User)]
}

/// Anything that a kernel may report: a token, and a shot, belongs to one source.
fn kevents() -> impl Strategy<Value = Kevent> {
    let flags = proptest::sample::select(&[0, EV_EOF, EV_ERROR, EV_EOF | EV_CLEAR]);
    let words = (0..4usize, filters(), flags, 0..2u32, 0..3u32);
    words.prop_map(|(ident, filter, flags, fflags, shot)| {
        let source = ident as u32 + 1;
        let shot = if shot == 0 { 0 } else { source * 10 + shot };
        let udata = Tag { token: Token(source), shot }.to_bits();
        Kevent { ident, filter, flags, fflags, data: 0, udata }
    })
}

fn bits_by_token(all: impl Iterator<Item = Report>) -> BTreeMap<u32, u32> {
    let mut bits = BTreeMap::new();
    all.for_each(|(token, readiness)| *bits.entry(token).or_default() |= readiness);
    bits
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fold_keeps_each_bit_with_its_token_and_stays_in_its_room(
        all in vec(kevents(), 0..12),
        room in 0..14usize,
    ) {
        let mut events = vec![Event::default(); room];
        let mut fold = Fold::new(&mut events);
        all.iter().for_each(|kevent| fold.push(*kevent));
        let count = fold.count();
        prop_assert!(count <= room.min(all.len()));
        let events = events[..count].iter().map(|event| (event.token().0, event.readiness()));
        let kept = bits_by_token(events);
        let reported = all.iter().map(|kevent| (Tag::from_bits(kevent.udata).token.0, readiness(kevent)));
        let reported = bits_by_token(reported);
        if room >= all.len() {
            prop_assert_eq!(kept, reported);
        } else {
            prop_assert!(kept.iter().all(|(token, bits)| bits & !reported[token] == 0));
        }
    }

    #[test]
    fn plan_leads_from_any_registration_to_the_new_one(
        old in vec((0..2usize, modes()), 0..4),
        interest in 0..=3u32,
        mode in modes(),
    ) {
        let script = Script::default();
        script.open(FDS.start);
        let ident = FDS.start as usize;
        let filters = [Filter::Read, Filter::Write];
        for (filter, mode) in old {
            script.submit(Change::add(filters[filter], mode).of(ident, Tag::default()));
        }
        let new = Interest::from_bits(interest).map_or(Filters::NONE, |interest| {
            Filters::of(interest).unwrap()
        });
        let tag = Tag { token: Token(7), shot: 3 };
        let changes: Vec<_> = plan(Filters::BOTH, new, mode).collect();
        prop_assert!(changes.len() <= CHANGES_MAX);
        let done = changes.iter().map(|change| change.of(ident, tag));
        outcome(done.map(|change| (change, script.submit(change)))).unwrap();
        let flags = Change::add(Filter::Read, mode).flags & (EV_CLEAR | EV_ONESHOT);
        let wanted: Vec<_> = filters.into_iter().zip(DIRECTIONS)
            .filter(|(_, bit)| interest & bit != 0)
            .map(|(filter, _)| (ident, filter, flags, tag.to_bits()))
            .collect();
        prop_assert_eq!(script.notes(), wanted);
    }

    #[test]
    fn tag_comes_back_as_it_went(token in any::<u32>(), shot in any::<u32>()) {
        let tag = Tag { token: Token(token), shot };
        prop_assert_eq!(Tag::from_bits(tag.to_bits()), tag);
    }

    #[test]
    fn events_follow_the_contract_after_any_calls(steps in steps(40, waits_alone())) {
        let world = World::new();
        for step in steps {
            let room = if let Step::Wait(room, _) = &step { Some(*room) } else { None };
            let reported = world.take(step);
            if let Some(room) = room {
                world.check(&reported, room)?;
            }
        }
        let reported = world.take(Step::Wait(ROOM, Vec::new()));
        world.check(&reported, ROOM)?;
        world.check_in_the_end()?;
    }

    #[test]
    fn no_shot_is_lost_or_reported_twice_among_threads(steps in steps(30, waits_among_others())) {
        let world = World::new();
        steps.into_iter().for_each(|step| drop(world.take(step)));
        world.take(Step::Wait(ROOM, Vec::new()));
        world.check_in_the_end()?;
    }
}
