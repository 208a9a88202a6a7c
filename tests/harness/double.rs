//! The double is an EC2, as far as the AWS CLI and bare HTTP can tell.

use std::{io, process::Command, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Ec2Double, Process, http_send, loopback_env, venv};

#[test]
fn the_double_describes_the_hub_that_was_ordered() {
    let double = Ec2Double::start();
    let hub = double.create_hub(json!([
        { "service": "sqs", "azs": { "a": "10.0.1.10", "b": "10.0.2.10", "c": "10.0.3.10" },
          "tags": { "dns": "hub" } },
        { "service": "ecr.api", "azs": { "a": null, "b": null }, "state": "pendingAcceptance" },
        { "service": "kms", "azs": { "a": null }, "ip_address_type": "dualstack",
          "dns_record_ip_type": "ipv4" },
    ]));
    let [sqs, ecr, kms] = &hub.endpoints[..] else { panic!("{hub:?}") };

    let described = aws(&double, "describe-vpc-endpoints");
    let found = &described["VpcEndpoints"];
    assert_eq!(found[0]["VpcEndpointId"], *sqs.id);
    assert_eq!(found[0]["Tags"], json!([{ "Key": "dns", "Value": "hub" }]));
    assert_eq!(found[0]["State"], "available");
    assert_eq!(found[1]["State"], "pendingAcceptance");
    assert_eq!(found[2]["DnsOptions"]["DnsRecordIpType"], "ipv4");
    assert_eq!(found[2]["IpAddressType"], "dualstack");
    assert_ne!(found[0]["CreationTimestamp"], found[1]["CreationTimestamp"]);
    let zonal = format!(
        "{}-eu-west-1b.sqs.eu-west-1.vpce.amazonaws.com",
        sqs.dns_entries[0].split('.').next().unwrap()
    );
    assert_eq!(found[0]["DnsEntries"][2]["DnsName"], zonal);

    let interfaces = aws(&double, "describe-network-interfaces");
    let addresses = strings(&interfaces["NetworkInterfaces"], "PrivateIpAddress");
    assert_eq!(
        addresses,
        ["10.0.1.10", "10.0.1.11", "10.0.1.12", "10.0.2.10", "10.0.2.11", "10.0.3.10"]
    );
    assert_eq!(interfaces["NetworkInterfaces"][0]["AvailabilityZoneId"], "euw1-az3");
    assert_eq!(ecr.enis[1].ipv4, "10.0.2.11");
    assert_eq!(kms.enis[0].ipv6, "fd00::1:c");
}

#[test]
fn services_have_the_names_that_aws_publishes() {
    let double = Ec2Double::start();
    let filter = "Name=service-type,Values=Interface";
    let found = aws(&double, &format!("describe-vpc-endpoint-services --filters {filter}"));
    let names = |short: &str| {
        let services = found["ServiceDetails"].as_array().unwrap();
        let whole = format!("com.amazonaws.eu-west-1.{short}");
        let service = services.iter().find(|service| service["ServiceName"] == *whole).unwrap();
        strings(&service["PrivateDnsNames"], "PrivateDnsName")
    };
    assert_eq!(names("ecr.api"), ["api.ecr.eu-west-1.amazonaws.com"]);
    assert_eq!(names("kinesis-firehose"), ["firehose.eu-west-1.amazonaws.com"]);
    assert_eq!(names("monitoring").len(), 4);
    assert_eq!(
        names("s3"),
        [
            "*.s3-accesspoint.eu-west-1.amazonaws.com",
            "*.s3-control.eu-west-1.amazonaws.com",
            "*.s3.eu-west-1.amazonaws.com"
        ],
    );

    double.put_service(json!({
        "name": "com.amazonaws.vpce.{region}.vpce-svc-0123", "private_dns_names": ["api.saas.example"],
        "base_dns_name": "vpce-svc-0123.{region}.vpce.amazonaws.com", "verification": "pendingVerification",
    }));
    let found = aws(
        &double,
        "describe-vpc-endpoint-services --service-names com.amazonaws.vpce.eu-west-1.vpce-svc-0123",
    );
    assert_eq!(
        found["ServiceDetails"][0]["PrivateDnsNameVerificationState"],
        "pendingVerification"
    );
}

#[test]
fn several_filters_hold_together() {
    let double = Ec2Double::start();
    let one = json!({ "service": "sqs", "azs": { "a": null }, "tags": { "dns": "hub" } });
    let hub = double.create_hub(json!([one, { "service": "sns", "azs": { "a": null } }]));
    let other = double.create_hub(json!([one]));
    assert_ne!(hub.vpc, other.vpc);

    let found = aws(
        &double,
        &format!(
            "describe-vpc-endpoints --filters Name=vpc-id,Values={} Name=tag:dns,Values=hub \
             Name=vpc-endpoint-type,Values=Interface",
            hub.vpc
        ),
    );
    assert_eq!(strings(&found["VpcEndpoints"], "VpcEndpointId"), [hub.endpoints[0].id.clone()]);
}

#[test]
fn lists_come_in_pages_of_the_size_that_was_set() {
    let double = Ec2Double::start();
    let one = json!({ "service": "sqs", "azs": { "a": null, "b": null } });
    double.create_hub(json!([one, one, one]));
    double.page_size(2);

    let endpoints = aws(&double, "describe-vpc-endpoints");
    let interfaces = aws(&double, "describe-network-interfaces");
    assert_eq!(endpoints["VpcEndpoints"].as_array().unwrap().len(), 3);
    assert_eq!(interfaces["NetworkInterfaces"].as_array().unwrap().len(), 6);
    let services = aws(&double, "describe-vpc-endpoint-services");
    assert_eq!(services["ServiceDetails"].as_array().unwrap().len(), 18);
    assert_eq!(double.calls("DescribeVpcEndpointServices"), 9);
    assert_eq!(double.calls("DescribeVpcEndpoints"), 2);
    assert_eq!(double.calls("DescribeNetworkInterfaces"), 3);
}

#[test]
fn a_change_of_addresses_is_a_change_of_interfaces() {
    let double = Ec2Double::start();
    let hub = double.create_hub(json!([
        { "service": "sqs", "azs": { "a": "10.0.1.10", "b": "10.0.2.10" } }
    ]));
    let before = &hub.endpoints[0];
    let after = double.replace_addresses(&before.id, json!({ "a": "10.0.1.20" }));
    assert_eq!(after.enis[0].ipv4, "10.0.1.20");
    assert_ne!(after.enis[0].id, before.enis[0].id);
    assert_eq!(after.enis[1].id, before.enis[1].id);

    double.set_state(&before.id, "deleting");
    let found = aws(&double, "describe-vpc-endpoints");
    assert_eq!(found["VpcEndpoints"][0]["State"], "deleting");
    assert_eq!(found["VpcEndpoints"][0]["NetworkInterfaceIds"][0], *after.enis[0].id);

    double.remove(&before.id);
    assert_eq!(aws(&double, "describe-vpc-endpoints")["VpcEndpoints"], json!([]));
    assert_eq!(aws(&double, "describe-network-interfaces")["NetworkInterfaces"], json!([]));
}

#[test]
fn an_address_that_is_not_given_is_in_its_zones_own_subnet() {
    let double = Ec2Double::start();
    let hub = double.create_hub(json!([
        { "service": "sqs", "azs": { "a": "10.0.1.10" } },
        { "service": "sns", "azs": { "c": null } },
    ]));
    assert_eq!(hub.endpoints[1].enis[0].ipv4, "10.0.3.10");
}

#[test]
fn another_account_has_another_hub() {
    let double = Ec2Double::start();
    double.create(json!({ "account": "222222222222", "endpoints": [{ "service": "sqs" }] }));
    assert_eq!(aws(&double, "describe-vpc-endpoints")["VpcEndpoints"], json!([]));
}

#[test]
fn faults_strike_the_call_they_are_ordered_for() {
    let double = Ec2Double::start();
    double.create_hub(json!([{ "service": "sqs", "azs": { "a": null } }]));
    let strike = |mut fault: Value| {
        double.clear();
        fault["action"] = json!("DescribeVpcEndpoints");
        double.fault(fault);
        describe_once(&double)
    };
    let whole = describe_once(&double).unwrap();

    let denied = strike(json!({ "kind": "error", "status": 403, "code": "UnauthorizedOperation" }));
    let (status, body) = denied.unwrap();
    assert_eq!(status, 403);
    assert!(body.contains("<Code>UnauthorizedOperation</Code>"), "{body}");
    assert_eq!(describe_once(&double).unwrap(), whole, "once is once");

    assert!(strike(json!({ "kind": "html" })).unwrap().1.starts_with("<!DOCTYPE html>"));
    let (_, cut) = strike(json!({ "kind": "cut" })).unwrap();
    assert!(whole.1.starts_with(&cut) && cut.contains("<vpcEndpointId>"), "{cut}");
    let (_, nameless) = strike(json!({ "kind": "item_without_id" })).unwrap();
    assert!(nameless.contains("<item>") && !nameless.contains("<vpcEndpointId>"), "{nameless}");
    let (_, again) = strike(json!({ "kind": "repeated_token" })).unwrap();
    assert!(again.contains("<nextToken>again</nextToken>"), "{again}");
    strike(json!({ "kind": "close" })).unwrap_err();

    assert_eq!(strike(json!({ "kind": "html", "after": 1 })).unwrap(), whole);
    assert!(describe_once(&double).unwrap().1.starts_with("<!DOCTYPE html>"));
}

#[test]
fn the_double_ends_when_its_standard_input_does() {
    let dir = TempDir::new().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aws/double.py");
    let python = venv().join("bin/python");
    // A shell between us and the double: as when a test runner is killed above it.
    let line = format!("sleep 1 | {} -B {script}", python.display());
    let mut shell = Process::spawn("shell", Command::new("sh").args(["-c", &line]), dir.path());
    assert!(shell.wait(Duration::from_secs(30)).success());
}

/// What the AWS CLI makes of the double's answer to `aws ec2 ...`.
#[track_caller]
fn aws(double: &Ec2Double, words: &str) -> Value {
    let home = TempDir::new().unwrap();
    let mut command = Command::new(venv().join("bin/aws"));
    let output = loopback_env(&mut command, home.path())
        .args(["--output", "json", "--endpoint-url", &double.url(), "ec2"])
        .args(words.split_whitespace())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "aws ec2 {words}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One DescribeVpcEndpoints as it is on the wire: no client that tries again.
fn describe_once(double: &Ec2Double) -> io::Result<(u16, String)> {
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        // moto finds the service in the scope of the credential and checks no signature.
        (
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0",
        ),
    ];
    let form = "Action=DescribeVpcEndpoints&Version=2016-11-15";
    http_send(double.address(), "POST", "/", &headers, form)
}

/// The texts of one member of every item, sorted.
fn strings(items: &Value, member: &str) -> Vec<String> {
    let items = items.as_array().unwrap();
    let mut texts: Vec<String> =
        items.iter().map(|item| item[member].as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}
