//! What `/metrics` says, and that Prometheus can read it.

use super::*;

/// Every line of a page in the text exposition format, version 0.0.4.
fn check_exposition(page: &str) {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    let mut described: HashMap<(&str, &str), usize> = HashMap::new();
    let mut family = "";
    for line in page.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (keyword, name) = (words.next().unwrap(), words.next().unwrap());
            let text = words.next().unwrap();
            match keyword {
                "HELP" => assert!(text.ends_with('.'), "{line}"),
                "TYPE" => assert!(["counter", "gauge", "histogram"].contains(&text), "{line}"),
                _ => panic!("{line}"),
            }
            *described.entry((keyword, name)).or_default() += 1;
            family = name;
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        assert!(is_name(name) && name.starts_with(family), "{line} stands under {family}");
        for label in labels.split("\",").filter(|label| !label.is_empty()) {
            let (key, value) = label.split_once("=\"").unwrap();
            assert!(is_name(key), "{line}");
            assert!(!value.trim_end_matches('"').contains(['"', '\n']), "{line}");
        }
        for keyword in ["HELP", "TYPE"] {
            assert!(described.contains_key(&(keyword, family)), "{keyword} is missing: {line}");
        }
    }
    assert!(described.values().all(|times| *times == 1), "{described:?}");
    assert!(20 < described.len(), "{page}");
}

#[tokio::test]
async fn the_metrics_page_is_one_that_prometheus_reads() {
    let daemon = Daemon::ready().await;
    daemon.admin.metrics.dns.view("default");
    let response = daemon.get("/metrics").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    check_exposition(&response.body);
}

#[tokio::test]
async fn the_age_of_facts_is_told_at_each_scrape() {
    let daemon = Daemon::ready().await;
    let age = async |source: SourceStatus| {
        daemon.status.send_replace(status_of(source));
        let page = daemon.get("/metrics").await.body;
        let line = page.lines().find(|line| line.starts_with("hubdns_discovery_age_seconds"));
        let (series, age) = line.unwrap().split_once(' ').unwrap();
        assert_eq!(series, r#"hubdns_discovery_age_seconds{source="hub"}"#);
        age.parse::<f64>().unwrap()
    };
    assert_eq!(age(source(None)).await, -1.0);
    let ago = tokio::time::Instant::now().checked_sub(Duration::from_secs(30)).unwrap();
    let told = SourceStatus { confirmed: Some(ago), from_state_file: Some(9_000), ..source(None) };
    let told = age(told).await;
    assert!((30.0..40.0).contains(&told), "{told}");
    let kept = age(SourceStatus { from_state_file: Some(9_000), ..source(None) }).await;
    assert!((9_000.0..9_010.0).contains(&kept), "{kept}");
}
