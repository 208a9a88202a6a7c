//! Addresses that do not answer probes leave the answers, and come back.

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Instant,
};

use serde_json::json;

use crate::{
    SOON, SQS, await_answer, measured, source,
    support::{Ec2Double, Hubdns, eventually},
};

const FAILING_OPEN: &str = "hubdns_endpoints_failing_open";

#[test]
fn a_dead_address_leaves_and_comes_back_and_all_dead_are_all_given() {
    // Loopback addresses of this test alone.
    let [a, b] = [Ipv4Addr::new(127, 0, 77, 1), Ipv4Addr::new(127, 0, 77, 2)];
    let first = TcpListener::bind((a, 0)).unwrap();
    let port = first.local_addr().unwrap().port();
    let second = TcpListener::bind((b, port)).unwrap();
    let double = Ec2Double::start();
    let azs = json!({ "a": "10.0.1.10", "b": "10.0.2.10" });
    let hub = double.create_hub(json!([{ "service": "sqs", "azs": azs }]));
    let sqs = &hub.endpoints[0];
    double.replace_addresses(&sqs.id, json!({ "a": a, "b": b }));
    let config =
        source(&double) + &format!("[health]\nprobe = \"tcp:{port}\"\ninterval_secs = 1\n");
    let daemon = Hubdns::start(&config);
    let [a, b] = [a.to_string(), b.to_string()];
    await_answer(&daemon, SQS, &[&a, &b], SOON);

    drop(second);
    let died = Instant::now();
    await_answer(&daemon, SQS, &[&a], SOON);
    measured("an address's death to answers without it, probed each second", died.elapsed());
    assert_eq!(daemon.metric("hubdns_unhealthy_addresses"), Some(1.0));
    assert_eq!(daemon.metric(FAILING_OPEN), Some(0.0));
    // The name of the dead zone has no other address to give.
    let zonal = daemon.dig(&format!("{} A", sqs.dns_entries[2]));
    assert_eq!(zonal.data("A"), [b.as_str()], "{}", zonal.raw);
    let explained = daemon.command(&format!("explain {SQS} A")).output().unwrap();
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains(&b), "what is left out is told: {explained}");

    let second = TcpListener::bind((b.parse::<Ipv4Addr>().unwrap(), port)).unwrap();
    await_answer(&daemon, SQS, &[&a, &b], SOON);
    assert_eq!(daemon.metric("hubdns_unhealthy_addresses"), Some(0.0));

    drop((first, second));
    eventually("all are down", SOON, || daemon.metric(FAILING_OPEN).filter(|it| *it == 1.0));
    await_answer(&daemon, SQS, &[&a, &b], SOON);
    assert_eq!(daemon.metric("hubdns_unhealthy_addresses"), Some(2.0));
    assert_eq!(daemon.get("/readyz").0, 200);
}

#[test]
fn an_endpoint_that_listens_on_other_ports_is_given_and_is_no_outage() {
    // Of the first one address answers at the probed port, of the second none ever has.
    let [a, b] = [Ipv4Addr::new(127, 0, 78, 1), Ipv4Addr::new(127, 0, 78, 2)];
    let [c, d] = [Ipv4Addr::new(127, 0, 78, 3), Ipv4Addr::new(127, 0, 78, 4)];
    let open = TcpListener::bind((a, 0)).unwrap();
    let port = open.local_addr().unwrap().port();
    let double = Ec2Double::start();
    let azs = json!({ "a": "10.0.1.10", "b": "10.0.2.10" });
    let order = ["sqs", "kms"].map(|service| json!({ "service": service, "azs": azs }));
    let hub = double.create_hub(json!(order));
    double.replace_addresses(&hub.endpoints[0].id, json!({ "a": a, "b": b }));
    double.replace_addresses(&hub.endpoints[1].id, json!({ "a": c, "b": d }));
    let config =
        source(&double) + &format!("[health]\nprobe = \"tcp:{port}\"\ninterval_secs = 1\n");
    let daemon = Hubdns::start(&config);
    await_answer(&daemon, SQS, &[&a.to_string()], SOON);
    let unheard = "hubdns_endpoints_unheard";
    eventually("it is told", SOON, || daemon.metric(unheard).filter(|it| *it == 1.0));
    let name = &hub.endpoints[1].dns_entries[0];
    await_answer(&daemon, name, &[&c.to_string(), &d.to_string()], SOON);
    assert_eq!(daemon.metric(FAILING_OPEN), Some(0.0));
    assert_eq!(daemon.metric("hubdns_unhealthy_addresses"), Some(1.0));
    let explained = daemon.command(&format!("explain {name} A")).output().unwrap();
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains("has ever answered a probe"), "{explained}");

    // Since it has answered once, its silence is an outage.
    let late = TcpListener::bind((c, port)).unwrap();
    eventually("it is heard", SOON, || daemon.metric(unheard).filter(|it| *it == 0.0));
    drop(late);
    eventually("it fails", SOON, || daemon.metric(FAILING_OPEN).filter(|it| *it == 1.0));
    await_answer(&daemon, name, &[&c.to_string(), &d.to_string()], SOON);
}
