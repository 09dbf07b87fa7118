//! Unix sockets: names of each sort, readiness as TCP has it, ends, and what the system refuses.

#![allow(clippy::unwrap_used, reason = "set-up")]

mod util;

use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use denio_poll::{
    Event, Interest, Poll, Socket, Source, Token, UnixAddress, UnixListener, UnixStream,
};
use util::{
    READABLE, WRITABLE, alone, drain, errno, eventually, expect_event, expect_silence, fill,
    read_exact, write_all,
};

const LISTENER: Token = Token(1);
const STREAM: Token = Token(2);

/// A folder that is removed with its files.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("denio-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A path of so many bytes.
    fn path_of(&self, length: usize) -> PathBuf {
        let path = self.path(&"x".repeat(length - 1 - self.0.as_os_str().len()));
        assert_eq!(path.as_os_str().len(), length);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn listener(path: &Path) -> (UnixListener, UnixAddress) {
    let address = UnixAddress::from_path(path).unwrap();
    (UnixListener::bind(&address, 16).unwrap(), address)
}

fn registered(poll: &Poll, source: &impl Source, interest: Interest) {
    poll.registry().register(source, STREAM, interest).unwrap();
    if interest.is_writable() {
        expect_event(poll, STREAM, Event::WRITABLE);
    }
}

/// Connects to a listener of `address` and checks the addresses of each end.
fn expect_names(address: &UnixAddress) {
    let listener = UnixListener::bind(address, 16).unwrap();
    let client = UnixStream::connect(address).unwrap();
    let server = eventually(|| listener.accept()).unwrap();
    assert_eq!(listener.local_address().unwrap(), *address);
    assert_eq!(client.peer_address().unwrap(), *address);
    assert_eq!(server.local_address().unwrap(), *address);
    assert!(client.local_address().unwrap().is_unnamed());
    assert!(server.peer_address().unwrap().is_unnamed());
    write_all(&client, b"question");
    assert_eq!(read_exact(&server, 8), b"question");
    write_all(&server, b"answer");
    assert_eq!(read_exact(&client, 6), b"answer");
}

// Names.

#[test]
fn path_is_a_file_which_stays() {
    let _alone = alone();
    let folder = Folder::new("path");
    let path = folder.path("socket");
    expect_names(&UnixAddress::from_path(&path).unwrap());
    assert!(path.exists());
}

#[cfg(linux)]
#[test]
fn abstract_name_is_no_file_and_has_its_length() {
    let _alone = alone();
    for name in ["", "a", "with\0zeroes\0"] {
        let name = format!("\0denio-{}-{name}", std::process::id());
        let address = UnixAddress::new(name.as_bytes()).unwrap();
        expect_names(&address);
        assert_eq!(address.as_bytes(), name.as_bytes());
    }
    let longest: Vec<u8> = [vec![0], vec![b'y'; 107]].concat();
    expect_names(&UnixAddress::new(&longest).unwrap());
    assert_eq!(errno(UnixAddress::new(&[longest, vec![b'y']].concat())), libc::ENAMETOOLONG);
}

#[test]
fn long_paths_work_as_far_as_the_system_takes_them() {
    let _alone = alone();
    let folder = Folder::new("long");
    let room = if cfg!(linux) { 108 } else { 104 };
    expect_names(&UnixAddress::from_path(folder.path_of(room - 1)).unwrap());
    // Without room for the zero behind it: Linux takes and returns it.
    if cfg!(linux) {
        expect_names(&UnixAddress::from_path(folder.path_of(room)).unwrap());
    }
    assert_eq!(errno(UnixAddress::from_path(folder.path_of(room + 1))), libc::ENAMETOOLONG);
}

#[test]
fn bound_client_has_its_name_at_the_listener() {
    let _alone = alone();
    let folder = Folder::new("named");
    let (listener, address) = listener(&folder.path("socket"));
    let path = folder.path_of(100);
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    let to = std::str::from_utf8(address.as_bytes()).unwrap();
    socket.connect(&socket2::SockAddr::unix(to).unwrap()).unwrap();
    let server = eventually(|| listener.accept()).unwrap();
    assert_eq!(server.peer_address().unwrap().as_bytes(), path.as_os_str().as_bytes());
}

#[test]
fn names_that_no_system_takes_are_refused() {
    assert_eq!(errno(UnixAddress::new(b"")), libc::EINVAL);
    assert_eq!(errno(UnixAddress::new(b"/tmp/a\0b")), libc::EINVAL);
    assert_eq!(errno(UnixAddress::new(&[b'x'; 300])), libc::ENAMETOOLONG);
    if cfg!(not(linux)) {
        assert_eq!(errno(UnixAddress::new(b"\0name")), libc::ENOTSUP);
    }
}

#[test]
fn bind_and_connect_return_the_error_of_the_system() {
    let _alone = alone();
    let folder = Folder::new("refused");
    let path = folder.path("socket");
    let (listener, address) = listener(&path);
    assert_eq!(errno(UnixListener::bind(&address, 1)), libc::EADDRINUSE);
    drop(listener);
    assert_eq!(errno(UnixStream::connect(&address)), libc::ECONNREFUSED);
    let nowhere = UnixAddress::from_path(folder.path("nowhere")).unwrap();
    assert_eq!(errno(UnixStream::connect(&nowhere)), libc::ENOENT);
    let nowhere = UnixAddress::from_path(folder.path("no/where")).unwrap();
    assert_eq!(errno(UnixListener::bind(&nowhere, 1)), libc::ENOENT);
}

#[cfg(linux)]
#[test]
fn connect_to_a_full_backlog_would_block() {
    let _alone = alone();
    let folder = Folder::new("backlog");
    let address = UnixAddress::from_path(folder.path("socket")).unwrap();
    let _listener = UnixListener::bind(&address, 0).unwrap();
    let mut waiting = Vec::new();
    let refused = (0..8).find_map(|_| match UnixStream::connect(&address) {
        Ok(stream) => {
            waiting.push(stream);
            None
        }
        Err(error) => error.raw_os_error(),
    });
    assert_eq!(refused, Some(libc::EAGAIN));
}

#[test]
fn pair_has_no_names_and_does_not_block() {
    let _alone = alone();
    let before = util::descriptors();
    let (one, other) = UnixStream::pair().unwrap();
    assert!(util::new_ones_are_close_on_exec(&before));
    for end in [&one, &other] {
        assert!(end.local_address().unwrap().is_unnamed());
        assert!(end.peer_address().unwrap().is_unnamed());
        assert_eq!(errno(end.read(&mut [0; 8])), libc::EAGAIN);
        assert!(end.take_error().unwrap().is_none());
    }
    write_all(&one, b"to the other");
    assert_eq!(read_exact(&other, 12), b"to the other");
}

// Readiness.

#[test]
fn each_connection_is_reported() {
    let _alone = alone();
    let poll = util::poll();
    let folder = Folder::new("events");
    let before = util::descriptors();
    let (listener, address) = listener(&folder.path("socket"));
    poll.registry().register(&listener, LISTENER, READABLE).unwrap();
    expect_silence(&poll);
    assert_eq!(errno(listener.accept()), libc::EAGAIN);
    for _ in 0..2 {
        let _client = UnixStream::connect(&address).unwrap();
        expect_event(&poll, LISTENER, Event::READABLE);
        let server = listener.accept().unwrap();
        assert!(util::new_ones_are_close_on_exec(&before));
        assert_eq!(errno(server.read(&mut [0])), libc::EAGAIN);
        assert_eq!(errno(listener.accept()), libc::EAGAIN);
        expect_silence(&poll);
    }
}

#[test]
fn data_is_reported_once_for_each_arrival() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = UnixStream::pair().unwrap();
    registered(&poll, &stream, READABLE);
    expect_silence(&poll);
    for _ in 0..2 {
        write_all(&peer, b"some");
        assert_eq!(expect_event(&poll, STREAM, Event::READABLE), Event::READABLE);
        expect_silence(&poll);
        assert_eq!(drain(&stream), (b"some".to_vec(), false));
        expect_silence(&poll);
    }
}

#[test]
fn room_is_reported_after_there_was_none() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = UnixStream::pair().unwrap();
    registered(&poll, &stream, WRITABLE);
    let written = fill(&stream);
    expect_silence(&poll);
    assert_eq!(read_exact(&peer, written).len(), written);
    expect_event(&poll, STREAM, Event::WRITABLE);
}

#[test]
fn megabytes_go_through_on_edges() {
    let _alone = alone();
    let (source, sink) = UnixStream::pair().unwrap();
    util::expect_megabytes_on_edges(&source, &sink);
}

#[test]
fn peek_leaves_the_data() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = UnixStream::pair().unwrap();
    registered(&poll, &stream, READABLE);
    assert_eq!(errno(stream.peek(&mut [0; 8])), libc::EAGAIN);
    write_all(&peer, b"twice");
    expect_event(&poll, STREAM, Event::READABLE);
    let mut buffer = [0; 8];
    assert_eq!(stream.peek(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"twice");
    expect_silence(&poll);
    assert_eq!(drain(&stream), (b"twice".to_vec(), false));
}

#[test]
fn clone_lives_on_and_registers_by_itself() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = UnixStream::pair().unwrap();
    registered(&poll, &stream, READABLE);
    let clone = stream.try_clone().unwrap();
    poll.registry().register(&clone, Token(3), READABLE).unwrap();
    drop(stream);
    write_all(&peer, b"still");
    expect_event(&poll, Token(3), Event::READABLE);
    assert_eq!(drain(&clone), (b"still".to_vec(), false));
}

// Ends.

#[test]
fn dropped_peer_ends_reading_after_its_bytes() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = UnixStream::pair().unwrap();
    registered(&poll, &stream, READABLE);
    write_all(&peer, b"last words");
    drop(peer);
    expect_event(&poll, STREAM, Event::READABLE | Event::READ_CLOSED);
    assert_eq!(drain(&stream), (b"last words".to_vec(), true));
    if util::sees_edges(&poll) {
        // Other backends may report the end once more.
        expect_silence(&poll);
    }
}

#[test]
fn half_closed_peer_can_still_be_written_to() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, peer) = UnixStream::pair().unwrap();
    registered(&poll, &stream, READABLE | WRITABLE);
    peer.shutdown(Shutdown::Write).unwrap();
    let bits = expect_event(&poll, STREAM, Event::READABLE | Event::READ_CLOSED);
    assert_eq!(bits & Event::WRITE_CLOSED, 0, "{bits}");
    write_all(&stream, b"answer");
    assert_eq!(read_exact(&peer, 6), b"answer");
}

#[test]
fn shutdown_of_both_closes_both() {
    let _alone = alone();
    let poll = util::poll();
    let (stream, _peer) = UnixStream::pair().unwrap();
    registered(&poll, &stream, READABLE | WRITABLE);
    stream.shutdown(Shutdown::Both).unwrap();
    expect_event(&poll, STREAM, Event::READ_CLOSED | Event::WRITE_CLOSED);
    util::with_deadly_sigpipe(|| assert_eq!(errno(stream.write(b"x")), libc::EPIPE));
}

#[test]
fn write_to_a_dropped_peer_is_an_error_and_no_signal() {
    let _alone = alone();
    let (stream, peer) = UnixStream::pair().unwrap();
    drop(peer);
    util::with_deadly_sigpipe(|| {
        assert_eq!(errno(stream.write(b"x")), libc::EPIPE);
        assert_eq!(errno(stream.write_vectored(&[std::io::IoSlice::new(b"x")])), libc::EPIPE);
    });
}

#[cfg(linux)]
#[test]
fn a_read_goes_on_behind_descriptors_and_drops_them() {
    let _alone = alone();
    let (sender, receiver) = UnixStream::pair().unwrap();
    let before = open_descriptors();
    for byte in [b"b", b"c"] {
        send_with_descriptor(&sender, byte);
    }
    write_all(&sender, b"de");
    let mut bytes = [0; 3];
    assert_eq!(receiver.read(&mut bytes).unwrap(), 3, "no more than there is room for");
    assert_eq!(&bytes, b"bcd");
    send_with_descriptor(&sender, b"f");
    sender.shutdown(Shutdown::Write).unwrap();
    let mut bytes = [0; 8];
    assert_eq!(receiver.read(&mut bytes).unwrap(), 2);
    assert_eq!(&bytes[..2], b"ef");
    assert_eq!(receiver.read(&mut bytes).unwrap(), 0, "the end needs a read of its own");
    assert_eq!(open_descriptors(), before);
}

#[cfg(linux)]
fn send_with_descriptor(stream: &UnixStream, bytes: &[u8]) {
    use std::os::fd::AsFd;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let fd = stream.registration().as_fd();
    let fds = [fd];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    let parts = [std::io::IoSlice::new(bytes)];
    assert_eq!(sendmsg(fd, &parts, &mut control, SendFlags::empty()).unwrap(), bytes.len());
}

#[cfg(linux)]
fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
