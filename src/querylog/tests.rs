//! What is written of queries, what is not, and that it is counted.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    DnstapConfig, Filter, Observed, Observers, ObserversConfig, QueryLogConfig, Rate, Sampler,
    queue::{OCTETS_MAX, QUEUE_MAX},
    writer::Outlet,
};
use crate::{
    base::{EndpointId, Name, Rcode, RecordType, ViewName},
    telemetry::{AnswerSource, Metrics, Proto},
};

/// 2026-11-21 20:00:00.25 UTC.
const NOW: fn() -> Duration = || Duration::from_millis(1_795_291_200_250);

struct Asked {
    name: Name,
    view: ViewName,
    endpoint: EndpointId,
    came: Instant,
}

impl Asked {
    fn new(name: &str) -> Self {
        Self {
            name: name.parse().unwrap(),
            view: "onprem".into(),
            endpoint: "vpce-0123456789abcdef0".into(),
            came: Instant::now(),
        }
    }

    fn answered(&self) -> Observed<'_> {
        Observed {
            came: self.came,
            took: Duration::from_micros(17),
            client: "[::ffff:192.168.0.7]:40000".parse().unwrap(),
            listener: "10.0.0.10:53".parse().unwrap(),
            proto: Proto::Udp,
            asked: Some((self.name.as_wire(), RecordType::A)),
            view: &self.view,
            decision: "answer",
            reason: "published",
            endpoint: Some(&self.endpoint),
            source: Some(AnswerSource::Table),
            upstream: None,
            rcode: Some(Rcode::NOERROR),
            packet: b"question",
            reply: b"answer",
        }
    }

    fn forwarded(&self) -> Observed<'_> {
        let upstream: SocketAddr = "169.254.169.253:53".parse().unwrap();
        Observed {
            proto: Proto::Tls,
            decision: "forward",
            reason: "not_ours",
            endpoint: None,
            source: Some(AnswerSource::Upstream),
            upstream: Some(upstream),
            rcode: Some(Rcode::NXDOMAIN),
            ..self.answered()
        }
    }

    /// A query that was limited in silence, and had no question that could be read.
    fn dropped(&self) -> Observed<'_> {
        Observed {
            asked: None,
            decision: "limit",
            reason: "dropped",
            endpoint: None,
            source: None,
            rcode: None,
            ..self.answered()
        }
    }
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}

fn opened(path: &Path, filter: Filter, metrics: &Arc<Metrics>) -> (Observers, Outlet) {
    let log = QueryLogConfig { rate: Rate::OneIn(1), file: Some(path.to_owned()), filter };
    let config = ObserversConfig { log, ..ObserversConfig::NOBODY };
    let (observers, mut outlets) = Observers::open(&config, b"hub-a", metrics).unwrap();
    (observers, outlets.remove(0))
}

/// What is written of `told`, and what metrics tell of it.
fn written(filter: Filter, told: &[Observed<'_>]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.jsonl");
    let (observers, outlet) = opened(&path, filter, &metrics());
    let mut sampler = Sampler::new(0x00C0_FFEE);
    for query in told {
        observers.tell(sampler.draw(&observers), query);
    }
    drop(observers);
    outlet.begin(NOW)(&|| false);
    fs::read_to_string(path).unwrap()
}

fn count(metrics: &Metrics, series: &str) -> u64 {
    let page = metrics.render().unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(series)).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn a_query_is_a_line_that_says_who_asked_what_and_what_became_of_it() {
    let asked = Asked::new("sqs.eu-west-1.amazonaws.com");
    let lines = written(Filter::default(), &[asked.answered(), asked.forwarded(), asked.dropped()]);
    // The moment of the test is the moment of the clock, but for its microseconds.
    let times = without_fractions(&lines);
    insta::assert_snapshot!(times);
}

/// The lines without the fraction of their seconds.
fn without_fractions(lines: &str) -> String {
    let line = |line: &str| {
        let (before, rest) = line.split_once('.').unwrap();
        let (fraction, after) = rest.split_once('Z').unwrap();
        assert_eq!(fraction.len(), 6, "{line}");
        format!("{before}Z{after}\n")
    };
    lines.lines().map(line).collect()
}

#[test]
fn a_filter_lets_through_what_each_of_its_lists_names() {
    let asked = Asked::new("a.corp.example");
    let both = [asked.answered(), asked.forwarded(), asked.dropped()];
    let lines = |filter: Filter| written(filter, &both).lines().count();
    let names = |name: &str| Filter { names: vec![name.parse().unwrap()], ..Filter::default() };
    assert_eq!(lines(Filter::default()), 3);
    assert_eq!(lines(Filter { views: vec!["onprem".into()], ..Filter::default() }), 3);
    assert_eq!(lines(Filter { views: vec!["default".into()], ..Filter::default() }), 0);
    assert_eq!(lines(Filter { decisions: vec!["forward".into()], ..Filter::default() }), 1);
    assert_eq!(lines(Filter { rcodes: vec![Rcode::NXDOMAIN], ..Filter::default() }), 1);
    for (name, expected) in [
        ("corp.example", 2),
        ("a.corp.example", 2),
        ("b.a.corp.example", 0),
        ("orp.example", 0),
        (".", 2),
    ] {
        assert_eq!(lines(names(name)), expected, "{name}");
    }
    let two = Filter { rcodes: vec![Rcode::NXDOMAIN], ..names("example") };
    assert_eq!(lines(two), 1);
}

#[test]
fn what_the_queue_has_no_room_for_is_counted_and_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = metrics();
    let (observers, outlet) = opened(&folder.path().join("log"), Filter::default(), &metrics);
    let (asked, mut sampler) = (Asked::new("x.example"), Sampler::new(1));
    for _ in 0..QUEUE_MAX + 10 {
        observers.tell(sampler.draw(&observers), &asked.answered());
    }
    let dropped = r#"hubdns_query_log_dropped_total{output="log",reason="queue"}"#;
    assert_eq!(count(&metrics, dropped), 10);
    drop(observers);
    outlet.begin(NOW)(&|| false);
    let written = count(&metrics, r#"hubdns_query_log_records_total{output="log"}"#);
    assert_eq!(written, u64::try_from(QUEUE_MAX).unwrap());
}

#[test]
fn large_packets_that_no_receiver_takes_fill_no_memory() {
    let metrics = metrics();
    let dnstap = DnstapConfig { socket: "/nowhere/dnstap.sock".into(), rate: Rate::OneIn(1) };
    let config = ObserversConfig { dnstap: Some(dnstap), ..ObserversConfig::NOBODY };
    let (observers, _outlets) = Observers::open(&config, b"hub-a", &metrics).unwrap();
    let (asked, reply, mut sampler) = (Asked::new("x.example"), [0; 60_000], Sampler::new(1));
    let told = 400;
    for _ in 0..told {
        observers.tell(sampler.draw(&observers), &Observed { reply: &reply, ..asked.answered() });
    }
    let dropped = r#"hubdns_query_log_dropped_total{output="dnstap",reason="queue"}"#;
    let fit = OCTETS_MAX / (reply.len() + b"question".len());
    assert_eq!(count(&metrics, dropped), u64::try_from(told - fit).unwrap());
}

#[test]
fn a_disk_that_is_full_costs_lines_that_are_counted_and_the_end_comes_all_the_same() {
    let metrics = metrics();
    let (observers, outlet) = opened(Path::new("/dev/full"), Filter::default(), &metrics);
    let (asked, mut sampler) = (Asked::new("x.example"), Sampler::new(1));
    for _ in 0..3 {
        observers.tell(sampler.draw(&observers), &asked.answered());
    }
    // Somebody could still tell more, but we are ending.
    outlet.begin(NOW)(&|| true);
    assert_eq!(
        count(&metrics, r#"hubdns_query_log_dropped_total{output="log",reason="write"}"#),
        3
    );
}

#[test]
fn a_file_that_cannot_be_had_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| {
        let log = QueryLogConfig {
            rate: Rate::OneIn(1),
            file: Some(path.to_owned()),
            ..QueryLogConfig::OFF
        };
        let config = ObserversConfig { log, ..ObserversConfig::NOBODY };
        Observers::open(&config, b"hub-a", &metrics()).err().map(|error| error.to_string())
    };
    let missing = folder.path().join("missing/log");
    let told = refused(&missing).unwrap();
    assert_eq!(told, format!("the query log {} cannot be opened for appending", missing.display()));
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(refused(&socket), Some(format!("the query log {} is no file", socket.display())));
}
