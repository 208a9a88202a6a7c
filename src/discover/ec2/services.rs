//! What a source knows of services, which change rarely and cost a call.
//!
//! Those of its own region a look cannot do without. What fails of another region costs the names of
//! that region's services, and never the source.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::{calls, remembered::Remembered, session::Session};
use crate::{
    base::Region,
    discover::{
        DiscoverError, Dispensable, Lack,
        error::Action,
        recorded::{RecordedEndpoint, RecordedService, check_services},
    },
};

/// The services of each region that endpoints name.
#[derive(Debug, Default)]
pub(super) struct KnownServices {
    own: OfRegion,
    elsewhere: BTreeMap<Region, OfRegion>,
}

/// The services of one region.
#[derive(Debug, Default)]
struct OfRegion {
    /// Also those that AWS did not know, or did not tell.
    asked: BTreeSet<String>,
    told: Remembered<RecordedService>,
}

/// The names of services that endpoints lead to, by where they are.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) own: BTreeSet<String>,
    pub(super) elsewhere: BTreeMap<Region, BTreeSet<String>>,
}

// === impl KnownServices ===

impl KnownServices {
    /// Another look begins.
    pub(super) fn begin(&mut self) {
        self.elsewhere.values_mut().for_each(|known| known.told.begin());
    }

    /// Asks for those of the region that `session` asks: all when `due`, or when one is new. Dropped
    /// while it waits, it keeps what was known.
    pub(super) async fn ask_own(
        &mut self,
        session: &Session,
        names: &BTreeSet<String>,
        due: bool,
    ) -> Result<(), DiscoverError> {
        if self.own.needs(names, due) {
            let found = checked(calls::services(session, None, names).await?)?;
            self.own.take(names, Ok(found));
        }
        Ok(())
    }

    /// The same for other regions, all at once: one that hangs is waited for, and no second one.
    pub(super) async fn ask_elsewhere(
        &mut self,
        session: &Session,
        named: &BTreeMap<Region, BTreeSet<String>>,
        due: bool,
    ) {
        self.elsewhere.retain(|region, _| named.contains_key(region));
        for region in named.keys() {
            self.elsewhere.entry(region.clone()).or_default();
        }
        let asking = self.elsewhere.iter_mut().filter_map(|(region, known)| {
            let names = named.get(region).filter(|names| known.needs(names, due))?;
            Some(async move {
                let found = calls::services(session, Some(region), names).await;
                known.take(names, found.and_then(checked));
            })
        });
        join_all(asking).await;
    }

    /// What was told of the services of these names. Those of endpoints that are gone are kept in
    /// mind.
    pub(super) fn found(&self, named: &Named) -> Vec<RecordedService> {
        let own = self.own.found(&named.own);
        let elsewhere = named.elsewhere.iter().filter_map(|(region, names)| {
            let known = self.elsewhere.get(region)?;
            Some(known.found(names))
        });
        own.chain(elsewhere.flatten()).cloned().collect()
    }

    /// What the last look went without.
    pub(super) fn lacks(&self) -> Vec<Lack> {
        let lack = |(region, known): (&Region, &OfRegion)| {
            known.told.lack(Dispensable::Services(region.clone()))
        };
        self.elsewhere.iter().filter_map(lack).collect()
    }
}

fn checked(found: Vec<RecordedService>) -> Result<Vec<RecordedService>, DiscoverError> {
    check_services(&found, Action::DescribeVpcEndpointServices)?;
    Ok(found)
}

// === impl OfRegion ===

impl OfRegion {
    fn needs(&mut self, names: &BTreeSet<String>, due: bool) -> bool {
        due || !names.is_subset(&self.asked) || self.told.tries_again()
    }

    fn take(
        &mut self,
        names: &BTreeSet<String>,
        told: Result<Vec<RecordedService>, DiscoverError>,
    ) {
        self.asked.clone_from(names);
        self.told.take(told);
    }

    fn found(&self, names: &BTreeSet<String>) -> impl Iterator<Item = &RecordedService> {
        let all = self.told.found.iter().flatten();
        all.filter(|service| names.contains(&service.service_name))
    }
}

// === impl Named ===

impl Named {
    /// The services of these endpoints, where `own` is the region that is asked.
    pub(super) fn by<'e>(
        endpoints: impl Iterator<Item = &'e RecordedEndpoint>,
        own: &Region,
    ) -> Self {
        let mut named = Self::default();
        for endpoint in endpoints {
            let region = endpoint.service_region.as_deref();
            let names = match region.filter(|region| *region != own.as_str()) {
                Some(region) => named.elsewhere.entry(Region::from(region)).or_default(),
                None => &mut named.own,
            };
            names.insert(endpoint.service().to_owned());
        }
        named
    }
}
