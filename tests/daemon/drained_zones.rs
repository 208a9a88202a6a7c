//! `hubdns drain-az`: a zone out of the answers by hand, never a name's last address, for as long as
//! a person says.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    SQS,
    commands::{Ran, ran},
    lines_with, source, status,
    support::{Ec2Double, Hubdns},
};

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small");
const KMS: &str = "kms.eu-west-1.amazonaws.com";

/// SQS in two zones, KMS in the first of them alone.
fn hub() -> (Ec2Double, Hubdns) {
    let double = Ec2Double::start();
    double.create_hub(json!([
        { "service": "sqs", "azs": { "a": "10.0.1.10", "b": "10.0.2.10" } },
        { "service": "kms", "azs": { "a": "10.0.1.11" } },
    ]));
    let daemon = Hubdns::start(&source(&double));
    (double, daemon)
}

#[track_caller]
fn run(daemon: &Hubdns, words: &str) -> (Option<i32>, String) {
    let Ran { code, out, err } = ran(&mut daemon.command(words));
    (code, out + &err)
}

fn addresses(daemon: &Hubdns, name: &str) -> Vec<String> {
    let answer = daemon.dig(&format!("{name} A"));
    answer.data("A").into_iter().map(str::to_owned).collect()
}

#[test]
fn a_drained_zone_leaves_every_name_that_has_another_and_stays_so_over_a_restart() {
    let (mut double, mut daemon) = hub();
    let (code, told) = run(&daemon, "drain-az eu-west-1a");
    assert_eq!(code, Some(0), "{told}");
    // By the name that was typed, and the one that is remembered.
    assert!(told.starts_with("eu-west-1a (euw1-az"), "{told}");
    assert!(told.contains(") is drained; 1 address is left out\n"), "{told}");
    assert!(told.contains("endpoints without a usable address elsewhere, which keep theirs: 1\n"));
    assert!(told.contains(&format!("default: ~ {SQS} A 10.0.1.10 10.0.2.10 -> 10.0.2.10")));
    let drained_is_in_force = |daemon: &Hubdns| {
        assert_eq!(addresses(daemon, SQS), ["10.0.2.10"]);
        assert_eq!(addresses(daemon, KMS), ["10.0.1.11"], "its last address");
        assert_eq!(daemon.get("/readyz").0, 200);
        for (metric, value) in [
            ("hubdns_drained_zones", 1.0),
            ("hubdns_drained_addresses", 1.0),
            ("hubdns_endpoints_overruling_drain", 1.0),
        ] {
            assert_eq!(daemon.metric(metric), Some(value), "{metric}");
        }
        assert_eq!(status(daemon)["drained_zones"].as_array().unwrap().len(), 1);
    };
    drained_is_in_force(&daemon);
    let (_, explained) = run(&daemon, &format!("explain {SQS}"));
    assert!(
        explained.contains("10.0.1.10 (eu-west-1a) is left out: `hubdns drain-az` ordered it"),
        "{explained}"
    );
    let (_, explained) = run(&daemon, &format!("explain {KMS}"));
    assert!(explained.contains("given out though their zone is drained"), "{explained}");
    let (code, told) = run(&daemon, "drain-az eu-west-1a");
    assert!(code == Some(0) && told.contains("was drained already"), "{told}");

    assert!(daemon.terminate().success());
    double.stop();
    // Without a daemon the same is told, from the disk.
    let (_, explained) = run(&daemon, &format!("explain {SQS}"));
    assert!(explained.contains("10.0.1.10 (eu-west-1a) is left out"), "{explained}");
    daemon.start_again();
    drained_is_in_force(&daemon);

    let (code, told) = run(&daemon, "undrain-az eu-west-1a");
    assert!(code == Some(0) && told.contains(" is back in the answers\n"), "{told}");
    assert_eq!(addresses(&daemon, SQS), ["10.0.1.10", "10.0.2.10"]);
    assert_eq!(daemon.metric("hubdns_drained_zones"), Some(0.0));
    assert_eq!(status(&daemon)["drained_zones"], json!([]));
    assert!(run(&daemon, "undrain-az eu-west-1a").1.contains("was not drained"));
    assert!(daemon.terminate().success());
    daemon.start_again();
    assert_eq!(addresses(&daemon, SQS), ["10.0.1.10", "10.0.2.10"]);
}

/// The small hub as files, without the zones' ids.
fn without_ids(folder: &Path) {
    for file in fs::read_dir(SMALL).unwrap() {
        let file = file.unwrap().path();
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().filter(|line| !line.contains("\"AvailabilityZoneId\""));
        let text: Vec<&str> = lines.collect();
        fs::write(folder.join(file.file_name().unwrap()), text.join("\n")).unwrap();
    }
}

#[test]
fn a_zone_drained_by_its_name_is_put_back_by_either_when_its_id_is_known() {
    let files = tempfile::tempdir().unwrap();
    without_ids(files.path());
    let path = files.path().display();
    let source = format!("[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{path}\"\n");
    let daemon = Hubdns::start(&source);
    let all = addresses(&daemon, SQS);
    for again in ["eu-west-1a", "euw1-az2"] {
        without_ids(files.path());
        assert_eq!(run(&daemon, "refresh").0, Some(0));
        let (_, told) = run(&daemon, "drain-az eu-west-1a");
        assert!(told.contains("eu-west-1a is drained"), "{told}");
        assert_ne!(addresses(&daemon, SQS), all);
        let interfaces = "network-interfaces.json";
        fs::copy(Path::new(SMALL).join(interfaces), files.path().join(interfaces)).unwrap();
        assert_eq!(run(&daemon, "refresh").0, Some(0));
        let (code, told) = run(&daemon, &format!("undrain-az {again}"));
        assert!(code == Some(0) && told.contains(" is back in the answers\n"), "{told}");
        assert_eq!(addresses(&daemon, SQS), all);
        assert_eq!(status(&daemon)["drained_zones"], json!([]));
    }
}

#[test]
fn an_unknown_zone_is_told_with_those_there_are() {
    let (_double, daemon) = hub();
    let (code, told) = run(&daemon, "drain-az eu-west-1c");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("no endpoint has an interface in a zone \"eu-west-1c\""), "{told}");
    assert!(told.contains("eu-west-1a") && told.contains("eu-west-1b"), "{told}");
    assert_eq!(addresses(&daemon, SQS), ["10.0.1.10", "10.0.2.10"]);
    assert_eq!(daemon.get("/api/v1/drain-az?zone=eu-west-1a").0, 404);
}

#[test]
fn a_file_of_drained_zones_that_cannot_be_used_is_told_and_no_zone_is_drained() {
    let (_double, mut daemon) = hub();
    assert_eq!(run(&daemon, "drain-az eu-west-1a").0, Some(0));
    assert!(daemon.terminate().success());
    let file = daemon.dir().join("inventory.drained.json");
    fs::write(&file, "{").unwrap();
    daemon.start_again();
    assert_eq!(addresses(&daemon, SQS), ["10.0.1.10", "10.0.2.10"]);
    let told = lines_with(&daemon, "which zones were drained is not known").remove(0);
    assert!(told.contains("inventory.drained.json is corrupt"), "{told}");
    let errors = daemon.metric("hubdns_state_file_errors_total{operation=\"read_drains\"}");
    assert_eq!(errors, Some(1.0));
}

#[test]
fn a_zone_drained_without_a_disk_is_drained_and_a_person_reads_that_a_restart_forgets_it() {
    let (_double, daemon) = hub();
    // A folder in the way of the file.
    fs::create_dir_all(daemon.dir().join("inventory.drained.json/x")).unwrap();
    let (code, told) = run(&daemon, "drain-az eu-west-1a");
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("a restart will not know of it: cannot write"), "{told}");
    assert_eq!(addresses(&daemon, SQS), ["10.0.2.10"]);
    // Once the disk is right again the same order says so, and a restart knows of it.
    let file = daemon.dir().join("inventory.drained.json");
    fs::remove_dir_all(&file).unwrap();
    let (code, told) = run(&daemon, "drain-az eu-west-1a");
    assert!(code == Some(0) && !told.contains("a restart will not know"), "{told}");
    assert!(file.is_file());
}
