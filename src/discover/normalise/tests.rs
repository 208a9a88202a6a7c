//! Facts from recordings.

use std::{collections::BTreeMap, path::PathBuf};

use super::normalise;
use crate::{
    base::{Chain, Region, SourceName, VpcId},
    discover::{
        Recorded, RecordedEndpoint, RecordedInterface, RecordedPrivateAddress, RecordedPrivateName,
        RecordedService, RecordedServiceType, SourceConfig, SourceKind, demo,
    },
    inventory::{EndpointKind, EndpointState, IpAddressType, RecordIpType, SourceFacts},
};

fn source() -> SourceConfig {
    SourceConfig {
        name: SourceName::from("hub"),
        kind: SourceKind::Files { path: PathBuf::new() },
        vpc_ids: Vec::new(),
        subnets: false,
        interval: None,
        tags: BTreeMap::new(),
    }
}

fn facts(recorded: &Recorded) -> SourceFacts {
    normalise(&source(), None, recorded).unwrap()
}

fn error(recorded: &Recorded) -> String {
    Chain(&normalise(&source(), None, recorded).unwrap_err()).to_string()
}

fn one(endpoint: RecordedEndpoint) -> Recorded {
    Recorded { endpoints: vec![endpoint], ..Recorded::default() }
}

fn endpoint() -> RecordedEndpoint {
    RecordedEndpoint {
        vpc_endpoint_id: "vpce-1".to_owned(),
        vpc_endpoint_type: "Interface".to_owned(),
        vpc_id: "vpc-1".to_owned(),
        service_name: Some("com.amazonaws.eu-west-1.sqs".to_owned()),
        state: "available".to_owned(),
        network_interface_ids: vec!["eni-1".to_owned()],
        ..RecordedEndpoint::default()
    }
}

fn interface(id: &str, zone: &str) -> RecordedInterface {
    RecordedInterface {
        network_interface_id: id.to_owned(),
        availability_zone: Some(zone.to_owned()),
        private_ip_address: Some("10.0.0.1".to_owned()),
        ..RecordedInterface::default()
    }
}

#[test]
fn the_order_of_pages_does_not_show() {
    let mut turned = demo();
    turned.endpoints.reverse();
    turned.services.reverse();
    turned.interfaces.reverse();
    for endpoint in &mut turned.endpoints {
        endpoint.network_interface_ids.reverse();
        endpoint.tags.reverse();
    }
    assert_eq!(facts(&turned), facts(&demo()));
    assert_eq!(facts(&demo()).endpoints.len(), demo().endpoints.len());
}

#[test]
fn an_endpoint_seen_twice_is_one_and_the_same_in_any_order() {
    let mut early = endpoint();
    early.state = "pending".to_owned();
    let mut recorded = one(endpoint());
    recorded.endpoints.push(early);
    let mut turned = recorded.clone();
    turned.endpoints.reverse();
    assert_eq!(facts(&recorded), facts(&turned));
    assert_eq!(facts(&recorded).endpoints.len(), 1);
}

#[test]
fn states_and_kinds_count_in_any_case() {
    for (state, kind) in [("available", "Interface"), ("Available", "interface")] {
        let mut spelled = endpoint();
        spelled.state = state.to_owned();
        spelled.vpc_endpoint_type = kind.to_owned();
        let found = &facts(&one(spelled)).endpoints[0];
        assert_eq!(found.state, EndpointState::Available);
        assert_eq!(found.kind, EndpointKind::Interface);
    }
}

#[test]
fn an_item_without_an_id_fails_the_whole_recording() {
    let mut recorded = demo();
    recorded.endpoints.push(RecordedEndpoint { vpc_endpoint_id: String::new(), ..endpoint() });
    insta::assert_snapshot!(error(&recorded), @"files gave an answer that cannot be used: item 28 of VpcEndpoints lacks VpcEndpointId");
    let mut recorded = demo();
    recorded.services[2].service_name.clear();
    insta::assert_snapshot!(error(&recorded), @"files gave an answer that cannot be used: item 3 of ServiceDetails lacks ServiceName");
    let mut recorded = demo();
    recorded.interfaces[0].network_interface_id.clear();
    insta::assert_snapshot!(error(&recorded), @"files gave an answer that cannot be used: item 1 of NetworkInterfaces lacks NetworkInterfaceId");
    // Also where the configuration would not have taken it.
    let mut narrow = source();
    narrow.vpc_ids = vec![VpcId::from("vpc-other")];
    assert!(normalise(&narrow, None, &recorded).is_err());
}

#[test]
fn an_endpoint_whose_rest_was_cut_off_fails_the_whole_recording() {
    let mut cut = endpoint();
    cut.state.clear();
    insta::assert_snapshot!(error(&one(cut)), @"files gave an answer that cannot be used: item 1 of VpcEndpoints lacks State");
    let mut cut = endpoint();
    cut.service_name = None;
    insta::assert_snapshot!(error(&one(cut)), @"files gave an answer that cannot be used: item 1 of VpcEndpoints lacks ServiceName");
}

#[test]
fn a_lattice_endpoint_has_an_arn_for_a_service() {
    let mut lattice = endpoint();
    lattice.vpc_endpoint_type = "ServiceNetwork".to_owned();
    lattice.service_name = None;
    lattice.service_network_arn =
        Some("arn:aws:vpc-lattice:eu-west-1:1:servicenetwork/1".to_owned());
    let found = &facts(&one(lattice)).endpoints[0];
    assert_eq!(found.service.as_str(), "arn:aws:vpc-lattice:eu-west-1:1:servicenetwork/1");
}

#[test]
fn what_is_no_address_or_time_is_told_with_its_owner() {
    let mut recorded = one(endpoint());
    recorded.interfaces.push(interface("eni-1", "eu-west-1a"));
    recorded.interfaces[0].private_ip_address = Some("10.0.0".to_owned());
    insta::assert_snapshot!(error(&recorded), @r#"files gave an answer that cannot be used: eni-1 has the PrivateIpAddress "10.0.0": invalid IPv4 address syntax"#);
    let mut undated = endpoint();
    undated.creation_timestamp = Some("yesterday".to_owned());
    let line = error(&one(undated));
    assert!(line.contains(r#"vpce-1 has the CreationTimestamp "yesterday": "#), "{line}");
}

#[test]
fn only_vpcs_and_tags_that_are_wanted_are_kept_with_what_they_use() {
    let mut tagged = source();
    tagged.tags.insert("env".to_owned(), "prod".to_owned());
    let found = normalise(&tagged, None, &demo()).unwrap();
    let services: Vec<&str> = found.services.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(services, ["com.amazonaws.eu-west-1.kms", "com.amazonaws.eu-west-1.sqs"]);
    assert_eq!((found.endpoints.len(), found.interfaces.len()), (2, 6));

    let mut elsewhere = source();
    elsewhere.vpc_ids = vec![VpcId::from("vpc-elsewhere")];
    assert!(normalise(&elsewhere, None, &demo()).unwrap().endpoints.is_empty());
    elsewhere.vpc_ids.push(VpcId::from(demo().endpoints[0].vpc_id.as_str()));
    assert_eq!(normalise(&elsewhere, None, &demo()).unwrap(), facts(&demo()));
}

#[test]
fn an_interface_that_is_not_listed_yet_stays_named() {
    let found = facts(&one(endpoint()));
    assert_eq!(found.endpoints[0].interfaces.len(), 1);
    assert!(found.interface(&found.endpoints[0].interfaces[0]).is_none());
}

#[test]
fn the_primary_address_comes_first() {
    let address = |text: &str, primary| RecordedPrivateAddress {
        primary: Some(primary),
        private_ip_address: text.to_owned(),
    };
    let mut recorded = one(endpoint());
    recorded.interfaces.push(interface("eni-1", "eu-west-1a"));
    assert_eq!(facts(&recorded).interfaces[0].ipv4, [std::net::Ipv4Addr::new(10, 0, 0, 1)]);
    recorded.interfaces[0].private_ip_addresses =
        vec![address("10.0.0.9", false), address("10.0.0.5", true), address("10.0.0.7", false)];
    let last_bytes = |facts: &SourceFacts| -> Vec<u8> {
        let ipv4 = &facts.interfaces[0].ipv4;
        ipv4.iter().map(|address| address.octets()[3]).collect()
    };
    assert_eq!(last_bytes(&facts(&recorded)), [5, 9, 7]);
}

#[test]
fn a_recording_tells_its_region_unless_it_disagrees_with_itself() {
    let region = |zones: &[&str]| {
        let mut recorded = one(endpoint());
        for (at, zone) in zones.iter().enumerate() {
            recorded.interfaces.push(interface(&format!("eni-{at}"), zone));
        }
        let region = facts(&recorded).region;
        region.map(|region| region.to_string())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(region(&["us-gov-west-1a"]), some("us-gov-west-1"));
    assert_eq!(region(&["us-west-2-lax-1a", "us-west-2b"]), some("us-west-2"));
    // By the service's name.
    assert_eq!(region(&[]), some("eu-west-1"));
    assert_eq!(region(&["us-west-2a", "us-east-1a"]), some("eu-west-1"));
    let mut global = endpoint();
    global.service_name = Some("com.amazonaws.s3-global.accesspoint".to_owned());
    assert_eq!(facts(&one(global)).region, None);
}

#[test]
fn a_service_region_is_kept_only_where_it_differs() {
    let mut crossing = endpoint();
    crossing.service_region = Some("eu-west-1".to_owned());
    let asked = |region: &str| {
        let facts = normalise(&source(), Some(Region::from(region)), &one(crossing.clone()));
        facts.unwrap().endpoints[0].service_region.clone()
    };
    assert_eq!(asked("eu-west-1"), None);
    assert_eq!(asked("eu-west-2"), Some(Region::from("eu-west-1")));
}

#[test]
fn what_aws_leaves_out_is_ipv4() {
    let found = &facts(&one(endpoint())).endpoints[0];
    assert_eq!(found.ip_type, IpAddressType::Ipv4);
    assert_eq!(found.record_ip_type, RecordIpType::Ipv4);
    let mut dual = endpoint();
    dual.ip_address_type = Some("dualstack".to_owned());
    let found = &facts(&one(dual)).endpoints[0];
    assert_eq!(found.record_ip_type, RecordIpType::Dualstack);
}

#[test]
fn of_a_service_listed_for_gateways_and_for_interfaces_the_latter_counts() {
    let listed = |kind: &str, names: &[&str]| RecordedService {
        service_name: "com.amazonaws.eu-west-1.sqs".to_owned(),
        service_type: vec![RecordedServiceType { service_type: kind.to_owned() }],
        private_dns_names: names
            .iter()
            .map(|name| RecordedPrivateName { private_dns_name: (*name).to_owned() })
            .collect(),
        ..RecordedService::default()
    };
    let mut recorded = one(endpoint());
    recorded.services = vec![listed("Gateway", &[]), listed("Interface", &["b.x", "a.x", "b.x"])];
    assert_eq!(facts(&recorded).services.len(), 1);
    assert_eq!(facts(&recorded).services[0].private_names, ["a.x", "b.x"]);
    recorded.services.reverse();
    assert_eq!(facts(&recorded).services[0].private_names, ["a.x", "b.x"]);
}
