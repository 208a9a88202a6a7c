//! What `hubdns discover` prints for programs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::inventory::{Endpoint, SourceFacts};

/// What the sources told when they were asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoverDocument {
    /// In the order of the configuration.
    pub sources: Vec<FoundSourceDocument>,
}

/// What one source told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundSourceDocument {
    /// Its name.
    pub name: String,
    /// The region asked, if it is known.
    pub region: Option<String>,
    /// Its endpoints, sorted by id.
    pub endpoints: Vec<FoundEndpointDocument>,
    /// What it went without, each in a sentence.
    pub lacks: Vec<String>,
    /// Why it told nothing, if that is so.
    pub error: Option<String>,
    /// The folder that its answers were written to, if they were.
    pub saved: Option<String>,
}

/// An endpoint as its source has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundEndpointDocument {
    /// `vpce-...`
    pub id: String,
    /// Its type, as AWS writes it.
    pub kind: String,
    /// Its state, as AWS writes it.
    pub state: String,
    /// Its service.
    pub service: String,
    /// Its VPC.
    pub vpc: String,
    /// The names that its service publishes.
    pub private_names: Vec<String>,
    /// The names of its own.
    pub dns_entries: Vec<String>,
    /// The addresses of its interfaces, in the order of zones.
    pub addresses: Vec<FoundAddressDocument>,
}

/// An address of an endpoint's interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundAddressDocument {
    /// The address.
    pub ip: IpAddr,
    /// Its availability zone.
    pub az: String,
    /// The zone's id, which is the same in all accounts, if it is known.
    pub az_id: Option<String>,
    /// The interface that has it.
    pub eni: String,
}

// === impl FoundSourceDocument ===

impl FoundSourceDocument {
    /// Takes what its source told.
    pub fn tells(&mut self, facts: &SourceFacts) {
        self.region = facts.region.as_ref().map(ToString::to_string);
        self.endpoints = facts.endpoints.iter().map(|it| endpoint(facts, it)).collect();
    }
}

fn endpoint(facts: &SourceFacts, endpoint: &Endpoint) -> FoundEndpointDocument {
    let interfaces = endpoint.interfaces.iter().filter_map(|id| facts.interface(id));
    let addresses = interfaces.flat_map(|interface| {
        let v4 = interface.ipv4.iter().copied().map(IpAddr::V4);
        let v6 = interface.ipv6.iter().copied().map(IpAddr::V6);
        v4.chain(v6).map(|ip| FoundAddressDocument {
            ip,
            az: interface.az.name.to_string(),
            az_id: interface.az.id.as_deref().map(str::to_owned),
            eni: interface.id.to_string(),
        })
    });
    let mut addresses: Vec<FoundAddressDocument> = addresses.collect();
    addresses.sort_by(|a, b| (&a.az, a.ip).cmp(&(&b.az, b.ip)));
    let service = facts.service(&endpoint.service);
    FoundEndpointDocument {
        id: endpoint.id.to_string(),
        kind: endpoint.kind.to_string(),
        state: endpoint.state.to_string(),
        service: endpoint.service.to_string(),
        vpc: endpoint.vpc.to_string(),
        private_names: service.map(|it| it.private_names.clone()).unwrap_or_default(),
        dns_entries: endpoint.dns_entries.clone(),
        addresses,
    }
}
