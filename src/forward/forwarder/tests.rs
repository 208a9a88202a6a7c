//! The forwarder against upstreams on real sockets that answer, lie, and fall silent.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};

use super::*;
use crate::{
    base::RecordType,
    forward::{BudgetConfig, CacheConfig, CaseRandomization, ForwardZone, UpstreamAddress},
    telemetry::AnswerSource,
    wire::{Age, Limit, Packet, Reply},
};

/// What a test upstream does with a datagram: the packets it sends back, each after a pause.
type Script = fn(&[u8]) -> Vec<(u64, Vec<u8>)>;

/// An upstream on loopback, which counts the questions it gets. TCP answers `TCP_ADDRESS`.
struct Double {
    address: SocketAddr,
    asked: watch::Receiver<usize>,
}

const TCP_ADDRESS: u8 = 77;

impl Double {
    async fn start(script: Script) -> Double {
        // A UDP port that is free may be somebody's TCP port.
        let (socket, listener) = loop {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
                break (Arc::new(socket), listener);
            }
        };
        let address = socket.local_addr().unwrap();
        let (count, asked) = watch::channel(0);
        let tasks = TaskTracker::new();
        tasks.spawn(async move {
            let mut buffer = [0; 4096];
            let sends = TaskTracker::new();
            while let Ok((len, client)) = socket.recv_from(&mut buffer).await {
                count.send_modify(|count| *count += 1);
                let (socket, packets) = (Arc::clone(&socket), script(&buffer[..len]));
                sends.spawn(async move {
                    for (millis, packet) in packets {
                        tokio::time::sleep(Duration::from_millis(millis)).await;
                        let _ = socket.send_to(&packet, client).await;
                    }
                });
            }
        });
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut query).await.unwrap();
                let answer = a_record(&query, TCP_ADDRESS, 60);
                stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        Double { address, asked }
    }

    fn asked(&self) -> usize {
        *self.asked.borrow()
    }
}

/// An answer to `query`: one A record 192.0.2.`last`.
fn a_record(query: &[u8], last: u8, ttl: u8) -> Vec<u8> {
    with_rcode(query, Rcode::NOERROR, Some((last, ttl)))
}

fn with_rcode(query: &[u8], rcode: Rcode, record: Option<(u8, u8)>) -> Vec<u8> {
    let Packet::Query(query) = Packet::read(query) else { panic!("not a query") };
    let mut out = Vec::new();
    let mut reply = Reply::start(&query, &mut out);
    if let Some((last, ttl)) = record {
        reply.answer(1, |out| {
            out.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 192, 0, 2, last]);
        });
    }
    reply.finish(rcode, true, Limit::Stream, b"", &[]);
    out
}

/// An NXDOMAIN with an SOA of the root that lets it be kept for `secs`.
fn nxdomain(query: &[u8], secs: u8) -> Vec<u8> {
    let Packet::Query(query) = Packet::read(query) else { panic!("not a query") };
    let mut out = Vec::new();
    let mut reply = Reply::start(&query, &mut out);
    reply.authority(1, |out| {
        out.extend([0, 0, 6, 0, 1, 0, 0, 0, secs, 0, 22, 0, 0]);
        (0..5u32).for_each(|_| out.extend([0, 0, 0, secs]));
    });
    reply.finish(Rcode::NXDOMAIN, true, Limit::Stream, b"", &[]);
    out
}

fn changed(mut packet: Vec<u8>, change: fn(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut packet);
    packet
}

fn question(name: &str) -> Question {
    Question {
        name: name.parse().unwrap(),
        rtype: RecordType::A,
        dnssec_ok: false,
        checking_disabled: false,
    }
}

fn config(upstreams: &[SocketAddr]) -> ForwardConfig {
    ForwardConfig {
        upstreams: upstreams.iter().copied().map(UpstreamAddress::from).collect(),
        trusted: vec![],
        ca_file: None,
        case_randomization: CaseRandomization::Auto,
        budget: BudgetConfig::DEFAULT,
        zones: vec![],
        views: vec![],
        cache: CacheConfig {
            entries: 100,
            bytes: 1024 * 1024,
            prefetch: true,
            serve_stale: Duration::from_secs(3600),
            ..CacheConfig::NONE
        },
    }
}

fn forwarder(config: ForwardConfig) -> Forwarder {
    Forwarder::new(config, Trust::default(), Arc::new(Metrics::new().unwrap()))
}

async fn forwarder_to(script: Script) -> (Forwarder, Double) {
    let upstream = Double::start(script).await;
    (forwarder(config(&[upstream.address])), upstream)
}

/// The last octet of the one address in an answer.
fn last_octet(answered: &Answered) -> u8 {
    let query = crate::wire::upstream_query(&question("a.example"), 1);
    let Packet::Query(query) = Packet::read(&query) else { panic!("not a query") };
    let mut out = Vec::new();
    let mut reply = Reply::start(&query, &mut out);
    reply.relay(&answered.relay, answered.age);
    reply.finish(Rcode::NOERROR, false, Limit::Stream, b"", &[]);
    // Header, question of 11 + 4, owner to length of 12, address; then the OPT.
    out[12 + 15 + 12 + 3]
}

#[tokio::test]
async fn an_answer_comes_from_the_upstream_and_then_from_the_cache() {
    let (forwarder, upstream) = forwarder_to(|query| vec![(0, a_record(query, 1, 60))]).await;
    let first = forwarder.ask(question("a.example")).await.unwrap();
    assert_eq!((first.source, last_octet(&first)), (AnswerSource::Upstream, 1));
    assert!(!first.relay.validated(), "AD of an upstream that is not trusted");
    let second = forwarder.ask(question("a.example")).await.unwrap();
    assert_eq!((second.source, last_octet(&second)), (AnswerSource::Cache, 1));
    assert_eq!(upstream.asked(), 1);
}

#[tokio::test]
async fn a_trusted_upstreams_ad_is_kept() {
    let upstream = Double::start(|query| vec![(0, a_record(query, 1, 60))]).await;
    let trusted = vec![upstream.address.into()];
    let forwarder = forwarder(ForwardConfig { trusted, ..config(&[upstream.address]) });
    assert!(forwarder.ask(question("a.example")).await.unwrap().relay.validated());
}

#[tokio::test]
async fn one_question_has_one_flight() {
    let (forwarder, upstream) = forwarder_to(|query| vec![(100, a_record(query, 1, 60))]).await;
    let asks = (0..50).map(|_| forwarder.ask(question("a.example")));
    for answered in futures_util::future::join_all(asks).await {
        assert_eq!(last_octet(&answered.unwrap()), 1);
    }
    assert_eq!(upstream.asked(), 1);
}

#[tokio::test]
async fn wrong_packets_before_the_right_one_are_waited_past() {
    let (forwarder, _upstream) = forwarder_to(|query| {
        let forged = a_record(query, 66, 60);
        vec![
            (0, changed(forged.clone(), |packet| packet[0] ^= 1)),
            (0, changed(forged.clone(), |packet| packet[13] ^= 1)),
            (0, changed(forged.clone(), |packet| packet[2] &= 0x7f)),
            (0, changed(forged, |packet| packet.truncate(40))),
            (0, vec![]),
            (20, a_record(query, 1, 60)),
        ]
    })
    .await;
    assert_eq!(last_octet(&forwarder.ask(question("a.example")).await.unwrap()), 1);
}

#[tokio::test]
async fn a_truncated_answer_is_asked_again_over_tcp() {
    let (forwarder, _upstream) =
        forwarder_to(|query| vec![(0, changed(a_record(query, 66, 60), |packet| packet[2] |= 2))])
            .await;
    let answered = forwarder.ask(question("a.example")).await.unwrap();
    assert_eq!(last_octet(&answered), TCP_ADDRESS);
}

#[tokio::test]
async fn a_silent_upstream_costs_a_moment_and_is_then_asked_beside_the_other() {
    let silent = Double::start(|_| vec![]).await;
    let good = Double::start(|query| vec![(0, a_record(query, 1, 60))]).await;
    let forwarder = forwarder(config(&[silent.address, good.address]));
    let ask = async |at: u32| {
        let started = Instant::now();
        let answered = forwarder.ask(question(&format!("{at}.example"))).await.unwrap();
        assert_eq!(answered.relay.rcode(), Rcode::NOERROR);
        started.elapsed()
    };
    // They take turns until one has been silent three times.
    let mut questions = 0;
    let limit = Instant::now() + Duration::from_secs(20);
    while silent.asked() < 3 {
        assert!(ask(questions).await < Duration::from_millis(1_000) && Instant::now() < limit);
        questions += 1;
    }
    // The last of them is blamed when its time is over.
    tokio::time::sleep(Duration::from_millis(600)).await;
    // It is asked once more when a second has passed, and nobody waits for that.
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    for at in 100..130 {
        let took = ask(at).await;
        assert!(took < Duration::from_millis(190), "waited for the silent one: {took:?}");
    }
    assert_eq!(silent.asked(), 4);
}

#[tokio::test]
async fn a_refused_port_goes_to_the_next_at_once() {
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let good = Double::start(|query| vec![(0, a_record(query, 1, 60))]).await;
    let forwarder = forwarder(config(&[closed, good.address]));
    let started = Instant::now();
    forwarder.ask(question("a.example")).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(300));
}

#[tokio::test]
async fn servfail_goes_to_the_next_and_comes_back_if_all_say_so() {
    let failing = Double::start(|query| vec![(0, with_rcode(query, Rcode::SERVFAIL, None))]).await;
    let good = Double::start(|query| vec![(0, a_record(query, 1, 60))]).await;
    let both = forwarder(config(&[failing.address, good.address]));
    assert_eq!(last_octet(&both.ask(question("a.example")).await.unwrap()), 1);
    let alone = forwarder(config(&[failing.address]));
    let answered = alone.ask(question("a.example")).await.unwrap();
    assert_eq!(answered.relay.rcode(), Rcode::SERVFAIL);
}

#[tokio::test]
async fn a_late_answer_is_used_and_total_silence_ends_before_clients_give_up() {
    let (late, _upstream) = forwarder_to(|query| vec![(1_500, a_record(query, 1, 60))]).await;
    let (silent, _silent) = forwarder_to(|_| vec![]).await;
    let started = Instant::now();
    let (answered, error) =
        tokio::join!(late.ask(question("a.example")), silent.ask(question("a.example")));
    assert_eq!(last_octet(&answered.unwrap()), 1);
    assert_eq!(error.unwrap_err(), ForwardError::TimedOut(Duration::from_millis(3_500)));
    assert!(started.elapsed() < Duration::from_millis(4_000));
}

#[tokio::test]
async fn an_old_answer_stands_in_when_nobody_answers() {
    static ANSWERS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(true);
    let (forwarder, _upstream) =
        forwarder_to(|query| match ANSWERS.swap(false, std::sync::atomic::Ordering::Relaxed) {
            true => vec![(0, a_record(query, 1, 1))],
            false => vec![(0, with_rcode(query, Rcode::SERVFAIL, None))],
        })
        .await;
    forwarder.ask(question("a.example")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let stale = forwarder.ask(question("a.example")).await.unwrap();
    assert_eq!((stale.source, stale.age), (AnswerSource::Stale, Age::Stale(30)));
    assert_eq!(last_octet(&stale), 1);
}

#[tokio::test]
async fn an_old_denial_never_stands_in() {
    static ANSWERS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(true);
    let (forwarder, _upstream) =
        forwarder_to(|query| match ANSWERS.swap(false, std::sync::atomic::Ordering::Relaxed) {
            true => vec![(0, nxdomain(query, 1))],
            false => vec![(0, with_rcode(query, Rcode::SERVFAIL, None))],
        })
        .await;
    forwarder.ask(question("a.example")).await.unwrap();
    let cached = forwarder.ask(question("a.example")).await.unwrap();
    assert_eq!((cached.source, cached.relay.rcode()), (AnswerSource::Cache, Rcode::NXDOMAIN));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let answered = forwarder.ask(question("a.example")).await.unwrap();
    assert_eq!(answered.relay.rcode(), Rcode::SERVFAIL);
}

#[tokio::test]
async fn the_longest_zone_decides_and_an_empty_one_refuses() {
    let corp = Double::start(|query| vec![(0, a_record(query, 2, 60))]).await;
    let zone = |name: &str, upstreams: Vec<UpstreamAddress>| ForwardZone {
        name: name.parse().unwrap(),
        upstreams,
    };
    let zones = vec![zone("example", vec![]), zone("corp.example", vec![corp.address.into()])];
    let forwarder = forwarder(ForwardConfig { zones, ..config(&[]) });
    let answered = forwarder.ask(question("a.corp.example")).await.unwrap();
    assert_eq!(answered.relay.rcode(), Rcode::NOERROR);
    let error = |name: &str| {
        let (forwarder, question) = (forwarder.clone(), question(name));
        async move { forwarder.ask(question).await.unwrap_err() }
    };
    assert_eq!(error("a.example").await, ForwardError::Refused);
    assert_eq!(error("elsewhere").await, ForwardError::NoUpstream);
}

#[tokio::test]
async fn hosts_are_looked_up_at_the_upstreams() {
    let upstream = Double::start(|query| vec![(0, a_record(query, 9, 60))]).await;
    let config = crate::forward::LookupConfig::new(vec![], &config(&[upstream.address]));
    let lookup = crate::forward::HostLookup::new(&config, &Trust::default()).unwrap();
    let found = lookup.lookup("ec2.eu-west-1.amazonaws.com").await.unwrap();
    assert!(found.contains(&"192.0.2.9".parse().unwrap()), "{found:?}");
    assert!(upstream.asked() > 0);
}

mod failing;
mod remembered;
mod realms;
