//! Zones taken out by hand, and addresses that come and go: parts of `/api/v1/status`, and what an
//! order came to.

use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PublicationDocument;
use crate::refresh::ZoneReport;

/// A drained zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrainedZoneDocument {
    /// Its id, or its name where no id is known.
    pub zone: String,
    /// Since when, in UTC.
    pub since: String,
}

/// An address that goes down and comes up again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlappingDocument {
    /// The address.
    pub ip: IpAddr,
    /// Changes between up and down that count still.
    pub changes: u8,
}

/// What an order to drain a zone came to: `/api/v1/drain-az` and `/api/v1/undrain-az`, on the
/// control socket alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ZoneDocument {
    /// The zone as it is remembered: its id, or its name where no id is known.
    pub zone: String,
    /// Whether it was otherwise before.
    pub changed: bool,
    /// Why a restart forgets it; nothing when it does not.
    pub not_kept: Option<String>,
    /// Addresses of drained zones that are left out.
    pub drained_addresses: usize,
    /// Endpoints with no usable address outside drained zones, which keep theirs.
    pub endpoints_overruling_drain: usize,
    /// The table that it led to; nothing when nothing is answered otherwise.
    pub table: Option<PublicationDocument>,
}

// === impl DrainedZoneDocument ===

impl DrainedZoneDocument {
    /// Of a zone and the second since 1970 at which it was drained.
    pub fn new(zone: &str, since_secs: u64) -> Self {
        let since = i64::try_from(since_secs).ok();
        let since = since.and_then(|secs| Timestamp::from_second(secs).ok()).unwrap_or_default();
        Self { zone: zone.to_owned(), since: since.to_string() }
    }
}

// === impl ZoneDocument ===

impl From<&ZoneReport> for ZoneDocument {
    fn from(report: &ZoneReport) -> Self {
        Self {
            zone: report.zone.to_string(),
            changed: report.changed,
            not_kept: report.not_kept.clone(),
            drained_addresses: report.outage.drained_addresses,
            endpoints_overruling_drain: report.outage.endpoints_overruling_drain,
            table: report.publication.as_deref().map(PublicationDocument::from),
        }
    }
}
