//! Upstream responses, written as lines, against what a client is told.

use std::{net::Ipv4Addr, time::Duration};

use domain::{
    base::{
        Message, MessageBuilder, Name as DomainName, Record, Rtype, Ttl as DomainTtl,
        iana::{Class, OptionCode, Rcode as DomainRcode, SecurityAlgorithm},
    },
    dep::octseq::OctetsBuilder,
    rdata::{A, AllRecordData, Cname, Dname, Mx, Ns, Rrsig, Soa, Txt, dnssec::Timestamp},
};
use proptest::prelude::*;

use super::{Relay, RelayError};
use crate::{
    base::{Ede, ExtendedError, Rcode, RecordType},
    wire::{Age, Limit, Packet, Question, Reply, upstream_query},
};

type Octets = Vec<u8>;
type Data = AllRecordData<Octets, DomainName<Octets>>;

fn question(name: &str, rtype: RecordType) -> Question {
    Question { name: name.parse().unwrap(), rtype, dnssec_ok: false, checking_disabled: false }
}

fn name(text: &str) -> DomainName<Octets> {
    text.parse().unwrap()
}

/// `owner ttl TYPE data` as a record.
fn record(line: &str) -> Record<DomainName<Octets>, Data> {
    let words: Vec<&str> = line.split(' ').collect();
    let data = match words[2] {
        "A" => A::new(words[3].parse::<Ipv4Addr>().unwrap()).into(),
        "CNAME" => Cname::new(name(words[3])).into(),
        "DNAME" => Dname::new(name(words[3])).into(),
        "RRSIG" => {
            let (covered, time) = (words[3].parse().unwrap(), Timestamp::from(1));
            let ttl = DomainTtl::from_secs(1);
            let algorithm = SecurityAlgorithm::ECDSAP256SHA256;
            let signer = name(words[4]);
            Rrsig::new(covered, algorithm, 1, ttl, time, time, 1, signer, b"sig".to_vec())
                .unwrap()
                .into()
        }
        "NS" => Ns::new(name(words[3])).into(),
        "MX" => Mx::new(10, name(words[3])).into(),
        "TXT" => Txt::build_from_slice(words[3].as_bytes()).unwrap().into(),
        "SOA" => {
            let secs = |secs| DomainTtl::from_secs(secs);
            let minimum = secs(words[3].parse().unwrap());
            let times = (secs(1), secs(2), secs(3));
            Soa::new(name("m."), name("r."), 1.into(), times.0, times.1, times.2, minimum).into()
        }
        other => panic!("no such type here: {other}"),
    };
    let ttl = DomainTtl::from_secs(words[1].parse().unwrap());
    Record::new(name(words[0]), Class::IN, ttl, data)
}

/// A response with these records, an OPT and an extended error in the additional section.
fn response(question: &Question, rcode: DomainRcode, sections: [&[&str]; 3]) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_qr(true);
    builder.header_mut().set_rcode(rcode);
    let qname = DomainName::from_octets(question.name.as_wire().to_vec()).unwrap();
    builder.push((qname, Rtype::from_int(question.rtype.0))).unwrap();
    let mut builder = builder.answer();
    sections[0].iter().for_each(|line| builder.push(record(line)).unwrap());
    let mut builder = builder.authority();
    sections[1].iter().for_each(|line| builder.push(record(line)).unwrap());
    let mut builder = builder.additional();
    let code = OptionCode::EXTENDED_ERROR;
    let option = |out: &mut Vec<u8>| out.append_slice(b"\x00\x09key");
    builder.opt(|opt| opt.push_raw_option(code, 5, option)).unwrap();
    sections[2].iter().for_each(|line| builder.push(record(line)).unwrap());
    builder.finish()
}

/// Code and records of a message, a line each; a blank between sections.
fn lines(message: &[u8]) -> String {
    let message = Message::from_slice(message).unwrap();
    let (_, answer, authority, additional) = message.sections().unwrap();
    let section = |section: domain::base::message::RecordSection<'_, [u8]>| {
        section
            .into_records::<AllRecordData<_, _>>()
            .map(Result::unwrap)
            .filter(|record| record.rtype() != Rtype::OPT)
            .map(|record| {
                let data = record.data().to_string().replace(". ", " ");
                let data = data.trim_end_matches('.');
                format!("{} {} {} {data}\n", record.owner(), record.ttl().as_secs(), record.rtype())
            })
            .collect::<String>()
    };
    let sections = [answer, authority, additional].map(section);
    format!("{}\n{}", message.header().rcode(), sections.join("-\n"))
}

/// What a client that spells the name so gets from `relay` after `age`.
fn told(relay: &Relay, question: &Question, spelled: &str, age: Age) -> Vec<u8> {
    let mut packet = upstream_query(question, 99);
    let mut at = 12;
    for label in spelled.split('.') {
        packet[at + 1..at + 1 + label.len()].copy_from_slice(label.as_bytes());
        at += label.len() + 1;
    }
    let Packet::Query(query) = Packet::read(&packet) else { panic!("not a query") };
    let mut out = Vec::new();
    let mut reply = Reply::start(&query, &mut out);
    reply.relay(relay, age);
    reply.finish(relay.rcode(), relay.validated(), Limit::Datagram, b"", relay.errors());
    out
}

#[test]
fn the_addresses_of_the_answer_are_told_and_no_others() {
    let question = question("www.example", RecordType::A);
    let sections: [&[&str]; 3] = [
        &[
            "www.example. 300 CNAME cdn.example.",
            "cdn.example. 60 A 192.0.2.1",
            "cdn.example. 60 A 192.0.2.2",
        ],
        &["example. 3600 NS ns.example."],
        &["ns.example. 3600 A 192.0.2.53"],
    ];
    let response = response(&question, DomainRcode::NOERROR, sections);
    let relay = Relay::read(&question, &response).unwrap();
    let addresses: Vec<String> = relay.addresses().map(|ip| ip.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn the_whole_response_comes_back_aged_and_in_the_clients_spelling() {
    let question = question("www.example", RecordType::A);
    let response = response(
        &question,
        DomainRcode::NOERROR,
        [
            &["www.example. 300 CNAME cdn.example.", "cdn.example. 60 A 192.0.2.1"],
            &["example. 3600 NS ns.example."],
            &["ns.example. 3600 A 192.0.2.53"],
        ],
    );
    let relay = Relay::read(&question, &response).unwrap();
    assert_eq!(relay.lifetime().as_secs(), 60);
    assert_eq!(relay.errors(), [ExtendedError { code: Ede(9), text: "key".into() }]);
    let age = Age::Passed(Duration::from_millis(7900));
    insta::assert_snapshot!(lines(&told(&relay, &question, "wWw.eXample", age)), @r"
    NOERROR
    wWw.eXample 293 CNAME cdn.eXample
    cdn.eXample 53 A 192.0.2.1
    -
    eXample 3593 NS ns.eXample
    -
    ns.eXample 3593 A 192.0.2.53
    ");
    insta::assert_snapshot!(lines(&told(&relay, &question, "www.example", Age::Stale(30))), @r"
    NOERROR
    www.example 30 CNAME cdn.example
    cdn.example 30 A 192.0.2.1
    -
    example 30 NS ns.example
    -
    ns.example 30 A 192.0.2.53
    ");
}

#[test]
fn an_absence_lives_by_its_soa() {
    let question = question("no.example", RecordType::A);
    let lifetime = |rcode, soa: &[&str]| {
        let response = response(&question, rcode, [&[], soa, &[]]);
        Relay::read(&question, &response).unwrap().lifetime().as_secs()
    };
    assert_eq!(lifetime(DomainRcode::NXDOMAIN, &["example. 900 SOA 60"]), 60);
    assert_eq!(lifetime(DomainRcode::NOERROR, &["example. 20 SOA 60"]), 20);
    assert_eq!(lifetime(DomainRcode::NXDOMAIN, &["example. 99999 SOA 99999"]), 10_800);
    assert_eq!(lifetime(DomainRcode::NXDOMAIN, &[]), 0);
    assert_eq!(lifetime(DomainRcode::SERVFAIL, &["example. 900 SOA 60"]), 0);
}

#[test]
fn an_nxdomain_behind_an_alias_keeps_its_alias() {
    let question = question("a.example", RecordType::AAAA);
    let sections: [&[&str]; 3] =
        [&["a.example. 30 CNAME b.example."], &["example. 900 SOA 60"], &[]];
    let response = response(&question, DomainRcode::NXDOMAIN, sections);
    let relay = Relay::read(&question, &response).unwrap();
    assert_eq!((relay.rcode(), relay.lifetime().as_secs()), (Rcode::NXDOMAIN, 30));
    insta::assert_snapshot!(lines(&told(&relay, &question, "a.example", Age::Passed(Duration::ZERO))), @r"
    NXDOMAIN
    a.example 30 CNAME b.example
    -
    example 60 SOA m r 1 1 2 3 60
    -
    ");
}

#[test]
fn hops_tell_where_an_alias_ends() {
    let question = question("q.corp", RecordType::A);
    let response = response(
        &question,
        DomainRcode::NOERROR,
        // The chain comes in any order; it is told in its own.
        [
            &["c.corp. 60 A 192.0.2.1", "b.corp. 60 CNAME c.corp.", "q.corp. 60 CNAME b.corp."],
            &[],
            &[],
        ],
    );
    let relay = Relay::read(&question, &response).unwrap();
    let targets: Vec<String> = relay.hops().iter().map(|hop| hop.target.to_string()).collect();
    assert_eq!(targets, ["b.corp", "c.corp"]);

    let packet = upstream_query(&question, 1);
    let Packet::Query(query) = Packet::read(&packet) else { panic!("not a query") };
    let mut out = Vec::new();
    let hop = &relay.hops()[1];
    let mut reply = Reply::start(&query, &mut out);
    reply.relay_until(&relay, hop, Age::Passed(Duration::ZERO));
    reply.answer(1, |out| {
        out.extend((0xC000 | hop.target_at).to_be_bytes());
        out.extend(b"\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x01");
    });
    reply.finish(Rcode::NOERROR, false, Limit::Datagram, b"", &[]);
    insta::assert_snapshot!(lines(&out), @r"
    NOERROR
    q.corp 60 CNAME b.corp
    b.corp 60 CNAME c.corp
    c.corp 5 A 10.0.0.1
    -
    -
    ");
}

#[test]
fn what_cannot_be_used_is_told_apart() {
    let question = question("a.example", RecordType::A);
    let read = |answer: &[&str], authority: &[&str]| {
        let response = response(&question, DomainRcode::NOERROR, [answer, authority, &[]]);
        Relay::read(&question, &response).map(|_| ())
    };
    let a_to_b = "a.example. 60 CNAME b.example.";
    let b_to_a = "b.example. 60 CNAME a.example.";
    assert_eq!(read(&[a_to_b, b_to_a], &[]), Err(RelayError::ChainLoop));
    assert_eq!(read(&[], &["example. 60 NS ns.example."]), Err(RelayError::Referral));
    let step = |at| format!("{at}.example. 60 CNAME {}.example.", at + 1);
    let long: Vec<String> = ["a.example. 60 CNAME 0.example.".to_owned()]
        .into_iter()
        .chain((0..16).map(step))
        .collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    assert_eq!(read(&long, &[]), Err(RelayError::ChainTooLong));
    assert_eq!(read(&long[..16], &[]), Ok(()));
}

#[test]
fn a_ttl_is_capped_and_the_top_bit_is_zero() {
    let question = question("a.example", RecordType::A);
    let lifetime = |ttl: u32| {
        let line = format!("a.example. {ttl} A 192.0.2.1");
        let response = response(&question, DomainRcode::NOERROR, [&[line.as_str()], &[], &[]]);
        Relay::read(&question, &response).unwrap().lifetime().as_secs()
    };
    assert_eq!(lifetime(999_999), 86_400);
    assert_eq!(lifetime(0x8000_0001), 0);
}

#[test]
fn a_reply_that_does_not_fit_is_header_question_opt_and_tc() {
    let question = question("a.example", RecordType::TXT);
    let text = "x".repeat(250);
    let line = format!("a.example. 60 TXT {text}");
    let response = response(&question, DomainRcode::NOERROR, [&[line.as_str(); 5], &[], &[]]);
    let relay = Relay::read(&question, &response).unwrap();
    let out = told(&relay, &question, "a.example", Age::Passed(Duration::ZERO));
    let message = Message::from_slice(&out).unwrap();
    assert!(message.header().tc());
    assert_eq!(message.header_counts().ancount(), 0);
    assert!(message.opt().is_some());
    insta::assert_snapshot!(lines(&out), @r"
    NOERROR
    -
    -
    ");
}

mod joined;
mod kept;
mod plain;
mod spelling;

proptest! {
    #[test]
    fn any_bytes_end_with_a_value(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Relay::read(&question("a.example", RecordType::A), &bytes);
    }

    #[test]
    fn changed_octets_never_panic_and_what_is_read_can_be_told(
        changes in prop::collection::vec((12usize..200, any::<u8>()), 1..6),
    ) {
        let question = question("www.example", RecordType::A);
        let sections: [&[&str]; 3] = [
            &["www.example. 300 CNAME cdn.example.", "cdn.example. 60 A 192.0.2.1"],
            &["example. 3600 NS ns.example.", "example. 60 SOA 30"],
            &["ns.example. 3600 MX mail.example."],
        ];
        let mut bytes = response(&question, DomainRcode::NOERROR, sections);
        for (at, value) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = value;
            }
        }
        if let Ok(relay) = Relay::read(&question, &bytes) {
            let out = told(&relay, &question, "www.example", Age::Passed(Duration::ZERO));
            let message = Message::from_slice(&out).unwrap();
            prop_assert!(message.sections().is_ok());
            prop_assert!(message.iter().all(|record| record.is_ok()));
        }
    }
}

#[test]
fn a_dname_comes_with_its_signature_and_none_of_other_owners() {
    let question = question("www.old.example", RecordType::A);
    let answer = [
        "old.example. 60 DNAME new.example.",
        "old.example. 60 RRSIG DNAME example.",
        "old.example. 60 RRSIG A example.",
        "older.example. 60 RRSIG DNAME example.",
        "www.old.example. 60 CNAME www.new.example.",
        "www.new.example. 60 A 192.0.2.1",
    ];
    let response = response(&question, DomainRcode::NOERROR, [&answer, &[], &[]]);
    let relay = Relay::read(&question, &response).unwrap();
    let told = told(&relay, &question, "www.old.example", Age::Passed(Duration::ZERO));
    insta::assert_snapshot!(lines(&told), @r"
    NOERROR
    old.example 60 DNAME new.example
    old.example 60 RRSIG DNAME 13 1 1 1 1 1 example c2ln
    www.old.example 60 CNAME www.new.example
    www.new.example 60 A 192.0.2.1
    -
    -
    ");
}
