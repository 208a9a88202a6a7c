//! Packets of every sort against what they are taken for.

use proptest::prelude::*;

use super::{Edns, Packet};
use crate::base::{Rcode, RecordType};

/// A header with id 0x1234, these flags and counts, and this body.
fn packet(flags: u16, counts: [u16; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = 0x1234u16.to_be_bytes().to_vec();
    bytes.extend(flags.to_be_bytes());
    bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    bytes.extend(body);
    bytes
}

const QUESTION: &[u8] = b"\x03sQs\x03AwS\x00\x00\x1c\x00\x01";
const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x04\x00\x03\x00\x00";

fn rcode_of(bytes: &[u8]) -> Option<Rcode> {
    match Packet::read(bytes) {
        Packet::Reject(reject) => Some(reject.rcode),
        Packet::Query(_) | Packet::Short | Packet::Response => None,
    }
}

#[test]
fn a_plain_question_is_read_with_its_spelling_kept() {
    let bytes = packet(0x0100, [1, 0, 0, 0], QUESTION);
    let Packet::Query(query) = Packet::read(&bytes) else { panic!("not a query") };
    assert_eq!(query.id, 0x1234);
    assert_eq!(query.asking().to_question().name.to_string(), "sqs.aws");
    assert_eq!(query.question(), QUESTION);
    assert_eq!((query.rtype, query.class), (RecordType::AAAA, 1));
    assert!(query.recursion_desired && !query.checking_disabled);
    assert_eq!(query.edns, None);
}

#[test]
fn opt_is_read() {
    let bytes = packet(0x0110, [1, 0, 0, 1], &[QUESTION, OPT].concat());
    let Packet::Query(query) = Packet::read(&bytes) else { panic!("not a query") };
    let edns = Edns {
        udp_size: 1232,
        dnssec_ok: true,
        wants_nsid: true,
        wants_keepalive: false,
        wants_padding: false,
        cookie: None,
    };
    assert_eq!(query.edns, Some(edns));
    assert!(query.checking_disabled);
}

#[test]
fn each_option_is_seen_wherever_it_stands() {
    // A keepalive without data, and three octets of padding before it.
    let opt = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x0b\
        \x00\x0c\x00\x03\x00\x00\x00\x00\x0b\x00\x00";
    let bytes = packet(0x0100, [1, 0, 0, 1], &[QUESTION, opt].concat());
    let Packet::Query(query) = Packet::read(&bytes) else { panic!("not a query") };
    let edns = query.edns.unwrap();
    assert!(edns.wants_padding && edns.wants_keepalive && !edns.wants_nsid);
}

#[test]
fn a_query_without_a_question_is_read_for_its_cookie() {
    let cookie = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x0c\x00\x0a\x00\x0801234567";
    let bytes = packet(0x0100, [0, 0, 0, 1], cookie);
    let Packet::Reject(reject) = Packet::read(&bytes) else { panic!("not a code alone") };
    assert_eq!((reject.rcode, reject.edns, reject.question), (Rcode::NOERROR, true, &[][..]));
    assert!(reject.cookie.is_some());
    assert_eq!(rcode_of(&packet(0x0100, [0, 0, 0, 1], OPT)), Some(Rcode::FORMERR));
}

#[test]
fn of_two_cookies_the_first_counts_and_one_of_a_wrong_length_is_an_error() {
    let with = |options: &[u8]| {
        let len = u8::try_from(options.len()).unwrap();
        let opt = [b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00".as_slice(), &[len], options];
        packet(0x0100, [1, 0, 0, 1], &[QUESTION, &opt.concat()].concat())
    };
    let cookie = |value: &[u8]| [&[0, 10, 0, u8::try_from(value.len()).unwrap()], value].concat();
    let (one, other) = (cookie(b"01234567"), cookie(b"abcdefgh"));
    let read = |bytes: &[u8]| match Packet::read(bytes) {
        Packet::Query(query) => query.edns.unwrap().cookie,
        Packet::Reject(_) | Packet::Short | Packet::Response => None,
    };
    let (first, both) = (with(&one), with(&[one.as_slice(), &other].concat()));
    assert!(read(&first).is_some());
    assert_eq!(read(&both), read(&first));
    let bytes = with(&cookie(b"012345678"));
    let Packet::Reject(reject) = Packet::read(&bytes) else { panic!("not a reject") };
    assert_eq!((reject.rcode, reject.question, reject.edns), (Rcode::FORMERR, QUESTION, true));
}

#[test]
fn what_is_not_a_query_is_not_answered() {
    assert!(matches!(Packet::read(&[0; 11]), Packet::Short));
    let response = packet(0x8180, [1, 0, 0, 0], QUESTION);
    assert!(matches!(Packet::read(&response), Packet::Response));
}

#[test]
fn errors_are_told_apart() {
    let reads = |flags, counts, body: &[u8]| rcode_of(&packet(flags, counts, body));
    assert_eq!(reads(0x2800, [1, 0, 0, 0], QUESTION), Some(Rcode::NOTIMP));
    assert_eq!(reads(0x0100, [0, 0, 0, 0], b""), Some(Rcode::FORMERR));
    let two = [QUESTION, QUESTION].concat();
    assert_eq!(reads(0x0100, [2, 0, 0, 0], &two), Some(Rcode::FORMERR));
    assert_eq!(reads(0x0100, [1, 0, 0, 0], b"\x03sqs"), Some(Rcode::FORMERR));
    assert_eq!(reads(0x0100, [1, 0, 0, 0], b"\xc0\x0c\x00\x01\x00\x01"), Some(Rcode::FORMERR));
    let long = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4);
    let long = [long.as_slice(), b"\x00\x00\x01\x00\x01"].concat();
    assert_eq!(reads(0x0100, [1, 0, 0, 0], &long), Some(Rcode::FORMERR));
}

#[test]
fn opt_errors_are_told_apart_and_the_question_goes_back() {
    let body = |opts: &[&[u8]]| [&[QUESTION], opts].concat().concat();
    let two = packet(0x0100, [1, 0, 0, 2], &body(&[OPT, OPT]));
    assert_eq!(rcode_of(&two), Some(Rcode::FORMERR));
    let cut = packet(0x0100, [1, 0, 0, 1], &body(&[&OPT[..9]]));
    assert_eq!(rcode_of(&cut), Some(Rcode::FORMERR));
    let version_1 = b"\x00\x00\x29\x04\xd0\x00\x01\x00\x00\x00\x00".as_slice();
    let bytes = packet(0x0100, [1, 0, 0, 1], &body(&[version_1]));
    let Packet::Reject(reject) = Packet::read(&bytes) else { panic!("not a reject") };
    assert_eq!((reject.rcode, reject.question, reject.edns), (Rcode::BADVERS, QUESTION, true));
}

proptest! {
    #[test]
    fn any_bytes_end_with_a_value(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Packet::read(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_header_end_with_a_value(
        body in prop::collection::vec(any::<u8>(), 0..300),
        counts in any::<[u8; 3]>(),
    ) {
        let counts = [1, counts[0].into(), counts[1].into(), counts[2].into()];
        if let Packet::Query(query) = Packet::read(&packet(0x0100, counts, &body)) {
            prop_assert!(query.name_wire().len() + 4 == query.question().len());
            let name = query.asking().to_question().name;
            prop_assert_eq!(name.as_wire(), query.name_wire());
        }
    }

    #[test]
    fn a_changed_octet_never_panics(at in 0usize..60, value in any::<u8>()) {
        let mut bytes = packet(0x0110, [1, 0, 0, 1], &[QUESTION, OPT].concat());
        if let Some(place) = bytes.get_mut(at) {
            *place = value;
        }
        let _ = Packet::read(&bytes);
    }
}
