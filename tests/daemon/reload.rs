//! SIGHUP: all of a new configuration, or none of it.

use crate::{
    SOON, SQS, await_metric, lines_with, nudge, recorded, small_hub, source, source_at, status,
    support::{Ec2Double, Hubdns, Unbound, dig_at, eventually, free_port, try_dig},
    upstream,
};

fn reloads(outcome: &str) -> String {
    format!("hubdns_config_reloads_total{{outcome=\"{outcome}\"}}")
}

/// Puts a configuration in force.
#[track_caller]
fn reload(daemon: &mut Hubdns, config: &str) {
    let done = daemon.metric(&reloads("done")).unwrap();
    daemon.write_config(config);
    nudge(daemon);
    await_metric(daemon, &reloads("done"), done + 1.0);
}

#[test]
fn a_bad_configuration_changes_nothing_and_every_problem_is_logged() {
    let (double, unbound) = (Ec2Double::start(), Unbound::start());
    small_hub(&double);
    let good = source(&double) + &upstream(&unbound);
    let mut daemon = Hubdns::start(&good);
    let before = status(&daemon);
    let bad = "[server]\nlisten = [\"127.0.0.1:{dns_port}\"]\nlistn = []\n\
               [answers]\nttl_secs = 0\n[cache]\nentries = \"many\"\n"
        .to_owned()
        + &good;
    daemon.write_config(&bad);
    nudge(&mut daemon);
    await_metric(&daemon, &reloads("refused"), 1.0);
    for place in ["hubdns.toml:3:1: ", "hubdns.toml:5:12: ", "hubdns.toml:7:11: "] {
        assert_eq!(lines_with(&daemon, place).len(), 1, "{place} {}", daemon.log());
    }
    assert_eq!(daemon.metric(&reloads("done")), Some(0.0));
    let after = status(&daemon);
    for key in ["generation", "table_hash", "listeners"] {
        assert_eq!(before[key], after[key]);
    }
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A").len(), 2);
    assert_eq!(daemon.dig("www.corp.example A").data("A"), ["192.0.2.80"]);

    // So does one whose only fault is this machine's: an address that is taken.
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = format!("[server]\nlisten = [\"127.0.0.1:{{dns_port}}\", \"{address}\"]\n");
    daemon.write_config(
        &(listen + &good + "[[answers.alias]]\nname = \"new.example\"\nservice = \"sqs\"\n"),
    );
    nudge(&mut daemon);
    await_metric(&daemon, &reloads("refused"), 2.0);
    let line = lines_with(&daemon, "hubdns.toml:2:32: ").pop().unwrap_or_else(|| daemon.log());
    assert!(line.contains(&address.to_string()), "{line}");
    assert_ne!(daemon.dig("new.example A").status, "NOERROR");
    assert_eq!(status(&daemon)["listeners"], before["listeners"]);
}

#[test]
fn aliases_and_views_are_in_force_after_a_reload() {
    let (double, unbound) = (Ec2Double::start(), Unbound::start());
    small_hub(&double);
    let config = source(&double) + &upstream(&unbound);
    let mut daemon = Hubdns::start(&config);
    let legacy = "eu-west-1.queue.amazonaws.com";
    assert_eq!(daemon.dig(&format!("{legacy} A")).status, "NXDOMAIN");
    assert_eq!(daemon.dig(&format!("{SQS} A -b 127.0.0.3")).data("A").len(), 2);
    let more = format!(
        "[answers]\nttl_secs = 17\n[[answers.alias]]\nname = \"{legacy}\"\nservice = \"sqs\"\n\
         [[view]]\nname = \"outside\"\nclients = [\"127.0.0.3/32\"]\ndeny = [\"sqs\"]\n"
    );
    reload(&mut daemon, &(config + &more));
    let alias = daemon.dig(&format!("{legacy} A"));
    assert_eq!(alias.data("A"), ["10.0.1.10", "10.0.2.10"], "{}", alias.raw);
    assert_eq!(alias.answer[0].ttl, 17);
    let outside = daemon.dig(&format!("{SQS} A -b 127.0.0.3"));
    assert_eq!(outside.data("A"), ["198.51.100.1"], "{}", outside.raw);
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A").len(), 2);
}

#[test]
fn listeners_are_opened_and_closed_by_a_reload() {
    let config = recorded();
    let mut daemon = Hubdns::start(&config);
    let (old, new) = (daemon.dns(), ([127, 0, 0, 1], free_port()).into());
    reload(&mut daemon, &format!("{config}[server]\nlisten = [\"{old}\", \"{new}\"]\n"));
    for server in [old, new] {
        assert_eq!(dig_at(server, &format!("{SQS} A")).data("A").len(), 3);
        assert_eq!(dig_at(server, &format!("{SQS} A +tcp")).data("A").len(), 3);
    }
    reload(&mut daemon, &format!("{config}[server]\nlisten = [\"{new}\"]\n"));
    assert_eq!(dig_at(new, &format!("{SQS} A")).data("A").len(), 3);
    for transport in ["+notcp", "+tcp"] {
        let printed = eventually("the old address is closed", SOON, || {
            try_dig(old, &format!("{SQS} A {transport}")).err()
        });
        assert!(printed.contains("refused"), "{printed}");
    }
    assert_eq!(status(&daemon)["listeners"], serde_json::json!([new.to_string()]));
}

#[test]
fn the_cache_outlives_a_reload_and_what_others_decide_now_does_not() {
    let (first, second) = (Unbound::start(), Unbound::start());
    let config = recorded();
    let mut daemon = Hubdns::start(&(config.clone() + &upstream(&first)));
    let ask = |daemon: &Hubdns| {
        assert_eq!(daemon.dig("www.corp.example A").data("A"), ["192.0.2.80"]);
    };
    ask(&daemon);
    reload(&mut daemon, &(config.clone() + &upstream(&first) + "[answers]\nttl_secs = 30\n"));
    ask(&daemon);
    assert_eq!(first.queries().len(), 1, "{:?}", first.queries());
    // One more may be asked now, and the one that told it still.
    let (one, other) = (first.address(), second.address());
    let both = format!("[forward]\nupstreams = [\"{other}\", \"{one}\"]\n");
    reload(&mut daemon, &(config.clone() + &both));
    ask(&daemon);
    assert_eq!((first.queries().len(), second.queries().len()), (1, 0));
    // A zone of its own has another to say what is right.
    let zone = format!("[[forward.zone]]\nname = \"corp.example\"\nupstreams = [\"{other}\"]\n");
    reload(&mut daemon, &(config.clone() + &upstream(&first) + &zone));
    ask(&daemon);
    assert_eq!((first.queries().len(), second.queries().len()), (1, 1));
    // Other upstreams may say something else: their answers are new ones.
    reload(&mut daemon, &(config + &upstream(&first)));
    ask(&daemon);
    assert_eq!((first.queries().len(), second.queries().len()), (2, 1));
}

#[test]
fn sources_come_and_go_by_a_reload() {
    let double = Ec2Double::start();
    small_hub(&double);
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small");
    let files = format!("[[source]]\nname = \"files\"\nkind = \"files\"\npath = \"{recorded}\"\n");
    let mut daemon = Hubdns::start(&source(&double));
    reload(&mut daemon, &(source(&double) + &files));
    eventually("both are told of", SOON, || {
        let status = status(&daemon);
        let sources = status["sources"].as_array().unwrap().clone();
        (sources.len() == 2 && sources.iter().all(|it| it["endpoints"] != 0)).then_some(())
    });
    // The first of them still wins what both claim.
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10", "10.0.2.10"]);
    reload(&mut daemon, &files);
    crate::await_answer(&daemon, SQS, &["10.0.1.5", "10.0.2.5", "10.0.3.5"], SOON);
}

#[test]
fn a_reload_before_the_first_table_can_be_what_makes_one() {
    let nobody = ([127, 0, 0, 1], free_port()).into();
    let mut daemon = Hubdns::spawn(&source_at(nobody), &[]);
    eventually("a round has failed", SOON, || lines_with(&daemon, "discovery failed").pop());
    daemon.write_config(&recorded());
    nudge(&mut daemon);
    daemon.wait_ready();
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A").len(), 3);
}

#[test]
fn a_source_that_is_redefined_is_believed_at_once() {
    let others = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/saas");
    let others = format!("[[source]]\nname = \"others\"\nkind = \"files\"\npath = \"{others}\"\n");
    let config = recorded() + &others;
    let mut daemon = Hubdns::start(&config);
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A").len(), 3);
    // All names of the source go by this, far more than the guard lets go by an accident.
    let narrowed =
        config.replacen("kind = \"files\"", "kind = \"files\"\ntags = { env = \"prod\" }", 1);
    assert_ne!(narrowed, config);
    reload(&mut daemon, &narrowed);
    eventually("the names of other endpoints are forwarded", SOON, || {
        (daemon.dig(&format!("{SQS} A")).status == "SERVFAIL").then_some(())
    });
    assert!(lines_with(&daemon, "not believed").is_empty(), "{}", daemon.log());
    // But never the last name of all, which is a slip of the hand.
    reload(
        &mut daemon,
        &narrowed.replace("fixtures/saas\"", "fixtures/saas\"\ntags = { env = \"prod\" }"),
    );
    eventually("the loss of everything is not believed", SOON, || {
        lines_with(&daemon, "every endpoint has vanished").pop()
    });
}
