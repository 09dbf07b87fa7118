//! Socket options: the options of each kind, their ranges, and their values when read.

#![allow(clippy::unwrap_used, reason = "set-up")]

mod util;

use denio_poll::{
    BindOptions, ListenOptions, Socket, SocketOption, TcpListener, UdpSocket, UnixAddress,
    UnixListener, UnixStream,
};
use util::{alone, errno};

use SocketOption::*;

/// One socket of each kind, by name.
fn sockets() -> Vec<(&'static str, Box<dyn Socket>)> {
    let (client, _server) = util::pair();
    let path = std::env::temp_dir().join(format!("denio-{}-option", std::process::id()));
    let listener = UnixListener::bind(&UnixAddress::from_path(&path).unwrap(), 1).unwrap();
    std::fs::remove_file(path).unwrap();
    vec![
        ("TcpListener", Box::new(util::listener().0)),
        ("TcpStream", Box::new(client)),
        ("UnixListener", Box::new(listener)),
        ("UnixStream", Box::new(UnixStream::pair().unwrap().0)),
        ("UdpSocket", Box::new(udp("127.0.0.1:0"))),
    ]
}

fn udp(address: &str) -> UdpSocket {
    UdpSocket::bind(address.parse().unwrap(), &BindOptions::default()).unwrap()
}

/// The IP sockets of this test that have the option; all are IPv4.
fn owners(option: SocketOption) -> &'static [&'static str] {
    match option {
        ReceiveBuffer | SendBuffer => {
            &["TcpListener", "TcpStream", "UnixListener", "UnixStream", "UdpSocket"]
        }
        Ttl | ReusePort => &["TcpListener", "TcpStream", "UdpSocket"],
        OnlyV6 => &[],
        DeferAccept => &["TcpListener"],
        Broadcast | MulticastLoop | MulticastTtl => &["UdpSocket"],
        _ => &["TcpListener", "TcpStream"],
    }
}

/// Whether this system lacks the option.
fn is_missing(option: SocketOption) -> bool {
    let is_apple = cfg!(apple);
    let is_missing = option == DeferAccept || option == UserTimeout && !is_apple;
    is_missing && cfg!(not(linux))
}

#[test]
fn options_are_of_the_kinds_that_have_them() {
    let _alone = alone();
    for (name, socket) in sockets() {
        for option in SocketOption::ALL {
            let answer = socket.option(option);
            if !owners(option).contains(&name) {
                assert_eq!(errno(answer), libc::ENOPROTOOPT, "{option:?} of {name}");
                let set = socket.set_option(option, 1);
                let refused = if option == OnlyV6 && name != "UnixListener" && name != "UnixStream"
                {
                    libc::EINVAL
                } else {
                    libc::ENOPROTOOPT
                };
                assert_eq!(errno(set), refused, "{option:?} of {name}");
            } else if is_missing(option) {
                assert_eq!(errno(answer), libc::ENOTSUP, "{option:?} of {name}");
            } else {
                assert!(answer.is_ok(), "{option:?} of {name}: {answer:?}");
            }
        }
    }
}

#[test]
fn an_option_is_read_as_it_was_set() {
    let _alone = alone();
    let table: &[(SocketOption, &[u32])] = &[
        (Nodelay, &[1, 0, 1]),
        (Keepalive, &[1, 0]),
        (KeepaliveIdle, &[1, 60, 7200]),
        (KeepaliveInterval, &[1, 75]),
        (KeepaliveCount, &[1, 9]),
        (Linger, &[1, 2, 31, 0]),
        (Ttl, &[1, 64, 255]),
        (UserTimeout, &[0, 1_000, 30_000]),
        (Broadcast, &[1, 0]),
        (MulticastLoop, &[0, 1]),
        (MulticastTtl, &[0, 1, 255]),
    ];
    for (name, socket) in sockets() {
        for (option, values) in table.iter().filter(|(option, _)| owners(*option).contains(&name)) {
            if is_missing(*option) {
                continue;
            }
            for value in *values {
                socket.set_option(*option, *value).unwrap();
                assert_eq!(socket.option(*option).unwrap(), *value, "{option:?} of {name}");
            }
        }
    }
}

#[test]
fn v6_sockets_have_hops_where_v4_has_a_ttl() {
    let _alone = alone();
    let listener = TcpListener::bind("[::1]:0".parse().unwrap(), &ListenOptions::default());
    let udp = udp("[::1]:0");
    for socket in [&listener.unwrap() as &dyn Socket, &udp] {
        socket.set_option(Ttl, 7).unwrap();
        assert_eq!(socket.option(Ttl).unwrap(), 7);
        // Linux returns 1 for a socket that is bound to an address without IPv4.
        assert!(socket.option(OnlyV6).is_ok());
        assert_eq!(errno(socket.set_option(OnlyV6, 1)), libc::EINVAL);
    }
    for (option, value) in [(MulticastLoop, 0), (MulticastTtl, 9)] {
        udp.set_option(option, value).unwrap();
        assert_eq!(udp.option(option).unwrap(), value);
    }
}

#[test]
fn values_out_of_range_are_refused_and_change_nothing() {
    let _alone = alone();
    let huge = [1 << 31, u32::MAX];
    for (name, socket) in sockets() {
        for option in SocketOption::ALL {
            if !owners(option).contains(&name) {
                continue;
            }
            let before = socket.option(option).ok();
            let wrong: &[u32] = match option {
                Nodelay | Keepalive | Broadcast | MulticastLoop => &[2],
                Ttl => &[0, 256],
                MulticastTtl => &[256],
                KeepaliveIdle | KeepaliveInterval | KeepaliveCount => &[0],
                ReusePort => &[0, 1],
                _ => &[],
            };
            for value in wrong.iter().chain(&huge) {
                let set = socket.set_option(option, *value);
                assert_eq!(errno(set), libc::EINVAL, "{option:?} = {value} of {name}");
            }
            assert_eq!(socket.option(option).ok(), before, "{option:?} of {name}");
        }
    }
}

#[test]
fn buffers_are_at_least_as_large_as_set() {
    let _alone = alone();
    for (name, socket) in sockets() {
        for option in [ReceiveBuffer, SendBuffer] {
            socket.set_option(option, 32_768).unwrap();
            let bytes = socket.option(option).unwrap();
            assert!((32_768..=65_536).contains(&bytes), "{option:?} of {name}: {bytes}");
        }
    }
}

#[test]
fn keepalive_numbers_do_not_turn_it_on() {
    let _alone = alone();
    let (stream, _peer) = util::pair();
    for option in [KeepaliveIdle, KeepaliveInterval, KeepaliveCount] {
        stream.set_option(option, 5).unwrap();
    }
    assert_eq!(stream.option(Keepalive).unwrap(), 0);
}

#[test]
fn reuse_port_is_what_binding_made_it() {
    let _alone = alone();
    for reuse_port in [true, false] {
        let options = ListenOptions { reuse_port, ..ListenOptions::default() };
        let listener = TcpListener::bind(util::loopback(), &options).unwrap();
        assert_eq!(listener.option(ReusePort).unwrap(), u32::from(reuse_port));
    }
}

#[cfg(linux)]
#[test]
fn deferred_connection_is_accepted_when_its_data_comes() {
    let _alone = alone();
    let (listener, address) = util::listener();
    assert_eq!(listener.option(DeferAccept).unwrap(), 0);
    listener.set_option(DeferAccept, 30).unwrap();
    assert!(listener.option(DeferAccept).unwrap() >= 30, "rounded up");
    let client = denio_poll::TcpStream::connect(address).unwrap();
    let poll = util::poll();
    let (accepts, connects) = (denio_poll::Token(1), denio_poll::Token(2));
    poll.registry().register(&client, connects, util::WRITABLE).unwrap();
    util::expect_event(&poll, connects, denio_poll::Event::WRITABLE);
    poll.registry().register(&listener, accepts, util::READABLE).unwrap();
    util::expect_silence(&poll);
    assert_eq!(errno(listener.accept()), libc::EAGAIN);
    util::write_all(&client, b"now");
    util::expect_event(&poll, accepts, denio_poll::Event::READABLE);
    assert_eq!(util::read_exact(&listener.accept().unwrap(), 3), b"now");
}
