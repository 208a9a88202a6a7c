//! AWS's API fails in each of its ways while clients ask.

use std::{net::Ipv4Addr, sync::Arc};

use serde_json::{Value, json};

use crate::{
    asked_while, await_metric, nothing_lost,
    support::{Ec2Double, Fixed, Hub, Hubdns, name_of},
};

const ENDPOINTS: &str = "DescribeVpcEndpoints";

fn error(code: &str, status: u16) -> Value {
    json!({ "action": ENDPOINTS, "kind": "error", "times": 0, "status": status, "code": code })
}

fn garbage(kind: &str) -> Value {
    json!({ "action": ENDPOINTS, "kind": kind, "times": 0 })
}

fn errors(action: &str, code: &str) -> String {
    format!("hubdns_discovery_errors_total{{action=\"{action}\",code=\"{code}\",source=\"hub\"}}")
}

#[test]
fn whatever_the_api_says_no_client_notices() {
    let double = Ec2Double::start();
    let azs = json!({ "a": "10.0.1.10", "b": "10.0.2.10" });
    let services = ["sqs", "kms", "sns"];
    let order: Value = services.iter().map(|it| json!({ "service": it, "azs": azs })).collect();
    let hub = double.create_hub(order);
    let source = format!(
        "[[source]]\nname = \"hub\"\nkind = \"ec2\"\nendpoint_url = \"{}\"\n",
        double.url()
    );
    let mut daemon = Hubdns::start(&source);
    let known = services.iter().zip(&hub.endpoints).map(|(service, endpoint)| {
        let addresses = endpoint.enis.iter().map(|eni| eni.ipv4.parse().unwrap());
        let mut addresses: Vec<Ipv4Addr> = addresses.collect();
        addresses.sort_unstable();
        (name_of(service), addresses)
    });
    let truth = Arc::new(Fixed(known.collect()));
    for (what, fault, code) in [
        ("throttles", error("RequestLimitExceeded", 503), "RequestLimitExceeded"),
        ("denies", error("UnauthorizedOperation", 403), "UnauthorizedOperation"),
        ("finds credentials expired", error("ExpiredToken", 400), "ExpiredToken"),
        ("talks HTML", garbage("html"), "garbage"),
        ("cuts its answer short", garbage("cut"), "garbage"),
    ] {
        let sample = errors(ENDPOINTS, code);
        let before = daemon.metric(&sample).unwrap();
        let asked = asked_while(daemon.dns(), Arc::clone(&truth), || {
            double.fault(fault);
            daemon.process().signal("HUP");
            await_metric(&daemon, &sample, before + 1.0);
        });
        double.clear();
        nothing_lost(&format!("the API {what}"), asked);
    }

    let sample = errors(ENDPOINTS, "InternalError");
    let asked = asked_while(daemon.dns(), Arc::clone(&truth), || {
        double.page_size(1);
        double.fault(json!({ "action": ENDPOINTS, "kind": "error", "times": 0, "after": 1,
            "status": 500, "code": "InternalError" }));
        daemon.process().signal("HUP");
        await_metric(&daemon, &sample, 1.0);
    });
    double.clear();
    nothing_lost("the API gives half a page set", asked);

    let kept = "hubdns_refresh_rounds_total{outcome=\"kept\"}";
    let before = daemon.metric(kept).unwrap();
    let asked = asked_while(daemon.dns(), truth, || {
        for endpoint in &hub.endpoints {
            double.remove(&endpoint.id);
        }
        daemon.process().signal("HUP");
        await_metric(&daemon, kept, before + 1.0);
    });
    nothing_lost("the API knows of nothing any more", asked);
}

#[test]
fn one_account_of_ten_that_knows_of_nothing_any_more_costs_no_answer() {
    let double = Ec2Double::start();
    let hub = |at: usize| {
        let azs = json!({ "a": format!("10.0.{at}.10") });
        double.create_hub(json!([{ "service": "sqs", "azs": azs }]))
    };
    let hubs: Vec<Hub> = (0..10).map(hub).collect();
    let table = |(at, hub): (usize, &Hub)| {
        format!(
            "[[source]]\nname = \"account-{at}\"\nkind = \"ec2\"\nendpoint_url = \"{}\"\n\
             vpc_ids = [\"{}\"]\n",
            double.url(),
            hub.vpc
        )
    };
    let daemon = Hubdns::start(&hubs.iter().enumerate().map(table).collect::<String>());
    let known = hubs.iter().enumerate().map(|(at, hub)| {
        let octet = u8::try_from(at).unwrap();
        (hub.endpoints[0].dns_entries[0].clone(), vec![Ipv4Addr::new(10, 0, octet, 10)])
    });
    let truth = Arc::new(Fixed(known.collect()));
    let asked = asked_while(daemon.dns(), truth, || {
        double.remove(&hubs[7].endpoints[0].id);
        for _ in 1..3 {
            // Not believed twice, and the third time it would be.
            let refreshed = daemon.command("refresh --source account-7").status().unwrap();
            assert_eq!(refreshed.code(), Some(1));
        }
    });
    nothing_lost("one account of ten knows of nothing any more", asked);
}
