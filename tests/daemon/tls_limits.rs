//! What clients of DNS over TLS and HTTPS can take, and what they cannot.

use std::{
    io::Read,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio_rustls::TlsConnector;

use crate::{
    SQS, await_metric, measured, recorded,
    support::{Hubdns, Pair, dig_at, eventually},
    tls_client::{Held, client, connect_from, framed_question},
};

/// Four clients, each with less than its share of 512.
const CLIENTS: [u8; 4] = [11, 12, 13, 14];
const EACH: usize = 250;
/// A busy machine; the figure itself is printed.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

fn encrypted(pair: &Pair) -> String {
    recorded()
        + &pair.table("tls", "127.0.0.1:{tls_port}")
        + &pair.table("https", "127.0.0.1:{https_port}")
}

fn from(client: u8) -> IpAddr {
    [127, 0, 0, client].into()
}

#[test]
fn a_thousand_idle_tls_connections_keep_nobody_waiting() {
    let pair = Pair::new("hub.test");
    let daemon = Hubdns::start(&encrypted(&pair));
    let config = client(&pair);
    let open = |address: u8| {
        let (config, server) = (config.clone(), daemon.tls());
        thread::spawn(move || {
            let mut held = Vec::new();
            while held.len() < EACH {
                held.push(Held::new(&config, connect_from(from(address), server)).unwrap());
                // The first must not be idle for 10 s before the last is there.
                if held.len() % 50 == 0 {
                    held.iter_mut().for_each(|held| assert_eq!(held.ask().unwrap(), 3));
                }
            }
            held
        })
    };
    let opening = CLIENTS.map(open);
    let held: Vec<Held> = opening.into_iter().flat_map(|it| it.join().unwrap()).collect();
    assert_eq!(daemon.metric("hubdns_tcp_connections"), Some(1000.0), "all are held");

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(daemon.dns()).unwrap();
    udp.set_read_timeout(Some(ANSWERED_WITHIN)).unwrap();
    let start = Instant::now();
    udp.send(&framed_question()[2..]).unwrap();
    let mut answer = [0; 512];
    udp.recv(&mut answer).unwrap();
    measured("a question by UDP beside 1,000 idle connections", start.elapsed());
    assert_eq!(answer[7], 3);
    let start = Instant::now();
    let mut new = Held::new(&config, connect_from(from(1), daemon.tls())).unwrap();
    assert_eq!(new.ask().unwrap(), 3);
    let took = start.elapsed();
    measured("connection, handshake and question by TLS beside them", took);
    assert!(took < ANSWERED_WITHIN, "{took:?}");
    for (server, how) in
        [(daemon.dns(), "+tcp"), (daemon.https(), "+https"), (daemon.https(), "+https-get")]
    {
        let start = Instant::now();
        assert_eq!(dig_at(server, &format!("{SQS} A {how}")).data("A").len(), 3);
        assert!(start.elapsed() < ANSWERED_WITHIN, "{how}: {:?}", start.elapsed());
    }
    let memory = daemon.metric("process_resident_memory_bytes").unwrap();
    assert!(memory < 250e6, "{memory} octets with 1,000 idle TLS connections");
    assert_eq!(daemon.metric("hubdns_tcp_connections_refused_total"), Some(0.0));
    drop(held);
}

#[test]
fn who_says_nothing_is_sent_away_in_order() {
    let pair = Pair::new("hub.test");
    let daemon = Hubdns::start(&encrypted(&pair));
    let config = client(&pair);
    // One that never begins its handshake has 5 s, one that has made it 10.
    let mut mute = connect_from(from(1), daemon.tls());
    let mut idle = [daemon.tls(), daemon.https()]
        .map(|server| Held::new(&config, connect_from(from(1), server)).unwrap());
    assert_eq!(idle[0].ask().unwrap(), 3);
    let start = Instant::now();
    assert_eq!(mute.read(&mut [0; 1]).unwrap(), 0);
    assert!(Duration::from_secs(4) < start.elapsed(), "{:?}", start.elapsed());
    await_metric(&daemon, "hubdns_tls_handshakes_total{outcome=\"timeout\",service=\"tls\"}", 1.0);
    for held in &mut idle {
        assert!(held.ends_in_order(), "RFC 8446 section 6.1: close_notify");
    }
    assert!(Duration::from_secs(8) < start.elapsed(), "{:?}", start.elapsed());
    await_metric(&daemon, "hubdns_tls_handshakes_total{outcome=\"done\",service=\"https\"}", 1.0);
    assert_eq!(daemon.metric("hubdns_tcp_connections"), Some(0.0));
}

#[test]
fn a_client_has_its_share_of_handshakes_and_others_have_theirs() {
    let pair = Pair::new("hub.test");
    let daemon = Hubdns::start(&encrypted(&pair));
    let config = client(&pair);
    // 256 that never begin take the client's share; its next ones are refused, another's is not.
    let mute: Vec<_> = (0..268).map(|_| connect_from(from(11), daemon.tls())).collect();
    let refused = "hubdns_tls_handshakes_total{outcome=\"refused\",service=\"tls\"}";
    await_metric(&daemon, refused, 12.0);
    assert!(Held::new(&config, connect_from(from(11), daemon.tls())).is_err());
    let mut other = Held::new(&config, connect_from(from(12), daemon.tls())).unwrap();
    assert_eq!(other.ask().unwrap(), 3);
    drop(mute);
}

#[test]
fn a_flood_of_handshakes_leaves_answers_and_other_clients_alone_and_ends_with_itself() {
    let pair = Pair::new("hub.test");
    let daemon = Hubdns::start(&encrypted(&pair));
    let (config, server) = (client(&pair), daemon.tls());
    let mut held = Held::new(&config, connect_from(from(11), server)).unwrap();
    let refused = "hubdns_tls_handshakes_total{outcome=\"refused\",service=\"tls\"}";
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(daemon.dns()).unwrap();
    udp.set_read_timeout(Some(ANSWERED_WITHIN)).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = || {
            while !done.load(Ordering::Relaxed) {
                let _ = Held::new(&config, connect_from(from(11), server));
            }
        };
        (0..4).for_each(|_| drop(scope.spawn(flood)));
        // What goes wrong here must end the flood, too.
        let beside = scope.spawn(|| {
            let mut worst = Duration::ZERO;
            while daemon.metric(refused).unwrap() < 200.0 {
                for _ in 0..20 {
                    let start = Instant::now();
                    udp.send(&framed_question()[2..]).unwrap();
                    let mut answer = [0; 512];
                    udp.recv(&mut answer).unwrap();
                    assert_eq!(answer[7], 3);
                    worst = worst.max(start.elapsed());
                }
                assert_eq!(held.ask().unwrap(), 3, "a connection that stands goes on");
                let mut other = Held::new(&config, connect_from(from(12), server)).unwrap();
                assert_eq!(other.ask().unwrap(), 3);
            }
            worst
        });
        let beside = beside.join();
        done.store(true, Ordering::Relaxed);
        measured("the worst answer by UDP beside a flood of handshakes", beside.unwrap());
    });
    eventually("the client's handshakes are done again", ANSWERED_WITHIN, || {
        Held::new(&config, connect_from(from(11), server)).ok()?.ask().ok()
    });
}

/// As much of HTTP/2 as a client needs: requests at once on one connection.
async fn http2(
    config: Arc<ClientConfig>,
    server: SocketAddr,
) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let mut config = (*config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(server).await.unwrap();
    let name = ServerName::try_from("hub.test").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test's own runtime ends with it")]
    tokio::spawn(async move { drop(connection.await) });
    sender
}

/// A question for a name, by POST.
fn request(server: SocketAddr, name: &str) -> Request<Full<Bytes>> {
    let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    Request::post(format!("https://{server}/dns-query"))
        .header("content-type", "application/dns-message")
        .body(Full::from(query))
        .unwrap()
}

#[tokio::test]
async fn requests_that_wait_hold_up_no_other_on_their_connection() {
    let (pair, silent) = (Pair::new("hub.test"), UdpSocket::bind("127.0.0.1:0").unwrap());
    let forward = format!("[forward]\nupstreams = [\"{}\"]\n", silent.local_addr().unwrap());
    let daemon = Hubdns::start(&(encrypted(&pair) + &forward));
    let sender = http2(client(&pair), daemon.https()).await;
    let send = |name: String| {
        let mut sender = sender.clone();
        let request = request(daemon.https(), &name);
        async move {
            sender.ready().await.unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            let kept = answer.headers()["cache-control"].to_str().unwrap().to_owned();
            (answer.into_body().collect().await.unwrap().to_bytes(), kept)
        }
    };
    let start = Instant::now();
    let waiting = (0..40).map(|at| send(format!("waits-{at}.example")));
    let waiting = futures_util::future::join_all(waiting);
    let ours = async {
        let (answer, kept) = send(SQS.to_owned()).await;
        (answer[7], kept, start.elapsed())
    };
    let (waited, (records, kept, took)) = tokio::join!(waiting, ours);
    assert_eq!((records, kept.as_str()), (3, "max-age=60"));
    assert!(took < Duration::from_secs(2), "{took:?}");
    // SERVFAIL for all of them at the upstream's deadline, which nobody may keep.
    assert!(waited.iter().all(|(answer, kept)| answer[3] & 0xF == 2 && kept == "no-store"));
    assert!(Duration::from_secs(3) < start.elapsed() && start.elapsed() < Duration::from_secs(6));
    let done = "hubdns_tls_handshakes_total{outcome=\"done\",service=\"https\"}";
    assert_eq!(daemon.metric(done), Some(1.0), "all on one connection");
}
