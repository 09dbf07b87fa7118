//! Descriptors by number: their kinds, their owners, and failures that leave them alone.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    reason = "descriptors are handed over by their numbers, and set-up"
)]

mod util;

use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;

use denio::ffi::*;
use denio_poll::SourceKind;
use util::abi::{self, handle};
use util::{Alone, alone};

const KINDS: [SourceKind; 7] = SourceKind::ALL;

/// A path in no use, which is removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("denio-{}-{name}", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// One blocking, inheritable descriptor of each kind, as another program would leave them; and
/// their peers.
fn inherited(path: &Temporary) -> (Vec<(SourceKind, OwnedFd)>, Vec<OwnedFd>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (unix, unix_peer) = UnixStream::pair().unwrap();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let all = [
        (SourceKind::TcpStream, OwnedFd::from(stream)),
        (SourceKind::TcpListener, listener.into()),
        (SourceKind::UnixListener, UnixListener::bind(&path.0).unwrap().into()),
        (SourceKind::UnixStream, unix.into()),
        (SourceKind::UdpSocket, UdpSocket::bind("127.0.0.1:0").unwrap().into()),
        (SourceKind::PipeReader, reader),
        (SourceKind::PipeWriter, writer),
    ];
    for (_, fd) in &all {
        // SAFETY: takes no pointer.
        assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) }, 0);
    }
    (all.into(), vec![unix_peer.into()])
}

/// Whether it is close-on-exec, and whether non-blocking.
fn flags(fd: RawFd) -> (bool, bool) {
    // SAFETY: takes no pointer.
    let of_number = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    // SAFETY: takes no pointer.
    let of_file = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    (of_number & libc::FD_CLOEXEC != 0, of_file & libc::O_NONBLOCK != 0)
}

/// A number that was just closed.
fn closed(_alone: &Alone) -> RawFd {
    UdpSocket::bind("127.0.0.1:0").unwrap().as_raw_fd()
}

/// Adopts a descriptor that only its test knows of.
fn adopt(fd: RawFd, kind: u32) -> f64 {
    // SAFETY: the test gives it away, or there is none by that number.
    unsafe { denio_source_adopt(fd, kind) }
}

#[test]
fn each_kind_is_described_and_adopted_as_what_it_is() {
    let _alone = alone();
    let path = Temporary::new("kinds");
    let (descriptors, _peers) = inherited(&path);
    for (kind, fd) in descriptors {
        let number = fd.as_raw_fd();
        let (described, address) = abi::describe(number);
        assert_eq!(described, kind as i32, "{kind:?}");
        assert_eq!(flags(number), (false, false), "describing changes nothing");
        for other in KINDS.into_iter().filter(|other| *other != kind) {
            assert_eq!(adopt(number, other as u32), -f64::from(libc::EPROTOTYPE), "{kind:?}");
        }
        assert_eq!(flags(number), (false, false), "a refusal changes no flag");
        let adopted = handle(adopt(fd.into_raw_fd(), kind as u32));
        assert_eq!(flags(number), (true, true), "{kind:?}");
        match kind {
            SourceKind::PipeReader | SourceKind::PipeWriter => {
                assert_eq!(address, [0; ADDRESS_BYTES]);
            }
            _ => assert_eq!(abi::local_address(adopted), Ok(address), "{kind:?}"),
        }
        assert_eq!(denio_source_close(adopted), 0);
        assert_eq!(abi::describe(number).0, -libc::EBADF, "it was the handle's to close");
    }
}

#[test]
fn described_address_is_the_own_one() {
    let _alone = alone();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (_, address) = abi::describe(udp.as_raw_fd());
    assert_eq!(address, abi::encode(udp.local_addr().unwrap()));
    let path = Temporary::new("described");
    let listener = UnixListener::bind(&path.0).unwrap();
    let (_, address) = abi::describe(listener.as_raw_fd());
    let name = path.0.as_os_str().as_bytes();
    assert_eq!((address[0], address[1] as usize), (1, name.len()));
    assert_eq!(&address[8..8 + name.len()], name);
}

#[test]
fn adopted_sources_work() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let kind = SourceKind::TcpListener as u32;
    let listener = handle(adopt(listener.into_raw_fd(), kind));
    let client = TcpStream::connect(address).unwrap();
    let server = abi::accept_one(listener);
    let kind = SourceKind::TcpStream as u32;
    let client = handle(adopt(client.into_raw_fd(), kind));
    assert_eq!(abi::peer_address(client), Ok(abi::encode(address)));
    assert_eq!(abi::read(client, &mut [0]), -libc::EAGAIN, "it does not block");
    assert_eq!(abi::write(client, b"hello"), 5);
    let mut buffer = [0; 8];
    assert_eq!(abi::eventually(|| abi::read(server, &mut buffer)), 5);
    let poll = handle(denio_poll_new(0));
    assert_eq!(denio_registry_register(poll, client, 7, 2, 0), 0);
    let mut out = [0; CLOCK_WORDS + 2];
    assert_eq!(abi::wait(poll, &mut out, 10_000), 1);
    for handle in [poll, client, server, listener] {
        assert_eq!(denio_source_close(handle), 0);
    }
}

/// As the children of a supervisor that inherit a listener, one after the other.
#[test]
fn closed_source_has_no_events_while_a_clone_is_open() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let kept = listener.try_clone().unwrap();
    let kind = SourceKind::TcpListener as u32;
    let adopted = handle(adopt(listener.into_raw_fd(), kind));
    let poll = handle(denio_poll_new(0));
    let (readable, level) = (1, 1);
    assert_eq!(denio_registry_register(poll, adopted, 7, readable, level), 0);
    assert_eq!(denio_source_close(adopted), 0);
    let _client = TcpStream::connect(kept.local_addr().unwrap()).unwrap();
    kept.accept().unwrap();
    assert_eq!(abi::wait(poll, &mut [0; CLOCK_WORDS + 2], 5), 0);
    assert_eq!(denio_source_close(poll), 0);
}

#[test]
fn the_descriptor_of_a_source_is_busy() {
    let _alone = alone();
    let before = util::descriptors();
    let [one, other] = abi::unix_pair().unwrap();
    let clone = handle(denio_source_try_clone(one));
    for fd in util::descriptors().difference(&before) {
        assert_eq!(abi::describe(*fd).0, SourceKind::UnixStream as i32);
        assert_eq!(adopt(*fd, SourceKind::UnixStream as u32), -f64::from(libc::EBUSY));
    }
    for handle in [one, other, clone] {
        assert_eq!(denio_source_close(handle), 0);
    }
}

#[test]
fn descriptors_of_a_poll_and_its_waker_are_no_sources() {
    let _alone = alone();
    let before = util::descriptors();
    let poll = handle(denio_poll_new(0));
    let waker = handle(denio_waker_new(poll, 1));
    for fd in util::descriptors().difference(&before) {
        assert!(abi::describe(*fd).0 < 0);
        for kind in KINDS {
            assert!(adopt(*fd, kind as u32) < 0.0);
        }
    }
    assert_eq!(denio_waker_wake(waker), 0);
    assert_eq!(denio_source_close(waker), 0);
    assert_eq!(denio_source_close(poll), 0);
}

#[test]
fn sockets_of_other_sorts_are_refused() {
    let _alone = alone();
    let path = Temporary::new("fifo");
    let name = std::ffi::CString::new(path.0.as_os_str().as_bytes()).unwrap();
    // SAFETY: a string that ends with zero.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let both_ways = File::options().read(true).write(true).open(&path.0).unwrap();
    let fresh =
        |domain, kind| -> OwnedFd { socket2::Socket::new(domain, kind, None).unwrap().into() };
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&util::loopback().into()).unwrap();
    let mut refused: Vec<(&str, OwnedFd)> = vec![
        ("a pipe both ways", both_ways.into()),
        ("a datagram socket of Unix", UnixDatagram::pair().unwrap().0.into()),
        ("a TCP socket that is nothing yet", fresh(socket2::Domain::IPV4, socket2::Type::STREAM)),
        ("a Unix socket that is nothing yet", fresh(socket2::Domain::UNIX, socket2::Type::STREAM)),
    ];
    if cfg!(target_os = "linux") {
        refused.push(("a TCP socket that is only bound", bound.into()));
    }
    let seqpacket = socket2::Socket::pair(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None);
    if let Ok((one, _other)) = seqpacket {
        refused.push(("a sequenced socket", one.into()));
    }
    for (name, fd) in &refused {
        assert_eq!(abi::describe(fd.as_raw_fd()).0, -libc::EPROTOTYPE, "{name}");
        for kind in KINDS {
            let answer = adopt(fd.as_raw_fd(), kind as u32);
            assert_eq!(answer, -f64::from(libc::EPROTOTYPE), "{name} as {kind:?}");
        }
    }
}

#[test]
fn what_is_no_socket_or_not_open_is_refused() {
    let alone = alone();
    let file = File::open("/dev/null").unwrap();
    let closed = closed(&alone);
    for (fd, errno) in [
        (file.as_raw_fd(), libc::ENOTSOCK),
        (closed, libc::EBADF),
        (-1, libc::EBADF),
        (i32::MIN, libc::EBADF),
        (i32::MAX, libc::EBADF),
    ] {
        assert_eq!(abi::describe(fd).0, -errno, "{fd}");
        assert_eq!(adopt(fd, SourceKind::UnixStream as u32), -f64::from(errno), "{fd}");
        for kind in [0, 8, u32::MAX] {
            assert_eq!(adopt(fd, kind), -f64::from(libc::EINVAL));
        }
    }
    // SAFETY: null is refused before it is used.
    let answer = unsafe { denio_descriptor_describe(file.as_raw_fd(), std::ptr::null_mut()) };
    assert_eq!(answer, -libc::EFAULT);
}

#[test]
fn one_of_many_threads_adopts_a_descriptor() {
    let _alone = alone();
    for _ in 0..100 {
        let (one, _other) = UnixStream::pair().unwrap();
        let fd = one.into_raw_fd();
        let answers: Vec<f64> = std::thread::scope(|scope| {
            let take = || adopt(fd, SourceKind::UnixStream as u32);
            let threads = [(); 4].map(|()| scope.spawn(take));
            threads.map(|thread| thread.join().unwrap()).into()
        });
        let (adopted, refused): (Vec<f64>, Vec<f64>) = answers.iter().partition(|is| **is > 0.0);
        assert_eq!(adopted.len(), 1, "{answers:?}");
        assert_eq!(refused, [-f64::from(libc::EBUSY); 3]);
        assert_eq!(denio_source_close(adopted[0]), 0);
    }
}

#[test]
fn rust_adopts_by_type() {
    let _alone = alone();
    let (one, other) = UnixStream::pair().unwrap();
    let stream = denio_poll::UnixStream::try_from(OwnedFd::from(one)).unwrap();
    util::write_all(&stream, b"hello");
    let refused = denio_poll::TcpStream::try_from(OwnedFd::from(other));
    assert_eq!(util::errno(refused), libc::EPROTOTYPE);
    assert_eq!(util::errno(stream.write(b"x")), libc::EPIPE, "what was refused is closed");
}
