//! Where the daemon can be asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    SQS, recorded, status,
    support::{Hubdns, dig_at, try_dig},
};

fn listening(entries: &str) -> Hubdns {
    Hubdns::start(&(recorded() + &format!("[server]\nlisten = [{entries}]\n")))
}

#[test]
fn on_a_wildcard_the_reply_comes_from_the_address_that_was_asked() {
    let daemon = listening("\"0.0.0.0:{dns_port}\", \"[::]:{dns_port}\"");
    let port = daemon.dns_port();
    let addresses: [IpAddr; 4] = [
        Ipv4Addr::LOCALHOST.into(),
        Ipv4Addr::new(127, 0, 0, 2).into(),
        Ipv4Addr::new(127, 77, 88, 99).into(),
        Ipv6Addr::LOCALHOST.into(),
    ];
    for address in addresses {
        for transport in ["+notcp", "+tcp"] {
            // dig takes no answer from an address that it did not ask.
            let answer = dig_at((address, port).into(), &format!("{SQS} A {transport}"));
            assert_eq!(answer.data("A").len(), 3, "{address} {transport}: {}", answer.raw);
        }
    }
}

#[test]
fn an_interface_is_all_its_addresses() {
    let daemon = listening("\"interface:lo:{dns_port}\"");
    let port = daemon.dns_port();
    for transport in ["+notcp", "+tcp"] {
        let answer = dig_at(daemon.dns(), &format!("{SQS} A {transport}"));
        assert_eq!(answer.data("A").len(), 3, "{}", answer.raw);
    }
    let bound = status(&daemon)["listeners"].to_string();
    assert!(bound.contains(&format!("127.0.0.1:{port}")), "{bound}");
    assert!(!bound.contains("0.0.0.0"), "{bound}");
    // Not an address of the interface, although the system would take it there.
    try_dig((Ipv4Addr::new(127, 0, 0, 2), port).into(), &format!("{SQS} A")).unwrap_err();
}

#[test]
fn clients_that_are_not_allowed_are_refused_and_told() {
    let daemon =
        Hubdns::start(&(recorded() + "[clients]\nallow = [\"127.0.0.1/32\", \"::1/128\"]\n"));
    assert_eq!(daemon.dig(&format!("{SQS} A")).status, "NOERROR");
    for transport in ["+notcp", "+tcp"] {
        let refused = daemon.dig(&format!("{SQS} A -b 127.0.0.9 {transport}"));
        assert_eq!(
            (refused.status.as_str(), refused.ede),
            ("REFUSED", Some(18)),
            "{}",
            refused.raw
        );
    }
}
