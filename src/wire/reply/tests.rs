//! Replies against the flags, sizes and options they must have.

use domain::base::{Message, opt::nsid::Nsid};

use super::{Channel, Limit, Reply, write_reject};
use crate::{
    base::{CookieSecret, CookieSecrets, Ede, ExtendedError, Rcode},
    wire::Packet,
};

const OPT: &[u8] = b"\x00\x00\x29\x02\x00\x00\x00\x80\x00\x00\x04\x00\x03\x00\x00";

fn packet(flags: u16, opt: &[u8]) -> Vec<u8> {
    let additionals = u16::from(!opt.is_empty());
    let header = [0xABCD, flags, 1, 0, 0, additionals];
    let mut bytes: Vec<u8> = header.iter().flat_map(|word: &u16| word.to_be_bytes()).collect();
    bytes.extend(b"\x01A\x00\x00\x01\x00\x01");
    bytes.extend(opt);
    bytes
}

fn reply(packet: &[u8], validated: bool, limit: Limit, data_len: usize) -> Vec<u8> {
    let Packet::Query(query) = Packet::read(packet) else { panic!("not a query") };
    let mut out = vec![1, 2, 3];
    let mut reply = Reply::start(&query, &mut out);
    reply.answer(1, |out| {
        out.extend(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x05");
        out.extend(u16::try_from(data_len).unwrap().to_be_bytes());
        out.extend(vec![0; data_len]);
    });
    let error = ExtendedError { code: Ede::PROHIBITED, text: "no".into() };
    reply.finish(Rcode(16), validated, limit, b"hub-a", &[error]);
    out
}

#[test]
fn only_rd_and_cd_are_echoed() {
    // Everything a client may set: opcode 0, AA, TC, RD, RA, Z, AD, CD.
    let out = reply(&packet(0x07F0, b""), false, Limit::Datagram, 4);
    // Their last four bits are the code, here SERVFAIL.
    assert_eq!(&out[..4], [0xAB, 0xCD, 0x81, 0x92]);
}

#[test]
fn ad_is_told_to_who_understands_it() {
    let flags = |sent, opt| reply(&packet(sent, opt), true, Limit::Datagram, 4)[3] & 0x20;
    assert_eq!(flags(0x0100, b"".as_slice()), 0);
    assert_eq!(flags(0x0120, b""), 0x20);
    assert_eq!(flags(0x0100, OPT), 0x20);
}

#[test]
fn opt_carries_code_size_nsid_and_errors() {
    let out = reply(&packet(0x0100, OPT), false, Limit::Datagram, 4);
    let message = Message::from_slice(&out).unwrap();
    let opt = message.opt().unwrap();
    assert_eq!(message.opt_rcode().to_int(), 16);
    assert_eq!((opt.udp_payload_size(), opt.version(), opt.dnssec_ok()), (1232, 0, true));
    assert_eq!(opt.opt().first::<Nsid<_>>().unwrap().as_slice(), b"hub-a");
    let error = opt.opt().extended_error().unwrap();
    assert_eq!((error.code().to_int(), error.text_slice()), (18, Some(b"no".as_slice())));
    let plain = reply(&packet(0x0100, b""), false, Limit::Datagram, 4);
    assert!(Message::from_slice(&plain).unwrap().opt().is_none());
}

#[test]
fn sizes_are_held_to_the_octet() {
    let truncated = |opt: &[u8], limit, data_len| {
        let out = reply(&packet(0x0100, opt), false, limit, data_len);
        let tc = out[2] & 2 != 0;
        assert!(tc || 12 + 7 + 12 + data_len <= out.len());
        tc
    };
    // 12 header, 7 question, 12 record without data.
    let plain = 512 - 31;
    assert!(!truncated(b"", Limit::Datagram, plain));
    assert!(truncated(b"", Limit::Datagram, plain + 1));
    // An OPT of 11, an NSID of 4 + 5, an error of 6 + 2; the client takes 512.
    let with_opt = plain - 28;
    assert!(!truncated(OPT, Limit::Datagram, with_opt));
    assert!(truncated(OPT, Limit::Datagram, with_opt + 1));
    let mut large = OPT.to_vec();
    large[3..5].copy_from_slice(&[0xFF, 0xFF]);
    assert!(!truncated(&large, Limit::Datagram, 1232 - 31 - 28));
    assert!(truncated(&large, Limit::Datagram, 1232 - 31 - 27));
    assert!(!truncated(OPT, Limit::Stream, 60_000));
}

/// The options NSID, keepalive and padding.
const ALL_OPTIONS: &[u8] = b"\x00\x00\x29\x02\x00\x00\x00\x80\x00\x00\x0d\
    \x00\x03\x00\x00\x00\x0b\x00\x00\x00\x0c\x00\x01\x00";

/// The reply with a record of so many octets, through a stream that has all there is.
fn through(channel: Channel, opt: &[u8], data_len: usize) -> Vec<u8> {
    let bytes = packet(0x0100, opt);
    let Packet::Query(query) = Packet::read(&bytes) else { panic!("not a query") };
    let mut out = Vec::new();
    let mut reply = Reply::start(&query, &mut out).through(channel);
    reply.answer(1, |out| {
        out.extend(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x05");
        out.extend(u16::try_from(data_len).unwrap().to_be_bytes());
        out.extend(vec![0; data_len]);
    });
    reply.finish(Rcode::NOERROR, false, Limit::Stream, b"hub-a", &[]);
    out
}

const ENCRYPTED: Channel = Channel { keepalive: Some(100), padded: true };

/// Codes and lengths of the options of a reply.
fn options(message: &[u8]) -> Vec<(u16, usize)> {
    let message = Message::from_slice(message).unwrap();
    let opt = message.opt().unwrap();
    let all = opt.opt().iter::<domain::base::opt::UnknownOptData<_>>().map(Result::unwrap);
    all.map(|option| (option.code().to_int(), option.as_slice().len())).collect()
}

#[test]
fn a_padded_reply_is_a_multiple_of_468_octets() {
    // 12 header, 7 question, 12 record, 11 OPT, 9 NSID, 6 keepalive, 4 padding without octets.
    let bare = 61;
    for (data_len, len) in [(0, 468), (468 - bare, 468), (469 - bare, 936), (936 - bare, 936)] {
        let out = through(ENCRYPTED, ALL_OPTIONS, data_len);
        assert_eq!(out.len(), len, "{data_len}");
        let [nsid, keepalive, (12, padding)] = options(&out)[..] else { panic!("{out:?}") };
        assert_eq!((nsid, keepalive, padding), ((3, 5), (11, 2), len - bare - data_len));
    }
    let padding = through(ENCRYPTED, ALL_OPTIONS, 100);
    assert!(padding.ends_with(&[0; 468 - 61 - 100]), "it says nothing");
}

#[test]
fn padding_takes_no_room_from_the_answer() {
    let bare = 61;
    let longest = usize::from(u16::MAX) - bare + 4;
    let len = |data_len| {
        let out = through(ENCRYPTED, ALL_OPTIONS, data_len);
        (out.len(), out[2] & 2 != 0)
    };
    // 140 blocks are 65,520 octets; behind them there is only the rest.
    assert_eq!(len(65_520 - bare), (65_520, false));
    assert_eq!(len(65_521 - bare), (65_535, false));
    assert_eq!(len(longest - 4), (65_535, false), "an option without octets");
    assert_eq!(len(longest - 3), (65_532, false), "no room for the option");
    assert_eq!(len(longest), (65_535, false));
    assert_eq!(len(longest + 1), (468, true), "and the rest that is told is padded");
}

#[test]
fn a_channel_adds_what_it_has_to_who_asks_for_it() {
    let codes = |channel, opt| {
        let all = options(&through(channel, opt, 4));
        all.into_iter().map(|(code, _)| code).collect::<Vec<_>>()
    };
    assert_eq!(codes(ENCRYPTED, ALL_OPTIONS), [3, 11, 12]);
    assert_eq!(codes(ENCRYPTED, OPT), [3], "neither asked for");
    assert_eq!(codes(Channel::default(), ALL_OPTIONS), [3], "by UDP");
    let tcp = Channel { keepalive: Some(100), padded: false };
    assert_eq!(codes(tcp, ALL_OPTIONS), [3, 11], "RFC 7830 section 6: encrypted or not at all");
    let out = through(tcp, ALL_OPTIONS, 4);
    assert!(out.ends_with(b"\x00\x0b\x00\x02\x00\x64"), "10 s in units of 100 ms");
}

/// A reply to the longest question that tells four errors, to a client that takes 512 octets.
fn reply_with_errors(nsid: &[u8], text: &'static str) -> Vec<u8> {
    let label = [&[63], [b'a'; 63].as_slice()].concat();
    let mut bytes = packet(0x0100, b"");
    bytes[11] = 1;
    bytes.truncate(12);
    bytes.extend(
        [label.as_slice(), &label, &label, &[61], &label[1..62], b"\0\0\x01\0\x01"].concat(),
    );
    bytes.extend(OPT);
    let Packet::Query(query) = Packet::read(&bytes) else { panic!("not a query") };
    let mut out = Vec::new();
    let reply = Reply::start(&query, &mut out);
    let errors = [3, 9, 22, 23].map(|code| ExtendedError { code: Ede(code), text: text.into() });
    reply.finish(Rcode::NOERROR, false, Limit::Datagram, nsid, &errors);
    out
}

#[test]
fn an_opt_gives_way_to_the_clients_size() {
    let told = |nsid: &[u8], text| {
        let out = reply_with_errors(nsid, text);
        assert!(out.len() <= 512, "{}", out.len());
        let message = Message::from_slice(&out).unwrap();
        assert_eq!(message.header_counts().arcount(), 1);
        let opt = message.opt().unwrap();
        let errors = opt.opt().iter::<domain::base::opt::ExtendedError<_>>().map(Result::unwrap);
        let errors: Vec<_> = errors
            .map(|error| (error.code().to_int(), error.text_slice().unwrap_or_default().len()))
            .collect();
        (
            errors,
            opt.opt().first::<Nsid<_>>().map(|nsid| nsid.as_slice().len()),
            message.header().tc(),
        )
    };
    // 12 header, 255 + 4 question and an OPT of 11 leave 230.
    let short = vec![(3, 10), (9, 10), (22, 10), (23, 10)];
    assert_eq!(told(b"hub-a", "ten octets"), (short, Some(5), false));
    let wordless = vec![(3, 0), (9, 0), (22, 0), (23, 0)];
    let long = "a text of sixty octets, of which four together are too long.";
    assert_eq!(told(b"hub-a", long), (wordless, Some(5), true));
    assert_eq!(told(&[b'n'; 214], long), (vec![(3, 0), (9, 0)], Some(214), true));
    assert_eq!(told(&[b'n'; 255], long), (vec![], None, true));
}

#[test]
fn a_cookie_keeps_its_place_when_words_and_errors_go() {
    let mut bytes = packet(0x0100, OPT);
    let label = [&[63], [b'a'; 63].as_slice()].concat();
    let name = [label.as_slice(), &label, &label, &[61], &label[1..62], b"\0\0\x01\0\x01"].concat();
    bytes.splice(12..19, name);
    // An NSID is asked for, and a cookie sent.
    let rdlen_at = bytes.len() - 5;
    bytes[rdlen_at] = 16;
    bytes.extend(b"\x00\x0a\x00\x0801234567");
    let Packet::Query(query) = Packet::read(&bytes) else { panic!("not a query") };
    let cookie = query.edns.unwrap().cookie.unwrap();
    let secrets = CookieSecrets { current: CookieSecret([7; 16]), former: vec![] };
    let (_, cookie) = cookie.answer(&secrets, [192, 0, 2, 1].into(), 1);
    let told = |nsid: &[u8], text: &'static str| {
        let mut out = Vec::new();
        let mut reply = Reply::start(&query, &mut out);
        reply.cookie(Some(cookie));
        let errors =
            [3, 9, 22, 23].map(|code| ExtendedError { code: Ede(code), text: text.into() });
        reply.finish(Rcode::NOERROR, false, Limit::Datagram, nsid, &errors);
        assert!(out.len() <= 512, "{}", out.len());
        let message = Message::from_slice(&out).unwrap();
        let opt = message.opt().unwrap();
        let errors = opt.opt().iter::<domain::base::opt::ExtendedError<_>>().count();
        let told = opt.opt().cookie().unwrap();
        assert_eq!(told.client().into_octets().as_slice(), b"01234567");
        assert!(out.windows(24).any(|octets| octets == cookie.parts().concat()));
        (errors, opt.opt().first::<Nsid<_>>().is_some())
    };
    assert_eq!(told(b"hub-a", "a text of forty octets, four are too long"), (4, true));
    assert_eq!(told(&[b'n'; 190], ""), (1, true));
    assert_eq!(told(&[b'n'; 255], ""), (0, false));
}

#[test]
fn a_code_whose_upper_bits_cannot_be_told_is_servfail() {
    let out = reply(&packet(0x0100, b""), false, Limit::Datagram, 4);
    assert_eq!(out[3] & 0xF, 2);
}

#[test]
fn a_reject_says_no_more_than_it_must() {
    let told = |bytes: &[u8]| {
        let Packet::Reject(reject) = Packet::read(bytes) else { panic!("not a reject") };
        let mut out = Vec::new();
        write_reject(&reject, None, &mut out);
        out
    };
    let update = told(&packet(0x2900, b""));
    assert_eq!(update, b"\xab\xcd\xa9\x84\0\0\0\0\0\0\0\0");
    let mut version_1 = OPT.to_vec();
    version_1[6] = 1;
    let out = told(&packet(0x0100, &version_1));
    let message = Message::from_slice(&out).unwrap();
    assert_eq!(message.opt_rcode().to_int(), 16);
    assert_eq!(message.header_counts().qdcount(), 1);
}
