//! Several sources make one inventory.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    ONE_INTERVAL, SOON, SQS, await_answer, await_metric, lines_with, nudge, recorded, small_hub,
    source, status,
    support::{Ec2Double, Hubdns, eventually},
};

/// `hubdns names` of the running daemon, without what is answered.
fn declined(daemon: &Hubdns) -> Vec<Value> {
    let (_, text) = daemon.get("/api/v1/names");
    let names: Value = serde_json::from_str(&text).unwrap();
    names["views"][0]["declined"].as_array().unwrap().clone()
}

fn ec2(double: &Ec2Double, name: &str, more: &str) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\nkind = \"ec2\"\nendpoint_url = \"{}\"\n{more}\n",
        double.url()
    )
}

#[test]
fn two_accounts_and_two_regions_are_one_hub() {
    let double = Ec2Double::start();
    for (account, region, service, address) in [
        ("111111111111", "eu-west-1", "sqs", "10.0.1.11"),
        ("222222222222", "eu-west-1", "kms", "10.0.1.22"),
        ("111111111111", "eu-central-1", "sqs", "10.0.1.33"),
    ] {
        let one = json!({ "service": service, "azs": { "a": address } });
        double.create(json!({ "account": account, "region": region, "endpoints": [one] }));
    }
    let role = |account: &str| format!("role_arn = \"arn:aws:iam::{account}:role/hubdns-read\"");
    let config = ec2(&double, "one", &role("111111111111"))
        + &ec2(&double, "two", &role("222222222222"))
        + &ec2(&double, "central", &(role("111111111111") + "\nregion = \"eu-central-1\""));
    let daemon = Hubdns::start_with(&config, &[("AWS_ENDPOINT_URL_STS", &double.url())]);
    for (name, address) in [
        (SQS, "10.0.1.11"),
        ("kms.eu-west-1.amazonaws.com", "10.0.1.22"),
        ("sqs.eu-central-1.amazonaws.com", "10.0.1.33"),
    ] {
        assert_eq!(daemon.dig(&format!("{name} A")).data("A"), [address], "{name}");
    }
    let roles: Vec<String> = double
        .log()
        .iter()
        .filter(|entry| entry["action"] == "AssumeRole")
        .map(|entry| entry["form"]["RoleArn"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(roles.len(), 3, "{roles:?}");
}

#[test]
fn a_role_that_may_not_be_assumed_is_named() {
    let double = Ec2Double::start();
    double.fault(json!({ "action": "AssumeRole", "kind": "error", "times": 0, "status": 403,
        "code": "AccessDenied" }));
    let one = json!({ "service": "sqs", "azs": { "a": "10.0.1.10" } });
    double.create(json!({ "endpoints": [one] }));
    let role = "arn:aws:iam::222222222222:role/hubdns-read";
    let config = source(&double) + &ec2(&double, "other", &format!("role_arn = \"{role}\""));
    let daemon = Hubdns::start_with(&config, &[("AWS_ENDPOINT_URL_STS", &double.url())]);
    // The source that can be asked is answered from; the log tells what the other one lacks.
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10"]);
    let log = daemon.log();
    assert!(log.contains(&format!("sts:AssumeRole on {role}")), "{log}");
    // The SDK's own warning of it would be a second line.
    let (warned, failed) =
        (lines_with(&daemon, "AccessDenied"), lines_with(&daemon, "discovery failed"));
    assert_eq!(warned, failed);
    let sample = "hubdns_discovery_errors_total{action=\"AssumeRole\",code=\"AccessDenied\",source=\"other\"}";
    assert!(daemon.metric(sample).is_some_and(|count| 1.0 <= count));
}

#[test]
fn tags_and_vpcs_choose_endpoints() {
    let double = Ec2Double::start();
    let order = |service: &str, address: &str, tag: &str| json!([{ "service": service, "azs": { "a": address }, "tags": { "dns": tag } }]);
    let first = double.create_hub(order("sqs", "10.0.1.11", "hub"));
    double.create(json!({ "vpc": first.vpc, "endpoints": order("kms", "10.0.1.12", "other") }));
    double.create_hub(order("sns", "10.0.1.13", "hub"));
    let ask = |daemon: &Hubdns| {
        ["sqs", "kms", "sns"]
            .map(|short| daemon.dig(&format!("{short}.eu-west-1.amazonaws.com A")).status)
    };
    let (ours, not_ours) = ("NOERROR", "SERVFAIL");
    for (chosen, expected) in [
        ("tags = { dns = \"hub\" }".to_owned(), [ours, not_ours, ours]),
        (format!("vpc_ids = [\"{}\"]", first.vpc), [ours, ours, not_ours]),
        (
            format!("vpc_ids = [\"{}\"]\ntags = {{ dns = \"hub\" }}", first.vpc),
            [ours, not_ours, not_ours],
        ),
    ] {
        let daemon = Hubdns::start(&ec2(&double, "hub", &chosen));
        assert_eq!(ask(&daemon), expected, "{chosen}");
    }
}

#[test]
fn of_two_claims_the_first_source_wins_and_the_loser_is_told() {
    let double = Ec2Double::start();
    // The older endpoint is in the second source: the order of the file counts first.
    let older = double.create_hub(json!([{ "service": "sqs", "azs": { "a": "10.0.1.22" } }]));
    let newer = double.create_hub(json!([{ "service": "sqs", "azs": { "a": "10.0.1.11" } }]));
    let of = |name: &str, vpc: &str| ec2(&double, name, &format!("vpc_ids = [\"{vpc}\"]"));
    let daemon = Hubdns::start(&(of("first", &newer.vpc) + &of("second", &older.vpc)));
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.11"]);
    // The loser's own names are its own.
    let regional = &older.endpoints[0].dns_entries[0];
    assert_eq!(daemon.dig(&format!("{regional} A")).data("A"), ["10.0.1.22"]);
    let lost = declined(&daemon);
    let lost = lost.iter().find(|declined| declined["name"] == SQS).unwrap();
    assert_eq!(lost["endpoint"], *older.endpoints[0].id);
    assert_eq!(lost["source"], "second");
    let why = lost["why"].as_str().unwrap();
    assert!(why.contains(&newer.endpoints[0].id) && why.contains("first"), "{why}");
    let printed = daemon.command("names").output().unwrap();
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.contains(why), "{printed}");

    // In one source the oldest endpoint wins.
    let daemon = Hubdns::start(&ec2(&double, "both", ""));
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.22"]);
}

#[test]
fn recorded_files_stand_beside_an_account() {
    let double = Ec2Double::start();
    double.create_hub(json!([{ "service": "sns", "azs": { "a": "10.0.1.10" } }]));
    let daemon = Hubdns::start(&(source(&double) + &recorded()));
    assert_eq!(daemon.dig("sns.eu-west-1.amazonaws.com A").data("A"), ["10.0.1.10"]);
    let sqs = daemon.dig(&format!("{SQS} A"));
    assert_eq!(sqs.data("A").len(), 3, "{}", sqs.raw);
}

#[test]
fn recorded_files_that_change_are_read_again_and_broken_ones_are_not_believed() {
    let folder = TempDir::new().unwrap();
    let copy = |name: &str| {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        for file in fs::read_dir(from).unwrap() {
            let path = file.unwrap().path();
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    };
    copy("small");
    let path = format!("path = \"{}\"", folder.path().display());
    let mut daemon =
        Hubdns::start(&format!("[[source]]\nname = \"files\"\nkind = \"files\"\n{path}\n"));
    let hash = |daemon: &Hubdns| status(daemon)["table_hash"].clone();
    let before = hash(&daemon);
    let broken = folder.path().join("network-interfaces.json");
    let whole = fs::read_to_string(&broken).unwrap();
    let errors = "hubdns_discovery_errors_total{action=\"files\",code=\"file\",source=\"files\"}";
    fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    nudge(&mut daemon);
    await_metric(&daemon, errors, 1.0);
    let line = lines_with(&daemon, "discovery failed").remove(0);
    assert!(line.contains("network-interfaces.json:"), "file and line: {line}");
    assert_eq!(hash(&daemon), before);

    copy("small-after");
    // A third of the names go, which has to be seen three times, 5 s apart.
    let changed = || (hash(&daemon) != before).then_some(());
    eventually("the other files are read", 3 * SOON, changed);
}

#[test]
fn a_source_that_hangs_delays_no_other() {
    let (slow, quick) = (Ec2Double::start(), Ec2Double::start());
    let kms = json!([{ "service": "kms", "azs": { "a": "10.0.1.50" } }]);
    slow.create_hub(kms);
    let sqs = small_hub(&quick);
    let daemon = Hubdns::start(&(ec2(&slow, "slow", "") + &ec2(&quick, "quick", "")));
    slow.fault(json!({ "action": "*", "kind": "delay", "delay_ms": 25_000, "times": 0 }));
    quick.replace_addresses(&sqs.id, json!({ "a": "10.0.1.20", "b": "10.0.2.20" }));
    await_answer(&daemon, SQS, &["10.0.1.20", "10.0.2.20"], ONE_INTERVAL);
    assert_eq!(daemon.dig("kms.eu-west-1.amazonaws.com A").data("A"), ["10.0.1.50"]);
}

#[test]
fn a_source_that_fails_keeps_its_facts_while_others_move_and_over_a_restart() {
    let (failing, moving) = (Ec2Double::start(), Ec2Double::start());
    failing.create_hub(json!([{ "service": "kms", "azs": { "a": "10.0.1.50" } }]));
    let sqs = small_hub(&moving);
    let mut daemon = Hubdns::start(&(ec2(&failing, "failing", "") + &ec2(&moving, "moving", "")));
    let denied = |action: &str| {
        json!({ "action": action, "kind": "error", "times": 0, "status": 403,
            "code": "UnauthorizedOperation" })
    };
    failing.fault(denied("*"));
    let refresh = |daemon: &Hubdns, source: &str| {
        let ran = daemon.command(&format!("refresh --source {source}")).output().unwrap();
        ran.status.success()
    };
    let both = |daemon: &Hubdns, addresses: [&str; 2]| {
        assert_eq!(daemon.dig("kms.eu-west-1.amazonaws.com A").data("A"), ["10.0.1.50"]);
        assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), addresses);
    };
    // More often than the guard would hold anything back.
    for round in 1..=4 {
        assert!(!refresh(&daemon, "failing"));
        let new = [format!("10.0.1.{}", 20 + round), format!("10.0.2.{}", 20 + round)];
        moving.replace_addresses(&sqs.id, json!({ "a": new[0], "b": new[1] }));
        assert!(refresh(&daemon, "moving"));
        both(&daemon, [&new[0], &new[1]]);
    }
    assert!(daemon.terminate().success());
    daemon.start_again();
    assert!(!refresh(&daemon, "failing"));
    moving.replace_addresses(&sqs.id, json!({ "a": "10.0.1.40", "b": "10.0.2.40" }));
    assert!(refresh(&daemon, "moving"));
    both(&daemon, ["10.0.1.40", "10.0.2.40"]);
    assert_eq!(daemon.get("/readyz").0, 200);
}
