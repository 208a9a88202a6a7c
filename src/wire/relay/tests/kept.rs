//! What of an upstream's response is passed on, and what is dropped.

use domain::base::UnknownRecordData;

use super::*;
use crate::{
    base::{Ttl, TtlBounds},
    wire::u32_at,
};

#[test]
fn records_of_other_names_are_dropped() {
    let question = question("a.example", RecordType::A);
    let response = response(
        &question,
        DomainRcode::NOERROR,
        [
            &["a.example. 60 A 192.0.2.1", "bank.example. 60 A 203.0.113.6"],
            &["other. 60 NS ns.other.", "example. 60 NS ns.example."],
            &[
                "ns.example. 60 A 192.0.2.53",
                "ns.example. 60 TXT not-an-address",
                "ns.other. 60 A 203.0.113.6",
                "bank.example. 60 A 203.0.113.6",
            ],
        ],
    );
    let relay = Relay::read(&question, &response).unwrap();
    insta::assert_snapshot!(lines(&told(&relay, &question, "a.example", Age::Passed(Duration::ZERO))), @r"
    NOERROR
    a.example 60 A 192.0.2.1
    -
    example 60 NS ns.example
    -
    ns.example 60 A 192.0.2.53
    ");
}

#[test]
fn addresses_of_the_hosts_that_an_answer_names_are_kept() {
    let question = question("example", RecordType::MX);
    let sections: [&[&str]; 3] =
        [&["example. 60 MX mail.other."], &[], &["mail.other. 60 A 192.0.2.25"]];
    let response = response(&question, DomainRcode::NOERROR, sections);
    let relay = Relay::read(&question, &response).unwrap();
    insta::assert_snapshot!(lines(&told(&relay, &question, "example", Age::Passed(Duration::ZERO))), @r"
    NOERROR
    example 60 MX 10 mail.other
    -
    -
    mail.other 60 A 192.0.2.25
    ");
}

#[test]
fn authority_records_of_other_names_decide_nothing() {
    let question = question("a.example", RecordType::A);
    let read = |authority: &[&str]| {
        let response = response(&question, DomainRcode::NOERROR, [&[], authority, &[]]);
        Relay::read(&question, &response).map(|relay| relay.lifetime().as_secs())
    };
    assert_eq!(read(&["other. 900 SOA 60"]), Ok(0));
    assert_eq!(read(&["other. 900 SOA 60", "example. 900 SOA 30"]), Ok(30));
    assert_eq!(read(&["other. 60 NS ns.other."]), Ok(0), "no referral of ours");
    let other_soa = ["example. 60 NS ns.example.", "other. 900 SOA 60"];
    assert_eq!(read(&other_soa), Err(RelayError::Referral));
}

#[test]
fn of_two_aliases_of_one_name_the_first_counts() {
    let question = question("a.example", RecordType::A);
    let sections: [&[&str]; 3] = [
        &[
            "a.example. 60 CNAME b.example.",
            "a.example. 60 CNAME c.example.",
            "b.example. 60 A 192.0.2.1",
        ],
        &[],
        &[],
    ];
    let response = response(&question, DomainRcode::NOERROR, sections);
    let relay = Relay::read(&question, &response).unwrap();
    let out = told(&relay, &question, "a.example", Age::Passed(Duration::ZERO));
    // Header and question of 11 + 4; the alias's owner to length of 12, then its target.
    assert_eq!(relay.hops()[0].target_at, 12 + 15 + 12);
    insta::assert_snapshot!(lines(&out), @r"
    NOERROR
    a.example 60 CNAME b.example
    b.example 60 A 192.0.2.1
    -
    -
    ");
}

#[test]
fn pointers_in_data_are_written_out() {
    // An answer to `a.example` whose data points at the question's `example`.
    let read = |rtype: u16, data: &[u8]| {
        let question = question("a.example", RecordType(rtype));
        let mut bytes = upstream_query(&question, 1);
        bytes.truncate(12 + 11 + 4);
        bytes[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        bytes.extend([0xC0, 12]);
        bytes.extend(rtype.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]);
        bytes.extend(data);
        let relay = Relay::read(&question, &bytes).unwrap();
        relay.records()[12..].to_vec()
    };
    let (pointer, name) = ([0xC0, 14], b"\x07example\x00".as_slice());
    assert_eq!(read(17, &[pointer, pointer].concat()), [name, name].concat(), "RP");
    let with_preference = [b"\x00\x0a", name].concat();
    assert_eq!(read(18, &[[0, 10], pointer].concat()), with_preference, "AFSDB");
    assert_eq!(read(21, &[[0, 10], pointer].concat()), with_preference, "RT");
    let two_names = [&with_preference, name].concat();
    assert_eq!(read(26, &[[0, 10], pointer, pointer].concat()), two_names, "PX");
    assert_eq!(read(30, &[pointer, [0, 4]].concat()), [name, &[0, 4]].concat(), "NXT");
}

#[test]
fn an_upstreams_extended_errors_are_cut_and_weighed() {
    let question = question("a.example", RecordType::A);
    let with_text = |len: usize| {
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_qr(true);
        let qname = DomainName::from_octets(question.name.as_wire().to_vec()).unwrap();
        builder.push((qname, Rtype::A)).unwrap();
        let text = [&[0, 9], vec![b'x'; len].as_slice()].concat();
        let option_len = u16::try_from(text.len()).unwrap();
        let mut builder = builder.additional();
        builder
            .opt(|opt| {
                let code = OptionCode::EXTENDED_ERROR;
                opt.push_raw_option(code, option_len, |out| out.append_slice(&text))
            })
            .unwrap();
        Relay::read(&question, &builder.finish()).unwrap()
    };
    let (short, long) = (with_text(0), with_text(9_000));
    assert_eq!(long.errors()[0].text.len(), 152);
    assert_eq!(long.weight(), short.weight() + 152);
}

#[test]
fn ttls_are_moved_into_their_bounds() {
    let bounded = |lines: [&[&str]; 3], rcode| {
        let secs = |secs| Ttl::from_secs(secs).unwrap();
        let bounds = TtlBounds { min: secs(30), max: secs(600), negative_max: secs(60) };
        let question = question("a.example", RecordType::A);
        let response = response(&question, rcode, lines);
        let relay = Relay::read(&question, &response).unwrap().bounded(&bounds);
        let told = |place: &u16| u32_at(&relay.records, usize::from(*place) - relay.body_at);
        let ttls: Vec<u32> = relay.ttl_places().iter().map(|place| told(place).unwrap()).collect();
        (ttls, relay.lifetime().as_secs())
    };
    let answer: &[&str] = &["a.example 5 CNAME b.example", "b.example 900 A 192.0.2.1"];
    assert_eq!(bounded([answer, &[], &[]], DomainRcode::NOERROR), (vec![30, 600], 30));
    let zero: &[&str] = &["a.example 0 A 192.0.2.1"];
    assert_eq!(bounded([zero, &[], &[]], DomainRcode::NOERROR), (vec![30], 30));
    let soa: &[&str] = &["example 900 SOA 900"];
    assert_eq!(bounded([&[], soa, &[]], DomainRcode::NXDOMAIN), (vec![60], 60));
    let short: &[&str] = &["example 5 SOA 5"];
    assert_eq!(bounded([&[], short, &[]], DomainRcode::NXDOMAIN), (vec![5], 5), "no least");
    assert_eq!(bounded([&[], &[], &[]], DomainRcode::NXDOMAIN), (vec![], 0), "may not be kept");
}

#[test]
fn the_greatest_ttl_holds_for_an_alias_that_ends_in_nothing() {
    let secs = |secs| Ttl::from_secs(secs).unwrap();
    let bounds = TtlBounds { min: secs(0), max: secs(60), negative_max: secs(10_800) };
    let question = question("a.example", RecordType::A);
    let sections: [&[&str]; 3] =
        [&["a.example 3600 CNAME b.example"], &["example 3600 SOA 3600"], &[]];
    let response = response(&question, DomainRcode::NOERROR, sections);
    let relay = Relay::read(&question, &response).unwrap().bounded(&bounds);
    assert!(relay.lifetime() <= secs(60), "{:?}", relay.lifetime());
}

#[test]
fn proofs_are_kept_within_the_zones_of_the_chain_alone() {
    let question = question("no.example", RecordType::A);
    // What the authority section has, as (owner, type, data); a signature is over NSEC.
    let kept = |records: &[(&str, Rtype, &str)]| {
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_qr(true);
        let qname = DomainName::from_octets(question.name.as_wire().to_vec()).unwrap();
        builder.push((qname, Rtype::A)).unwrap();
        let mut builder = builder.answer().authority();
        for (owner, rtype, at) in records {
            let at = name(at).into_octets();
            let data = match *rtype {
                // Type covered, and then 16 octets up to the signer.
                Rtype::RRSIG => [&[0, 47], [0; 16].as_slice(), &at, b"sig"].concat(),
                _ => [at.as_slice(), &[0, 1, 0x40]].concat(),
            };
            let data = UnknownRecordData::from_octets(*rtype, data).unwrap();
            let ttl = DomainTtl::from_secs(60);
            builder.push(Record::new(name(owner), Class::IN, ttl, data)).unwrap();
        }
        let relay = Relay::read(&question, &builder.finish()).unwrap();
        relay.counts()[1]
    };
    let (nsec, signed) = (Rtype::NSEC, Rtype::RRSIG);
    let proof = [("a.example.", nsec, "z.example."), ("a.example.", signed, "example.")];
    assert_eq!(kept(&proof), 2);
    // A zone that is not above the name, whatever it signs; and nobody's.
    let other = [("a.other.", nsec, "z.other."), ("a.other.", signed, "other.")];
    assert_eq!(kept(&other), 0);
    assert_eq!(kept(&[proof, other].concat()), 2);
    assert_eq!(kept(&[("a.example.", nsec, "z.example.")]), 0);
    // A signature of our zone opens no other one.
    assert_eq!(kept(&[("a.other.", nsec, "z.other."), ("a.example.", signed, "example.")]), 1);
}
