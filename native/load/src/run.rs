//! The loop: one thread that waits, verifies received bytes and sends the next requests.
//!
//! First the run opens all connections, unmeasured. Then it sends requests until the time is over
//! or their number is reached. Last it waits for the answers to requests that are under way, and
//! verifies them: no answer escapes, though answers after the end of the time do not count.
//!
//! The clock is read before a batch is written and after each read that returns bytes. Bytes that
//! arrive while this thread serves other connections wait in the system, and the time of their
//! request includes that wait: give the generator a core of its own.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::answers::{Answers, Reader};
use crate::flight::Flight;
use crate::options::{Expected, Mode, Options, seconds};
use crate::sockets::{Ready, Sockets};
use crate::websocket;

/// The most bytes of one read: they are compared while the processor's second cache has them.
const BUFFER_BYTES: usize = 128 * 1024;
/// Connections that are opened at a time: half of the 511 that servers let wait.
const LOT: usize = 256;
/// The same in a session: Rust's `TcpListener` lets 128 wait.
const SESSION_LOT: usize = 100;
/// With more connections the system searches long for a port that one address has left.
const PORTS_EASY: usize = 10_000;
/// The longest time between two looks for connections that receive nothing.
const SWEEP_NS_MAX: u64 = 1_000_000_000;
const SWEEPS_PER_PATIENCE: u64 = 4;
/// The token of standard input; a connection's token is its place.
const INPUT_TOKEN: usize = usize::MAX - 1;
/// The histogram's unit, and its precision: a tenth of a microsecond or 0.1 %.
const UNIT_NS: u64 = 100;
const DIGITS: u8 = 3;
/// An hour: longer times count as an hour.
const UNITS_MAX: u64 = 36_000_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Measuring,
    Finishing,
}

/// How far a connection is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// The connect may still fail.
    Connecting,
    /// The request for a WebSocket has no answer yet.
    Upgrading,
}

/// A place in a run, and its connection of the moment.
#[derive(Default)]
struct Connection {
    stream: Option<TcpStream>,
    stage: Stage,
    reader: Reader,
    flight: Flight,
    /// When the batch was written, the connection of one request opened, or the last event came.
    begun_ns: u64,
    /// When bytes last arrived, or were first expected.
    touched_ns: u64,
    /// Whether a request is due that waits for the answer to another.
    is_due: bool,
}

impl Connection {
    const fn is_waiting(&self) -> bool {
        !matches!(self.stage, Stage::Open) || self.flight.is_on()
    }

    fn close(&mut self) {
        *self = Self { is_due: self.is_due, ..Self::default() };
    }
}

/// The counts of a run.
#[derive(Default)]
struct Tally {
    requests: u64,
    late: u64,
    failures: u64,
    first_failure: Option<String>,
}

struct Run {
    options: Options,
    answers: Answers,
    /// The bytes before the body: a request's head, or a batch of equal requests.
    prefix: Vec<u8>,
    /// The request for a WebSocket.
    upgrade: Option<Vec<u8>>,
    sockets: Sockets,
    /// First the connections that send requests, then the idle ones.
    connections: Vec<Connection>,
    /// Places whose connection failed; they get another at the end of the turn.
    broken: Vec<usize>,
    buffer: Vec<u8>,
    ready: Vec<Ready>,
    phase: Phase,
    /// The number of connections that are open, until all are.
    opened: usize,
    /// The number of connections that a session could not open.
    refused: usize,
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
    /// When the next request is due, and on which place.
    next_due_ns: u64,
    next_place: usize,
    /// Whether the server ever accepted a connection.
    is_reached: bool,
    tally: Tally,
    times: Histogram<u64>,
}

/// Runs what the options ask for.
pub fn run(options: Options) -> Result<(), String> {
    let is_idle = options.mode == Mode::Idle;
    let mut run = Run::new(options).map_err(of("start"))?;
    let places = run.connections.len();
    run.open(run.options.connections..places)?;
    // Each request will open its own.
    if !run.options.closes {
        run.open(0..run.options.connections)?;
    }
    run.phase = Phase::Measuring;
    match run.options.session {
        true => run.session(),
        false if is_idle => run.hold(),
        false => run.measure(),
    }
}

impl Run {
    fn new(mut options: Options) -> io::Result<Self> {
        let places = options.connections + options.idle;
        let varies = options.closes || places > PORTS_EASY;
        let mut prefix = match (options.frame, &options.body) {
            (Some(frame), Some(body)) => websocket::frame_head(frame, body.length, true),
            _ if options.mode == Mode::Echo => Vec::new(),
            _ => head(&options),
        };
        let upgrade = options.frame.map(|_| head(&options));
        if let Some(body) = options.body.take_if(|body| body.is_constant()) {
            prefix.extend_from_slice(body.of(0));
            if matches!(options.expected, Expected::Echo) {
                options.expected = Expected::Content(body);
            }
        } else if options.body.is_some() && options.depth > 1 {
            return Err(io::Error::other("Cannot send bodies that differ in one write"));
        }
        Ok(Self {
            answers: Answers::new(&mut options),
            prefix: prefix.repeat(options.depth as usize),
            upgrade,
            sockets: Sockets::new(options.port, varies)?,
            connections: std::iter::repeat_with(Connection::default).take(places).collect(),
            broken: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            ready: Vec::new(),
            phase: Phase::Opening,
            opened: 0,
            refused: 0,
            in_flight: 0,
            left: options.requests,
            next_number: 0,
            origin: Instant::now(),
            began_ns: 0,
            ends_ns: u64::MAX,
            last_ns: 0,
            next_sweep_ns: 0,
            next_due_ns: 0,
            next_place: 0,
            is_reached: false,
            tally: Tally::default(),
            times: Histogram::new_with_bounds(1, UNITS_MAX, DIGITS).map_err(io::Error::other)?,
            options,
        })
    }

    const fn is_stream(&self) -> bool {
        matches!(self.options.mode, Mode::Sse)
    }

    /// Whether all other places receive what the first one sends.
    fn is_published(&self) -> bool {
        self.options.mode == Mode::Topic && self.phase != Phase::Opening
    }

    const fn is_idle(&self, place: usize) -> bool {
        place >= self.options.connections
    }

    /// Opens places, a lot at a time. A failure ends the run: a server that cannot be reached
    /// cannot be measured.
    fn open(&mut self, places: Range<usize>) -> Result<(), String> {
        let lot = if self.options.session { SESSION_LOT } else { LOT };
        for start in places.clone().step_by(lot) {
            let end = places.end.min(start + lot);
            let before = self.opened;
            for place in start..end {
                self.connect(place).or_else(|failure| self.fail(place, failure))?;
            }
            while self.opened + self.refused - before < end - start {
                self.turn()?;
            }
            if let Some(failure) = self.tally.first_failure.take_if(|_| self.refused > 0) {
                return Err(self.not_opened(&failure));
            }
        }
        Ok(())
    }

    /// Whether a connection's first request belongs to its opening. Only an answer proves that the
    /// server has accepted the connection, and has room for another lot in its queue.
    fn opens_with_request(&self, place: usize) -> bool {
        let Options { connections, session, mode, .. } = self.options;
        let is_always = matches!(mode, Mode::Sse | Mode::Topic) || session;
        is_always || self.is_idle(place) || connections > LOT
    }

    /// Sends requests until there are enough, and prints the result.
    fn measure(&mut self) -> Result<(), String> {
        self.began_ns = self.now_ns();
        (self.last_ns, self.next_due_ns) = (self.began_ns, self.began_ns);
        let time = self.options.time.map(|time| self.began_ns + time.as_nanos() as u64);
        self.ends_ns = time.unwrap_or(u64::MAX);
        for place in 0..self.options.connections {
            if self.options.interval.is_none() && !self.is_stream() {
                self.start(place).or_else(|failure| self.fail(place, failure))?;
            }
        }
        while self.left > 0 && self.phase == Phase::Measuring
            || self.in_flight > 0 && !self.is_stream()
        {
            self.turn()?;
        }
        println!("{}", self.line());
        Ok(())
    }

    /// Measures as often as standard input asks, on the same connections, until it ends.
    fn session(&mut self) -> Result<(), String> {
        let input = self.watch_input()?;
        while let Some(line) = self.input_line(&input)? {
            let time = line.trim().parse().map_err(|_| format!("No seconds: {line:?}"))?;
            self.options.time = Some(seconds(time).map_err(|error| error.to_string())?);
            (self.tally.requests, self.tally.late) = (0, 0);
            self.times.reset();
            self.left = u64::MAX;
            self.phase = Phase::Measuring;
            self.measure()?;
        }
        Ok(())
    }

    /// Says that the connections are there, and has a thread read standard input, which need not be
    /// something that a poll can watch.
    fn watch_input(&self) -> Result<Receiver<String>, String> {
        println!("ready");
        let waker = self.sockets.waker(INPUT_TOKEN).map_err(of("watch standard input"))?;
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                let _ = (sender.send(line), waker.wake());
            }
            drop(sender);
            waker.wake()
        });
        Ok(receiver)
    }

    /// Waits for a line of standard input; `None` at its end.
    fn input_line(&mut self, input: &Receiver<String>) -> Result<Option<String>, String> {
        loop {
            match input.try_recv() {
                Ok(line) => return Ok(Some(line)),
                Err(TryRecvError::Empty) => self.turn()?,
                Err(TryRecvError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Holds the connections until standard input ends. A connection that ends before is a failure.
    fn hold(&mut self) -> Result<(), String> {
        let input = self.watch_input()?;
        while self.input_line(&input)?.is_some() {}
        let (failures, all) = (self.tally.failures, self.options.idle);
        let failed = |first| Err(format!("{failures} of {all} connections failed: {first}"));
        self.tally.first_failure.take().map_or(Ok(()), failed)
    }

    /// One line of JSON. A failure has no control characters: it quotes them.
    fn line(&self) -> String {
        let Tally { requests, late, failures, first_failure } = &self.tally;
        let end_ns = if self.ends_ns == u64::MAX { self.last_ns } else { self.ends_ns };
        let seconds = |from, to: u64| Duration::from_nanos(to.saturating_sub(from)).as_secs_f64();
        let quoted =
            |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let us = |units: u64| match self.times.len() {
            0 => "null".to_owned(),
            _ => format!("{:.1}", units as f64 / 10.0),
        };
        let [p50, p99, p999] =
            [0.5, 0.99, 0.999].map(|share| us(self.times.value_at_quantile(share)));
        format!(
            "{{\"requests\":{requests},\"seconds\":{:.6},\"secondsSince\":{:.6},\
             \"failures\":{failures},\"firstFailure\":{},\"late\":{late},\"p50Us\":{p50},\
             \"p99Us\":{p99},\"p999Us\":{p999},\"maxUs\":{}}}",
            seconds(self.began_ns, end_ns),
            seconds(end_ns, self.now_ns()),
            first_failure.as_ref().map_or("null".into(), quoted),
            us(self.times.max()),
        )
    }

    /// Waits once, and acts on what is ready.
    fn turn(&mut self) -> Result<(), String> {
        let mut ready = std::mem::take(&mut self.ready);
        self.sockets.wait(self.timeout(), &mut ready).map_err(of("wait"))?;
        for each in ready.drain(..).filter(|each| each.token != INPUT_TOKEN) {
            let place = each.token;
            self.serve(place, each).or_else(|failure| self.fail(place, failure))?;
        }
        self.ready = ready;
        self.replace()?;
        let now_ns = self.look_at_clock();
        self.start_due(now_ns)?;
        if now_ns >= self.next_sweep_ns { self.sweep(now_ns) } else { Ok(()) }
    }

    /// Rounded up: after a wait that ends too early there would only be another wait.
    fn timeout(&self) -> Duration {
        let mut until_ns = self.next_sweep_ns;
        if self.phase == Phase::Measuring {
            until_ns = until_ns.min(self.ends_ns);
            if self.options.interval.is_some() {
                until_ns = until_ns.min(self.next_due_ns);
            }
        }
        Duration::from_millis(until_ns.saturating_sub(self.now_ns()).div_ceil(1_000_000))
    }

    fn now_ns(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    /// Returns the time, and ends the measurement when it is over.
    fn look_at_clock(&mut self) -> u64 {
        let now_ns = self.now_ns();
        if now_ns > self.ends_ns {
            self.phase = Phase::Finishing;
        }
        now_ns
    }

    fn serve(&mut self, place: usize, ready: Ready) -> Result<(), String> {
        match self.connections[place].stage {
            Stage::Connecting => self.connected(place)?,
            Stage::Upgrading => {}
            Stage::Open => self.write(place)?,
        }
        if ready.to_read { self.receive(place, ready) } else { Ok(()) }
    }

    /// Reads until the socket is drained, verifies the bytes, and sends the next requests.
    fn receive(&mut self, place: usize, ready: Ready) -> Result<(), String> {
        while let Some(mut stream) = self.connections[place].stream.as_ref() {
            let count = match stream.read(&mut self.buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(of("read")(error)),
            };
            self.take(place, count)?;
            // A short read has drained the socket, but its end may have no edge of its own.
            if count == 0 || count < self.buffer.len() && !ready.ends {
                break;
            }
        }
        Ok(())
    }

    /// Verifies `count` bytes of the buffer; 0 is the end of the connection.
    fn take(&mut self, place: usize, count: usize) -> Result<(), String> {
        let now_ns = self.look_at_clock();
        self.is_reached = true;
        let connection = &mut self.connections[place];
        connection.touched_ns = now_ns;
        if connection.stage == Stage::Upgrading && count > 0 {
            let is_open = self.answers.accepts(&mut connection.reader, &self.buffer[..count])?;
            return if is_open { self.take_up(place) } else { Ok(()) };
        }
        let before = connection.flight.answered;
        let (reader, flight) = (&mut connection.reader, &mut connection.flight);
        let verdict = match count {
            0 => self.answers.end(reader, flight),
            _ => self.answers.read(reader, flight, &self.buffer[..count]),
        };
        let (answered, is_done) = (flight.answered - before, !flight.is_on());
        self.record(place, answered, now_ns);
        verdict?;
        match answered {
            0 => return Ok(()),
            _ if is_done => return self.finish(place),
            _ => {}
        }
        // Only a stream goes on: its first event shows that it is open.
        if self.phase == Phase::Opening && before == 0 {
            self.opened += 1;
        }
        Ok(())
    }

    /// Counts answers that arrived at the same time.
    fn record(&mut self, place: usize, answered: u64, now_ns: u64) {
        if answered == 0 {
            return;
        }
        let is_stream = self.is_stream();
        let connection = &mut self.connections[place];
        let units = (now_ns - connection.begun_ns) / UNIT_NS;
        match self.phase {
            Phase::Opening => {}
            Phase::Finishing => self.tally.late += answered,
            Phase::Measuring => {
                // The time from event to event, none between events that arrived together.
                let timed = if is_stream { 1 } else { answered };
                let count = if is_stream { answered.min(self.left) } else { answered };
                self.left -= if is_stream { count } else { 0 };
                self.tally.requests += count;
                self.times.saturating_record_n(units, timed.min(count));
                self.times.saturating_record_n(0, count.saturating_sub(timed));
            }
        }
        if is_stream {
            connection.begun_ns = now_ns;
        }
        self.last_ns = now_ns;
    }

    /// Goes on after the last answer to the requests that were under way.
    fn finish(&mut self, place: usize) -> Result<(), String> {
        let all = self.batch_bytes(self.connections[place].flight);
        let connection = &mut self.connections[place];
        if connection.flight.sent < all {
            return Err("An answer was over before its request was".into());
        }
        self.in_flight -= 1;
        connection.flight = Flight::default();
        if self.options.closes {
            connection.close();
        }
        if self.phase == Phase::Opening {
            self.opened += 1;
            return Ok(());
        }
        if self.options.mode != Mode::Topic {
            return self.go_on(place);
        }
        // All have the message: the next may be sent.
        let all = if self.in_flight == 0 { self.options.connections } else { 0 };
        (0..all).try_for_each(|place| self.go_on(place))
    }

    /// Sends the next requests, unless none is due yet.
    fn go_on(&mut self, place: usize) -> Result<(), String> {
        let is_due = std::mem::take(&mut self.connections[place].is_due);
        if self.options.interval.is_none() || is_due { self.start(place) } else { Ok(()) }
    }

    /// Sends the requests that are due: connections take turns, evenly spread.
    fn start_due(&mut self, now_ns: u64) -> Result<(), String> {
        let Some(interval) = self.options.interval else { return Ok(()) };
        let places = self.options.connections;
        while self.phase == Phase::Measuring && self.next_due_ns <= now_ns {
            let place = self.next_place;
            self.next_place = (place + 1) % places;
            self.next_due_ns += interval.as_nanos() as u64 / places as u64;
            let connection = &mut self.connections[place];
            connection.is_due = true;
            let is_open = connection.stream.is_some() || self.options.closes;
            if is_open && !connection.is_waiting() {
                self.go_on(place).or_else(|failure| self.fail(place, failure))?;
            }
        }
        Ok(())
    }

    /// Sends a batch that counts, unless the number of requests is reached.
    fn start(&mut self, place: usize) -> Result<(), String> {
        if self.phase != Phase::Measuring || self.left == 0 {
            return Ok(());
        }
        let size = self.options.depth.min(self.left);
        self.left -= if self.is_published() && place == 0 { 0 } else { size };
        self.begin(place, size)
    }

    /// Sends a batch, on a connection of its own where each request has one.
    fn begin(&mut self, place: usize, size: u64) -> Result<(), String> {
        let now_ns = self.now_ns();
        let size = if self.is_stream() { Flight::ENDLESS } else { size };
        let mut flight = Flight { first: self.next_number, size, ..Flight::default() };
        if self.is_published() && place > 0 {
            (flight.first, flight.sent) = (flight.first - 1, self.batch_bytes(flight));
        } else {
            self.next_number += self.options.depth;
        }
        let connection = &mut self.connections[place];
        connection.flight = flight;
        (connection.begun_ns, connection.touched_ns) = (now_ns, now_ns);
        self.in_flight += 1;
        if self.options.closes {
            self.dial(place)?;
        }
        self.write(place)?;
        if self.is_published() && place == 0 {
            // No answer comes to the one that publishes.
            self.in_flight -= 1;
            self.connections[0].flight = Flight::default();
        }
        Ok(())
    }

    fn batch_bytes(&self, flight: Flight) -> usize {
        let size = if self.is_stream() { 1 } else { flight.size as usize };
        let body = self.answers.sent.as_ref().map_or(0, |body| body.length);
        (self.prefix.len() / self.options.depth as usize + body) * size
    }

    /// Writes as much of the batch as fits.
    fn write(&mut self, place: usize) -> Result<(), String> {
        let all = self.batch_bytes(self.connections[place].flight);
        let Connection { stream: Some(stream), flight, .. } = &mut self.connections[place] else {
            return Ok(());
        };
        let body = self.answers.sent.as_ref().map_or(&[][..], |body| body.of(flight.first));
        let prefix = &self.prefix[..all - body.len().min(all)];
        while flight.sent < all {
            let head = &prefix[flight.sent.min(prefix.len())..];
            let rest = &body[flight.sent.saturating_sub(prefix.len())..];
            match stream.write_vectored(&[IoSlice::new(head), IoSlice::new(rest)]) {
                Ok(count) => flight.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(of("write")(error)),
            }
        }
        Ok(())
    }

    /// Begins to connect.
    fn connect(&mut self, place: usize) -> Result<(), String> {
        self.connections[place].stage = Stage::Connecting;
        self.connections[place].touched_ns = self.now_ns();
        self.dial(place)
    }

    fn dial(&mut self, place: usize) -> Result<(), String> {
        let stream = self.sockets.connect(place).map_err(of("connect"))?;
        self.connections[place].stream = Some(stream);
        Ok(())
    }

    /// Goes on after a connect, or with its error.
    fn connected(&mut self, place: usize) -> Result<(), String> {
        let connection = &mut self.connections[place];
        let stream = connection.stream.as_ref();
        if let Some(error) = stream.and_then(|stream| stream.take_error().ok().flatten()) {
            return Err(of("connect")(error));
        }
        connection.stage = Stage::Open;
        self.is_reached = true;
        let (Some(upgrade), Some(mut stream)) = (&self.upgrade, stream) else {
            return self.take_up(place);
        };
        connection.stage = Stage::Upgrading;
        // It is short, and the first.
        stream.write_all(upgrade).map_err(of("write"))
    }

    /// Goes on when a connection is there.
    fn take_up(&mut self, place: usize) -> Result<(), String> {
        self.connections[place].stage = Stage::Open;
        match self.phase {
            Phase::Opening if self.opens_with_request(place) => self.begin(place, 1),
            Phase::Opening => {
                self.opened += 1;
                Ok(())
            }
            _ if self.is_stream() => self.begin(place, 1),
            _ => self.go_on(place),
        }
    }

    /// Counts a failure, and gives its connection up. Ends the run while connections are being
    /// opened, and when the server never accepted one.
    fn fail(&mut self, place: usize, failure: String) -> Result<(), String> {
        let is_opening = self.phase == Phase::Opening;
        if is_opening && self.options.session && self.is_reached {
            // The rest of the lot shows how many connections the server has.
            self.connections[place].close();
            self.refused += 1;
            self.tally.first_failure.get_or_insert(failure);
            return Ok(());
        }
        if is_opening || !self.is_reached {
            return Err(self.not_opened(&failure));
        }
        if self.options.mode == Mode::Topic {
            return Err(format!("Connection {place} failed: {failure}"));
        }
        let flight = std::mem::take(&mut self.connections[place].flight);
        self.connections[place].close();
        self.tally.failures += 1;
        if self.is_idle(place) {
            self.tally.first_failure.get_or_insert(format!("On an idle connection: {failure}"));
            return Ok(());
        }
        self.tally.first_failure.get_or_insert(failure);
        // Also when all requests are answered, and more bytes followed.
        self.in_flight -= usize::from(flight.size > 0);
        // One request counts as failed: the others in flight with it are sent again.
        let lost = if self.is_stream() { 0 } else { flight.size - flight.answered };
        self.left = match lost {
            0 => self.left.saturating_sub(1),
            _ => self.left.saturating_add(lost - 1),
        };
        self.broken.push(place);
        Ok(())
    }

    fn not_opened(&self, failure: &str) -> String {
        let (port, opened) = (self.options.port, self.opened);
        format!("Cannot load port {port}: {failure}; {opened} connections were open")
    }

    /// Opens other connections in the place of those that failed.
    fn replace(&mut self) -> Result<(), String> {
        for place in std::mem::take(&mut self.broken) {
            if self.phase != Phase::Measuring || self.left == 0 {
                continue;
            }
            let begun = if self.options.closes { self.go_on(place) } else { self.connect(place) };
            begun.or_else(|failure| self.fail(place, failure))?;
        }
        Ok(())
    }

    /// Fails the connections that have received nothing for too long.
    fn sweep(&mut self, now_ns: u64) -> Result<(), String> {
        let patience_ns = self.options.patience.as_nanos() as u64;
        self.next_sweep_ns = now_ns + (patience_ns / SWEEPS_PER_PATIENCE).min(SWEEP_NS_MAX);
        for place in 0..self.connections.len() {
            let connection = &self.connections[place];
            if connection.is_waiting() && connection.touched_ns + patience_ns < now_ns {
                self.fail(place, format!("Nothing came within {} ms", patience_ns / 1_000_000))?;
            }
        }
        Ok(())
    }
}

/// A request's head.
fn head(options: &Options) -> Vec<u8> {
    let Options { method, path, headers, port, body, .. } = options;
    let mut lines = vec![format!("{method} {path} HTTP/1.1"), format!("Host: 127.0.0.1:{port}")];
    lines.extend_from_slice(headers);
    let body = body.as_ref().filter(|_| options.frame.is_none());
    lines.extend(body.map(|body| format!("Content-Length: {}", body.length)));
    if options.closes {
        lines.push("Connection: close".into());
    }
    (lines.join("\r\n") + "\r\n\r\n").into_bytes()
}

/// Adds the name of a system call to its error.
fn of(call: &str) -> impl FnOnce(io::Error) -> String {
    move |error| format!("Cannot {call}: {error}")
}
