//! The `ec2` source: asks the EC2 API.
//!
//! Every list is read to its last page before any of it is used; one failed call and the whole
//! look counts for nothing. What it finds goes to `normalise` in the shape of a recording.

mod calls;
mod errors;
mod http;
mod map;
mod remembered;
mod rules;
mod services;
mod session;
mod trial;

use std::collections::BTreeSet;

use super::{
    config::{Role, SourceConfig, SourceKind},
    error::{Action, DiscoverError},
    lack::{Dispensable, Lack},
    lookup::HostLookup,
    normalise::wanted,
    pace::{CallPace, SourcePace},
    recorded::{
        Recorded, RecordedAssociation, RecordedEndpoint, RecordedSubnet, check_associations,
    },
    subnets::subnets,
};
use crate::base::Region;
use remembered::Remembered;
use services::{KnownServices, Named};
use session::Session;

/// One EC2 source between two looks.
pub(super) struct Ec2 {
    config: SourceConfig,
    lookup: HostLookup,
    pace: SourcePace,
    /// Opened by the first look, and again by the one after a failure: credentials, region and
    /// connections may have been the reason.
    session: Option<Session>,
    known: KnownServices,
    associations: Remembered<RecordedAssociation>,
    /// The endpoints that these were asked for.
    associated: BTreeSet<String>,
    subnets: Remembered<RecordedSubnet>,
}

/// What an EC2 source is configured with beside its filters.
struct Settings<'a> {
    region: Option<&'a str>,
    role: Option<&'a Role>,
    endpoint_url: Option<&'a str>,
}

// === impl Ec2 ===

impl Ec2 {
    pub(super) fn new(config: SourceConfig, lookup: HostLookup, pace: &CallPace) -> Ec2 {
        Ec2 {
            pace: pace.of(&config.name),
            config,
            lookup,
            session: None,
            known: KnownServices::default(),
            associations: Remembered::default(),
            associated: BTreeSet::new(),
            subnets: Remembered::default(),
        }
    }

    /// Another look begins: of what is lacking nothing has been asked for.
    fn begin(&mut self) {
        self.associations.begin();
        self.subnets.begin();
        self.known.begin();
    }

    /// What the last look went without.
    pub(super) fn lacks(&self) -> Vec<Lack> {
        let zones = self.subnets.lack(Dispensable::Zones);
        let associations = self.associations.lack(Dispensable::Associations);
        let services = self.known.lacks();
        zones.into_iter().chain(associations).chain(services).collect()
    }

    /// Asks for what a look can do without.
    async fn ask_for_more(
        &mut self,
        session: &Session,
        due: bool,
        named: &Named,
        recorded: &mut Recorded,
    ) {
        self.known.ask_elsewhere(session, &named.elsewhere, due).await;
        recorded.services = self.known.found(named);
        let theirs = recorded.endpoints.iter().filter(|it| it.has_associations());
        let ids: BTreeSet<String> = theirs
            .filter(|it| wanted(&self.config, it))
            .map(|it| it.vpc_endpoint_id.clone())
            .collect();
        // In each look, since a service network's associations come and go as endpoints do. Where
        // they could not be had it is as with services: an endpoint that is new does not wait for the
        // pauses of others.
        let asks = due
            || !self.associations.is_lacking()
            || !ids.is_subset(&self.associated)
            || self.associations.tries_again();
        if ids.is_empty() {
            self.associations = Remembered::default();
        } else if asks {
            let told = calls::associations(session, &ids).await.and_then(|found| {
                check_associations(&found, Action::DescribeVpcEndpointAssociations)?;
                Ok(found)
            });
            // Where they could not be had, whoever knows the endpoints of before knows theirs: of an
            // endpoint that is new nothing is known, which is not that nothing leads from it.
            self.associations.take(told);
            self.associated = ids;
            recorded.associations = self.associations.found.take();
        }
        if self.config.subnets {
            if due || self.subnets.is_new() || self.subnets.tries_again() {
                let told = calls::subnets(session).await.and_then(|found| {
                    subnets(&found, Action::DescribeSubnets)?;
                    Ok(found)
                });
                self.subnets.take(told);
            }
            recorded.subnets = self.subnets.found.clone();
        }
    }

    /// The region and all that the source has in it. Dropped while it waits, it forgets its
    /// session and keeps what it knew of services.
    pub(super) async fn fetch(
        &mut self,
        ask_services: bool,
    ) -> Result<(Region, Recorded), DiscoverError> {
        self.begin();
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.config, &self.lookup, &self.pace).await?,
        };
        match ask(&self.config, &session, &mut self.known, ask_services).await {
            Ok((mut recorded, named)) => {
                self.ask_for_more(&session, ask_services, &named, &mut recorded).await;
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

/// What a look cannot do without, and the services that it names.
async fn ask(
    config: &SourceConfig,
    session: &Session,
    known: &mut KnownServices,
    ask_services: bool,
) -> Result<(Recorded, Named), DiscoverError> {
    let mut recorded = Recorded {
        endpoints: calls::endpoints(session, &config.vpc_ids).await?,
        ..Recorded::default()
    };
    recorded.check(None)?;
    // Other kinds have no interfaces of their own and no names that lead to them; of these two
    // only one has a service that publishes names.
    let is_interface =
        |it: &RecordedEndpoint| it.vpc_endpoint_type.eq_ignore_ascii_case("Interface");
    let used: Vec<&RecordedEndpoint> = recorded
        .endpoints
        .iter()
        .filter(|endpoint| is_interface(endpoint) || endpoint.has_associations())
        .filter(|endpoint| wanted(config, endpoint))
        .collect();
    let interfaces: BTreeSet<String> =
        used.iter().flat_map(|endpoint| endpoint.network_interface_ids.iter().cloned()).collect();
    let with_service = used.into_iter().filter(|endpoint| is_interface(endpoint));
    let named = Named::by(with_service, &session.region);

    known.ask_own(session, &named.own, ask_services).await?;
    recorded.services = known.found(&named);
    recorded.interfaces = calls::interfaces(session, &interfaces).await?;
    recorded.check(None)?;
    Ok((recorded, named))
}

// === impl Settings ===

impl<'a> Settings<'a> {
    /// A source of another kind has none of its own.
    fn of(config: &'a SourceConfig) -> Self {
        match &config.kind {
            SourceKind::Ec2 { region, role, endpoint_url } => Settings {
                region: region.as_ref().map(Region::as_str),
                role: role.as_ref(),
                endpoint_url: endpoint_url.as_deref(),
            },
            SourceKind::Files { .. } | SourceKind::Demo => {
                Settings { region: None, role: None, endpoint_url: None }
            }
        }
    }
}

#[cfg(test)]
mod tests;
