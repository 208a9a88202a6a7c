//! Spans as a collector gets them that reads them by OpenTelemetry's own definitions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use support::{Hubdns, Process, eventually, free_port, venv};
use tempfile::TempDir;

/// For what happens at once on a quiet machine.
const SOON: Duration = Duration::from_secs(15);
const SQS: &str = "sqs.eu-west-1.amazonaws.com";

struct Collector {
    address: SocketAddr,
    process: Process,
    _dir: TempDir,
}

impl Collector {
    fn start(port: u16) -> Self {
        let dir = TempDir::new().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otlp/collector.py");
        let mut command = Command::new(venv().join("bin/python"));
        command.arg("-B").arg(script).arg(port.to_string());
        let process = Process::spawn("collector", &mut command, dir.path());
        let address = eventually("the collector listens", SOON, || {
            let text = process.stdout();
            let (line, _) = text.split_once('\n')?;
            line.strip_prefix("listening on ")?.parse().ok()
        });
        Self { address, process, _dir: dir }
    }

    /// Those of this name, in the order in which they came.
    fn spans(&self, name: &str) -> Vec<Value> {
        let text = self.process.stdout();
        let lines = text.lines().skip(1).filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|span: &Value| span["name"] == name).collect()
    }

    fn await_span(&self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let found = || self.spans(name).into_iter().find(|span| is_it(span));
        eventually(&format!("a span of {name}"), SOON, found)
    }
}

fn config(collector: SocketAddr, queries: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small");
    format!(
        "[[source]]\nname = \"files\"\nkind = \"files\"\npath = \"{folder}\"\n\
         [server]\nlisten = [\"127.0.0.1:{{dns_port}}\"]\nidentity = \"hub-a\"\n\
         [log]\nqueries = \"{queries}\"\n\
         [otlp]\nendpoint = \"http://{collector}\"\nqueries = \"{queries}\"\n"
    )
}

/// Since 1970, and no longer ago than the test.
#[expect(clippy::disallowed_methods, reason = "what came is compared with the clock of the wall")]
fn is_recent(nanos: &Value) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let nanos = u128::from(nanos.as_u64().unwrap());
    nanos <= now && now - nanos < Duration::from_secs(120).as_nanos()
}

#[test]
fn queries_come_as_spans_with_the_number_of_the_query_log() {
    let collector = Collector::start(0);
    let daemon = Hubdns::start(&config(collector.address, "all"));
    daemon.dig(&format!("{SQS} A"));
    daemon.dig("+tcp nothing.corp.example AAAA");

    let answered =
        collector.await_span("query A", |it| it["attributes"]["dns.question.name"] == SQS);
    assert_eq!((&answered["kind"], &answered["parent"]), (&"SPAN_KIND_SERVER".into(), &"".into()));
    assert_eq!(
        (&answered["scope"], &answered["status"]),
        (&"hubdns".into(), &"STATUS_CODE_UNSET".into())
    );
    let resource = &answered["resource"];
    assert_eq!(
        (&resource["service.name"], &resource["service.instance.id"]),
        (&"hubdns".into(), &"hub-a".into())
    );
    let of = |key: &str| answered["attributes"][key].clone();
    for (key, value) in [
        ("dns.question.type", "A"),
        ("dns.response_code", "NOERROR"),
        ("client.address", "127.0.0.1"),
        ("network.transport", "udp"),
        ("hubdns.view", "default"),
        ("hubdns.decision", "answer"),
        ("hubdns.source", "table"),
    ] {
        assert_eq!(of(key), value, "{key} in {answered}");
    }
    assert_eq!(of("server.port"), daemon.dns_port());
    assert!(of("hubdns.endpoint").as_str().unwrap().starts_with("vpce-"), "{answered}");
    let (start, end) = (&answered["start"], &answered["end"]);
    assert!(is_recent(start) && start.as_u64() < end.as_u64(), "{answered}");
    // The line of the query log has the same number.
    let id = answered["id"].as_str().unwrap();
    assert_eq!((id.len(), answered["trace"].as_str().unwrap().len()), (16, 32));
    let line = daemon.log();
    let line = line.lines().find(|line| line.contains(&format!("\"id\":\"{id}\""))).unwrap();
    assert!(line.contains(SQS), "{line}");

    let failed = collector.await_span("query AAAA", |_| true);
    assert_eq!(
        (&failed["status"], &failed["attributes"]["network.transport"]),
        (&"STATUS_CODE_ERROR".into(), &"tcp".into())
    );
}

#[test]
fn rounds_and_reloads_come_as_spans_whether_queries_are_told_or_not() {
    let collector = Collector::start(0);
    let mut daemon = Hubdns::start(&config(collector.address, "all"));
    daemon.dig(&format!("{SQS} A"));
    collector.await_span("query A", |_| true);
    let round = collector.await_span("discovery round", |_| true);
    assert_eq!(round["attributes"]["hubdns.source"], "files");
    let step = collector.await_span("ask the source", |it| it["parent"] == round["id"]);
    assert_eq!(step["trace"], round["trace"]);
    assert!(round["start"] == step["start"] && is_recent(&step["end"]), "{round} {step}");

    daemon.process().signal("HUP");
    let reload = collector.await_span("reload", |_| true);
    assert_eq!(
        (&reload["kind"], &reload["status"]),
        (&"SPAN_KIND_INTERNAL".into(), &"STATUS_CODE_UNSET".into())
    );
    let text = config(collector.address, "all");
    daemon.write_config(&text.replace("queries = \"all\"", "queries = \"some\""));
    daemon.process().signal("HUP");
    let refused = collector.await_span("reload", |it| it["status"] == "STATUS_CODE_ERROR");
    assert!(refused["why"].as_str().unwrap().starts_with("refused: "), "{refused}");
    // Of another configuration: no queries, and still what hubdns does by itself.
    daemon.write_config(&text.replace("queries = \"all\"", "queries = \"off\""));
    daemon.process().signal("HUP");
    collector.await_span("reload", |it| {
        it["attributes"]["hubdns.changed"].as_str().unwrap().contains("[otlp]")
    });
    let before = collector.spans("query A").len();
    daemon.dig(&format!("{SQS} A"));
    daemon.process().signal("HUP");
    let reloads = collector.spans("reload").len();
    eventually("one more reload", SOON, || {
        (reloads < collector.spans("reload").len()).then_some(())
    });
    assert_eq!(collector.spans("query A").len(), before);
}

#[test]
fn a_collector_that_is_away_costs_spans_and_no_answer_and_is_found_when_it_comes() {
    let port = free_port();
    let daemon = Hubdns::start(&config(SocketAddr::from(([127, 0, 0, 1], port)), "all"));
    let dropped = "hubdns_query_log_dropped_total{output=\"otlp\",reason=\"write\"}";
    eventually("spans are dropped, and counted", SOON, || {
        assert_eq!(daemon.dig(&format!("{SQS} A")).status, "NOERROR");
        (Some(1.0) <= daemon.metric(dropped)).then_some(())
    });
    let told = |text: &str| daemon.log().lines().filter(|line| line.contains(text)).count();
    assert_eq!(told("the collector takes no spans"), 1);
    let collector = Collector::start(port);
    eventually("a span comes", SOON, || {
        assert_eq!(daemon.dig(&format!("{SQS} A")).status, "NOERROR");
        (!collector.spans("query A").is_empty()).then_some(())
    });
    assert_eq!(told("the collector takes spans again"), 1);
    let sent = daemon.metric("hubdns_query_log_records_total{output=\"otlp\"}");
    assert!(Some(1.0) <= sent, "{sent:?}");
}

#[test]
fn what_a_collector_rejects_of_a_batch_is_counted_as_dropped() {
    let collector = Collector::start(0);
    let daemon = Hubdns::start(&config(collector.address, "all"));
    daemon.dig(&format!("{SQS} TXT"));
    daemon.dig(&format!("{SQS} A"));
    collector.await_span("query A", |_| true);
    let dropped = "hubdns_query_log_dropped_total{output=\"otlp\",reason=\"write\"}";
    eventually("it is counted", SOON, || daemon.metric(dropped).filter(|it| *it == 1.0));
    let told = |text: &str| daemon.log().lines().filter(|line| line.contains(text)).count();
    assert_eq!(told("the collector does not take all spans"), 1);
    assert_eq!(told("no TXT here"), 1);
}
