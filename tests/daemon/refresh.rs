//! `hubdns refresh` and what went into force: the sources asked at once, the guard overruled by hand.

use serde_json::{Value, json};

use crate::{
    SQS,
    commands::{Ran, ran},
    lines_with, recorded, small_hub, source,
    support::{Ec2Double, Hubdns},
};

/// Three services in one zone.
fn three(double: &Ec2Double) -> Vec<String> {
    let one = |service: &str, address: &str| json!({ "service": service, "azs": { "a": address } });
    let order = json!([one("sqs", "10.0.1.10"), one("kms", "10.0.1.11"), one("sns", "10.0.1.12")]);
    double.create_hub(order).endpoints.into_iter().map(|endpoint| endpoint.id).collect()
}

/// A daemon that asks again only when it is told to.
fn patient(config: &str) -> Hubdns {
    let rarely = "[refresh]\ninterval_secs = 3600\nstate_file = \"{dir}/inventory.json\"\n";
    Hubdns::start(&(config.to_owned() + rarely))
}

#[track_caller]
fn run(daemon: &Hubdns, words: &str) -> (i32, String) {
    let Ran { code, out, err } = ran(&mut daemon.command(words));
    (code.unwrap(), out + &err)
}

/// `/api/v1/changes`, the newest first.
fn changes(daemon: &Hubdns) -> Vec<Value> {
    let (code, text) = daemon.get("/api/v1/changes");
    assert_eq!(code, 200, "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    document["tables"].as_array().unwrap().clone()
}

#[test]
fn a_change_is_in_force_and_told_when_the_command_ends() {
    let double = Ec2Double::start();
    let sqs = small_hub(&double);
    let daemon = patient(&(source(&double) + &recorded()));
    assert_eq!(
        run(&daemon, "refresh"),
        (0, "source hub: unchanged\nsource files: unchanged\n".to_owned())
    );
    double.replace_addresses(&sqs.id, json!({ "a": "10.0.1.20", "b": "10.0.2.20" }));
    let (code, told) = run(&daemon, "refresh --source hub");
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("source hub: table 2 is in force: 0 added, 0 removed, 4 changed\n"));
    let change = format!("default: ~ {SQS} A 10.0.1.10 10.0.2.10 -> 10.0.1.20 10.0.2.20");
    assert!(told.contains(&change), "{told}");
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.20", "10.0.2.20"]);

    let tables = changes(&daemon);
    assert_eq!((tables[0]["cause"].as_str(), tables.len()), (Some("source hub"), 2));
    assert!(tables[0]["changes"].as_array().unwrap().contains(&json!(change)), "{tables:?}");
    assert_eq!((&tables[1]["cause"], &tables[1]["generation"]), (&json!("start"), &json!(1)));
    let counted = |change: &str| {
        daemon.metric(&format!("hubdns_answer_changes_total{{change=\"{change}\"}}")).unwrap()
    };
    assert_eq!([counted("added"), counted("removed"), counted("changed")], [0.0, 0.0, 4.0]);
}

#[test]
fn what_the_guard_holds_back_is_believed_when_a_person_accepts_it() {
    let double = Ec2Double::start();
    let ids = three(&double);
    let daemon = patient(&source(&double));
    double.remove(&ids[0]);
    double.remove(&ids[1]);
    let (code, told) = run(&daemon, "refresh");
    assert_eq!(code, 1, "{told}");
    assert!(told.starts_with("source hub: kept: 6 of 9 names of source hub would go"), "{told}");
    assert!(told.contains("seen 1 of 3 times in a row"), "{told}");
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10"]);

    let (code, told) = run(&daemon, "refresh --accept");
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("0 added, 6 removed, 0 changed"), "{told}");
    assert_eq!(daemon.dig(&format!("{SQS} A")).status, "SERVFAIL");
    let accepted = lines_with(&daemon, "a person accepted it").remove(0);
    assert!(accepted.contains("\"by\":\"control socket\""), "{accepted}");
    assert_eq!(changes(&daemon)[0]["cause"], "source hub, accepted by hand");

    // Once, and for no later round.
    double.remove(&ids[2]);
    let (code, told) = run(&daemon, "refresh");
    assert!(code == 1 && told.contains("every endpoint has vanished"), "{told}");
    assert_eq!(daemon.dig("sns.eu-west-1.amazonaws.com A").data("A"), ["10.0.1.12"]);
    let (code, told) = run(&daemon, "refresh --accept");
    assert!(code == 0 && told.contains("3 removed"), "{told}");
    assert_eq!(daemon.get("/readyz").0, 200);
}

#[test]
fn a_source_that_fails_is_told_and_what_it_told_stays() {
    let double = Ec2Double::start();
    small_hub(&double);
    let daemon = patient(&(source(&double) + &recorded()));
    let denied = json!({ "action": "DescribeVpcEndpoints", "kind": "error", "times": 0,
        "status": 403, "code": "UnauthorizedOperation" });
    double.fault(denied);
    let (code, told) = run(&daemon, "refresh --accept");
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("source files: unchanged\n"), "{told}");
    assert!(told.contains("kept: source hub: AWS refused DescribeVpcEndpoints"), "{told}");
    assert_eq!(run(&daemon, "refresh --source files").0, 0);
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10", "10.0.2.10"]);
}

#[test]
fn who_is_not_there_is_told_and_the_admin_listener_takes_no_order() {
    let daemon = Hubdns::start(&recorded());
    let (code, told) = run(&daemon, "refresh --source hub");
    assert_eq!(code, 1);
    assert!(told.contains("there is no source \"hub\"; there are: files"), "{told}");
    assert_eq!(daemon.get("/api/v1/refresh").0, 404, "the admin listener knows no such path");
    let Ran { code, err, .. } = ran(daemon.command("refresh").arg("--socket").arg("nobody.sock"));
    assert_eq!(code, Some(2), "{err}");
}
