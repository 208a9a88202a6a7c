//! A zone dies with all its endpoints' interfaces, and then all do: real listeners that close.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use domain::base::iana::Rcode;

use crate::{
    SOON, WHILE, await_metric, book,
    support::{
        Clients, Hubdns, Recorded, Recording, Reply, Truth, Verdict, eventually, free_port, name_of,
    },
};

const ENDPOINTS: u8 = 20;

/// The address of an endpoint in a zone: loopback's own, so that they listen.
fn address(endpoint: u8, zone: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 91, zone, endpoint)
}

fn endpoints() -> Vec<Recorded> {
    let in_zones = |at| (1..=3).map(|zone| address(at, zone)).collect();
    (1..=ENDPOINTS).map(|at| (format!("svc{at}"), in_zones(at))).collect()
}

/// An endpoint's answer is all of its zones that may be alive, and never none; which those are changes.
struct Zones {
    /// What may be told, from when on.
    allowed: Mutex<Vec<(Vec<u8>, Instant)>>,
    /// When the last answer came that had the second zone.
    last_with: Mutex<Option<Instant>>,
}

// === impl Zones ===

impl Zones {
    fn allow(&self, zones: &[u8]) {
        self.allowed.lock().unwrap().push((zones.to_vec(), Instant::now()));
    }

    fn forbid_all_but_the_last(&self) {
        let mut allowed = self.allowed.lock().unwrap();
        let before_last = allowed.len() - 1;
        allowed.drain(..before_last);
    }
}

impl Truth for Zones {
    fn name(&self, number: usize) -> String {
        name_of(&endpoints()[number % usize::from(ENDPOINTS)].0)
    }

    fn verdict(&self, name: &str, sent: Instant, reply: &Reply) -> Verdict {
        let (service, _) = name.split_once('.').unwrap();
        let at: u8 = service.trim_start_matches("svc").parse().unwrap();
        let told: Vec<u8> =
            (1..=3).filter(|z| reply.addresses.contains(&address(at, *z))).collect();
        if told.contains(&2) {
            *self.last_with.lock().unwrap() = Some(sent);
        }
        let is_allowed = self.allowed.lock().unwrap().iter().any(|(zones, _)| *zones == told);
        match reply.rcode {
            Rcode::SERVFAIL => Verdict::Failed,
            Rcode::NOERROR if is_allowed && told.len() == reply.addresses.len() => Verdict::Right,
            _ => Verdict::Wrong,
        }
    }
}

#[test]
fn a_zone_that_dies_leaves_the_answers_and_when_all_are_dead_all_are_given() {
    let port = free_port();
    let listen = |zone: u8| -> Vec<TcpListener> {
        (1..=ENDPOINTS).map(|at| TcpListener::bind((address(at, zone), port)).unwrap()).collect()
    };
    let [first, second, third] = [1, 2, 3].map(listen);
    let recording = Recording::new(&endpoints());
    let health = format!("[health]\nprobe = \"tcp:{port}\"\ninterval_secs = 1\n");
    let daemon = Hubdns::start(&(recording.source() + &health));
    let zones = Arc::new(Zones { allowed: Mutex::default(), last_with: Mutex::default() });
    zones.allow(&[1, 2, 3]);
    let clients = Clients::start(daemon.dns(), zones.clone(), crate::RATE);
    thread::sleep(WHILE);
    let unhealthy = "hubdns_unhealthy_addresses";

    zones.allow(&[1, 3]);
    drop(second);
    let died = Instant::now();
    await_metric(&daemon, unhealthy, f64::from(ENDPOINTS));
    // The table that follows from it.
    thread::sleep(WHILE);
    zones.forbid_all_but_the_last();
    thread::sleep(WHILE);
    let last = zones.last_with.lock().unwrap().unwrap().saturating_duration_since(died);

    // Those that are left die too, at moments of their own: any share may be told on the way.
    for on_the_way in [&[1, 2, 3][..], &[1], &[3]] {
        zones.allow(on_the_way);
    }
    drop((first, third));
    await_metric(&daemon, "hubdns_endpoints_failing_open", f64::from(ENDPOINTS));
    thread::sleep(WHILE);
    zones.allow(&[1, 2, 3]);
    zones.forbid_all_but_the_last();
    thread::sleep(WHILE);

    for on_the_way in [&[1, 3][..], &[1], &[2], &[3], &[1, 2], &[2, 3], &[1, 2, 3]] {
        zones.allow(on_the_way);
    }
    let alive = [1, 2, 3].map(listen);
    eventually("all are up again", SOON, || daemon.metric(unhealthy).filter(|down| *down == 0.0));
    thread::sleep(WHILE);
    let figures = clients.end();
    drop(alive);
    book("a zone dies, then all, then they come back", &figures, last);
    assert_eq!((figures.wrong, figures.failed, figures.lost), (0, 0, 0), "{:?}", figures.examples);
    // Three probes, one a second, each of which is refused at once; 2.4 s on a quiet machine.
    assert!(last < Duration::from_secs(10), "a dead zone was told for {last:?}");
}
