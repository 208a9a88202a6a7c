//! Who sends: many, too much, nonsense, or very slowly.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    RATE, SOON, WHILE, asked_while, await_metric, book, nothing_lost, sqs,
    support::{Clients, Figures, Hubdns, Recording, Reply, by_tcp, eventually, query},
    truth, version,
};

/// A message that says it is longer, or shorter, or holds what cannot be; none is a question.
fn malformed(number: u64) -> Vec<u8> {
    let mut octets = query(&sqs(), u16::try_from(number & 0xffff).unwrap());
    match number % 4 {
        0 => octets.truncate(7),
        // A label that begins where it points.
        1 => octets[12] = 0xc0,
        // Two hundred questions.
        2 => octets[5] = 200,
        _ => octets.truncate(20),
    }
    octets
}

#[test]
fn ten_thousand_clients_are_answered_each_at_its_own_address() {
    let recording = Recording::new(&version(1));
    let daemon = Hubdns::start(&recording.source());
    let resident = || daemon.metric("process_resident_memory_bytes").unwrap();
    let before = resident();
    let (expected, began) = (version(1).remove(0).1, Instant::now());
    let mut figures = Figures::default();
    let clients: Vec<Ipv4Addr> = (0..10_000_u16)
        .map(|at| Ipv4Addr::new(127, 1, at.to_be_bytes()[0], at.to_be_bytes()[1]))
        .collect();
    // As many at once as descriptors and the kernel's queue allow on any machine.
    for together in clients.chunks(250) {
        let sockets: Vec<UdpSocket> = together
            .iter()
            .map(|client| {
                let socket = UdpSocket::bind((*client, 0)).unwrap();
                socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                socket.connect(daemon.dns()).unwrap();
                socket.send(&query(&sqs(), 9)).unwrap();
                socket
            })
            .collect();
        for socket in sockets {
            let mut octets = [0; 512];
            figures.sent += 1;
            match socket.recv(&mut octets).ok().and_then(|len| Reply::read(&octets[..len])) {
                Some((9, reply)) if reply.addresses == expected => (),
                Some(_) => figures.wrong += 1,
                None => figures.lost += 1,
            }
        }
    }
    nothing_lost("10,000 client addresses", (figures, Duration::ZERO));
    let grown = resident() - before;
    assert!(grown < f64::from(16 << 20), "{grown} octets more for them");
    assert!(began.elapsed() < SOON * 4);
}

#[test]
fn questions_that_come_an_octet_at_a_time_hold_nobody_up_and_are_given_up() {
    let recording = Recording::new(&version(1));
    let daemon = Hubdns::start(&recording.source());
    let message = query(&sqs(), 3);
    let framed = [&u16::try_from(message.len()).unwrap().to_be_bytes(), &message[..]].concat();
    let mut slow: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(daemon.dns()).unwrap()).collect();
    let began = Instant::now();
    let (figures, recovered) = asked_while(daemon.dns(), truth(1, None), || {
        for octet in &framed[..4] {
            for stream in &mut slow {
                stream.write_all(&[*octet]).unwrap();
            }
            thread::sleep(Duration::from_millis(500));
        }
    });
    nothing_lost("200 connections, an octet each 0.5 s", (figures, recovered));
    // Whoever goes on like this is sent away, though never idle.
    let limit = Duration::from_secs(40);
    let mut last = slow.pop().unwrap();
    last.set_nonblocking(true).unwrap();
    eventually("a connection that only trickles is closed", limit, || {
        // At the pace of one octet a second; the rest of the message is long enough.
        let at = usize::try_from(began.elapsed().as_secs()).unwrap();
        let _ = last.write(&framed[(4 + at) % framed.len()..][..1]);
        thread::sleep(Duration::from_secs(1));
        match last.read(&mut [0; 1]) {
            Ok(0) => Some(()),
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => Some(()),
            Ok(_) | Err(_) => None,
        }
    });
    assert!(by_tcp(daemon.dns(), &sqs()).unwrap().is_some());
}

/// Sends what is malformed as fast as one thread can, and tells how much.
fn flood(server: SocketAddr, stop: &AtomicBool, sent: &AtomicU64) {
    let socket = UdpSocket::bind("127.0.0.3:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let packets: Vec<Vec<u8>> = (0..64).map(malformed).collect();
    while !stop.load(Ordering::Relaxed) {
        for packet in &packets {
            if socket.send_to(packet, server).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
        // What is said to it is taken, as a client's kernel does.
        let mut octets = [0; 64];
        while socket.recv(&mut octets).is_ok() {}
    }
}

#[test]
fn a_flood_of_malformed_packets_gives_no_wrong_answer_and_ends_with_the_flood() {
    let recording = Recording::new(&version(1));
    let daemon = Hubdns::start(&recording.source());
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients = Clients::start(daemon.dns(), truth(1, None), RATE);
    thread::sleep(WHILE);
    let (server, stopped, count) = (daemon.dns(), Arc::clone(&stop), Arc::clone(&sent));
    let began = Instant::now();
    let sender = thread::spawn(move || flood(server, &stopped, &count));
    thread::sleep(3 * WHILE);
    stop.store(true, Ordering::Relaxed);
    sender.join().unwrap();
    let (ended, lasted) = (Instant::now(), began.elapsed());
    // What the kernel still holds of it.
    thread::sleep(2 * WHILE);
    let figures = clients.end();
    let rate = u128::from(sent.load(Ordering::Relaxed)) * 1_000 / lasted.as_millis();
    let recovered = figures.recovered(ended);
    book(&format!("{rate} malformed packets/s"), &figures, recovered);
    // Clients share the socket's queue with it: what the kernel has no room for is lost.
    assert_eq!((figures.wrong, figures.failed), (0, 0), "{:?}", figures.examples);
    assert!(recovered < WHILE, "it goes on for {recovered:?}");
    await_metric(&daemon, "hubdns_dns_dropped_total{reason=\"short\"}", 1.0);
    assert_eq!(daemon.get("/readyz").0, 200);
}
