//! What a person asks of AWS by hand: as whom a source calls, which calls it may make, and where this
//! host is.
//!
//! Nothing here is part of a look, and no look depends on it.

use std::net::IpAddr;

use tokio::time::Instant;

use super::error::{Action, DiscoverError};
use crate::base::{Region, VpcId};

/// One source's calls, each tried by itself.
#[derive(Debug)]
pub struct Trial {
    /// The region that it asks.
    pub region: Region,
    /// The role that it assumes, by its ARN.
    pub role: Option<String>,
    /// The ARN of the caller as AWS sees it, or why STS did not tell.
    pub caller: Result<String, DiscoverError>,
    /// AWS's time in STS's answer, be it an error; `None` without an answer.
    pub time: Option<AwsTime>,
    /// Each call that a look may need, and what came of it. Empty where there is nobody to call as.
    pub calls: Vec<(Action, Result<(), DiscoverError>)>,
}

/// What AWS's clock said, and when it did.
#[derive(Clone, Copy, Debug)]
pub struct AwsTime {
    /// Since 1970.
    pub unix_secs: i64,
    /// When that was told.
    pub told: Instant,
}

/// Where this host is, as its metadata service has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its region.
    pub region: Region,
    /// The VPC of its first interface.
    pub vpc: Option<VpcId>,
}

/// A rule of Route 53 Resolver that sends questions on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingRule {
    /// `rslvr-rr-...`
    pub id: String,
    /// What it is for, as Route 53 writes it: with a dot at its end.
    pub domain: String,
    /// Where it sends them.
    pub targets: Vec<IpAddr>,
}

#[cfg(not(feature = "ec2"))]
impl Place {
    /// Without the feature nobody is asked.
    pub async fn ask(_lookup: &super::HostLookup) -> Option<Place> {
        None
    }

    /// Without the feature nobody is asked.
    pub async fn rules(
        &self,
        _vpc: &VpcId,
        _lookup: &super::HostLookup,
    ) -> Result<Vec<ForwardingRule>, DiscoverError> {
        Err(DiscoverError::NotBuiltIn)
    }
}
