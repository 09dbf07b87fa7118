//! The loop: one thread that waits, verifies what has come and sends what is next.
//!
//! A run has three phases. First all connections are opened, none of which is measured. Then
//! requests are sent until the time is over or there were enough. Last, what is still under way
//! is waited for and verified: so nothing that was sent escapes, though what comes after the end
//! of the time does not count.
//!
//! Latency. The clock is read before a batch is written and after each read that brought bytes,
//! which is twice a round trip: an answer's time ends when the last of its bytes has been read,
//! before they are verified, and the next batch's begins when they have been. What came while
//! this thread was busy with other connections has waited in the system, and that is in its time:
//! a load generator cannot tell it from the server's. Keep it on a core of its own.

use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::connection::{Connection, Dialler};
use crate::failure::Failure;
use crate::flight::Flight;
use crate::plan::{Goal, Plan};
use crate::protocol::Protocol;
use crate::sys::{self, Epoll, Event, Ticks};
use crate::tally::Tally;

/// As much as is read at once, and compared while it is in a processor's second cache.
const BUFFER_BYTES: usize = 128 * 1024;
/// So many connections are opened at a time: half of the 511 that servers let wait.
const LOT: usize = 256;
/// Above this the system searches long for a port that one address has left for the same peer: it
/// begins with the even ones of some 28,000.
const PORTS_EASY: usize = 10_000;
/// When a connection could not be replaced, the next attempt is so much later.
const RETRY_MS: u64 = 10;
/// How often it is looked for connections that nothing comes on, at the least.
const SWEEP_NS_MAX: u64 = NS_PER_S;
const SWEEPS_PER_PATIENCE: u64 = 4;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;

/// What is waited for beside the connections, whose tokens are their places.
const TICK_TOKEN: u64 = u64::MAX;
const INPUT_TOKEN: u64 = u64::MAX - 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Measuring,
    Finishing,
}

/// A run under way.
pub struct Run<P: Protocol> {
    plan: Plan,
    protocol: P,
    epoll: Epoll,
    dialler: Dialler,
    ticks: Option<Ticks>,
    /// The place whose turn it is at the next tick.
    next_due: usize,
    /// Those with requests, and then those that are held.
    connections: Vec<Connection<P::Reader>>,
    /// Places whose connection failed, to be replaced at the end of the turn.
    broken: Vec<usize>,
    buffer: Vec<u8>,
    phase: Phase,
    /// How many of a lot are open.
    opened: usize,
    /// How many places have something under way.
    in_flight: usize,
    /// Requests that may still be sent.
    left: u64,
    next_number: u64,
    origin: Instant,
    began_ns: u64,
    ends_ns: u64,
    /// When the last answer that counts came.
    last_ns: u64,
    next_sweep_ns: u64,
    /// Whether the server ever accepted a connection.
    is_reached: bool,
    input_is_over: bool,
    pub tally: Tally,
}

impl<P: Protocol> Run<P> {
    pub fn new(protocol: P, plan: Plan) -> Result<Self, Failure> {
        let places = plan.connections + plan.idle;
        let varies = plan.closes || places > PORTS_EASY;
        Ok(Self {
            epoll: Epoll::new().map_err(|error| Failure::of("open an epoll", &error))?,
            dialler: Dialler::new(plan.peer, varies),
            ticks: None,
            next_due: 0,
            connections: std::iter::repeat_with(Connection::new).take(places).collect(),
            broken: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            phase: Phase::Opening,
            opened: 0,
            in_flight: 0,
            left: u64::MAX,
            next_number: 0,
            origin: Instant::now(),
            began_ns: 0,
            ends_ns: u64::MAX,
            last_ns: 0,
            next_sweep_ns: 0,
            is_reached: false,
            input_is_over: false,
            tally: Tally::new(),
            protocol,
            plan,
        })
    }

    /// Opens all connections, the idle ones first. A failure ends it: what cannot be opened
    /// cannot be measured.
    pub fn open(&mut self) -> Result<(), Failure> {
        let active = self.plan.connections;
        self.open_lots(active..self.connections.len())?;
        // Each request will open its own.
        if !self.plan.closes {
            self.open_lots(0..active)?;
        }
        Ok(())
    }

    /// Sends requests until the plan says that it is enough.
    pub fn measure(&mut self) -> Result<(), Failure> {
        self.phase = Phase::Measuring;
        self.began_ns = self.now_ns();
        self.last_ns = self.began_ns;
        match self.plan.goal {
            Goal::Time(time) => self.ends_ns = self.began_ns + time.as_nanos() as u64,
            Goal::Requests(count) => self.left = count,
        }
        match self.plan.interval {
            Some(interval) => self.start_ticks(interval)?,
            None if P::IS_STREAM => {}
            None => {
                for slot in 0..self.plan.connections {
                    self.start(slot).or_else(|failure| self.fail(slot, failure))?;
                }
            }
        }
        while !self.is_over() {
            self.turn()?;
        }
        Ok(())
    }

    /// How long requests counted.
    pub fn seconds(&self) -> f64 {
        (self.end_ns() - self.began_ns) as f64 / NS_PER_S as f64
    }

    /// How long ago that was over.
    pub fn seconds_since(&self) -> f64 {
        self.now_ns().saturating_sub(self.end_ns()) as f64 / NS_PER_S as f64
    }

    const fn end_ns(&self) -> u64 {
        if self.ends_ns == u64::MAX { self.last_ns } else { self.ends_ns }
    }

    /// Holds the connections until standard input ends. What is closed meanwhile is a failure.
    pub fn hold(&mut self) -> Result<(), Failure> {
        self.phase = Phase::Measuring;
        match self.epoll.add(std::io::stdin(), INPUT_TOKEN, sys::INPUT) {
            // A file, or the null device: it ends at once.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(()),
            added => added.map_err(|error| Failure::of("wait for standard input", &error))?,
        }
        while !self.input_is_over {
            self.turn()?;
        }
        Ok(())
    }

    fn open_lots(&mut self, places: Range<usize>) -> Result<(), Failure> {
        let mut start = places.start;
        while start < places.end {
            let end = places.end.min(start + LOT);
            self.opened = 0;
            for slot in start..end {
                self.connect(slot).or_else(|failure| self.fail(slot, failure))?;
            }
            while self.opened < end - start {
                self.turn()?;
            }
            start = end;
        }
        Ok(())
    }

    /// Whether a connection's first request belongs to its opening. Only an answer proves that the
    /// server has accepted it, and makes room for another lot to wait.
    const fn opens_with_request(&self, slot: usize) -> bool {
        P::IS_STREAM || self.is_idle(slot) || self.plan.connections > LOT
    }

    const fn is_idle(&self, slot: usize) -> bool {
        slot >= self.plan.connections
    }

    fn is_over(&self) -> bool {
        let has_sent_all = self.left == 0 || self.phase == Phase::Finishing;
        has_sent_all && (P::IS_STREAM || self.in_flight == 0)
    }

    /// Waits once, and acts on what is ready.
    fn turn(&mut self) -> Result<(), Failure> {
        let timeout_ms = self.timeout_ms();
        let count = self.epoll.wait(timeout_ms).map_err(|error| Failure::of("wait", &error))?;
        for place in 0..count {
            let event = self.epoll.event(place);
            match event.token {
                TICK_TOKEN => self.tick()?,
                INPUT_TOKEN => self.read_input(),
                token => {
                    let slot = token as usize;
                    self.serve(slot, event).or_else(|failure| self.fail(slot, failure))?;
                }
            }
        }
        self.replace()?;
        let now_ns = self.look_at_clock();
        if now_ns >= self.next_sweep_ns { self.sweep(now_ns) } else { Ok(()) }
    }

    /// Rounded up: a wait that ends too early would only be followed by another.
    fn timeout_ms(&self) -> i32 {
        let now_ns = self.now_ns();
        let mut until_ns = self.next_sweep_ns;
        if self.phase == Phase::Measuring {
            until_ns = until_ns.min(self.ends_ns);
        }
        if !self.broken.is_empty() {
            until_ns = until_ns.min(now_ns + RETRY_MS * NS_PER_MS);
        }
        until_ns.saturating_sub(now_ns).div_ceil(NS_PER_MS) as i32
    }

    fn now_ns(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    /// Returns the time, and ends the measurement when it is over.
    #[inline]
    fn look_at_clock(&mut self) -> u64 {
        let now_ns = self.now_ns();
        if now_ns > self.ends_ns {
            self.phase = Phase::Finishing;
        }
        now_ns
    }

    fn serve(&mut self, slot: usize, event: Event) -> Result<(), Failure> {
        let connection = &self.connections[slot];
        if connection.is_connecting {
            self.connected(slot)?;
        } else if !self.protocol.requests().are_sent(&connection.flight) {
            self.write(slot)?;
        }
        if event.is_readable() { self.receive(slot, event) } else { Ok(()) }
    }

    /// Reads until there is no more, verifies it, and sends what is next.
    fn receive(&mut self, slot: usize, event: Event) -> Result<(), Failure> {
        while let Some(mut stream) = self.connections[slot].stream.as_ref() {
            let count = match stream.read(&mut self.buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::of("read", &error)),
            };
            self.take(slot, count)?;
            // A short read has drained the socket, and the end has an edge of its own unless it
            // has come already.
            if count == 0 || count < self.buffer.len() && !event.ends() {
                break;
            }
        }
        Ok(())
    }

    /// Verifies what lies in the buffer, none being the end of the connection.
    #[inline]
    fn take(&mut self, slot: usize, count: usize) -> Result<(), Failure> {
        let now_ns = self.look_at_clock();
        self.is_reached = true;
        if self.phase == Phase::Measuring {
            self.tally.bytes_in += count as u64;
        }
        let connection = &mut self.connections[slot];
        connection.touched_ns = now_ns;
        let before = connection.flight.answered;
        let (reader, flight) = (&mut connection.reader, &mut connection.flight);
        let verdict = if count == 0 {
            self.protocol.end(reader, flight)
        } else {
            self.protocol.read(reader, flight, &self.buffer[..count])
        };
        let (answered, is_done) = (flight.answered - before, !flight.is_on());
        self.record(slot, answered, now_ns);
        verdict?;
        if answered == 0 {
            return Ok(());
        }
        if is_done {
            return self.finish(slot);
        }
        // Only a stream goes on: its first event shows that it is open.
        if self.phase == Phase::Opening && before == 0 {
            self.opened += 1;
        }
        Ok(())
    }

    /// Counts answers that came at the same time.
    #[inline]
    fn record(&mut self, slot: usize, answered: u64, now_ns: u64) {
        if answered == 0 {
            return;
        }
        let connection = &mut self.connections[slot];
        let time_ns = now_ns - connection.begun_ns;
        match self.phase {
            Phase::Opening => {}
            Phase::Finishing => self.tally.late += answered,
            Phase::Measuring if P::IS_STREAM => {
                let count = answered.min(self.left);
                self.left -= count;
                self.tally.requests += count;
                // From event to event: those that came together have no time between them.
                self.tally.times.record(time_ns, count.min(1));
                self.tally.times.record(0, count.saturating_sub(1));
            }
            Phase::Measuring => {
                self.tally.requests += answered;
                self.tally.times.record(time_ns, answered);
            }
        }
        if P::IS_STREAM {
            connection.begun_ns = now_ns;
        }
        self.last_ns = now_ns;
    }

    /// All that was under way has been answered: on to what is next.
    fn finish(&mut self, slot: usize) -> Result<(), Failure> {
        let connection = &mut self.connections[slot];
        if !self.protocol.requests().are_sent(&connection.flight) {
            return Err(Failure::new("An answer was over before its request was"));
        }
        self.in_flight -= 1;
        connection.flight = Flight::default();
        if self.plan.closes {
            connection.close();
        }
        if self.phase == Phase::Opening {
            self.opened += 1;
            return Ok(());
        }
        self.go_on(slot)
    }

    /// Sends what is next, unless nothing is due yet.
    fn go_on(&mut self, slot: usize) -> Result<(), Failure> {
        let is_due = std::mem::take(&mut self.connections[slot].is_due);
        if self.plan.interval.is_none() || is_due { self.start(slot) } else { Ok(()) }
    }

    /// Sends a batch that counts, unless there were enough.
    fn start(&mut self, slot: usize) -> Result<(), Failure> {
        if self.phase != Phase::Measuring || self.left == 0 {
            return Ok(());
        }
        let size = self.plan.depth.min(self.left);
        self.left -= size;
        self.begin(slot, size)
    }

    /// Sends a batch, on a connection of its own where each request has one.
    fn begin(&mut self, slot: usize, size: u64) -> Result<(), Failure> {
        let now_ns = self.now_ns();
        let connection = &mut self.connections[slot];
        let all = if P::IS_STREAM { Flight::ENDLESS } else { size };
        connection.flight = Flight::new(self.next_number, all);
        (connection.begun_ns, connection.touched_ns) = (now_ns, now_ns);
        self.next_number += size;
        self.in_flight += 1;
        if self.plan.closes {
            self.dial(slot)?;
        }
        self.write(slot)
    }

    #[inline]
    fn write(&mut self, slot: usize) -> Result<(), Failure> {
        let connection = &mut self.connections[slot];
        let Some(stream) = &connection.stream else { return Ok(()) };
        let requests = self.protocol.requests();
        let written = requests
            .write(stream, &mut connection.flight)
            .map_err(|error| Failure::of("write", &error))?;
        if self.phase == Phase::Measuring {
            self.tally.bytes_out += written;
        }
        Ok(())
    }

    /// Begins to open a connection, and to wait until it is there.
    fn connect(&mut self, slot: usize) -> Result<(), Failure> {
        let now_ns = self.now_ns();
        let connection = &mut self.connections[slot];
        connection.is_connecting = true;
        connection.touched_ns = now_ns;
        self.dial(slot)
    }

    fn dial(&mut self, slot: usize) -> Result<(), Failure> {
        let dialled = self.dialler.dial().and_then(|stream| {
            self.epoll.add(&stream, slot as u64, sys::EVERYTHING)?;
            Ok(stream)
        });
        let stream = dialled.map_err(|error| Failure::of("connect", &error))?;
        self.connections[slot].stream = Some(stream);
        Ok(())
    }

    /// A connection is there, or could not be opened.
    fn connected(&mut self, slot: usize) -> Result<(), Failure> {
        let connection = &mut self.connections[slot];
        let error = connection.stream.as_ref().and_then(|stream| stream.take_error().transpose());
        if let Some(Ok(error) | Err(error)) = error {
            return Err(Failure::of("connect", &error));
        }
        connection.is_connecting = false;
        self.is_reached = true;
        match self.phase {
            Phase::Opening if self.opens_with_request(slot) => self.begin(slot, 1),
            Phase::Opening => {
                self.opened += 1;
                Ok(())
            }
            _ if P::IS_STREAM => self.begin(slot, 1),
            _ => self.go_on(slot),
        }
    }

    /// Counts a failure, and gives its connection up. Where nothing was reached, and while the
    /// connections are opened, it is returned instead.
    fn fail(&mut self, slot: usize, failure: Failure) -> Result<(), Failure> {
        if !self.is_reached || self.phase == Phase::Opening {
            let peer = self.plan.peer;
            return Err(Failure::new(format!("Cannot load {peer}: {failure}")));
        }
        let flight = std::mem::take(&mut self.connections[slot].flight);
        self.connections[slot].close();
        if self.is_idle(slot) {
            self.tally.fail(Failure::new(format!("On an idle connection: {failure}")));
            return Ok(());
        }
        self.tally.fail(failure);
        // Also when all was answered, and something came behind it.
        if flight.size > 0 {
            self.in_flight -= 1;
        }
        // It stands for one request: others that were in flight with it are sent again.
        let lost = if P::IS_STREAM { 0 } else { flight.open() };
        self.left = match lost {
            0 => self.left.saturating_sub(1),
            _ => self.left.saturating_add(lost - 1),
        };
        self.broken.push(slot);
        Ok(())
    }

    /// Opens other connections for those that failed.
    fn replace(&mut self) -> Result<(), Failure> {
        for slot in std::mem::take(&mut self.broken) {
            if self.phase != Phase::Measuring || self.left == 0 {
                continue;
            }
            let begun = if self.plan.closes { self.go_on(slot) } else { self.connect(slot) };
            begun.or_else(|failure| self.fail(slot, failure))?;
        }
        Ok(())
    }

    /// Fails the connections on which nothing came for too long.
    fn sweep(&mut self, now_ns: u64) -> Result<(), Failure> {
        let patience_ns = self.plan.patience.as_nanos() as u64;
        self.next_sweep_ns = now_ns + (patience_ns / SWEEPS_PER_PATIENCE).min(SWEEP_NS_MAX);
        for slot in 0..self.connections.len() {
            let connection = &self.connections[slot];
            if connection.is_waiting() && connection.touched_ns + patience_ns < now_ns {
                let patience_ms = self.plan.patience.as_millis();
                self.fail(slot, Failure::new(format!("Nothing came within {patience_ms} ms")))?;
            }
        }
        Ok(())
    }

    /// Ticks as often as there are connections within the interval: each tick is the next one's
    /// turn, so that they are spread evenly.
    fn start_ticks(&mut self, interval: Duration) -> Result<(), Failure> {
        let period = interval / self.plan.connections as u32;
        let started = Ticks::every(period).and_then(|ticks| {
            self.epoll.add(&ticks, TICK_TOKEN, sys::INPUT)?;
            Ok(ticks)
        });
        self.ticks = Some(started.map_err(|error| Failure::of("start a timer", &error))?);
        Ok(())
    }

    /// Sends what is due, at once or when the answers before it have come.
    fn tick(&mut self) -> Result<(), Failure> {
        let Some(ticks) = &self.ticks else { return Ok(()) };
        let (count, places) = (ticks.count(), self.plan.connections);
        let first = self.next_due;
        self.next_due = ((first as u64 + count) % places as u64) as usize;
        // More ticks than places: each is due once more, not twice.
        for offset in 0..count.min(places as u64) as usize {
            let slot = (first + offset) % places;
            let connection = &mut self.connections[slot];
            connection.is_due = true;
            let is_open = connection.stream.is_some() || self.plan.closes;
            if is_open && !connection.is_waiting() {
                self.go_on(slot).or_else(|failure| self.fail(slot, failure))?;
            }
        }
        Ok(())
    }

    /// What standard input says does not matter, only its end.
    fn read_input(&mut self) {
        let count = std::io::stdin().lock().read(&mut self.buffer);
        self.input_is_over = !matches!(count, Ok(1..));
    }
}
