//! Which zone a client is in: by the operator's map, and by the sources' subnets where it is asked for.
//!
//! Who asks us is in a VPC that the hub is connected to, or comes through a Route 53 outbound
//! endpoint and then with the address of that endpoint's interface, most often in a VPC of the hub's
//! own. Two VPCs may have the same addresses; at most one of them can reach us, and which one is not
//! in any list. A wrong zone costs a way through another zone and nothing else.

use std::{collections::BTreeSet, sync::Arc};

use ipnet::IpNet;

use crate::{
    base::VpcId,
    inventory::{Inventory, SourceFacts, Subnet},
};

use super::PolicyConfig;

/// A client network and its zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientZone {
    /// The network.
    pub network: IpNet,
    /// The zone's name or id.
    pub zone: Arc<str>,
    /// Who says so.
    pub by: ZoneBy,
}

/// Who says in which zone a network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ZoneBy {
    /// `[zones]`.
    Hand,
    /// A subnet of a source.
    Subnet,
}

/// A subnet's network on its way to be believed.
struct Found<'s> {
    network: IpNet,
    /// Whether endpoints of the hub are in its VPC: that one reaches us for sure.
    near: bool,
    vpc: &'s VpcId,
    zone: Arc<str>,
    /// Whether another VPC may have these addresses as well.
    doubtful: bool,
}

/// Every network of which the zone is known. A network by hand stands for all that is in it. Of
/// subnets that share addresses those in the endpoints' own VPCs count; of several others, in
/// different zones, none does.
pub(super) fn client_zones(inventory: &Inventory, config: &PolicyConfig) -> Vec<ClientZone> {
    let by_hand = config.zones.iter().map(|(network, zone)| ClientZone {
        network: network.trunc(),
        zone: Arc::clone(zone),
        by: ZoneBy::Hand,
    });
    let mut zones: Vec<ClientZone> = by_hand.collect();
    if config.discover_zones {
        let is_told =
            |network: &IpNet| config.zones.iter().any(|(wider, _)| wider.contains(network));
        let found = of_subnets(inventory).into_iter().filter(|it| !is_told(&it.network));
        zones.extend(found);
    }
    zones.sort();
    zones.dedup();
    zones
}

fn of_subnets(inventory: &Inventory) -> Vec<ClientZone> {
    let endpoints = inventory.sources.iter().flat_map(|source| &source.endpoints);
    let near: BTreeSet<&VpcId> = endpoints.map(|endpoint| &endpoint.vpc).collect();
    let mut found: Vec<Found<'_>> = Vec::new();
    for source in &inventory.sources {
        for subnet in source.subnets.iter().flatten() {
            found.extend(subnet.networks.iter().map(|network| Found {
                network: *network,
                near: near.contains(&subnet.vpc),
                vpc: &subnet.vpc,
                zone: called(source, subnet),
                doubtful: false,
            }));
        }
    }
    // A network stands behind those that hold it, so these are on the stack when it comes.
    found.sort_by_key(|it| (it.network.network(), it.network.prefix_len()));
    let mut around: Vec<usize> = Vec::new();
    for at in 0..found.len() {
        let network = found.get(at).map(|it| it.network);
        let holds = |outer: &usize| {
            found.get(*outer).zip(network).is_some_and(|(outer, it)| outer.network.contains(&it))
        };
        around.retain(holds);
        for outer in around.clone() {
            if let Ok([outer, inner]) = found.get_disjoint_mut([outer, at]) {
                weigh(outer, inner);
            }
        }
        around.push(at);
    }
    let good = found.into_iter().filter(|it| !it.doubtful);
    good.map(|it| ClientZone { network: it.network, zone: it.zone, by: ZoneBy::Subnet }).collect()
}

/// Doubts one, or both, of two that share addresses.
fn weigh(one: &mut Found<'_>, other: &mut Found<'_>) {
    if one.vpc != other.vpc && one.zone != other.zone {
        one.doubtful |= one.near <= other.near;
        other.doubtful |= other.near <= one.near;
    }
}

/// The zone's id, which is the same in all accounts; its name where the interfaces beside it tell no
/// id that it could be compared with.
fn called(source: &SourceFacts, subnet: &Subnet) -> Arc<str> {
    let mut beside = source.interfaces.iter().filter(|it| it.az.name == subnet.az.name);
    let nameless = beside.any(|interface| interface.az.id.is_none());
    subnet.az.id.as_ref().filter(|_| !nameless).unwrap_or(&subnet.az.name).clone()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ZoneBy, client_zones};
    use crate::{
        base::Az,
        inventory::{Inventory, Subnet},
        policy::{PolicyConfig, facts},
    };

    /// An endpoint in `vpc-1` of the tests' facts, and subnets as `VPC NETWORK ZONE`.
    fn inventory(subnets: &[&str]) -> Inventory {
        let mut inventory = facts::inventory("vpce-1 s.sqs a=10.0.1.5 names=sqs.R");
        let hub = inventory.sources[0].endpoints[0].vpc.clone();
        let subnets = subnets.iter().enumerate().map(|(at, line)| {
            let [vpc, network, zone] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            Subnet {
                id: format!("subnet-{at}").as_str().into(),
                vpc: if vpc == "hub" { hub.clone() } else { vpc.into() },
                az: Az { name: zone.into(), id: Some(format!("id-{zone}").as_str().into()) },
                networks: vec![network.parse().unwrap()],
            }
        });
        Arc::make_mut(&mut inventory.sources[0]).subnets = Some(subnets.collect());
        inventory
    }

    #[track_caller]
    fn check(subnets: &[&str], hand: &[(&str, &str)], expected: &[&str]) {
        let hand = hand.iter().map(|(network, zone)| (network.parse().unwrap(), (*zone).into()));
        let config =
            PolicyConfig { zones: hand.collect(), discover_zones: true, ..facts::config() };
        let mut reversed = subnets.to_vec();
        reversed.reverse();
        for subnets in [subnets, &reversed] {
            let told: Vec<String> = client_zones(&inventory(subnets), &config)
                .iter()
                .map(|it| {
                    let by = if it.by == ZoneBy::Hand { " by hand" } else { "" };
                    format!("{} {}{by}", it.network, it.zone)
                })
                .collect();
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn subnets_tell_zones_by_id_and_by_name_where_the_interfaces_lack_ids() {
        // The interface in zone `a` of the facts has no id.
        check(
            &["v 10.1.0.0/24 a", "v 10.1.1.0/24 b", "v fd00::/64 b"],
            &[],
            &["10.1.0.0/24 a", "10.1.1.0/24 id-b", "fd00::/64 id-b"],
        );
    }

    #[test]
    fn by_hand_stands_for_all_that_is_in_it() {
        check(
            &["v 10.1.0.0/24 b", "v 10.2.0.0/16 b"],
            &[("10.1.0.0/16", "x"), ("10.2.7.0/24", "y")],
            &["10.1.0.0/16 x by hand", "10.2.0.0/16 id-b", "10.2.7.0/24 y by hand"],
        );
    }

    #[test]
    fn of_addresses_that_two_vpcs_have_the_hubs_count_and_others_are_in_no_zone() {
        check(&["v 10.1.0.0/24 b", "w 10.1.0.0/24 c"], &[], &[]);
        check(&["v 10.1.0.0/24 b", "w 10.1.0.0/24 b"], &[], &["10.1.0.0/24 id-b"]);
        check(&["hub 10.1.0.0/24 b", "w 10.1.0.0/24 c"], &[], &["10.1.0.0/24 id-b"]);
        // Nested, with one beside that nobody doubts.
        check(
            &["v 10.1.0.0/16 b", "w 10.1.7.0/24 c", "w 10.9.0.0/24 c"],
            &[],
            &["10.9.0.0/24 id-c"],
        );
        check(&["hub 10.1.7.0/24 b", "w 10.1.0.0/16 c"], &[], &["10.1.7.0/24 id-b"]);
    }

    #[test]
    fn unless_it_is_asked_for_subnets_tell_nothing() {
        let zones = client_zones(&inventory(&["v 10.1.0.0/24 b"]), &facts::config());
        assert_eq!(zones, []);
    }
}
