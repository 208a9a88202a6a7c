//! Names that stand for others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::{CnameClaim, Origin};

/// A name that stands for another: a CNAME, and behind it whatever that one has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CnameDocument {
    /// The name, or `*.` and the name below which all are answered.
    pub name: String,
    /// What it stands for; ours, or an upstream's.
    pub target: String,
    /// How long it may be kept.
    pub ttl_secs: u32,
    /// The endpoint whose association has the name; nothing for an alias of the operator's.
    pub endpoint: Option<String>,
    /// Its service; nothing likewise.
    pub service: Option<String>,
    /// The source that found it; nothing likewise.
    pub source: Option<String>,
}

// === impl CnameDocument ===

impl From<&CnameClaim> for CnameDocument {
    fn from(CnameClaim { pattern, target, ttl, lender }: &CnameClaim) -> Self {
        let lender = lender.as_ref();
        Self {
            name: pattern.to_string(),
            target: target.to_string(),
            ttl_secs: ttl.as_secs(),
            endpoint: lender.map(|it| it.endpoint.to_string()),
            service: lender.map(|it| it.service.to_string()),
            source: lender.map(|it| it.source.to_string()),
        }
    }
}

impl CnameDocument {
    /// Where the name comes from, in the words of a name that has addresses.
    pub fn origin(&self) -> &'static str {
        match self.endpoint {
            Some(_) => Origin::AssociationPrivate.word(),
            None => Origin::Alias.word(),
        }
    }
}
