//! What the daemon finds in its environment: region, credentials, other addresses of AWS, and
//! how it finds AWS's hosts.

use std::fs;

use tempfile::TempDir;

use crate::{
    SOON, SQS, lines_with, small_hub, source, source_at,
    support::{Ec2Double, Hubdns, Imds, Unbound, eventually, free_port, http_get},
};

const NO_URL: &str = "[[source]]\nname = \"hub\"\nkind = \"ec2\"\n";
/// Nothing that says who and where.
const BARE: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", ""),
    ("AWS_SECRET_ACCESS_KEY", ""),
    ("AWS_REGION", ""),
    ("AWS_DEFAULT_REGION", ""),
];

#[track_caller]
fn answers(daemon: &Hubdns) {
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10", "10.0.2.10"]);
}

#[test]
fn aws_is_where_the_environment_says() {
    let double = Ec2Double::start();
    small_hub(&double);
    let url = double.url();
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"] {
        double.clear();
        let daemon = Hubdns::start_with(NO_URL, &[(variable, &url)]);
        answers(&daemon);
        let call = &double.log()[0];
        let agent = call["user_agent"].as_str().unwrap();
        assert!(agent.contains("app/hubdns"), "CloudTrail tells who we are: {agent}");
    }
}

#[test]
fn a_profile_gives_region_and_credentials() {
    let double = Ec2Double::start();
    small_hub(&double);
    let home = TempDir::new().unwrap();
    let file = home.path().join("config");
    let profile = "[profile hub]\nregion = eu-west-1\naws_access_key_id = AKIAFROMPROFILE\n\
                   aws_secret_access_key = secret\n";
    fs::write(&file, profile).unwrap();
    let file = file.display().to_string();
    let more = [("AWS_CONFIG_FILE", file.as_str()), ("AWS_PROFILE", "hub")];
    let daemon = Hubdns::start_with(&source(&double), &[BARE, &more].concat());
    answers(&daemon);
    let call = &double.log()[0];
    assert!(call["authorization"].as_str().unwrap().contains("AKIAFROMPROFILE"), "{call}");
}

#[test]
fn the_metadata_service_gives_region_and_credentials() {
    let double = Ec2Double::start();
    small_hub(&double);
    let imds = Imds::start("vpc-1");
    let daemon = Hubdns::start_with(&source(&double), &[BARE, &imds.environment()].concat());
    answers(&daemon);
    let call = &double.log()[0];
    assert!(call["authorization"].as_str().unwrap().contains("ASIAFROMMETADATA"), "{call}");
}

#[test]
fn what_is_missing_is_told_with_what_to_do() {
    let double = Ec2Double::start();
    small_hub(&double);
    let region = "region = \"eu-west-1\"\n";
    for (config, told) in [
        (source(&double), "no AWS region: set `region` in the source, AWS_REGION, or a profile"),
        (source(&double) + region, "no AWS credentials could be loaded"),
    ] {
        let daemon = Hubdns::spawn(&config, BARE);
        let reasons = eventually(told, SOON, || {
            let (code, text) = http_get(daemon.admin(), "/readyz").ok()?;
            assert_eq!(code, 503);
            text.contains("source hub").then_some(text)
        });
        assert!(reasons.contains(told), "{reasons}");
        let lines = lines_with(&daemon, told);
        assert!(!lines.is_empty(), "{}", daemon.log());
        // One line a round: the libraries' own warnings would say it twice.
        let warned = lines_with(&daemon, "\"level\":\"WARN\"");
        let failed = lines_with(&daemon, "discovery failed");
        let of_config = lines_with(&daemon, "\"message\":\"configuration\"");
        assert_eq!(warned.len(), failed.len() + of_config.len(), "{warned:#?}");
    }
    assert_eq!(double.log().len(), 0);
}

#[test]
fn hosts_of_aws_are_asked_of_the_upstream_and_not_of_the_system() {
    let double = Ec2Double::start();
    small_hub(&double);
    let unbound = Unbound::start_with(&[("aws.example", "ec2 60 A 127.0.0.1\n")], "");
    let config = format!(
        "[[source]]\nname = \"hub\"\nkind = \"ec2\"\nendpoint_url = \"http://ec2.aws.example:{}\"\n",
        double.address().port()
    );
    let with = config.clone() + &crate::upstream(&unbound);
    let daemon = Hubdns::start(&with);
    answers(&daemon);
    assert!(
        unbound.queries().contains(&"ec2.aws.example. A".to_owned()),
        "{:?}",
        unbound.queries()
    );
    assert_eq!(double.log()[0]["host"], format!("ec2.aws.example:{}", double.address().port()));

    // Upstreams that do not know the host: its absence is told, and nobody else is asked.
    let ignorant = Unbound::start_with(&[("aws.example", "")], "");
    let daemon = Hubdns::spawn(&(config + &crate::upstream(&ignorant)), &[]);
    let line = eventually("three rounds have failed", SOON, || {
        lines_with(&daemon, "cannot reach AWS for DescribeVpcEndpoints").get(2).cloned()
    });
    assert!(line.contains("ec2.aws.example"), "{line}");
    // They may know it the next time, whatever the TTL of the absence.
    let asked = ignorant.queries();
    assert!(1 < asked.iter().filter(|it| *it == "ec2.aws.example. A").count(), "{asked:?}");
}

#[test]
fn an_answer_for_awss_host_never_comes_from_the_table() {
    // The hub has an endpoint of EC2 itself, and the SDK asks EC2 by that very name.
    let double = Ec2Double::start();
    let port = double.address().port();
    double.put_service(serde_json::json!({
        "name": "com.amazonaws.{region}.ec2", "private_dns_names": ["ec2.aws.example"],
        "base_dns_name": "ec2.{region}.vpce.amazonaws.com",
    }));
    double.create_hub(serde_json::json!([{ "service": "ec2", "azs": { "a": "10.0.1.10" } }]));
    let unbound = Unbound::start_with(&[("aws.example", "ec2 1 A 127.0.0.1\n")], "");
    let config = format!(
        "[[source]]\nname = \"hub\"\nkind = \"ec2\"\nendpoint_url = \"http://ec2.aws.example:{port}\"\n"
    );
    let mut daemon = Hubdns::start(&(config + &crate::upstream(&unbound)));
    assert_eq!(daemon.dig("ec2.aws.example A").data("A"), ["10.0.1.10"]);
    // The next rounds reach it where the upstream says, not at the endpoint.
    double.clear();
    crate::nudge(&mut daemon);
    eventually("EC2 is asked again", SOON, || {
        (0 < double.calls("DescribeNetworkInterfaces")).then_some(())
    });
    assert_eq!(lines_with(&daemon, "discovery failed"), Vec::<String>::new());
}

#[test]
fn a_port_where_nobody_listens_is_told_as_such() {
    let nobody = ([127, 0, 0, 1], free_port()).into();
    let daemon = Hubdns::spawn(&source_at(nobody), &[]);
    let line =
        eventually("the failure is told", SOON, || lines_with(&daemon, "discovery failed").pop());
    assert!(line.contains("Connection refused"), "the system's own word is in the chain: {line}");
    assert!(line.contains("\"code\":\"connect\""), "{line}");
}
