//! Which VPC is the hub's own: no rule may be there, for it would send our questions back to us.

use std::{collections::BTreeSet, net::SocketAddr};

use super::complain;
use crate::{
    base::{EndpointId, VpcId},
    config::Config,
    inventory::Inventory,
    serve::ListenAddress,
    table::AnswerTable,
};

/// Of the commands for which it matters where the hubs are.
#[derive(clap::Args)]
pub(super) struct HubArgs {
    /// The hubs' own VPCs; unless told those with a subnet that has a hub's address, or else those
    /// whose endpoints are answered
    #[arg(long = "hub-vpc", value_name = "ID,...", value_delimiter = ',')]
    pub(super) hub_vpcs: Vec<String>,
}

/// The VPCs in which hubs are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hubs {
    pub(super) vpcs: BTreeSet<VpcId>,
    /// Whether they are those whose endpoints are answered, which most often is the same.
    guessed: bool,
}

// === impl Hubs ===

impl Hubs {
    /// Those that a person named.
    pub(super) fn named(vpcs: &[String]) -> Self {
        Self { vpcs: vpcs.iter().map(|id| id.as_str().into()).collect(), guessed: false }
    }

    /// Those with a subnet that has a hub's address; where no known subnet has one, the VPCs of the
    /// endpoints that are answered.
    pub(super) fn found(
        targets: &[SocketAddr],
        inventory: &Inventory,
        table: &AnswerTable,
    ) -> Self {
        let subnets = inventory.sources.iter().flat_map(|source| source.subnets.iter().flatten());
        let has_hub = subnets.filter(|subnet| {
            let has = |target: &SocketAddr| {
                subnet.networks.iter().any(|network| network.contains(&target.ip()))
            };
            targets.iter().any(has)
        });
        let vpcs: BTreeSet<VpcId> = has_hub.map(|subnet| subnet.vpc.clone()).collect();
        if !vpcs.is_empty() {
            return Self { vpcs, guessed: false };
        }
        let entries = table.views().flat_map(|view| view.entries());
        let answered: BTreeSet<&EndpointId> =
            entries.map(|entry| &entry.claim().endpoint).collect();
        let endpoints = inventory.sources.iter().flat_map(|source| &source.endpoints);
        let answered = endpoints.filter(|it| answered.contains(&it.id));
        Self { vpcs: answered.map(|it| it.vpc.clone()).collect(), guessed: true }
    }

    /// Tells that it is a guess, if it is one.
    pub(super) fn warn(&self) {
        if self.guessed && !self.vpcs.is_empty() {
            let vpcs: Vec<&str> = self.vpcs.iter().map(VpcId::as_str).collect();
            complain(&format!(
                "no subnet that the sources tell of has a hub's address, so the VPCs whose endpoints \
                 are answered are taken for the hub's own: {}; `--hub-vpc ID` says which it is",
                vpcs.join(", ")
            ));
        }
    }
}

/// Where this hub listens, as far as others could ask there.
pub(super) fn listens(config: &Config) -> impl Iterator<Item = SocketAddr> {
    let listen = config.serve.listen.iter().filter_map(|it| match it {
        ListenAddress::Socket(address) => Some(*address),
        ListenAddress::Interface { .. } => None,
    });
    listen.filter(|it| !it.ip().is_unspecified() && !it.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Hubs;
    use crate::{
        base::Az,
        inventory::{Inventory, Subnet},
        policy::{self, facts},
        table::compile,
    };

    const LINES: &str = "
        vpce-1 com.amazonaws.eu-west-1.sqs a=10.0.1.5 names=sqs.eu-west-1.amazonaws.com vpc=vpc-1
        vpce-2 com.amazonaws.eu-west-1.s3 kind=Gateway names=s3.eu-west-1.amazonaws.com vpc=vpc-2
    ";

    /// The hubs by these subnets, `VPC NETWORK`, for a hub at 10.9.0.53.
    #[track_caller]
    fn check(subnets: &[&str], expected: &[&str], guessed: bool) {
        let subnet = |text: &&str| {
            let (vpc, network) = text.split_once(' ').unwrap();
            let az = Az { name: "a".into(), id: None };
            let id = format!("subnet-{network}").into();
            Subnet { id, vpc: vpc.into(), az, networks: vec![network.parse().unwrap()] }
        };
        let config = facts::config();
        let Inventory { mut sources } = facts::inventory(LINES);
        let table = compile(policy::plan(&facts::inventory(LINES), &config), &config);
        let facts = Arc::unwrap_or_clone(sources.remove(0));
        let facts = facts.with_subnets(Some(subnets.iter().map(subnet).collect()));
        let inventory = Inventory { sources: vec![Arc::new(facts)] };
        let found = Hubs::found(&["10.9.0.53:53".parse().unwrap()], &inventory, &table);
        let vpcs = expected.iter().map(|id| (*id).into()).collect();
        assert_eq!(found, Hubs { vpcs, guessed });
    }

    #[test]
    fn the_hub_is_where_its_address_is_or_else_where_answered_endpoints_are() {
        check(&["vpc-9 10.9.0.0/24", "vpc-1 10.0.1.0/24"], &["vpc-9"], false);
        // Two VPCs may have one network.
        check(&["vpc-9 10.9.0.0/24", "vpc-8 10.9.0.0/16"], &["vpc-8", "vpc-9"], false);
        // That of a gateway endpoint, which answers nothing, is a spoke like any other.
        check(&["vpc-1 10.0.1.0/24"], &["vpc-1"], true);
        check(&[], &["vpc-1"], true);
    }
}
