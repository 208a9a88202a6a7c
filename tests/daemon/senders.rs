//! Datagrams from where no client asks: what is answered, what is dropped, and that it is counted.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{SOON, await_metric, recorded, support::Hubdns};

/// sqs.eu-west-1.amazonaws.com A.
const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03sqs\x09eu-west-1\x09amazonaws\x03com\0\
                          \0\x01\0\x01";
/// The same without its end, with opcode 4, and with EDNS version 1.
const CUT: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03sqs\x09eu-w";
const OPCODE: &[u8] = b"\x12\x34\x21\x00\0\x01\0\0\0\0\0\0\x03sqs\0\0\x01\0\x01";
const VERSION: &[u8] =
    b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x03sqs\0\0\x01\0\x01\0\0\x29\x04\xd0\0\x01\0\0\0\0";
/// What a character generator says (RFC 864): to a DNS server, a query of opcode 4.
const CHARACTERS: &[u8] = b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGH\r\n";

/// An answer that should not come would come within this.
const SILENCE: Duration = Duration::from_millis(300);

/// A loopback address that no other run of this test has.
fn own_address() -> Ipv4Addr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (a & 0x3F), b, c)
}

/// Sends each packet from that port; how many answers come before there is silence.
fn answered(daemon: &Hubdns, port: u16, packets: &[&[u8]], least: usize) -> usize {
    let socket = UdpSocket::bind((own_address(), port)).expect("root may bind any port");
    for packet in packets {
        socket.send_to(packet, daemon.dns()).unwrap();
    }
    let mut buffer = [0; 1_232];
    let mut count = 0;
    loop {
        // All that should come is waited for, however busy the machine is; what should not would
        // come at once.
        let patience = if count < least { SOON } else { SILENCE };
        socket.set_read_timeout(Some(patience)).unwrap();
        match socket.recv(&mut buffer) {
            Ok(_) => count += 1,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return count;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn dropped(reason: &str) -> String {
    format!("hubdns_dns_dropped_total{{reason=\"{reason}\"}}")
}

#[test]
fn a_question_from_a_services_port_is_answered_and_an_error_is_not() {
    let daemon = Hubdns::start(&recorded());
    assert_eq!(answered(&daemon, 53, &[QUESTION, VERSION], 2), 2);
    assert_eq!(answered(&daemon, 53, &[CUT, OPCODE], 0), 0);
    await_metric(&daemon, &dropped("malformed"), 2.0);
    // A client gets its errors.
    assert_eq!(answered(&daemon, 0, &[QUESTION, VERSION, CUT, OPCODE], 4), 4);
    assert_eq!(daemon.metric(&dropped("malformed")), Some(2.0));
}

#[test]
fn a_service_that_answers_whatever_it_gets_is_told_nothing() {
    let daemon = Hubdns::start(&recorded());
    assert_eq!(answered(&daemon, 19, &[CHARACTERS, QUESTION], 0), 0);
    assert_eq!(answered(&daemon, 7, &[QUESTION], 0), 0);
    await_metric(&daemon, &dropped("reflector"), 3.0);
}

#[test]
fn a_question_in_our_own_name_is_dropped() {
    let daemon = Hubdns::start(&recorded());
    let own = match daemon.dns() {
        SocketAddr::V4(own) => own,
        SocketAddr::V6(own) => panic!("{own}"),
    };
    for packet in [QUESTION, CUT, QUESTION] {
        forge(own, own, packet);
    }
    await_metric(&daemon, &dropped("self"), 3.0);
    // Answers would have come back to us as responses by now.
    assert_eq!(daemon.dig("sqs.eu-west-1.amazonaws.com A").status, "NOERROR");
    assert_eq!(daemon.metric(&dropped("response")), Some(0.0));
}

/// Sends a datagram in another's name.
fn forge(from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) {
    let len = |header: usize| u16::try_from(header + data.len()).unwrap().to_be_bytes();
    // Version 4, a header of 20 octets, 64 hops, UDP. The kernel fills in the header's checksum.
    let mut packet = vec![0x45, 0];
    packet.extend(len(28));
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(from.ip().octets());
    packet.extend(to.ip().octets());
    packet.extend([from.port().to_be_bytes(), to.port().to_be_bytes(), len(8), [0, 0]].concat());
    packet.extend(data);
    let raw = Protocol::from(255);
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(raw)).expect("root may forge");
    let sent = socket.send_to(&packet, &SocketAddr::V4(to).into()).unwrap();
    assert_eq!(sent, packet.len());
}
