//! A ring whose kernel is short of memory: a filter of system calls plays it, on one thread.

use std::io;
use std::mem::offset_of;
use std::thread;

use super::*;

/// Makes `io_uring_enter` fail with `EAGAIN` on this thread, for good.
fn refuse_enters() {
    let jump =
        |code: u32, k: u32, other: u8| libc::sock_filter { code: code as u16, jt: 0, jf: other, k };
    let number = offset_of!(libc::seccomp_data, nr) as u32;
    let refused = libc::SECCOMP_RET_ERRNO | libc::EAGAIN as u32;
    let mut filter = [
        jump(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, number, 0),
        jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_io_uring_enter as u32, 1),
        jump(libc::BPF_RET | libc::BPF_K, refused, 0),
        jump(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: numbers alone.
    let is_allowed = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(is_allowed, 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel copies the program, which points to the filter above.
    let is_set = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    };
    assert_eq!(is_set, 0, "{}", io::Error::last_os_error());
}

/// Whether the selector's descriptor is readable after signals were asked for, while the kernel
/// takes nothing.
fn signals_after(alarm: Option<Duration>, has_source: bool) -> bool {
    let test = move || {
        let selector = Selector::new().unwrap();
        assert_eq!(selector.wait(&mut [Event::default(); 4], 0).unwrap(), 0);
        let source = EventFd::new().unwrap();
        refuse_enters();
        if has_source {
            selector.register(source.as_fd(), Token(1), Interest::READABLE, Mode::EDGE).unwrap();
        }
        selector.begin_signals(alarm).unwrap();
        let mut entries = [PollFd::new(&selector, PollFlags::IN)];
        rustix::event::poll(&mut entries, timespec(0).as_ref()).unwrap() > 0
    };
    thread::spawn(test).join().unwrap()
}

#[test]
fn a_source_or_an_alarm_that_the_kernel_has_not_taken_is_signalled_at_once() {
    if refusal().is_some() {
        eprintln!("skipped: the kernel has no io_uring for this process");
        return;
    }
    assert!(!signals_after(None, false), "all was taken before");
    assert!(signals_after(None, true));
    assert!(signals_after(Some(Duration::from_secs(3600)), false));
}
