//! Any packet of a client: what is answered can be parsed by another parser, and keeps what a reply
//! has to keep.
#![no_main]

use hickory_proto::op::{Message, MessageType};
use hubdns::{
    base::{CookieSecret, CookieSecrets, Ede, ExtendedError, Rcode},
    wire::{Cookie, FullCookie, Limit, Packet, QUESTION_POINTER, Reply, write_reject},
};
use libfuzzer_sys::fuzz_target;

fn answer(cookie: &Cookie) -> FullCookie {
    let secrets = CookieSecrets { current: CookieSecret([7; 16]), former: vec![] };
    cookie.answer(&secrets, [192, 0, 2, 1].into(), 1_559_731_985).1
}

fuzz_target!(|packet: &[u8]| {
    let mut out = Vec::new();
    let (limit, question) = match Packet::read(packet) {
        Packet::Short | Packet::Response => return,
        Packet::Reject(reject) => {
            write_reject(&reject, reject.cookie.as_ref().map(answer), &mut out);
            (512, reject.question)
        }
        Packet::Query(query) => {
            let mut reply = Reply::start(&query, &mut out);
            reply.cookie(query.edns.and_then(|edns| edns.cookie).as_ref().map(answer));
            // An address where the packet's length is even, a text too large where it is not.
            let len: u16 = if packet.len() % 2 == 0 { 4 } else { 1_300 };
            reply.answer(1, |out| {
                out.extend(QUESTION_POINTER.to_be_bytes());
                out.extend(if len == 4 { [0, 1] } else { [0xFF, 0] });
                out.extend([0, 1, 0, 0, 0, 60]);
                out.extend(len.to_be_bytes());
                out.extend(vec![0; usize::from(len)]);
            });
            let error = ExtendedError { code: Ede::PROHIBITED, text: "why".into() };
            let errors = vec![error; packet.len() % 6];
            reply.finish(Rcode::NOERROR, true, Limit::Datagram, b"hub-a", &errors);
            let limit = query.edns.map_or(512, |edns| edns.udp_size.clamp(512, 1_232));
            (usize::from(limit), query.question())
        }
    };
    assert!(out.len() <= limit, "{} octets for {limit}", out.len());
    assert_eq!(out[..2], packet[..2], "the id");
    assert_eq!(out[2] & 0x78, packet[2] & 0x78, "the opcode");
    assert_eq!(out[2] & 0x04, 0, "AA");
    assert_eq!(&out[12..12 + question.len()], question, "the question as it was spelled");
    // Another opcode than QUERY has sections of its own, and other parsers know not all of them.
    if out[2] & 0x78 == 0 {
        let message = Message::from_vec(&out).expect("another parser reads it");
        assert_eq!(message.metadata.message_type, MessageType::Response);
        assert_eq!(message.queries.len(), usize::from(!question.is_empty()));
    }
});
