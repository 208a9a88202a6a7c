//! Discover, answer, forward: what the daemon is for.

use serde_json::json;

use crate::{
    recorded, source,
    support::{Ec2Double, Hubdns, Unbound},
    upstream,
};

/// A hub as people have them, and its daemon before a resolver that leaks public addresses.
struct World {
    hub: crate::support::Hub,
    unbound: Unbound,
    daemon: Hubdns,
    double: Ec2Double,
}

const SAAS: &str = "com.amazonaws.vpce.eu-west-1.vpce-svc-0abc";

impl World {
    fn new() -> Self {
        let (double, unbound) = (Ec2Double::start(), Unbound::start());
        double.put_service(json!({
            "name": SAAS, "private_dns_names": ["api.saas.example"],
            "base_dns_name": "vpce-svc-0abc.eu-west-1.vpce.amazonaws.com",
        }));
        double.put_service(json!({
            "name": "com.amazonaws.{region}.kms",
            "private_dns_names": ["kms.{region}.amazonaws.com", "kms.{region}.api.aws"],
            "base_dns_name": "kms.{region}.vpce.amazonaws.com",
        }));
        let everywhere = json!({ "a": null, "b": null, "c": null });
        let hub = double.create_hub(json!([
            { "service": "sqs",
              "azs": { "a": "10.0.1.100", "b": "10.0.2.100", "c": "10.0.3.100" } },
            { "service": "s3", "azs": everywhere },
            { "service": "ecr.dkr", "azs": everywhere },
            { "service": "kms", "azs": everywhere },
            { "service": SAAS, "azs": { "a": "10.0.1.200" } },
            { "service": "s3", "type": "Gateway" },
        ]));
        let daemon = Hubdns::start(&(source(&double) + &upstream(&unbound)));
        Self { hub, unbound, daemon, double }
    }

    /// The addresses of an endpoint, sorted as `DigAnswer::data` does.
    fn addresses(&self, endpoint: usize) -> Vec<&str> {
        let mut all: Vec<&str> =
            self.hub.endpoints[endpoint].enis.iter().map(|eni| eni.ipv4.as_str()).collect();
        all.sort_unstable();
        all
    }

    #[track_caller]
    fn is_answered(&self, name: &str, endpoint: usize) {
        let answer = self.daemon.dig(&format!("{name} A"));
        assert_eq!(answer.data("A"), self.addresses(endpoint), "{name}: {}", answer.raw);
        assert_eq!(answer.answer[0].ttl, 60, "{}", answer.raw);
        assert!(answer.has("ra") && !answer.has("aa"), "{}", answer.raw);
    }
}

/// SQS of the recorded hub.
const RECORDED: [&str; 3] = ["10.0.1.5", "10.0.2.5", "10.0.3.5"];

/// A daemon that needs no double, for what is the same whatever a hub has.
fn recorded_hub() -> (Hubdns, Unbound) {
    let unbound = Unbound::start();
    (Hubdns::start(&(recorded() + &upstream(&unbound))), unbound)
}

#[test]
fn the_names_of_a_hub_are_answered_with_its_private_addresses() {
    let world = World::new();
    for (name, endpoint) in [
        ("sqs.eu-west-1.amazonaws.com", 0),
        ("SQS.eu-WEST-1.amazonaws.com", 0),
        ("s3.eu-west-1.amazonaws.com", 1),
        ("bucket.s3.eu-west-1.amazonaws.com", 1),
        ("a.dotted.bucket.s3.eu-west-1.amazonaws.com", 1),
        ("4711.s3-control.eu-west-1.amazonaws.com", 1),
        ("111122223333.dkr.ecr.eu-west-1.amazonaws.com", 2),
        ("kms.eu-west-1.amazonaws.com", 3),
        ("kms.eu-west-1.api.aws", 3),
        ("api.saas.example", 4),
    ] {
        world.is_answered(name, endpoint);
    }
    // A star of its own stands for itself before any bucket.
    let regional = world.hub.endpoints[1].dns_entries[0].replace('*', "bucket");
    world.is_answered(&regional, 1);
    assert_eq!(world.unbound.queries(), Vec::<String>::new());
    // Three calls: one page each, all of it at the first look.
    assert_eq!(world.double.calls("DescribeVpcEndpoints"), 1);
    assert_eq!(world.double.calls("DescribeVpcEndpointServices"), 1);
    assert_eq!(world.double.calls("DescribeNetworkInterfaces"), 1);
}

#[test]
fn an_endpoints_own_names_are_regional_and_zonal() {
    let world = World::new();
    let sqs = &world.hub.endpoints[0];
    world.is_answered(&sqs.dns_entries[0], 0);
    for (entry, eni) in sqs.dns_entries[1..].iter().zip(&sqs.enis) {
        let answer = world.daemon.dig(&format!("{entry} A"));
        assert_eq!(answer.data("A"), [eni.ipv4.as_str()], "{}", answer.raw);
    }
    assert_eq!(sqs.dns_entries.len(), 4);
    assert_eq!(world.unbound.queries(), Vec::<String>::new());
}

#[test]
fn an_absent_type_of_a_name_of_ours_is_never_asked_upstream() {
    let world = World::new();
    for rtype in ["AAAA", "HTTPS", "MX", "TXT", "SRV", "NS", "CAA"] {
        let answer = world.daemon.dig(&format!("sqs.eu-west-1.amazonaws.com {rtype}"));
        assert_eq!(answer.status, "NOERROR", "{}", answer.raw);
        assert!(answer.answer.is_empty(), "{}", answer.raw);
        assert_eq!(answer.authority[0].rtype, "SOA", "{}", answer.raw);
    }
    let wild = world.daemon.dig("bucket.s3.eu-west-1.amazonaws.com AAAA");
    assert!(wild.answer.is_empty() && wild.status == "NOERROR", "{}", wild.raw);
    assert_eq!(world.unbound.queries(), Vec::<String>::new());
}

#[test]
fn all_else_is_forwarded_whole() {
    let (daemon, unbound) = recorded_hub();
    let www = daemon.dig("www.corp.example A");
    assert_eq!(www.data("A"), ["192.0.2.80"]);
    // Below a name of ours, and a service without an endpoint.
    for (name, address) in [
        ("deeper.sqs.eu-west-1.amazonaws.com", "198.51.100.2"),
        ("rds.eu-west-1.amazonaws.com", "198.51.100.3"),
    ] {
        let answer = daemon.dig(&format!("{name} A"));
        assert_eq!(answer.data("A"), [address], "{}", answer.raw);
    }
    let lost = daemon.dig("nobody.corp.example A");
    assert_eq!(lost.status, "NXDOMAIN");
    assert_eq!(lost.authority[0].rtype, "SOA", "{}", lost.raw);
    assert_eq!(lost.authority[0].ttl, Unbound::NEGATIVE_TTL_SECS);
    let asked = unbound.queries();
    assert!(asked.contains(&"www.corp.example. A".to_owned()), "{asked:?}");
}

#[test]
fn an_answer_too_big_for_udp_comes_over_tcp() {
    let (daemon, _unbound) = recorded_hub();
    let cut = daemon.dig("big.example TXT +ignore");
    assert!(cut.has("tc") && cut.transport == "UDP", "{}", cut.raw);
    assert!(cut.size <= 1_232, "{}", cut.raw);
    let whole = daemon.dig("big.example TXT");
    assert_eq!((whole.data("TXT").len(), whole.transport.as_str()), (12, "TCP"), "{}", whole.raw);
    let ours = daemon.dig("sqs.eu-west-1.amazonaws.com A +tcp");
    assert_eq!(ours.data("A"), RECORDED);
}

#[test]
fn a_chain_of_names_that_lands_on_ours_ends_at_the_endpoint() {
    let (daemon, _unbound) = recorded_hub();
    let answer = daemon.dig("queue.corp.example A");
    assert_eq!(answer.data("A"), RECORDED, "{}", answer.raw);
    assert_eq!(
        answer.data("CNAME"),
        ["chain.corp.example.", "sqs.eu-west-1.amazonaws.com."],
        "{}",
        answer.raw
    );
    let absent = daemon.dig("queue.corp.example AAAA");
    assert_eq!(absent.data("AAAA"), Vec::<&str>::new(), "a public address leaks: {}", absent.raw);
    assert_eq!(absent.data("CNAME").len(), 2, "{}", absent.raw);
}

#[test]
fn addresses_take_turns_at_the_first_place() {
    let (daemon, _unbound) = recorded_hub();
    let mut first: Vec<String> = (0..30)
        .map(|_| daemon.dig("sqs.eu-west-1.amazonaws.com A").answer[0].data.clone())
        .collect();
    first.sort_unstable();
    first.dedup();
    assert_eq!(first, RECORDED);
}

#[test]
fn both_families_are_answered_where_the_endpoint_says_so() {
    let double = Ec2Double::start();
    double.create_hub(json!([
        { "service": "sqs", "azs": { "a": "10.0.1.10" }, "ipv6": { "a": "fd00::10" },
          "ip_address_type": "dualstack" },
        { "service": "kms", "azs": { "a": "10.0.1.11" }, "ipv6": { "a": "fd00::11" },
          "ip_address_type": "dualstack", "dns_record_ip_type": "ipv4" },
        { "service": "ec2", "azs": { "a": "10.0.1.12" }, "ipv6": { "a": "fd00::12" },
          "ip_address_type": "ipv6" },
    ]));
    let daemon = Hubdns::start(&source(&double));
    for (name, v4, v6) in [
        ("sqs.eu-west-1.amazonaws.com", Some("10.0.1.10"), Some("fd00::10")),
        ("kms.eu-west-1.amazonaws.com", Some("10.0.1.11"), None),
        ("ec2.eu-west-1.amazonaws.com", None, Some("fd00::12")),
        ("ec2.eu-west-1.api.aws", None, Some("fd00::12")),
    ] {
        for (rtype, expected) in [("A", v4), ("AAAA", v6)] {
            let answer = daemon.dig(&format!("{name} {rtype}"));
            assert_eq!(answer.status, "NOERROR", "{}", answer.raw);
            assert_eq!(answer.data(rtype), Vec::from_iter(expected), "{}", answer.raw);
        }
    }
}
