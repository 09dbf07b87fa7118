//! The loop over io_uring's completions.
//!
//! Multishot accept and receive, buffers that the kernel chooses, descriptors that only the ring
//! knows, and one system call for the answers of a turn and the wait for the next.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::squeue::{self, Flags};
use io_uring::types::{Fd, Fixed};
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, cqueue, opcode};

use crate::answers::replies;
use crate::buffers::{Buffers, GROUP};
use crate::options::Options;
use crate::outbox::Outbox;
use crate::sockets::{announce, checked, listen};

const SUBMISSIONS: u32 = 1024;
/// Completions must never be more: a turn's failed sends, and what one call hands out.
const COMPLETIONS: u32 = 4096;
/// A turn ends after so many completions, or a fast sender would have no answer.
const TURN_MAX: usize = SUBMISSIONS as usize;
/// A call hands out so many completions of deferred work, unless there are fewer.
const HARVEST: usize = 20;
/// Each is given back before the next call, which takes a few dozen.
const HTTP_BUFFERS: u16 = 128;
/// Each is given back when its bytes are sent, after the turn.
const ECHO_BUFFERS: u16 = 1024;
/// As many descriptors as the benchmark asks for.
const DESCRIPTORS_MAX: u64 = 32_768;

pub fn run(options: &Options) -> io::Result<()> {
    let mut ring = open().map_err(|error| {
        io::Error::other(format!(
            "Cannot open a ring: {error}; Linux 6.1 has what it takes, unless \
             kernel.io_uring_disabled or a container forbids it"
        ))
    })?;
    let (mut submitter, submission, completion) = ring.split();
    submitter.register_ring_fd()?;
    submitter.register_files_sparse(descriptors_max()?)?;
    let usual = if options.echo { ECHO_BUFFERS } else { HTTP_BUFFERS };
    let buffers = Buffers::register(&submitter, options.buffers.unwrap_or(usual))?;
    let mut server = Server {
        submitter,
        submission,
        completion,
        completions: Vec::new(),
        buffers,
        listener: listen(options.port)?,
        connections: Vec::new(),
        answering: Vec::new(),
        sending: Vec::new(),
        lent: Vec::new(),
        replies: replies(),
        echo: options.echo,
        is_accepting: false,
        is_short: false,
        goes_on: false,
    };
    if options.probe {
        return Ok(());
    }
    server.accept()?;
    announce(&server.listener)?;
    loop {
        server.turn()?;
    }
}

fn open() -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_cqsize(COMPLETIONS)
        .build(SUBMISSIONS)
}

/// The table of the ring's own descriptors may be as long as that of the process.
fn descriptors_max() -> io::Result<u32> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable while this runs.
    let done = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    checked(done as isize)?;
    Ok(limit.rlim_cur.min(DESCRIPTORS_MAX) as u32)
}

/// What a completion is of; beside it stands the connection's slot.
#[derive(Clone, Copy, PartialEq)]
#[repr(u32)]
enum Of {
    Accept,
    Receive,
    /// An answer: completes only when it was not sent as a whole at once.
    Answer,
    /// The rest of an answer, for which the kernel waits until there is room.
    Rest,
    /// An operation whose result does not matter.
    Other,
}

impl Of {
    fn with(self, slot: u32) -> u64 {
        u64::from(slot) << 32 | self as u64
    }
}

fn of(completion: &cqueue::Entry) -> (Of, u32) {
    let data = completion.user_data();
    let of = match data as u32 {
        0 => Of::Accept,
        1 => Of::Receive,
        2 => Of::Answer,
        3 => Of::Rest,
        _ => Of::Other,
    };
    (of, (data >> 32) as u32)
}

struct Connection {
    outbox: Outbox,
    /// Whether a receive is under way.
    is_receiving: bool,
    /// Whether the rest of an answer waits for room. Nothing is received meanwhile.
    is_blocked: bool,
    /// Whether the peer has ended or broken it. It is closed when nothing is under way.
    is_over: bool,
}

struct Server<'ring> {
    submitter: Submitter<'ring>,
    submission: SubmissionQueue<'ring>,
    completion: CompletionQueue<'ring>,
    completions: Vec<cqueue::Entry>,
    buffers: Buffers,
    listener: OwnedFd,
    /// Indexed by slot of the ring's descriptors: the kernel gives the lowest free one.
    connections: Vec<Option<Connection>>,
    /// Connections with an answer to send.
    answering: Vec<u32>,
    /// Connections whose answer the next call sends.
    sending: Vec<u32>,
    /// Buffers whose bytes the next call sends.
    lent: Vec<u16>,
    replies: Vec<u8>,
    echo: bool,
    is_accepting: bool,
    /// Whether a receive of this turn found no buffer.
    is_short: bool,
    /// Whether there is more to do after the sends of the next call, whose success is silent.
    goes_on: bool,
}

impl Server<'_> {
    /// Sends what the last turn has answered, waits, and takes all completions.
    fn turn(&mut self) -> io::Result<()> {
        self.enter(u32::from(!self.goes_on))?;
        self.take();
        self.confirm()?;
        self.is_short = false;
        let mut total = 0;
        loop {
            let count = self.completions.len();
            for index in 0..count {
                let completion = self.completions[index].clone();
                self.handle(&completion)?;
            }
            total += count;
            // Without a buffer left, receives would fail again until the turn is over.
            if count < HARVEST || total >= TURN_MAX || self.is_short {
                break;
            }
            self.enter(0)?;
            self.take();
        }
        self.answer_all()
    }

    /// Submits what is queued, and waits for so many completions.
    fn enter(&mut self, wanted: u32) -> io::Result<()> {
        self.submission.sync();
        let queued = self.submission.len();
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: there is no argument, and what is queued is right.
        let taken =
            unsafe { self.submitter.enter::<libc::sigset_t>(queued as u32, wanted, flags, None) };
        match taken {
            // A send whose completion is late would be taken for a whole one.
            Ok(_) if self.submission.cq_overflow() => Err(io::Error::other("Too many completions")),
            Ok(taken) if taken == queued => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted && queued == 0 => Ok(()),
            taken => Err(io::Error::other(format!("Cannot submit {queued}: {taken:?}"))),
        }
    }

    fn take(&mut self) {
        self.completion.sync();
        self.completions.clear();
        self.completions.extend(&mut self.completion);
        // Otherwise the kernel would see completions, and not wait.
        self.completion.sync();
    }

    /// Drops the answers that are sent. A send says nothing when it was whole; the completions of
    /// the others may stand behind bytes that their peers have sent since.
    fn confirm(&mut self) -> io::Result<()> {
        for index in 0..self.completions.len() {
            let completion = &self.completions[index];
            let ((of, slot), result) = (of(completion), completion.result());
            if of == Of::Answer {
                self.cut_short(slot, result)?;
            }
        }
        for index in 0..self.sending.len() {
            let slot = self.sending[index];
            let Some(connection) = &mut self.connections[slot as usize] else { continue };
            if connection.is_blocked {
                continue;
            }
            let count = connection.outbox.next(&self.replies).len();
            connection.outbox.sent(count);
            if !connection.outbox.is_empty() {
                self.answering.push(slot);
            } else if connection.is_over {
                self.settle(slot)?;
            }
        }
        self.sending.clear();
        self.lent.drain(..).for_each(|buffer| self.buffers.give(buffer));
        Ok(())
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        let (result, flags) = (completion.result(), completion.flags());
        match of(completion) {
            (Of::Accept, _) => self.accepted(result, cqueue::more(flags)),
            (Of::Receive, slot) => self.received(slot, result, flags),
            (Of::Rest, slot) => self.rest_sent(slot, result),
            (Of::Answer | Of::Other, _) => Ok(()),
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        self.is_accepting = true;
        let listener = Fd(self.listener.as_raw_fd());
        let accept = opcode::AcceptMulti::new(listener).allocate_file_index(true).build();
        self.push(accept.user_data(Of::Accept.with(0)))
    }

    /// When no descriptor is free, the next connection that closes lets it go on.
    fn accepted(&mut self, result: i32, has_more: bool) -> io::Result<()> {
        if let Ok(slot) = u32::try_from(result) {
            let needed = slot as usize + 1;
            if self.connections.len() < needed {
                self.connections.resize_with(needed, || None);
            }
            let outbox = Outbox::new(self.echo);
            let idle =
                Connection { outbox, is_receiving: false, is_blocked: false, is_over: false };
            self.connections[slot as usize] = Some(idle);
            self.settle(slot)?;
        }
        self.is_accepting = has_more;
        match result {
            _ if has_more => Ok(()),
            0.. => self.accept(),
            _ if self.connections.iter().any(Option::is_some) => Ok(()),
            _ => Err(io::Error::from_raw_os_error(-result)),
        }
    }

    fn received(&mut self, slot: u32, result: i32, flags: u32) -> io::Result<()> {
        let Some(connection) = &mut self.connections[slot as usize] else { return Ok(()) };
        if let Some(buffer) = cqueue::buffer_select(flags) {
            let was_empty = connection.outbox.is_empty();
            if !connection.is_over {
                let count = usize::try_from(result).unwrap_or(0);
                connection.outbox.answer(self.buffers.bytes(buffer, count));
            }
            if self.echo {
                self.lent.push(buffer)
            } else {
                self.buffers.give(buffer)
            }
            if was_empty && !connection.outbox.is_empty() {
                self.answering.push(slot);
            }
        }
        if cqueue::more(flags) {
            return Ok(());
        }
        connection.is_receiving = false;
        self.is_short |= result == -libc::ENOBUFS;
        // These end the receive, but not the stream: `settle` receives again.
        let is_end = result <= 0 && ![-libc::ENOBUFS, -libc::ECANCELED].contains(&result);
        connection.is_over |= is_end;
        self.settle(slot)
    }

    /// Closes a connection that is over, or receives, unless something is under way.
    fn settle(&mut self, slot: u32) -> io::Result<()> {
        let Some(connection) = &mut self.connections[slot as usize] else { return Ok(()) };
        if connection.is_receiving || connection.is_blocked {
            return Ok(());
        }
        if !connection.is_over {
            connection.is_receiving = true;
            let receive = opcode::RecvMulti::new(Fixed(slot), GROUP).build();
            return self.push(receive.user_data(Of::Receive.with(slot)));
        }
        if !connection.outbox.is_empty() {
            return Ok(());
        }
        self.connections[slot as usize] = None;
        self.push(quiet(opcode::Close::new(Fixed(slot)).build()))?;
        if self.is_accepting { Ok(()) } else { self.accept() }
    }

    /// Queues every answer: they are sent at once, as far as there is room.
    fn answer_all(&mut self) -> io::Result<()> {
        std::mem::swap(&mut self.answering, &mut self.sending);
        self.goes_on = false;
        for index in 0..self.sending.len() {
            let slot = self.sending[index];
            let send = self.send(slot, Of::Answer, libc::MSG_DONTWAIT);
            self.push(send.flags(Flags::SKIP_SUCCESS))?;
            self.goes_on |= self.connections[slot as usize]
                .as_ref()
                .is_some_and(|it| it.is_over || it.outbox.has_more(&self.replies));
        }
        Ok(())
    }

    /// Sends the rest of an answer when there is room, and receives nothing meanwhile.
    fn cut_short(&mut self, slot: u32, result: i32) -> io::Result<()> {
        let Some(connection) = &mut self.connections[slot as usize] else { return Ok(()) };
        let count = if result == -libc::EAGAIN { 0 } else { result };
        let Ok(count) = usize::try_from(count) else { return self.give_up(slot) };
        connection.outbox.sent(count);
        connection.is_blocked = true;
        self.cancel(slot)?;
        let send = self.send(slot, Of::Rest, 0);
        self.push(send)
    }

    fn rest_sent(&mut self, slot: u32, result: i32) -> io::Result<()> {
        let Some(connection) = &mut self.connections[slot as usize] else { return Ok(()) };
        let Ok(count) = usize::try_from(result) else { return self.give_up(slot) };
        connection.outbox.sent(count);
        if connection.outbox.is_empty() {
            connection.is_blocked = false;
            return self.settle(slot);
        }
        let send = self.send(slot, Of::Rest, 0);
        self.push(send)
    }

    /// Closes a connection that the peer has broken.
    fn give_up(&mut self, slot: u32) -> io::Result<()> {
        let Some(connection) = &mut self.connections[slot as usize] else { return Ok(()) };
        connection.outbox = Outbox::new(self.echo);
        connection.is_blocked = false;
        connection.is_over = true;
        self.cancel(slot)?;
        self.settle(slot)
    }

    fn cancel(&mut self, slot: u32) -> io::Result<()> {
        self.push(quiet(opcode::AsyncCancel::new(Of::Receive.with(slot)).build()))
    }

    /// A send of all that a connection has, which the kernel does not cut short by itself.
    fn send(&mut self, slot: u32, of: Of, flags: i32) -> squeue::Entry {
        let bytes = match &mut self.connections[slot as usize] {
            Some(connection) => connection.outbox.next(&self.replies),
            None => &[],
        };
        opcode::Send::new(Fixed(slot), bytes.as_ptr(), bytes.len() as u32)
            .flags(flags | libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .user_data(of.with(slot))
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        if self.submission.is_full() {
            self.submission.sync();
            self.submitter.submit()?;
            self.submission.sync();
        }
        // SAFETY: an outbox keeps its bytes in their place until their send is over.
        unsafe { self.submission.push(&entry) }.map_err(io::Error::other)
    }
}

/// Marks an operation whose result does not matter.
fn quiet(entry: squeue::Entry) -> squeue::Entry {
    entry.flags(Flags::SKIP_SUCCESS).user_data(Of::Other.with(0))
}
