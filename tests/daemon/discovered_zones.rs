//! `zones = "discover"`: clients' zones by the sources' subnets.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    SOON, SQS,
    commands::{Ran, ran},
    lines_with, nudge, small_hub, source, status,
    support::{Ec2Double, Hubdns, eventually},
};

/// What the step about the zone says to a client of this address.
fn zone_of(daemon: &Hubdns, client: &str) -> Option<String> {
    let (code, text) = daemon.get(&format!("/api/v1/explain?name={SQS}&from={client}"));
    assert_eq!(code, 200, "{text}");
    let explained: Value = serde_json::from_str(&text).unwrap();
    let steps = explained["steps"].as_array().unwrap();
    let zone = steps.iter().find(|step| step["about"] == "zone")?;
    Some(zone["text"].as_str().unwrap().to_owned())
}

/// The first address that such a client is given.
fn first(daemon: &Hubdns, client: &str) -> String {
    let (_, text) = daemon.get(&format!("/api/v1/explain?name={SQS}&from={client}"));
    let explained: Value = serde_json::from_str(&text).unwrap();
    explained["given"][0]["ip"].as_str().unwrap().to_owned()
}

#[test]
fn a_client_in_a_subnet_gets_its_own_zones_addresses_and_by_hand_overrules() {
    let double = Ec2Double::start();
    small_hub(&double);
    let config =
        source(&double) + "[zones]\ndiscover = \"subnets\"\n\"10.0.2.128/25\" = \"eu-west-1a\"\n";
    let mut daemon = Hubdns::start(&config);
    let told = zone_of(&daemon, "10.0.2.7").unwrap();
    assert!(told.ends_with("as the subnet 10.0.2.0/24"), "{told}");
    assert_eq!(first(&daemon, "10.0.2.7"), "10.0.2.10");
    assert_eq!(first(&daemon, "10.0.1.7"), "10.0.1.10");
    assert_eq!(zone_of(&daemon, "10.0.2.200").unwrap(), "[zones] puts the client in eu-west-1a");
    assert_eq!(first(&daemon, "10.0.2.200"), "10.0.1.10");
    assert_eq!(zone_of(&daemon, "10.77.0.1"), None);
    // Not every round: subnets change rarely.
    nudge(&mut daemon);
    eventually("a second round", SOON, || {
        (2 <= double.calls("DescribeVpcEndpoints")).then_some(())
    });

    // Without AWS a restart knows them.
    let hash = status(&daemon)["table_hash"].clone();
    assert!(daemon.terminate().success());
    drop(double);
    daemon.start_again();
    assert_eq!(status(&daemon)["table_hash"], hash);
    assert_eq!(first(&daemon, "10.0.2.7"), "10.0.2.10");

    // And a reload without the key forgets them.
    daemon.write_config(&source_of(&config));
    nudge(&mut daemon);
    eventually("zones are forgotten", SOON, || {
        zone_of(&daemon, "10.0.2.7").is_none().then_some(())
    });
}

/// A configuration without `[zones]`.
fn source_of(config: &str) -> String {
    config.split("[zones]").next().unwrap().to_owned()
}

#[test]
fn subnets_that_cannot_be_had_take_nothing_down_and_what_was_known_stays() {
    let double = Ec2Double::start();
    small_hub(&double);
    let denied = json!({ "action": "DescribeSubnets", "kind": "error", "times": 0, "status": 403,
        "code": "UnauthorizedOperation" });
    double.fault(denied.clone());
    let daemon = Hubdns::start(&("zones = \"discover\"\n".to_owned() + &source(&double)));
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10", "10.0.2.10"]);
    let hub = || status(&daemon)["sources"][0].clone();
    assert_eq!(hub()["error"], Value::Null);
    let lack = hub()["lack"].as_str().unwrap().to_owned();
    assert!(lack.contains("ec2:DescribeSubnets"), "{lack}");
    let sample = "hubdns_discovery_errors_total{action=\"DescribeSubnets\",code=\"UnauthorizedOperation\",source=\"hub\"}";
    assert!(daemon.metric(sample).is_some_and(|count| 1.0 <= count));
    let refresh = || {
        let Ran { code, out, err } = ran(&mut daemon.command("refresh"));
        assert_eq!(code, Some(0), "{out}{err}");
    };
    refresh();
    // Said when it begins, not each time.
    assert_eq!(lines_with(&daemon, "something is not discovered").len(), 1);
    assert_eq!(zone_of(&daemon, "10.0.2.7"), None);

    double.clear();
    refresh();
    assert_eq!(first(&daemon, "10.0.2.7"), "10.0.2.10");
    assert_eq!(hub()["lack"], Value::Null);
    for fault in [
        denied,
        json!({ "action": "DescribeSubnets", "kind": "cut_list", "times": 0 }),
        json!({ "action": "DescribeSubnets", "kind": "repeated_token", "times": 0 }),
        json!({ "action": "DescribeSubnets", "kind": "error", "times": 0 }),
    ] {
        double.fault(fault.clone());
        refresh();
        assert!(hub()["lack"].is_string(), "{fault}");
        assert_eq!(first(&daemon, "10.0.2.7"), "10.0.2.10", "{fault}");
        double.clear();
    }
}

#[test]
fn a_recording_has_its_subnets_in_a_file_and_discover_saves_it() {
    let double = Ec2Double::start();
    small_hub(&double);
    let folder = TempDir::new().unwrap();
    let zones = "zones = \"discover\"\n".to_owned();
    let daemon = Hubdns::start(&(zones.clone() + &source(&double)));
    let saved = folder.path().join("saved").display().to_string();
    let Ran { code, err, .. } = ran(&mut daemon.command(&format!("discover --save {saved}")));
    assert_eq!(code, Some(0), "{err}");
    let files = format!("[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{saved}\"\n");
    let recorded = Hubdns::start(&(zones.clone() + &files));
    assert_eq!(first(&recorded, "10.0.2.7"), "10.0.2.10");
    assert_eq!(status(&recorded)["table_hash"], status(&daemon)["table_hash"]);

    fs::remove_file(folder.path().join("saved/subnets.json")).unwrap();
    let without = Hubdns::start(&(zones + &files));
    let lack = status(&without)["sources"][0]["lack"].as_str().unwrap().to_owned();
    assert!(lack.contains("aws ec2 describe-subnets --output json"), "{lack}");
    assert_eq!(without.dig(&format!("{SQS} A")).data("A").len(), 2);
}
