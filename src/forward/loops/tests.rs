//! What counts as evidence of a loop, how it spreads over domains, and when it is over.

use super::*;
use crate::{forward::upstream::Given, telemetry::Metrics};

const UPSTREAM: &str = "192.0.2.1:53";

struct Watch {
    loops: Loops,
    now: Instant,
}

fn address(text: &str) -> UpstreamAddress {
    text.parse().unwrap()
}

fn upstream(metrics: &Metrics) -> Upstream {
    let metrics = &metrics.forward;
    let given = Given {
        trusted: &[],
        randomizes: false,
        trust: &crate::forward::Trust::default(),
        metrics,
    };
    Upstream::new(address(UPSTREAM), &given)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Watch {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        Self { loops: Loops::new(metrics), now: Instant::now() }
    }

    fn sees(&self, domain: &str, sighting: Sighting) {
        self.loops.sighted(&address(UPSTREAM), &name(domain), sighting, self.now);
    }

    fn domains(&self) -> Vec<String> {
        self.loops.known().iter().map(|it| it.domain.to_string()).collect()
    }

    /// Whether a question for `asked` may go to the upstream.
    fn is_open(&self, asked: &str) -> bool {
        let metrics = Metrics::new().unwrap();
        let upstreams = Arc::new(Upstreams::of(vec![Arc::new(upstream(&metrics))]));
        !self.loops.open(&upstreams, &name(asked)).list().is_empty()
    }
}

#[test]
fn a_probe_that_comes_back_closes_its_domain_at_its_upstream_at_once() {
    let watch = Watch::new();
    let probe = watch.loops.probe(&address(UPSTREAM), &name("amazonaws.com"), 7).unwrap();
    assert!(watch.is_open("rds.amazonaws.com"));
    assert!(watch.loops.looks_at(probe.name.as_wire(), watch.now), "it is ours");
    assert!(!watch.is_open("rds.amazonaws.com"));
    assert!(!watch.is_open("amazonaws.com"));
    assert!(watch.is_open("corp.example"), "what does not come back is asked as before");
    let known = watch.loops.known();
    assert_eq!(
        known[0].to_string(),
        "a forwarding loop: what 192.0.2.1:53 is asked in amazonaws.com comes back to us"
    );
}

#[test]
fn a_probe_counts_once_and_not_after_its_answer() {
    let watch = Watch::new();
    let probe = watch.loops.probe(&address(UPSTREAM), &name("corp.example"), 7).unwrap();
    let seen_on_the_wire = probe.name.clone();
    // It was answered.
    drop(probe);
    assert!(!watch.loops.looks_at(seen_on_the_wire.as_wire(), watch.now));
    assert!(watch.is_open("www.corp.example"));

    let probe = watch.loops.probe(&address(UPSTREAM), &name("corp.example"), 8).unwrap();
    assert!(watch.loops.looks_at(probe.name.as_wire(), watch.now));
    assert!(
        !watch.loops.looks_at(probe.name.as_wire(), watch.now),
        "the second time it is anybody's"
    );
}

#[test]
fn a_name_that_somebody_else_made_up_is_no_evidence() {
    let watch = Watch::new();
    let _probe = watch.loops.probe(&address(UPSTREAM), &name("corp.example"), 7).unwrap();
    let guessed = probe_name(&name("corp.example"), 8).unwrap();
    assert!(!watch.loops.looks_at(guessed.as_wire(), watch.now));
    assert!(watch.is_open("www.corp.example"));
    for sighting in [Sighting::Ahead, Sighting::Answered, Sighting::Unclear] {
        watch.sees("corp.example", sighting);
        assert!(watch.is_open("www.corp.example"), "{sighting:?}");
    }
}

#[tokio::test]
async fn anothers_probe_has_us_probe_the_same_domain_and_not_more_than_once_a_second() {
    let mut watch = Watch::new();
    let probe_in = |domain: &str, random| probe_name(&name(domain), random).unwrap();
    watch.loops.looks_at(probe_in("amazonaws.com", 1).as_wire(), watch.now);
    watch.loops.looks_at(probe_in("corp.example", 2).as_wire(), watch.now);
    assert_eq!(watch.loops.suspected().await, name("amazonaws.com"));
    watch.now += SUSPECT_PAUSE;
    watch.loops.looks_at(probe_in("corp.example", 3).as_wire(), watch.now);
    assert_eq!(watch.loops.suspected().await, name("corp.example"));
}

#[tokio::test]
async fn anothers_probe_says_nothing_new_where_a_loop_is_known() {
    let watch = Watch::new();
    watch.sees("amazonaws.com", Sighting::Returned);
    let theirs = |domain: &str, random| probe_name(&name(domain), random).unwrap();
    watch.loops.looks_at(theirs("eu-west-1.amazonaws.com", 1).as_wire(), watch.now);
    // The one below has its turn: the one above took none.
    watch.loops.looks_at(theirs("corp.example", 2).as_wire(), watch.now);
    assert_eq!(watch.loops.suspected().await, name("corp.example"));
}

#[test]
fn a_wider_loop_takes_the_place_of_those_in_it() {
    let watch = Watch::new();
    for domain in ["eu-west-1.amazonaws.com", "corp.example", "amazonaws.com"] {
        watch.sees(domain, Sighting::Returned);
    }
    assert_eq!(watch.domains(), ["corp.example", "amazonaws.com"]);
    watch.sees("us-east-1.amazonaws.com", Sighting::Returned);
    assert_eq!(watch.domains(), ["corp.example", "amazonaws.com"]);
    watch.sees(".", Sighting::Returned);
    assert_eq!(watch.domains(), ["."]);
    assert!(!watch.is_open("anything"));
}

#[test]
fn an_answer_ends_a_loop_and_silence_does_so_after_a_minute() {
    let watch = Watch::new();
    watch.sees("corp.example", Sighting::Returned);
    watch.sees("corp.example", Sighting::Answered);
    assert!(watch.is_open("www.corp.example"));

    watch.sees("corp.example", Sighting::Returned);
    (1..UNCLEAR_MAX).for_each(|_| watch.sees("corp.example", Sighting::Unclear));
    // A hub that stopped forwarding says that it is still there: two hubs that forward to each
    // other must not each take the other's error for the end.
    watch.sees("corp.example", Sighting::Ahead);
    (1..UNCLEAR_MAX).for_each(|_| watch.sees("corp.example", Sighting::Unclear));
    assert!(!watch.is_open("www.corp.example"));
    watch.sees("corp.example", Sighting::Unclear);
    assert!(watch.is_open("www.corp.example"));
}

#[tokio::test]
async fn a_flight_hears_that_its_way_is_closed() {
    let watch = Watch::new();
    let metrics = Metrics::new().unwrap();
    let upstream = Arc::new(upstream(&metrics));
    let upstreams = [upstream];
    let (www, elsewhere) = (name("www.corp.example"), name("elsewhere.example"));
    let closing = watch.loops.closing(&upstreams, &www);
    let soon = Duration::from_millis(20);
    assert!(tokio::time::timeout(soon, watch.loops.closing(&upstreams, &www)).await.is_err());
    watch.sees("corp.example", Sighting::Returned);
    closing.await;
    assert!(tokio::time::timeout(soon, watch.loops.closing(&upstreams, &elsewhere)).await.is_err());
}

#[test]
fn a_probe_for_every_name_stands_where_resolvers_ask_for_it() {
    let watch = Watch::new();
    let probe = watch.loops.probe(&address(UPSTREAM), &Name::root(), u128::MAX).unwrap();
    assert_eq!(probe.name, name(&format!("hubdns-probe-{}.example", "f".repeat(32))));
    assert!(watch.loops.looks_at(probe.name.as_wire(), watch.now));
    assert_eq!(watch.domains(), ["."]);
}
