//! What happens at limits that are none of a client's own: descriptors, the admin listener, the log.

use std::{
    io::{ErrorKind, Read},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    process::Command,
    thread,
    time::Duration,
};

use crate::{SOON, SQS, await_metric, lines_with, recorded, support::Hubdns, support::eventually};

/// Descriptors that are left to a daemon.
const LEFT: u32 = 20;
/// As many connections of the admin listener as there may be, and some that wait.
const MUTE: usize = 32 + 8;

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// Asks by UDP so many times, each time answered.
#[track_caller]
fn answered(daemon: &Hubdns, times: usize) {
    for _ in 0..times {
        assert_eq!(daemon.dig(&format!("{SQS} A +tries=1 +time=5")).data("A").len(), 3);
    }
}

#[test]
fn without_a_descriptor_connections_wait_and_come_back_and_datagrams_are_answered() {
    let mut daemon = Hubdns::start(&recorded());
    let open = daemon.metric("process_open_fds").unwrap();
    let limit = format!("--nofile={}:", open + f64::from(LEFT));
    let pid = daemon.process().id().to_string();
    let lowered = Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap();
    assert!(lowered.success(), "prlimit of util-linux");
    let dns = daemon.dns();
    let held: Vec<_> = (0..60).map(|_| connect(dns)).collect();
    let cause = "TCP connections cannot be accepted";
    eventually("no descriptor is left", SOON, || lines_with(&daemon, cause).pop());
    answered(&daemon, 20);
    thread::sleep(Duration::from_millis(1_500));
    answered(&daemon, 20);
    // Ten times a second it is tried again, and told once.
    let told = lines_with(&daemon, cause).len();
    assert!(told <= 4, "{told} lines");
    drop(held);
    eventually("connections are accepted again", SOON, || {
        (daemon.dig(&format!("{SQS} A +tcp")).data("A").len() == 3).then_some(())
    });
    await_metric(&daemon, "hubdns_build_info{version=\"0.1.0\"}", 1.0);
}

#[test]
fn an_admin_listener_that_is_full_comes_back_and_costs_dns_nothing() {
    let daemon = Hubdns::start(&recorded());
    let mute: Vec<_> = (0..MUTE).map(|_| connect(daemon.admin())).collect();
    answered(&daemon, 20);
    // The one that comes last waits until the first have had their 5 s to say something.
    assert_eq!(daemon.get("/readyz").0, 200);
    answered(&daemon, 20);
    for mut stream in mute {
        let mut told = Vec::new();
        let ended = stream.read_to_end(&mut told);
        assert!(ended.is_ok() || ended.is_err_and(|it| it.kind() == ErrorKind::ConnectionReset));
    }
    await_metric(&daemon, "hubdns_build_info{version=\"0.1.0\"}", 1.0);
}

/// Answers names with TC, and by TCP nobody does; but for those that begin with `good`.
fn flapping_upstream() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((len, asker)) = socket.recv_from(&mut packet) {
            let mut reply = packet[..len].to_vec();
            let is_good = reply[13..17].eq_ignore_ascii_case(b"good");
            reply[2] |= if is_good { 0x80 } else { 0x82 };
            reply[3] |= 0x80 | if is_good { 3 } else { 0 };
            socket.send_to(&reply, asker).unwrap();
        }
    });
    address
}

#[test]
fn what_others_send_by_the_thousand_is_no_line_each() {
    let upstream = flapping_upstream();
    let daemon = Hubdns::start(&format!("{}[forward]\nupstreams = [\"{upstream}\"]\n", recorded()));
    let before = daemon.log().lines().count();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(daemon.dns()).unwrap();
    for at in 0..20_000_u16 {
        let malformed = [at.to_be_bytes().as_slice(), &[1, 0, 0, 9, 0, 0, 0, 0, 0, 0]].concat();
        socket.send(&malformed).unwrap();
        socket.send(&malformed[..7]).unwrap();
    }
    let mut flaps = 0;
    for at in 0..30 {
        for kind in ["bad-a", "bad-b", "bad-c", "bad-d", "good"] {
            daemon.dig(&format!("{kind}-{at}.example A +tries=1 +time=5"));
        }
        flaps += usize::from(
            daemon.metric(&format!("hubdns_upstream_up{{upstream=\"{upstream}\"}}")) == Some(1.0),
        );
    }
    assert!(20 < flaps, "{flaps} times it came back");
    let log = daemon.log();
    let lines: Vec<_> = log.lines().skip(before).collect();
    assert!((1..=12).contains(&lines.len()), "{} lines\n{}", lines.len(), lines.join("\n"));
    let of = |text| lines_with(&daemon, text).len();
    assert!(of("upstream answers again") <= of("upstream does not answer"));
}
