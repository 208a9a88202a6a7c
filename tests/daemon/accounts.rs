//! Many accounts, of which each is a source of its own.

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    ONE_INTERVAL, SOON, SQS, await_answer, lines_with, measured, small_hub, status,
    support::{Ec2Double, Endpoint, Hubdns, eventually},
};

fn account(at: usize) -> String {
    format!("{:012}", 111_111_111_111 + at)
}

/// An endpoint in each of so many accounts, all reached by one double.
fn accounts(double: &Ec2Double, count: usize) -> Vec<Endpoint> {
    let endpoint = |at: usize| {
        let one = json!({ "service": "sqs", "azs": { "a": format!("10.0.{at}.10") } });
        let order = json!({ "account": account(at), "endpoints": [one] });
        double.create(order).endpoints.remove(0)
    };
    (0..count).map(endpoint).collect()
}

/// The table of a source that asks so many accounts as one role.
fn org(double: &Ec2Double, count: usize, more: &str) -> String {
    let accounts: Vec<String> = (0..count).map(account).collect();
    format!(
        "[[source]]\nname = \"org\"\nkind = \"ec2\"\nendpoint_url = \"{}\"\n\
         accounts = {accounts:?}\nrole_name = \"network/hubdns-read\"\n{more}\n",
        double.url()
    )
}

fn one(name: &str, address: SocketAddr) -> String {
    format!("[[source]]\nname = \"{name}\"\nkind = \"ec2\"\nendpoint_url = \"http://{address}\"\n")
}

fn deny(double: &Ec2Double) {
    double.fault(json!({ "action": "*", "kind": "error", "times": 0, "status": 403,
        "code": "UnauthorizedOperation" }));
}

#[test]
fn one_account_that_hangs_and_one_that_is_denied_delay_none_of_twenty() {
    let (many, hanging, denied) = (Ec2Double::start(), Ec2Double::start(), Ec2Double::start());
    let endpoints = accounts(&many, 20);
    hanging.create_hub(json!([{ "service": "kms", "azs": { "a": "10.0.200.10" } }]));
    deny(&denied);
    let config =
        one("hanging", hanging.address()) + &one("denied", denied.address()) + &org(&many, 20, "");
    let daemon = Hubdns::start_with(&config, &[("AWS_ENDPOINT_URL_STS", &many.url())]);
    for (at, endpoint) in endpoints.iter().enumerate() {
        // On a machine that is busy some may be late.
        await_answer(&daemon, &endpoint.dns_entries[0], &[&format!("10.0.{at}.10")], SOON);
    }

    hanging.fault(json!({ "action": "*", "kind": "delay", "delay_ms": 25_000, "times": 0 }));
    for (at, endpoint) in endpoints.iter().enumerate() {
        many.replace_addresses(&endpoint.id, json!({ "a": format!("10.0.{at}.20") }));
    }
    for (at, endpoint) in endpoints.iter().enumerate() {
        let own = &endpoint.dns_entries[0];
        await_answer(&daemon, own, &[&format!("10.0.{at}.20")], ONE_INTERVAL);
    }
    // Each has its own age and its own failure; what the one that hangs told is still told.
    let (_, text) = daemon.get("/api/v1/status");
    let status: Value = serde_json::from_str(&text).unwrap();
    let sources = status["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 22);
    for source in sources {
        let name = source["name"].as_str().unwrap();
        let (age, error) = (&source["age_secs"], &source["error"]);
        match name {
            "denied" => assert!(error.as_str().unwrap().contains("ec2:DescribeVpcEndpoints")),
            "hanging" => assert!(age.is_u64()),
            _ => assert!(age.as_u64().unwrap() <= 7 && error.is_null(), "{source}"),
        }
    }
    assert_eq!(daemon.dig("kms.eu-west-1.amazonaws.com A").data("A"), ["10.0.200.10"]);
}

#[test]
fn a_first_start_waits_for_no_account_that_hangs_and_tells_what_is_missing() {
    let (good, denied) = (Ec2Double::start(), Ec2Double::start());
    small_hub(&good);
    deny(&denied);
    // Its queue takes connections, and nobody says anything.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let config =
        one("hangs", address) + &one("denied", denied.address()) + &one("good", good.address());
    let began = Instant::now();
    let mut daemon = Hubdns::start(&config);
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10", "10.0.2.10"]);
    let took = began.elapsed();
    measured("a first start with an account that hangs", took);
    assert!((Duration::from_secs(10)..Duration::from_secs(25)).contains(&took), "{took:?}");

    let told = status(&daemon);
    let sources: Vec<_> = told["sources"].as_array().unwrap().iter().collect();
    assert!(sources[0]["age_secs"].is_null() && sources[0]["error"].is_null(), "{told}");
    assert!(sources[1]["age_secs"].is_null() && sources[1]["error"].is_string(), "{told}");
    assert!(sources[2]["age_secs"].is_u64(), "{told}");
    assert_eq!(daemon.metric("hubdns_discovery_age_seconds{source=\"hangs\"}"), Some(-1.0));
    let line = lines_with(&daemon, "does not wait for sources that are late").remove(0);
    assert!(line.contains("hangs") && line.contains("denied"), "{line}");
    let (_, changes) = daemon.get("/api/v1/changes");
    assert!(changes.contains("start, without source hangs and 1 more"), "{changes}");
    // A restart from a file without it would not wait for it.
    let file = daemon.dir().join("inventory.json");
    assert!(!file.exists());

    drop(silent);
    let late = Ec2Double::start_at(address);
    late.create_hub(json!([{ "service": "kms", "azs": { "a": "10.0.200.10" } }]));
    await_answer(&daemon, "kms.eu-west-1.amazonaws.com", &["10.0.200.10"], SOON * 2);
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10", "10.0.2.10"]);
    eventually("all that is known is on disk", SOON, || {
        let text = fs::read_to_string(&file).ok()?;
        (text.contains("10.0.200.10") && text.contains("10.0.1.10")).then_some(())
    });
    assert!(daemon.terminate().success());
    deny(&late);
    daemon.start_again();
    assert_eq!(daemon.dig("kms.eu-west-1.amazonaws.com A").data("A"), ["10.0.200.10"]);
}

#[test]
fn each_account_of_a_list_is_asked_as_its_role_and_at_the_sources_own_interval() {
    let double = Ec2Double::start();
    accounts(&double, 3);
    let session =
        "external_id = \"hub:4711\"\nsession_tags = { team = \"network\" }\ninterval_secs = 3600";
    let daemon =
        Hubdns::start_with(&org(&double, 3, session), &[("AWS_ENDPOINT_URL_STS", &double.url())]);
    let asked = || {
        let log = double.log();
        let of = |action: &str| log.iter().filter(|it| it["action"] == action).cloned().collect();
        let (roles, looks): (Vec<Value>, Vec<Value>) =
            (of("AssumeRole"), of("DescribeVpcEndpoints"));
        (roles, looks.len())
    };
    let (roles, looks) = asked();
    assert_eq!((roles.len(), looks), (3, 3));
    let form = |key: &str| -> BTreeSet<String> {
        roles.iter().map(|it| it["form"][key].as_str().unwrap_or_default().to_owned()).collect()
    };
    let arn = |at| format!("arn:aws:iam::{}:role/network/hubdns-read", account(at));
    assert_eq!(form("RoleArn"), (0..3).map(arn).collect());
    assert_eq!(form("ExternalId"), ["hub:4711".to_owned()].into());
    assert_eq!(form("Tags.member.1.Key"), ["team".to_owned()].into());
    assert_eq!(form("RoleSessionName"), ["hubdns".to_owned()].into());
    // One of them by hand; the others wait for their hour.
    let name = format!("org-{}", account(1));
    assert!(daemon.command(&format!("refresh --source {name}")).status().unwrap().success());
    assert_eq!(asked().1, 4);
}

#[test]
fn a_throttled_account_slows_no_other_and_all_that_are_throttled_slow_all() {
    let (many, throttled) = (Ec2Double::start(), Ec2Double::start());
    accounts(&many, 2);
    let config = one("throttled", throttled.address()) + &org(&many, 2, "");
    let daemon = Hubdns::start_with(&config, &[("AWS_ENDPOINT_URL_STS", &many.url())]);
    let too_fast = json!({ "action": "*", "kind": "error", "times": 0, "status": 503,
        "code": "RequestLimitExceeded" });
    let refresh = |source: &str| {
        daemon.command(&format!("refresh --source {source}")).status().unwrap().success()
    };
    let told = |what: &str| {
        let line = || daemon.log().lines().find(|line| line.contains(what)).map(str::to_owned);
        eventually("the log tells it", SOON, line)
    };
    throttled.fault(too_fast.clone());
    assert!(!refresh("throttled"));
    let line = told("AWS throttles a source");
    assert!(line.contains("\"source\":\"throttled\",\"calls_per_second\":5.0"), "{line}");
    let name = format!("org-{}", account(0));
    assert!(refresh(&name));
    assert!(lines_with(&daemon, "AWS throttles several").is_empty(), "{}", daemon.log());

    // Three attempts, seconds apart at most, take the burst and most of the pace.
    many.fault(too_fast);
    assert!(!refresh(&name));
    let line = told("AWS throttles several sources");
    assert!(line.contains("\"calls_per_second\":5.0"), "{line}");
    many.clear();
    assert!(refresh(&format!("org-{}", account(1))));
    let at = |double: &Ec2Double, action: &str| {
        let log = double.log();
        let last = log.iter().rfind(|it| it["action"] == action).unwrap();
        last["at"].as_f64().unwrap()
    };
    // A full pace would make the three calls of a look within 10 ms of each other.
    let first = at(&many, "DescribeVpcEndpoints");
    let spread = at(&many, "DescribeNetworkInterfaces") - first;
    assert!((0.05..10.0).contains(&spread), "{spread}");
}
