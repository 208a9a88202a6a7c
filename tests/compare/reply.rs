//! Asks both servers, and reads what they say.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use domain::{
    base::{Message, iana::OptRcode},
    rdata::AllRecordData,
};

use crate::question::Question;

/// Questions at once to each of the two; neither limits one client to fewer.
const AT_ONCE: usize = 32;
/// Longer than either tries, so that silence is silence.
const PATIENCE: Duration = Duration::from_secs(12);
/// A datagram that the kernel dropped is sent again.
const TRIES: usize = 2;

/// What an answer says, as far as it can be the same from two servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// `NOERROR`, with the OPT's part in it; `silence`.
    pub(crate) rcode: String,
    /// Over UDP.
    pub(crate) truncated: bool,
    /// `aa`, `ra`, `ad`, `cd`, `rd`, `qr`; what TCP said where UDP was truncated.
    pub(crate) flags: BTreeSet<&'static str>,
    /// Octets over UDP.
    pub(crate) udp_len: usize,
    /// The octets of the question came back.
    pub(crate) question_kept: bool,
    /// Records without TTL, names in lower case; what TCP said where UDP was truncated.
    pub(crate) answer: BTreeSet<String>,
    pub(crate) authority: BTreeSet<String>,
    /// Without OPT.
    pub(crate) additional: BTreeSet<String>,
    /// The OPT's version, if there is one.
    pub(crate) edns: Option<u8>,
    /// Its DO.
    pub(crate) dnssec_ok: bool,
}

/// The reply to each question, in their order.
pub(crate) fn ask_all(server: SocketAddr, questions: &[Question]) -> Vec<Reply> {
    let next = AtomicUsize::new(0);
    let asker = || {
        let mut replies = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(question) = questions.get(at) else { return replies };
            replies.push((at, ask(server, question)));
        }
    };
    let mut replies = thread::scope(|scope| {
        let askers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(asker)).collect();
        askers.into_iter().flat_map(|asker| asker.join().unwrap()).collect::<Vec<_>>()
    });
    replies.sort_by_key(|(at, _)| *at);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

fn ask(server: SocketAddr, question: &Question) -> Reply {
    // Its own, so that a late answer to another question cannot come by it.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE / 2)).unwrap();
    let id = socket.local_addr().unwrap().port();
    let message = question.message(id);
    let mut octets = [0; 65_535];
    for _ in 0..TRIES {
        socket.send(&message).unwrap();
        let Ok(len) = socket.recv(&mut octets) else { continue };
        let octets = &octets[..len];
        assert_eq!(octets[..2], id.to_be_bytes(), "{question}: another id");
        let mut reply = read(octets, question);
        reply.udp_len = len;
        if reply.truncated {
            let whole = read(&over_tcp(server, &message), question);
            assert!(!whole.truncated, "{question}: TC over TCP");
            reply = Reply { truncated: true, udp_len: len, ..whole };
        }
        return reply;
    }
    Reply { rcode: "silence".to_owned(), ..Reply::default() }
}

fn over_tcp(server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let len = u16::try_from(message.len()).unwrap().to_be_bytes();
    stream.write_all(&[&len, message].concat()).unwrap();
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut octets = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut octets).unwrap();
    octets
}

fn read(octets: &[u8], question: &Question) -> Reply {
    let message = Message::from_octets(octets).expect("a header");
    let header = message.header();
    let flags = [
        (header.qr(), "qr"),
        (header.aa(), "aa"),
        (header.rd(), "rd"),
        (header.ra(), "ra"),
        (header.ad(), "ad"),
        (header.cd(), "cd"),
        (header.z(), "z"),
    ];
    let opt = message.opt();
    let rcode = opt.as_ref().map_or(OptRcode::from(header.rcode()), |opt| opt.rcode(header));
    let sent = question.question();
    let sections = message.sections().map(|(_, answer, authority, additional)| {
        [answer, authority, additional].map(|section| {
            let records = section.map(|record| {
                let record = record.expect("a record that can be read");
                let record = record.to_any_record::<AllRecordData<_, _>>().expect("its data too");
                format!("{} {} {}", record.owner(), record.rtype(), record.data()).to_lowercase()
            });
            let is_opt = |record: &String| record.split(' ').nth(1) == Some("opt");
            records.filter(|record| !is_opt(record)).collect()
        })
    });
    let [answer, authority, additional] = sections.expect("sections that can be read");
    Reply {
        rcode: rcode.to_string(),
        truncated: header.tc(),
        flags: flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect(),
        udp_len: 0,
        question_kept: octets.get(12..12 + sent.len()) == Some(&sent[..]),
        answer,
        authority,
        additional,
        edns: opt.as_ref().map(|opt| opt.version()),
        dnssec_ok: opt.is_some_and(|opt| opt.dnssec_ok()),
    }
}
