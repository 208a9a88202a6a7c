//! Chains that one response begins and another ends.

use super::*;

/// `first` and the answer to its end, as a client is told.
fn joined(
    question: &Question,
    first: [&[&str]; 3],
    rcode: DomainRcode,
    then: [&[&str]; 3],
) -> Relay {
    let first = Relay::read(question, &response(question, DomainRcode::NOERROR, first)).unwrap();
    let end = question.of(first.open_end().expect("an open end"));
    let next = Relay::read(&end, &response(&end, rcode, then)).unwrap();
    let (age, next_age) =
        (Age::Passed(Duration::from_secs(20)), Age::Passed(Duration::from_secs(3)));
    first.followed_by(question, age, &next, next_age).unwrap()
}

#[test]
fn two_responses_are_told_as_one_chain() {
    let question = question("www.partner.example", RecordType::MX);
    let relay = joined(
        &question,
        [
            &["www.partner.example. 60 CNAME www.branch.example."],
            &["partner.example. 600 NS ns.partner.example."],
            &["ns.partner.example. 600 A 192.0.2.53"],
        ],
        DomainRcode::NOERROR,
        [
            &[
                "www.branch.example. 300 CNAME web.branch.example.",
                "web.branch.example. 90 MX mail.branch.example.",
            ],
            &["branch.example. 600 NS ns.branch.example."],
            &["ns.branch.example. 600 A 192.0.2.54"],
        ],
    );
    let targets: Vec<String> = relay.hops().iter().map(|hop| hop.target.to_string()).collect();
    assert_eq!(targets, ["www.branch.example", "web.branch.example"]);
    assert_eq!((relay.open_end(), relay.errors().len()), (None, 2));
    insta::assert_snapshot!(lines(&told(&relay, &question, "Www.partner.eXample", Age::NONE)), @r"
    NOERROR
    Www.partner.eXample 40 CNAME www.branch.eXample
    www.branch.eXample 297 CNAME web.branch.eXample
    web.branch.eXample 87 MX 10 mail.branch.eXample
    -
    branch.eXample 597 NS ns.branch.eXample
    -
    ns.branch.eXample 597 A 192.0.2.54
    ");
}

#[test]
fn a_chain_has_the_code_and_the_absence_of_its_last_name() {
    let question = question("a.partner.example", RecordType::A);
    let relay = joined(
        &question,
        [&["a.partner.example. 60 CNAME no.branch.example."], &[], &[]],
        DomainRcode::NXDOMAIN,
        [&[], &["branch.example. 900 SOA 30"], &[]],
    );
    assert_eq!(relay.rcode(), Rcode::NXDOMAIN);
    insta::assert_snapshot!(lines(&told(&relay, &question, "a.partner.example", Age::NONE)), @r"
    NXDOMAIN
    a.partner.example 40 CNAME no.branch.example
    -
    branch.example 27 SOA m r 1 1 2 3 30
    -
    ");
}

#[test]
fn a_chain_is_validated_when_all_of_it_is() {
    let question = question("a.example", RecordType::A);
    let read = |question: &Question, line: &str, validated: bool| {
        let mut bytes = response(question, DomainRcode::NOERROR, [&[line], &[], &[]]);
        bytes[3] |= if validated { 0x20 } else { 0 };
        Relay::read(question, &bytes).unwrap()
    };
    for (one, other) in [(true, true), (true, false), (false, true)] {
        let first = read(&question, "a.example. 60 CNAME b.example.", one);
        let end = question.of(first.open_end().unwrap());
        let next = read(&end, "b.example. 60 A 192.0.2.1", other);
        let whole = first.followed_by(&question, Age::NONE, &next, Age::NONE).unwrap();
        assert_eq!(whole.validated(), one && other);
    }
}

#[test]
fn an_end_is_open_when_nothing_is_said_of_it() {
    let question = question("a.corp.example", RecordType::A);
    let end = |answer: &[&str], authority: &[&str]| {
        let response = response(&question, DomainRcode::NOERROR, [answer, authority, &[]]);
        let relay = Relay::read(&question, &response).unwrap();
        (relay.open_end().map(ToString::to_string), relay.lifetime().as_secs())
    };
    let alias = "a.corp.example. 60 CNAME b.other.";
    let open = (Some("b.other".to_owned()), 60);
    assert_eq!(end(&[alias], &[]), open);
    // The authority of the alias says nothing of where it leads.
    assert_eq!(end(&[alias], &["corp.example. 30 NS ns.corp.example."]), open);
    assert_eq!(end(&[alias], &["corp.example. 30 SOA 30"]), open);
    assert_eq!(end(&[alias], &["other. 30 SOA 30"]), (None, 30));
    assert_eq!(end(&[alias, "b.other. 90 A 192.0.2.1"], &[]), (None, 60));
    assert_eq!(end(&[], &["corp.example. 30 SOA 30"]), (None, 30));
}

#[test]
fn what_is_longer_than_a_message_is_not_told_as_one() {
    let question = question("a.example", RecordType::A);
    let first = response(
        &question,
        DomainRcode::NOERROR,
        [&["a.example. 60 CNAME b.other."], &["example. 60 NS ns.example."], &[]],
    );
    let first = Relay::read(&question, &first).unwrap();
    let end = question.of(first.open_end().unwrap());
    let text = "x".repeat(249);
    let line = format!("b.other. 60 TXT {text}");
    let large = question_of_type(&end, RecordType::TXT);
    let many = vec![line.as_str(); 249];
    let next = response(&large, DomainRcode::NOERROR, [&many, &[], &[]]);
    let next = Relay::read(&large, &next).unwrap();
    let of_texts = question_of_type(&question, RecordType::TXT);
    let whole = first.followed_by(&of_texts, Age::NONE, &next, Age::NONE).unwrap();
    assert_eq!(whole.counts(), [250, 0, 0]);
    let more = vec![line.as_str(); 250];
    let next = response(&large, DomainRcode::NOERROR, [&more, &[], &[]]);
    let next = Relay::read(&large, &next).unwrap();
    assert!(first.followed_by(&of_texts, Age::NONE, &next, Age::NONE).is_none());
}

fn question_of_type(question: &Question, rtype: RecordType) -> Question {
    Question { rtype, ..question.clone() }
}
