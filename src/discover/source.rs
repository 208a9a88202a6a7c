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
    files::{associations_missing, read_files},
    lack::{Dispensable, Lack},
    lookup::HostLookup,
    normalise::{normalise, wanted},
    pace::CallPace,
    recorded::{Recorded, RecordedEndpoint},
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
    lacks: Vec<Lack>,
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
            lacks: Vec::new(),
        }
    }

    /// What the last look that succeeded went without, told once.
    pub fn lacks(&mut self) -> Vec<Lack> {
        #[cfg(feature = "ec2")]
        let of_ec2 = self.ec2.lacks();
        #[cfg(not(feature = "ec2"))]
        let of_ec2 = Vec::new();
        std::mem::take(&mut self.lacks).into_iter().chain(of_ec2).collect()
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
                let mut lacks = Vec::new();
                if self.config.subnets {
                    match read_subnets(path).await {
                        Ok(subnets) => recorded.subnets = Some(subnets),
                        Err(error) => lacks.push(Lack::new(Dispensable::Zones, error)),
                    }
                }
                let mut taken = recorded.endpoints.iter().filter(|it| wanted(&self.config, it));
                if recorded.associations.is_none() && taken.any(RecordedEndpoint::has_associations)
                {
                    let error = associations_missing(path);
                    lacks.push(Lack::new(Dispensable::Associations, error));
                }
                self.lacks = lacks;
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

    #[tokio::test]
    async fn a_folder_without_the_associations_that_its_endpoints_need_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
        write("vpc-endpoint-services.json", r#"{"ServiceDetails": []}"#);
        write("network-interfaces.json", r#"{"NetworkInterfaces": []}"#);
        let endpoints = |kind: &str| {
            let endpoint = format!(
                r#"{{"VpcEndpointId": "vpce-1", "VpcEndpointType": "{kind}", "VpcId": "vpc-1",
                    "ServiceName": "s", "State": "available"}}"#
            );
            write("vpc-endpoints.json", &format!(r#"{{"VpcEndpoints": [{endpoint}]}}"#));
        };
        let mut hub = source(SourceKind::Files { path: folder.path().to_owned() });
        let mut told = async || {
            hub.fetch(false).await.unwrap();
            hub.lacks().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        endpoints("Interface");
        assert!(told().await.is_empty());
        endpoints("Resource");
        let lacks = told().await.join("\n");
        assert!(lacks.starts_with("names of Resource and ServiceNetwork endpoints: "), "{lacks}");
        assert!(lacks.contains("aws ec2 describe-vpc-endpoint-associations"), "{lacks}");
        // What is withdrawn is told by a list that lacks it.
        write("vpc-endpoint-associations.json", r#"{"VpcEndpointAssociations": []}"#);
        assert!(told().await.is_empty());
    }

    #[cfg(not(feature = "ec2"))]
    #[tokio::test]
    async fn without_the_feature_an_ec2_source_says_so() {
        let mut hub = source(SourceKind::Ec2 { region: None, role: None, endpoint_url: None });
        let error = hub.fetch(true).await.unwrap_err();
        assert_eq!(error.to_string(), "this hubdns was built without the feature ec2");
    }
}
