//! One `[[source]]`, whichever kind it is.
//!
//! Holds what a source remembers between two looks; decides nothing about the facts.

use std::time::Duration;

#[cfg(feature = "ec2")]
use super::ec2::Ec2;
use super::{
    config::{SourceConfig, SourceKind},
    demo::demo,
    disk::aside,
    error::DiscoverError,
    files::read_files,
    lack::{Dispensable, Lack},
    lookup::HostLookup,
    normalise::normalise,
    pace::CallPace,
    recorded::Recorded,
    subnets::read_subnets,
    trial::Trial,
};
use crate::{
    base::{Region, SourceName},
    inventory::SourceFacts,
};

/// One place that facts come from.
pub struct Source {
    config: SourceConfig,
    /// What the last look at files went without.
    lack: Option<Lack>,
    #[cfg(feature = "ec2")]
    ec2: Ec2,
}

// === impl Source ===

impl Source {
    /// A source that has not been asked yet: nothing is opened or looked up before the first
    /// [`fetch`](Self::fetch). `lookup` finds the hosts of AWS's APIs, and `pace` is shared with
    /// all other sources.
    pub fn new(config: SourceConfig, lookup: HostLookup, pace: CallPace) -> Source {
        #[cfg(not(feature = "ec2"))]
        drop((lookup, pace));
        Source {
            #[cfg(feature = "ec2")]
            ec2: Ec2::new(config.clone(), lookup, &pace),
            config,
            lack: None,
        }
    }

    /// What the last look that succeeded went without, told once.
    pub fn lacks(&mut self) -> Vec<Lack> {
        #[cfg(feature = "ec2")]
        let of_ec2 = self.ec2.lacks();
        #[cfg(not(feature = "ec2"))]
        let of_ec2 = Vec::new();
        self.lack.take().into_iter().chain(of_ec2).collect()
    }

    /// The `[[source]]`'s name.
    pub fn name(&self) -> &SourceName {
        &self.config.name
    }

    /// `interval_secs`, where the source has its own.
    pub fn interval(&self) -> Option<Duration> {
        self.config.interval
    }

    /// The facts as they are now. Services are asked for only when `ask_services` says so, or when
    /// an endpoint names one that was not asked for before.
    ///
    /// May be dropped while it waits: what it learned so far is then forgotten.
    pub async fn fetch(&mut self, ask_services: bool) -> Result<SourceFacts, DiscoverError> {
        let (region, recorded) = self.record(ask_services).await?;
        let config = self.config.clone();
        // Thousands of endpoints take a while.
        aside(move || normalise(&config, region, &recorded)).await
    }

    /// The same before it is normalised, with the region that was asked: what
    /// `discover --save` keeps.
    pub async fn record(
        &mut self,
        ask_services: bool,
    ) -> Result<(Option<Region>, Recorded), DiscoverError> {
        match &self.config.kind {
            SourceKind::Files { path } => {
                let mut recorded = read_files(path).await?;
                if self.config.subnets {
                    match read_subnets(path).await {
                        Ok(subnets) => recorded.subnets = Some(subnets),
                        Err(error) => self.lack = Some(Lack { of: Dispensable::Zones, error }),
                    }
                }
                Ok((None, recorded))
            }
            SourceKind::Demo => Ok((None, demo())),
            SourceKind::Ec2 { .. } => self.ask_ec2(ask_services).await,
        }
    }

    /// Tries each call by itself; `None` for a source that makes none.
    pub async fn try_calls(&self) -> Option<Result<Trial, DiscoverError>> {
        match &self.config.kind {
            SourceKind::Files { .. } | SourceKind::Demo => None,
            #[cfg(feature = "ec2")]
            SourceKind::Ec2 { .. } => Some(self.ec2.try_calls().await),
            #[cfg(not(feature = "ec2"))]
            SourceKind::Ec2 { .. } => Some(Err(DiscoverError::NotBuiltIn)),
        }
    }

    #[cfg(feature = "ec2")]
    async fn ask_ec2(
        &mut self,
        ask_services: bool,
    ) -> Result<(Option<Region>, Recorded), DiscoverError> {
        let (region, recorded) = self.ec2.fetch(ask_services).await?;
        Ok((Some(region), recorded))
    }

    #[cfg(not(feature = "ec2"))]
    async fn ask_ec2(
        &mut self,
        _ask_services: bool,
    ) -> Result<(Option<Region>, Recorded), DiscoverError> {
        Err(DiscoverError::NotBuiltIn)
    }
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path, sync::Arc};

    use futures_util::FutureExt;

    use super::Source;
    use crate::{
        base::SourceName,
        discover::{CallPace, HostLookup, SourceConfig, SourceKind},
    };

    fn source(kind: SourceKind) -> Source {
        let config = SourceConfig {
            name: SourceName::from("hub"),
            kind,
            vpc_ids: Vec::new(),
            subnets: false,
            interval: None,
            tags: Default::default(),
        };
        let lookup: HostLookup =
            Arc::new(|host| async move { Err(io::Error::other(host)) }.boxed());
        Source::new(config, lookup, CallPace::new())
    }

    #[tokio::test]
    async fn a_files_source_gives_the_facts_of_its_folder() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/discover/demo");
        let mut hub = source(SourceKind::Files { path });
        let facts = hub.fetch(false).await.unwrap();
        assert_eq!(facts.source, SourceName::from("hub"));
        assert_eq!(facts.region.unwrap().as_str(), "eu-west-1");
        assert_eq!((facts.endpoints.len(), facts.services.len()), (27, 25));
    }

    #[cfg(not(feature = "ec2"))]
    #[tokio::test]
    async fn without_the_feature_an_ec2_source_says_so() {
        let mut hub = source(SourceKind::Ec2 { region: None, role: None, endpoint_url: None });
        let error = hub.fetch(true).await.unwrap_err();
        assert_eq!(error.to_string(), "this hubdns was built without the feature ec2");
    }
}
