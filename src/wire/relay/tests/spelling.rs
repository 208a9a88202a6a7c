//! A question in random case (0x20): what we drew for the upstream is nobody else's to see.

use super::*;

#[test]
fn the_case_drawn_for_an_upstream_is_told_to_nobody() {
    let question = question("a.b.old.example", RecordType::A);
    // The upstream spells everything that it took from the question as it was asked.
    let mut response = response(
        &question,
        DomainRcode::NOERROR,
        [
            &[
                "old.example. 300 DNAME new.example.",
                "A.b.oLD.exAMPle. 300 CNAME A.b.new.example.",
                "A.b.new.example. 300 CNAME Host.exAMPle.",
                "Host.exAMPle. 60 A 192.0.2.1",
            ],
            &["exAMPle. 60 SOA 30"],
            &[],
        ],
    );
    response[12..29].copy_from_slice(b"\x01A\x01b\x03oLD\x07exAMPle\x00");
    let relay = Relay::read(&question, &response).unwrap();
    let told = told(&relay, &question, "a.b.old.example", Age::Passed(Duration::ZERO));
    insta::assert_snapshot!(lines(&told), @r"
    NOERROR
    old.example 300 DNAME new.example
    a.b.old.example 300 CNAME a.b.new.example
    a.b.new.example 300 CNAME Host.example
    Host.example 60 A 192.0.2.1
    -
    example 60 SOA m r 1 1 2 3 30
    -
    ");
}
