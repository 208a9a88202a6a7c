//! Names that stand for others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::CnameClaim;

/// A name that stands for another: a CNAME, and behind it whatever that one has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CnameDocument {
    /// The name, or `*.` and the name below which all are answered.
    pub name: String,
    /// What it stands for; ours, or an upstream's.
    pub target: String,
    /// How long it may be kept.
    pub ttl_secs: u32,
}

// === impl CnameDocument ===

impl From<&CnameClaim> for CnameDocument {
    fn from(CnameClaim { pattern, target, ttl }: &CnameClaim) -> Self {
        Self { name: pattern.to_string(), target: target.to_string(), ttl_secs: ttl.as_secs() }
    }
}
