//! How forwarding stands, and the look-ups of our own: parts of `/api/v1/status`.
//!
//! Texts and figures alone: what they come from is another room's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Packets to the upstreams that AWS limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetDocument {
    /// Those upstreams.
    pub upstreams: Vec<String>,
    /// Packets in the last second.
    pub packets: u32,
    /// The most in a second of this minute and the last.
    pub peak: u32,
    /// From here on packets are spared.
    pub soft: u32,
    /// More are not sent.
    pub hard: u32,
}

/// A forwarding loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoopDocument {
    /// Who is not asked for names in `domain`.
    pub upstream: String,
    /// From here on down; `.` for every name.
    pub domain: String,
    /// Since it was found.
    pub age_secs: u64,
}

/// Who is asked for AWS's hosts: never the daemon itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsHostsDocument {
    /// The key of the configuration that says so.
    pub key: String,
    /// For hosts in no zone.
    pub upstreams: Vec<String>,
    /// For those in one of these; the longest decides.
    pub zones: Vec<AwsZoneDocument>,
}

/// Who is asked for the hosts in a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsZoneDocument {
    /// The zone.
    pub name: String,
    /// Nobody, if there is none.
    pub upstreams: Vec<String>,
}
