//! What exists: endpoints, the services' published names, the interfaces and their addresses.
//!
//! Facts only, as AWS tells them, normalised and sorted, so that two rounds that saw the same
//! things are equal whatever the order of pages. No opinion: what is answered is `policy`'s to say.

mod endpoint;
mod mend;
mod service;

pub use endpoint::{
    Accessibility, Association, Endpoint, EndpointKind, EndpointState, IpAddressType, RecordIpType,
};
pub use service::{Interface, Service, Subnet, Verification};

use std::sync::Arc;

use crate::base::{EniId, Region, ServiceName, SourceName};
use serde::{Deserialize, Serialize};

/// Everything known, by source, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// One entry a source. What a source told is kept in several places, and never changed.
    pub sources: Vec<Arc<SourceFacts>>,
}

/// What one source found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFacts {
    /// The `[[source]]`'s name.
    pub source: SourceName,
    /// The region asked; unknown for recordings whose endpoints do not tell.
    pub region: Option<Region>,
    /// Sorted by id.
    pub endpoints: Vec<Endpoint>,
    /// Sorted by name.
    pub services: Vec<Service>,
    /// Sorted by id.
    pub interfaces: Vec<Interface>,
    /// Sorted by id; nothing where they were not asked for, or never told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnets: Option<Vec<Subnet>>,
}

// === impl SourceFacts ===

impl SourceFacts {
    /// Facts in their one order. Of two entries with one id the first is kept; of two services
    /// with one name the one that publishes names.
    pub fn new(
        source: SourceName,
        region: Option<Region>,
        mut endpoints: Vec<Endpoint>,
        mut services: Vec<Service>,
        mut interfaces: Vec<Interface>,
    ) -> Self {
        endpoints.sort_by(|a, b| a.id.cmp(&b.id));
        endpoints.dedup_by(|b, a| a.id == b.id);
        // AWS lists S3 twice under one name, once as a gateway service that publishes nothing.
        services.sort_by(|a, b| {
            let by_names = || b.private_names.cmp(&a.private_names);
            a.name.cmp(&b.name).then_with(by_names)
        });
        services.dedup_by(|b, a| a.name == b.name);
        interfaces.sort_by(|a, b| a.id.cmp(&b.id));
        interfaces.dedup_by(|b, a| a.id == b.id);
        Self { source, region, endpoints, services, interfaces, subnets: None }
    }

    /// The same with these subnets, in their one order.
    pub fn with_subnets(self, subnets: Option<Vec<Subnet>>) -> Self {
        let in_order = |mut subnets: Vec<Subnet>| {
            subnets.sort_by(|a, b| a.id.cmp(&b.id));
            subnets.dedup_by(|b, a| a.id == b.id);
            subnets
        };
        Self { subnets: subnets.map(in_order), ..self }
    }

    /// The interface of that id, if it was found.
    pub fn interface(&self, id: &EniId) -> Option<&Interface> {
        let at = self.interfaces.binary_search_by(|known| known.id.cmp(id)).ok()?;
        self.interfaces.get(at)
    }

    /// The service of that name, if it was found.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        let at = self.services.binary_search_by(|known| known.name.cmp(name)).ok()?;
        self.services.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::{Service, SourceFacts, Verification};

    #[test]
    fn of_a_service_listed_twice_the_one_that_publishes_names_is_kept() {
        let service = |names: &[&str]| Service {
            name: "com.amazonaws.eu-west-1.s3".into(),
            private_names: names.iter().map(|name| (*name).to_owned()).collect(),
            verification: Verification::Verified,
            owner: Some("amazon".to_owned()),
        };
        let (gateway, interface) = (service(&[]), service(&["*.s3.eu-west-1.amazonaws.com"]));
        for services in [vec![gateway.clone(), interface.clone()], vec![interface.clone(), gateway]]
        {
            let facts = SourceFacts::new("hub".into(), None, vec![], services, vec![]);
            assert_eq!(facts.services, std::slice::from_ref(&interface));
        }
    }
}
