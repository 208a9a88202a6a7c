//! `docs/BEHAVIOUR.md`, line by line, against the real daemon by the real dig, with real unbounds
//! as upstreams.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod document;
mod expected;
mod https;
mod packet;
#[path = "../support/mod.rs"]
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use crate::{
    document::{Document, Question, Row, Step, Until, Zone},
    expected::{Expected, first_address},
    support::{DigAnswer, Hubdns, Pair, Record, Unbound, eventually, http_get, try_dig},
};

const TEXT: &str = include_str!("../../docs/BEHAVIOUR.md");

/// Which address comes first is drawn. That one of three never does in 30 questions has a chance of
/// 3 times (2/3)^30, which is below one in 60,000.
const TURNS: usize = 30;

/// The admin listener is there at once; two cores may be busy.
const UNREADY_LIMIT: Duration = Duration::from_secs(30);

/// How each question is asked once more.
const STREAMS: [&str; 4] = ["+tcp", "+tls", "+https", "+https-get"];
/// What says how dig asks.
const TRANSPORTS: [&str; 5] = ["+tcp", "+notcp", "+tls", "+https", "+https-get"];

/// The world of the document while its steps are taken.
struct World {
    zones: BTreeMap<String, Vec<Zone>>,
    upstreams: BTreeMap<String, Unbound>,
    daemon: Option<Hubdns>,
    pair: Pair,
    /// How many questions each upstream had been asked when the daemon started.
    before: BTreeMap<String, usize>,
    rows: usize,
    faults: Vec<String>,
}

#[test]
fn every_row_of_the_behaviour_document_holds() {
    let document = Document::read(TEXT);
    let mut world = World::new(document.zones);
    for step in &document.steps {
        world.take(step);
    }
    assert!(world.faults.is_empty(), "\n{}", world.faults.join("\n"));
    // Counted another way: every line of a table but its heading and its rule.
    let lines = TEXT.lines().filter(|line| line.starts_with('|')).count();
    let rules = TEXT.lines().filter(|line| line.starts_with("|--")).count();
    assert_eq!(world.rows, lines - 2 * rules);
}

/// A runner that lets everything pass would make the document worthless.
#[test]
fn a_wrong_row_is_told() {
    let expected = |terms: &[&str]| {
        let terms: Vec<String> = terms.iter().map(|term| (*term).to_owned()).collect();
        Expected::of_dig(&terms)
    };
    let answer = DigAnswer {
        status: "NOERROR".to_owned(),
        flags: ["qr", "rd", "ra"].map(str::to_owned).into(),
        question: ["n.", "IN", "A"].map(str::to_owned).into(),
        answer: vec![Record {
            name: "n.".to_owned(),
            ttl: 60,
            rtype: "A".to_owned(),
            data: "10.0.0.1".to_owned(),
        }],
        edns: Some("version: 0, flags:; udp: 1232".to_owned()),
        cookie: Some("0100000060000000f0f0f0f0f0f0f0f0".to_owned()),
        transport: "UDP".to_owned(),
        size: 600,
        ..DigAnswer::default()
    };
    let wrong = |args: &str, terms: &[&str]| expected(terms).unwrap().differences(args, &answer);
    let right = ["NOERROR", "A 10.0.0.1", "ttl 60", "first 10.0.0.1"];
    assert!(wrong("n A", &right).is_empty());
    for args in [
        "N A",
        "n AAAA",
        "n A +norec",
        "n A +cdflag",
        "n A +dnssec",
        "n A +tcp",
        "n A +tls",
        "n A +nocookie",
    ] {
        assert!(!wrong(args, &right).is_empty(), "{args}");
    }
    assert!(!wrong("n A +noedns", &right).is_empty());
    assert!(!wrong("n A +bufsize=512", &right).is_empty());
    for terms in [
        &["NXDOMAIN", "A 10.0.0.1"][..],
        &["NOERROR"],
        &["NOERROR", "A 10.0.0.1, 10.0.0.2"],
        &["NOERROR", "A 10.0.0.1", "ttl 30"],
        &["NOERROR", "A 10.0.0.1", "first 10.0.0.2"],
        &["NOERROR", "A 10.0.0.1", "authority n. 60 SOA"],
        &["NOERROR", "A 10.0.0.1", "EDE 3"],
        &["NOERROR", "A 10.0.0.1", "NSID a"],
        &["NOERROR", "A 10.0.0.1", "tc"],
        &["NOERROR", "A 10.0.0.1", "no OPT"],
        &["NOERROR", "A 10.0.0.1", "no question"],
        &["NOERROR", "A 10.0.0.1", "468 octets"],
        &["NOERROR", "A 10.0.0.1", "keepalive 10.0 secs"],
    ] {
        assert!(!wrong("n A", terms).is_empty(), "{terms:?}");
    }
    for terms in [
        &["FINE"][..],
        &["NOERROR", "aa"],
        &["NOERROR", "forwarded by corp"],
        &["NOERROR", "3 answers"],
        &["nothing", "tc"],
        &[],
    ] {
        assert!(expected(terms).is_err(), "{terms:?}");
    }
    let of_packet = |term: &str| Expected::of_packet(&["NOERROR".to_owned(), term.to_owned()]);
    assert!(of_packet("3 answers").is_ok() && of_packet("no question").is_ok());
    assert!(of_packet("tc").is_err() && of_packet("EDE 4").is_err());
}

#[test]
#[should_panic(expected = "prose in")]
fn prose_among_the_expectations_is_told() {
    Document::read("| asked | answered | because |\n|---|---|---|\n| `n A` | `NOERROR` and AA | |");
}

// === impl World ===

impl World {
    fn new(all: Vec<Zone>) -> Self {
        let mut zones: BTreeMap<String, Vec<Zone>> = BTreeMap::new();
        for zone in all {
            zones.entry(zone.server.clone()).or_default().push(zone);
        }
        let start = |(server, zones): (&String, &Vec<Zone>)| (server.clone(), unbound(zones));
        Self {
            upstreams: zones.iter().map(start).collect(),
            zones,
            daemon: None,
            pair: Pair::new("behaviour"),
            before: BTreeMap::new(),
            rows: 0,
            faults: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Config { text, until } => self.start(text, *until),
            Step::Order(order) => self.order(order),
            Step::Row(row) => {
                self.rows += 1;
                let found = self.ask(row);
                if !found.is_empty() {
                    let (line, asked) = (row.line, &row.question);
                    let found = found.join("\n    ");
                    self.faults.push(format!("BEHAVIOUR.md:{line}: {asked:?}\n    {found}"));
                }
            }
        }
    }

    fn start(&mut self, text: &str, until: Until) {
        // Stopped first: the next one is another process on another port.
        drop(self.daemon.take());
        let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/src/discover/demo");
        let mut text = also_encrypted(text, &self.pair).replace("{demo}", demo);
        for (server, unbound) in &self.upstreams {
            text = text.replace(&format!("{{{server}}}"), &unbound.address().to_string());
        }
        self.before = self.asked();
        self.daemon = Some(match until {
            Until::Ready => Hubdns::start(&text),
            Until::NotReady => spawned(&text, "/readyz", |status, _| status == 503),
            Until::Listening => {
                spawned(&text, "/api/v1/status", |_, page| !page.contains("\"listeners\": []"))
            }
        });
    }

    fn order(&mut self, order: &str) {
        let words: Vec<&str> = order.split(' ').collect();
        let upstream = |upstreams: &mut BTreeMap<String, Unbound>, server: &str| {
            upstreams.remove(server).unwrap_or_else(|| panic!("no server {server:?}"))
        };
        match words[..] {
            ["sleep", secs] => thread::sleep(Duration::from_secs(secs.parse().unwrap())),
            ["kill", server] => self.upstreams.get_mut(server).unwrap().stop(),
            ["pause", server] => self.upstreams[server].pause(),
            ["resume", server] => self.upstreams[server].resume(),
            ["start", server] => {
                drop(upstream(&mut self.upstreams, server));
                let again = unbound(&self.zones[server]);
                self.upstreams.insert(server.to_owned(), again);
            }
            _ => panic!("{order:?} is not known"),
        }
    }

    /// What is wrong with the answer to a row.
    fn ask(&self, row: &Row) -> Vec<String> {
        let daemon = self.daemon.as_ref().expect("a table stands behind a configuration");
        let found = match &row.question {
            Question::Packet(text) => Expected::of_packet(&row.answered).and_then(|expected| {
                let sent = packet::octets(text)?;
                let silent = expected.status.is_empty();
                let answer = packet::exchange(daemon.dns(), &sent, silent);
                Ok(packet::differences(&expected, &sent, answer.as_deref()))
            }),
            Question::Dig(args) => Expected::of_dig(&row.answered).map(|expected| {
                let mut found = self.dig(daemon, args, &expected);
                found.extend(self.on_streams(daemon, args, &expected));
                found
            }),
            Question::Http(request) => {
                Ok(https::differences(daemon.https(), request, &row.answered))
            }
        };
        found.unwrap_or_else(|why| vec![why])
    }

    /// The same question by every stream, and what is wrong with the answers.
    fn on_streams(&self, daemon: &Hubdns, args: &str, expected: &Expected) -> Vec<String> {
        let Some(expected) = expected.once_more_on_a_stream() else { return Vec::new() };
        // A row that is about one of them is about that one.
        if ["+tls", "+https", "+https-get"].iter().any(|word| args.contains(word)) {
            return Vec::new();
        }
        let words = args.split(' ').filter(|word| !TRANSPORTS.contains(word));
        let args = words.collect::<Vec<_>>().join(" ");
        // dig 9.18 writes an IPv6 address without brackets into a URL.
        let can = |stream: &&&str| !(stream.starts_with("+https") && args.contains("@::"));
        let each = STREAMS.iter().filter(can).flat_map(|stream| {
            let found = self.dig(daemon, &format!("{args} {stream}"), &expected);
            found.into_iter().map(move |found| format!("{stream}: {found}"))
        });
        each.collect()
    }

    fn dig(&self, daemon: &Hubdns, args: &str, expected: &Expected) -> Vec<String> {
        let has = |word| args.split(' ').any(|it| it == word);
        let port = match (has("+tls"), has("+https") || has("+https-get")) {
            (true, _) => daemon.tls().port(),
            (false, true) => daemon.https().port(),
            (false, false) => daemon.dns_port(),
        };
        let (server, args) = server(args, port);
        let start = self.asked();
        let answer = match try_dig(server, &args) {
            Ok(answer) => answer,
            Err(printed) if expected.status.is_empty() && printed.contains("refused") => {
                return Vec::new();
            }
            Err(printed) => return vec![format!("no answer: {printed}")],
        };
        let mut found = expected.differences(&args, &answer);
        found.extend(self.wrongly_forwarded(&args, expected, &start));
        if expected.in_turn {
            let again = (0..TURNS).filter_map(|_| try_dig(server, &args).ok());
            let first: BTreeSet<String> = again.map(|a| first_address(&a).to_owned()).collect();
            let all: BTreeSet<String> = expected.addresses().map(str::to_owned).collect();
            if first != all {
                found.push(format!("first came {first:?} of {all:?}"));
            }
        }
        if !found.is_empty() {
            found.push(answer.raw.replace('\n', "\n    "));
        }
        found
    }

    /// What should have gone to an upstream since `start`, or should not have.
    fn wrongly_forwarded(
        &self,
        args: &str,
        expected: &Expected,
        start: &BTreeMap<String, usize>,
    ) -> Vec<String> {
        let words: Vec<&str> = args.split(' ').collect();
        let question = format!("{}. {}", words[0], words[1]).to_lowercase();
        let mut found = Vec::new();
        let mut earlier = false;
        for (server, unbound) in &self.upstreams {
            let asked = unbound.queries();
            let (past, now) = asked.split_at(start.get(server).copied().unwrap_or(0));
            let is_it = |query: &String| query.to_lowercase() == question;
            let (was, wanted) =
                (now.iter().any(is_it), expected.forwarded.as_ref() == Some(server));
            if was != wanted {
                found.push(format!("{server} was asked: {was}, of {now:?}"));
            }
            let before = self.before.get(server).copied().unwrap_or(0);
            earlier |= past.iter().skip(before).any(is_it);
        }
        if expected.cached && !earlier {
            found.push("it cannot be from the cache, for nobody was asked before".to_owned());
        }
        if let Some(server) = &expected.forwarded
            && !self.upstreams.contains_key(server)
        {
            found.push(format!("there is no server {server:?}"));
        }
        found
    }

    /// How many questions each upstream has been asked so far.
    fn asked(&self) -> BTreeMap<String, usize> {
        let count =
            |(server, unbound): (&String, &Unbound)| (server.clone(), unbound.queries().len());
        self.upstreams.iter().map(count).collect()
    }
}

/// A daemon that runs and has told on `path` what is waited for.
fn spawned(text: &str, path: &str, told: fn(u16, &str) -> bool) -> Hubdns {
    let daemon = Hubdns::spawn(text, &[]);
    eventually("hubdns says how it stands", UNREADY_LIMIT, || {
        let (status, page) = http_get(daemon.admin(), path).ok()?;
        told(status, &page).then_some(())
    });
    daemon
}

fn unbound(zones: &[Zone]) -> Unbound {
    let (zones, alone): (Vec<_>, Vec<_>) = zones.iter().partition(|zone| zone.followed);
    let zones: Vec<(&str, &str)> =
        zones.iter().map(|zone| (zone.origin.as_str(), zone.records.as_str())).collect();
    Unbound::start_with(&zones, &alone.iter().map(|zone| local_data(zone)).collect::<String>())
}

/// A zone as lines of unbound's `server:`. Of an alias in local data unbound says the alias alone.
fn local_data(zone: &Zone) -> String {
    let Zone { origin, records, .. } = zone;
    let soa = format!("{origin}. 300 SOA ns.{origin}. nobody.{origin}. 1 3600 1200 604800 300");
    let records = records.lines().map(|line| {
        let (name, rest) = line.split_once(' ').expect("NAME TTL TYPE DATA");
        format!("{name}.{origin}. {}", rest.trim_start())
    });
    let mut lines = format!("local-zone: \"{origin}.\" static\n");
    for record in records.chain([soa]) {
        lines += &format!("local-data: '{record}'\n");
    }
    lines
}

/// The configuration with each of its addresses served by TLS and HTTPS as well, on ports of their
/// own; a view that goes by an address goes by these too.
fn also_encrypted(text: &str, pair: &Pair) -> String {
    let mut out = String::new();
    let mut tables = String::new();
    for line in text.lines() {
        let on = |port: &str| line.replace("{dns_port}", port);
        if line.starts_with("listeners = ") {
            let list = |line: &str| line["listeners = [".len()..line.len() - 1].to_owned();
            let all = [line.to_owned(), on("{tls_port}"), on("{https_port}")].map(|it| list(&it));
            out += &format!("listeners = [{}]\n", all.join(", "));
            continue;
        }
        if line.starts_with("listen = ") {
            let (certificate, key) = (pair.certificate(), pair.key());
            for (service, port) in [("tls", "{tls_port}"), ("https", "{https_port}")] {
                let listen = on(port);
                tables += &format!(
                    "[server.{service}]\n{listen}\ncertificate = {certificate:?}\nkey = {key:?}\n"
                );
            }
        }
        out += line;
        out.push('\n');
    }
    out + &tables
}

/// The address behind `@`, and the other arguments.
fn server(args: &str, port: u16) -> (SocketAddr, String) {
    let is_server = |word: &&str| word.starts_with('@');
    let at = args.split(' ').find(is_server).map(|word| word.trim_start_matches('@'));
    let ip = at.map_or(Ipv4Addr::LOCALHOST.into(), |ip| ip.parse::<IpAddr>().unwrap());
    let rest: Vec<&str> = args.split(' ').filter(|word| !is_server(word)).collect();
    (SocketAddr::new(ip, port), rest.join(" "))
}
