//! A change in AWS is answered within one interval; a suspicious one is not believed at once.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    ONE_INTERVAL, SOON, SQS, await_answer, lines_with, measured, nudge, small_hub, source, status,
    support::{Ec2Double, Hub, Hubdns, Unbound, eventually},
    upstream,
};

/// How long until a name has these addresses.
#[track_caller]
fn until(daemon: &Hubdns, what: &str, name: &str, addresses: &[&str]) {
    let start = Instant::now();
    await_answer(daemon, name, addresses, ONE_INTERVAL);
    measured(what, start.elapsed());
}

#[test]
fn replaced_interfaces_are_answered_within_one_interval() {
    let double = Ec2Double::start();
    let sqs = small_hub(&double);
    let daemon = Hubdns::start(&source(&double));
    for (a, b) in [("10.0.1.20", "10.0.2.20"), ("10.0.1.30", "10.0.2.30")] {
        // A round has just ended, so this waits for as long as it can take.
        double.replace_addresses(&sqs.id, json!({ "a": a, "b": b }));
        until(&daemon, "an ENI's new address", SQS, &[a, b]);
    }
    // Two changes of four names, each in one step: never an empty answer, never a mixture.
    assert_eq!(lines_with(&daemon, "answer changes").len(), 8, "{}", daemon.log());
}

#[test]
fn a_service_never_seen_before_is_answered_within_one_interval() {
    let double = Ec2Double::start();
    small_hub(&double);
    let daemon = Hubdns::start(&source(&double));
    double.create_hub(json!([{ "service": "kms", "azs": { "a": "10.0.1.50" } }]));
    until(
        &daemon,
        "a new endpoint of a new service",
        "kms.eu-west-1.amazonaws.com",
        &["10.0.1.50"],
    );
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A").len(), 2);
    assert_eq!(
        double.calls("DescribeVpcEndpointServices"),
        2,
        "known services are not asked again"
    );
}

#[test]
fn an_endpoint_that_is_removed_or_being_deleted_goes_within_one_interval() {
    let (double, unbound) = (Ec2Double::start(), Unbound::start());
    let services = ["sqs", "kms", "sns", "ssm", "sts", "logs", "ecr.api", "secretsmanager"];
    let order: Vec<_> = services
        .iter()
        .map(|service| json!({ "service": service, "azs": { "a": null } }))
        .collect();
    let hub = double.create_hub(json!(order));
    let daemon = Hubdns::start(&(source(&double) + &upstream(&unbound)));
    let sns = "sns.eu-west-1.amazonaws.com A";
    assert_eq!(daemon.dig(sns).data("A"), [hub.endpoints[2].enis[0].ipv4.as_str()]);

    double.remove(&hub.endpoints[0].id);
    double.set_state(&hub.endpoints[2].id, "deleting");
    // Not ours any more, so the upstream says what it is.
    until(&daemon, "an endpoint removed", SQS, &["198.51.100.1"]);
    assert_eq!(daemon.dig(sns).status, "NXDOMAIN");
    assert_eq!(daemon.dig("kms.eu-west-1.amazonaws.com A").data("A").len(), 1);
}

#[test]
fn an_endpoint_that_somebody_changes_is_answered_while_it_is_pending() {
    let double = Ec2Double::start();
    let order =
        ["sqs", "kms", "sns", "ssm"].map(|it| json!({ "service": it, "azs": { "a": null } }));
    let hub = double.create_hub(json!(order));
    let daemon = Hubdns::start(&source(&double));
    let refresh = || {
        let ran = daemon.command("refresh").output().unwrap();
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    // As an endpoint is while its subnets, policy or security groups are changed.
    double.set_state(&hub.endpoints[0].id, "pending");
    assert_eq!(refresh(), "source hub: unchanged\n");
    let answer = daemon.dig(&format!("{} A", hub.endpoints[0].dns_entries[0]));
    assert_eq!(answer.data("A"), [hub.endpoints[0].enis[0].ipv4.as_str()]);
    // What has never been available is not answered before it is.
    let new = double.create_hub(json!([{ "service": "sts", "azs": { "a": null } }]));
    double.set_state(&new.endpoints[0].id, "pending");
    assert!(refresh().contains("0 added, 0 removed, 0 changed"));
    assert_eq!(daemon.dig("sts.eu-west-1.amazonaws.com A").status, "SERVFAIL");
    double.set_state(&hub.endpoints[0].id, "deleting");
    assert!(refresh().contains("removed"));
}

#[test]
fn most_names_gone_at_once_is_believed_the_third_time() {
    let double = Ec2Double::start();
    let hub = double.create_hub(json!([
        { "service": "sqs", "azs": { "a": "10.0.1.10" } },
        { "service": "kms", "azs": { "a": "10.0.1.11" } },
        { "service": "sns", "azs": { "a": "10.0.1.12" } },
    ]));
    let mut daemon = Hubdns::start(&source(&double));
    double.remove(&hub.endpoints[0].id);
    double.remove(&hub.endpoints[1].id);
    for seen in 1..3 {
        nudge(&mut daemon);
        let held = format!("seen {seen} of 3 times in a row");
        eventually(&held, SOON, || lines_with(&daemon, &held).pop());
        assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10"]);
        assert_eq!(daemon.get("/readyz").0, 200);
    }
    nudge(&mut daemon);
    eventually("the loss is believed", SOON, || {
        (daemon.dig(&format!("{SQS} A")).status == "SERVFAIL").then_some(())
    });
    assert_eq!(daemon.dig("sns.eu-west-1.amazonaws.com A").data("A"), ["10.0.1.12"]);
}

/// The sources of which something is held back, and why.
fn held_back(daemon: &Hubdns) -> Vec<(String, String)> {
    let sources = status(daemon)["sources"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let held = |it: &Value| Some((text(&it["name"])?, text(&it["held_back"])?));
    sources.iter().filter_map(held).collect()
}

#[test]
fn one_account_of_ten_that_looks_empty_keeps_its_names_while_the_others_move_on() {
    let double = Ec2Double::start();
    let one = |at: usize| json!([{ "service": "sqs", "azs": { "a": format!("10.0.{at}.10") } }]);
    let hubs: Vec<Hub> = (0..10).map(|at| double.create_hub(one(at))).collect();
    let table = |at: usize| {
        let (url, vpc) = (double.url(), &hubs[at].vpc);
        format!(
            "[[source]]\nname = \"account-{at}\"\nkind = \"ec2\"\nendpoint_url = \"{url}\"\n\
             vpc_ids = [\"{vpc}\"]\n"
        )
    };
    let sources: String = (0..10).map(table).collect();
    let daemon = Hubdns::start(&sources);
    let own = |at: usize| hubs[at].endpoints[0].dns_entries[0].as_str();
    double.remove(&hubs[7].endpoints[0].id);
    for seen in 1..3 {
        let refreshed = daemon.command("refresh --source account-7").output().unwrap();
        let told = String::from_utf8_lossy(&refreshed.stdout).into_owned();
        assert_eq!(refreshed.status.code(), Some(1), "{told}");
        assert!(told.contains("names of source account-7 would go"), "{told}");
        assert!(told.contains(&format!("seen {seen} of 3 times in a row")), "{told}");
        let moved = format!("10.0.8.{seen}");
        double.replace_addresses(&hubs[8].endpoints[0].id, json!({ "a": moved }));
        assert!(daemon.command("refresh --source account-8").status().unwrap().success());
        assert_eq!(daemon.dig(&format!("{} A", own(8))).data("A"), [moved]);
        assert_eq!(daemon.dig(&format!("{} A", own(7))).data("A"), ["10.0.7.10"]);
        // The last round was another's, and that this one is held back is told all the same.
        let held_back = held_back(&daemon);
        let [(name, why)] = &held_back[..] else { panic!("{held_back:?}") };
        assert!(name == "account-7" && why.contains(&format!("seen {seen} of 3")), "{held_back:?}");
        let (_, page) = daemon.get("/");
        assert!(page.contains("What source account-7 found is held back: "), "{page}");
        let status = daemon.command("status").output().unwrap();
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(status.contains("\nheld back  account-7: "), "{status}");
    }
    assert!(daemon.command("refresh --source account-7").status().unwrap().success());
    assert!(held_back(&daemon).is_empty());
    assert_eq!(daemon.dig(&format!("{} A", own(7))).status, "SERVFAIL");
}

#[test]
fn an_account_that_looks_empty_takes_no_name_away() {
    let double = Ec2Double::start();
    let sqs = small_hub(&double);
    let mut daemon = Hubdns::start(&source(&double));
    double.remove(&sqs.id);
    for seen in 1..=4 {
        nudge(&mut daemon);
        eventually("the emptiness is told", SOON, || {
            (lines_with(&daemon, "every endpoint has vanished").len() == seen).then_some(())
        });
        assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10", "10.0.2.10"]);
    }
}
