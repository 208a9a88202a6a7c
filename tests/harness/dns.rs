//! unbound is a resolver, and dig's words are read right.

use crate::support::{Unbound, dig, dig_at, try_dig};

#[test]
fn unbound_answers_as_a_resolver() {
    let unbound = Unbound::start();
    let answer = dig(unbound.port(), "www.corp.example A");
    assert_eq!(answer.status, "NOERROR");
    assert_eq!(answer.flags, ["qr", "rd", "ra"]);
    assert_eq!(answer.question, ["www.corp.example.", "IN", "A"]);
    assert_eq!(answer.data("A"), ["192.0.2.80"]);
    assert_eq!(answer.answer[0].ttl, 120);
    assert_eq!(answer.transport, "UDP");
    assert!(answer.edns.is_some());

    let none = dig(unbound.port(), "www.corp.example MX");
    assert_eq!((none.status.as_str(), none.answer.len()), ("NOERROR", 0));
    assert_eq!(none.authority[0].rtype, "SOA");
    assert_eq!(none.authority[0].ttl, Unbound::NEGATIVE_TTL_SECS);

    let unknown = dig(unbound.port(), "nowhere.corp.example A +noedns");
    assert_eq!(unknown.status, "NXDOMAIN");
    assert_eq!(unknown.authority[0].name, "corp.example.");
    assert_eq!(unknown.edns, None);

    // Not from the network either: the root is the test's.
    assert_eq!(dig(unbound.port(), "www.example.org A").status, "NXDOMAIN");
    assert_eq!(unbound.queries()[..2], ["www.corp.example. A", "www.corp.example. MX"]);
}

#[test]
fn unbound_follows_a_chain_from_one_zone_into_another() {
    let unbound = Unbound::start();
    let answer = dig(unbound.port(), "queue.corp.example A");
    assert_eq!(answer.data("CNAME"), ["chain.corp.example.", "sqs.eu-west-1.amazonaws.com."]);
    assert_eq!(answer.data("A"), ["198.51.100.1"]);

    let lost = dig(unbound.port(), "lost.corp.example A");
    assert_eq!((lost.status.as_str(), lost.answer.len()), ("NXDOMAIN", 1));
}

#[test]
fn unbound_truncates_what_is_too_big_for_udp() {
    let unbound = Unbound::start();
    let udp = dig(unbound.port(), "big.example TXT +bufsize=1232 +ignore");
    assert!(udp.has("tc"), "{}", udp.raw);
    let tcp = dig(unbound.port(), "big.example TXT +tcp");
    assert_eq!((tcp.transport.as_str(), tcp.data("TXT").len()), ("TCP", 12));
    assert!(2400 < tcp.size, "{}", tcp.raw);
}

#[test]
fn dig_reads_extended_errors_and_nsid() {
    let unbound = Unbound::start_with(
        &[],
        "ede: yes\nnsid: \"ascii_hub-a\"\naccess-control: 127.0.0.2/32 refuse\n",
    );
    let identified = dig(unbound.port(), "nowhere.example A +nsid");
    assert_eq!(identified.nsid.as_deref(), Some("hub-a"));
    let refused = dig(unbound.port(), "nowhere.example A -b 127.0.0.2");
    assert_eq!((refused.status.as_str(), refused.ede), ("REFUSED", Some(18)), "{}", refused.raw);
    assert_eq!(refused.question, ["nowhere.example.", "IN", "A"]);
}

#[test]
fn a_stopped_upstream_does_not_answer() {
    let mut unbound = Unbound::start();
    unbound.pause();
    try_dig(unbound.address(), "www.corp.example A").unwrap_err();
    unbound.resume();
    assert_eq!(dig_at(unbound.address(), "www.corp.example A").status, "NOERROR");
    unbound.stop();
    try_dig(unbound.address(), "www.corp.example A").unwrap_err();
}
