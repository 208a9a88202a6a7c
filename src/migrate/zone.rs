//! A private hosted zone as Route 53 has it.

use std::{collections::BTreeSet, net::IpAddr};

use serde::{Serialize, Serializer};

use crate::base::{EndpointId, Name, Pattern};

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Zone {
    /// Its id without `/hostedzone/`.
    pub id: String,
    /// Its name.
    #[serde(serialize_with = "text")]
    pub name: Name,
    /// Whether it is public, and then nobody's concern here.
    pub public: bool,
    /// The account that owns it, where it was told.
    pub account: Option<String>,
    /// The AWS service that owns it, if one does.
    pub service: Option<String>,
    /// The VPCs that it is associated with; `None` where `get-hosted-zone` was not read.
    pub vpcs: Option<Vec<Vpc>>,
    /// The VPCs whose lists have it: the ids in the names of files that `list-hosted-zones-by-vpc`
    /// printed. AWS's own zones and those of other accounts are known by these alone.
    pub listed_in: BTreeSet<String>,
    /// Its records without those that every zone has at its apex; `None` where they were not read.
    pub records: Option<Vec<RecordSet>>,
    /// How long the absence of a name is kept, in seconds: what its SOA says, or AWS's default.
    pub negative_ttl_secs: u32,
}

/// A VPC that a zone is associated with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Vpc {
    /// Its id.
    pub id: String,
    /// Its region.
    pub region: String,
}

/// All records of one name and type; those of a routing policy together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordSet {
    /// The name, or the wildcard.
    #[serde(serialize_with = "text")]
    pub pattern: Pattern,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Seconds; an alias has its target's, which is 60 for an endpoint.
    pub ttl_secs: u32,
    /// What it leads to.
    pub target: Target,
    /// Whether several sets with a routing policy were taken together.
    pub routed: bool,
}

/// What a record set leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Addresses, sorted.
    Addresses(Vec<IpAddr>),
    /// An alias record's target.
    Alias(#[serde(serialize_with = "texts")] Vec<Name>),
    /// A CNAME's.
    Cname(#[serde(serialize_with = "texts")] Vec<Name>),
    /// Anything else, as it is written.
    Other(Vec<String>),
}

// === impl Zone ===

impl Zone {
    /// Whether it is known to be associated with a VPC.
    pub(super) fn is_in(&self, vpc: &Vpc) -> bool {
        let told = self.vpcs.as_ref().is_some_and(|vpcs| vpcs.contains(vpc));
        told || self.listed_in.contains(&vpc.id)
    }
}

// === impl Target ===

impl Target {
    /// The endpoint that the name of an alias or CNAME belongs to, by its first label.
    pub(super) fn endpoint_of(name: &Name) -> Option<EndpointId> {
        let label = name.labels().find(|label| *label != b"*")?;
        let label = std::str::from_utf8(label).ok()?.strip_prefix("vpce-")?;
        let id = label.split('-').next().filter(|id| !id.is_empty())?;
        Some(EndpointId::from(format!("vpce-{id}")))
    }
}

fn text<T: ToString, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&value.to_string())
}

fn texts<S: Serializer>(names: &[Name], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(names.iter().map(ToString::to_string))
}
