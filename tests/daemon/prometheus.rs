//! The metrics page, the alerts and the dashboard, held against the real Prometheus.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    SOON, SQS, recorded,
    support::{Hubdns, Pair, Process, Unbound, eventually, free_port, http_get, run_with_input},
    upstream,
};

/// What a machine without such a network interface has no series of.
const ONLY_WITH_A_DRIVER: &str = "hubdns_linklocal_allowance_exceeded_total";

fn config(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config").join(file)
}

/// A hub with all that has metrics of its own: an upstream and a certificate.
fn hub(unbound: &Unbound, pair: &Pair) -> Hubdns {
    Hubdns::start(
        &(recorded()
            + &upstream(unbound)
            + "[server]\nlisten = [\"127.0.0.1:{dns_port}\"]\n"
            + &pair.table("tls", "127.0.0.1:{tls_port}")),
    )
}

/// A Prometheus that scrapes a hub each second, and has our alerts.
struct Prometheus {
    address: SocketAddr,
    _process: Process,
    _dir: TempDir,
}

// === impl Prometheus ===

impl Prometheus {
    fn start(daemon: &Hubdns) -> Self {
        let dir = TempDir::new().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let file = dir.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [{}]\n\
             scrape_configs: [{{ job_name: hubdns, static_configs: [{{ targets: ['{}'] }}] }}]\n",
            config("prometheus/alerts.yml").display(),
            daemon.admin()
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let process = Process::spawn("prometheus", &mut command, dir.path());
        Self { address, _process: process, _dir: dir }
    }

    /// The data of a page of its API; none while it starts.
    fn get(&self, path: &str) -> Option<Value> {
        let (status, text) = http_get(self.address, path).ok()?;
        let mut answer: Value = serde_json::from_str(&text).ok()?;
        assert_eq!(status, 200, "{path}: {answer}");
        Some(answer["data"].take())
    }

    /// The series of an expression.
    fn query(&self, expression: &str) -> Vec<Value> {
        let octets = expression.bytes().map(|octet| format!("%{octet:02X}"));
        let path = format!("/api/v1/query?query={}", octets.collect::<String>());
        let data = self.get(&path).expect("Prometheus answers");
        data["result"].as_array().cloned().unwrap_or_default()
    }
}

/// The targets of every panel of the dashboard, each with its panel's title.
fn dashboard() -> Vec<(String, String)> {
    let text = fs::read_to_string(config("grafana/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            found.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    found
}

/// "All" hubs are those of the job: of every hub there is, the panels would add fleets up.
#[test]
fn all_hubs_of_the_dashboard_are_those_of_its_job() {
    let text = fs::read_to_string(config("grafana/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let instance = variables.iter().find(|it| it["name"] == "instance").unwrap();
    assert_eq!((&instance["includeAll"], &instance["allValue"]), (&true.into(), &Value::Null));
    assert!(instance["query"]["query"].as_str().unwrap().contains("job=\"$job\""), "{instance}");
}

/// The metrics that a text names, without a histogram's suffixes.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("hubdns_"));
    words.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

#[test]
fn the_metrics_page_is_what_promtool_calls_clean() {
    let (unbound, pair) = (Unbound::start(), Pair::new("hub.test"));
    let daemon = hub(&unbound, &pair);
    daemon.dig(&format!("{SQS} A"));
    let (_, page) = daemon.get("/metrics");
    let mut promtool = Command::new("promtool");
    let output = run_with_input(promtool.args(["check", "metrics"]), page.as_bytes());
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{told}");
}

#[test]
fn each_alert_fires_when_it_should_and_asks_for_metrics_that_there_are() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let folder = config("prometheus");
        let output = Command::new("promtool").args(arguments).current_dir(folder).output().unwrap();
        let told =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
    }
    let alerts = fs::read_to_string(config("prometheus/alerts.yml")).unwrap();
    let cases = fs::read_to_string(config("prometheus/alerts_test.yml")).unwrap();
    let mut alerted = 0;
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(cases.contains(&format!("alertname: {alert}\n")), "{alert} has no case");
        alerted += 1;
    }
    assert!(15 < alerted, "{alerted} alerts");
    let documented = fs::read_to_string(config("../docs/METRICS.md")).unwrap();
    let asked = alerts + &dashboard().into_iter().map(|(_, expr)| expr).collect::<String>();
    for name in names(&asked) {
        assert!(documented.contains(&format!("| `{name}` |")), "there is no metric {name}");
    }
}

#[test]
fn every_query_of_the_dashboard_finds_something_and_every_alert_can_be_evaluated() {
    let (unbound, pair) = (Unbound::start(), Pair::new("hub.test"));
    let daemon = hub(&unbound, &pair);
    let prometheus = Prometheus::start(&daemon);
    let scrapes = "sum_over_time(up{job=\"hubdns\"}[1m])";
    eventually("Prometheus has scraped the hub four times", 2 * SOON, || {
        for question in [SQS, "www.corp.example", "nothing.corp.example"] {
            daemon.dig(&format!("{question} A"));
        }
        prometheus.get("/api/v1/status/runtimeinfo")?;
        let found = prometheus.query(scrapes);
        let count = found.first()?["value"][1].as_str()?.parse::<u32>().ok()?;
        (4 <= count).then_some(())
    });
    let mut queries = 0;
    for (panel, expression) in dashboard() {
        let expression = expression
            .replace("$__rate_interval", "1m")
            .replace("$job", "hubdns")
            .replace("$instance", ".*");
        assert!(!expression.contains('$'), "{panel}: {expression}");
        // On a loaded machine a scrape may be late, and all is stale for a moment.
        eventually(&format!("{panel} shows something: {expression}"), SOON, || {
            (!prometheus.query(&expression).is_empty()).then_some(())
        });
        queries += 1;
    }
    assert!(25 < queries, "{queries} queries");

    // As the harness configures it; an alert measures the age of facts by it.
    assert!(!prometheus.query("hubdns_discovery_interval_seconds == 5").is_empty());

    let rules = eventually("every alert was evaluated", SOON, || {
        let data = prometheus.get("/api/v1/rules")?;
        let groups = data["groups"].as_array()?;
        let rules: Vec<Value> =
            groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap()).collect();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    });
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        // The certificate of the test is for some days, as that of no service.
        let is_expected = rule["name"] == "HubdnsCertificateEnds";
        assert!(rule["state"] == "inactive" || is_expected, "a hub that is well alerts: {rule}");
        for name in names(rule["query"].as_str().unwrap()) {
            let known = name == ONLY_WITH_A_DRIVER || !prometheus.query(&name).is_empty();
            assert!(known, "no series of {name}");
        }
    }
}
