//! Endpoints beside those of AWS's services in the source's own region.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    SQS, small_hub, source, status,
    support::{Ec2Double, Hub, Hubdns},
};

const ORDERS: &str = "orders.partner.example";
const OWN: &str = "vpce-1.rcfg-1.4232ccc.vpc-lattice-rsc.eu-west-1.on.aws";
const SEARCH: &str = "search.partner.example";
const ACTION: &str = "DescribeVpcEndpointAssociations";

/// A Resource endpoint for one thing, and a service network with two.
fn lattice(double: &Ec2Double) -> Hub {
    let one = json!({ "dns": OWN, "private": ORDERS });
    let two = json!([
        { "dns": "snra-2.rcfg-2.4232ccc.vpc-lattice-rsc.eu-west-1.on.aws", "private": SEARCH },
        { "dns": "snsa-3.7d67968.vpc-lattice-svcs.eu-west-1.on.aws" },
    ]);
    let endpoint = |kind: &str, at: u8, associations: Value| {
        json!({ "type": kind, "azs": { "a": format!("10.0.1.{at}"), "b": format!("10.0.2.{at}") },
            "private_dns_enabled": true, "associations": associations })
    };
    double.create_hub(json!([
        endpoint("Resource", 60, json!([one])),
        endpoint("ServiceNetwork", 70, two)
    ]))
}

fn answers(daemon: &Hubdns, name: &str) -> Vec<String> {
    let answer = daemon.dig(&format!("{name} A"));
    let mut data: Vec<String> = answer.data("A").iter().map(ToString::to_string).collect();
    data.sort();
    data
}

#[test]
fn a_resource_is_answered_by_its_names_and_a_recording_of_it_as_well() {
    let double = Ec2Double::start();
    small_hub(&double);
    let hub = lattice(&double);
    let daemon = Hubdns::start(&source(&double));
    for name in [ORDERS, OWN] {
        assert_eq!(answers(&daemon, name), ["10.0.1.60", "10.0.2.60"], "{name}");
    }
    let (_, text) = daemon.get("/api/v1/names");
    let names: Value = serde_json::from_str(&text).unwrap();
    let declined = names["views"][0]["declined"].as_array().unwrap();
    let public = "snra-2.rcfg-2.4232ccc.vpc-lattice-rsc.eu-west-1.on.aws";
    let untold = declined.iter().find(|it| it["name"] == public).unwrap();
    assert_eq!(untold["endpoint"], *hub.endpoints[1].id);
    assert_eq!(daemon.dig(&format!("{SEARCH} CNAME")).data("CNAME"), [format!("{public}.")]);

    let folder = TempDir::new().unwrap();
    let saved = folder.path().join("saved");
    let ran = daemon.command(&format!("discover --save {}", saved.display())).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let files =
        format!("[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{}\"\n", saved.display());
    let recorded = Hubdns::start(&files);
    assert_eq!(status(&recorded)["table_hash"], status(&daemon)["table_hash"]);
    // As a folder of before there was such a file.
    fs::remove_file(saved.join("vpc-endpoint-associations.json")).unwrap();
    let older = Hubdns::start(&files);
    assert_eq!(answers(&older, SQS), ["10.0.1.10", "10.0.2.10"]);
    assert!(answers(&older, ORDERS).is_empty());
}

#[test]
fn without_the_permission_for_associations_only_their_names_are_missing() {
    let double = Ec2Double::start();
    small_hub(&double);
    lattice(&double);
    let denied = json!({ "action": ACTION, "kind": "error", "times": 0, "status": 403,
        "code": "UnauthorizedOperation" });
    double.fault(denied.clone());
    let daemon = Hubdns::start(&source(&double));
    assert_eq!(answers(&daemon, SQS), ["10.0.1.10", "10.0.2.10"]);
    assert!(answers(&daemon, ORDERS).is_empty());
    let hub = || status(&daemon)["sources"][0].clone();
    let permission = format!("ec2:{ACTION}");
    let lack = hub()["lack"].as_str().unwrap().to_owned();
    assert!(lack.contains(&permission) && hub()["error"].is_null(), "{lack}");
    let doctor = daemon.command("doctor").output().unwrap();
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    let line = doctor.lines().find(|line| line.contains(&permission)).unwrap();
    assert!(line.starts_with("warned"), "{line}");

    let refresh = || assert!(daemon.command("refresh").status().unwrap().success());
    double.clear();
    refresh();
    assert_eq!(answers(&daemon, ORDERS), ["10.0.1.60", "10.0.2.60"]);
    assert!(hub()["lack"].is_null());
    // What was known stays when the permission goes again, or the answer is not whole.
    for fault in [denied, json!({ "action": ACTION, "kind": "cut_list", "times": 0 })] {
        double.fault(fault.clone());
        refresh();
        assert!(hub()["lack"].is_string(), "{fault}");
        assert_eq!(answers(&daemon, ORDERS), ["10.0.1.60", "10.0.2.60"], "{fault}");
        double.clear();
    }
}

/// Endpoints of the hub's own region, and for services of two others.
fn hub_of_three_regions(double: &Ec2Double) {
    let of = |service: &str, region: &str, address: &str| json!({ "service": service, "service_region": region, "azs": { "a": address } });
    double.create_hub(json!([
        of("sqs", "eu-west-1", "10.0.1.10"),
        of("sqs", "us-east-1", "10.0.1.20"),
        of("kms", "ap-south-1", "10.0.1.30"),
    ]));
}

#[test]
fn an_endpoint_for_another_region_has_the_names_of_its_service_there() {
    let double = Ec2Double::start();
    hub_of_three_regions(&double);
    let daemon = Hubdns::start(&source(&double));
    for (name, address) in [
        (SQS, "10.0.1.10"),
        ("sqs.us-east-1.amazonaws.com", "10.0.1.20"),
        ("kms.ap-south-1.amazonaws.com", "10.0.1.30"),
    ] {
        assert_eq!(answers(&daemon, name), [address], "{name}");
    }
    let log = double.log();
    let asked = log.iter().filter(|it| it["action"] == "DescribeVpcEndpointServices");
    let mut regions: Vec<&str> =
        asked.map(|it| it["form"]["ServiceRegion.1"].as_str().unwrap_or_default()).collect();
    // Others are asked at once.
    regions.sort_unstable();
    assert_eq!(regions, ["", "ap-south-1", "us-east-1"]);
}

#[test]
fn another_region_that_is_denied_costs_its_names_and_not_the_source() {
    let double = Ec2Double::start();
    hub_of_three_regions(&double);
    let denied = json!({ "action": "DescribeVpcEndpointServices", "kind": "error", "times": 0,
        "status": 403, "code": "UnauthorizedOperation",
        "only": { "ServiceRegion.1": "us-east-1" } });
    double.fault(denied.clone());
    let daemon = Hubdns::start(&source(&double));
    let virginia = "sqs.us-east-1.amazonaws.com";
    assert_eq!(answers(&daemon, SQS), ["10.0.1.10"]);
    assert_eq!(answers(&daemon, "kms.ap-south-1.amazonaws.com"), ["10.0.1.30"]);
    assert!(answers(&daemon, virginia).is_empty());
    let hub = || status(&daemon)["sources"][0].clone();
    let lack = hub()["lack"].as_str().unwrap().to_owned();
    assert!(lack.starts_with("names of services in us-east-1 (does an SCP"), "{lack}");
    assert!(hub()["error"].is_null());
    assert_eq!(hub()["missing_permissions"], json!(["ec2:DescribeVpcEndpointServices"]));
    let doctor = daemon.command("doctor").output().unwrap();
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    let line = doctor.lines().find(|line| line.contains("us-east-1")).unwrap();
    assert!(line.starts_with("warned"), "{line}");

    double.clear();
    assert!(daemon.command("refresh").status().unwrap().success());
    assert_eq!(answers(&daemon, virginia), ["10.0.1.20"]);
    assert!(hub()["lack"].is_null());
    double.fault(denied);
    assert!(daemon.command("refresh").status().unwrap().success());
    assert!(hub()["lack"].is_string());
    assert_eq!(answers(&daemon, virginia), ["10.0.1.20"]);
}
