//! The part of a proactor that only its owner uses: what is staged, in flight, and ready to
//! be handed over.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::completion::Completion;
use crate::making::readiness;
use crate::output::{Opened, Output};
use crate::reaper::{Done, Inbox, Untaken};
use crate::shared::{Cancel, Order, Shared};
use crate::sys::{Action, Driver, Flight, Landing, Origin, Sources};

/// When staged operations are submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batching {
    /// When the program waits, or flushes.
    Turn,
    /// Also when so many are staged.
    Count(usize),
    /// Also when the oldest was staged so long ago, and the program submits another.
    Delay(Duration),
}

/// A completion that the owner has not taken.
#[derive(Debug)]
enum Ready {
    /// Of one of our operations.
    Flight { index: u32, result: i32, opened: Option<OwnedFd>, buffer: Option<u16>, more: bool },
    /// Of no operation of ours.
    Note(Completion),
}

/// The owner's part.
#[derive(Debug)]
pub struct Core {
    /// The ring with its operations.
    pub driver: Driver,
    shared: Arc<Shared>,
    staged: VecDeque<u32>,
    /// When the oldest staged operation was staged.
    oldest: Option<Instant>,
    batching: Batching,
    cancels: Vec<u32>,
    ready: VecDeque<Ready>,
    /// Operations that wait for a provided buffer, in the order in which they get one.
    starved: VecDeque<u32>,
    /// Places of operations that are over.
    freed: u32,
    /// Completions that were handed over.
    pub completions: u64,
}

impl Core {
    /// Nothing in flight yet.
    pub fn new(driver: Driver, shared: Arc<Shared>, batching: Batching) -> Self {
        Self {
            driver,
            shared,
            staged: VecDeque::new(),
            oldest: None,
            batching,
            cancels: Vec::new(),
            ready: VecDeque::new(),
            starved: VecDeque::new(),
            freed: 0,
            completions: 0,
        }
    }

    /// Whether completions have brought something to submit: an operation that goes on, or a
    /// cancel. Who waits then may wait for ever.
    pub fn has_unsubmitted(&self) -> bool {
        !self.staged.is_empty() || !self.cancels.is_empty()
    }

    /// Completions that can be handed over.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Adds an operation that has its places.
    pub fn stage(&mut self, flight: Flight) {
        let entries = flight.entries();
        let has_reaper = flight.reaper.is_some() && flight.action.is_multi();
        let message = flight.target.clone();
        let is_abandoned = flight.reaper.as_ref().is_some_and(|reaper| reaper.is_closed());
        let index = self.driver.flights.insert(flight);
        if is_abandoned {
            return self.refuse(index, libc::ECANCELED);
        }
        if has_reaper {
            if let Some(flight) = self.driver.flights.get_mut(index) {
                flight.untaken = Some(Arc::new(Untaken::new(index)));
            }
        }
        if let Some(target) = message {
            let Some(place) = target.shared.admit_message() else {
                return self.refuse(index, libc::EAGAIN);
            };
            if let Some(flight) = self.driver.flights.get_mut(index) {
                flight.message_place = Some(place);
            }
        }
        (0..entries).for_each(|_| self.stage_again(index));
    }

    fn stage_again(&mut self, index: u32) {
        let Some(flight) = self.driver.flights.get_mut(index) else { return };
        flight.staged += 1;
        self.staged.push_back(index);
        if matches!(self.batching, Batching::Delay(_)) && self.oldest.is_none() {
            self.oldest = Some(Instant::now());
        }
    }

    /// Whether the policy wants what is staged to be submitted now.
    pub fn must_flush(&self) -> bool {
        match self.batching {
            Batching::Turn => false,
            Batching::Count(count) => self.staged.len() >= count,
            Batching::Delay(delay) => self.oldest.is_some_and(|oldest| oldest.elapsed() >= delay),
        }
    }

    /// Does what other threads have ordered. Returns false when the proactor is closed.
    pub fn obey(&mut self) -> bool {
        let Some(orders) = self.shared.take_orders() else { return false };
        for order in orders {
            match order {
                Order::Submit(flight) => self.stage(*flight),
                Order::Cancel(cancel) => drop(self.cancel(cancel)),
                Order::Resume(untaken) => self.resume(&untaken),
                Order::Drained(token) => self.note_drained(token),
                Order::Abandon(gone) => {
                    let is_theirs = |reaper: &Arc<Inbox>| Arc::ptr_eq(reaper, &gone);
                    self.cancel_where(|flight| flight.reaper.as_ref().is_some_and(is_theirs));
                }
            }
        }
        true
    }

    /// Submits all that is staged, and takes the completions that are there.
    pub fn flush(&mut self, sources: &mut impl Sources) -> io::Result<()> {
        self.oldest = None;
        loop {
            self.submit_cancels()?;
            let mut refused = Vec::new();
            let note = |_: &mut Driver, index, errno| refused.push((index, errno));
            let flushed = self.driver.flush(&mut self.staged, sources, note);
            refused.into_iter().for_each(|(index, errno)| self.refuse(index, errno));
            let closing = flushed?;
            self.land();
            let Some(index) = closing else { return Ok(()) };
            self.close_source(index, sources)?;
        }
    }

    /// Submits a close, after it has asked the operations on its source to end that have not
    /// ended yet.
    fn close_source(&mut self, index: u32, sources: &mut impl Sources) -> io::Result<()> {
        let Some(flight) = self.driver.flights.get(index) else { return Ok(()) };
        let source = flight.source;
        // The others end by themselves, and the kernel has their file.
        self.cancel_where(|flight| flight.works_on(source) && flight.action.may_wait());
        self.submit_cancels()?;
        if let Some(errno) = self.driver.close_source(index, sources)? {
            self.refuse(index, errno);
        }
        Ok(())
    }

    fn submit_cancels(&mut self) -> io::Result<()> {
        while let Some(index) = self.cancels.pop() {
            self.driver.cancel(index)?;
            self.land();
        }
        Ok(())
    }

    /// Brings completions that the kernel has not handed out, until `wanted` are there.
    pub fn harvest(&mut self, wanted: usize) -> io::Result<()> {
        while self.ready.len() < wanted && self.driver.harvest()? {
            self.land();
        }
        Ok(())
    }

    /// Waits until a completion is there, `timeout` is over, or another thread has an order.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if !self.begin_wait()? {
            return Ok(());
        }
        let waited = self.driver.wait(timeout);
        self.shared.end_wait();
        waited?;
        self.land();
        Ok(())
    }

    /// Makes orders of other threads complete an entry of the ring; false when there are
    /// some already.
    pub fn begin_wait(&mut self) -> io::Result<bool> {
        self.driver.arm_wake(self.shared.wake())?;
        Ok(self.shared.begin_wait())
    }

    /// Takes completions from the ring.
    pub fn land(&mut self) {
        while let Some(landing) = self.driver.next() {
            self.take_in(landing);
        }
        if self.driver.take_woken() {
            self.shared.wake().reset();
        }
        self.settle();
    }

    fn take_in(&mut self, landing: Landing) {
        let index = match landing.origin {
            Origin::Flight(index) => index,
            Origin::Message(token) => {
                let flags = Completion::MESSAGE;
                let result = landing.result;
                let message = Completion { token, result, flags, ..Completion::default() };
                return self.ready.push_back(Ready::Note(message));
            }
        };
        let Some(flight) = self.driver.flights.get_mut(index) else { return };
        match flight.action {
            // The kernel has let go of the bytes.
            _ if landing.is_notice => self.end(index),
            Action::Accept { multi: true } | Action::Poll { multi: true, .. } => {
                self.take_shot(index, landing);
            }
            Action::ReceiveMulti => self.take_received(index, landing),
            _ => {
                let result = result_of(flight, landing.result);
                flight.message_place = None;
                let opened = landing.opened.or_else(|| {
                    let socket = flight.socket.take();
                    socket.filter(|_| result >= 0)
                });
                self.tell(index, result, opened, None, false);
            }
        }
    }

    /// A completion of an operation that has several entries, or enters again and again.
    fn take_shot(&mut self, index: u32, landing: Landing) {
        let Some(flight) = self.driver.flights.get_mut(index) else { return };
        let result = result_of(flight, landing.result);
        if result < 0 {
            flight.error.get_or_insert(result);
            flight.is_cancelled = true;
        }
        let is_over = flight.is_cancelled && flight.in_kernel() == 0 && flight.staged == 0;
        let must_cancel = result < 0 && !is_over;
        let error = flight.error;
        if result >= 0 {
            let more = !(is_over && error.is_none());
            self.tell(index, result, landing.opened, None, more);
        }
        match error {
            Some(error) if is_over => self.tell(index, error, None, None, false),
            _ if must_cancel => {
                self.unstage(index);
                self.cancels.push(index);
            }
            _ => {}
        }
    }

    /// A completion of an operation that receives into provided buffers.
    fn take_received(&mut self, index: u32, landing: Landing) {
        let Some(flight) = self.driver.flights.get_mut(index) else { return };
        let Landing { result, buffer, is_last, .. } = landing;
        if result > 0 {
            let more = !(is_last && flight.is_cancelled);
            return self.tell(index, result, None, buffer, more);
        }
        let is_paused = result == -libc::ECANCELED && !flight.is_cancelled;
        if is_paused {
            // Its reaper has not taken enough. It goes on when the reaper has.
            return self.resume_if_taken(index);
        }
        if result == -libc::ENOBUFS && !flight.is_cancelled {
            self.starved.push_back(index);
            return self.feed();
        }
        let result = if flight.is_cancelled && result < 0 { -libc::ECANCELED } else { result };
        self.tell(index, result, None, buffer, false);
    }

    /// Lets operations go on that wait for a buffer, while there are buffers.
    fn feed(&mut self) {
        let free = self.driver.buffers.as_ref().map_or(0, denio_ring::Buffers::free);
        for _ in 0..free.min(self.starved.len()) {
            let Some(index) = self.starved.pop_front() else { return };
            self.stage_again(index);
        }
    }

    /// Hands a completion to the operation's reaper, or keeps it for the owner.
    fn tell(
        &mut self,
        index: u32,
        result: i32,
        opened: Option<OwnedFd>,
        buffer: Option<u16>,
        more: bool,
    ) {
        let Some(flight) = self.driver.flights.get_mut(index) else { return };
        flight.untold += 1;
        flight.is_over |= !more;
        if flight.reaper.is_some() {
            return self.send(index, result, opened, buffer, more);
        }
        self.ready.push_back(Ready::Flight { index, result, opened, buffer, more });
    }

    /// Puts a completion into the inbox of the operation's reaper.
    fn send(
        &mut self,
        index: u32,
        result: i32,
        opened: Option<OwnedFd>,
        buffer: Option<u16>,
        more: bool,
    ) {
        let bytes = self.bytes(index, result, buffer, more).to_vec();
        self.give_back_buffer(buffer);
        let Some(flight) = self.driver.flights.get_mut(index) else { return };
        let completion = completion_of(flight, result, more);
        let opened = opened.map(|fd| (fd, opened_kind(flight)));
        let untaken = flight.untaken.clone().filter(|_| more);
        let must_pause = untaken.as_ref().is_some_and(|untaken| untaken.add());
        if let Some(reaper) = &flight.reaper {
            if reaper.is_closed() && !flight.is_cancelled {
                flight.is_cancelled = true;
                self.cancels.push(index);
            } else if must_pause && flight.action == Action::ReceiveMulti {
                self.cancels.push(index);
            }
            reaper.put(Done { completion, opened, bytes, untaken });
        }
        self.told(index);
    }

    fn resume(&mut self, untaken: &Arc<Untaken>) {
        let flight = self.driver.flights.get(untaken.flight);
        let known = flight.and_then(|flight| flight.untaken.as_ref());
        if known.is_some_and(|known| Arc::ptr_eq(known, untaken)) {
            self.resume_if_taken(untaken.flight);
        }
    }

    /// Lets an operation go on that pauses, if its reaper has taken all.
    fn resume_if_taken(&mut self, index: u32) {
        let Some(flight) = self.driver.flights.get(index) else { return };
        let is_taken = flight.untaken.as_ref().is_none_or(|untaken| untaken.count() == 0);
        if !is_taken || flight.is_cancelled || flight.is_over || self.starved.contains(&index) {
            return;
        }
        let held = flight.in_kernel() + flight.staged + flight.untold;
        let missing = flight.entries().saturating_sub(held);
        (0..missing).for_each(|_| self.stage_again(index));
    }

    /// Completes an operation that was not submitted.
    fn refuse(&mut self, index: u32, errno: i32) {
        let Some(flight) = self.driver.flights.get_mut(index) else { return };
        flight.is_cancelled = true;
        flight.message_place = None;
        if flight.in_kernel() > 0 {
            // The other entries would go on until each has a completion of its own.
            flight.error.get_or_insert(-errno);
            self.unstage(index);
            return self.cancels.push(index);
        }
        if flight.staged > 0 {
            flight.error.get_or_insert(-errno);
            return;
        }
        let result = flight.error.unwrap_or(-errno);
        self.tell(index, result, None, None, false);
    }

    /// Takes back entries that are staged, of which the kernel knows nothing.
    fn unstage(&mut self, index: u32) {
        if let Some(flight) = self.driver.flights.get_mut(index) {
            if flight.staged > 0 {
                flight.staged = 0;
                self.staged.retain(|staged| *staged != index);
            }
        }
    }

    /// Asks operations to end, and returns how many were asked.
    pub fn cancel(&mut self, which: Cancel) -> usize {
        self.cancel_where(|flight| match which {
            Cancel::Token(token) => flight.token == token,
            Cancel::Source(source) => flight.works_on(source),
        })
    }

    fn cancel_where(&mut self, is_meant: impl Fn(&Flight) -> bool) -> usize {
        let meant: Vec<u32> = self
            .driver
            .flights
            .numbers()
            .filter(|(_, flight)| is_meant(flight) && !flight.is_over && !flight.is_cancelled)
            .filter(|(_, flight)| flight.action != Action::Close)
            .map(|(index, _)| index)
            .collect();
        meant.iter().for_each(|index| self.cancel_one(*index));
        meant.len()
    }

    fn cancel_one(&mut self, index: u32) {
        self.unstage(index);
        self.starved.retain(|starved| *starved != index);
        let Some(flight) = self.driver.flights.get_mut(index) else { return };
        flight.is_cancelled = true;
        if flight.in_kernel() > 0 {
            return self.cancels.push(index);
        }
        flight.message_place = None;
        self.tell(index, -libc::ECANCELED, None, None, false);
    }

    fn note_drained(&mut self, token: u32) {
        let flags = Completion::DRAINED;
        self.ready.push_back(Ready::Note(Completion { token, flags, ..Completion::default() }));
    }

    /// Writes completions, oldest first, until there is no room for the next.
    pub fn hand_over(&mut self, output: &mut Output<'_>) -> io::Result<usize> {
        let handed = self.hand_over_all(output);
        self.settle();
        self.completions += output.written() as u64;
        handed.map(|()| output.written())
    }

    /// Gives the places back of operations that are over.
    fn settle(&mut self) {
        let freed = std::mem::take(&mut self.freed);
        if freed > 0 {
            let refused = self.shared.give_back(freed);
            refused.into_iter().for_each(|token| self.note_drained(token));
        }
    }

    fn hand_over_all(&mut self, output: &mut Output<'_>) -> io::Result<()> {
        while let Some(ready) = self.ready.front() {
            let bytes = match ready {
                Ready::Note(_) => &[],
                Ready::Flight { index, result, buffer, more, .. } => {
                    self.bytes(*index, *result, *buffer, *more)
                }
            };
            let Some(range) = output.put(bytes)? else { return Ok(()) };
            let Some(ready) = self.ready.pop_front() else { return Ok(()) };
            self.hand_over_one(ready, range, output);
        }
        Ok(())
    }

    fn hand_over_one(&mut self, ready: Ready, range: (u32, u32), output: &mut Output<'_>) {
        let (index, result, opened, buffer, more) = match ready {
            Ready::Flight { index, result, opened, buffer, more } => {
                (index, result, opened, buffer, more)
            }
            Ready::Note(completion) => {
                // A message has a place here, which its sender has taken.
                self.freed += u32::from(completion.flags & Completion::MESSAGE != 0);
                return output.write(completion, None);
            }
        };
        self.give_back_buffer(buffer);
        let Some(flight) = self.driver.flights.get(index) else { return };
        let (start, end) = range;
        let completion = Completion { start, end, ..completion_of(flight, result, more) };
        let opened = opened.map(|fd| Opened { fd, kind: opened_kind(flight) });
        output.write(completion, opened);
        self.told(index);
    }

    /// The bytes that belong to a completion.
    fn bytes(&self, index: u32, result: i32, buffer: Option<u16>, more: bool) -> &[u8] {
        if let (Some(id), Some(buffers)) = (buffer, &self.driver.buffers) {
            return buffers.bytes(id, usize::try_from(result).unwrap_or_default());
        }
        let Some(flight) = self.driver.flights.get(index) else { return &[] };
        if !more && result >= 0 { flight.answer() } else { &[] }
    }

    fn give_back_buffer(&mut self, buffer: Option<u16>) {
        if let (Some(id), Some(buffers)) = (buffer, &mut self.driver.buffers) {
            buffers.give_back(id);
            self.feed();
        }
    }

    /// Notes that a completion has gone to its reaper, or to the owner.
    fn told(&mut self, index: u32) {
        let Some(flight) = self.driver.flights.get_mut(index) else { return };
        flight.untold -= 1;
        if flight.is_over {
            self.end(index);
        } else if flight.action.is_multi() && flight.reaper.is_none() {
            self.resume_if_taken(index);
        }
    }

    /// Removes an operation that is over, when nothing of it is left.
    fn end(&mut self, index: u32) {
        let Some(flight) = self.driver.flights.get(index) else { return };
        if !flight.is_over || flight.untold > 0 || flight.staged > 0 {
            return;
        }
        let places = flight.places;
        if self.driver.flights.remove(index).is_some() {
            self.freed += places;
        }
    }
}

/// Whose completion it is, and how it ended.
fn completion_of(flight: &Flight, result: i32, more: bool) -> Completion {
    Completion {
        value: 0.0,
        token: flight.token,
        result,
        flags: if more { Completion::MORE } else { 0 },
        code: flight.action.code() as u32,
        start: 0,
        end: 0,
    }
}

/// What an operation has opened: an accepted stream is of its listener's kind.
fn opened_kind(flight: &Flight) -> crate::sys::Kind {
    match flight.action {
        Action::Open { .. } => crate::sys::Kind::File,
        Action::Connect => crate::sys::Kind::Tcp,
        _ => flight.kind,
    }
}

/// The result for the program.
fn result_of(flight: &Flight, result: i32) -> i32 {
    match flight.action {
        // The time is over: that is what was asked for.
        Action::Timeout if result == -libc::ETIME => 0,
        Action::Poll { .. } if result >= 0 => readiness(result as u32),
        _ => result,
    }
}
