//! `hubdns demo`: what it prints can be tried, with nothing else there.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    SOON, measured,
    support::{Process, Unbound, dig, eventually, free_port, http_get, hubdns},
};

struct Demo {
    process: Process,
    port: u16,
    admin: SocketAddr,
    _home: TempDir,
}

impl Demo {
    /// Starts it and waits for its welcome.
    fn start(more: &[&str]) -> Self {
        let home = TempDir::new().unwrap();
        let (port, admin) = (free_port(), SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        let mut command = hubdns(home.path());
        // No AWS, no home, nothing: the recording is inside.
        command.env_clear();
        command.args(["demo", "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--admin", &admin.to_string()]).args(more);
        let start = Instant::now();
        let process = Process::spawn("demo", &mut command, home.path());
        eventually("the demo welcomes", SOON, || process.stdout().contains("Ctrl-C").then_some(()));
        measured("start of the demo to its welcome", start.elapsed());
        Self { process, port, admin, _home: home }
    }

    /// What follows `dig @... -p ...` in each line to try.
    fn lines(&self) -> Vec<String> {
        let prefix = format!("  dig @127.0.0.1 -p {} ", self.port);
        let text = self.process.stdout();
        text.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
    }
}

#[test]
fn the_three_lines_it_prints_do_what_it_says() {
    let mut demo = Demo::start(&[]);
    let lines = demo.lines();
    let [ours, absent, other] = &lines[..] else { panic!("{lines:?}") };
    let answer = dig(demo.port, ours);
    assert_eq!(answer.data("A").len(), 3, "an address in each zone: {}", answer.raw);
    let answer = dig(demo.port, absent);
    assert_eq!((answer.status.as_str(), answer.answer.len()), ("NOERROR", 0), "{}", answer.raw);
    assert_eq!(answer.authority[0].rtype, "SOA");
    let answer = dig(demo.port, other);
    assert_eq!(answer.status, "SERVFAIL", "{}", answer.raw);
    assert!(answer.ede_text.as_deref().is_some_and(|text| !text.is_empty()), "{}", answer.raw);

    assert_eq!(demo.process.stderr(), "", "nothing to complain of");
    let status = demo.process.terminate(SOON);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn it_answers_every_name_that_it_lists_and_counts_them() {
    let demo = Demo::start(&[]);
    let (code, text) = http_get(demo.admin, "/api/v1/names").unwrap();
    assert_eq!(code, 200, "{text}");
    let names: Value = serde_json::from_str(&text).unwrap();
    let names = names["views"][0]["names"].as_array().unwrap();
    let (_, metrics) = http_get(demo.admin, "/metrics").unwrap();
    let counted = format!("hubdns_table_names{{view=\"default\"}} {}\n", names.len());
    assert!(metrics.contains(&counted), "{counted} in\n{metrics}");
    for name in names {
        let pattern = name["name"].as_str().unwrap();
        let rtype = name["types"][0].as_str().unwrap();
        let answer = dig(demo.port, &format!("{} {rtype}", pattern.replace('*', "any")));
        let mut expected: Vec<&str> = name["addresses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|address| address["ip"].as_str().unwrap())
            .filter(|ip| ip.contains(':') == (rtype == "AAAA"))
            .collect();
        expected.sort_unstable();
        assert_eq!(answer.data(rtype), expected, "{pattern}: {}", answer.raw);
    }
}

#[test]
fn with_an_upstream_it_forwards() {
    let unbound = Unbound::start();
    let demo = Demo::start(&["--upstream", &unbound.address().to_string()]);
    assert_eq!(dig(demo.port, "www.corp.example A").data("A"), ["192.0.2.80"]);
    assert!(demo.process.stdout().contains(&format!("forwarded to {}", unbound.address())));
}

#[test]
fn an_address_that_is_taken_is_told_with_what_to_do() {
    let demo = Demo::start(&[]);
    let home = TempDir::new().unwrap();
    let listen = format!("127.0.0.1:{}", demo.port);
    let mut second = hubdns(home.path());
    let output = second.args(["demo", "--listen", &listen, "--admin", "127.0.0.1:0"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("is in use") && told.contains("--listen"), "{told}");
}
