//! What the host does with packets and ports: connection tracking, firewalld, the kernel's settings.

use std::{fs, process::Command};

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

#[test]
fn firewalld_opens_what_the_socket_unit_opens() {
    let xml = fs::read_to_string(project().join("systemd/hubdns.firewalld.xml")).unwrap();
    let parsed = Command::new("python3")
        .args(["-c", "import sys, xml.etree.ElementTree as t; r = t.fromstring(sys.argv[1].encode())\nfor p in r.iter('port'): print(p.get('protocol'), p.get('port'))", &xml])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(parsed.stdout).unwrap(), "udp 53\ntcp 53\n", "{xml}");
}
