//! Packets to upstreams that AWS limits: counted before they leave, spared near the limit, and none
//! above it, whatever clients ask.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    SOON, SQS, recorded, status,
    support::{Hubdns, eventually},
};

/// Packets with when they came.
type Came = Vec<(Instant, Vec<u8>)>;

/// An upstream that answers every question with one address of TTL 1, and notes when each came.
struct Counted {
    address: SocketAddr,
    came: Arc<Mutex<Came>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Counted {
    fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let address = socket.local_addr().unwrap();
        let (came, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (noted, stop) = (Arc::clone(&came), Arc::clone(&stopped));
        let thread = thread::spawn(move || {
            let mut packet = [0; 1024];
            while !stop.load(Ordering::Relaxed) {
                let Ok((len, client)) = socket.recv_from(&mut packet) else { continue };
                let query = &packet[..len];
                noted.lock().unwrap().push((Instant::now(), query.to_vec()));
                let _ = socket.send_to(&answer(query), client);
            }
        });
        Self { address, came, stopped, thread: Some(thread) }
    }

    /// Packets so far.
    fn heard(&self) -> usize {
        self.came.lock().unwrap().len()
    }

    /// The most packets that came within `window`.
    fn most_within(&self, window: Duration) -> usize {
        let came = self.came.lock().unwrap();
        let within = |(at, (first, _)): (usize, &(Instant, Vec<u8>))| {
            came[at..].iter().take_while(|(when, _)| *when < *first + window).count()
        };
        came.iter().enumerate().map(within).max().unwrap_or(0)
    }

    /// How often a name that begins with this label was asked for.
    fn asked(&self, label: &str) -> usize {
        let came = self.came.lock().unwrap();
        let is_it = |query: &[u8]| query[13..].to_ascii_lowercase().starts_with(label.as_bytes());
        came.iter().filter(|(_, query)| is_it(query)).count()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // A panic of it has been printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// `query` as a response with one A record, whatever it asks; the OPT of the query is left out.
fn answer(query: &[u8]) -> Vec<u8> {
    let labels = query[12..].iter().position(|octet| *octet == 0).unwrap();
    let mut answer = query[..12 + labels + 5].to_vec();
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
    answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 80]);
    answer
}

/// A question for an A record, with RD.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut query = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.') {
        query.push(label.len().try_into().unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

/// Asks for names that nobody asked for before, some 800 a second, until `flooding` is false.
fn flood(daemon: SocketAddr, flooding: &AtomicBool) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut answer = [0; 1024];
    for at in 0u16.. {
        if !flooding.load(Ordering::Relaxed) {
            return;
        }
        let _ = socket.send_to(&question(at, &format!("flood{at}.example")), daemon);
        while socket.recv(&mut answer).is_ok() {}
        thread::sleep(Duration::from_micros(1_200));
    }
}

/// A daemon whose upstream may have 100 packets a second, spared from 60 on.
fn daemon(upstream: &Counted) -> Hubdns {
    let address = upstream.address;
    Hubdns::start(
        &(recorded()
            + &format!(
                "[forward]\nupstreams = [\"{address}\"]\n\
                 [forward.budget]\npackets_per_second = 100\nsoft_packets_per_second = 60\n\
                 upstreams = [\"{address}\"]\n"
            )),
    )
}

#[test]
fn a_flood_of_names_never_takes_more_packets_a_second_than_there_are() {
    let upstream = Counted::start();
    let daemon = daemon(&upstream);
    let kept = daemon.dig("kept.example A");
    assert_eq!(kept.data("A"), ["192.0.2.80"], "{}", kept.raw);
    thread::sleep(Duration::from_millis(1_500));
    let kept_asked = upstream.asked("kept");

    let flooding = AtomicBool::new(true);
    let refused = "hubdns_linklocal_spared_total{by=\"refused\"}";
    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| flood(daemon.dns(), &flooding));
        // Else a failure here would leave it running for ever.
        let _end = Ended(&flooding);
        crate::await_metric(&daemon, refused, 1.0);
        // Ours, and an older answer, at once: nobody waits for a packet.
        let asked = Instant::now();
        assert_eq!(daemon.dig(&format!("{SQS} A")).data("A").len(), 3);
        let stale = daemon.dig("kept.example A");
        assert_eq!((stale.data("A"), stale.ede), (vec!["192.0.2.80"], Some(3)), "{}", stale.raw);
        assert!(asked.elapsed() < Duration::from_millis(1_500), "{:?}", asked.elapsed());
        // What there is no packet for is told at once. One of a few is, for the second goes on.
        let told = eventually("a question is refused", SOON, || {
            let name = format!("refused{}.example", begun.elapsed().as_nanos());
            let answer = daemon.dig(&format!("{name} A"));
            (answer.status == "SERVFAIL").then_some(answer)
        });
        let text = "the upstreams take no more packets in this second";
        assert_eq!((told.ede, told.ede_text.as_deref()), (Some(0), Some(text)), "{}", told.raw);
        thread::sleep(Duration::from_secs(3).saturating_sub(begun.elapsed()));
    });
    let passed = begun.elapsed();

    // A reader that is late by a tenth sees a second's packets in nine.
    let most = upstream.most_within(Duration::from_millis(900));
    assert!(most <= 100, "{most} packets in less than a second");
    assert!(60 < most, "only {most}: what there is should be used");
    let allowed = 100.0 * (passed.as_secs_f64() + 2.0);
    assert!((upstream.heard() as f64) < allowed, "{} in {passed:?}", upstream.heard());
    // In its stead the older answer was given, and nobody asked for it behind that either.
    assert_eq!(upstream.asked("kept"), kept_asked);
    let spared =
        |by: &str| daemon.metric(&format!("hubdns_linklocal_spared_total{{by=\"{by}\"}}")).unwrap();
    assert!(1.0 <= spared("stale"), "{}", daemon.get("/metrics").1);
    let peak = daemon.metric("hubdns_linklocal_packets_per_second_peak").unwrap();
    assert!((60.0..=100.0).contains(&peak), "{peak}");
    assert_eq!(daemon.metric("hubdns_linklocal_packets_limit{limit=\"hard\"}"), Some(100.0));
    let budget = &status(&daemon)["budget"];
    assert_eq!((&budget["soft"], &budget["hard"]), (&60.into(), &100.into()));
    assert_eq!(budget["upstreams"][0], upstream.address.to_string());

    // A second later all is as before.
    eventually("names are asked for again", SOON, || {
        let name = format!("again{}.example", begun.elapsed().as_nanos());
        (daemon.dig(&format!("{name} A")).data("A") == ["192.0.2.80"]).then_some(())
    });
    assert!(daemon.metric("hubdns_linklocal_packets_total").unwrap() >= 100.0);
}

/// Ends the flood when it is dropped.
struct Ended<'f>(&'f AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn what_is_not_limited_has_no_budget() {
    let upstream = Counted::start();
    let daemon = Hubdns::start(
        &(recorded() + &format!("[forward]\nupstreams = [\"{}\"]\n", upstream.address)),
    );
    assert_eq!(status(&daemon)["budget"], serde_json::Value::Null);
    assert_eq!(daemon.metric("hubdns_linklocal_packets_total"), Some(0.0));
}
