//! Whatever AWS does, the answers stay, and what went wrong is told and counted.

use serde_json::{Value, json};

use crate::{
    SOON, SQS, await_answer, await_metric, lines_with, nudge, small_hub, source, status,
    support::{Ec2Double, Hubdns, eventually},
};

fn sample(action: &str, code: &str) -> String {
    format!("hubdns_discovery_errors_total{{action=\"{action}\",code=\"{code}\",source=\"hub\"}}")
}

/// One daemon through these faults: after each the answer is the one before, and when it is
/// over the new one.
fn survive(faults: &[(Value, &str)]) {
    let double = Ec2Double::start();
    let sqs = small_hub(&double);
    let mut daemon = Hubdns::start(&source(&double));
    let mut known = ["10.0.1.10".to_owned(), "10.0.2.10".to_owned()];
    for (at, (fault, code)) in faults.iter().enumerate() {
        let action = fault["action"].as_str().unwrap();
        let sample = sample(action, code);
        let before = daemon.metric(&sample).unwrap_or_else(|| panic!("no {sample}"));
        let new = [format!("10.0.1.{}", 20 + at), format!("10.0.2.{}", 20 + at)];
        double.fault(fault.clone());
        double.replace_addresses(&sqs.id, json!({ "a": new[0], "b": new[1] }));
        nudge(&mut daemon);
        await_metric(&daemon, &sample, before + 1.0);
        let answer = daemon.dig(&format!("{SQS} A"));
        assert_eq!(answer.data("A"), known, "{fault}: {}", answer.raw);
        assert_eq!(daemon.get("/readyz").0, 200, "{fault}");
        let error = status(&daemon)["sources"][0]["error"].as_str().unwrap_or("").to_owned();
        assert!(error.contains(action), "{fault}: {error:?}");

        double.clear();
        // Nobody has to say that it is over.
        await_answer(&daemon, SQS, &[&new[0], &new[1]], SOON);
        assert_eq!(status(&daemon)["sources"][0]["error"], Value::Null, "{fault}");
        known = new;
    }
    let told = lines_with(&daemon, "discovery failed");
    let (_, metrics) = daemon.get("/metrics");
    let of_errors =
        metrics.lines().filter(|line| line.starts_with("hubdns_discovery_errors_total"));
    let counted: f64 =
        of_errors.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    assert_eq!(
        counted,
        f64::from(u32::try_from(told.len()).unwrap()),
        "one line a round: {told:#?}"
    );
    assert!(faults.len() <= told.len(), "{told:#?}");
    for line in daemon.log().lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

fn fault(action: &str, kind: &str) -> Value {
    json!({ "action": action, "kind": kind, "times": 0 })
}

#[test]
fn answers_survive_what_is_no_answer_of_ec2() {
    survive(&[
        (fault("DescribeVpcEndpoints", "html"), "garbage"),
        (fault("DescribeVpcEndpoints", "cut"), "garbage"),
        (fault("DescribeVpcEndpoints", "cut_list"), "garbage"),
        (fault("DescribeVpcEndpoints", "item_without_id"), "garbage"),
        (fault("DescribeVpcEndpoints", "repeated_token"), "garbage"),
        (fault("DescribeNetworkInterfaces", "cut"), "garbage"),
        (fault("DescribeNetworkInterfaces", "item_without_id"), "garbage"),
        (fault("DescribeNetworkInterfaces", "cut_list"), "garbage"),
        (fault("DescribeVpcEndpointServices", "cut_list"), "garbage"),
        (fault("DescribeVpcEndpointServices", "item_without_id"), "garbage"),
    ]);
}

#[test]
fn answers_survive_refusals_throttling_and_closed_connections() {
    let error = |action: &str, status: u16, code: &str| json!({ "action": action, "kind": "error", "times": 0, "status": status, "code": code });
    survive(&[
        (error("DescribeVpcEndpoints", 503, "RequestLimitExceeded"), "RequestLimitExceeded"),
        (error("DescribeVpcEndpoints", 403, "UnauthorizedOperation"), "UnauthorizedOperation"),
        (error("DescribeNetworkInterfaces", 401, "AuthFailure"), "AuthFailure"),
        (error("DescribeNetworkInterfaces", 400, "ExpiredToken"), "ExpiredToken"),
        (error("DescribeVpcEndpointServices", 500, "InternalError"), "InternalError"),
        (error("DescribeVpcEndpoints", 400, "InventedYesterday"), "other"),
        (fault("DescribeVpcEndpoints", "close"), "connect"),
    ]);
}

#[test]
fn a_denied_action_is_told_by_its_iam_name_on_one_line() {
    let double = Ec2Double::start();
    small_hub(&double);
    let mut daemon = Hubdns::start(&source(&double));
    for action in
        ["DescribeVpcEndpoints", "DescribeVpcEndpointServices", "DescribeNetworkInterfaces"]
    {
        double.clear();
        double.fault(json!({ "action": action, "kind": "error", "times": 0, "status": 403,
            "code": "UnauthorizedOperation", "message": "You are not authorized" }));
        nudge(&mut daemon);
        let permission = format!("ec2:{action}");
        let line = eventually(&permission, SOON, || lines_with(&daemon, &permission).pop());
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "WARN", "{line}");
        assert_eq!(line["source"], "hub");
        assert_eq!(line["action"], action);
        assert_eq!(line["code"], "UnauthorizedOperation");
        let error = line["error"].as_str().unwrap();
        // The cause that AWS told is behind it.
        assert!(error.contains("You are not authorized"), "{error}");
    }
}

#[test]
fn seven_endpoints_come_in_pages_of_two() {
    let double = Ec2Double::start();
    double.page_size(2);
    let services = ["sqs", "kms", "sns", "ssm", "sts", "logs", "secretsmanager"];
    let order = |service: &&str| json!({ "service": service, "azs": { "a": null, "b": null } });
    let hub = double.create_hub(services.iter().map(order).collect());
    let mut daemon = Hubdns::start(&source(&double));
    let all_answered = |daemon: &Hubdns| {
        for (service, endpoint) in services.iter().zip(&hub.endpoints) {
            let answer = daemon.dig(&format!("{service}.eu-west-1.amazonaws.com A"));
            let mut expected: Vec<&str> =
                endpoint.enis.iter().map(|eni| eni.ipv4.as_str()).collect();
            expected.sort_unstable();
            assert_eq!(answer.data("A"), expected, "{service}");
        }
    };
    all_answered(&daemon);
    assert_eq!(double.calls("DescribeVpcEndpoints"), 4);
    assert_eq!(double.calls("DescribeVpcEndpointServices"), 4);
    assert_eq!(double.calls("DescribeNetworkInterfaces"), 7);

    // A list of which a later page fails counts for nothing.
    for (action, after) in [
        ("DescribeVpcEndpoints", 3),
        ("DescribeVpcEndpointServices", 1),
        ("DescribeNetworkInterfaces", 6),
    ] {
        let sample = sample(action, "UnauthorizedOperation");
        let before = daemon.metric(&sample).unwrap();
        double.fault(json!({ "action": action, "kind": "error", "times": 1, "after": after,
            "status": 403, "code": "UnauthorizedOperation" }));
        nudge(&mut daemon);
        await_metric(&daemon, &sample, before + 1.0);
        all_answered(&daemon);
    }
    // Nor does a reload that changes nothing put another table in force.
    assert_eq!(lines_with(&daemon, "a table is in force").len(), 1, "{}", daemon.log());
}

#[test]
fn a_slow_answer_is_waited_for_and_stops_nothing() {
    let double = Ec2Double::start();
    let sqs = small_hub(&double);
    let mut daemon = Hubdns::start(&source(&double));
    double.clear();
    double.fault(json!({ "action": "DescribeVpcEndpoints", "kind": "delay", "delay_ms": 3_000 }));
    double.replace_addresses(&sqs.id, json!({ "a": "10.0.1.20", "b": "10.0.2.20" }));
    nudge(&mut daemon);
    eventually("EC2 is asked", SOON, || (0 < double.calls("DescribeVpcEndpoints")).then_some(()));
    // While it waits, clients do not.
    let answer = daemon.dig(&format!("{SQS} A +timeout=1"));
    assert_eq!(answer.data("A"), ["10.0.1.10", "10.0.2.10"]);
    await_answer(&daemon, SQS, &["10.0.1.20", "10.0.2.20"], SOON);
    assert_eq!(lines_with(&daemon, "discovery failed"), Vec::<String>::new());
}
