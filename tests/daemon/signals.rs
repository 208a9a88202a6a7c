//! The end: questions in flight are answered first.

use std::{
    io::Read,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use crate::{
    SOON, await_metric, measured, recorded, source,
    support::{Ec2Double, Hubdns, Unbound, dig_at, eventually},
    upstream,
};

/// What the daemon gives itself for questions in flight, and the rest of its end.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A question on its way while the signal comes: it gets its answer, and the end is in order.
fn ends_in_order(signal: &str, transport: &str) {
    let unbound = Unbound::start();
    let mut daemon = Hubdns::start(&(recorded() + &upstream(&unbound)));
    unbound.pause();
    let server = daemon.dns();
    let question = format!("www.corp.example A +timeout=8 {transport}");
    let client = thread::spawn(move || dig_at(server, &question));
    await_metric(&daemon, "hubdns_forwards_in_flight", 1.0);
    daemon.process().signal(signal);
    let reasons = eventually("it tells that it stops", SOON, || {
        let (code, text) = daemon.get("/readyz");
        (code == 503).then_some(text)
    });
    assert!(reasons.contains("shutting down"), "{reasons}");
    unbound.resume();
    let answer = client.join().expect("an answer");
    assert_eq!(answer.data("A"), ["192.0.2.80"], "{}", answer.raw);
    let status = daemon.process().wait(STOP_LIMIT);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!daemon.dir().join("control.sock").exists());
}

#[test]
fn sigterm_lets_a_question_over_udp_end() {
    ends_in_order("TERM", "+notcp");
}

#[test]
fn sigterm_lets_a_question_over_tcp_end() {
    ends_in_order("TERM", "+tcp");
}

#[test]
fn sigint_does_the_same() {
    ends_in_order("INT", "+notcp");
}

#[test]
fn a_question_that_nobody_answers_gets_servfail_before_the_end() {
    let unbound = Unbound::start();
    let mut daemon = Hubdns::start(&(recorded() + &upstream(&unbound)));
    unbound.pause();
    let server = daemon.dns();
    let client = thread::spawn(move || dig_at(server, "www.corp.example A +timeout=8"));
    await_metric(&daemon, "hubdns_forwards_in_flight", 1.0);
    let start = Instant::now();
    assert_eq!(daemon.terminate().code(), Some(0));
    measured("SIGTERM to the end, upstream silent", start.elapsed());
    let answer = client.join().expect("an answer");
    assert_eq!((answer.status.as_str(), answer.ede), ("SERVFAIL", Some(22)), "{}", answer.raw);
}

#[test]
fn an_idle_connection_does_not_hold_the_end_up() {
    let mut daemon = Hubdns::start(&recorded());
    let mut idle = TcpStream::connect(daemon.dns()).unwrap();
    await_metric(&daemon, "hubdns_tcp_connections", 1.0);
    let start = Instant::now();
    assert_eq!(daemon.terminate().code(), Some(0));
    measured("SIGTERM to the end, an idle connection", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "closed in order, not reset");
}

#[test]
fn before_the_first_table_a_signal_ends_it_at_once() {
    let double = Ec2Double::start();
    double.fault(serde_json::json!({ "action": "*", "kind": "delay", "delay_ms": 20_000 }));
    let mut daemon = Hubdns::spawn(&source(&double), &[]);
    eventually("EC2 is asked", SOON, || (!double.log().is_empty()).then_some(()));
    let start = Instant::now();
    assert_eq!(daemon.terminate().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
