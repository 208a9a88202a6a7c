//! From the first query to the last, below systemd.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::{
    DNS, SQS, SQS_ADDRESSES,
    machine::{Machine, SOON, project},
    support::eventually,
};

/// Octets of `CapEff` when there is only CAP_NET_BIND_SERVICE, which is number 10.
const BIND_SERVICE_ALONE: &str = "0000000000000400";
const NO_CAPABILITY: &str = "0000000000000000";
/// `SCHED_IDLE` (sched(7)).
const IDLE: &str = "5";

/// The scheduling policy of each thread.
fn policies(machine: &Machine) -> Vec<String> {
    let threads = format!("cat /proc/{}/task/*/stat", machine.property("MainPID"));
    let stats = machine.sh(&threads);
    // Field 41, of which 2 is a name in parentheses (proc(5)).
    let policy =
        |line: &str| line.rsplit_once(')').unwrap().1.split_whitespace().nth(38).map(str::to_owned);
    stats.lines().map(|line| policy(line).unwrap()).collect()
}

#[track_caller]
fn answers(machine: &Machine) {
    let what = "it answers";
    eventually(what, SOON, || (machine.dig(DNS, SQS) == SQS_ADDRESSES).then_some(()));
}

#[test]
fn started_by_its_socket_it_answers_reloads_and_comes_back_from_a_crash_and_a_hang() {
    let machine = Machine::boot();
    machine.install("[forward]\nupstreams = []\n");
    machine.write("/etc/systemd/system/hubdns.service.d/soon.conf", "[Service]\nWatchdogSec=1\n");
    machine.sh("systemctl daemon-reload && systemctl start hubdns.socket");
    assert_eq!(machine.property("ActiveState"), "inactive");
    // The first query waits in the socket until there is a table.
    answers(&machine);
    assert_eq!(machine.dig(DNS, &format!("{SQS} +tcp")), SQS_ADDRESSES);
    assert_eq!(machine.dig("[::1]:53".parse().unwrap(), SQS), SQS_ADDRESSES);
    assert_eq!(machine.process("CapEff"), NO_CAPABILITY);
    assert_eq!(machine.process("CapBnd"), NO_CAPABILITY);
    assert_eq!(
        (machine.process("NoNewPrivs"), machine.process("Seccomp")),
        ("1".into(), "2".into())
    );
    // What it is called by default it learns from the kernel.
    let host = machine.sh("hostname").trim().to_owned();
    let told = machine.dig(DNS, &format!("{SQS} +noshort +noall +comments +nsid")).join("\n");
    assert!(told.contains(&format!("(\"{host}\")")), "{host}: {told}");
    let threads = policies(&machine);
    assert!(3 <= threads.len() && threads.iter().all(|policy| policy == "0"), "{threads:?}");

    machine.configure("[forward]\nupstreams = []\n[answers]\nttl_secs = 7\n");
    machine.sh("systemctl reload hubdns");
    assert!(machine.dig(DNS, &format!("{SQS} +noshort +noall +answer"))[0].contains(" 7\tIN\tA\t"));
    machine.configure("[answers]\nttl = 7\n");
    let (printed, is_good) = machine.try_sh("systemctl reload hubdns");
    assert!(!is_good, "{printed}");
    assert!(machine.journal().contains("unknown key `ttl`"), "{}", machine.journal());
    machine.configure("[forward]\nupstreams = []\n");

    let mut before = machine.property("MainPID");
    for signal in ["KILL", "STOP"] {
        machine.sh(&format!("systemctl kill --kill-who=main --signal={signal} hubdns"));
        eventually("another process is ready", SOON, || {
            let now = machine.property("MainPID");
            let is_new = now != before && machine.property("ActiveState") == "active";
            is_new.then(|| before = now)
        });
        answers(&machine);
    }
    assert!(machine.journal().contains("Watchdog timeout"), "{}", machine.journal());
    // It has begun with what the one before it had written.
    assert!(machine.journal().contains("last good inventory"), "{}", machine.journal());

    machine.sh("systemctl stop hubdns.socket && hubdns drain --for 0");
    eventually("it has ended", SOON, || {
        (machine.property("ActiveState") == "inactive").then_some(())
    });
    assert_eq!(machine.dig(DNS, SQS), [""; 0]);
}

#[test]
fn without_the_socket_unit_it_has_one_capability_and_finds_the_interfaces() {
    let machine = Machine::boot();
    machine.install("[forward]\nupstreams = []\n[server]\nlisten = [\"interface:lo:53\"]\n");
    machine.drop_in("without-socket.conf");
    machine.drop_in("priorities.conf");
    machine.sh("systemctl mask hubdns.socket && systemctl start hubdns");
    let local = "127.0.0.1:53".parse().unwrap();
    assert_eq!(machine.dig(local, SQS), SQS_ADDRESSES);
    assert_eq!(machine.process("CapEff"), BIND_SERVICE_ALONE);
    assert_eq!(machine.process("CapBnd"), BIND_SERVICE_ALONE);
    // What compiles tables gives way.
    machine.sh("hubdns refresh");
    let threads = policies(&machine);
    assert!(threads.iter().any(|policy| policy == IDLE), "{threads:?}");
    let before = machine.property("MainPID");
    // Below some kernels the control group of the one before is in the way at first; it is tried again.
    machine.try_sh("systemctl restart hubdns");
    eventually("another process answers", SOON, || {
        let is_new = machine.property("MainPID") != before;
        (is_new && machine.dig(local, SQS) == SQS_ADDRESSES).then_some(())
    });
}

#[test]
fn a_port_that_nobody_opened_for_it_is_told_with_what_to_do() {
    let machine = Machine::boot();
    machine.install("[forward]\nupstreams = []\n");
    machine.sh("systemctl mask hubdns.socket");
    machine.sh("systemctl start --no-block hubdns");
    eventually("it says what is missing", SOON, || {
        machine.journal().contains("CAP_NET_BIND_SERVICE").then_some(())
    });
    // It may be there soon, so it is tried again, at a pace that a core does not notice: a second apart.
    let tried = || machine.property("NRestarts").parse::<u32>().unwrap();
    let start = Instant::now();
    let before = tried();
    let now = eventually("it is tried twice more", SOON, || {
        Some(tried()).filter(|now| *now >= before + 2)
    });
    let took = start.elapsed();
    // The first may have been about to come.
    assert!(Duration::from_secs(u64::from(now - before) - 1) < took, "{before} to {now}: {took:?}");
    machine.drop_in("without-socket.conf");
    answers(&machine);
}

#[test]
fn a_configuration_that_is_wrong_ends_all_tries_and_one_that_is_mended_starts() {
    let machine = Machine::boot();
    machine.install("[answers]\nttl = 7\n");
    // Whatever systemd would rather start first.
    machine.write("/etc/systemd/system/hubdns.service.d/nice.conf", "[Service]\nNice=-10\n");
    machine.sh("systemctl daemon-reload && systemctl start hubdns.socket");
    let gives_up = || {
        eventually("it gives up, and its ports are closed", SOON, || {
            let is_open = machine.try_sh("systemctl is-active hubdns.socket").1;
            // What waited in the socket may have started it once more.
            let is_last = machine.property("Job").is_empty();
            (machine.property("ActiveState") == "failed" && !is_open && is_last).then_some(())
        });
        assert_eq!(machine.property("ExecMainStatus"), "78", "{}", machine.journal());
        // Those who ask now start nothing.
        let tried = machine.property("InvocationID");
        (0..3).for_each(|_| assert_eq!(machine.dig(DNS, SQS), [""; 0]));
        assert_eq!(machine.property("InvocationID"), tried);
        assert_eq!(machine.property("NRestarts"), "0");
    };
    assert_eq!(machine.dig(DNS, SQS), [""; 0]);
    gives_up();
    assert!(machine.journal().contains("unknown key `ttl`"), "{}", machine.journal());

    machine.configure("[forward]\nupstreams = []\n");
    machine.sh("systemctl restart hubdns");
    assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES);
    machine.sh("systemctl is-active hubdns.socket && ! systemctl is-failed hubdns-refused");

    machine.configure("[answers]\nttl = 7\n");
    let (printed, is_good) = machine.try_sh("systemctl restart hubdns");
    assert!(!is_good, "{printed}");
    gives_up();
}

/// Each time that a unit came up has a number of its own.
fn times(machine: &Machine, unit: &str, property: &str) -> String {
    machine.sh(&format!("systemctl show --value --property={property} {unit}")).trim().to_owned()
}

#[test]
fn a_death_closes_no_port_and_refuses_nobody() {
    let machine = Machine::boot();
    machine.install("[forward]\nupstreams = []\n");
    machine.sh("systemctl start hubdns.socket");
    answers(&machine);
    let opened = || times(&machine, "hubdns.socket", "InvocationID");
    let refused = || times(&machine, "hubdns-refused", "ExecMainExitTimestampMonotonic");
    let before = opened();
    let kill = || machine.sh("systemctl kill --kill-who=main --signal=KILL hubdns");
    for _ in 0..3 {
        kill();
        assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES, "{}", machine.journal());
    }
    assert_eq!(opened(), before);

    // From 254 on systemd calls hubdns-refused at each death, 252 at one that is the last.
    machine.write("/etc/systemd/system/hubdns.service.d/once.conf", "[Service]\nRestart=no\n");
    machine.sh("systemctl daemon-reload");
    let looked = refused();
    kill();
    eventually("it has looked", SOON, || (refused() != looked).then_some(()));
    machine.sh("! systemctl is-failed hubdns-refused");
    assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES, "{}", machine.journal());
    assert_eq!(opened(), before);
}

#[test]
fn the_drop_in_that_ends_a_machine_does_so_for_a_wrong_configuration_alone() {
    let page = fs::read_to_string(project().join("docs/OPERATIONS.md")).unwrap();
    let (_, drop_in) = page.split_once("```ini\n").unwrap();
    let (drop_in, _) = drop_in.split_once("```").unwrap();
    let (place, rest) = drop_in.split_once('\n').unwrap();
    assert!(rest.contains("sleep 60"), "{rest}");

    let mut machine = Machine::boot();
    machine.install("[forward]\nupstreams = []\n");
    machine.write(place.trim_start_matches("# "), &rest.replace("sleep 60", "sleep 3"));
    machine.sh("systemctl daemon-reload && systemctl start hubdns");
    machine.sh("systemctl kill --kill-who=main --signal=KILL hubdns");
    answers(&machine);
    machine.sh("systemctl start hubdns-refused");
    assert!(!machine.is_down());

    let refused = |machine: &Machine| {
        machine.configure("[answers]\nttl = 7\n");
        machine.try_sh("systemctl restart --no-block hubdns");
        let waits = || machine.try_sh("systemctl is-active hubdns-refused").0 == "activating\n";
        eventually("the last seconds run", SOON, || waits().then_some(()));
    };
    refused(&machine);
    machine.configure("[forward]\nupstreams = []\n");
    machine.sh("systemctl restart --no-block hubdns");
    answers(&machine);
    assert!(!machine.is_down());

    refused(&machine);
    eventually("the machine ends", SOON, || machine.is_down().then_some(()));
}
