//! Many connections, and many questions on one (RFC 7766).

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::{SOON, SQS, await_metric, measured, recorded, support::Hubdns};

/// Of all clients together, and of one: `src/serve/connections.rs`.
const CONNECTIONS_MAX: usize = 4_096;
/// From so many addresses that none comes near its share.
const CLIENTS: usize = 8;
const IDLE: usize = 1_000;
/// What a new question may wait behind them.
const ANSWER_LIMIT: Duration = Duration::from_millis(10);
/// The median of so many; four tests share two cores, and one of them may wait for a core.
const ASKED: usize = 15;
/// Idle connections live for 10 s. By then a quiet moment must have come.
const QUIET_LIMIT: Duration = Duration::from_secs(6);
const UPSTREAM_DELAY: Duration = Duration::from_millis(800);

/// A question for an A record, behind its length.
fn framed(name: &str, id: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    let len = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&len, &message[..]].concat()
}

/// Id and code of the next answer; `None` when the connection is closed.
fn answer(stream: &mut TcpStream) -> Option<(u16, u8)> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut message).unwrap();
    Some((u16::from_be_bytes([message[0], message[1]]), message[3] & 0xF))
}

/// A connection from the n-th client.
fn connect(daemon: SocketAddr, client: usize) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = Ipv4Addr::new(127, 0, 1, u8::try_from(client % CLIENTS).unwrap());
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&daemon.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, id: u16) -> Option<(u16, u8)> {
    stream.write_all(&framed(SQS, id)).ok()?;
    answer(stream)
}

/// Both ends of a connection may be open here, and the shell's soft limit is often 1,024.
fn raise_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(2 * 4_096 < hard, "the machine grants {hard} descriptors");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

/// The median of some waits for an answer, each asked for by `question`.
fn median(mut question: impl FnMut()) -> Duration {
    let mut waits: Vec<Duration> = (0..ASKED)
        .map(|_| {
            let start = Instant::now();
            question();
            start.elapsed()
        })
        .collect();
    waits.sort();
    waits[ASKED / 2]
}

/// Measures until the machine leaves us alone for long enough.
#[track_caller]
fn answered_at_once(what: &str, mut question: impl FnMut()) {
    let start = Instant::now();
    loop {
        let wait = median(&mut question);
        measured(what, wait);
        if wait < ANSWER_LIMIT {
            return;
        }
        assert!(start.elapsed() < QUIET_LIMIT, "{what}: {wait:?}");
    }
}

#[test]
fn behind_a_thousand_idle_connections_a_new_question_is_answered_at_once() {
    raise_descriptors();
    let daemon = Hubdns::start(&recorded());
    let dns = daemon.dns();
    // All of one client, as a forwarder of a large site may have them.
    let mut idle: Vec<TcpStream> = (0..IDLE).map(|_| connect(dns, 0)).collect();
    await_metric(&daemon, "hubdns_tcp_connections", 1_000.0);
    answered_at_once("a new connection behind 1,000 idle ones", || {
        assert_eq!(ask(&mut connect(dns, 1), 7), Some((7, 0)));
    });
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.connect(dns).unwrap();
    let mut id = 0_u16;
    answered_at_once("UDP beside 1,000 idle connections", || {
        id += 1;
        socket.send(&framed(SQS, id)[2..]).unwrap();
        let mut reply = [0; 512];
        socket.recv(&mut reply).unwrap();
        assert_eq!(reply[..2], id.to_be_bytes());
    });
    for at in [0, IDLE / 2, IDLE - 1] {
        assert_eq!(ask(&mut idle[at], 8), Some((8, 0)), "connection {at} is held");
    }
}

#[test]
fn past_the_limit_a_new_connection_takes_the_place_of_the_oldest_idle_one() {
    raise_descriptors();
    let daemon = Hubdns::start(&recorded());
    let dns = daemon.dns();
    let mut open: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|at| connect(dns, at)).collect();
    await_metric(&daemon, "hubdns_tcp_connections", 4_096.0);
    assert_eq!(daemon.metric("hubdns_tcp_connections_refused_total"), Some(0.0));
    // The first is not the one that is idle longest any more.
    assert_eq!(ask(&mut open[0], 1), Some((1, 0)));
    let start = Instant::now();
    let mut new = connect(dns, 3);
    assert_eq!(ask(&mut new, 2), Some((2, 0)));
    measured("a new connection behind 4,096 idle ones", start.elapsed());
    assert_eq!(open[1].read(&mut [0; 1]).unwrap(), 0, "closed");
    for at in [0, 2, CONNECTIONS_MAX - 1] {
        assert_eq!(ask(&mut open[at], 3), Some((3, 0)), "connection {at} is held");
    }
    assert_eq!(daemon.metric("hubdns_tcp_connections"), Some(4_096.0));
    assert_eq!(daemon.metric("hubdns_tcp_connections_refused_total"), Some(1.0));
}

/// NXDOMAIN for all, and for names that begin with `slow` later.
fn slow_upstream() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((len, asker)) = socket.recv_from(&mut packet) {
            let mut reply = packet[..len].to_vec();
            reply[2] |= 0x80;
            reply[3] |= 0x83;
            let is_slow = reply[13..17].eq_ignore_ascii_case(b"slow");
            let socket = socket.try_clone().unwrap();
            thread::spawn(move || {
                thread::sleep(if is_slow { UPSTREAM_DELAY } else { Duration::ZERO });
                socket.send_to(&reply, asker)
            });
        }
    });
    address
}

#[test]
fn questions_of_one_connection_are_answered_as_their_answers_come() {
    let upstream = slow_upstream();
    let daemon = Hubdns::start(&format!("{}[forward]\nupstreams = [\"{upstream}\"]\n", recorded()));
    let mut stream = connect(daemon.dns(), 0);
    let asked = [("slow-a.example", 1), ("slow-b.example", 2), ("fast.example", 3), (SQS, 4)];
    let start = Instant::now();
    // In one segment: all four are there when the first is read.
    stream.write_all(&asked.map(|(name, id)| framed(name, id)).concat()).unwrap();
    let mut answers: Vec<(u16, u8)> = (0..2).map(|_| answer(&mut stream).unwrap()).collect();
    answers.sort_unstable();
    assert_eq!(answers, [(3, 3), (4, 0)], "the quick ones first");
    let quick = start.elapsed();
    let mut answers: Vec<(u16, u8)> = (0..2).map(|_| answer(&mut stream).unwrap()).collect();
    answers.sort_unstable();
    assert_eq!(answers, [(1, 3), (2, 3)]);
    let slow = start.elapsed();
    measured("quick answers of a connection with slow ones", quick);
    assert!(UPSTREAM_DELAY <= slow, "{slow:?}");
    // Beside each other, not one behind the other.
    assert!(slow < 2 * UPSTREAM_DELAY, "{slow:?}");
}
