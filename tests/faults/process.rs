//! What is wrong with the process: descriptors that run out, and reloads without end.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::{
    RATE, SOON, WHILE, asked_while, await_version, forward, lines_with, nothing_lost, sqs,
    support::{Clients, Hubdns, Recording, Unbound, by_tcp, eventually, http_get},
    truth, version,
};

/// A connection of a client that nobody else is.
fn connection(server: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 9], 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket
}

#[test]
fn descriptors_that_run_out_cost_no_answer_by_udp_and_come_back() {
    let (unbound, recording) = (Unbound::start(), Recording::new(&version(1)));
    let config = recording.source() + &forward(&unbound);
    let daemon = Hubdns::start_within(&["prlimit", "--nofile=128:128"], &config, &[]);
    assert_eq!(daemon.metric("process_max_fds"), Some(128.0));
    // What was asked before is in the cache.
    daemon.dig("www.corp.example A");
    let clients = Clients::start(daemon.dns(), truth(1, Some(&unbound)), RATE);
    thread::sleep(WHILE);
    let began = Instant::now();
    let held: Vec<Socket> = (0..400).map(|_| connection(daemon.dns())).collect();
    thread::sleep(2 * WHILE);
    // They are one client's, and take nobody else's places.
    let reply = by_tcp(daemon.dns(), &sqs()).unwrap().expect("a reply");
    assert_eq!(reply.addresses, version(1)[0].1);
    let new = daemon.dig("deeper.sqs.eu-west-1.amazonaws.com A +timeout=5");
    assert_eq!(new.data("A"), ["198.51.100.2"], "the upstream is asked: {}", new.raw);
    assert_eq!(http_get(daemon.admin(), "/readyz").unwrap().0, 200);
    drop(held);
    thread::sleep(WHILE);
    let figures = clients.end();
    let recovered = figures.recovered(began);
    nothing_lost("descriptors run out (400 connections, 128 files)", (figures, recovered));
    eventually("descriptors are free again", SOON, || {
        daemon.metric("process_open_fds").filter(|open| *open < 80.0)
    });
}

#[test]
fn a_storm_of_reloads_good_and_bad_costs_no_answer() {
    let (unbound, recording) = (Unbound::start(), Recording::new(&version(1)));
    let good = recording.source() + &forward(&unbound);
    let mut daemon = Hubdns::start(&good);
    let more = |at: u32| format!("{good}[answers]\nttl_secs = {}\n", 60 + at);
    let (server, count) = (daemon.dns(), 60);
    let clients = Clients::start(server, truth(1, Some(&unbound)), RATE);
    thread::sleep(WHILE);
    let began = Instant::now();
    for at in 0..count {
        match at % 3 {
            0 => daemon.write_config(&more(at)),
            1 => daemon.write_config(&format!("{good}[answers]\nttl_secs = \"never\"\n")),
            _ => daemon.write_config(&format!("{good}[answers\n")),
        }
        daemon.process().signal("HUP");
        thread::sleep(Duration::from_millis(30));
    }
    daemon.write_config(&more(900));
    let last = daemon.command("reload").output().unwrap();
    assert!(last.status.success(), "{last:?}");
    let ttl = daemon.dig(&format!("{} A", sqs())).answer[0].ttl;
    assert_eq!(ttl, 960, "the last reload is in force");
    thread::sleep(WHILE);
    let figures = clients.end();
    let recovered = figures.recovered(began);
    nothing_lost("a storm of reloads, good and bad", (figures, recovered));
    let refused = daemon.metric("hubdns_config_reloads_total{outcome=\"refused\"}").unwrap();
    assert!(1.0 <= refused && 1 <= lines_with(&daemon, "refused"), "{refused} were refused");
    await_version(&daemon, 1);
}

#[test]
fn a_process_that_stops_and_goes_on_answers_what_waited() {
    let recording = Recording::new(&version(1));
    let mut daemon = Hubdns::start(&recording.source());
    let hold = Duration::from_millis(800);
    let server = daemon.dns();
    // Few enough that the kernel keeps them, whatever it grants.
    let (figures, recovered) = asked_while(server, truth(1, None), || {
        daemon.process().signal("STOP");
        thread::sleep(hold);
        daemon.process().signal("CONT");
    });
    assert!(hold / 2 < figures.worst, "nobody waited: {:?}", figures.worst);
    nothing_lost("the process is held for 0.8 s", (figures, recovered));
}
