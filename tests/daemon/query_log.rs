//! The query log: what it says of each query, what it leaves out, and what it costs nobody.

use std::{fs, net::UdpSocket, time::Duration};

use serde_json::Value;

use crate::{
    SOON, SQS, await_metric, lines_with, nudge, recorded,
    support::{Hubdns, Unbound, eventually},
    upstream,
};

const WRITTEN: &str = "hubdns_query_log_records_total{output=\"log\"}";

/// `[log]` with a file in the daemon's folder, and more keys.
fn log(more: &str) -> String {
    format!("[log]\nqueries_file = \"{{dir}}/queries.jsonl\"\n{more}\n")
}

/// The lines of the file, once there are so many.
#[track_caller]
fn logged(daemon: &Hubdns, file: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} lines in {file}"), SOON, || {
        let text = fs::read_to_string(daemon.dir().join(file)).ok()?;
        let whole = text.lines().count() == count && text.ends_with('\n');
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        whole.then(|| lines.collect())
    })
}

#[test]
fn each_query_is_a_line_with_its_decision_and_its_id_is_on_the_lines_of_its_forwarding() {
    let unbound = Unbound::start();
    let config = recorded() + &upstream(&unbound) + &log("queries = \"all\"");
    let daemon = Hubdns::start_with(&config, &[("HUBDNS_LOG", "hubdns=debug")]);
    for question in [
        format!("{SQS} A"),
        format!("+tcp {SQS} MX"),
        "www.corp.example A".to_owned(),
        "www.corp.example A".to_owned(),
        "nothing.corp.example A".to_owned(),
        "+norecurse www.corp.example A".to_owned(),
        "hash.hubdns TXT -c CH".to_owned(),
    ] {
        daemon.dig(&question);
    }
    // A header, and an opcode that nobody knows.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&[0, 7, 0x38, 0, 0, 0, 0, 0, 0, 0, 0, 0], daemon.dns()).unwrap();

    let lines = logged(&daemon, "queries.jsonl", 8);
    let column = |key: &str| -> Vec<&str> {
        lines.iter().map(|line| line[key].as_str().unwrap_or("-")).collect()
    };
    let decisions =
        ["answer", "nodata", "forward", "forward", "forward", "refuse", "server", "reject"];
    assert_eq!(column("decision"), decisions);
    let reasons = column("reason");
    assert_eq!(reasons[..2], ["published", "no_such_type"]);
    assert_eq!(reasons[5..], ["no_recursion", "table_hash", "opcode"]);
    let upstreams = column("upstream");
    assert_eq!(upstreams[2..4], [unbound.address().to_string().as_str(), "-"]);
    assert_eq!(column("source")[..4], ["table", "table", "upstream", "cache"]);
    assert_eq!(
        column("rcode"),
        ["NOERROR", "NOERROR", "NOERROR", "NOERROR", "NXDOMAIN", "REFUSED", "NOERROR", "NOTIMP"]
    );
    assert_eq!(column("transport")[..3], ["udp", "tcp", "udp"]);
    assert_eq!([column("name")[0], column("type")[0], column("view")[0]], [SQS, "A", "default"]);
    assert!(column("endpoint")[0].starts_with("vpce-"), "{}", lines[0]);
    assert_eq!((column("name")[7], column("client")[7]), ("-", "127.0.0.1"));
    for line in &lines {
        assert!(line["latency_us"].as_u64().unwrap() < 30_000_000, "{line}");
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
        assert_eq!(line["listener"], daemon.dns().to_string());
    }
    // Of what was forwarded, the log tells which upstream was asked, under the query's own id.
    let id = column("id")[2];
    let asked = eventually("lines of the forwarding", SOON, || {
        let lines = lines_with(&daemon, id);
        (2 <= lines.len()).then_some(lines)
    });
    assert!(asked.iter().any(|line| line.contains("asks an upstream")), "{asked:?}");
    assert!(lines_with(&daemon, column("id")[3]).is_empty(), "the cache asked nobody");
}

#[test]
fn a_reload_opens_the_file_anew_and_changes_what_is_logged() {
    let unbound = Unbound::start();
    let with = |more: &str| recorded() + &upstream(&unbound) + &log(more);
    let mut daemon = Hubdns::start(&with("queries = \"all\""));
    daemon.dig(&format!("{SQS} A"));
    logged(&daemon, "queries.jsonl", 1);
    let file = daemon.dir().join("queries.jsonl");
    fs::rename(&file, daemon.dir().join("queries.jsonl.1")).unwrap();
    let only = "queries = \"all\"\n[log.only]\nrcodes = [\"NXDOMAIN\"]\nnames = [\"corp.example\"]";
    daemon.write_config(&with(only));
    nudge(&mut daemon);
    await_metric(&daemon, "hubdns_config_reloads_total{outcome=\"done\"}", 1.0);
    for question in ["www.corp.example A", "nothing.corp.example A", "nothing.amazonaws.com A"] {
        daemon.dig(question);
    }
    let lines = logged(&daemon, "queries.jsonl", 1);
    assert_eq!(lines[0]["name"], "nothing.corp.example");
    logged(&daemon, "queries.jsonl.1", 1);
    // One that cannot be opened is refused with its place, and the one in force stays.
    let folder = daemon.dir().join("queries.jsonl");
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    nudge(&mut daemon);
    await_metric(&daemon, "hubdns_config_reloads_total{outcome=\"refused\"}", 1.0);
    assert!(!lines_with(&daemon, "log.queries_file").is_empty(), "{}", daemon.log());
}

#[test]
fn a_log_that_nobody_reads_costs_lines_and_no_answer() {
    // Standard output is a pipe that is full: every write to it waits for ever.
    let config = recorded() + "[log]\nqueries = \"all\"\n";
    let shell = "mkfifo pipe && exec \"$0\" \"$@\" 1<>pipe";
    let daemon = Hubdns::start_within(&["sh", "-c", shell], &config, &[]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in SQS.split('.') {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    let dropped = "hubdns_query_log_dropped_total{output=\"log\",reason=\"queue\"}";
    let mut reply = [0; 512];
    for _ in 0..20_000 {
        socket.send_to(&packet, daemon.dns()).unwrap();
        socket.recv(&mut reply).expect("an answer, whatever the log does");
    }
    assert!(0.0 < daemon.metric(dropped).unwrap());
    assert!(daemon.metric(WRITTEN).unwrap() < 20_000.0);
}
