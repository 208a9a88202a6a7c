//! What the host does with packets and ports: connection tracking, firewalld, the kernel's settings.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    DNS, SQS, SQS_ADDRESSES,
    machine::{Machine, project},
};

/// Connections by UDP to port 53 that the kernel knows of, in a machine whose firewall looks at them.
fn tracked(machine: &Machine) -> usize {
    let count = "cat /proc/sys/net/netfilter/nf_conntrack_count";
    machine.sh(count).trim().parse().unwrap()
}

#[test]
fn a_query_is_tracked_by_nobody_and_questions_to_upstreams_are() {
    let machine = Machine::boot();
    // It asks itself, which is told apart from clients by who sends from port 53.
    machine.install("[forward]\nupstreams = []\n");
    machine.nft("table inet firewall { chain input { type filter hook input priority 0; ct state new accept; }; }");
    machine.sh("systemctl start hubdns");
    let ask = || assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES);
    let before = tracked(&machine);
    (0..5).for_each(|_| ask());
    // With those of the watchdog.
    assert!(before + 5 <= tracked(&machine), "the kernel tracks by itself");
    let rules = fs::read_to_string(project().join("systemd/hubdns-notrack.nft")).unwrap();
    // Once more is the same.
    (0..2).for_each(|_| machine.nft(&rules));
    let before = tracked(&machine);
    (0..5).for_each(|_| ask());
    assert!(tracked(&machine) <= before);
    let before = tracked(&machine);
    machine.dig("127.0.0.9:5399".parse().unwrap(), SQS);
    assert!(before < tracked(&machine), "what is not for us is tracked on");
}

#[test]
fn the_kernels_settings_are_ones_that_it_has() {
    let settings = fs::read_to_string(project().join("systemd/hubdns.sysctl")).unwrap();
    let mut set = 0;
    for line in settings.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{line}"));
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        assert!(fs::exists(&path).unwrap(), "{path}");
        assert!(value.split(' ').all(|number| number.parse::<u32>().is_ok()), "{line}");
        set += 1;
    }
    assert!(0 < set);
}

/// What of the image's hardening concerns the firewall, carried out below this folder, and what firewalld
/// then tells.
fn hardened(folder: &Path, view_ports: &str) -> String {
    for name in ["services", "hubdns"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let service = folder.join("services/hubdns.xml");
    fs::copy(project().join("systemd/hubdns.firewalld.xml"), service).unwrap();
    let harden = fs::read_to_string(project().join("packer/scripts/harden.sh")).unwrap();
    let (_, firewall) = harden.split_once("step '[firewall]").unwrap();
    let (_, firewall) = firewall.split_once('\n').unwrap();
    let (firewall, _) = firewall.split_once("\nstep ").unwrap();
    let firewall = below(folder, firewall);
    let script = format!(
        "set -euo pipefail\nsystemctl() {{ :; }}\n\
         firewall-offline-cmd() {{ command firewall-offline-cmd --system-config='{}' \"$@\"; }}\n\
         {firewall}\nfirewall-offline-cmd --info-service=hubdns\n\
         firewall-offline-cmd --get-default-zone\n\
         firewall-offline-cmd --zone=drop --list-all\n",
        folder.display()
    );
    let ran = Command::new("bash").args(["-c", &script]).env("VIEW_PORTS", view_ports).output();
    let ran = ran.unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    told
}

/// A script or rules whose `/etc/hubdns` is another folder.
fn below(folder: &Path, text: &str) -> String {
    let place = folder.join("hubdns");
    let moved = text.replace("/etc/hubdns", place.to_str().unwrap());
    assert_ne!(moved, text);
    moved
}

#[test]
fn firewalld_opens_what_the_socket_unit_opens_and_the_images_zone_nothing_else() {
    let folder = TempDir::new().unwrap();
    let told = hardened(folder.path(), "");
    for line in [
        "  ports: 53/udp 53/tcp",
        "drop",
        "  target: DROP",
        "  services: dhcpv6-client dns-over-tls https hubdns",
        "  ports: ",
        "  icmp-block-inversion: yes",
    ] {
        assert!(told.lines().any(|it| it == line), "{line:?} lacks: {told}");
    }
}

#[test]
fn ports_of_views_are_open_and_not_tracked() {
    let folder = TempDir::new().unwrap();
    let told = hardened(folder.path(), "5301-5310");
    let line = "  ports: 5301-5310/udp 5301-5310/tcp";
    assert!(told.lines().any(|it| it == line), "{told}");
    // As the image's script looks, which makes no image of those that nftables refuses.
    let rules = fs::read_to_string(project().join("systemd/hubdns-notrack.nft")).unwrap();
    let rules = below(folder.path(), &rules);
    let mut apart = Command::new("unshare");
    let loaded = "set -e; nft --check --file \"$0\"; nft --file \"$0\"; nft list table inet hubdns";
    let file = folder.path().join("rules.nft");
    fs::write(&file, rules).unwrap();
    let ran = apart.args(["--net", "sh", "-c", loaded]).arg(&file).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(told.matches("{ 53, 5301-5310 }").count() == 3, "{told}{ran:?}");
}
