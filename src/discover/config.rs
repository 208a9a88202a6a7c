//! Where the facts come from.

use std::{collections::BTreeMap, path::PathBuf};

use crate::base::{Region, SourceName, VpcId};

/// One `[[source]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// `name`, unlike every other source's.
    pub name: SourceName,
    /// `kind` and what belongs to it.
    pub kind: SourceKind,
    /// `vpc_ids`: only endpoints in these; empty means all.
    pub vpc_ids: Vec<VpcId>,
    /// `tags`: only endpoints that have all of these; empty means all.
    pub tags: BTreeMap<String, String>,
    /// Whether its subnets are asked for, since zones are discovered.
    pub subnets: bool,
}

/// How a source is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// The EC2 API.
    Ec2 {
        /// `region`; `None` takes the environment's, the profile's or the metadata service's.
        region: Option<Region>,
        /// `role_arn`: assumed before asking.
        role_arn: Option<String>,
        /// `endpoint_url`: another EC2 API than AWS's.
        endpoint_url: Option<String>,
    },
    /// A folder with `subnets.json` where zones are discovered, and `vpc-endpoints.json`, `vpc-endpoint-services.json` and
    /// `network-interfaces.json` as the AWS CLI prints them.
    Files {
        /// `path`: the folder.
        path: PathBuf,
    },
    /// The recording inside the binary: what `hubdns demo` answers from.
    Demo,
}
