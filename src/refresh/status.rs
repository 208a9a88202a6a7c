//! What the control loop knows of itself, for people and probes.

use std::{collections::BTreeMap, net::IpAddr};

use tokio::time::Instant;

use crate::base::SourceName;

/// How things stand after the last round. Replaced as a whole; read by whoever looks.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// In the order of the configuration.
    pub sources: Vec<SourceStatus>,
    /// The last round; `None` before the first has ended.
    pub round: Option<RoundReport>,
    /// Zones that a person has drained, each with the second since 1970 at which it was.
    pub drained: Vec<(String, u64)>,
    /// Addresses that go down and come up again and again, with the changes that count still.
    pub flapping: BTreeMap<IpAddr, u8>,
    /// Why what is known is not on disk; `None` while it is, or where nothing is kept.
    pub unkept: Option<Unkept>,
}

/// A state file that could not be used at the start, or cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unkept {
    /// Since when.
    pub since: Instant,
    /// Why, at the last time, with the whole chain of causes.
    pub error: String,
}

/// One source.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Its name.
    pub name: SourceName,
    /// When it last told its facts; `None` if it has not since the start.
    pub confirmed: Option<Instant>,
    /// Seconds since its facts were told, when they come from the state file.
    pub from_state_file: Option<u64>,
    /// Endpoints among the facts in force.
    pub endpoints: usize,
    /// Why it could not be asked the last time, with the whole chain of causes.
    pub error: Option<String>,
    /// What it goes without since it could not be had, likewise.
    pub lack: Option<String>,
    /// The IAM actions that the caller lacks, if one of these two is for that.
    pub missing_permissions: Vec<&'static str>,
    /// Why what it told last is not believed: its facts before that stay in force.
    pub held_back: Option<String>,
}

/// How a round ended.
#[derive(Clone, Debug)]
pub struct RoundReport {
    /// When.
    pub ended: Instant,
    /// `published`, `unchanged` or `kept`.
    pub outcome: &'static str,
    /// Why what was in force was kept.
    pub reason: Option<String>,
}
