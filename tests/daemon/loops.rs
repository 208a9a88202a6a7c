//! What we forward comes back to us: by a resolver that sends it to us, by another hub, for all
//! names or for some. Then nobody's packets go round, and what needs no upstream is answered.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    SOON, SQS, recorded, status,
    support::{Hubdns, Unbound, eventually, free_port, http_get},
    upstream,
};

/// What every question on a closed way is told.
const LOOP: &str = "a forwarding loop: the upstreams ask us for this name again";
/// A probe's time is up after 3.5 s, and one that is answered takes no more than a moment.
const FIRST_LOOK: Duration = Duration::from_secs(4);
/// Names of ours and what the recorded hub says of them.
const OURS: [&str; 3] = ["10.0.1.5", "10.0.2.5", "10.0.3.5"];

/// A daemon that listens on `back` as well, a port that was known before it started.
fn listening_on(back: u16, forward: &str) -> Hubdns {
    let server = format!("[server]\nlisten = [\"127.0.0.1:{{dns_port}}\", \"127.0.0.1:{back}\"]\n");
    Hubdns::spawn(&(recorded() + &server + forward), &[])
}

/// Waits until exactly these loops are known, each as `upstream domain`.
#[track_caller]
fn await_loops(daemon: &Hubdns, wanted: &[(&Unbound, &str)]) {
    let wanted: Vec<String> =
        wanted.iter().map(|(unbound, domain)| format!("{} {domain}", unbound.address())).collect();
    let mut seen = Vec::new();
    eventually(&format!("the loops are {wanted:?}"), SOON, || {
        let told = http_get(daemon.admin(), "/api/v1/status").ok()?.1;
        let told: serde_json::Value = serde_json::from_str(&told).ok()?;
        seen = told["loops"]
            .as_array()?
            .iter()
            .map(|it| {
                format!("{} {}", it["upstream"].as_str().unwrap(), it["domain"].as_str().unwrap())
            })
            .collect();
        seen.sort();
        (seen == wanted).then_some(())
    });
}

#[track_caller]
fn is_refused_as_loop(daemon: &Hubdns, name: &str) {
    let answer = daemon.dig(&format!("{name} A"));
    assert_eq!(answer.status, "SERVFAIL", "{}", answer.raw);
    assert_eq!((answer.ede, answer.ede_text.as_deref()), (Some(0), Some(LOOP)), "{}", answer.raw);
}

#[track_caller]
fn is_answered(daemon: &Hubdns, name: &str, addresses: &[&str]) {
    let answer = daemon.dig(&format!("{name} A"));
    assert_eq!(answer.data("A"), addresses, "{}", answer.raw);
}

#[test]
fn a_loop_by_a_resolver_is_found_at_the_start_told_everywhere_and_its_end_is_found() {
    let back = free_port();
    let mut resolver = Unbound::forwarding(".", back);
    let mut daemon = listening_on(back, &upstream(&resolver));
    await_loops(&daemon, &[(&resolver, ".")]);

    let (code, reasons) = daemon.get("/readyz");
    let told =
        format!("a forwarding loop: all that {} is asked comes back to us\n", resolver.address());
    assert_eq!((code, reasons), (503, told));
    let gauge = format!("hubdns_forwarding_loop{{upstream=\"{}\"}}", resolver.address());
    assert_eq!(daemon.metric(&gauge), Some(1.0));
    let lines = crate::lines_with(&daemon, "a forwarding loop");
    let about_all = lines.iter().filter(|line| line.contains("\"domain\":\".\"")).count();
    assert_eq!(about_all, 1, "{lines:#?}");

    is_answered(&daemon, SQS, &OURS);
    let before = resolver.heard_count();
    let asking = Instant::now();
    for at in 0..100 {
        is_refused_as_loop(&daemon, &format!("host{at}.corp.example"));
    }
    let passed = asking.elapsed();
    assert_eq!(resolver.queries().iter().filter(|it| it.starts_with("host")).count(), 0);
    // Probes go on: of one loop one every 5 s, each asked of us twice at most by this resolver.
    let heard = resolver.heard_count() - before;
    let allowed = 3 * (1 + passed.as_secs() / 5);
    assert!(heard as u64 <= allowed, "{heard} packets in {passed:?}");

    resolver.become_right();
    await_loops(&daemon, &[]);
    is_answered(&daemon, "www.corp.example", &["192.0.2.80"]);
    daemon.wait_ready();
    assert_eq!(daemon.metric(&gauge), Some(0.0));
    assert!(daemon.terminate().success());
}

#[test]
fn a_loop_that_begins_later_is_found_by_the_first_question_and_its_packets_stay_few() {
    let mut resolver = Unbound::start();
    let daemon = Hubdns::start(&(recorded() + &upstream(&resolver)));
    // Short-lived, so that it stands in afterwards.
    is_answered(&daemon, "www.corp.example", &["192.0.2.80"]);
    resolver.become_forwarding(".", daemon.dns_port());

    let asked = Instant::now();
    is_refused_as_loop(&daemon, "lost.example");
    crate::measured("the first question of a new loop", asked.elapsed());
    // One circle: without the look-out every question would wait for itself for 3.5 s.
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    await_loops(&daemon, &[(&resolver, ".")]);
    let heard = resolver.heard_count();
    assert!(heard < 40, "{heard} packets for one question and the probes");
    is_answered(&daemon, "www.corp.example", &["192.0.2.80"]);
    is_answered(&daemon, SQS, &OURS);
}

#[test]
fn a_zone_whose_upstream_asks_us_stops_alone() {
    let back = free_port();
    let resolver = Unbound::start();
    let looping = Unbound::forwarding(".", back);
    let forward = upstream(&resolver)
        + &format!(
            "[[forward.zone]]\nname = \"loop.example\"\nupstreams = [\"{}\"]\n",
            looping.address()
        );
    let daemon = listening_on(back, &forward);
    await_loops(&daemon, &[(&looping, "loop.example")]);
    is_refused_as_loop(&daemon, "www.loop.example");
    is_answered(&daemon, "www.corp.example", &["192.0.2.80"]);
    assert_eq!(daemon.dig("nobody.example A").status, "NXDOMAIN");
}

#[test]
fn the_rule_for_amazonaws_on_the_hubs_own_vpc_stops_what_is_in_its_domain() {
    let back = free_port();
    let resolver = Unbound::forwarding("amazonaws.com", back);
    let daemon = listening_on(back, &upstream(&resolver));
    // Found below the domain of our names, and told by the rule's.
    await_loops(&daemon, &[(&resolver, "amazonaws.com")]);
    is_refused_as_loop(&daemon, "rds.eu-west-1.amazonaws.com");
    is_answered(&daemon, SQS, &OURS);
    is_answered(&daemon, "www.corp.example", &["192.0.2.80"]);
}

#[test]
fn a_rule_for_a_service_that_has_no_endpoint_any_more_stops_its_name_alone_and_while_it_is_there() {
    let back = free_port();
    let name = "rds.eu-west-1.amazonaws.com";
    let mut resolver = Unbound::forwarding(name, back);
    let mut daemon = listening_on(back, &upstream(&resolver));
    daemon.wait_ready();
    // No probe stands there before somebody asks.
    is_refused_as_loop(&daemon, name);
    await_loops(&daemon, &[(&resolver, name)]);
    is_answered(&daemon, "www.corp.example", &["192.0.2.80"]);
    // Found by a question and not by the clock, its end is found as soon.
    resolver.become_right();
    await_loops(&daemon, &[]);
    is_answered(&daemon, name, &["198.51.100.3"]);
}

#[test]
fn with_a_second_upstream_that_is_right_clients_notice_nothing() {
    let back = free_port();
    let looping = Unbound::forwarding(".", back);
    let resolver = Unbound::start();
    let both =
        format!("[forward]\nupstreams = [\"{}\", \"{}\"]\n", looping.address(), resolver.address());
    let daemon = listening_on(back, &both);
    await_loops(&daemon, &[(&looping, ".")]);
    is_answered(&daemon, "www.corp.example", &["192.0.2.80"]);
    // Not ready all the same: whoever looks after it should know.
    assert_eq!(daemon.get("/readyz").0, 503);
}

#[test]
fn two_hubs_that_forward_to_each_other_send_few_packets_and_go_on_when_one_is_put_right() {
    let resolver = Unbound::start();
    let mut one = Hubdns::start(&(recorded() + &upstream(&resolver)));
    let to = |hub: &Hubdns| format!("[forward]\nupstreams = [\"{}\"]\n", hub.dns());
    let other = Hubdns::start(&(recorded() + &to(&one)));
    let config = recorded() + &to(&other);
    one.write_config(&config);
    one.process().signal("HUP");

    // Who finds it first stops, and then the other's questions come back no more.
    let knows = |hub: &Hubdns| !status(hub)["loops"].as_array().unwrap().is_empty();
    eventually("a hub knows of the loop", SOON, || (knows(&one) || knows(&other)).then_some(()));
    let sent = || {
        let to = |hub: &Hubdns, to: &Hubdns| {
            let labels = format!("proto=\"udp\",upstream=\"{}\"", to.dns());
            hub.metric(&format!("hubdns_upstream_requests_total{{{labels}}}")).unwrap()
        };
        to(&one, &other) + to(&other, &one)
    };
    // The first look at everything, of both hubs, is over by then: it is sent once a minute.
    thread::sleep(FIRST_LOOK);
    let (before, start) = (sent(), Instant::now());
    // Past two probes: neither takes the other's error for the end of it.
    while start.elapsed() < Duration::from_secs(11) {
        for hub in [&one, &other] {
            is_refused_as_loop(hub, "lost.example");
            is_answered(hub, SQS, &OURS);
        }
        thread::sleep(Duration::from_millis(500));
    }
    // In 5 s one probe, which the other hub passes on, and a probe of its own for it, each sent
    // twice at most: six packets. And a question in 2 s: a failure is remembered so long. That is
    // 6 / 5 + 1 / 2 = 1.7 a second. Hubs that have each other probe come to more than 2.
    let (sent, passed) = (sent() - before, start.elapsed());
    crate::measured(&format!("{sent} packets between two hubs"), passed);
    assert!(sent <= passed.as_secs_f64() * 2.0, "{sent} packets between the hubs in {passed:?}");

    let right = recorded() + &upstream(&resolver);
    one.write_config(&right);
    one.process().signal("HUP");
    for hub in [&one, &other] {
        eventually("the hub forwards again", SOON, || {
            (hub.dig("www.corp.example A").data("A") == ["192.0.2.80"]).then_some(())
        });
        eventually("the hub is ready", SOON, || (hub.get("/readyz").0 == 200).then_some(()));
    }
}

#[test]
fn nobody_stops_us_by_sending_names_that_look_like_probes() {
    let resolver = Unbound::start();
    let daemon = Hubdns::start(&(recorded() + &upstream(&resolver)));
    let seen = eventually("the upstream sees a probe", SOON, || resolver.heard().0.pop());
    let name = seen.split(' ').next().unwrap();
    // It was answered, or is about to be: within a moment it counts no more.
    eventually("the probes are answered", SOON, || {
        let answered = daemon.metric("hubdns_loop_probes_total{result=\"answered\"}")?;
        (3.0 <= answered).then_some(())
    });
    assert_eq!(daemon.dig(&format!("{name} A")).status, "NXDOMAIN");
    let made_up = format!("hubdns-probe-{}.corp.example", "0".repeat(32));
    assert_eq!(daemon.dig(&format!("{made_up} A")).status, "NXDOMAIN");
    assert_eq!(status(&daemon)["loops"], serde_json::json!([]));
    is_answered(&daemon, "www.corp.example", &["192.0.2.80"]);
}
