//! Who is asked for what is not ours, and how they do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BudgetDocument, LoopDocument};

/// Every upstream: `/api/v1/upstreams`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamsDocument {
    /// In the order of the configuration.
    pub upstreams: Vec<UpstreamDocument>,
    /// Packets to those that AWS limits; nothing when there is none.
    pub budget: Option<BudgetDocument>,
    /// Where what we forward comes back to us.
    pub loops: Vec<LoopDocument>,
}

/// One upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamDocument {
    /// As it is configured, with its port.
    pub address: String,
    /// The zones that it is asked for, `VIEW: ZONE` where a view alone says so; `.` stands for what is
    /// in no zone.
    pub zones: Vec<String>,
    /// `up`, `failing` (others are asked first), or `unasked` so far.
    pub state: String,
    /// How soon it answers, smoothed; nothing before its first answer.
    pub rtt_micros: Option<u64>,
    /// What it is asked without, having shown that it cannot: `edns`, `case`.
    pub asked_without: Vec<String>,
    /// Whether AWS limits packets to it.
    pub limited: bool,
    /// Whether its AD bit is passed on.
    pub trusted: bool,
}

// === impl UpstreamDocument ===

impl UpstreamDocument {
    /// What it is asked for, as people say it.
    pub fn asked_for(&self) -> String {
        let zones = self.zones.iter().map(|zone| match zone.strip_suffix('.') {
            Some(view) => format!("{view}all that is in no zone"),
            None => zone.clone(),
        });
        zones.collect::<Vec<_>>().join(", ")
    }
}
