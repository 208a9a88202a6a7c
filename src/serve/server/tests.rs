//! Listeners on real sockets, over a table made from one-line facts.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream, UdpSocket},
    time::Instant,
};

use super::*;
use crate::{
    answer::{About, Cookies, Exempt, Settings},
    base::RecordType,
    forward::{BudgetConfig, CacheConfig, CaseRandomization, ForwardConfig, Forwarder, Trust},
    policy::{self, facts},
    serve::ListenAddress,
    table::{channel, compile},
    telemetry::Metrics,
    wire::{Question, upstream_query},
};

const OURS: &str = "sqs.eu-west-1.amazonaws.com";

/// A server on `listen`, whose forwarder asks a port of loopback where nobody ever answers.
fn server(listen: &str) -> (Server, SocketAddr, UdpSocket) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let forward = ForwardConfig {
        upstreams: vec![silent.local_addr().unwrap().into()],
        trusted: vec![],
        ca_file: None,
        case_randomization: CaseRandomization::Auto,
        budget: BudgetConfig::DEFAULT,
        zones: vec![],
        views: vec![],
        cache: CacheConfig::NONE,
    };
    let forwarder = Forwarder::new(forward, Trust::default(), Arc::clone(&metrics));
    let line = format!("vpce-1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 names={OURS}");
    let allow = vec!["127.0.0.1/32".parse().unwrap()];
    let config = policy::PolicyConfig { allow, ..facts::config() };
    let (mut publisher, table) = channel();
    publisher.publish(compile(policy::plan(&facts::inventory(&line), &config), &config));
    let (_, settings) = watch::channel(Arc::new(Settings {
        forwarder,
        identity: Arc::from(*b"hub"),
        cookies: Cookies::random(|| 0),
        exempt: Exempt::default(),
        rates: None,
        about: About::default(),
        observers: Arc::new(crate::querylog::Observers::nobody()),
    }));
    let mut server = Server::new(Responder::new(table, settings, metrics));
    let wanted = on([ListenAddress::Socket(listen.parse().unwrap())]);
    let opened = server.open(&wanted, &mut Inherited::default()).unwrap();
    let address = opened.addresses().next().unwrap();
    server.listen(opened, &wanted);
    (server, address, silent)
}

/// UDP and TCP on these alone.
fn on(listen: impl Into<Vec<ListenAddress>>) -> ServeConfig {
    ServeConfig { listen: listen.into(), ..ServeConfig::NOWHERE }
}

fn query(name: &str, id: u16) -> Vec<u8> {
    let name = name.parse().unwrap();
    let rtype = RecordType::A;
    upstream_query(&Question { name, rtype, dnssec_ok: false, checking_disabled: false }, id)
}

/// A port that neither a UDP nor a TCP socket has just now.
fn free_for_both() -> SocketAddr {
    loop {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// The ids of the answers on a stream, in their order, until it ends.
fn ids(stream: &mut TcpStream) -> Vec<u16> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let mut ids = Vec::new();
    let mut rest = bytes.as_slice();
    while let [high, low, tail @ ..] = rest {
        let (message, next) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        ids.push(u16::from_be_bytes([message[0], message[1]]));
        rest = next;
    }
    ids
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_listener_replies_from_the_address_that_was_asked() {
    let (server, address, _silent) = server("0.0.0.0:0");
    for asked in ["127.0.0.1", "127.9.8.7"] {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        // Connected, it hears only what comes from there.
        client.connect((asked, address.port())).unwrap();
        client.send(&query(OURS, 7)).unwrap();
        let mut reply = [0; 512];
        let len = client.recv(&mut reply).unwrap();
        assert_eq!(reply[7], 1, "one answer in {:?}", &reply[..len]);
    }
    server.stop(End::Last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_questions_are_answered_as_they_finish() {
    let (server, address, _silent) = server("127.0.0.1:0");
    let mut stream = connect(address);
    let asked = [framed(&query("slow.example", 1)), framed(&query(OURS, 2))].concat();
    stream.write_all(&asked).unwrap();
    // Half closed: the client has no more questions and still wants its answers.
    stream.shutdown(Shutdown::Write).unwrap();
    let answered = tokio::task::spawn_blocking(move || ids(&mut stream)).await.unwrap();
    assert_eq!(answered, [2, 1]);
    server.stop(End::Last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_answers_what_is_in_hand() {
    let (server, address, _silent) = server("127.0.0.1:0");
    let mut stream = connect(address);
    stream.write_all(&framed(&query("slow.example", 9))).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    client.send_to(&query("slower.example", 8), address).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    server.stop(End::Last).await;
    assert!(Duration::from_secs(2) < started.elapsed(), "it waited for the upstream");
    let answered = tokio::task::spawn_blocking(move || ids(&mut stream)).await.unwrap();
    assert_eq!(answered, [9]);
    let mut reply = [0; 512];
    client.recv(&mut reply).unwrap();
    assert_eq!(reply[..2], [0, 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_are_queries_and_not_connections() {
    let (server, address, _silent) = server("127.0.0.1:0");
    let mut stream = connect(address);
    stream.write_all(&framed(&query(OURS, 1))).unwrap();
    stream.read_exact(&mut [0; 20]).unwrap();
    assert!(!server.tasks.is_empty() && server.waiting() == 0, "{}", server.waiting());
    stream.write_all(&framed(&query("slow.example", 2))).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(&query("slower.example", 3), address).unwrap();
    let both = async {
        while server.waiting() != 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(2), both).await.expect("both wait");
    server.stop(End::Between).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_processes_the_end_is_short_and_nobody_is_left_without_a_word() {
    let (server, address, _silent) = server("127.0.0.1:0");
    let mut stream = connect(address);
    stream.write_all(&framed(&query("slow.example", 9))).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    client.send_to(&query("slower.example", 8), address).unwrap();
    let mut idle = connect(address);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    let stopped = server.stop(End::Between);
    let asked = async {
        // It was let in, and asks when we have stopped already.
        tokio::time::sleep(Duration::from_millis(20)).await;
        idle.write_all(&framed(&query(OURS, 7))).unwrap();
    };
    tokio::join!(stopped, asked);
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    let mut reply = [0; 512];
    client.recv(&mut reply).unwrap();
    let servfail = 2;
    assert_eq!((&reply[..2], reply[3] & 15), (&[0, 8][..], servfail));
    let answered = tokio::task::spawn_blocking(move || [ids(&mut stream), ids(&mut idle)]);
    assert_eq!(answered.await.unwrap(), [[9], [7]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_come_and_go_and_others_stay() {
    let (mut server, first, _silent) = server("127.0.0.1:0");
    let entry = |address: SocketAddr| ListenAddress::Socket(address);
    let second = free_for_both();
    let wanted = on([entry("127.0.0.1:0".parse().unwrap()), entry(second)]);
    let opened = server.open(&wanted, &mut Inherited::default()).unwrap();
    server.listen(opened, &wanted);
    assert_eq!(*server.listening().borrow(), [first, second]);
    let elsewhere = on([entry(second), entry("192.0.2.1:53".parse().unwrap())]);
    let refused = server.open(&elsewhere, &mut Inherited::default()).err().unwrap();
    assert!(matches!(&refused[..], [Refused::Listen { entry, .. }] if entry.index == 1));
    let wanted = on([entry(second)]);
    let opened = server.open(&wanted, &mut Inherited::default()).unwrap();
    server.listen(opened, &wanted);
    assert_eq!(*server.listening().borrow(), [second]);
    let deadline = Instant::now() + Duration::from_secs(5);
    while UdpSocket::bind(first).is_err() {
        assert!(Instant::now() < deadline, "the first one's port is free again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop(End::Last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_our_own_is_told_apart_from_a_strangers() {
    let (server, address, _silent) = server("127.0.0.1:0");
    let wildcard = format!("0.0.0.0:{}", address.port()).parse().unwrap();
    let refused = server
        .open(&on([ListenAddress::Socket(wildcard)]), &mut Inherited::default())
        .err()
        .unwrap();
    let [Refused::Listen { source: why, .. }] = &refused[..] else { panic!("{refused:?}") };
    let said = format!("UDP {wildcard} overlaps with {address}, on which hubdns listens now");
    assert_eq!(why.to_string(), said);
    assert!(why.help().contains("restart"), "{}", why.help());
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let entry = ListenAddress::Socket(taken.local_addr().unwrap());
    let refused = server.open(&on([entry]), &mut Inherited::default()).err().unwrap();
    let [Refused::Listen { source: BindError::InUse { .. }, .. }] = &refused[..] else {
        panic!("{refused:?}")
    };
    server.stop(End::Last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_leave_as_they_finish_after_a_half_close() {
    let (server, address, upstream) = server("127.0.0.1:0");
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((len, asker)) = upstream.recv_from(&mut packet) {
            let packet = &mut packet[..len];
            if packet.windows(5).any(|word| word.eq_ignore_ascii_case(b"quick")) {
                thread::sleep(Duration::from_millis(300));
                // QR, and NXDOMAIN.
                packet[2] |= 0x80;
                packet[3] |= 0x83;
                upstream.send_to(packet, asker).unwrap();
            }
        }
    });
    let mut stream = connect(address);
    let asked = [("slow.example", 1), ("quick.example", 2)];
    let asked = asked.map(|(name, id)| framed(&query(name, id)));
    stream.write_all(&asked.concat()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let started = Instant::now();
    let first = tokio::task::spawn_blocking(move || {
        let mut head = [0; 6];
        stream.read_exact(&mut head).unwrap();
        (head, stream)
    });
    let (head, _stream) = first.await.unwrap();
    assert_eq!((head[3], head[5] & 0xF), (2, 3), "NXDOMAIN for quick.example");
    assert!(started.elapsed() < Duration::from_secs(2), "it waited for the slow one");
    server.stop(End::Last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_gets_every_answer() {
    let (server, address, _silent) = server("127.0.0.1:0");
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // Small, so that answers have to wait for the reader.
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    let asked = 60_000;
    let mut writer = stream.try_clone().unwrap();
    let writes = thread::spawn(move || {
        for id in 0..asked {
            writer.write_all(&framed(&query(OURS, id))).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let answered = tokio::task::spawn_blocking(move || {
        thread::sleep(Duration::from_millis(600));
        ids(&mut stream)
    });
    assert!(answered.await.unwrap().into_iter().eq(0..asked));
    writes.join().unwrap();
    server.stop(End::Last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_is_told_so_and_has_little_time() {
    let (server, address, _silent) = server("127.0.0.1:0");
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    stream.write_all(&framed(&query(OURS, 5))).unwrap();
    let started = Instant::now();
    let bytes = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    });
    assert_eq!(bytes.await.unwrap()[5] & 0xF, 5, "REFUSED");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    server.stop(End::Last).await;
}

#[tokio::test]
async fn what_the_kernel_has_when_we_stop_is_answered() {
    let (server, _, _silent) = server("127.0.0.1:0");
    let listen = ListenAddress::Socket("127.0.0.1:0".parse().unwrap());
    let Bound { address, mut udp, .. } =
        bind(Service::Plain, &listen, &mut Inherited::default()).unwrap().remove(0);
    udp.truncate(1);
    let metrics = Arc::clone(server.responder.metrics());
    let socket = Arc::new(Socket::new(udp.remove(0), address, metrics).unwrap());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    for id in 0..100 {
        client.send_to(&query(OURS, id), address).unwrap();
    }
    let token = CancellationToken::new();
    token.cancel();
    let session = server.responder.session(Proto::Udp, 0);
    let waiting = Waiting {
        permits: Arc::new(Semaphore::new(1)),
        tasks: TaskTracker::new(),
        giving_up: CancellationToken::new(),
    };
    udp::serve(&socket, session, waiting, &Pulse::new(address), &token);
    let mut reply = [0; 512];
    for id in 0..100 {
        client.recv(&mut reply).unwrap();
        assert_eq!(u16::from_be_bytes([reply[0], reply[1]]), id);
    }
}
