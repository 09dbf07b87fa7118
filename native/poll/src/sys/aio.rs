//! Parking by the kernel alone: a poll on the poll's descriptor, submitted by
//! Linux's native AIO, signals an eventfd when something is ready.
//!
//! The kernel writes the eventfd where the event happens. No other thread wakes
//! up, and no system call of the waiting thread is interrupted, as a completion
//! of io_uring does to a thread that waits elsewhere. `io_submit(2)` polls since
//! Linux 4.18. Containers that forbid io_uring allow it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// `IOCB_CMD_POLL` and `IOCB_FLAG_RESFD` of `linux/aio_abi.h`.
const COMMAND_POLL: u16 = 5;
const FLAG_EVENTFD: u32 = 1;
/// `POLLIN` of `poll(2)`, as `struct iocb` has it.
const EVENTS: u64 = 1;

/// `struct iocb` of `linux/aio_abi.h`, on a little-endian machine.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    data: u64,
    key: u32,
    rw_flags: u32,
    command: u16,
    priority: i16,
    fd: i32,
    /// The `poll(2)` events that are waited for.
    buffer: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: i32,
}

/// `struct io_event` of `linux/aio_abi.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Completion {
    data: u64,
    request: u64,
    result: i64,
    result2: i64,
}

const _: () = assert!(size_of::<Request>() == 64 && size_of::<Completion>() == 32);
const _: () = assert!(EVENTS == libc::POLLIN as u64);

/// The values of `data`, by which a completion names its request.
const READY: u64 = 0;
const ALARM: u64 = 1;
/// One request polls the poll, the other the timer.
const REQUESTS: usize = 2;
/// The stack of a thread that makes one call.
const STACK_BYTES: usize = 16 * 1024;

/// The place where one poll is parked.
#[derive(Debug)]
pub struct KernelPark {
    context: libc::c_ulong,
    watched: OwnedFd,
    signal: OwnedFd,
    timer: OwnedFd,
    /// Whether the kernel will still signal readiness.
    is_ready_armed: bool,
    /// Whether the kernel will still signal the timer's end.
    is_alarm_armed: bool,
    /// When the timer ends.
    alarm: Option<Instant>,
}

impl KernelPark {
    /// Watches `watched`, a poll's descriptor.
    ///
    /// # Errors
    ///
    /// `ENOSYS`, `EPERM` or `EINVAL` where the kernel does not poll so, `EAGAIN`
    /// beyond `/proc/sys/fs/aio-max-nr`, and `EMFILE`.
    pub fn new(watched: OwnedFd) -> io::Result<Self> {
        if cfg!(target_endian = "big") {
            return Err(io::Error::from_raw_os_error(libc::ENOSYS));
        }
        let signal = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let mut park = Self {
            context: set_up(REQUESTS)?,
            watched,
            signal,
            timer,
            is_ready_armed: false,
            is_alarm_armed: false,
            alarm: None,
        };
        // The first call shows whether the kernel knows the command.
        park.park(None)?;
        Ok(park)
    }

    /// Returns another descriptor of the eventfd, for the event loop that reads it.
    pub fn signal(&self) -> io::Result<OwnedFd> {
        self.signal.try_clone()
    }

    /// Signals when something is ready, or after `timeout`.
    pub fn park(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.reap()?;
        let mut requests = [Request::default(); REQUESTS];
        let mut count = 0;
        if !self.is_ready_armed {
            requests[0] = self.request(READY, &self.watched);
            count = 1;
        }
        if let Some(timeout) = timeout {
            self.set_timer(timeout)?;
            if !self.is_alarm_armed {
                if let Some(request) = requests.get_mut(count) {
                    *request = self.request(ALARM, &self.timer);
                }
                count += 1;
            }
        }
        let submitted = submit(self.context, &mut requests, count)?;
        if submitted < count {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        self.is_ready_armed = true;
        self.is_alarm_armed |= timeout.is_some();
        Ok(())
    }

    /// Signals now.
    pub fn wake(&self) {
        // A write fails only when the counter is full: then it is readable already.
        let _ = rustix::io::write(&self.signal, &1_u64.to_ne_bytes());
    }

    fn request(&self, data: u64, fd: &OwnedFd) -> Request {
        Request {
            data,
            command: COMMAND_POLL,
            fd: fd.as_raw_fd(),
            buffer: EVENTS,
            flags: FLAG_EVENTFD,
            eventfd: self.signal.as_raw_fd(),
            ..Request::default()
        }
    }

    /// Sets the timer, unless it ends sooner already. A wait may end too early, and a
    /// program that parks again with the same deadline needs no system call.
    fn set_timer(&mut self, timeout: Duration) -> io::Result<()> {
        let now = Instant::now();
        let deadline = now + timeout;
        if self.alarm.is_some_and(|alarm| now < alarm && alarm <= deadline) {
            return Ok(());
        }
        // A value of zero would stop the timer.
        let value = Timespec::try_from(timeout.max(Duration::from_nanos(1)))
            .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value: value };
        timerfd_settime(self.timer.as_fd(), TimerfdTimerFlags::empty(), &once)?;
        self.alarm = Some(deadline);
        Ok(())
    }

    /// Takes what has completed.
    fn reap(&mut self) -> io::Result<()> {
        let mut completions = [Completion::default(); REQUESTS];
        let count = completed(self.context, &mut completions)?;
        for completion in completions.iter().take(count) {
            if completion.data == READY {
                self.is_ready_armed = false;
            } else {
                self.is_alarm_armed = false;
                self.alarm = None;
            }
        }
        Ok(())
    }
}

impl Drop for KernelPark {
    fn drop(&mut self) {
        let context = self.context;
        // Linux waits about 30 milliseconds until all processors have seen the end. The caller
        // must not wait that long: a thread makes the call, where one can be started.
        let builder = thread::Builder::new().name("denio-unpark".to_owned());
        let waits = builder.stack_size(STACK_BYTES).spawn(move || destroy(context));
        if waits.is_err() {
            destroy(context);
        }
    }
}

fn destroy(context: libc::c_ulong) {
    // SAFETY: the context is ours, and is used no more. The call cancels both polls.
    unsafe { libc::syscall(libc::SYS_io_destroy, context) };
}

fn set_up(requests: usize) -> io::Result<libc::c_ulong> {
    let mut context: libc::c_ulong = 0;
    // SAFETY: the kernel writes one number, which lives until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_io_setup, requests, &raw mut context) };
    count_of(result)?;
    Ok(context)
}

/// Submits the first `count` requests; returns how many were taken.
fn submit(
    context: libc::c_ulong,
    requests: &mut [Request; REQUESTS],
    count: usize,
) -> io::Result<usize> {
    if count == 0 {
        return Ok(0);
    }
    let mut list = requests.each_mut().map(std::ptr::from_mut);
    // SAFETY: the list has at least `count` requests, which the kernel copies before it returns.
    let result = unsafe { libc::syscall(libc::SYS_io_submit, context, count, list.as_mut_ptr()) };
    count_of(result)
}

/// Takes completions that are there; never waits.
fn completed(
    context: libc::c_ulong,
    completions: &mut [Completion; REQUESTS],
) -> io::Result<usize> {
    let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let into = completions.as_mut_ptr();
    // SAFETY: the kernel writes as many completions as there is room for, and reads the time.
    let result = unsafe {
        libc::syscall(libc::SYS_io_getevents, context, 0, REQUESTS, into, &raw const none)
    };
    count_of(result)
}

fn count_of(result: libc::c_long) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
