//! Who may ask, and which zone a client is in.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use prefix_trie::joint::{JointPrefixMap, JointPrefixSet};

use crate::policy::{ClientZone, PolicyConfig, ZoneBy};

/// Client networks, each looked up by the longest prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clients {
    allow: JointPrefixSet<IpNet>,
    zones: JointPrefixMap<IpNet, (Arc<str>, ZoneBy)>,
}

// === impl Clients ===

impl Clients {
    /// Networks are taken without their host bits: `10.1.2.3/8` is `10.0.0.0/8`.
    pub(super) fn new(config: &PolicyConfig, zones: &[ClientZone]) -> Self {
        let mut clients = Self::default();
        for network in &config.allow {
            clients.allow.insert(network.trunc());
        }
        for ClientZone { network, zone, by } in zones {
            clients.zones.insert(network.trunc(), (Arc::clone(zone), *by));
        }
        clients
    }

    pub(super) fn admits(&self, client: IpAddr) -> bool {
        self.allow.get_lpm(&IpNet::from(client)).is_some()
    }

    pub(super) fn az_of(&self, client: IpAddr) -> Option<&str> {
        let (_, (zone, _)) = self.zones.get_lpm(&IpNet::from(client))?;
        Some(zone)
    }

    pub(super) fn zone_of(&self, client: IpAddr) -> Option<ClientZone> {
        let (network, (zone, by)) = self.zones.get_lpm(&IpNet::from(client))?;
        Some(ClientZone { network, zone: Arc::clone(zone), by: *by })
    }

    /// The allowed networks in one order.
    pub(super) fn allowed(&self) -> impl Iterator<Item = IpNet> {
        self.allow.iter()
    }

    /// The zones in one order.
    pub(super) fn zones(&self) -> impl Iterator<Item = (IpNet, &str)> {
        self.zones.iter().map(|(network, (zone, _))| (network, &**zone))
    }
}
