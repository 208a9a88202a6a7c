//! How the daemon, its sources and its last look at them stand.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AwsHostsDocument, BudgetDocument, DrainedZoneDocument, FlappingDocument, LoopDocument,
    UpstreamDocument,
};

/// How the daemon stands: `/api/v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusDocument {
    /// The daemon's version.
    pub version: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Why it is not.
    pub reasons: Vec<String>,
    /// How many tables it has put in force.
    pub generation: u64,
    /// Equal wherever the same is answered; nothing before the first table.
    pub table_hash: Option<String>,
    /// Equal wherever the same is configured.
    #[serde(default)]
    pub config_hash: Option<String>,
    /// The DNS sockets that are bound.
    pub listeners: Vec<SocketAddr>,
    /// The views of the table in force.
    pub views: Vec<ViewSummary>,
    /// Where what we forward comes back to us. A daemon before this was told has none.
    #[serde(default)]
    pub loops: Vec<LoopDocument>,
    /// Packets to the upstreams that AWS limits; nothing when there is none.
    pub budget: Option<BudgetDocument>,
    /// Who is asked for the hosts of AWS that discovery calls.
    pub aws_hosts: Option<AwsHostsDocument>,
    /// Upstreams that do not answer: others are asked first.
    #[serde(default)]
    pub failing_upstreams: Vec<UpstreamDocument>,
    /// Why what is known is not on disk for a start without AWS; nothing while it is, or where
    /// `refresh.state_file` is empty.
    #[serde(default)]
    pub unkept: Option<UnkeptDocument>,
    /// In the order of the configuration.
    pub sources: Vec<SourceDocument>,
    /// Zones that a person has taken out of the answers.
    #[serde(default)]
    pub drained_zones: Vec<DrainedZoneDocument>,
    /// Addresses that go down and come up again and again.
    #[serde(default)]
    pub flapping: Vec<FlappingDocument>,
    /// The last round of discovery; nothing before the first has ended.
    pub last_round: Option<RoundDocument>,
}

/// A state file that could not be used at the start, or cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnkeptDocument {
    /// Why, at the last time.
    pub error: String,
    /// Since it was so first.
    pub age_secs: u64,
}

/// How much a view has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViewSummary {
    /// Its name.
    pub name: String,
    /// Names answered.
    pub names: usize,
    /// Names and endpoints not answered.
    pub declined: usize,
}

/// How a source stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceDocument {
    /// Its name.
    pub name: String,
    /// Since it told the facts in force; nothing if it never has.
    pub age_secs: Option<u64>,
    /// Whether those come from the state file.
    pub from_state_file: bool,
    /// Endpoints among them.
    pub endpoints: usize,
    /// Why it could not be asked the last time.
    pub error: Option<String>,
    /// What it goes without, since it could not be had: the subnets, if zones are discovered.
    #[serde(default)]
    pub lack: Option<String>,
    /// The IAM actions that the caller lacks, if one of these two is for that.
    #[serde(default)]
    pub missing_permissions: Vec<String>,
    /// Why what it told last is not believed: its facts before that stay in force.
    #[serde(default)]
    pub held_back: Option<String>,
}

/// Every source: `/api/v1/sources`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourcesDocument {
    /// In the order of the configuration.
    pub sources: Vec<SourceDocument>,
    /// The last round of discovery; nothing before the first has ended.
    pub last_round: Option<RoundDocument>,
}

/// How a round of discovery ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoundDocument {
    /// Since it ended.
    pub age_secs: u64,
    /// `published`, `unchanged` or `kept`.
    pub outcome: String,
    /// Why what was in force was kept.
    pub reason: Option<String>,
}
