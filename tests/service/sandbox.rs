//! What the sandbox refuses, tried from within; the same is tried without it, so that it is known what
//! refuses.

use std::collections::BTreeMap;

use crate::machine::Machine;

/// What hubdns needs, which is all that it may do.
const ALLOWED: &[&str] = &[
    "bind:udp-5353",
    "read:config",
    "run:ethtool",
    "socket:netlink",
    "write:logs",
    "write:runtime",
    "write:state",
    "write:tmp",
];
/// What nobody may do in the container that the machine is.
const REFUSED_BY_THE_CONTAINER: &[&str] = &["write:cgroup", "write:sysctl"];

/// The probe in place of the program, below all else that the unit says. That it runs at all is for this
/// test to make possible; the state and what it prints go where the unit has them.
const PROBE: &str = "[Service]\nType=oneshot\nRestart=no\nExecStart=\n\
     ExecStart=/usr/bin/hubdns /etc/hubdns/probe.pl\n\
     BindReadOnlyPaths=/usr/bin/perl:/usr/bin/hubdns\n\
     StandardOutput=file:/var/log/probe\nStandardError=file:/var/log/probe.errors\n";

/// What was allowed, and what was not and why.
fn read(told: &str) -> (Vec<&str>, BTreeMap<&str, &str>) {
    let mut allowed = Vec::new();
    let mut refused = BTreeMap::new();
    for line in told.lines() {
        match line.split_once(' ').unwrap_or_else(|| panic!("{told}")) {
            (name, "ok") => allowed.push(name),
            (name, why) => {
                refused.insert(name, why);
            }
        }
    }
    allowed.sort_unstable();
    (allowed, refused)
}

#[test]
fn the_sandbox_refuses_what_hubdns_does_not_need() {
    let machine = Machine::boot();
    machine.install("");
    machine.copy("tests/service/probe.pl", "/etc/hubdns/probe.pl");
    machine.write("/etc/systemd/system/hubdns.service.d/probe.conf", PROBE);
    machine.sh("systemctl mask hubdns.socket");
    machine.sh("systemctl start hubdns || { cat /var/log/probe.errors; exit 1; }");
    let told = machine.sh("cat /var/log/probe");
    assert_eq!(machine.sh("cat /var/log/probe.errors"), "");
    let (allowed, refused) = read(&told);
    assert_eq!(allowed, ALLOWED, "{told}");

    // As root and in no sandbox, where it would leave the machine another one: last.
    machine.sh("rm -rf /run/hubdns && mkdir /run/hubdns");
    let told = machine.sh("perl /etc/hubdns/probe.pl");
    let (_, by_container) = read(&told);
    assert_eq!(
        by_container.keys().copied().collect::<Vec<_>>(),
        REFUSED_BY_THE_CONTAINER,
        "{told}"
    );
    assert_eq!(refused.len() + ALLOWED.len(), told.lines().count(), "{told}");
}
