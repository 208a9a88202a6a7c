//! What hubdns tells of queries, from within its sandbox: to a file of its own, and to a receiver of dnstap.

use std::{fs, process::Command};

use crate::{
    DNS, SQS, SQS_ADDRESSES,
    machine::{Machine, SOON, project},
    support::eventually,
};

const CONFIG: &str = "[forward]\nupstreams = []\n\
     [log]\nqueries = \"all\"\nqueries_file = \"/var/log/hubdns/queries.jsonl\"\n\
     [dnstap]\nsocket = \"/run/dnstap/dnstap.sock\"\n";

/// The unit of a receiver that the document shows.
fn receiver() -> String {
    let page = fs::read_to_string(project().join("docs/OBSERVING.md")).unwrap();
    let (_, block) = page.split_once("```ini\n").unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// Puts a program of this machine into another, with what it is linked to.
fn copy_program(machine: &Machine, program: &str) {
    let linked = Command::new("ldd").arg(program).output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    let libraries = linked.lines().filter_map(|line| line.split_once(" => "));
    let libraries = libraries.map(|(_, path)| path.split(' ').next().unwrap());
    for file in libraries.chain([program]) {
        if !machine.path(file).exists() {
            machine.copy(file, file);
        }
    }
    machine.sh(&format!("chmod 755 {program}"));
}

#[test]
fn its_query_log_and_a_receiver_of_dnstap_are_within_its_reach() {
    let machine = Machine::boot();
    machine.install(CONFIG);
    machine.copy("systemd/hubdns.sysusers", "/usr/lib/sysusers.d/hubdns.conf");
    copy_program(&machine, "/usr/bin/fstrm_capture");
    machine.write("/etc/systemd/system/dnstap.service", &receiver());
    machine.sh("systemd-sysusers && systemctl daemon-reload && systemctl start dnstap hubdns");
    let log = |name: &str| machine.try_sh(&format!("cat /var/log/hubdns/{name}")).0;
    let ask = || assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES);
    ask();
    eventually("a line of the query", SOON, || log("queries.jsonl").contains(SQS).then_some(()));
    // As logrotate does it.
    let rotate = "mv /var/log/hubdns/queries.jsonl /var/log/hubdns/queries.jsonl.1";
    machine.sh(&format!("{rotate} && systemctl reload hubdns"));
    assert!(log("queries.jsonl.1").contains(SQS));
    ask();
    eventually("a new file", SOON, || log("queries.jsonl").contains(SQS).then_some(()));
    // Nobody else reads it but who is let in by the group.
    let modes = machine.sh("stat -L --format=%a:%U /var/log/hubdns /var/log/hubdns/queries.jsonl");
    assert_eq!(modes, "750:hubdns\n640:hubdns\n");

    eventually("the receiver has hubdns", SOON, || {
        ask();
        let page = machine.sh("curl --silent http://127.0.0.1:9153/metrics");
        page.contains("\nhubdns_dnstap_connected 1\n").then_some(())
    });
    ask();
    machine.sh("systemctl stop hubdns.socket hubdns dnstap");
    let frames = machine.path("/var/lib/dnstap/queries.dnstap");
    let read = Command::new("dnstap-read").arg(frames).output().unwrap();
    let told = String::from_utf8_lossy(&read.stdout);
    assert!(told.contains(&format!("{SQS}/IN/A")), "{told}{}", machine.journal());
}
