//! Packets written out, sent over UDP as they are.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use crate::expected::Expected;

/// An answer that should come is waited for as dig waits, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(2);
/// One that should not come would come at once.
const SILENCE: Duration = Duration::from_millis(300);
const HEADER_LEN: usize = 12;

/// `1234 0100 03"sqs"00` as octets.
pub(crate) fn octets(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            out.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<char> = part.chars().filter(|c| *c != ' ').collect();
        for pair in digits.chunks(2) {
            let pair: String = pair.iter().collect();
            let octet = u8::from_str_radix(&pair, 16).ok().filter(|_| pair.len() == 2);
            out.push(octet.ok_or_else(|| format!("{pair:?} is no octet"))?);
        }
    }
    Ok(out)
}

/// What comes back, if anything does.
pub(crate) fn exchange(server: SocketAddr, packet: &[u8], silent: bool) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(if silent { SILENCE } else { PATIENCE })).unwrap();
    socket.send_to(packet, server).unwrap();
    let mut answer = vec![0; 65_535];
    match socket.recv_from(&mut answer) {
        Ok((len, from)) => {
            assert_eq!(from, server);
            answer.truncate(len);
            Some(answer)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Every way in which the answer to `sent` is another than expected.
pub(crate) fn differences(expected: &Expected, sent: &[u8], answer: Option<&[u8]>) -> Vec<String> {
    let (answer, expects_nothing) = match (answer, expected.status.is_empty()) {
        (None, true) => return Vec::new(),
        (None, false) => return vec!["no answer came".to_owned()],
        (Some(answer), nothing) => (answer, nothing),
    };
    if expects_nothing || answer.len() < HEADER_LEN {
        return vec![format!("{answer:02x?} came")];
    }
    let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (code, upper) = match expected.status.as_str() {
        "NOERROR" => (0, 0),
        "FORMERR" => (1, 0),
        "SERVFAIL" => (2, 0),
        "NXDOMAIN" => (3, 0),
        "NOTIMP" => (4, 0),
        "REFUSED" => (5, 0),
        // 16: its lower four bits in the header, the upper ones in the OPT.
        "BADVERS" => (0, 1),
        other => return vec![format!("{other} has no number here")],
    };
    // QR and RA; opcode, RD and CD as they were. CD is not kept where nothing else is.
    let kept = if matches!(code, 1 | 4) || upper == 1 { 0x7900 } else { 0x7910 };
    let flags = 0x8080 | (word(sent, 2) & kept) | code;
    let questions = u16::from(!expected.no_question);
    let answers = expected.answers.unwrap_or(0);
    let mut found = Vec::new();
    for (what, at, should) in [
        ("the id", 0, word(sent, 0)),
        ("the flags", 2, flags),
        ("QDCOUNT", 4, questions),
        ("ANCOUNT", 6, answers),
        ("NSCOUNT", 8, 0),
        ("ARCOUNT", 10, u16::from(expected.opt)),
    ] {
        let is = word(answer, at);
        if is != should {
            found.push(format!("{what} is {is:04x}, not {should:04x}"));
        }
    }
    if expected.opt {
        let opt = [&[0, 0, 41, 0x04, 0xd0, upper, 0, 0, 0, 0, 0][..]].concat();
        if !answer.ends_with(&opt) {
            found.push(format!("the OPT is not {opt:02x?} in {answer:02x?}"));
        }
    }
    found
}
