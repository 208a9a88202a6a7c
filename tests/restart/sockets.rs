//! Which sockets are taken over, kept, and given up.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use crate::{
    SQS, Site,
    load::{is_right, query},
    support::{Pair, dig_at, eventually, free_port, http_get, hubdns, try_dig},
};

const SOON: Duration = Duration::from_secs(15);

#[track_caller]
fn answers(address: SocketAddr) {
    for transport in ["+notcp", "+tcp"] {
        let answer = dig_at(address, &format!("{SQS} A {transport}"));
        assert_eq!(answer.data("A").len(), 3, "{}", answer.raw);
    }
}

fn reload(site: &Site) {
    let reload = hubdns(site.dir.path()).args(["reload", "--config", "hubdns.toml"]).output();
    let reload = reload.unwrap();
    assert!(reload.status.success(), "{reload:?}");
}

#[test]
fn passed_sockets_are_known_by_their_address_and_what_lacks_is_opened() {
    let mut site = Site::new(0);
    let (dns, other) = (site.dns, SocketAddr::from(([127, 0, 0, 1], free_port())));
    let third = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let stranger = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let control = site.dir.path().join("control.sock").display().to_string();
    // In no order of the configuration's; of the third address only TCP is passed.
    site.supervisor.make("tcp", stranger);
    site.supervisor.make_at("unix", &control);
    site.supervisor.make("udp", other);
    let tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    site.supervisor.make("tcp", tls);
    site.supervisor.make("tcp", site.admin);
    site.supervisor.make("tcp", third);
    site.supervisor.make("udp", dns);
    site.supervisor.make("udp", dns);
    site.supervisor.make("tcp", dns);
    site.supervisor.make("tcp", other);
    let pair = Pair::new("hub.test");
    let listen = format!("[server]\nlisten = [\"{dns}\", \"{other}\", \"{third}\"]\n");
    site.write(&(listen + &pair.table("tls", &tls.to_string())));
    site.supervisor.start_daemon();
    [dns, other, third].into_iter().for_each(answers);
    assert_eq!(dig_at(tls, &format!("{SQS} A +tls")).data("A").len(), 3);
    assert_eq!(http_get(site.admin, "/readyz").unwrap().0, 200);
    reload(&site);
    let log = site.supervisor.log();
    let strange: Vec<&str> =
        log.lines().filter(|line| line.contains("that no key names")).collect();
    assert!(strange.len() == 1 && strange[0].contains(&stranger.to_string()), "{strange:?}");
    // What was passed is kept by whoever made it; what we opened is given away.
    let port = third.port();
    let kept = site.supervisor.kept();
    assert!(kept.contains(&format!("udp_127.0.0.1_{port}")), "{kept:?}");
    for passed in [dns, other, tls, site.admin] {
        let port = passed.port().to_string();
        assert!(!kept.iter().any(|name| name.ends_with(&port)), "{port} in {kept:?}");
    }
    site.supervisor.tell("stop");
    eventually("it ends", SOON, || (site.supervisor.count("ended") == 1).then_some(()));
    assert!(fs::exists(&control).unwrap(), "the socket's maker removes it");
}

#[test]
fn what_we_opened_is_kept_for_the_next_and_given_up_when_no_key_names_it() {
    let mut site = Site::new(0);
    let (dns, other) = (site.dns, SocketAddr::from(([127, 0, 0, 1], free_port())));
    site.write(&format!("[server]\nlisten = [\"{dns}\", \"{other}\"]\n"));
    site.supervisor.start_daemon();
    let of = |site: &Site, address: SocketAddr| {
        let port = address.port().to_string();
        site.supervisor.kept().iter().filter(|name| name.ends_with(&port)).count()
    };
    // A socket a thread for UDP, and one for TCP.
    let threads = std::thread::available_parallelism().unwrap().get();
    let all = threads + 1;
    eventually("all are kept", SOON, || {
        ([dns, other, site.admin].map(|address| of(&site, address)) == [all, all, 1]).then_some(())
    });
    // By a reload.
    site.write(&format!("[server]\nlisten = [\"{dns}\"]\n"));
    reload(&site);
    eventually("one is given up", SOON, || (of(&site, other) == 0).then_some(()));
    let printed = eventually("and closed", SOON, || try_dig(other, &format!("{SQS} A")).err());
    assert!(printed.contains("refused"), "{printed}");
    // They are found again, and not opened twice.
    site.supervisor.tell("restart");
    site.supervisor.await_ready(3);
    answers(dns);
    assert_eq!(of(&site, dns), all);
    // By a start with another configuration.
    site.write(&format!("[server]\nlisten = [\"{other}\"]\n"));
    site.supervisor.tell("crash");
    site.supervisor.await_ready(4);
    answers(other);
    eventually("the old one is given up", SOON, || {
        ([dns, other].map(|address| of(&site, address)) == [0, all]).then_some(())
    });
    assert!(try_dig(dns, &format!("{SQS} A")).is_err());
}

#[test]
fn what_came_before_we_began_is_answered_from_the_address_that_was_asked() {
    let mut site = Site::new(0);
    let port = site.dns.port();
    let wildcard = format!("0.0.0.0:{port}");
    // Nobody has told this socket to note which address was asked.
    site.supervisor.make_at("udp", &wildcard);
    site.write(&format!("[server]\nlisten = [\"{wildcard}\"]\n"));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    // From here on it takes what comes from there, and nothing else.
    client.connect(("127.0.0.2", port)).unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    client.send(&query(SQS, 5)).unwrap();
    site.supervisor.start_daemon();
    let mut reply = [0; 512];
    let len = client.recv(&mut reply).expect("an answer from 127.0.0.2");
    assert!(is_right(&reply[..len]) && reply[..2] == [0, 5], "{:?}", &reply[..len]);
}

#[test]
fn a_restart_changes_between_an_address_and_a_wildcard_of_one_port() {
    let mut site = Site::new(0);
    let address_of = |address: SocketAddr| (address, SocketAddr::from(([0; 4], address.port())));
    let ((dns, any_dns), (admin, any_admin)) = (address_of(site.dns), address_of(site.admin));
    // As systemd, whose own thread closes what it gives up.
    site.supervisor.closes_after(Duration::from_millis(200));
    let listen = |site: &mut Site, dns: SocketAddr, admin: SocketAddr| {
        site.admin = admin;
        site.write(&format!("[server]\nlisten = [\"{dns}\"]\n"));
    };
    let kept = |site: &Site, address: SocketAddr| {
        let name = format!("tcp_{address}").replace(':', "_");
        site.supervisor.kept().contains(&name)
    };
    listen(&mut site, any_dns, any_admin);
    site.supervisor.start_daemon();
    answers(dns);
    for (ready, (new_dns, new_admin)) in [(2, (dns, admin)), (3, (any_dns, any_admin))] {
        listen(&mut site, new_dns, new_admin);
        site.supervisor.tell("restart");
        site.supervisor.await_ready(ready);
        answers(dns);
        assert_eq!(http_get(admin, "/readyz").unwrap().0, 200);
        eventually("the new ones are kept, and no old one", SOON, || {
            let all = [dns, any_dns, admin, any_admin].map(|address| kept(&site, address));
            let is_any = new_dns == any_dns;
            (all == [!is_any, is_any, !is_any, is_any]).then_some(())
        });
    }
    assert_eq!(site.supervisor.count("started"), 3, "{}", site.supervisor.log());
}

#[test]
fn what_a_unit_has_and_nobody_names_is_said_to_be_in_the_way() {
    let mut site = Site::new(0);
    let (port, admin) = (site.dns.port(), site.admin.port());
    site.supervisor.make_at("udp", &format!("0.0.0.0:{port}"));
    site.supervisor.make_at("tcp", &format!("0.0.0.0:{admin}"));
    site.supervisor.tell("start");
    eventually("it ends", SOON, || (site.supervisor.count("ended") == 1).then_some(()));
    let log = site.supervisor.log();
    for (protocol, port) in [("UDP", port), ("TCP", admin)] {
        let told = format!(
            "{protocol} 127.0.0.1:{port} overlaps with 0.0.0.0:{port}, held by systemd for an \
             earlier configuration or by a socket unit"
        );
        assert!(log.contains(&told), "{log}");
    }
    assert!(log.contains(&format!("name 0.0.0.0:{port} here, or take it out of its socket unit")));
}

#[test]
fn what_takes_both_families_is_told_before_it_is_in_the_way() {
    let mut site = Site::new(0);
    let port = site.dns.port();
    site.supervisor.make_at("udp", &format!("[::]:{port}"));
    site.supervisor.tell("start");
    eventually("it ends", SOON, || (site.supervisor.count("ended") == 1).then_some(()));
    let log = site.supervisor.log();
    let told =
        log.find(&format!("[::]:{port} takes IPv4 as well; its unit needs BindIPv6Only=ipv6-only"));
    assert!(told.is_some() && told < log.find("is in use"), "{log}");
}

#[test]
fn a_store_that_is_too_small_is_told_and_costs_no_restart() {
    let mut site = Site::new(0);
    site.supervisor.stores(1);
    site.supervisor.start_daemon();
    let told = "systemd keeps fewer sockets than there are";
    assert!(site.supervisor.log().contains(told), "{}", site.supervisor.log());
    // More than enough, and it is not told again.
    site.supervisor.stores(512);
    for ready in [2, 3] {
        site.supervisor.tell("restart");
        site.supervisor.await_ready(ready);
        answers(site.dns);
    }
    assert_eq!(site.supervisor.log().matches(told).count(), 1);
}
