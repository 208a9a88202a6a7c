//! `hubdns migrate` and `hubdns export rules` of the demo's hub, and what the document shows of them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    commands::{Ran, ran},
    support::{Ec2Double, hubdns, loopback_env, venv},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DOCUMENT: &str = include_str!("../../docs/MIGRATION.md");

/// A command on the demo's hub, with no daemon.
fn on_the_demo(words: &str) -> Ran {
    on_the_demo_with(words, &format!("{ROOT}/tests/fixtures/zones"))
}

/// The same with the zones that are recorded there.
fn on_the_demo_with(words: &str, zones: &str) -> Ran {
    let folder = TempDir::new().unwrap();
    let config = format!(
        "[server]\nlisten = [\"10.20.1.10:53\", \"10.20.2.10:53\"]\n\
         [[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{ROOT}/src/discover/demo\"\n\
         [control]\nsocket = \"\"\n[refresh]\nstate_file = \"\"\n"
    );
    fs::write(folder.path().join("hubdns.toml"), config).unwrap();
    let words = words.split_whitespace().map(|word| if word == "zones/" { zones } else { word });
    ran(hubdns(folder.path()).args(words).args(["--config", "hubdns.toml"]))
}

/// The document's blocks behind a fence, each with the command in its first line.
fn transcripts() -> Vec<(&'static str, Vec<&'static str>)> {
    let blocks = DOCUMENT.split("```console\n").skip(1);
    blocks
        .map(|rest| {
            let mut lines = rest.split("```").next().unwrap().lines();
            let command = lines.next().unwrap().strip_prefix("$ hubdns ").unwrap();
            (command, lines.collect())
        })
        .collect()
}

#[test]
fn the_document_shows_what_the_commands_print() {
    let transcripts = transcripts();
    assert!(4 <= transcripts.len(), "{}", transcripts.len());
    for (command, expected) in transcripts {
        let Ran { out, err, .. } = on_the_demo(command);
        let printed = err + &out;
        let mut lines = printed.lines();
        for wanted in expected.into_iter().filter(|line| *line != "...") {
            assert!(
                lines.any(|line| line == wanted),
                "{command}: {wanted}\nnot in its place in\n{printed}"
            );
        }
    }
}

#[test]
fn the_whole_migration_of_a_folder() {
    let Ran { code, out, err } =
        on_the_demo("migrate --zones zones/ --hub-vpc vpc-0fbd2e2983759917c");
    assert_eq!((code, err.as_str()), (Some(2), ""));
    insta::assert_snapshot!(out);
}

#[test]
fn a_migration_as_json_tells_the_same() {
    let Ran { code, out, err } = on_the_demo("migrate --zones zones/ --format json");
    assert_eq!(code, Some(2), "{err}");
    let document: Value = serde_json::from_str(&out).unwrap();
    let zones = document["zones"].as_array().unwrap();
    assert_eq!(zones.len(), 12);
    let verdict = |id: &str| {
        let zone = zones.iter().find(|it| it["zone"]["id"].as_str().unwrap().starts_with(id));
        zone.unwrap()["verdict"].as_str().unwrap().to_owned()
    };
    for (id, expected) in [
        ("Z01", "same"),
        ("Z02", "differs"),
        ("Z04", "not_needed"),
        ("Z05", "same"),
        ("Z07", "not_ours"),
        ("Z11", "not_ours"),
        ("Z12", "unread"),
    ] {
        assert_eq!(verdict(id), expected, "{id}");
    }
    let steps = document["steps"]["steps"].as_array().unwrap();
    assert_eq!(steps.iter().filter(|it| it["hub"] == true).count(), 1);
    assert!(steps.iter().all(|it| it["wait_secs"] == 900 && it["vpc"]["region"] == "eu-west-1"));
}

#[test]
fn a_zone_that_nobody_would_miss_exits_with_0_and_no_zone_with_1() {
    let folder = TempDir::new().unwrap();
    for file in ["zone-z01sam.json", "records-z01sam.json"] {
        let from = Path::new(ROOT).join("tests/fixtures/zones").join(file);
        fs::copy(from, folder.path().join(file)).unwrap();
    }
    let words = format!("migrate --zones {}", folder.path().display());
    let Ran { code, out, .. } = on_the_demo(&words);
    assert_eq!(code, Some(0), "{out}");
    let empty = TempDir::new().unwrap();
    let Ran { code, out, err } =
        on_the_demo(&format!("migrate --zones {}", empty.path().display()));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("get-hosted-zone"), "{err}");
    let Ran { code, err, .. } = on_the_demo("migrate --zones /nowhere");
    assert!(code == Some(1) && err.contains("/nowhere"), "{err}");
    assert_eq!(on_the_demo("migrate --zone zones/").code, Some(1));
    let Ran { code, err, .. } = on_the_demo("migrate --zones zones/ --view nobody");
    assert!(code == Some(1) && err.contains("there are: default"), "{err}");
}

#[test]
fn a_rule_is_never_made_for_the_hub_s_own_vpc() {
    // No subnet is known, so it is the VPC of the endpoints until somebody says otherwise.
    let Ran { code, out, err } = on_the_demo("export rules --vpc vpc-0fbd2e2983759917c");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("taken for the hub's own: vpc-0fbd2e2983759917c; `--hub-vpc"), "{err}");
    assert!(err.contains("vpc-0fbd2e2983759917c is the hub's own VPC"), "{err}");
    let elsewhere = "export rules --hub-vpc vpc-0c33 --vpc";
    let Ran { code, err, .. } = on_the_demo(&format!("{elsewhere} vpc-0fbd2e2983759917c"));
    assert!(code == Some(0) && !err.contains("taken for"), "{err}");
    let Ran { code, err, .. } = on_the_demo(&format!("{elsewhere} vpc-0c33"));
    assert!(code == Some(1) && err.contains("vpc-0c33 is the hub's own VPC"), "{err}");
    let Ran { code, err, .. } = on_the_demo("export rules --targets 10.0.0.1,10.0.0.2:5353");
    assert!(code == Some(0) && err.contains("2 targets of 6"), "{err}");
}

/// Endpoints in one VPC and the hub in another, as where one inspects what passes.
#[test]
fn a_hub_beside_its_endpoints_is_found_by_its_subnet() {
    let folder = TempDir::new().unwrap();
    let recording = folder.path().join("recording");
    fs::create_dir(&recording).unwrap();
    for entry in fs::read_dir(Path::new(ROOT).join("src/discover/demo")).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, recording.join(from.file_name().unwrap())).unwrap();
    }
    let subnets = serde_json::json!({ "Subnets": [{ "SubnetId": "subnet-0c33", "VpcId": "vpc-0c33",
        "AvailabilityZone": "eu-west-1a", "CidrBlock": "10.9.0.0/24" }] });
    fs::write(recording.join("subnets.json"), subnets.to_string()).unwrap();
    let config = "zones = \"discover\"\n[server]\nlisten = [\"10.9.0.10:53\"]\n\
                  [[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"recording\"\n\
                  [control]\nsocket = \"\"\n[refresh]\nstate_file = \"\"\n";
    fs::write(folder.path().join("hubdns.toml"), config).unwrap();
    let rules = |vpc: &str| {
        let words = format!("export rules --config hubdns.toml --vpc {vpc}");
        ran(hubdns(folder.path()).args(words.split(' ')))
    };
    let Ran { code, err, .. } = rules("vpc-0fbd2e2983759917c");
    assert!(code == Some(0) && !err.contains("taken for"), "{err}");
    let Ran { code, err, .. } = rules("vpc-0c33");
    assert!(code == Some(1) && err.contains("vpc-0c33 is the hub's own VPC"), "{err}");
    // Of the hub's own VPC the steps say so; that of the endpoints is a spoke like any other.
    let zones = format!("{ROOT}/tests/fixtures/zones");
    let words = ["migrate", "--config", "hubdns.toml", "--format", "json", "--zones", &zones];
    let Ran { out, err, .. } = ran(hubdns(folder.path()).args(words));
    assert_eq!(err, "");
    let document: Value = serde_json::from_str(&out).unwrap();
    let steps = document["steps"]["steps"].as_array().unwrap();
    assert!(!steps.is_empty() && steps.iter().all(|it| it["hub"] == false), "{out}");
}

#[test]
fn a_view_that_is_told_by_its_listeners_is_sent_to_them() {
    let folder = TempDir::new().unwrap();
    let config = format!(
        "[server]\nlisten = [\"10.20.1.10:53\", \"10.20.1.10:5353\", \"10.20.2.10:5353\"]\n\
         [[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{ROOT}/src/discover/demo\"\n\
         [[view]]\nname = \"spoke\"\nlisteners = [\"0.0.0.0:5353\"]\n\
         [control]\nsocket = \"\"\n[refresh]\nstate_file = \"\"\n"
    );
    fs::write(folder.path().join("hubdns.toml"), config).unwrap();
    let targets = |view: &str| {
        let words = format!("export rules --format json --config hubdns.toml --view {view}");
        let Ran { code, out, err } = ran(hubdns(folder.path()).args(words.split(' ')));
        assert_eq!(code, Some(0), "{err}");
        let document: Value = serde_json::from_str(&out).unwrap();
        let targets = document["rules"][0]["TargetIps"].as_array().unwrap();
        let text = |it: &Value| format!("{}:{}", it["Ip"].as_str().unwrap(), it["Port"]);
        targets.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(targets("spoke"), ["10.20.1.10:5353", "10.20.2.10:5353"]);
    assert_eq!(targets("default"), ["10.20.1.10:53"]);
}

/// Of each scope, with VPCs and without, and an endpoint that is asked for or told.
#[test]
fn cloudformation_would_take_each_template_of_rules() {
    let lint = venv().parent().unwrap().join("stack/bin/cfn-lint");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rules.yaml");
    for scope in ["region", "partition", "names"] {
        for more in [
            "",
            "--endpoint rslvr-out-0123456789abcdef0 --vpc vpc-0a11223344556677a,vpc-0b22334455667788b",
        ] {
            let words = format!("export rules --format cloudformation --scope {scope} {more}");
            let Ran { code, out, err } = on_the_demo(&words);
            assert_eq!(code, Some(0), "{words}: {err}");
            fs::write(&file, out).unwrap();
            let linted = Command::new(&lint).arg(&file).output().expect("run tests/setup.sh");
            let told = String::from_utf8_lossy(&linted.stdout);
            assert!(linted.status.success() && told.is_empty(), "{words}: {told}");
        }
    }
}

/// The AWS CLI knows the API's own model: it sends an input only if it is right by that. There is
/// nobody to send it to.
#[test]
fn the_aws_cli_takes_each_kind_of_rule() {
    let words = "export rules --format json --endpoint rslvr-out-0123456789abcdef0";
    let Ran { code, out, err } = on_the_demo(words);
    assert_eq!(code, Some(0), "{err}");
    let document: Value = serde_json::from_str(&out).unwrap();
    let rules = document["rules"].as_array().unwrap();
    // The region's two domains, the vendor's name, and what only a VPC has below one of the former.
    assert_eq!(rules.len(), 5, "{out}");
    let folder = TempDir::new().unwrap();
    let sent = |rule: &Value| {
        let mut aws = Command::new("aws");
        loopback_env(&mut aws, folder.path())
            .env("AWS_MAX_ATTEMPTS", "1")
            .args(["--endpoint-url", "http://127.0.0.1:1", "route53resolver"])
            .args(["create-resolver-rule", "--cli-input-json", &rule.to_string()]);
        ran(&mut aws).err
    };
    for kind in ["FORWARD", "SYSTEM"] {
        let rule = rules.iter().find(|it| it["RuleType"] == kind).unwrap();
        let said = sent(rule);
        assert!(said.contains("Could not connect"), "{rule}: {said}");
    }
    let mut wrong = rules[0].clone();
    wrong["TargetIps"][0]["Port"] = "fifty-three".into();
    let said = sent(&wrong);
    assert!(said.contains("Parameter validation failed"), "{said}");
}

/// The document's own lines, by the real CLI, of zones that there are.
#[test]
fn what_the_document_records_is_what_migrate_reads() {
    let double = Ec2Double::start();
    let folder = TempDir::new().unwrap();
    // A CLI of two years ago does not know AWS_ENDPOINT_URL.
    let wrapper = folder.path().join("aws");
    let aws = format!("#!/bin/sh\nexec /usr/bin/aws --endpoint-url {} \"$@\"\n", double.url());
    fs::write(&wrapper, aws).unwrap();
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    let sh = |script: &str| {
        let mut bash = Command::new("bash");
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        loopback_env(&mut bash, folder.path()).env("PATH", path).current_dir(folder.path());
        let Ran { code, out, err } = ran(bash.args(["-euc", script]));
        assert_eq!(code, Some(0), "{script}: {err}");
        out
    };
    let vpc = sh("aws ec2 create-vpc --cidr-block 10.9.0.0/16 --query Vpc.VpcId --output text");
    let vpc = vpc.trim();
    for (name, address) in
        [("sqs.eu-west-1.amazonaws.com", "10.9.9.9"), ("corp.example", "10.9.9.8")]
    {
        sh(&format!(
            "id=$(aws route53 create-hosted-zone --name {name} --caller-reference {name} \
             --vpc VPCRegion=eu-west-1,VPCId={vpc} --hosted-zone-config PrivateZone=true \
             --query HostedZone.Id --output text)\n\
             aws route53 change-resource-record-sets --hosted-zone-id \"$id\" --change-batch \
             '{{\"Changes\":[{{\"Action\":\"CREATE\",\"ResourceRecordSet\":{{\"Name\":\"{name}\",\
             \"Type\":\"A\",\"TTL\":60,\"ResourceRecords\":[{{\"Value\":\"{address}\"}}]}}}}]}}'"
        ));
    }
    let (_, script) = DOCUMENT.split_once("```sh\nmkdir zones\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    assert!(script.contains("vpc-0a11a2b0c5d6e7f80"), "{script}");
    sh(&format!("mkdir zones\n{}", script.replace("vpc-0a11a2b0c5d6e7f80", vpc)));

    let zones = folder.path().join("zones").display().to_string();
    let Ran { out, err, .. } = on_the_demo_with("migrate --zones zones/", &zones);
    for told in ["sqs.eu-west-1.amazonaws.com", "10.9.9.9", "corp.example"] {
        assert!(out.contains(told), "{told} in {out}{err}");
    }
}

/// The policy that is shipped is that of a hub with endpoints in its own account and in two others.
#[test]
fn the_policy_of_a_configuration_is_what_its_sources_need() {
    let source = |name: &str, more: &str| {
        format!("[[source]]\nname = \"{name}\"\nkind = \"ec2\"\nregion = \"eu-west-1\"\n{more}")
    };
    let role = |arn: &str| format!("role_arn = \"arn:aws:iam::{arn}\"\n");
    let others = source("b", &role("444455556666:role/network/hubdns-read"))
        + &source("c", &role("111122223333:role/hubdns-read"));
    let policy = |config: &str, words: &str| {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("hubdns.toml"), config).unwrap();
        let words = format!("export iam-policy --config hubdns.toml {words}");
        ran(hubdns(folder.path()).args(words.split_whitespace()))
    };
    let shipped = fs::read_to_string(Path::new(ROOT).join("config/aws/iam-policy.json")).unwrap();
    let shipped: Value = serde_json::from_str(&shipped).unwrap();
    let json = |ran: &Ran| -> Value { serde_json::from_str(&ran.out).expect(&ran.err) };
    let all = "zones = \"discover\"\n".to_owned() + &source("a", "") + &others;
    assert_eq!(json(&policy(&all, "")), shipped);
    let assumed = json(&policy(&all, "--assumed"));
    assert_eq!(
        assumed["Statement"].as_array().unwrap(),
        &shipped["Statement"].as_array().unwrap()[..2]
    );
    // Nothing of its own account, and no zones: to assume roles is all that it may do.
    let only = json(&policy(&others, ""));
    assert_eq!(
        only["Statement"].as_array().unwrap(),
        &shipped["Statement"].as_array().unwrap()[2..]
    );
    let files = "[[source]]\nname = \"a\"\nkind = \"files\"\npath = \"x\"\n";
    let Ran { code, out, err } = policy(files, "");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("hubdns needs no permission"), "{err}");
    let Ran { code, err, .. } = policy(&source("a", ""), "--assumed");
    assert!(code == Some(1) && err.contains("`role_arn`, or a `role_name`"), "{err}");
    // Which partition the metadata service will name, nobody knows here.
    let by_name = "[[source]]\nname = \"a\"\nkind = \"ec2\"\nrole_name = \"hubdns-read\"\n\
                   accounts = [\"444455556666\"]\n";
    let told = policy(by_name, "");
    assert!(told.err.contains("replace \"arn:aws:\""), "{}", told.err);
    assert_eq!(
        json(&told)["Statement"][0]["Resource"][0],
        "arn:aws:iam::444455556666:role/hubdns-read"
    );
    let said = by_name.to_owned() + "region = \"cn-north-1\"\n";
    let told = policy(&said, "");
    assert_eq!(told.err, "");
    let arn = "arn:aws-cn:iam::444455556666:role/hubdns-read";
    assert_eq!(json(&told)["Statement"][0]["Resource"][0], arn);
}
