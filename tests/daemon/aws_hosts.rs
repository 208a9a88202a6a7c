//! How discovery finds AWS's hosts: by the upstreams, the zones or resolvers of its own, never by
//! us, whatever the host's resolv.conf says and whatever becomes of forwarding.

use std::{
    fs,
    net::UdpSocket,
    process::{Command, Output},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    SOON, nudge, small_hub, status,
    support::{Ec2Double, Hubdns, Unbound, eventually, loopback_env},
    upstream,
};

/// The host that sources here are asked at.
const HOST: &str = "ec2.aws.example";

/// A source that is asked at [`HOST`].
fn source(double: &Ec2Double) -> String {
    let port = double.address().port();
    format!("[[source]]\nname = \"hub\"\nkind = \"ec2\"\nendpoint_url = \"http://{HOST}:{port}\"\n")
}

/// A resolver that knows where that is.
fn knowing() -> Unbound {
    Unbound::start_with(&[("aws.example", "ec2 60 A 127.0.0.1\n")], "")
}

fn was_asked(unbound: &Unbound) -> bool {
    unbound.queries().contains(&format!("{HOST}. A"))
}

#[test]
fn the_zone_that_holds_the_host_decides_who_is_asked() {
    let double = Ec2Double::start();
    small_hub(&double);
    let (ignorant, knows) = (Unbound::start(), knowing());
    let zone = format!(
        "[[forward.zone]]\nname = \"aws.example\"\nupstreams = [\"{}\"]\n",
        knows.address()
    );
    let daemon = Hubdns::start(&(source(&double) + &upstream(&ignorant) + &zone));
    assert!(was_asked(&knows) && !was_asked(&ignorant));
    let told = &status(&daemon)["aws_hosts"];
    assert_eq!(told["key"], "forward.upstreams");
    assert_eq!(told["upstreams"][0], ignorant.address().to_string());
    assert_eq!(told["zones"][0]["upstreams"][0], knows.address().to_string());
}

#[test]
fn resolvers_of_its_own_are_asked_for_every_host_and_nobody_else() {
    let double = Ec2Double::start();
    small_hub(&double);
    let (ignorant, knows) = (Unbound::start(), knowing());
    let own = format!("[discovery_dns]\nupstreams = [\"{}\"]\n", knows.address());
    let daemon = Hubdns::start(&(source(&double) + &upstream(&ignorant) + &own));
    assert!(was_asked(&knows) && !was_asked(&ignorant));
    let told = &status(&daemon)["aws_hosts"];
    assert_eq!(told["key"], "discovery_dns.upstreams");
    assert_eq!(told["upstreams"][0], knows.address().to_string());

    let checked = daemon.command("check --online").output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    let line = format!(
        "AWS's hosts: looked up at {} by discovery_dns.upstreams, 0 zones",
        knows.address()
    );
    assert!(said.contains(&line), "{said}");
}

#[test]
fn discovery_goes_on_while_there_is_a_loop() {
    let double = Ec2Double::start();
    small_hub(&double);
    let (knows, mut resolver) = (knowing(), Unbound::start());
    let own = format!("[discovery_dns]\nupstreams = [\"{}\"]\n", knows.address());
    let mut daemon = Hubdns::start(&(source(&double) + &upstream(&resolver) + &own));
    resolver.become_forwarding(".", daemon.dns_port());
    assert_eq!(daemon.dig("lost.example A").status, "SERVFAIL");
    eventually("the loop is known", SOON, || {
        (status(&daemon)["loops"][0]["domain"] == ".").then_some(())
    });
    double.clear();
    nudge(&mut daemon);
    eventually("EC2 is asked again", SOON, || {
        (0 < double.calls("DescribeNetworkInterfaces")).then_some(())
    });
    assert_eq!(crate::lines_with(&daemon, "discovery failed"), Vec::<String>::new());
}

/// Runs a line of shell where /etc/resolv.conf names `nameserver`, in a mount namespace.
fn with_resolv_conf(home: &TempDir, nameserver: &str, line: &str) -> Output {
    let file = home.path().join("resolv.conf");
    fs::write(&file, format!("nameserver {nameserver}\noptions timeout:1 attempts:1\n")).unwrap();
    let line = format!("mount --bind {} /etc/resolv.conf && {line}", file.display());
    let mut command = Command::new("unshare");
    loopback_env(&mut command, home.path()).args(["--mount", "sh", "-c", &line]);
    command.output().unwrap()
}

#[test]
fn the_hosts_resolv_conf_has_no_part_in_it() {
    // Where a hub is its own host's resolver, this is the hub.
    let nameserver = "127.0.0.77";
    let ours =
        UdpSocket::bind((nameserver, 53)).expect("port 53 wants root: run the tests as root");
    ours.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut packet = [0; 512];

    let (double, knows, home) = (Ec2Double::start(), knowing(), TempDir::new().unwrap());
    small_hub(&double);
    let config = home.path().join("hubdns.toml");
    fs::write(&config, source(&double) + &upstream(&knows)).unwrap();
    let hubdns = env!("CARGO_BIN_EXE_hubdns");
    let line = format!("exec {hubdns} discover --config {}", config.display());
    let found = with_resolv_conf(&home, nameserver, &line);
    assert!(found.status.success(), "{found:?}");
    assert!(String::from_utf8_lossy(&found.stdout).contains("vpce-"), "{found:?}");
    assert!(was_asked(&knows));
    assert!(ours.recv(&mut packet).is_err(), "a look-up came to us");

    // Whoever does go by that file comes to us: else the above would say nothing.
    with_resolv_conf(&home, nameserver, &format!("getent hosts {HOST}"));
    assert!(ours.recv(&mut packet).is_ok(), "resolv.conf was not the one that was written");
}
