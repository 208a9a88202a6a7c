//! The `ec2` source: asks the EC2 API.
//!
//! Every list is read to its last page before any of it is used; one failed call and the whole
//! look counts for nothing. What it finds goes to `normalise` in the shape of a recording.

mod calls;
mod errors;
mod http;
mod map;
mod session;

use std::{collections::BTreeSet, time::Duration};

use tokio::time::timeout;

use super::{
    config::{SourceConfig, SourceKind},
    error::{Action, DiscoverError},
    lookup::HostLookup,
    normalise::wanted,
    recorded::{Recorded, RecordedEndpoint, RecordedService, RecordedSubnet},
    subnets::subnets,
};
use crate::base::Region;
use session::Session;

/// For the subnets, which a look can do without: a call that hangs must not keep the endpoints'
/// changes waiting for longer.
const SUBNETS_WITHIN: Duration = Duration::from_secs(10);

/// One EC2 source between two looks.
pub(super) struct Ec2 {
    config: SourceConfig,
    lookup: HostLookup,
    /// Opened by the first look, and again by the one after a failure: credentials, region and
    /// connections may have been the reason.
    session: Option<Session>,
    known: KnownServices,
    subnets: KnownSubnets,
}

/// The subnets as they were told last, which change as rarely.
#[derive(Default)]
struct KnownSubnets {
    found: Option<Vec<RecordedSubnet>>,
    /// Why they could not be had the last time.
    lack: Option<DiscoverError>,
    /// Whether that was so: then the next look asks again.
    failed: bool,
}

/// What was learned of services, which change rarely and cost a call.
#[derive(Clone, Debug, Default)]
struct KnownServices {
    /// Also those that AWS did not know.
    asked: BTreeSet<ServiceKey>,
    found: Vec<RecordedService>,
}

/// A service as an endpoint names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ServiceKey {
    /// Where it is, when that is not where the endpoint is.
    region: Option<String>,
    name: String,
}

/// What an EC2 source is configured with beside its filters.
struct Settings<'a> {
    region: Option<&'a str>,
    role_arn: Option<&'a str>,
    endpoint_url: Option<&'a str>,
}

// === impl Ec2 ===

impl Ec2 {
    pub(super) fn new(config: SourceConfig, lookup: HostLookup) -> Ec2 {
        Ec2 {
            config,
            lookup,
            session: None,
            known: KnownServices::default(),
            subnets: KnownSubnets::default(),
        }
    }

    /// What the last look went without.
    pub(super) fn lack(&mut self) -> Option<DiscoverError> {
        self.subnets.lack.take()
    }

    /// The region and all that the source has in it. Dropped while it waits, it forgets its
    /// session and keeps what it knew of services.
    pub(super) async fn fetch(
        &mut self,
        ask_services: bool,
    ) -> Result<(Region, Recorded), DiscoverError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.config, &self.lookup).await?,
        };
        match ask(&self.config, &session, &self.known, ask_services).await {
            Ok((mut recorded, known)) => {
                self.known = known;
                if self.config.subnets {
                    self.subnets.renew(&session, ask_services).await;
                    recorded.subnets = self.subnets.found.clone();
                }
                let region = session.region.clone();
                self.session = Some(session);
                Ok((region, recorded))
            }
            Err(error) => {
                // A new session would assume its role anew: no help against throttling.
                if matches!(error, DiscoverError::Throttled { .. }) {
                    self.session = Some(session);
                }
                Err(error)
            }
        }
    }
}

async fn ask(
    config: &SourceConfig,
    session: &Session,
    known: &KnownServices,
    ask_services: bool,
) -> Result<(Recorded, KnownServices), DiscoverError> {
    let mut recorded = Recorded {
        endpoints: calls::endpoints(session, &config.vpc_ids).await?,
        ..Recorded::default()
    };
    recorded.check(None)?;
    // Other kinds have no interfaces of their own and no names that lead to them.
    let used: Vec<&RecordedEndpoint> = recorded
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.vpc_endpoint_type.eq_ignore_ascii_case("Interface"))
        .filter(|endpoint| wanted(config, endpoint))
        .collect();
    let interfaces: BTreeSet<String> =
        used.iter().flat_map(|endpoint| endpoint.network_interface_ids.iter().cloned()).collect();
    let services: BTreeSet<ServiceKey> = used
        .iter()
        .map(|endpoint| ServiceKey {
            region: endpoint
                .service_region
                .clone()
                .filter(|region| *region != session.region.as_str()),
            name: endpoint.service().to_owned(),
        })
        .collect();

    let known = match !ask_services && services.is_subset(&known.asked) {
        true => known.clone(),
        false => KnownServices {
            found: calls::services(session, &services).await?,
            asked: services.clone(),
        },
    };
    recorded.services = known.found.clone();
    recorded.interfaces = calls::interfaces(session, &interfaces).await?;
    recorded.check(None)?;
    // What was learned for endpoints that are gone is kept in mind, not told.
    let names: BTreeSet<&str> = services.iter().map(|key| key.name.as_str()).collect();
    recorded.services.retain(|service| names.contains(service.service_name.as_str()));
    Ok((recorded, known))
}

// === impl KnownSubnets ===

impl KnownSubnets {
    /// Asks, where it is time or nothing is known. A failure keeps what was told before.
    async fn renew(&mut self, session: &Session, due: bool) {
        if !due && !self.failed && self.found.is_some() {
            return;
        }
        let action = Action::DescribeSubnets;
        let asked = async {
            let found = calls::subnets(session).await?;
            subnets(&found, action)?;
            Ok(found)
        };
        let told = timeout(SUBNETS_WITHIN, asked).await;
        let told = told.unwrap_or_else(|elapsed| {
            let (after, source) = (SUBNETS_WITHIN, elapsed.into());
            Err(DiscoverError::TimedOut { action, after, source })
        });
        self.failed = told.is_err();
        match told {
            Ok(found) => (self.found, self.lack) = (Some(found), None),
            Err(error) => self.lack = Some(error),
        }
    }
}

// === impl Settings ===

impl<'a> Settings<'a> {
    /// A source of another kind has none of its own.
    fn of(config: &'a SourceConfig) -> Self {
        match &config.kind {
            SourceKind::Ec2 { region, role_arn, endpoint_url } => Settings {
                region: region.as_ref().map(Region::as_str),
                role_arn: role_arn.as_deref(),
                endpoint_url: endpoint_url.as_deref(),
            },
            SourceKind::Files { .. } | SourceKind::Demo => {
                Settings { region: None, role_arn: None, endpoint_url: None }
            }
        }
    }
}

#[cfg(test)]
mod tests;
