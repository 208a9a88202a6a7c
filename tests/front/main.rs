//! The resolvers that stand between clients and hubdns, for real, as `docs/RESOLVERS.md` configures
//! them: what a client of each gets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod exported;
mod libc;
mod software;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::time::Duration;

use crate::{
    software::{
        BIND, BY_NAME, DNSMASQ, EVERY, KNOT_RESOLVER, POWERDNS_RECURSOR, SYSTEMD_RESOLVED,
        Software, UNBOUND, fences,
    },
    support::{DigAnswer, Resolver, eventually},
    world::{BOGUS, MANY, PRIVATE, SIGNED, World},
};

/// The demo's SQS.
const OURS: &str = "sqs.eu-west-1.amazonaws.com";
const ADDRESSES: [&str; 3] = ["10.20.1.20", "10.20.2.18", "10.20.3.21"];

/// A resolver that has just started may be busy with the root's keys.
const SETTLED_LIMIT: Duration = Duration::from_secs(20);

#[test]
fn every_block_of_the_document_is_run() {
    let mut run: Vec<String> = vec!["libc forward".to_owned()];
    for software in EVERY {
        run.extend(["forward", "except"].map(|what| format!("{} {what}", software.name)));
    }
    run.extend(BY_NAME.iter().map(|software| format!("{} region", software.name)));
    let mut told = fences();
    told.sort_unstable();
    run.sort_unstable();
    assert_eq!(told, run);
}

#[test]
fn dig_asks_hubdns_itself() {
    let world = World::signed("");
    common(&|args| world.hubdns.dig(args));
    signatures(&|args| world.hubdns.dig(args));
    moved(&|args| world.hubdns.dig(args));
}

#[test]
fn unbound_in_front_of_hubdns() {
    let validating = in_front(&UNBOUND);
    let complaint = "wrong 0x20-ID";
    assert!(!validating.log().contains(complaint), "a spelling came back changed");
}

#[test]
fn bind_in_front_of_hubdns() {
    in_front(&BIND);
}

#[test]
fn knot_resolver_in_front_of_hubdns() {
    in_front(&KNOT_RESOLVER);
}

#[test]
fn powerdns_recursor_in_front_of_hubdns() {
    in_front(&POWERDNS_RECURSOR);
}

#[test]
fn dnsmasq_in_front_of_hubdns() {
    in_front(&DNSMASQ);
}

#[test]
fn systemd_resolved_in_front_of_hubdns() {
    in_front(&SYSTEMD_RESOLVED);
}

#[test]
fn without_dnssec_upstream_a_validating_resolver_needs_the_exception() {
    let world = World::bare();
    for software in EVERY {
        let start = |except| software.start(world.hubdns.dns(), Some(&world.anchor), except);
        let ours = format!("{OURS} A +timeout=15");
        let strict = start(None);
        let refused = strict.dig(&ours);
        assert_eq!(refused.status, "SERVFAIL", "{}: {}", software.name, refused.raw);
        drop(strict);
        let excepting = start(Some("amazonaws.com"));
        settled(&excepting, software.name);
        assert_eq!(excepting.dig(&ours).data("A"), ADDRESSES, "{}", software.name);
        let other = excepting.dig("www.corp.example A +timeout=15");
        assert_eq!(other.status, "SERVFAIL", "{}: {}", software.name, other.raw);
    }
}

#[test]
fn who_asks_over_tcp_alone_gets_the_same() {
    let world = World::signed("");
    let mut asked = 0;
    for resolver in EVERY.iter().filter_map(|it| it.start_over_tcp(world.hubdns.dns())) {
        settled(&resolver, "what asks over TCP");
        common(&|args| resolver.dig(args));
        asked += 1;
    }
    assert_eq!(asked, 3);
    let (_, page) = world.hubdns.get("/metrics");
    let asked = page.lines().filter(|line| line.starts_with("hubdns_dns_requests_total{"));
    let by = |proto: &str| {
        let of_it = asked.clone().filter(|line| line.contains(&format!("proto=\"{proto}\"")));
        of_it.filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).sum::<u32>()
    };
    assert_eq!(by("udp"), 0, "{page}");
    // Each asks for the names above at least once; what it asks besides is its own affair.
    assert!(24 <= by("tcp"), "{page}");
}

/// The proof that `amazonaws.com` is not signed comes from elsewhere, so nothing is to be excepted.
#[test]
fn who_forwards_a_regions_names_alone_validates_and_believes_them() {
    let world = World::signed("");
    for software in BY_NAME {
        let resolver =
            software.start_for_a_region(world.hubdns.dns(), world.upstream(), &world.anchor);
        settled(&resolver, software.name);
        assert_eq!(resolver.dig(&format!("{OURS} A")).data("A"), ADDRESSES, "{}", software.name);
        let signed = resolver.dig(&format!("{SIGNED} A +dnssec"));
        assert!(signed.has("ad"), "{}: {}", software.name, signed.raw);
        let falsified = resolver.dig(&format!("{BOGUS} A +timeout=10"));
        assert_eq!(falsified.status, "SERVFAIL", "{}: {}", software.name, falsified.raw);
        // hubdns' own name, which it would be told of there and is not elsewhere.
        let elsewhere = resolver.dig(&format!("{PRIVATE} A +timeout=10"));
        assert_eq!(elsewhere.status, "NXDOMAIN", "{}: {}", software.name, elsewhere.raw);
    }
}

/// Everything that a client of this software asks, with and without validation. What is returned
/// validates.
#[track_caller]
fn in_front(software: &Software) -> Resolver {
    let world = World::signed("");
    let start = |anchor, except| software.start(world.hubdns.dns(), anchor, except);
    let anchor = Some(world.anchor.as_str());

    let plain = start(None, None);
    settled(&plain, software.name);
    common(&|args| plain.dig(args));
    assert_eq!(plain.dig(&format!("{PRIVATE} A")).data("A"), ADDRESSES);
    if software.passes_signatures_on {
        signatures(&|args| plain.dig(args));
    }
    drop(plain);

    let excepting = start(anchor, Some(PRIVATE));
    settled(&excepting, software.name);
    assert_eq!(excepting.dig(&format!("{PRIVATE} A")).data("A"), ADDRESSES);
    drop(excepting);

    let validating = start(anchor, None);
    settled(&validating, software.name);
    let private = validating.dig(&format!("{PRIVATE} A"));
    let believed = private.data("A") == ADDRESSES;
    assert_eq!(believed, software.believes_private_names, "{}", private.raw);
    common(&|args| validating.dig(args));
    signatures(&|args| validating.dig(args));
    if software.validates_dnames {
        moved(&|args| validating.dig(args));
    }
    validated(&|args| validating.dig(args), software);
    validating
}

/// Waits until it answers for the first time.
#[track_caller]
fn settled(resolver: &Resolver, name: &str) {
    eventually(&format!("{name} answers for us"), SETTLED_LIMIT, || {
        (resolver.dig(&format!("{OURS} A")).status == "NOERROR").then_some(())
    });
}

/// What all get, over UDP and then over TCP.
#[track_caller]
fn common(dig: &dyn Fn(&str) -> DigAnswer) {
    for transport in ["", " +tcp"] {
        let ask = |args: &str| dig(&format!("{args} +timeout=10{transport}"));
        let ours = ask(&format!("{OURS} A"));
        assert_eq!((ours.status.as_str(), ours.data("A")), ("NOERROR", ADDRESSES.to_vec()));
        let spelled = ask("sQs.EU-wesT-1.amaZonaws.COM A");
        assert_eq!(spelled.data("A"), ADDRESSES, "{}", spelled.raw);
        assert_eq!(spelled.question[0], "sQs.EU-wesT-1.amaZonaws.COM.");
        // Not 2001:db8:aaaa::1, which the upstream has.
        let absent = ask(&format!("{OURS} AAAA"));
        assert_eq!((absent.status.as_str(), absent.answer.len()), ("NOERROR", 0), "{}", absent.raw);
        let forwarded = ask("www.corp.example A");
        assert_eq!(forwarded.data("A"), ["192.0.2.80"], "{}", forwarded.raw);
        let missing = ask("missing.corp.example A");
        assert_eq!((missing.status.as_str(), missing.answer.len()), ("NXDOMAIN", 0));
        let chain = ask("queue.corp.example A");
        let names = ["chain.corp.example.", "sqs.eu-west-1.amazonaws.com."];
        assert_eq!(chain.data("CNAME"), names, "{}", chain.raw);
        assert_eq!(chain.data("A"), ADDRESSES, "{}", chain.raw);
        for (name, rtype, records) in [("big", "TXT", 1), ("many", "A", MANY)] {
            // dig asks again over TCP by itself.
            let big = ask(&format!("{name}.corp.example {rtype}"));
            assert_eq!(big.data(rtype).len(), records, "{}", big.raw);
            assert_eq!(big.transport, "TCP", "{}", big.raw);
        }
    }
}

/// What a client that sets DO gets of a signed zone.
#[track_caller]
fn signatures(dig: &dyn Fn(&str) -> DigAnswer) {
    for transport in ["", " +tcp"] {
        let ask = |args: &str| dig(&format!("{args} +dnssec +timeout=10{transport}"));
        let signed = ask("wWw.sIgned.eXample A");
        assert_eq!(signed.data("A"), ["192.0.2.70"], "{}", signed.raw);
        assert_eq!(signed.data("RRSIG").len(), 1, "{}", signed.raw);
        let big = ask("big.signed.example TXT");
        assert_eq!((big.data("TXT").len(), big.data("RRSIG").len()), (1, 1), "{}", big.raw);
        let missing = ask("zzz.signed.example A");
        assert_eq!(missing.status, "NXDOMAIN");
        let proofs = missing.authority.iter().filter(|record| record.rtype == "NSEC");
        assert_ne!(proofs.count(), 0, "{}", missing.raw);
    }
}

/// What such a client gets of a name that a DNAME makes. The alias has no signature of its own, so
/// it stands and falls with the DNAME's (RFC 6672 section 5.3.1).
#[track_caller]
fn moved(dig: &dyn Fn(&str) -> DigAnswer) {
    let moved = dig("www.old.signed.example A +dnssec +timeout=10");
    assert_eq!(moved.data("A"), ["192.0.2.70"], "{}", moved.raw);
    let over_dname = moved.data("RRSIG").iter().filter(|data| data.starts_with("DNAME")).count();
    assert_eq!(over_dname, 1, "{}", moved.raw);
}

/// What a validating resolver makes of it.
#[track_caller]
fn validated(dig: &dyn Fn(&str) -> DigAnswer, software: &Software) {
    for transport in ["", " +tcp"] {
        let ask = |args: &str| dig(&format!("{args} +timeout=10{transport}"));
        for asked in [&format!("{SIGNED} A"), "zzz.signed.example A", "big.signed.example TXT"] {
            let sure = ask(&format!("{asked} +dnssec"));
            assert!(sure.has("ad"), "{}", sure.raw);
        }
        for asked in [OURS, "www.corp.example"] {
            let unsigned = ask(&format!("{asked} A +dnssec"));
            assert_eq!(unsigned.status, "NOERROR");
            assert!(!unsigned.has("ad"), "{}", unsigned.raw);
        }
        let falsified = ask(&format!("{BOGUS} A"));
        assert_eq!(falsified.status, "SERVFAIL", "{}", falsified.raw);
        if software.obeys_cd {
            let unchecked = ask(&format!("{BOGUS} A +cd"));
            assert_eq!(unchecked.data("A"), ["192.0.2.67"], "{}", unchecked.raw);
        }
    }
}
