//! `hubdns top`: what a running daemon is asked, a second, and what it says to it.
//!
//! Its metrics are read twice. What is told of is what came in between.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Reader,
    args::{Format, TopArgs},
    ask, repaint, run, say_on, small_runtime,
};
use crate::{
    admin::json::{RateDocument, TopDocument, to_text},
    base::printable,
};

/// A counter told apart by one of its labels.
struct Table {
    title: &'static str,
    counter: &'static str,
    label: &'static str,
}

/// What is told of, in this order. No two have one label.
const TABLES: [Table; 6] = [
    Table { title: "answered from", counter: RESPONSES, label: "source" },
    Table { title: "answered with", counter: RESPONSES, label: "rcode" },
    Table { title: "of service", counter: "hubdns_service_answers_total", label: "aws_service" },
    Table { title: "in view", counter: RESPONSES, label: "view" },
    Table { title: "asked by", counter: REQUESTS, label: "proto" },
    Table { title: "asked for type", counter: REQUESTS, label: "type" },
];
const RESPONSES: &str = "hubdns_dns_responses_total";
const REQUESTS: &str = "hubdns_dns_requests_total";
/// Lines of one table: a screen has room for them all, and who is last says little.
const ROWS_MAX: usize = 12;

/// The counters of a page of metrics, by a table's label and its value.
type Counts = BTreeMap<(&'static str, String), f64>;

/// Tells once; on a terminal again and again, until it is interrupted.
pub(super) fn top(args: &TopArgs) -> anyhow::Result<ExitCode> {
    let socket = match ask::socket(&args.daemon) {
        Ok(socket) => socket,
        Err(text) => return run::refuse(&text),
    };
    let interval = Duration::from_secs(args.interval.into());
    let on_terminal = io::stdout().is_terminal() && args.daemon.format == Format::Text;
    small_runtime()?.block_on(async {
        let look = async || -> anyhow::Result<(Counts, Instant)> {
            let page = ask::look(&socket, "/metrics").await?;
            Ok((counts(&page), Instant::now()))
        };
        let (mut before, mut read) = look().await?;
        loop {
            tokio::time::sleep(interval).await;
            let (now, at) = match look().await {
                Ok(looked) => looked,
                // Who watches a restart wants to see it come back.
                Err(error) if on_terminal => {
                    match repaint(&format!("{}\n", printable(&format!("{error:#}"))))? {
                        Reader::Stays => continue,
                        Reader::Gone => return Ok(ExitCode::SUCCESS),
                    }
                }
                Err(error) => return Err(error),
            };
            let document = rates(&before, &now, at - read);
            let reader = match (args.daemon.format, on_terminal) {
                (Format::Text, true) => repaint(&screen(&document))?,
                (Format::Text, false) => say_on(&screen(&document))?,
                (Format::Json, _) => say_on(&to_text(&document))?,
            };
            if !on_terminal || reader == Reader::Gone {
                return Ok(ExitCode::SUCCESS);
            }
            (before, read) = (now, at);
        }
    })
}

/// What the counters of the tables stand at.
fn counts(page: &str) -> Counts {
    let mut counts = Counts::new();
    for line in page.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let Some((counter, labels)) = series.split_once('{') else { continue };
        for table in TABLES.iter().filter(|table| table.counter == counter) {
            if let (Some(of), Ok(value)) = (value_of(labels, table.label), value.parse::<f64>()) {
                *counts.entry((table.label, of)).or_default() += value;
            }
        }
    }
    counts
}

/// The value of a label; those that we count by have nothing in them that is escaped.
fn value_of(labels: &str, label: &str) -> Option<String> {
    let labels = labels.trim_end_matches('}');
    let mut pairs = labels.split("\",").filter_map(|pair| pair.split_once("=\""));
    let (_, value) = pairs.find(|(name, _)| *name == label)?;
    Some(value.trim_end_matches('"').to_owned())
}

/// What came between two looks, so long after one another. A daemon that was started in between has
/// counted from zero.
fn rates(before: &Counts, now: &Counts, between: Duration) -> TopDocument {
    let secs = between.as_secs_f64();
    let rate = |key: &(&'static str, String), count: f64| {
        let was = before.get(key).copied().filter(|was| *was <= count).unwrap_or_default();
        (count - was) / secs
    };
    let rows = |table: &Table| {
        let of_table = now.iter().filter(|((label, _), _)| *label == table.label);
        let mut rows: Vec<RateDocument> = of_table
            .map(|(key, count)| RateDocument { of: key.1.clone(), per_second: rate(key, *count) })
            .filter(|row| 0.0 < row.per_second)
            .collect();
        rows.sort_by(|a, b| b.per_second.total_cmp(&a.per_second).then_with(|| a.of.cmp(&b.of)));
        rows
    };
    let by = TABLES.iter().map(|table| (table.label.to_owned(), rows(table))).collect();
    let answers = now.iter().filter(|((label, _), _)| *label == "source");
    TopDocument {
        seconds: secs,
        answers_per_second: answers.map(|(key, count)| rate(key, *count)).sum(),
        by,
    }
}

/// A line a row, the busiest first, with its share of its table.
fn screen(document: &TopDocument) -> String {
    let TopDocument { seconds, answers_per_second, by } = document;
    let mut text =
        format!("{answers_per_second:.1} answers a second, in the last {seconds:.1} s\n");
    for Table { title, label, .. } in TABLES {
        let rows = by.get(label).map(Vec::as_slice).unwrap_or_default();
        if rows.is_empty() {
            continue;
        }
        let all: f64 = rows.iter().map(|row| row.per_second).sum();
        text += &format!("\n{title}\n");
        for RateDocument { of, per_second } in rows.iter().take(ROWS_MAX) {
            let share = per_second / all * 100.0;
            text += &format!("  {per_second:>10.1}  {share:>3.0}%  {}\n", printable(of));
        }
        if ROWS_MAX < rows.len() {
            text += &format!("  and {} more\n", rows.len() - ROWS_MAX);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{counts, rates, screen};

    const BEFORE: &str = r#"
# HELP hubdns_dns_responses_total Answers given, by where they came from.
# TYPE hubdns_dns_responses_total counter
hubdns_dns_responses_total{rcode="NOERROR",source="table",view="default"} 100
hubdns_dns_responses_total{rcode="NOERROR",source="cache",view="default"} 50
hubdns_dns_requests_total{family="1",proto="udp",type="A",view="default"} 150
hubdns_tcp_connections 7
"#;
    const AFTER: &str = r#"
hubdns_dns_responses_total{rcode="NOERROR",source="table",view="default"} 300
hubdns_dns_responses_total{rcode="NOERROR",source="cache",view="default"} 50
hubdns_dns_responses_total{rcode="SERVFAIL",source="local",view="onprem"} 20
hubdns_dns_requests_total{family="1",proto="udp",type="A",view="default"} 320
hubdns_dns_requests_total{family="2",proto="udp",type="A",view="default"} 50
hubdns_service_answers_total{aws_service="com.amazonaws.eu-west-1.sqs"} 200
"#;

    #[test]
    fn the_busiest_come_first_and_who_asks_nothing_is_left_out() {
        let document = rates(&counts(BEFORE), &counts(AFTER), Duration::from_secs(2));
        insta::assert_snapshot!(screen(&document), @r"
        110.0 answers a second, in the last 2.0 s

        answered from
               100.0   91%  table
                10.0    9%  local

        answered with
               100.0   91%  NOERROR
                10.0    9%  SERVFAIL

        of service
               100.0  100%  com.amazonaws.eu-west-1.sqs

        in view
               100.0   91%  default
                10.0    9%  onprem

        asked by
               110.0  100%  udp

        asked for type
               110.0  100%  A
        ");
    }

    #[test]
    fn a_daemon_that_was_started_anew_has_counted_from_zero() {
        let document = rates(&counts(AFTER), &counts(BEFORE), Duration::from_secs(10));
        assert!((document.answers_per_second - 10.0).abs() < 0.001, "{document:?}");
    }
}
