//! What clients get above their rate, and how large answers to whoever forges an address are.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::{SOON, SQS, await_metric, recorded, support::Hubdns};

/// sqs.eu-west-1.amazonaws.com A.
const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03sqs\x09eu-west-1\x09amazonaws\x03com\0\
                          \0\x01\0\x01";
/// The same with an OPT that takes 4,096 octets and asks for a cookie.
const WITH_COOKIE: &[u8] =
    b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x03sqs\x09eu-west-1\x09amazonaws\x03com\0\
                          \0\x01\0\x01\0\0\x29\x10\0\0\0\0\0\0\x0c\0\x0a\0\x08hubdns<>";
/// A header with four questions announced and none there: FORMERR.
const MALFORMED: &[u8] = b"\x12\x34\x01\x00\0\x04\0\0\0\0\0\0";
/// What does not come within this does not come.
const SILENCE: Duration = Duration::from_millis(300);
/// Few enough to be sent within the time of one answer more at the rates below.
const BURST: usize = 60;
const ADDRESSES: u16 = 10_000;

fn limited(rate: u32) -> String {
    format!(
        "{}[clients.rate]\nquestions_per_second = {rate}\nexempt = [\"127.0.7.0/24\"]\n",
        recorded()
    )
}

fn counted(daemon: &Hubdns, action: &str) -> f64 {
    daemon.metric(&sample(action)).unwrap()
}

fn sample(action: &str) -> String {
    format!("hubdns_dns_rate_limited_total{{action=\"{action}\"}}")
}

fn client(last: u8, daemon: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 6, last), 0)).unwrap();
    socket.connect(daemon).unwrap();
    socket
}

/// Sends a packet so many times, and gives what came back before there was silence.
fn burst(socket: &UdpSocket, packet: &[u8], times: usize) -> Vec<Vec<u8>> {
    for _ in 0..times {
        socket.send(packet).unwrap();
    }
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    let mut buffer = [0; 4_096];
    let mut replies = Vec::new();
    loop {
        match socket.recv(&mut buffer) {
            Ok(len) => replies.push(buffer[..len].to_vec()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return replies;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn is_cut(reply: &[u8]) -> bool {
    reply[2] & 2 != 0
}

#[test]
fn above_its_rate_a_client_gets_less_and_others_all() {
    let daemon = Hubdns::start(&limited(10));
    let (flooding, other) = (client(1, daemon.dns()), client(2, daemon.dns()));
    let replies = burst(&flooding, QUESTION, BURST);
    let cut = replies.iter().filter(|it| is_cut(it)).count();
    let whole = replies.len() - cut;
    // What a busy machine takes longer for may be one or two more.
    assert!((10..=14).contains(&whole), "{whole} whole, {cut} cut");
    assert!((BURST - whole) / 2 <= cut && cut <= (BURST - whole) / 2 + 1, "{whole}, {cut}");
    assert!(replies.iter().filter(|it| is_cut(it)).all(|it| it.len() <= QUESTION.len()));
    let counts = ["truncated", "dropped"].map(|action| counted(&daemon, action).to_string());
    assert_eq!(counts, [cut.to_string(), (BURST - whole - cut).to_string()]);
    assert!(burst(&other, QUESTION, 8).iter().all(|it| !is_cut(it)));
    // Errors, too, and there is nothing to come by TCP for.
    burst(&flooding, QUESTION, BURST);
    let errors = burst(&flooding, MALFORMED, BURST);
    // In the silence before them some were earned back.
    assert!(errors.len() <= 10, "{} errors", errors.len());
}

#[test]
fn a_client_whose_address_is_flooded_with_is_answered_by_tcp_and_by_its_cookie() {
    let daemon = Hubdns::start(&limited(20));
    let forged = client(3, daemon.dns());
    // As a resolver has one from before: told beside TC too.
    let told = burst(&forged, WITH_COOKIE, BURST);
    let cut = told.iter().find(|it| is_cut(it)).expect("one of two");
    assert!(cut.len() <= WITH_COOKIE.len() + 16, "{} octets", cut.len());
    let cookie: String = cut[cut.len() - 24..].iter().map(|it| format!("{it:02x}")).collect();
    for round in 0..5 {
        burst(&forged, QUESTION, BURST);
        let by_tcp = daemon.dig(&format!("{SQS} A +tcp -b 127.0.6.3"));
        assert_eq!((&*by_tcp.status, by_tcp.data("A").len()), ("NOERROR", 3), "{round}");
        let proven = daemon.dig(&format!("{SQS} A +cookie={cookie} +ignore -b 127.0.6.3"));
        assert_eq!((&*proven.status, proven.data("A").len()), ("NOERROR", 3), "{round}");
    }
    assert_eq!(counted(&daemon, "refused"), 0.0);
    // Nobody who is no stranger comes by without a limit: REFUSED, and why.
    let packet = [WITH_COOKIE.strip_suffix(b"\0\x0c\0\x0a\0\x08hubdns<>").unwrap()].concat();
    let own = cut[cut.len() - 24..].to_vec();
    let proven = [&packet[..], &[0, 28, 0, 10, 0, 24], &own].concat();
    let refused = burst(&forged, &proven, BURST);
    assert_eq!(refused.len(), BURST, "each has an answer");
    assert!(refused.iter().any(|it| it[3] & 0xF == 5));
    await_metric(&daemon, &sample("refused"), 30.0);
}

#[test]
fn a_rate_that_is_over_is_over_and_a_reload_changes_it() {
    let mut daemon = Hubdns::start(&limited(10));
    let socket = client(4, daemon.dns());
    assert!(burst(&socket, QUESTION, BURST).iter().any(|it| is_cut(it)));
    thread::sleep(Duration::from_millis(1_100));
    let again = burst(&socket, QUESTION, 10);
    assert_eq!((again.len(), again.iter().any(|it| is_cut(it))), (10, false));
    daemon.write_config(&recorded());
    assert!(daemon.command("reload").status().unwrap().success());
    assert_eq!(burst(&socket, QUESTION, BURST).iter().filter(|it| !is_cut(it)).count(), BURST);
}

#[test]
fn who_is_exempt_and_the_watchdogs_way_to_ourselves_have_no_limit() {
    let daemon = Hubdns::start(&limited(10));
    let exempt = UdpSocket::bind((Ipv4Addr::new(127, 0, 7, 9), 0)).unwrap();
    exempt.connect(daemon.dns()).unwrap();
    let own = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    own.connect(daemon.dns()).unwrap();
    for socket in [exempt, own] {
        let replies = burst(&socket, QUESTION, BURST);
        assert_eq!((replies.len(), replies.iter().any(|it| is_cut(it))), (BURST, false));
    }
}

#[test]
fn ten_thousand_forged_addresses_cost_a_client_nothing() {
    let daemon = Hubdns::start(&limited(50));
    let dns = daemon.dns();
    let real = client(5, dns);
    real.set_read_timeout(Some(SOON)).unwrap();
    let done = AtomicBool::new(false);
    let forged = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let addresses = (0..ADDRESSES).cycle().enumerate();
            let go_on = |at: &usize| *at < ADDRESSES.into() || !done.load(Ordering::Relaxed);
            let mut sent = 0;
            for (_, address) in addresses.take_while(|(at, _)| go_on(at)) {
                let [high, low] = address.to_be_bytes();
                let socket = UdpSocket::bind((Ipv4Addr::new(127, 8, high, low), 0)).unwrap();
                sent += socket.send_to(QUESTION, dns).map_or(0, |_| 1);
            }
            sent
        });
        for asked in 0..20 {
            real.send(QUESTION).unwrap();
            let mut reply = [0; 512];
            real.recv(&mut reply).unwrap();
            assert!(!is_cut(&reply), "question {asked}");
            // Below its rate.
            thread::sleep(Duration::from_millis(25));
        }
        done.store(true, Ordering::Relaxed);
        flood.join().unwrap()
    });
    assert!(usize::from(ADDRESSES) <= forged, "{forged}");
}

/// Whatever is asked: as many addresses as the octets of a datagram hold, or TC above them.
fn lavish_upstream() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((len, asker)) = socket.recv_from(&mut packet) {
            // The question, without the OPT of 11 octets behind it.
            let mut reply = packet[..len - 11].to_vec();
            let limit = if is_small(&reply) { 512 } else { 1_232 - 11 };
            let records = u16::try_from((limit - reply.len()) / 16).unwrap();
            reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
            reply[6..8].copy_from_slice(&records.to_be_bytes());
            for at in 0..records {
                reply.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0");
                reply.extend(at.to_be_bytes());
            }
            socket.send_to(&reply, asker).unwrap();
        }
    });
    address
}

/// Whether a question is the one of a client without EDNS: below `s`.
fn is_small(query: &[u8]) -> bool {
    query[13].eq_ignore_ascii_case(&b's')
}

fn question(name: &[u8], rtype: u8, opt: bool) -> Vec<u8> {
    let mut packet = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0".to_vec();
    packet.extend(name);
    packet.extend([0, 0, rtype, 0, 1]);
    if opt {
        packet[11] = 1;
        packet.extend(b"\0\0\x29\x10\0\0\0\0\0\0\0");
    }
    packet
}

#[test]
fn answers_to_forged_questions_are_as_large_as_the_document_says_and_no_larger() {
    let allow = "[clients]\nallow = [\"127.0.6.0/24\", \"127.0.0.1/32\"]\n";
    let forward = format!("[forward]\nupstreams = [\"{}\"]\n", lavish_upstream());
    let daemon = Hubdns::start(&(recorded() + allow + &forward));
    let (client, stranger) = (client(6, daemon.dns()), client_at(5, daemon.dns()));
    let sqs = b"\x03sqs\x09eu-west-1\x09amazonaws\x03com";
    // The answer in hundredths of the question.
    let times = |socket: &UdpSocket, packet: &[u8]| {
        let replies = burst(socket, packet, 1);
        assert_eq!(replies.len(), 1, "{packet:?}");
        100 * replies[0].len() / packet.len()
    };
    let both = |socket: &UdpSocket, name: &[u8], rtype| {
        [false, true].map(|opt| times(socket, &question(name, rtype, opt)))
    };
    let measured = [
        ("a stranger", both(&stranger, b"", 1)),
        ("ANY of ours", both(&client, sqs, 255)),
        ("three addresses of ours", both(&client, sqs, 1)),
        (
            "as much as there is room for",
            [
                times(&client, &question(b"\x01s", 1, false)),
                times(&client, &question(b"\x01l", 1, true)),
            ],
        ),
        ("no question", [times(&client, MALFORMED), times(&stranger, MALFORMED)]),
    ];
    let most = [[100, 320], [150, 150], [210, 210], [2_700, 4_110], [100, 100]];
    for ((what, times), most) in measured.iter().zip(most) {
        assert!(times.iter().zip(most).all(|(times, most)| *times <= most), "{what}: {times:?}");
    }
}

fn client_at(third: u8, daemon: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, third, 1), 0)).unwrap();
    socket.connect(daemon).unwrap();
    socket
}
